"""Where a device of a pair has left its good region, its partner is driven the other way instead."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.arrays.sums import Tally
from memspike.cells.base import CellState, Weight
from memspike.cells.differential import DifferentialPair
from memspike.learning.programming.base import Applied, Scheme, keys_of, where_due
from memspike.learning.programming.counting import symmetric_step
from memspike.learning.programming.options import Levels, OptionalMostPulses, UpdateInterval, checked
from memspike.learning.programming.stochastic_rounding import whole
from memspike.parts.errors import InputError
from memspike.parts.registry import SCHEMES

PairFlags = Bool[Array, "rows columns"]


class Sensed(NamedTuple):
    """For pulses up and down on a weight, whether they go to G⁺; and how many updates there were."""

    up_on_plus: PairFlags
    down_on_plus: PairFlags
    updates: Int[Array, ""]


@SCHEMES.register(
    "conditional-reverse",
    "pairs; rare coarse reads say which of the two devices answers to the next pulses like the nominal one",
    "in the spirit of CRUS, Lee et al., arXiv 2111.07113, of which only the abstract is known here",
)
@checked
def conditional_reverse(every: UpdateInterval = 100, levels: Levels = 4, most: OptionalMostPulses = None) -> Scheme:
    """Stochastic rounding on a `DifferentialPair`; a pulse up raises G⁺, or lowers G⁻, whichever is the better.

    Every `every` updates all devices are sensed to one of `levels` levels. From its level and the law of the mean
    device the controller knows what a pulse would give on either device, and takes for each direction the one that
    is nearer to `symmetric_step` until it senses again. A reconstruction. InputError for other
    cells.
    """

    def sensed(crossbar: Crossbar, cells: CellState, *, key: PRNGKeyArray | None) -> tuple[PairFlags, PairFlags]:
        cell = crossbar.cell
        low, high = cell.conductance_range()
        share = (cell.read(cells, key=key)[:2] - low) / (high - low)
        centre = (jnp.clip(jnp.floor(share * levels), 0, levels - 1) + 0.5) / levels
        device = jax.tree.map(jnp.mean, cell.device)
        state = device.place(cells.devices, low + centre * (high - low))
        now = device.stored(state)
        up, down = (sign * (device.stored(device.program(state, sign)) - now) for sign in (1, -1))
        step = symmetric_step(crossbar) * cell.unit()
        error_up, error_down = jnp.abs(up - step), jnp.abs(down - step)
        return error_up[0] <= error_down[1], error_down[0] <= error_up[1]

    def start(crossbar: Crossbar, cells: CellState) -> Sensed:
        if not isinstance(crossbar.cell, DifferentialPair):
            raise InputError(
                f"conditional-reverse writes either device of a pair; a {type(crossbar.cell).__name__} has none. "
                "A DifferentialPair is needed."
            )
        return Sensed(*sensed(crossbar, cells, key=None), jnp.int32(0))

    def apply(state: Sensed, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None) -> Applied:
        keys = keys_of(key, 3)
        due = state.updates % every == 0
        old = state.up_on_plus, state.down_on_plus
        first, second = where_due(due, lambda _: sensed(crossbar, cells, key=keys[0]), old)
        pulses = whole(dw / symmetric_step(crossbar), most, key=keys[1])
        on_plus = jnp.where(pulses > 0, first, second)
        arbitrated = jnp.stack([jnp.where(on_plus, pulses, 0.0), jnp.where(on_plus, 0.0, -pulses)])
        after, ledger = crossbar.pulse(cells, arbitrated, key=keys[2])
        ledger = dataclasses.replace(ledger, reads=Tally.of(jnp.where(due, dw.shape[0], 0)))
        return Applied(Sensed(first, second, state.updates + 1), after, ledger)

    return Scheme(start, apply)
