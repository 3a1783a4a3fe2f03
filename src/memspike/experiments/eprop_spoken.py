"""Spoken digits learned online by e-prop: a recurrent spiking network hears an utterance as spike trains."""

from pathlib import Path
from typing import Any

from memspike.experiments.base import Experiment, register
from memspike.experiments.frames import learn
from memspike.experiments.online_config import (
    DeviceConfig,
    FramesOnlineConfig,
    LearningConfig,
    NeuronConfig,
    TimeConfig,
)
from memspike.experiments.run import Report, silent
from memspike.experiments.speakers import leave_out_each


def compare_speakers(
    config: FramesOnlineConfig, out: Path, *, resume: bool = False, report: Report = silent
) -> dict[str, Any]:
    """`leave_out_each` speaker."""
    return leave_out_each(config, out, learn, {"test_examples": "test_examples"}, resume=resume, report=report)


SETTINGS = {
    "device": DeviceConfig(devices_per_side=4, start="programmed"),
    "neuron": NeuronConfig(count=128, theta=2.0, tau=20e-3, tau_out=20e-3, reset="zero"),
    "time": TimeConfig(pause=1.0, parts=1),
}
LEARNING = LearningConfig(
    scheme="mixed-precision",
    epochs=10,
    batch=10,
    rates=(3e-3, 3e-3, 3e-3),
    anneal=0.05,
    adam=True,
    feedback="symmetric",
    weight_gain=1.0,
    rate_weight=1e-4,
    target_rate=50.0,
    clip=1e6,
)
REFERENCE = (
    "no figure is published for e-prop on this data set; logistic regression on 20 log-mel bands × 10 frames: 95.7 %"
)

eprop_spoken = register(
    Experiment(
        FramesOnlineConfig(experiment="eprop-spoken", learning=LEARNING, **SETTINGS),
        quick={"learning.epochs": 3},
        expected=0.9,
        expected_quick=0.5,
        reference=REFERENCE,
        study=learn,
    ),
    "online e-prop on differential PCM: 128 LIF neurons learn spoken digits; learning.scheme=fp32 without devices",
)

eprop_spoken_speakers = register(
    Experiment(
        FramesOnlineConfig(
            experiment="eprop-spoken-speakers", learning=LEARNING.model_copy(update={"scheme": "fp32"}), **SETTINGS
        ),
        quick={"learning.epochs": 1},
        expected=0.9,
        expected_quick=0.5,
        reference=REFERENCE + ", 54 to 90 % for a speaker left out",
        study=compare_speakers,
    ),
    "eprop-spoken with digital weights and each of the six speakers left out of the training in turn",
)
