"""A training of networks that follow numbers, from its beginning to its errors against those of a linear model."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from memspike.data.base import Dataset
from memspike.training.classify import SAMPLES, Classification, learned, parameter_table
from memspike.training.conductances import first_chip
from memspike.training.evaluate import Evaluator, spread
from memspike.training.fit import fit
from memspike.training.folder import RunFolder
from memspike.training.membranes import membrane_facts
from memspike.training.progress import Report, silent

Numbers = Float[np.ndarray, "examples frames outputs"]
# penalties of the linear model, added to the mean squares of what it sees
PENALTIES = tuple(10.0**k for k in range(-8, 3))
QUARTER, HISTORY = 0.25, 40


def own_frames(lengths: np.ndarray | None, shape: tuple[int, ...]) -> Bool[np.ndarray, "examples frames"]:
    """Which frames of examples [examples, frames, ...] are their own."""
    ends = np.full(shape[0], shape[1]) if lengths is None else lengths
    return np.arange(shape[1])[None] < ends[:, None]


def normalised_error(off: Numbers, data: Dataset) -> float:
    """Mean square of errors in the test frames over that of a constant, the mean of the training targets."""
    inside = own_frames(data.lengths_test, off.shape)
    constant = data.y_train[own_frames(data.lengths_train, data.y_train.shape)].mean(0)
    return float(np.square(off[inside]).sum() / np.square(data.y_test[inside] - constant).sum())


def _before(x: np.ndarray, frame: int) -> Float[np.ndarray, "examples features"]:
    """The values of a frame and of the `HISTORY` − 1 frames before it, as far as there are any, and a constant."""
    seen = x[:, max(0, frame + 1 - HISTORY) : frame + 1].astype(float)
    return np.concatenate([seen.reshape(len(x), -1), np.ones((len(x), 1))], axis=1)


def _ridges(
    x: np.ndarray, y: np.ndarray, penalties: tuple[float, ...]
) -> Float[np.ndarray, "penalties features outputs"]:
    """Weights of ridge regression for every penalty."""
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    along = vectors.T @ (x.T @ y / len(x))
    return np.stack([vectors @ (along / (np.maximum(values, 0) + p)[:, None]) for p in penalties])


def ridge_error(data: Dataset) -> float:
    """`normalised_error` of ridge regression, for every frame one from that frame and those before it.

    It remembers `HISTORY` frames perfectly. The penalty, one for all frames, is the one that does best on the last
    quarter of the training examples, which the others are solved without.
    """
    shape, count = data.y_train.shape, max(1, round((1 - QUARTER) * len(data.x_train)))
    inside = own_frames(data.lengths_train, shape)
    x, test = (part / data.full_scale for part in (data.x_train, data.x_test))
    missed, found = np.zeros(len(PENALTIES)), []
    for frame in range(shape[1]):
        seen, rows, wanted = _before(x, frame), inside[:, frame], data.y_train[:, frame].astype(float)
        first, last = rows & (np.arange(len(x)) < count), rows & (np.arange(len(x)) >= count)
        if not first.any():
            found.append(np.zeros((len(PENALTIES), len(test), shape[2])))
            continue
        off = seen[last] @ _ridges(seen[first], wanted[first], PENALTIES) - wanted[last]
        missed += np.square(off).sum((1, 2))
        found.append(_before(test, frame) @ _ridges(seen[rows], wanted[rows], PENALTIES))
    best = np.stack([each[missed.argmin()] for each in found], axis=1)
    return normalised_error(best - data.y_test, data)


def regress(given: Classification, folder: RunFolder, *, resume: bool, report: Report = silent) -> dict[str, Any]:
    """Train, evaluate, write figures' data → the numbers of the result.

    `test_error` is the mean square of the errors in all frames of the test over the variance of the targets, of every
    chip; the output of a frame is the mean of its steps.
    """
    population, data = given.population, given.data
    evaluator = Evaluator(population, data, given.evaluation.at_once)
    other = None if given.learner is population.learner else given.learner
    done = fit(population, given.plan, folder, resume=resume, report=report)
    folder.write_csv("metrics.csv", done.history)
    found = evaluator.predictions(done.chips, learner=other)
    errors = np.array([normalised_error(y - data.y_test, data) for y in found])
    shown = slice(SAMPLES)
    trials = evaluator.trials
    folder.write_arrays(
        "samples.npz",
        {"y": found[0, shown], "target": data.y_test[shown], "dt": np.asarray(trials.encoder.lasts())}
        | first_chip(population, done.chips),
    )
    folder.write_json("parameters.json", parameter_table(given.learner))
    return {
        "test_error": float(errors.mean()),
        "test_error_sd": spread(errors),
        "test_error_max": float(errors.max()),
        "test_errors": [float(e) for e in errors],
        "ridge_error": ridge_error(data),
        **membrane_facts(evaluator, given.learner, done.chips),
        **learned(given, done),
        **given.facts,
    }
