"""Accumulate, then write with reads until the wanted weight is there."""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.arrays.ledger import Ledger, row_by_row
from memspike.arrays.sums import Tally
from memspike.cells.base import CellState, Weight
from memspike.devices.base import select
from memspike.devices.targets import Programmed, open_loop, write_verify
from memspike.learning.programming.base import Applied, Scheme
from memspike.learning.programming.counting import nominal_step
from memspike.learning.programming.options import OptionalQuantum, SettleTime, Tolerance, checked
from memspike.parts.registry import SCHEMES

# wider than any range: devices of weights that are not due pass their first verify
ANYTHING = 1e3


class WeightTargets(NamedTuple):
    """Digital copies: the weights that are wanted, and those that were wanted when each was last written."""

    weight: Weight
    written: Weight


def _ledger_of(
    crossbar: Crossbar, before: CellState, after: CellState, done: Programmed, where: Bool[Array, "..."]
) -> Ledger:
    """One write: all pulses up, then all down (not their difference), and RESETs of the devices `where` true.

    A verify read takes a row at once, so a row is read as often as the device of it that needs most.
    """
    up, down, resets = (
        jnp.where(where, n, 0).astype(jnp.result_type(float)) for n in (done.up, done.down, done.resets)
    )
    both = crossbar.book(before, after, up, resets) + crossbar.book(after, after, -down, jnp.zeros_like(resets))
    reads = row_by_row(jnp.where(where, done.reads, 0).astype(jnp.result_type(float)))
    return dataclasses.replace(both, writes=Tally.of(1), reads=Tally.of(reads))


@SCHEMES.register("write-verify", "weights in digital memory; devices follow by pulses and noisy reads in turn")
@checked
def verified(quantum: OptionalQuantum = None, tolerance: Tolerance = 0.02, settle: SettleTime = 38.6) -> Scheme:
    """A weight is written again once what is wanted has moved by a `quantum` (weight) since it was written last.

    Its devices are then driven to the conductances of the wanted weight, each to `tolerance` of its range in reads
    `settle` seconds after the last pulse; a device that can only be RESET downwards starts anew. Accurate, at many
    pulses and reads a weight. Without a key there is no noise to verify away: the pulses that bring the mean device
    nearest are sent.
    """

    def start(crossbar: Crossbar, cells: CellState) -> WeightTargets:
        w = crossbar.cell.weight(crossbar.cell.stored(cells))
        return WeightTargets(w, w)

    def apply(
        state: WeightTargets, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None
    ) -> Applied:
        cell, device, n = crossbar.cell, crossbar.cell.device, crossbar.cell.programmed()
        limit = cell.weight(cell.conductances(jnp.full_like(dw, 1e6))), cell.weight(cell.conductances(dw - 1e6))
        wanted = jnp.clip(state.weight + dw, limit[1], limit[0])
        moved = wanted - state.written
        due = jnp.abs(moved) >= nominal_step(crossbar, quantum, moved)
        where = jnp.broadcast_to(due[None], (n, *dw.shape))
        target = jnp.clip(cell.conductances(wanted)[:n], device.g_min, device.g_max)
        if key is None:
            done = open_loop(device, cells.devices, target, fresh=False, key=None)
        else:
            window = jnp.where(where, tolerance, ANYTHING)
            done = write_verify(device, cells.devices, target, tolerance=window, settle=settle, key=key)
        after = cells._replace(devices=select(where, done.state, cells.devices))
        ledger = _ledger_of(crossbar, cells, after, done, where)
        return Applied(WeightTargets(wanted, jnp.where(due, wanted, state.written)), after, ledger)

    return Scheme(start, apply)
