"""What chips are shown, trial by trial: examples of a data set, patterns that every chip draws for itself, shapes."""

import math
from abc import abstractmethod
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, Shaped

from memspike.data.encoders import AbstractEncoder
from memspike.data.frames import frame_at, steps_of
from memspike.learning.objectives import Own
from memspike.networks.simulate import Events
from memspike.parts.errors import InputError
from memspike.parts.parallel import split
from memspike.parts.param import option

FREQUENCIES = (1.0, 2.0, 3.0, 5.0)
Images = Float[Array, "batch height width"]
LEAST = 6


class Trial(NamedTuple):
    """A trial, or several: inputs [steps, *batch, ...], what is wanted, and how many steps are its own (None: all)."""

    x: Any
    target: Any
    own: Own = None


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
    def trial(self, made: Any, index: Int[Array, "*batch"], key: PRNGKeyArray) -> Trial:
        """Trials by their numbers."""


def _shifted(images: Images, pixels: float, key: PRNGKeyArray) -> Images:
    """Each image moved by a normal random offset of s.d. `pixels` (rounded, at most 2) in both directions."""
    reach = 2
    _, height, width = images.shape
    padded = jnp.pad(images, ((0, 0), (reach, reach), (reach, reach)))
    offset = jnp.clip(jnp.round(pixels * jax.random.normal(key, (len(images), 2))), -reach, reach)
    starts = offset.astype(jnp.int32) + reach
    return jax.vmap(lambda image, start: jax.lax.dynamic_slice(image, start, (height, width)))(padded, starts)


class Augment(eqx.Module):
    """Random changes of training images."""

    shift: float = option(0.0, "s.d. of the random shift of an image", unit="1", bounds=(0, 2))
    mirror: bool = option(False, "mirror half of the images")
    drop: float = option(0.0, "share of input pixels set to zero", bounds=(0, 0.999))

    def __call__(self, x: Images, *, key: PRNGKeyArray) -> Images:
        """The images changed."""
        keys = jax.random.split(key, 3)
        if self.shift:
            x = _shifted(x, self.shift, keys[0])
        if self.mirror:
            x = jnp.where(jax.random.bernoulli(keys[1], 0.5, (len(x), 1, 1)), x[:, :, ::-1], x)
        if self.drop:
            x = jnp.where(jax.random.bernoulli(keys[2], self.drop, x.shape), 0.0, x)
        return x


class Examples(AbstractTrials):
    """The training examples of a data set, encoded anew every time; targets are class probabilities, or numbers.

    A share `smoothing` of a target is spread over all classes. With `spread` a batch is spread over all devices. Where
    frames are shown one after the other, numbers are wanted at all steps of their frame, and a trial ends as much
    earlier as the `lengths` of its example lack frames.

    A trial has `steps` of `dt` seconds.
    """

    x: Shaped[Array, "examples height width"]
    y: Int[Array, " examples"] | Float[Array, "examples frames outputs"]
    encoder: AbstractEncoder
    augment: Augment
    classes: int = eqx.field(static=True)
    full_scale: float = eqx.field(static=True)
    steps: int = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    smoothing: float = eqx.field(static=True, default=0.0)
    spread: bool = eqx.field(static=True, default=False)
    lengths: Int[Array, " examples"] | None = None

    @property
    def count(self) -> int:
        """Training examples."""
        return self.x.shape[0]

    def epoch(self, key: PRNGKeyArray, epoch: Int[Array, ""]) -> None:
        """Nothing is made."""

    def trial(self, made: Any, index: Int[Array, "*batch"], key: PRNGKeyArray) -> Trial:
        """Encoded examples and targets."""
        batch = index[None] if index.ndim == 0 else index
        x, y, lengths = jax.tree.map(lambda a: a[batch], (self.x, self.y, self.lengths))
        if self.spread:
            x, y, lengths = jax.tree.map(lambda a: split(a, 0), (x, y, lengths))
        x = self.augment(x.astype(jnp.result_type(float)) / self.full_scale, key=key)
        target = self.wanted(y)
        if index.ndim == 0:
            x, target, lengths = x[0], jnp.take(target, 0, -2), None if lengths is None else lengths[0]
        drive = self._cut(self.encoder.encode(x, self.steps, self.dt, key=key), lengths, self.dt)
        return Trial(drive, target, None if lengths is None else self.own(lengths))

    def wanted(self, y: Shaped[Array, "batch ..."]) -> Float[Array, "... batch outputs"]:
        """Smoothed class probabilities [batch, classes], or the numbers of every step [steps, batch, outputs]."""
        if y.ndim == 1:
            return (1 - self.smoothing) * jax.nn.one_hot(y, self.classes) + self.smoothing / self.classes
        return jnp.moveaxis(y.astype(jnp.result_type(float))[:, self._frames(self.dt)], 1, 0)

    def by_frame(self, y: Float[Array, "*batch steps outputs"], dt: float) -> Float[Array, "*batch frames outputs"]:
        """Means of outputs over the steps of every frame, in steps of `dt` seconds."""
        frames = self._frames(dt)
        share = np.equal(np.arange(self.x.shape[1])[:, None], frames[None]).astype(y.dtype)
        share /= np.maximum(share.sum(1, keepdims=True), 1)
        return jnp.asarray(share) @ y

    def _frames(self, dt: float) -> np.ndarray:
        """The frame of every step of `dt` seconds; the last one lasts until the end."""
        return frame_at(self.shown_steps(dt), self.encoder.lasts() or math.inf, dt, self.x.shape[1])

    def shown_steps(self, dt: float | None = None) -> int:
        """Steps of a trial in steps of `dt` seconds."""
        return self.steps if dt is None else max(1, round(self.steps * self.dt / dt))

    def own(self, lengths: Int[Array, "*batch"], dt: float | None = None) -> Int[Array, "*batch"] | None:
        """How many steps of a trial belong to examples of so many frames; None where all are shown at once."""
        frame = self.encoder.lasts()
        if frame is None:
            return None
        taken = steps_of(np.arange(self.x.shape[1] + 1), frame, dt or self.dt)
        missing = jnp.asarray(taken[-1] - taken)[lengths]
        return jnp.maximum(self.shown_steps(dt) - missing, 1)

    def _cut(self, drive: Events | Float[Array, "steps *batch rows"], lengths: Own, dt: float) -> Any:
        """What drives the rows, 0 from the end of every example on; all of it where examples are shown at once."""
        frame = self.encoder.lasts()
        if lengths is None or frame is None:
            return drive
        if isinstance(drive, Events):  # a pulse belongs to the frame in which it begins
            at = (np.asarray(drive.times) - drive.times[0] + 0.5 * drive.width) / frame
            return eqx.tree_at(lambda e: e.v, drive, _until(drive.v, np.floor(at), lengths))
        return _until(drive, frame_at(len(drive), frame, dt), lengths)

    def shown(
        self, x: Shaped[Array, "*batch height width"], dt: float, lengths: Own = None, *, key: PRNGKeyArray
    ) -> Any:
        """Examples as they are shown in a test, in steps of `dt` seconds over the same time."""
        level = x.astype(jnp.result_type(float)) / self.full_scale
        return self._cut(self.encoder.encode(level, self.shown_steps(dt), dt, key=key), lengths, dt)


