"""How counted pulses reach the devices where the cell does not just share them out, and refreshes in between."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.arrays.ledger import Ledger
from memspike.cells.base import AbstractCell, CellState, Weight
from memspike.cells.refresh import Refresh, Refreshed
from memspike.devices.base import select
from memspike.learning.programming.base import Applied, Scheme, Writer, keys_of, unwritten, where_due, zeros_of
from memspike.learning.programming.counting import Believed, nominal_step
from memspike.learning.programming.options import (
    FullShare,
    OptionalPulseStep,
    SettleTime,
    UpdateInterval,
    WeightStep,
    checked,
)


def _of_device(cell: AbstractCell, step: WeightStep | Weight) -> Float[Array, "*shape"]:
    """The change of conductance in S of one device by a pulse, of which one on the weight moves it by `step`."""
    one, _ = cell.deal(jnp.ones((1, 1)), cell.start((1, 1)))
    moved = jnp.abs(cell.gains()[: cell.programmed()] * one[:, 0, 0]).sum()
    return jnp.asarray(step) * cell.unit() / moved


def _emptied(
    crossbar: Crossbar, cells: CellState, where: Bool[Array, "devices rows columns"], key: PRNGKeyArray | None
) -> tuple[CellState, Ledger]:
    """The cells after RESETs of the devices `where` true, and the ledger of it."""
    devices = select(where, crossbar.cell.device.reset(cells.devices, key=key), cells.devices)
    after, resets = cells._replace(devices=devices), where.astype(jnp.result_type(float))
    return after, crossbar.book(cells, after, jnp.zeros_like(resets), resets)


def _opposite(
    crossbar: Crossbar, cells: CellState, full: float, pulses: Weight, step: WeightStep | Weight
) -> Bool[Array, "devices rows columns"]:
    """Where pulses would push a device beyond `full` of its range: the devices of the other side of that weight."""
    cell, n = crossbar.cell, crossbar.cell.programmed()
    low, high = cell.conductance_range()
    share = (cell.stored(cells)[:n] - low) / (high - low)
    arbitrated, _ = cell.deal(pulses, cells.counter)
    each = jnp.broadcast_to(_of_device(cell, step) / (high - low), pulses.shape)
    crowded = (arbitrated > 0) & (share + arbitrated * each[None] > full)
    positive = (cell.gains()[:n] > 0)[:, None, None]
    plus, minus = (crowded & positive).any(0), (crowded & ~positive).any(0)
    return jnp.where(positive, minus[None], plus[None])


@checked
def update_ready(full: FullShare = 10 / 12, step: OptionalPulseStep = None) -> Writer:
    """Devices that are nearly full are not pulsed: the other side of their weight is RESET instead.

    A weight whose device would pass the share `full` of its range loses all of its opposite side by RESETs; that
    moves it in the wanted direction, by more or less than was wanted, and what is then missing is written by pulses,
    on the emptied side where the RESET gave too much. `step` is by default `nominal_step`. Cells without an opposite
    side are written blind.
    Source of the rule: released code of Demirağ et al., arXiv 2108.01804 (there for one write to a target).
    """

    def write(
        crossbar: Crossbar, cells: CellState, pulses: Weight, *, key: PRNGKeyArray | None
    ) -> tuple[CellState, Ledger]:
        cell = crossbar.cell
        keys = keys_of(key, 2)
        each = nominal_step(crossbar, step, pulses)
        before = cell.weight(cell.stored(cells))
        cells, erased = _emptied(crossbar, cells, _opposite(crossbar, cells, full, pulses, each), keys[0])
        missing = pulses * each - (cell.weight(cell.stored(cells)) - before)
        again, ledger = crossbar.write(cells, jnp.round(missing / each), key=keys[1])
        return again, erased + ledger

    return write


@checked
def rewriting(refresh: Refresh, step: OptionalPulseStep = None) -> Writer:
    """Blind pulses; then cells that are due by `refresh` are RESET and get the pulses that make up their weight.

    The controller takes `step` (by default `nominal_step`) as that of a pulse and knows the programmed conductances
    without reading. `refreshed` is the same at intervals, with reads and the law of the device.
    Source: released code of Demirağ et al., arXiv 2108.01804, which does so after every write.
    """

    def write(
        crossbar: Crossbar, cells: CellState, pulses: Weight, *, key: PRNGKeyArray | None
    ) -> tuple[CellState, Ledger]:
        cell, n = crossbar.cell, crossbar.cell.programmed()
        keys = keys_of(key, 3)
        cells, first = crossbar.write(cells, pulses, key=keys[0])
        g = cell.stored(cells)
        w, due = cell.weight(g), refresh.due(cell, g[:n])
        cells, erased = _emptied(crossbar, cells, jnp.broadcast_to(due[None], (n, *due.shape)), keys[1])
        again = jnp.where(due, jnp.trunc(w / nominal_step(crossbar, step, w)), 0.0)
        cells, second = crossbar.write(cells, again, key=keys[2])
        return cells, first + erased + second

    return write


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
        refresh.check(crossbar.cell)
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
