"""Evidence accumulation by e-prop: neurons with adapting thresholds remember what LIF neurons forget."""

from memspike.data.evidence import FRAME
from memspike.experiments.base import Experiment, register
from memspike.experiments.config import DataConfig
from memspike.experiments.frames import learn
from memspike.experiments.online_config import (
    DeviceConfig,
    FramesConfig,
    FramesOnlineConfig,
    LearningConfig,
    NeuronConfig,
    TimeConfig,
)

eprop_evidence = register(
    Experiment(
        FramesOnlineConfig(
            experiment="eprop-evidence",
            data=DataConfig(name="evidence"),
            task=FramesConfig(frame_time=FRAME, max_rate=40.0, window=0.068),
            device=DeviceConfig(devices_per_side=4, start="programmed"),
            # β over θ as in the source: 1.7·(1 − e^(−1/2000))/(1 − e^(−1/20)) over 0.6
            neuron=NeuronConfig(
                kind="alif",
                adaptive=0.5,
                tau=20e-3,
                tau_out=20e-3,
                tau_a=2.0,
                theta=1.2,
                beta=0.0348,
                refractory=5,
            ),
            time=TimeConfig(pause=38.6, parts=1),
            learning=LearningConfig(
                scheme="mixed-precision",
                epochs=8,
                batch=32,
                anneal=0.05,
                rates=(5e-3, 5e-3, 5e-3),
                adam=True,
                feedback="random",
                feedback_gain=1.0,
                weight_gain=1.4,
                rate_weight=1e-4,
                target_rate=10.0,
                clip=1e6,
            ),
        ),
        quick={"learning.epochs": 2, "data.test": 200},
        expected=0.94,
        expected_quick=0.875,
        reference="the task of Bellec et al., Nat. Commun. 11: 3625 (2020), there learned with digital weights",
        study=learn,
    ),
    "online e-prop on differential PCM: adapting neurons count cues and answer a second later",
)
