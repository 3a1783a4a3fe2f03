"""Data sets that are given as arrays in Python, and kept in the run folder."""

from pathlib import Path
from typing import Any

import numpy as np

from memspike.data.base import Dataset, check_finite
from memspike.parts.atomic import read_arrays
from memspike.parts.errors import InputError
from memspike.parts.registry import DATASETS

GIVEN, FILE = "arrays", "arrays.npz"
ROLES = ("x_train", "y_train", "x_test", "y_test")


@DATASETS.register(GIVEN, f"arrays that were given to memspike.fit; the run folder keeps them in {FILE}")
def given() -> Dataset:
    """InputError: they are nowhere but there."""
    raise InputError(
        f"data.name is {GIVEN}, which are given in Python: memspike.fit(learner, (x_train, y_train, x_test, y_test)); "
        f"memspike.load finds them in the run folder."
    )


def from_arrays(*arrays: Any) -> Dataset:
    """A data set of x_train, y_train, x_test, y_test: [examples, …] from 0 to the largest value, and classes from 0.

    Floats [examples, frames, outputs] in the place of classes are numbers that are wanted at every frame of examples
    [examples, frames, channels]: a regression.

    InputError for other than four arrays, shapes that do not fit, classes that are no whole numbers from 0 on, or
    values that are negative or not finite.
    """
    if len(arrays) != len(ROLES):
        raise InputError(f"The data are {len(arrays)} arrays; needed: {', '.join(ROLES)}.")
    given = {role: np.asarray(one) for role, one in zip(ROLES, arrays, strict=True)}
    for part in ("train", "test"):
        x, y = given[f"x_{part}"], given[f"y_{part}"]
        if x.ndim < 2 or x.shape[1:] != given["x_train"].shape[1:]:
            raise InputError(f"x_{part} has shape {list(x.shape)}; [examples, …] is needed, the same in both parts.")
        if len(x) != len(y) or not len(y):
            raise InputError(f"x_{part} has {len(x)} examples and y_{part} {len(y)}; one y an example is needed.")
        if not (_classes(y) or _numbers(y, x, given["y_train"])):
            raise InputError(
                f"y_{part} is {y.dtype} {list(y.shape)}; classes [examples] are needed: 0, 1, 2 …, or numbers to "
                f"follow, as floats [{len(x)} examples, {x.shape[1]} frames, outputs], in both parts."
            )
        check_finite(x, f"x_{part}")
        check_finite(y, f"y_{part}")
        if x.min() < 0:
            raise InputError(f"x_{part} has values down to {x.min():g}; values from 0 on are needed: they are rates.")
    return _whole(given)


def _classes(y: np.ndarray) -> bool:
    return y.ndim == 1 and y.dtype.kind in "iu" and bool(y.min() >= 0)


def _numbers(y: np.ndarray, x: np.ndarray, others: np.ndarray) -> bool:
    """Whether numbers are wanted at every frame, as many as of the `others`."""
    return y.ndim == 3 == x.ndim and y.dtype.kind == "f" and y.shape[1:] == (x.shape[1], *others.shape[2:])


def _whole(given: dict[str, np.ndarray]) -> Dataset:
    """The data set of arrays that fit together; InputError where they hold nothing."""
    scale = float(max(given["x_train"].max(), given["x_test"].max()))
    if not scale > 0:
        raise InputError("All values of x_train and x_test are 0; there is nothing to learn from.")
    x_train, x_test = (x if x.dtype == np.uint8 else x.astype(np.float32) for x in (given["x_train"], given["x_test"]))
    numbers = given["y_train"].ndim > 1
    y_train, y_test = (given[role].astype(np.float32 if numbers else np.int32) for role in ("y_train", "y_test"))
    classes = y_train.shape[-1] if numbers else int(max(y_train.max(), y_test.max())) + 1
    return Dataset(GIVEN, x_train, y_train, x_test, y_test, classes, scale)


def arrays_of(data: Dataset) -> dict[str, np.ndarray]:
    """A data set as the arrays of a file."""
    return {name: np.asarray(value) for name, value in data._asdict().items() if value is not None}


def kept_data(folder: Path) -> Dataset:
    """The data set that was given in Python, from the run folder that keeps it."""
    file = folder / FILE
    if not file.is_file():
        raise InputError(f"{folder} was trained on arrays given in Python, and its {FILE} is missing.")
    found = read_arrays(file)
    values: dict[str, Any] = {name: value if value.ndim else value.item() for name, value in found.items()}
    values["names"] = tuple(str(name) for name in values.get("names", ()))
    return Dataset(**values)
