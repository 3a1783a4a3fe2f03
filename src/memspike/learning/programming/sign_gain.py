"""Pulses up and down counted by their own expected weight step, taken from the model of the device: no read."""

import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.cells.base import CellState, Weight, typical
from memspike.learning.programming.base import Counting, Scheme, compose, memoryless
from memspike.learning.programming.counting import NEARLY_NOTHING, nominal_step
from memspike.learning.programming.options import OptionalMostPulses, checked
from memspike.learning.programming.stochastic_rounding import whole
from memspike.parts.registry import SCHEMES


@checked
def sign_gain(most: OptionalMostPulses = None) -> Counting:
    """Stochastic rounding of Δw over the weight step of a pulse in that direction, of the mean device in mid-range.

    Two constants an array; mid-range becomes the point where pulses of both signs cancel on average.
    """

    def pulses(crossbar: Crossbar, dw: Weight, *, key: PRNGKeyArray | None) -> Weight:
        return whole(dw / nominal_step(crossbar, None, dw), most, key=key)

    return memoryless(pulses)


@checked
def running_gain(most: OptionalMostPulses = None) -> Counting:
    """As `sign_gain`, at the running mean of the array in place of mid-range.

    The controller carries one mean device, which gets the mean number of pulses up and down of every update, and
    takes the expected weight step from it: what a mean-field of the array says, without a read. A step below 2 % of
    the nominal one counts as 2 %.
    """

    def start(crossbar: Crossbar, cells: CellState) -> CellState:
        return typical(crossbar.cell)[1]

    def count(
        state: CellState, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None
    ) -> tuple[CellState, Weight]:
        cell, _ = typical(crossbar.cell)
        now, least = cell.worth(state), NEARLY_NOTHING * jnp.asarray(nominal_step(crossbar, None, dw))
        here = jnp.where(dw < 0, -now.down[0, 0], now.up[0, 0])
        pulses = whole(dw / jnp.maximum(here, least), most, key=key)
        for sign in (1, -1):
            mean = sign * jnp.maximum(sign * pulses, 0.0).mean()
            state, _ = cell.program(state, jnp.full((1, 1), mean, dw.dtype))
        return state, pulses

    return Counting(start, count)


@SCHEMES.register("sign-gain", "stochastic rounding by the weight step of a pulse in its direction, at mid-range")
@checked
def by_sign_gain(most: OptionalMostPulses = None) -> Scheme:
    """`sign_gain`, written blind."""
    return compose(sign_gain(most))


@SCHEMES.register("running-gain", "stochastic rounding by the weight step of a pulse at the running mean of the array")
@checked
def by_running_gain(most: OptionalMostPulses = None) -> Scheme:
    """`running_gain`, written blind."""
    return compose(running_gain(most))
