"""Recurrent spiking networks on phase-change memory, trained online by e-prop: spoken digits, and evidence."""

from typing import Any

import numpy as np

from memspike.data.included import FRAME
from memspike.experiments import speakers
from memspike.experiments.base import classifier, together

# conductance difference of a weight of 1 with one device a side, in S, of the released code of arXiv 2108.01804
UNIT = 11.82503e-6


def scale(factor: float = 1.0) -> float:
    """`synapse.scale` on `pcm` for a conductance difference of a weight of 1 that is `factor` times the published one.

    In single precision, as devices hold their range of 10 nS to 12 µS.
    """
    return float(np.float32(factor * UNIT) / (np.float32(12e-6) - np.float32(10e-9)))


# what all experiments with e-prop on phase-change memory share
EPROP: dict[str, Any] = {
    "encoder": {"type": "frame-rate", "max_rate": 1e3, "frame_time": 5e-3},
    "network": {"type": "recurrent", "layers": [{"size": 100}]},
    "neuron": {"type": "lif"},
    "synapse": {"type": "differential-pair", "device": {"type": "pcm"}, "scale": scale()},
    "array": {
        "drive": {"up": {"energy": 10e-12, "width": 50e-9}, "reset": {"energy": 30e-12, "width": 50e-9}},
    },
    "learning": {
        "rule": {"type": "eprop"},
        "scheme": {"type": "mixed-precision"},
        "optimizer": {"type": "rates"},
        "objective": {"type": "cross-entropy", "window": 0.5},
    },
    "simulation": {"dt": 1e-3, "pause": 38.6, "parts": 6},
    "training": {"batch": 1},
    "evaluation": {"at_once": 1000},
}
PER_SIDE = {"type": "multi-device", "per_side": 4, "device": {"type": "pcm"}, "scale": scale()}
SPOKEN: dict[str, Any] = {
    "data": {"name": "spoken-digits"},
    "network": {"layers": [{"size": 128}], "tau_out": 20e-3},
    "neuron": {"theta": 2.0, "tau": 20e-3, "soft": False},
    "synapse": PER_SIDE,
    "learning": {
        "rule": {"feedback": "symmetric", "rate_weight": 1e-4, "target_rate": 50.0, "clip": 1e6},
        "optimizer": {"rates": [3e-3, 3e-3, 3e-3], "anneal": 0.05, "adam": True},
        "start": {"type": "programmed", "gain": 1.0},
    },
    "simulation": {"pause": 1.0, "parts": 1},
    "training": {"epochs": 10, "batch": 10},
}
REFERENCE = (
    "no figure is published for e-prop on this data set; logistic regression on 20 log-mel bands × 10 frames: 95.7 %"
)

eprop_spoken = classifier(
    "eprop-spoken",
    "online e-prop on differential PCM: 128 LIF neurons learn spoken digits; learning.scheme=fp32 without devices",
    EPROP,
    SPOKEN,
    {"training": {"epochs": 20}},
    quick={"training.epochs": 3},
    expected=0.96,
    expected_quick=0.5,
    reference=REFERENCE,
)

# time at the scale of the circuit, as in memprop-spoken: a frame lasts 0.3 ms and a spike of the input one step
ANALOG: dict[str, Any] = {
    "encoder": {"frame_time": 0.3e-3, "max_rate": 6e3},
    "network": {"tau_out": 1e-3, "current": 20e-6, "filter": {"type": "exponential", "tau": 0.1e-3}},
    "neuron": {"type": "mif"},
    "learning": {
        "rule": {"rate_weight": 0.0, "clip": 30.0},
        "optimizer": {"rates": [1.5e-3, 3e-4, 1.5e-2]},
        "start": {"gain": 0.05},
    },
    "simulation": {"dt": 50e-6},
    "training": {"epochs": 20},
}

eprop_spoken_mif = classifier(
    "eprop-spoken-mif",
    "the same with 128 recurrent MIF neurons, whose spikes are analog: no threshold, no pseudo-derivative",
    EPROP,
    SPOKEN,
    ANALOG,
    quick={"training.epochs": 3},
    expected=0.87,
    expected_quick=0.74,
    reference=REFERENCE,
)

eprop_spoken_speakers = speakers.study(
    eprop_spoken._replace(tables=together(EPROP, SPOKEN, {"learning": {"scheme": "fp32"}})),
    "eprop-spoken-speakers",
    "eprop-spoken, ten epochs, with digital weights and each of the six speakers left out of the training in turn",
    quick={"training.epochs": 1},
    expected=0.9,
    expected_quick=0.5,
    reference=REFERENCE + ", 54 to 90 % for a speaker left out",
)

eprop_evidence = classifier(
    "eprop-evidence",
    "online e-prop on differential PCM: adapting neurons count cues and answer a second later",
    EPROP,
    {
        "data": {"name": "evidence"},
        "encoder": {"frame_time": FRAME, "max_rate": 40.0},
        "network": {"tau_out": 20e-3, "adaptive": 0.5},
        # β over θ as in the source: 1.7·(1 − e^(−1/2000))/(1 − e^(−1/20)) over 0.6
        "neuron": {"type": "alif", "tau": 20e-3, "tau_a": 2.0, "theta": 1.2, "beta": 0.0348, "refractory": 5},
        "synapse": PER_SIDE,
        "learning": {
            "rule": {
                "feedback": "random",
                "feedback_gain": 1.0,
                "rate_weight": 1e-4,
                "target_rate": 10.0,
                "clip": 1e6,
            },
            "optimizer": {"rates": [5e-3, 5e-3, 5e-3], "anneal": 0.05, "adam": True},
            "objective": {"window": 0.068},
            "start": {"type": "programmed", "gain": 1.4},
        },
        "simulation": {"pause": 38.6, "parts": 1},
        "training": {"epochs": 8, "batch": 32},
    },
    quick={"training.epochs": 2, "data.test": 200},
    expected=0.94,
    expected_quick=0.875,
    reference="the task of Bellec et al., Nat. Commun. 11: 3625 (2020), there learned with digital weights",
)
