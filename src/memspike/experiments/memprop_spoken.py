"""MEMprop on spoken digits: memristive neurons hear an utterance frame by frame.

Assumed: the utterance is stored and played at the time scale of the circuit: each of its 16 frames, on average 22 ms of
speech, lasts `input.interval` = 50 µs. A delay line gives every frame rows of its own, driven by one pulse at the time
of the frame and at 0 V otherwise: the first crossbar has 16 × 24 rows and the bias row, which is driven at every frame.
The output membranes are read after the last frame. `input.encoder=channels` does without the delay line: 24
rows and the bias row hear one frame after the other, and the membranes alone remember.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from memspike._errors import InputError
from memspike.data.sources import SPOKEN_DIGITS
from memspike.experiments.base import Experiment, register
from memspike.experiments.config import (
    DataConfig,
    ExperimentConfig,
    InputConfig,
    NetworkConfig,
    SimulationConfig,
    TrainingConfig,
)
from memspike.experiments.folder import RunFolder
from memspike.experiments.run import Report, run, silent, spread

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
    """Train for each speaker on all the others and measure on the one who was never heard.

    The folder holds one run folder a speaker; an interrupted study goes on where it was.
    """
    if config.data.leave_out is not None:
        raise InputError(
            f"data.leave_out is '{config.data.leave_out}', but this study leaves out every speaker in turn."
        )
    folder = RunFolder(out)
    folder.start(config, resume=resume)
    rows, of_speakers = [], []
    for speaker in SPOKEN_DIGITS.speakers:
        own = out / "trainings" / speaker
        one = config.model_copy(update={"data": config.data.model_copy(update={"leave_out": speaker})})
        if (own / "result.json").exists():
            result = json.loads((own / "result.json").read_text())
        else:
            result = run(one, own, resume=(own / "config.toml").exists(), report=report)
        found = {
            f"accuracy_{k}": result[f"test_accuracy{s}"] for k, s in (("mean", ""), ("sd", "_sd"), ("min", "_min"))
        }
        chips = {f"chips_accuracy_{k}": result[f"chips_accuracy{s}"] for k, s in (("mean", ""), ("sd", "_sd"))}
        rows.append({"speaker": speaker, **found, **chips, "test_utterances": result["test_images"]})
        of_speakers.append(result["test_accuracy"])
    result = {
        "experiment": config.experiment,
        "test_accuracy": float(np.mean(of_speakers)),
        "test_accuracy_sd": spread(np.array(of_speakers)),
        "seeds": config.seeds,
        "seed": config.seed,
        "epochs": config.training.epochs,
        "rows": rows,
    }
    folder.write_json("result.json", result)
    return result


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
