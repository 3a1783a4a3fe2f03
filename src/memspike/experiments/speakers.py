"""Training for each speaker on all the others, and measuring on the one who was never heard."""

import dataclasses
from functools import partial
from typing import Any

import numpy as np

from memspike.data.store import SPOKEN_DIGITS
from memspike.experiments.base import Experiment, Result, nested, register
from memspike.experiments.table import ACCURACY, LOWEST, Column
from memspike.parts.errors import InputError
from memspike.training.evaluate import spread
from memspike.training.folder import RunFolder
from memspike.training.progress import Report

ACCURACIES = {f"accuracy_{name}": f"test_accuracy{end}" for name, end in (("mean", ""), ("sd", "_sd"), ("min", "_min"))}
COLUMNS = (
    Column("speaker", "speaker", "text"),
    ACCURACY,
    LOWEST,
    Column("chips_accuracy", "noisy chips", "percent with sd", digits=2),
    Column("test_examples", "test examples", "count"),
)


def allowed(settings: Any) -> Any:
    """Settings in which no speaker is left out already; InputError otherwise."""
    if settings.data.leave_out is not None:
        raise InputError(
            f"data.leave_out is '{settings.data.leave_out}', but this study leaves out every speaker in turn."
        )
    return settings


def leave_out_each(alone: str, settings: Any, folder: RunFolder, *, resume: bool, report: Report) -> Result:
    """Run the experiment `alone` for every speaker left out; the folder holds one run a speaker."""
    rows: list[dict[str, Any]] = []
    for speaker in SPOKEN_DIGITS.speakers:
        data = dataclasses.replace(settings.data, leave_out=speaker)
        one = dataclasses.replace(settings, experiment=alone, data=data)
        result = nested(one, folder.path / "trainings" / speaker, report=report)
        row = {"speaker": speaker, **{name: result[key] for name, key in ACCURACIES.items()}}
        kept = ("chips_accuracy", "chips_accuracy_sd", "test_examples")
        rows.append(row | {key: result[key] for key in kept if key in result})
    of_speakers = np.array([row["accuracy_mean"] for row in rows])
    return {
        "test_accuracy": float(of_speakers.mean()),
        "test_accuracy_sd": spread(of_speakers),
        "scheme": settings.learning.scheme.name,
        "epochs": settings.training.epochs,
        "rows": rows,
    }


def headline(result: Result) -> str:
    """Mean and range over speakers."""
    means = [row["accuracy_mean"] for row in result["rows"]]
    among = f"{100 * min(means):.1f}–{100 * max(means):.1f}"
    return f"speakers who were never heard: {100 * result['test_accuracy']:.1f} % ({among})"


def study(experiment: Experiment, name: str, doc: str, **more: Any) -> Experiment:
    """Register the study of an experiment for every speaker left out."""
    own = {"carry": partial(leave_out_each, experiment.name), "prepare": allowed, "headline": headline}
    return register(experiment._replace(name=name, kind="speakers", columns=COLUMNS, **own, **more), doc)
