"""Where a device of a pair has left its good region, its partner is driven the other way instead."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.arrays.sums import Tally
from memspike.cells.base import CellState, Weight
from memspike.cells.differential import DifferentialPair
from memspike.learning.programming.base import Applied, Scheme
from memspike.learning.programming.counting import even_worth
from memspike.learning.programming.stochastic_rounding import check_most, whole
from memspike.parts.errors import InputError
from memspike.parts.param import check_count
from memspike.parts.registry import SCHEMES

Flags = Bool[Array, "rows columns"]


class Sensed(NamedTuple):
    """For pulses up and down on a weight, whether they go to G⁺; and how many updates there were."""

    up_on_plus: Flags
    down_on_plus: Flags
    updates: Int[Array, ""]


@SCHEMES.register(
    "conditional-reverse",
    "pairs; rare coarse reads say which of the two devices answers to the next pulses like the nominal one",
    "in the spirit of CRUS, Lee et al., arXiv 2111.07113, of which only the abstract is known here",
)
def conditional_reverse(every: int = 100, levels: int = 4, most: int | None = None) -> Scheme:
    """Stochastic rounding on a `DifferentialPair`; a pulse up raises G⁺, or lowers G⁻, whichever is the better.

    Every `every` updates all devices are sensed to one of `levels` levels. From its level and the law of the mean
    device the controller knows what a pulse would give on either device, and takes for each direction the one that
    is nearer to the worth of a pulse (`even_worth`) until it senses again. A reconstruction. InputError for other
    cells.
    """
    check_count("The number of updates between reads", every)
    check_count("The number of levels", levels, 2)
    check_most(most)

    def sensed(crossbar: Crossbar, cells: CellState, *, key: PRNGKeyArray | None) -> tuple[Flags, Flags]:
        cell = crossbar.cell
        low, high = cell.conductance_range()
        share = (cell.read(cells, key=key)[:2] - low) / (high - low)
        centre = (jnp.clip(jnp.floor(share * levels), 0, levels - 1) + 0.5) / levels
        device = jax.tree.map(jnp.mean, cell.device)
        state = device.place(cells.devices, low + centre * (high - low))
        now = device.stored(state)
        up, down = (sign * (device.stored(device.program(state, sign)) - now) for sign in (1, -1))
        worth = even_worth(crossbar) * cell.unit()
        error_up, error_down = jnp.abs(up - worth), jnp.abs(down - worth)
        return error_up[0] <= error_down[1], error_down[0] <= error_up[1]

    def start(crossbar: Crossbar, cells: CellState) -> Sensed:
        if not isinstance(crossbar.cell, DifferentialPair):
            raise InputError(
                f"conditional-reverse writes either device of a pair; a {type(crossbar.cell).__name__} has none. "
                "A DifferentialPair is needed."
            )
        return Sensed(*sensed(crossbar, cells, key=None), jnp.int32(0))

    def apply(state: Sensed, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None) -> Applied:
        keys = (None, None, None) if key is None else tuple(jax.random.split(key, 3))
        due = state.updates % every == 0

        def again(_: Any, old: tuple[Flags, Flags]) -> tuple[Flags, Flags]:
            return sensed(crossbar, cells, key=keys[0])

        # a loop of no or one turn: under vmap a branch would be computed at every update
        first, second = jax.lax.fori_loop(0, due.astype(jnp.int32), again, (state.up_on_plus, state.down_on_plus))
        pulses = whole(dw / even_worth(crossbar), most, key=keys[1])
        on_plus = jnp.where(pulses > 0, first, second)
        dealt = jnp.stack([jnp.where(on_plus, pulses, 0.0), jnp.where(on_plus, 0.0, -pulses)])
        after, ledger = crossbar.pulse(cells, dealt, key=keys[2])
        ledger = dataclasses.replace(ledger, reads=Tally.of(jnp.where(due, dw.shape[0], 0)))
        return Applied(Sensed(first, second, state.updates + 1), after, ledger)

    return Scheme(start, apply)
