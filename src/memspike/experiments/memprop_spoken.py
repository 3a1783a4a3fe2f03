"""MEMprop on spoken digits: memristive neurons hear an utterance frame by frame.

Assumed: the utterance is stored and played at the time scale of the circuit: each of its 16 frames, on average 22 ms of
speech, lasts `input.interval` = 50 µs. A delay line gives every frame rows of its own, driven by one pulse at the time
of the frame and at 0 V otherwise: the first crossbar has 16 × 24 rows and the bias row, which is driven at every frame.
The output membranes are read after the last frame. `input.encoder=channels` does without the delay line: 24
rows and the bias row hear one frame after the other, and the membranes alone remember.
"""

from pathlib import Path
from typing import Any

from memspike.experiments.base import Experiment, register
from memspike.experiments.config import (
    DataConfig,
    ExperimentConfig,
    InputConfig,
    NetworkConfig,
    SimulationConfig,
    TrainingConfig,
)
from memspike.experiments.run import Report, run, silent
from memspike.experiments.speakers import leave_out_each

SETTINGS = {
    "data": DataConfig(name="spoken-digits"),
    "input": InputConfig(encoder="frames", interval=50e-6, read_voltage=0.2),
    "network": NetworkConfig(hidden=(64,)),
    "simulation": SimulationConfig(duration=1.2e-3),
    "training": TrainingConfig(
        epochs=30,
        batch=100,
        learning_rate=5e-3,
        window=(0.65, 1.0),
        label_smoothing=0.1,
        weight_noise=0.1,
        shift=0.3,
    ),
}
REFERENCE = "no figure is published for MIF neurons; logistic regression on 20 log-mel bands × 10 frames: 95.7 %"


def compare_speakers(
    config: ExperimentConfig, out: Path, *, resume: bool = False, report: Report = silent
) -> dict[str, Any]:
    """`leave_out_each` speaker, with the accuracies of noisy chips."""
    kept = {"chips_accuracy_mean": "chips_accuracy", "chips_accuracy_sd": "chips_accuracy_sd"}
    return leave_out_each(config, out, run, kept | {"test_examples": "test_images"}, resume=resume, report=report)


memprop_spoken = register(
    Experiment(
        ExperimentConfig(experiment="memprop-spoken", **SETTINGS),
        quick={"training.epochs": 6, "evaluation.chips": 5, "evaluation.fine_dt": 25e-6},
        expected=0.99,
        expected_quick=0.95,
        reference=REFERENCE,
    ),
    "MIF network 384-64-10 on spoken digits, frame by frame; data.leave_out=SPEAKER for a new speaker",
)

memprop_spoken_speakers = register(
    Experiment(
        ExperimentConfig(experiment="memprop-spoken-speakers", **SETTINGS),
        quick={"training.epochs": 2, "evaluation.chips": 2, "evaluation.fine_dt": 50e-6},
        expected=0.78,
        expected_quick=0.63,
        reference=REFERENCE + ", 54 to 90 % for a speaker left out",
        study=compare_speakers,
    ),
    "memprop-spoken with each of the six speakers left out of the training in turn",
)
