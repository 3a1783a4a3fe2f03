"""Rows of the tiles of a `Stack` as its array reads them: through its wires, drivers and converters."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from memspike.arrays.crossbar import Correction, Crossbar, Seen
from memspike.arrays.fidelity import Ideal
from memspike.cells.base import CellState
from memspike.cells.single import Stack
from memspike.parts.param import Parameter


class ArrayRows(NamedTuple):
    """A crossbar of `Stack` cells whose rows are read one at a time at `v` volts, all others at 0 V.

    `seen` is what reads see of all lines; None on an array without wires and converters, where a row is what its
    devices are (`Stack.read_row`).
    """

    crossbar: Crossbar
    cells: CellState
    seen: Seen | None
    v: Parameter

    @property
    def rows(self) -> int:
        """How many."""
        return self.crossbar.cell.stored(self.cells).shape[1]

    def read(
        self, tile: int, row: Int[Array, " reads"], *, key: PRNGKeyArray | None = None
    ) -> tuple[Float[Array, "reads columns"], "ArrayRows"]:
        """(G − R)/unit of rows of a tile, and the array, to which writes come afterwards; with a key, with read noise.

        A row beyond the last reads as the last.
        """
        cell = self.crossbar.cell
        assert isinstance(cell, Stack)
        if self.seen is None:
            found, cells = cell.read_row(self.cells, tile, row, key=key)
            return found, self._replace(cells=cells)
        n, dtype = cell.programmed(), self.seen.lines.dtype
        gains = jnp.zeros(2 * n, dtype).at[tile].set(1.0).at[n + tile].set(-1.0)
        driven = jax.nn.one_hot(jnp.minimum(row, self.rows - 1), self.rows, dtype=dtype)
        v = jnp.asarray(self.v, dtype)
        return self.crossbar.weighed(self.seen, v * driven, gains, key=key) / (v * cell.unit().astype(dtype)), self


def rows_of(crossbar: Crossbar, cells: CellState, v: Parameter, correction: Correction) -> ArrayRows:
    """The rows as they are now. With the lagged `correction` of the wires (`Crossbar.correction`) no equations are
    solved; without it they are.
    """
    if isinstance(crossbar.wires, Ideal) and crossbar.periphery.ideal:
        return ArrayRows(crossbar, cells, None, v)
    mean, sd = crossbar.cell.read_moments(cells)
    noise = crossbar.read_noise.astype(sd.dtype) if isinstance(crossbar.read_noise, jax.Array) else crossbar.read_noise
    sd = jnp.where(noise > 0, jnp.hypot(sd, noise * jnp.abs(mean)), sd)
    return ArrayRows(crossbar, cells, crossbar.transfer(mean, correction=correction, sd=sd), v)
