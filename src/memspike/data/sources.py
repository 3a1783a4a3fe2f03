"""Where MNIST and Fashion-MNIST come from and what their decoded arrays must hash to."""

from typing import NamedTuple

ROLES = ("x_train", "y_train", "x_test", "y_test")
IDX_FILES = {
    "x_train": "train-images-idx3-ubyte.gz",
    "y_train": "train-labels-idx1-ubyte.gz",
    "x_test": "t10k-images-idx3-ubyte.gz",
    "y_test": "t10k-labels-idx1-ubyte.gz",
}
SHAPES = {"x_train": (60000, 28, 28), "y_train": (60000,), "x_test": (10000, 28, 28), "y_test": (10000,)}


class Source(NamedTuple):
    """A published data set: mirrors, file names by role, shapes and SHA-256 of the decoded arrays."""

    name: str
    doc: str
    licence: str
    mirrors: tuple[str, ...]
    sha256: dict[str, str]
    files: dict[str, str] = IDX_FILES
    shapes: dict[str, tuple[int, ...]] = SHAPES


SOURCES = {
    "mnist": Source(
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
    "fashion-mnist": Source(
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
}
