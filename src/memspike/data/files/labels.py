"""Class labels of any kind → names, numbers and their order."""

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from memspike.parts.errors import InputError

_WHOLE = re.compile(r"[-+]?\d+")


def names_in(y: np.ndarray, what: str) -> tuple[str, ...]:
    """The classes of all examples as texts; InputError for what names no class."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise InputError(f"{what} has the shape {list(y.shape)}; needed: one class an example, as a number or a text.")
    if y.dtype.kind not in "iubUS":
        raise InputError(f"{what} holds values of type {y.dtype}; classes are whole numbers or texts.")
    texts = [v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in y.tolist()]
    return checked([text.strip() for text in texts], what)


def checked(texts: Sequence[str], what: str) -> tuple[str, ...]:
    """The same; InputError where one is empty."""
    bad = next((k for k, text in enumerate(texts) if not text), None)
    if bad is not None:
        raise InputError(f"{what}: example {bad} has no label; every example needs one.")
    return tuple(texts)


def in_order(labels: Sequence[str], order: Sequence[str] = ()) -> list[str]:
    """The names of the classes, each once: in the `order` of the file, else as numbers or in that of the alphabet."""
    found = set(labels)
    if order:
        return [name for name in order if name in found]
    if all(_WHOLE.fullmatch(name) for name in found):
        return sorted(found, key=int)
    return sorted(found)


def numbered(labels: Sequence[str], names: Sequence[str]) -> Int[np.ndarray, " examples"]:
    """The number of every example's class."""
    at = {name: k for k, name in enumerate(names)}
    return np.array([at[label] for label in labels], dtype=np.int32)


def spoken(names: Sequence[str]) -> tuple[str, ...]:
    """The names as a data set keeps them: empty where they are the numbers 0, 1, … themselves."""
    return () if list(names) == [str(k) for k in range(len(names))] else tuple(names)
