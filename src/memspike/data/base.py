"""What a data set is."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from memspike.parts.errors import InputError


class Dataset(NamedTuple):
    """Images as bytes with `full_scale` as white, and labels 0 … classes − 1, split once and for all."""

    name: str
    x_train: UInt8[np.ndarray, "train height width"]
    y_train: Int[np.ndarray, " train"]
    x_test: UInt8[np.ndarray, "test height width"]
    y_test: Int[np.ndarray, " test"]
    classes: int
    full_scale: float

    @property
    def pixels(self) -> int:
        """Pixels of one image."""
        return int(np.prod(self.x_train.shape[1:]))

    def limited(self, train: int | None, test: int | None) -> "Dataset":
        """The first `train` and `test` examples; None keeps all."""
        for what, n, have in (("train", train, len(self.y_train)), ("test", test, len(self.y_test))):
            if n is not None and not 1 <= n <= have:
                raise InputError(f"data.{what} is {n}; {self.name} has 1 to {have} such examples.")
        return self._replace(
            x_train=self.x_train[:train],
            y_train=self.y_train[:train],
            x_test=self.x_test[:test],
            y_test=self.y_test[:test],
        )

    def held_out(self, count: int) -> "Dataset":
        """The last `count` training images in place of the test images: to choose settings honestly."""
        n = len(self.y_train) - count
        if not n >= 1:
            raise InputError(f"data.hold_out is {count}; {self.name} has {len(self.y_train)} training images here.")
        return self._replace(
            x_train=self.x_train[:n], y_train=self.y_train[:n], x_test=self.x_train[n:], y_test=self.y_train[n:]
        )


def check_finite(x: Float[np.ndarray, "..."], name: str) -> None:
    """InputError that names the first example with NaN or infinity."""
    bad = ~np.isfinite(np.asarray(x, dtype=float)).reshape(len(x), -1).all(axis=1)
    if bad.any():
        raise InputError(f"{name}: example {int(bad.argmax())} contains NaN or infinity; finite numbers are needed.")
