"""Evidence accumulation by e-prop: neurons with adapting thresholds remember what LIF neurons forget."""

from memspike.data.evidence import FRAME
from memspike.experiments.base import register
from memspike.experiments.eprop_spoken import PER_SIDE, online

eprop_evidence = register(
    online(
        "eprop-evidence",
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
    ),
    "online e-prop on differential PCM: adapting neurons count cues and answer a second later",
)
