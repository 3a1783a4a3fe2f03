"""Images learned by DECOLLE: layers of spiking neurons with an error each, on devices as they are."""

from typing import Any

from memspike.experiments.base import classifier

REFERENCE = (
    "Kaiser, Mostafa & Neftci, Front. Neurosci. 14: 424 (2020), doi 10.3389/fnins.2020.00424, for the rule; Fouda et "
    "al., Asilomar 2019, doi 10.1109/IEEECONF44664.2019.9049043, for local learning on RRAM: 1 to 2 % below the ideal "
    "device, data set not public"
)
PULSE = {"energy": 10e-12, "width": 100e-9}
BASE: dict[str, Any] = {
    "data": {"name": "digits"},
    "encoder": {"type": "image-rate", "max_rate": 150.0},
    "network": {"type": "local", "layers": [{"size": 150}], "amplitude": 2.0},
    "neuron": {"type": "trace-lif", "surrogate": {"type": "fast-sigmoid"}},
    "synapse": {"type": "single-reference", "device": {"type": "ideal"}},
    "array": {"drive": {"up": PULSE, "down": PULSE, "reset": PULSE}},
    "fabrication": {"published": True, "label_spread": 0.2, "range_spread": 0.05},
    "learning": {
        "rule": {"type": "decolle"},
        "scheme": {"type": "ideal"},
        "optimizer": {"type": "sgd", "learning_rate": 3.0},
        "objective": {"type": "summed-output", "burn": 5},
        "start": {"type": "exact", "gain": 1.0},
    },
    "simulation": {"dt": 5e-3, "duration": 100e-3},
    "training": {"batch": 10, "epochs": 10},
    "evaluation": {"at_once": 250},
}

decolle_digits = classifier(
    "decolle-digits",
    "DECOLLE on the digits that come with memspike, an ideal device",
    BASE,
    quick={"training.epochs": 3},
    expected=0.953,
    expected_quick=0.942,
    reference=REFERENCE,
)

decolle_mnist = classifier(
    "decolle-mnist",
    "DECOLLE on MNIST, two layers of 500, an ideal device",
    BASE,
    {
        "data": {"name": "mnist"},
        "network": {"layers": [{"size": 500}, {"size": 500}], "amplitude": 1.0},
        "neuron": {"surrogate": {"type": "logistic"}},
        "learning": {"optimizer": {"type": "adamax", "learning_rate": 0.02, "anneal": 0.02}},
        "training": {"batch": 100, "epochs": 8},
    },
    quick={"data.train": 2000, "data.test": 1000, "network.layers": [100], "training.epochs": 1},
    expected=0.975,
    expected_quick=0.762,
    reference=REFERENCE,
)
