"""What chips are shown, trial by trial: examples of a data set, or patterns that every chip draws for itself."""

from abc import abstractmethod
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, Shaped

from memspike.data import augment
from memspike.data.encoders import AbstractEncoder
from memspike.data.patterns import patterns
from memspike.parts.parallel import split
from memspike.parts.param import option


class AbstractTrials(eqx.Module):
    """Trials as arrays. `count` of them make an epoch; all methods are traced."""

    @property
    @abstractmethod
    def count(self) -> int:
        """Trials of an epoch."""

    @abstractmethod
    def epoch(self, key: PRNGKeyArray, epoch: Int[Array, ""]) -> Any:
        """What a chip with that key needs in an epoch, made once."""

    @abstractmethod
    def trial(self, made: Any, index: Int[Array, "*batch"], key: PRNGKeyArray) -> tuple[Any, Any]:
        """Inputs [steps, *batch, ...] and targets of trials by their numbers."""


class Augment(eqx.Module):
    """Random changes of training images."""

    shift: float = option(0.0, "s.d. of the random shift of an image", unit="1", bounds=(0, 2))
    mirror: bool = option(False, "mirror half of the images")
    drop: float = option(0.0, "share of input pixels set to zero", bounds=(0, 0.999))

    def __call__(self, x: Float[Array, "batch height width"], *, key: PRNGKeyArray) -> Float[Array, "batch _ _"]:
        """The images changed."""
        keys = jax.random.split(key, 3)
        if self.shift:
            x = augment.shift(x, self.shift, key=keys[0])
        if self.mirror:
            x = augment.mirror(x, key=keys[1])
        if self.drop:
            x = augment.drop(x, self.drop, key=keys[2])
        return x


class Examples(AbstractTrials):
    """The training examples of a data set, encoded anew every time; targets are class probabilities.

    A share `smoothing` of a target is spread over all classes. With `spread` a batch is spread over all devices.
    """

    x: Shaped[Array, "examples height width"]
    y: Int[Array, " examples"]
    encoder: AbstractEncoder
    augment: Augment
    classes: int = eqx.field(static=True)
    full_scale: float = eqx.field(static=True)
    steps: int = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    smoothing: float = eqx.field(static=True, default=0.0)
    spread: bool = eqx.field(static=True, default=False)

    @property
    def count(self) -> int:
        """Training examples."""
        return self.x.shape[0]

    def epoch(self, key: PRNGKeyArray, epoch: Int[Array, ""]) -> None:
        """Nothing is made."""

    def trial(self, made: Any, index: Int[Array, "*batch"], key: PRNGKeyArray) -> tuple[Any, Float[Array, "..."]]:
        """Encoded examples and smoothed targets."""
        batch = index[None] if index.ndim == 0 else index
        x, labels = self.x[batch], self.y[batch]
        if self.spread:
            x, labels = split(x, 0), split(labels, 0)
        x = self.augment(x.astype(jnp.result_type(float)) / self.full_scale, key=key)
        target = (1 - self.smoothing) * jax.nn.one_hot(labels, self.classes) + self.smoothing / self.classes
        if index.ndim == 0:
            x, target = x[0], target[0]
        return self.encoder.encode(x, self.steps, self.dt, key=key), target

    def shown(self, x: Shaped[Array, "*batch height width"], dt: float, *, key: PRNGKeyArray) -> Any:
        """Examples as they are shown in a test, in steps of `dt` seconds over the same time."""
        level = x.astype(jnp.result_type(float)) / self.full_scale
        return self.encoder.encode(level, max(1, round(self.steps * self.dt / dt)), dt, key=key)


class PatternTrials(AbstractTrials):
    """Pattern generation: frozen input spikes and a sum of sines to follow, each chip with patterns of its own."""

    patterns: int = option(3, "patterns, all learned by one network", bounds=(1, 1_000_000))
    steps: int = option(1000, "time steps of a pattern", bounds=(1, 100_000_000))
    inputs: int = option(100, "inputs", bounds=(1, 1_000_000))
    input_rate: float = option(50.0, "rate of every input", unit="Hz", bounds=(0, 1e9))
    renewed: int | None = option(None, "epochs after which a chip has to learn new patterns", bounds=(1, 1_000_000))
    dt: float = option(1e-3, "time step", unit="s", bounds=(1e-12, 1e3))

    @property
    def count(self) -> int:
        """`patterns`."""
        return self.patterns

    def epoch(self, key: PRNGKeyArray, epoch: Int[Array, ""]) -> Any:
        """The patterns of a chip in that epoch."""
        own = jax.random.fold_in(key, SHOWN)
        if self.renewed is not None:
            own = jax.random.fold_in(own, epoch // self.renewed)
        return patterns(self.patterns, self.steps, self.dt, self.inputs, self.input_rate, key=own)

    def trial(self, made: Any, index: Int[Array, "*batch"], key: PRNGKeyArray) -> tuple[Array, Array]:
        """Input spikes and targets."""
        x, target = made.x[index], made.target[index]
        return (x, target) if index.ndim == 0 else (jnp.moveaxis(x, 0, 1), jnp.moveaxis(target, 0, 1))


# number of the key that belongs to what a chip is shown, apart from its fabrication, start and order
SHOWN = 3


def confusion(classes: int, labels: Int[np.ndarray, " n"], predicted: Int[np.ndarray, " n"]) -> Int[np.ndarray, "c c"]:
    """How often examples of a class (rows) were taken for a class (columns)."""
    found = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(found, (labels, predicted), 1)
    return found
