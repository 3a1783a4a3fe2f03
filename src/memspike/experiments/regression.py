"""Numbers that a network follows frame by frame, against a linear model with a perfect memory."""

from functools import partial

from memspike.config.build import regression
from memspike.experiments.base import Result, chips_of, registered
from memspike.experiments.eprop import EPROP, PER_SIDE
from memspike.training.regress import regress


def error_line(result: Result) -> str:
    """The error against that of ridge regression."""
    spread = f" ± {result['test_error_sd']:.4f}" if result["seeds"] > 1 else ""
    return (
        f"test error {result['test_error']:.4f}{spread} of the variance (ridge regression {result['ridge_error']:.4f})"
    )


follower = partial(
    registered,
    carry=regress,
    headline=error_line,
    kind="regression",
    prepare=regression,
    chips=chips_of,
    measure="test error",
)
"""`registered` for a training of networks that follow numbers."""

eprop_regression = follower(
    "eprop-regression",
    "online e-prop on differential PCM follows numbers frame by frame: a series 6 s ahead, or own data",
    EPROP,
    {
        "data": {"name": "mackey-glass"},
        "encoder": {"type": "population", "fields": 16, "max_rate": 400.0, "frame_time": 5e-3},
        "network": {"layers": [{"size": 128}], "tau_out": 5e-3},
        "neuron": {"type": "alif", "theta": 2.0, "tau": 20e-3, "tau_a": 100e-3, "soft": False},
        "synapse": PER_SIDE,
        "learning": {
            "rule": {"feedback": "symmetric", "rate_weight": 1e-4, "target_rate": 50.0, "clip": 1e6},
            "optimizer": {"rates": [3e-2, 3e-2, 3e-2], "anneal": 0.05, "adam": True},
            "objective": {"type": "squared-error"},
            "start": {"type": "programmed", "gain": 1.0},
        },
        "simulation": {"pause": 1.0, "parts": 1},
        "training": {"epochs": 40, "batch": 10},
    },
    quick={"training.epochs": 4},
    expected=0.259,
    expected_quick=0.307,
    reference="none: the series is that of Mackey & Glass, Science 197: 287 (1977), with noise of our own",
)

REGRESSOR = "regressor"

any_regressor = follower(
    REGRESSOR,
    "any network that follows numbers of any data: what memspike.fit runs where targets are numbers",
    {
        "data": {"name": "mackey-glass"},
        "encoder": {"type": "population", "fields": 16, "max_rate": 400.0},
        "network": {"type": "recurrent", "layers": [{"size": 64}], "tau_out": 5e-3},
        "neuron": {"type": "alif"},
        "learning": {"optimizer": {"type": "adamw", "learning_rate": 3e-3}, "objective": {"type": "squared-error"}},
        "simulation": {"dt": 1e-3},
        "training": {"batch": 20},
    },
    quick={"training.epochs": 4},
    expected=0.314,
    expected_quick=0.802,
    reference="no publication; the parts have their own sources",
)