def _until(
    drive: Float[Array, "times *batch rows"], frame: np.ndarray, lengths: Int[Array, "*batch"]
) -> Float[Array, "times *batch rows"]:
    """A drive at times of such frames, 0 behind the last frame of every example."""
    inside = jnp.asarray(frame, lengths.dtype).reshape(-1, *[1] * lengths.ndim) < lengths[None]
    return drive * inside.astype(drive.dtype)[..., None]


class PatternTrials(AbstractTrials):
    """Pattern generation: frozen input spikes and a sum of sines to follow, each chip with patterns of its own.

    Every input fires at `input_rate`. A target is Σ_f a_f·sin(2π·f·t + φ_f) over 1, 2, 3 and 5 Hz, a uniform in
    [0.5, 2], φ uniform, divided by its largest size. Source: the task of Bellec et al., Nat. Commun. 11: 3625 (2020),
    as in the released code of Demirağ et al., arXiv 2108.01804.
    """

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

    def epoch(self, key: PRNGKeyArray, epoch: Int[Array, ""]) -> tuple[Array, Array]:
        """Input spikes [patterns, steps, inputs] and targets [patterns, steps, 1] of a chip in that epoch."""
        own = jax.random.fold_in(key, SHOWN)
        if self.renewed is not None:
            own = jax.random.fold_in(own, epoch // self.renewed)
        for_x, for_a, for_phase = jax.random.split(own, 3)
        count, waves = self.patterns, (self.patterns, 1, len(FREQUENCIES))
        x = jax.random.bernoulli(for_x, self.input_rate * self.dt, (count, self.steps, self.inputs))
        x = x.astype(jnp.result_type(float))
        a = jax.random.uniform(for_a, waves, minval=0.5, maxval=2.0)
        phase = jax.random.uniform(for_phase, waves, maxval=2 * math.pi)
        t = jnp.arange(self.steps, dtype=x.dtype)[None, :, None] * self.dt
        wave = (a * jnp.sin(2 * math.pi * jnp.asarray(FREQUENCIES, x.dtype)[None, None] * t + phase)).sum(-1)
        return x, (wave / jnp.abs(wave).max(1, keepdims=True))[..., None]

    def trial(self, made: Any, index: Int[Array, "*batch"], key: PRNGKeyArray) -> Trial:
        """Input spikes and targets."""
        x, target = made[0][index], made[1][index]
        return Trial(x, target) if index.ndim == 0 else Trial(jnp.moveaxis(x, 0, 1), jnp.moveaxis(target, 0, 1))


# number of the key that belongs to what a chip is shown, apart from its fabrication, start and order
SHOWN = 3


def shapes(side: int = 8) -> Float[np.ndarray, "shapes pixels"]:
    """A plus, a frame, two rows and two columns, 1 where a pixel of the side×side image is bright.

    The choice of shapes is our own: those of arXiv 2203.01416 are not known to us.

    InputError for a side too short to tell them apart.
    """
    if side < LEAST:
        raise InputError(f"The shapes are {side} pixels wide; {LEAST} or more are needed to tell them apart.")
    at = np.arange(side) - 0.5 * (side - 1)
    y, x = np.meshgrid(at, at, indexing="ij")
    near, far = np.minimum(np.abs(x), np.abs(y)), np.maximum(np.abs(x), np.abs(y))
    rows, columns = (np.floor(4 * (z / side + 0.5)) % 2 == 0 for z in (y, x))
    drawn = (near < 0.125 * side, far > 0.5 * side - 1, rows, columns)
    return np.stack([d.astype(float).ravel() for d in drawn])
