"""Whole pulses that are right on average, without any memory: what analog SGD writes."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.cells.base import CellState, Weight
from memspike.learning.programming.base import Counting, Scheme, compose
from memspike.learning.programming.counting import Step, check_step, even_worth
from memspike.learning.programming.rounding import Real, stochastic_rounding
from memspike.parts.param import check_count
from memspike.parts.registry import SCHEMES


def whole(wanted: Real, most: int | None, *, key: PRNGKeyArray | None) -> Real:
    """`wanted` pulses rounded stochastically (without a key: to the nearest), and then cut to ±`most`."""
    number = jnp.round(wanted) if key is None else stochastic_rounding(wanted, key=key)
    return number if most is None else jnp.clip(number, -most, most)


def check_most(most: int | None) -> None:
    """InputError unless the largest number of pulses in an update is a count, or None."""
    if most is not None:
        check_count("The largest number of pulses in an update", most)


def stochastically_rounded(step: Step | None = None, most: int | None = None) -> Counting:
    """⌊Δw/step + u⌋ pulses with u uniform in [0, 1): the mean is Δw/step. At most `most` at once, which biases.

    `step` is by default `even_worth`, the same in both directions: nothing is done about asymmetry (`sign_gain`
    counts each direction by its own worth). Without a key it is the nearest whole number.
    """
    check_step("The step of a pulse", step)
    check_most(most)

    def count(
        state: Any, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None
    ) -> tuple[Any, Weight]:
        return state, whole(dw / (even_worth(crossbar) if step is None else step), most, key=key)

    return Counting(lambda crossbar, cells: (), count)


@SCHEMES.register(
    "stochastic-rounding",
    "analog SGD: whole pulses that are right on average, nothing stored",
    "Gokmen & Vlasov, Front. Neurosci. 10: 333 (2016), doi 10.3389/fnins.2016.00333 (there by coinciding bit streams)",
)
def by_rounding(step: Step | None = None, most: int | None = None) -> Scheme:
    """`stochastically_rounded`, written blind."""
    return compose(stochastically_rounded(step, most))
