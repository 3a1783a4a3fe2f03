"""Training for each speaker on all the others, and measuring on the one who was never heard."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from memspike.data.sources import SPOKEN_DIGITS
from memspike.experiments.config import ExperimentConfig
from memspike.experiments.online_config import FramesOnlineConfig
from memspike.experiments.run import Report, spread
from memspike.parts.errors import InputError
from memspike.training.folder import RunFolder

ACCURACIES = {f"accuracy_{name}": f"test_accuracy{end}" for name, end in (("mean", ""), ("sd", "_sd"), ("min", "_min"))}


def leave_out_each(
    config: ExperimentConfig | FramesOnlineConfig,
    out: Path,
    learn: Callable[..., dict[str, Any]],
    kept: dict[str, str],
    *,
    resume: bool,
    report: Report,
) -> dict[str, Any]:
    """`learn` for every speaker left out → the content of result.json, with a row a speaker.

    A row has the accuracies and, under the names of `kept`, further entries of a result. The folder holds one run
    folder a speaker; an interrupted study goes on where it was. InputError where a speaker is left out already.
    """
    if config.data.leave_out is not None:
        raise InputError(
            f"data.leave_out is '{config.data.leave_out}', but this study leaves out every speaker in turn."
        )
    folder = RunFolder(out)
    folder.start(config, resume=resume)
    rows = []
    for speaker in SPOKEN_DIGITS.speakers:
        own = out / "trainings" / speaker
        one = config.model_copy(update={"data": config.data.model_copy(update={"leave_out": speaker})})
        if (own / "result.json").exists():
            result = json.loads((own / "result.json").read_text())
        else:
            result = learn(one, own, resume=(own / "config.toml").exists(), report=report)
        rows.append({"speaker": speaker, **{name: result[key] for name, key in (ACCURACIES | kept).items()}})
    of_speakers = np.array([row["accuracy_mean"] for row in rows])
    given = config.training if isinstance(config, ExperimentConfig) else config.learning
    result = {
        "experiment": config.experiment,
        "test_accuracy": float(of_speakers.mean()),
        "test_accuracy_sd": spread(of_speakers),
        "scheme": given.scheme,
        "seeds": config.seeds,
        "seed": config.seed,
        "epochs": given.epochs,
        "rows": rows,
    }
    folder.write_json("result.json", result)
    return result
