"""Whole pulses that are right on average, without any memory: what analog SGD writes."""

import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.cells.base import Weight
from memspike.learning.programming.base import Counting, Scheme, compose, memoryless
from memspike.learning.programming.counting import symmetric_step
from memspike.learning.programming.options import OptionalMostPulses, OptionalPulseStep, checked
from memspike.learning.programming.rounding import Real, stochastic_rounding
from memspike.parts.registry import SCHEMES


def whole(wanted: Real, most: int | None, *, key: PRNGKeyArray | None) -> Real:
    """`wanted` pulses rounded stochastically (without a key: to the nearest), and then cut to ±`most`."""
    number = jnp.round(wanted) if key is None else stochastic_rounding(wanted, key=key)
    return number if most is None else jnp.clip(number, -most, most)


@checked
def stochastically_rounded(step: OptionalPulseStep = None, most: OptionalMostPulses = None) -> Counting:
    """⌊Δw/step + u⌋ pulses with u uniform in [0, 1): the mean is Δw/step. At most `most` at once, which biases.

    `step` is by default `symmetric_step`, the same in both directions: nothing is done about asymmetry (`sign_gain`
    counts each direction by its own step). Without a key it is the nearest whole number.
    """

    def pulses(crossbar: Crossbar, dw: Weight, *, key: PRNGKeyArray | None) -> Weight:
        return whole(dw / (symmetric_step(crossbar) if step is None else step), most, key=key)

    return memoryless(pulses)


@SCHEMES.register(
    "stochastic-rounding",
    "analog SGD: whole pulses that are right on average, nothing stored",
    "Gokmen & Vlasov, Front. Neurosci. 10: 333 (2016), doi 10.3389/fnins.2016.00333 (there by coinciding bit streams)",
)
@checked
def by_rounding(step: OptionalPulseStep = None, most: OptionalMostPulses = None) -> Scheme:
    """`stochastically_rounded`, written blind."""
    return compose(stochastically_rounded(step, most))
