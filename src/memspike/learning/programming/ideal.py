"""Programming without error, of analog devices or of digital memory."""

from typing import Any

from jaxtyping import PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.arrays.ledger import Ledger
from memspike.cells.base import CellState, Weight
from memspike.devices.base import select
from memspike.learning.programming.base import Applied, Scheme, nothing
from memspike.learning.programming.counting import taken, zero_weights
from memspike.learning.programming.options import Quantum, checked
from memspike.parts.registry import SCHEMES


def unwritten(crossbar: Crossbar, cells: CellState) -> Ledger:
    """The ledger of an update that sent no pulse."""
    return crossbar.ledger(crossbar.cell.stored(cells).shape[1:])


def _moved(crossbar: Crossbar, cells: CellState, dw: Weight) -> CellState:
    """The cells put at their weight + dw; where nothing is wanted they are left as they are, age and all."""
    cell = crossbar.cell
    there = cell.place(cells, cell.weight(cell.stored(cells)) + dw)
    return there._replace(devices=select((dw != 0)[None], there.devices, cells.devices))


def _exact(state: Any, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None) -> Applied:
    return Applied(state, _moved(crossbar, cells, dw), unwritten(crossbar, cells))


@SCHEMES.register("ideal", "exact programming, clipped to the conductance range of the device; no pulses")
def ideal() -> Scheme:
    """Each cell is put at exactly the wanted weight, by no pulses at all; the device range still clips.

    In cells that hold levels (`BitSliced`) it is the nearest one: changes below half a level are lost.
    """
    return Scheme(nothing, _exact, exact=True)


@SCHEMES.register("fp32", "weights in digital memory, clipped to [−1, 1]: the upper bound of every scheme")
def fp32() -> Scheme:
    """The scheme `ideal` on digital memory in place of devices: no drift, no noise."""
    return Scheme(nothing, _exact, exact=True, digital=True)


@SCHEMES.register("accumulate-digital", "digital weights that move by whole quanta of accumulated changes")
@checked
def accumulate_digital(quantum: Quantum = 0.125) -> Scheme:
    """Wanted changes add up; whole quanta leave the accumulator and move digital weights, clipped to [−1, 1]."""

    def apply(state: Weight, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None) -> Applied:
        out = taken(state + dw, quantum)
        return Applied(out.left, _moved(crossbar, cells, out.quanta * quantum), unwritten(crossbar, cells))

    return Scheme(zero_weights, apply, digital=True)
