"""A training in which everything is chosen by who runs it: in Python by `fit`, or in a TOML file."""

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from memspike.config.accuracy import accurate
from memspike.config.build import classification, data_set, regression
from memspike.config.draft import Draft
from memspike.config.resolve import checked, merged
from memspike.config.settings import Settings
from memspike.data.base import Dataset
from memspike.data.given import FILE, GIVEN, arrays_of, from_arrays, kept_data
from memspike.experiments import base
from memspike.experiments.regression import REGRESSOR, any_regressor
from memspike.experiments.trained import Prepared, TrainedRun
from memspike.parts.errors import InputError, InterruptedRunError
from memspike.training.bar import progress_shown
from memspike.training.progress import silent

NAME = "classifier"

any_classifier = base.classifier(
    NAME,
    "any network on any data: nothing is chosen but the defaults of the parts; what memspike.fit runs",
    {},
    quick={"training.epochs": 4},
    expected=0.956,
    expected_quick=0.892,
    reference="no publication; the parts have their own sources",
)


def _check_folder(folder: Path, data: Dataset | None, *, resume: bool) -> None:
    """InputError where something is there that this run does not go on with."""
    if not resume and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"The folder {folder} is not empty; give another one, or resume=True to go on with it.")
    if data is None or not (folder / FILE).is_file():
        return
    new, old = arrays_of(data), arrays_of(kept_data(folder))
    if new.keys() != old.keys() or not all(np.array_equal(value, old[name]) for name, value in new.items()):
        raise InputError(f"{folder} was started with other data; resume with the same, or give another folder.")


def _prepared(tables: Mapping[str, Any], own: Dataset | None) -> Prepared:
    """The configuration of a training, and what it comes to with its data: classes, or numbers to follow."""
    settings = checked(Settings, {"experiment": NAME, **tables})
    data = data_set(settings, own)
    if data.regression:
        settings = checked(Settings, {"experiment": REGRESSOR, **merged(any_regressor.tables, tables)})
    settings = accurate(settings, own)
    given = regression(settings, data) if data.regression else classification(settings, data)
    return Prepared(settings, given, given.population)


def fit(
    learner: Any,
    data: Any,
    *,
    folder: str | Path,
    seeds: int = 1,
    resume: bool = False,
    progress: bool = True,
    **training: Any,
) -> TrainedRun:
    """Train `seeds` chips of a learner and return them with all that `load` gives, from a run folder as any other.

    `data` is the name of a data set, a `Dataset`, or (x_train, y_train, x_test, y_test): arrays [examples, …] from 0 to
    their largest value, and classes from 0, or floats [examples, frames, outputs] that the network follows: then what
    is left out has the values of the experiment `regressor`, otherwise those of `classifier`. `training` are keys of
    that table, such as epochs, batch or update_every, and `seed`, the first one. There is a checkpoint at every
    measurement: after an interruption `resume=True` with the same arguments goes on, and of a finished run it reads the
    end. InputError in one sentence for what does not fit, before anything is written.
    """
    if not (isinstance(learner, Draft) and learner.kind == "learner"):
        kind = learner.kind if isinstance(learner, Draft) else type(learner).__name__
        raise InputError(f"The first argument is a {kind}; a learner is needed: memspike.learner(network, …).")
    own = from_arrays(*data) if isinstance(data, tuple | list) else data if isinstance(data, Dataset) else None
    out, seed = Path(folder), training.pop("seed", 0)
    tables = {"seeds": seeds, "seed": seed, "training": training, "data": {"name": GIVEN if own else data}}
    given = _prepared(merged(learner.tables, tables), own)
    _check_folder(out, own, resume=resume)
    files: Mapping[str, Any] = {} if own is None else {FILE: arrays_of(own)}
    try:
        with progress_shown() if progress else nullcontext(silent) as report:
            base.carried(given.settings, given.given, out, resume=resume, report=report, files=files)
    except KeyboardInterrupt:
        raise InterruptedRunError(
            f"Interrupted; memspike.fit(…, folder={str(folder)!r}, resume=True) goes on from the last checkpoint."
        ) from None
    return TrainedRun(out, given)
