"""What a data set is."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Shaped

from memspike.parts.errors import InputError


class Dataset(NamedTuple):
    """Examples with values from 0 to `full_scale` and what is wanted of them, split once and for all.

    x_train, x_test: bytes or floats [examples, height, width], or [examples, frames, channels]
    y_train, y_test: classes 0 … `classes` − 1, or targets [examples, frames, outputs] as floats: a regression, whose
        `classes` are the outputs
    lengths_train, lengths_test: how many frames of every example are its own, the first of them; None: all
    names: what the classes are called; empty: by their numbers
    rate: samples a second where examples are waveforms [examples, samples, microphones], silence at half of the scale
    """

    name: str
    x_train: Shaped[np.ndarray, "train height width"]
    y_train: Shaped[np.ndarray, "train ..."]
    x_test: Shaped[np.ndarray, "test height width"]
    y_test: Shaped[np.ndarray, "test ..."]
    classes: int
    full_scale: float
    lengths_train: Int[np.ndarray, " train"] | None = None
    lengths_test: Int[np.ndarray, " test"] | None = None
    names: tuple[str, ...] = ()
    rate: float | None = None

    @property
    def pixels(self) -> int:
        """Pixels of one image."""
        return int(np.prod(self.x_train.shape[1:]))

    @property
    def regression(self) -> bool:
        """Whether numbers are wanted, not classes."""
        return self.y_train.dtype.kind == "f"

    def _parts(self, train: slice, test: slice, *, of_training: bool = False) -> "Dataset":
        """Other examples of each part; those of the test part are taken from the training part on demand."""
        source = "train" if of_training else "test"
        changed = {
            f"{what}_{role}": None if values is None else values[part]
            for what in ("x", "y", "lengths")
            for role, values, part in (
                ("train", getattr(self, f"{what}_train"), train),
                ("test", getattr(self, f"{what}_{source}"), test),
            )
        }
        return self._replace(**changed)

    def limited(self, train: int | None, test: int | None) -> "Dataset":
        """The first `train` and `test` examples; None keeps all. InputError where there are fewer."""
        for what, n, have in (("train", train, len(self.y_train)), ("test", test, len(self.y_test))):
            if n is not None and not 1 <= n <= have:
                raise InputError(f"data.{what} is {n}; {self.name} has 1 to {have} such examples.")
        return self._parts(slice(train), slice(test))

    def held_out(self, count: int) -> "Dataset":
        """The last `count` training examples in place of the test examples: to choose settings honestly.

        InputError where none would be left for training.
        """
        n = len(self.y_train) - count
        if not n >= 1:
            raise InputError(f"data.hold_out is {count}; {self.name} has {len(self.y_train)} training examples here.")
        return self._parts(slice(n), slice(n, None), of_training=True)


def check_finite(x: Shaped[np.ndarray, "..."], name: str) -> None:
    """InputError that names the first example with NaN or infinity."""
    bad = ~np.isfinite(np.asarray(x, dtype=float)).reshape(len(x), -1).all(axis=1)
    if bad.any():
        raise InputError(f"{name}: example {int(bad.argmax())} contains NaN or infinity; finite numbers are needed.")
