"""The demo: a fully memristive network learns handwritten digits by backpropagation through its devices."""

from typing import Any

from memspike.config.build import classification
from memspike.experiments.base import Experiment, Result, register, together
from memspike.experiments.table import ACCURACY, LOWEST, Column
from memspike.training.classify import classify

# what all experiments with backpropagation through MIF neurons share
MEMPROP: dict[str, Any] = {
    "encoder": {"type": "image"},
    "network": {"type": "feedforward"},
    "neuron": {"type": "mif"},
    "synapse": {
        "type": "differential-pair",
        "device": {"type": "constant-step", "g_min": 10e-6, "g_max": 100e-6},
    },
    "array": {"drive": {"up": {"energy": 10e-12, "width": 0.0}, "down": {"energy": 10e-12, "width": 0.0}}},
    "learning": {
        "rule": {"type": "bptt"},
        "scheme": {"type": "ideal"},
        "optimizer": {"type": "adamw"},
        "objective": {"type": "windowed"},
        "start": {"type": "exact", "gain": 0.5},
    },
    "training": {"order": {"type": "by-steps"}, "epochs_together": 1, "checkpoint_every": 1000},
    "evaluation": {"chips": 20, "fine_dt": 10e-6},
}
AGES = (
    Column("age_s", "age", "duration"),
    Column("compensation", "compensation", "text"),
    ACCURACY,
    LOWEST,
    Column("chips", "chips", "count"),
)


def headline(result: Result) -> str:
    """Accuracy, also of noisy copies."""
    spread = f" ± {100 * result['test_accuracy_sd']:.2f}" if result["seeds"] > 1 else ""
    said = f"test accuracy {100 * result['test_accuracy']:.2f}{spread} %"
    if "chips" in result:
        noisy = f"{100 * result['chips_accuracy']:.2f} ± {100 * result['chips_accuracy_sd']:.2f} %"
        said += f"; {result['chips']} chips with programming spread and read noise: {noisy}"
    return said


def memprop(name: str, tables: dict[str, Any], **more: Any) -> Experiment:
    """An experiment with backpropagation through MIF neurons, with what is its own."""
    return Experiment(
        name,
        together(MEMPROP, tables),
        carry=classify,
        prepare=classification,
        headline=headline,
        kind="membranes",
        columns=AGES,
        **more,
    )


memprop_digits = register(
    memprop(
        "memprop-digits",
        {
            "data": {"name": "digits"},
            "network": {"layers": [{"size": 64}]},
            "augment": {"shift": 0.3},
            "learning": {"rule": {"weight_noise": 0.1}, "optimizer": {"learning_rate": 10e-3}},
            "training": {"epochs": 40, "batch": 32, "checkpoint_every": 400},
        },
        quick={"training.epochs": 8},
        expected=0.985,
        expected_quick=0.97,
        reference="MEMprop, arXiv 2206.12992; no figure is published for this data set",
    ),
    "MIF network 64-64-10 on the digits of scikit-learn; the demo",
)
