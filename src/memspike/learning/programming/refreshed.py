"""A scheme whose full pairs are emptied once in a while."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.cells.base import CellState, Weight
from memspike.cells.refresh import Refresh, Refreshed
from memspike.cells.single import SingleReference
from memspike.cells.stack import Stack
from memspike.devices.base import select
from memspike.learning.programming.base import Applied, Scheme, keys_of, where_due, zeros_of
from memspike.learning.programming.counting import Believed
from memspike.learning.programming.ideal import unwritten
from memspike.learning.programming.options import SettleTime, UpdateInterval, checked
from memspike.parts.errors import InputError


class Clocked(NamedTuple):
    """The state of the scheme inside, and how many updates there were."""

    inner: Any
    updates: Int[Array, ""]


@checked
def refreshed(scheme: Scheme, refresh: Refresh, every: UpdateInterval = 100, settle: SettleTime = 38.6) -> Scheme:
    """`scheme`, and after every `every` updates a `Refresh` of all cells that are due by a noisy read.

    The read comes `settle` seconds after the update: drift is fastest right after a pulse, and a read at once would
    take devices that were just written for fuller than those that were not. InputError for cells without two sides.
    """

    def start(crossbar: Crossbar, cells: CellState) -> Clocked:
        cell = crossbar.cell
        if isinstance(cell, SingleReference | Stack):
            raise InputError(
                f"A {type(cell).__name__} has no second side to empty; refresh needs cells with two sides."
            )
        return Clocked(scheme.init(crossbar, cells), jnp.int32(0))

    def apply(state: Clocked, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None) -> Applied:
        keys = keys_of(key, 2)
        done = scheme.apply(state.inner, crossbar, cells, dw, key=keys[0])
        updates = state.updates + 1
        due = updates % every == 0

        def once(now: Applied) -> Applied:
            again = refresh.apply(crossbar.cell, now.cells, settle, key=keys[1])
            ledger = crossbar.book(now.cells, again.state, again.pulses, again.resets)
            return Applied(_informed(now.state, crossbar, again), again.state, ledger)

        blank = zeros_of(lambda: once(done._replace(ledger=unwritten(crossbar, done.cells))).ledger)
        end = where_due(due, once, done._replace(ledger=blank))
        return Applied(Clocked(end.state, updates), end.cells, done.ledger + end.ledger)

    return Scheme(start, apply)


def _informed(state: Any, crossbar: Crossbar, done: Refreshed) -> Any:
    """A scheme that counts pulses by itself gets those of the refresh, too."""
    if not isinstance(state, Believed):
        return state
    device, devices = crossbar.cell.device, state.cells.devices
    rewritten = device.program(device.reset(devices), done.pulses)
    return state._replace(cells=state.cells._replace(devices=select(done.resets > 0, rewritten, devices)))
