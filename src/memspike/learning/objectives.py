"""What is wanted of the outputs of a network: a loss, and the class that outputs stand for.

Outputs may be the membranes of output neurons, read as class scores: `AbstractReadout`.
"""

from abc import abstractmethod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from memspike.devices.part import AbstractPart
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, option, param
from memspike.parts.refusals import NoClasses, NoLoss
from memspike.parts.registry import LOSSES

Real = Float[Array, "..."]
# how many steps of every trial [*batch] are its own, the first of them; None: all
Own = Int[Array, "*batch"] | None


class AbstractObjective(AbstractPart):
    """Outputs [steps, *batch, outputs] of a network against a target.

    With `own` a trial ends after so many steps of its own, and is judged as if there were no others.
    """

    @abstractmethod
    def loss(self, y: Real, target: Real, own: Own = None) -> Real:
        """One number a trial [*batch]."""

    @abstractmethod
    def predict(self, y: Real, own: Own = None) -> Int[Array, "..."]:
        """The class of every trial [*batch]; InputError for an objective without classes."""

    @abstractmethod
    def counts(self, steps: int, own: Own = None) -> Float[Array, "steps *batch"]:
        """1 for steps that count, else 0: [steps] for all trials, with `own` [steps, *batch]."""


def between(steps: int, first: Int[Array, "*batch"], last: Int[Array, "*batch"]) -> Float[Array, "steps *batch"]:
    """1 from step `first` on and before step `last`, else 0."""
    t = jnp.arange(steps).reshape(-1, *[1] * last.ndim)
    return ((t >= first[None]) & (t < last[None])).astype(jnp.result_type(float))


def every_step(self: AbstractObjective, steps: int, own: Own = None) -> Float[Array, "steps *batch"]:
    """All steps count: an objective may take this as its `counts`."""
    return jnp.ones(steps) if own is None else between(steps, jnp.zeros_like(own), own)


def mean_of(counts: Float[Array, "steps *batch"], values: Float[Array, "steps *shape"]) -> Float[Array, "*shape"]:
    """The mean of the steps that count, for all trials or for each its own."""
    if counts.ndim == 1:
        return jnp.tensordot(counts, values, axes=1) / counts.sum()
    counts = along(counts, values)
    return (counts * values).sum(0) / counts.sum(0)


def along(counts: Float[Array, "steps *batch"], like: Real) -> Real:
    """Numbers of steps, or of steps and trials, with as many axes as `like`."""
    return counts.reshape(*counts.shape, *[1] * (like.ndim - counts.ndim))


def smooth_l1(off: Float[Array, "*batch classes"]) -> Float[Array, "*batch"]:
    """Mean over the classes of ½·x² below 1 and |x| − ½ above."""
    off = jnp.abs(off)
    return jnp.where(off < 1, 0.5 * off * off, off - 0.5).mean(-1)


class AbstractStepObjective(AbstractObjective):
    """A loss by its derivative with respect to the outputs at every step, which is what e-prop broadcasts."""

    @abstractmethod
    def stepwise(self, target: Real, steps: int, own: Own = None) -> Any:
        """What is wanted at every step: a tree of arrays [steps, ...]."""

    @abstractmethod
    def at(self, y: Float[Array, "*batch outputs"], wanted: Any) -> Float[Array, "*batch outputs"]:
        """dE/dy at one step."""

    def signal(
        self, y: Float[Array, "steps *batch outputs"], target: Real, own: Own = None
    ) -> Float[Array, "steps *batch outputs"]:
        """dE/dy at all steps; 0 at those that are not a trial's own."""
        return jax.vmap(self.at)(y, self.stepwise(target, y.shape[0], own))


@LOSSES.register("squared-error", "½·Σ_t (y − y*)² against a target at every step; reported is the mean square")
class SquaredError(AbstractStepObjective):
    """E = ½·Σ_t (y − y*)²; reported is the mean of (y − y*)². Target [steps, *batch, outputs]."""

    counts = every_step

    def stepwise(self, target: Real, steps: int, own: Own = None) -> tuple[Real, Real | None]:
        """The target, and with `own` whether the step counts."""
        return target, None if own is None else along(self.counts(steps, own), target)

    def at(self, y: Real, wanted: tuple[Real, Real | None]) -> Real:
        """y − y* where it counts."""
        off = y - wanted[0]
        return off if wanted[1] is None else off * wanted[1]

    def loss(self, y: Real, target: Real, own: Own = None) -> Real:
        """Mean squared error."""
        if own is not None:
            return mean_of(self.counts(y.shape[0], own), jnp.square(y - target).mean(-1))
        return jnp.square(y - target).mean((0, -1))

    def predict(self, y: Real, own: Own = None) -> Int[Array, "..."]:
        """There are no classes."""
        raise NoClasses("squared-error")


