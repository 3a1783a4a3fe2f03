"""The published data sets of the cache: where they come from and what their decoded arrays must hash to."""

from memspike.data.images import IdxSource
from memspike.data.recordings import WavSource
from memspike.data.source import Source

SPOKEN_DIGITS = WavSource(
    "spoken-digits",
    "3,000 spoken digits of six speakers, 8 kHz, as cochleagrams; split 2,700 / 300, or by speaker (data.leave_out)",
    "Free Spoken Digit Dataset v1.0.10, Jackson et al., CC BY-SA 4.0",
    ("https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.tar.gz",),
    {
        "samples": "f4e8c0733ae8099842dd914bb4eef83339d3f9c5a947c9fef870a33b97512a11",
        "lengths": "5fba02cd79c82776db65d82854f723b7b878afb37665ea70cfea67b2c35cfcec",
    },
    speakers=("george", "jackson", "lucas", "nicolas", "theo", "yweweler"),
    repetitions=50,
    rate=8000,
)

SOURCES: dict[str, Source] = {
    "mnist": IdxSource(
        "mnist",
        "70,000 handwritten digits, 28×28, split 60,000 / 10,000",
        "LeCun, Cortes & Burges, CC BY-SA 3.0",
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        {
            "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
            "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
            "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
            "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
        },
    ),
    "fashion-mnist": IdxSource(
        "fashion-mnist",
        "70,000 pictures of clothing, 28×28, split 60,000 / 10,000",
        "Xiao, Rasul & Vollgraf, arXiv 1708.07747, MIT",
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        {
            "x_train": "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012",
            "y_train": "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7",
            "x_test": "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a",
            "y_test": "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9",
        },
    ),
    "spoken-digits": SPOKEN_DIGITS,
}
