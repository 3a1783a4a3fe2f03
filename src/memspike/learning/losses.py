"""How the output membranes are read as class scores, and the cross-entropy of those scores."""

from abc import abstractmethod

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from memspike.learning.objectives import AbstractObjective
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, option, param
from memspike.parts.registry import LOSSES

Real = Float[Array, "..."]


class AbstractReadout(AbstractObjective):
    """Output voltages above rest, [steps, ..., classes] in V → scores [samples, ..., classes]."""

    def loss(self, y: Real, target: Real) -> Real:
        """Cross-entropy per example against target probabilities, averaged over the samples."""
        scores = self.scores(y)
        return optax.softmax_cross_entropy(scores, jnp.broadcast_to(target, scores.shape)).mean(0)

    def predict(self, y: Real) -> Int[Array, "..."]:
        """The class with the largest mean score."""
        return self.scores(y).mean(0).argmax(-1)

    def counts(self, steps: int) -> Float[Array, " steps"]:
        """All."""
        return jnp.ones(steps)

    @abstractmethod
    def scores(self, v: Float[Array, "steps *batch classes"]) -> Float[Array, "samples *batch classes"]:
        """Dimensionless scores; the loss is the mean cross-entropy over `samples`."""


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

    def scores(self, v: Real) -> Real:
        """One sample: the smooth maximum over all steps."""
        return self.softness * jax.nn.logsumexp(v / self.softness, axis=0, keepdims=True) / self.temperature


@LOSSES.register("windowed", "cross-entropy at every step of a window, averaged")
class Windowed(AbstractReadout):
    """Each step of a window is a sample. Keep the window inside the spike, before the undershoot."""

    temperature: Parameter = param(5e-3, "V", "voltage that counts as one unit of score", bounds=(1e-6, 10))
    start: float = option(0.3, "start of the window as a share of the simulated time", bounds=(0, 1))
    stop: float = option(1.0, "end of the window", bounds=(0, 1))

    def __check_init__(self) -> None:
        if not self.start < self.stop:
            raise InputError(
                f"The window of Windowed goes from {self.start:g} to {self.stop:g}; two ascending shares are needed."
            )

    def scores(self, v: Real) -> Real:
        """All steps between the shares `start` and `stop` of the simulated time."""
        n = v.shape[0]
        first = min(round(self.start * n), n - 1)
        last = max(round(self.stop * n), first + 1)
        return v[first:last] / self.temperature


@LOSSES.register("time-mean", "cross-entropy of the mean voltage; NOT monotone in the drive")
class TimeMean(AbstractReadout):
    """The mean over time. The undershoot cancels part of the spike, so that a stronger drive can give a
    *lower* mean (its slope turns negative at medium drive): kept for comparison.
    """

    temperature: Parameter = param(5e-3, "V", "voltage that counts as one unit of score", bounds=(1e-6, 10))

    def scores(self, v: Real) -> Real:
        """One sample: the mean over all steps."""
        return v.mean(0, keepdims=True) / self.temperature