@LOSSES.register("cross-entropy", "cross-entropy of softmax(y) at every step of a window at the end")
class CrossEntropy(AbstractStepObjective):
    """E = −Σ_t y*·log softmax(y[t]) over the last `window` share of the steps; target [*batch, outputs]."""

    window: Parameter = param(1.0, "1", "share of the steps, at the end, that count", bounds=(1e-6, 1))

    def counts(self, steps: int, own: Own = None) -> Float[Array, "steps *batch"]:
        """1 for steps that count, else 0."""
        last = jnp.asarray(steps) if own is None else own
        first = jnp.floor((1 - jnp.asarray(self.window)) * last.astype(jnp.result_type(float)))
        return between(steps, first.astype(last.dtype), last)

    def stepwise(self, target: Real, steps: int, own: Own = None) -> tuple[Real, Real]:
        """The target and whether it counts."""
        counts = self.counts(steps, own)
        return jnp.broadcast_to(target, (steps, *target.shape)), counts if own is None else counts[..., None]

    def at(self, y: Real, wanted: tuple[Real, Real]) -> Real:
        """softmax(y) − y* where it counts."""
        return (jax.nn.softmax(y) - wanted[0]) * wanted[1]

    def loss(self, y: Real, target: Real, own: Own = None) -> Real:
        """Mean cross-entropy of the steps that count."""
        return -(self.scores(y, own) * target).sum(-1)

    def scores(self, y: Real, own: Own = None) -> Real:
        """Class scores [*batch, outputs]: mean log-probability of the steps that count."""
        return mean_of(self.counts(y.shape[0], own), jax.nn.log_softmax(y))

    def predict(self, y: Real, own: Own = None) -> Int[Array, "..."]:
        """The class of the largest score."""
        return self.scores(y, own).argmax(-1)


@LOSSES.register(
    "summed-output", "the class of the largest output summed over time; smooth-L1 against a one-hot target"
)
class SummedOutput(AbstractObjective):
    """Smooth-L1 of y[t] against the target, mean of the steps that count and of the classes; Σ_t y[t] decides."""

    burn: int = option(5, "first steps of a trial, which do not count", bounds=(0, 1_000_000))

    def counts(self, steps: int, own: Own = None) -> Float[Array, "steps *batch"]:
        """1 from step `burn` on; InputError where none is left."""
        if self.burn >= steps:
            raise InputError(f"burn is {self.burn}; allowed: 0 to {steps - 1}, fewer than the steps of a trial.")
        last = jnp.asarray(steps) if own is None else own
        return between(steps, jnp.full_like(last, self.burn), last)

    def loss(self, y: Real, target: Real, own: Own = None) -> Real:
        """Smooth-L1, mean of the steps that count."""
        return mean_of(self.counts(y.shape[0], own), smooth_l1(y - target[None]))

    def predict(self, y: Real, own: Own = None) -> Int[Array, "..."]:
        """The class of the largest sum."""
        return (along(self.counts(y.shape[0], own), y) * y).sum(0).argmax(-1)


@LOSSES.register("winner", "the neuron that fires most often in a trial; −1 where none does")
class Winner(AbstractObjective):
    """The index of the neuron with most spikes; no loss is defined, for rules without a teacher."""

    counts = every_step

    def loss(self, y: Real, target: Real, own: Own = None) -> Real:
        """None."""
        raise NoLoss("winner")

    def predict(self, y: Real, own: Own = None) -> Int[Array, "..."]:
        """The winner, or −1."""
        y = y if own is None else y * along(self.counts(y.shape[0], own), y)
        return jnp.where(y.sum((0, -1)) > 0, y.sum(0).argmax(-1), -1)


class Samples(NamedTuple):
    """Dimensionless scores, and the share that each has in the loss; None: equal shares."""

    scores: Float[Array, "samples *batch classes"]
    shares: Float[Array, "samples *batch"] | None = None

    def mean(self, values: Real) -> Real:
        """The mean of values [samples, *batch, ...]."""
        return values.mean(0) if self.shares is None else (along(self.shares, values) * values).sum(0)


class AbstractReadout(AbstractObjective):
    """Output voltages above rest, [steps, ..., classes] in V → scores [samples, ..., classes]."""

    counts = every_step

    def loss(self, y: Real, target: Real, own: Own = None) -> Real:
        """Cross-entropy per example against target probabilities, averaged over the samples."""
        found = self.samples(y, own)
        wanted = jnp.broadcast_to(target, found.scores.shape)
        return found.mean(optax.softmax_cross_entropy(found.scores, wanted))

    def predict(self, y: Real, own: Own = None) -> Int[Array, "..."]:
        """The class with the largest mean score."""
        found = self.samples(y, own)
        return found.mean(found.scores).argmax(-1)

    @abstractmethod
    def samples(self, v: Float[Array, "steps *batch classes"], own: Own = None) -> Samples:
        """Scores of membranes; the loss is the mean cross-entropy over the samples."""


def excess(v: Float[Array, "*shape"], swing: float) -> Float[Array, ""]:
    """Mean square of what |v| has beyond `swing` (both in V above rest), in units of `swing`.

    The MIF model has no rectification: without a price for it, training drives losing membranes to volts,
    where no memristor would be left unharmed. Smooth in its first derivative.
    """
    return jnp.square(jnp.maximum(jnp.abs(v) / swing - 1, 0)).mean()


@LOSSES.register("smooth-maximum", "cross-entropy of a smooth maximum over time: the height of the spike decides")
class SmoothMaximum(AbstractReadout):
    """s·log Σ_t e^(v(t)/s) over the temperature. Monotone in the drive for positive drive."""

    temperature: Parameter = param(5e-3, "V", "voltage that counts as one unit of score", bounds=(1e-6, 10))
    softness: Parameter = param(5e-3, "V", "s: how far below the maximum a moment still counts", bounds=(1e-6, 10))

    def samples(self, v: Real, own: Own = None) -> Samples:
        """One sample: the smooth maximum over all steps."""
        inside = None if own is None else along(self.counts(v.shape[0], own), v) > 0
        smooth = jax.nn.logsumexp(v / self.softness, axis=0, keepdims=True, where=inside)
        return Samples(self.softness * smooth / self.temperature)


@LOSSES.register("windowed", "cross-entropy at every step of a window, averaged")
class Windowed(AbstractReadout, AbstractStepObjective):
    """Each step of a window is a sample. Keep the window inside the spike, before the undershoot.

    InputError for a window that does not end after its start.
    """

    temperature: Parameter = param(5e-3, "V", "voltage that counts as one unit of score", bounds=(1e-6, 10))
    start: float = option(0.3, "start of the window as a share of the simulated time", bounds=(0, 1))
    stop: float = option(1.0, "end of the window", bounds=(0, 1))

    def __check_init__(self) -> None:
        if not self.start < self.stop:
            raise InputError(
                f"The window of Windowed goes from {self.start:g} to {self.stop:g}; two ascending shares are needed."
            )

    def samples(self, v: Real, own: Own = None) -> Samples:
        """All steps between the shares `start` and `stop` of the simulated time."""
        if own is not None:
            return Samples(v / self.temperature, self._shares(v.shape[0], own))
        first, last = self._ends(v.shape[0])
        return Samples(v[first:last] / self.temperature)

    def _ends(self, steps: int) -> tuple[int, int]:
        """The first step of the window, and the first after it."""
        first = min(round(self.start * steps), steps - 1)
        return first, max(round(self.stop * steps), first + 1)

    def _shares(self, steps: int, own: Int[Array, "*batch"]) -> Float[Array, "steps *batch"]:
        """The share of the loss that every step has where trials have steps of their own."""
        first, last = (jnp.round(share * own.astype(float)).astype(own.dtype) for share in (self.start, self.stop))
        first = jnp.minimum(first, own - 1)
        inside = between(steps, first, jnp.maximum(last, first + 1))
        return inside / inside.sum(0, keepdims=True)

    def stepwise(self, target: Real, steps: int, own: Own = None) -> tuple[Real, Real]:
        """The target, and the share of the loss that a step has."""
        whole = jnp.broadcast_to(target, (steps, *target.shape))
        if own is not None:
            return whole, self._shares(steps, own)[..., None]
        first, last = self._ends(steps)
        return whole, jnp.zeros(steps).at[first:last].set(1 / (last - first))

    def at(self, y: Real, wanted: tuple[Real, Real]) -> Real:
        """(softmax(y/temperature) − y*)/temperature in the window."""
        return (jax.nn.softmax(y / self.temperature) - wanted[0]) * wanted[1] / self.temperature


@LOSSES.register("time-mean", "cross-entropy of the mean voltage; NOT monotone in the drive")
class TimeMean(AbstractReadout):
    """The mean over time. The undershoot cancels part of the spike, so that a stronger drive can give a
    *lower* mean (its slope turns negative at medium drive): kept for comparison.
    """

    temperature: Parameter = param(5e-3, "V", "voltage that counts as one unit of score", bounds=(1e-6, 10))

    def samples(self, v: Real, own: Own = None) -> Samples:
        """One sample: the mean over all steps."""
        mean = v.mean(0) if own is None else mean_of(self.counts(v.shape[0], own), v)
        return Samples(mean[None] / self.temperature)
