"""How faithfully wires are simulated: not at all, exactly, or estimated: each on its own, its drop resummed."""

from abc import abstractmethod
from functools import lru_cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from memspike.arrays.wires import Cells, Segments, transfer
from memspike.devices.part import AbstractPart
from memspike.parts.param import Parameter, option, param

MODES = 8


@lru_cache(maxsize=64)
def _modes(n: int) -> Float[np.ndarray, "nodes modes"]:
    """M with min(j, k) ≈ Σ_m M_jm·M_km for j, k = 0 … n − 1: the modes of a bare line of unit segments.

    Their strength falls with the square of their number; eight leave about 3 % of a drop that varies from device
    to device, and less of a smooth one.
    """
    along = np.arange(n, dtype=float)
    strength, modes = np.linalg.eigh(np.minimum(along[:, None], along[None, :]))
    return (modes * np.sqrt(np.maximum(strength, 0.0)))[:, -MODES:]


def _row_drop(g: Cells, r: Segments) -> Cells:
    """Voltage in V lost along rows driven at the left, or at both ends, if every device sees 1 V."""
    n = g.shape[1]
    modes = jnp.asarray(_modes(n), g.dtype)
    drop = r.end * g.sum(1, keepdims=True) + r.wire * ((g @ modes) @ modes.T)
    if r.far is None:
        return drop
    near = r.end + r.wire * jnp.arange(n, dtype=g.dtype)
    total = near[-1] + r.end
    share = near / jnp.where(total > 0, total, 1.0)
    return jnp.maximum(drop - (g @ near)[:, None] * share[None, :], 0.0)


def _column_drop(g: Cells, r: Segments) -> Cells:
    """The same along columns, whose first node is at the bottom."""
    modes = jnp.asarray(_modes(len(g))[::-1], g.dtype)
    return r.end * g.sum(0, keepdims=True) + r.wire * (modes @ (modes.T @ g))


def estimate(g: Cells, row: Segments, column: Segments) -> Cells:
    """The transfer matrix [rows, columns] in S without the coupling of columns through row wires.

    T⁰_ij = g_ij / ((1 + Σ_k R_jk·g_ik)·(1 + Σ_k C_ik·g_kj)): R and C are the resistances that two nodes of a bare
    row, or column, share, in their strongest modes. About first order in the drop of a wire, bounded for any. Thin
    matrix products, so that a training step can afford it; what it misses is left to `Crossbar.correction`.
    """
    return g / ((1 + _row_drop(g, row)) * (1 + _column_drop(g, column)))


class AbstractWires(AbstractPart):
    """The wires of one array: conductances of its devices → what it does to row voltages, both [rows, columns] in S."""

    @abstractmethod
    def transfer(self, g: Cells, tolerance: float | None = None) -> Cells:
        """The matrix T with output currents = row voltages @ T, exact, or to `tolerance` of the drops."""

    @abstractmethod
    def estimate(self, g: Cells) -> Cells:
        """T without the coupling of columns through the row wires: cheap, close, and smooth in g."""


class Ideal(AbstractWires):
    """Wires without resistance."""

    def transfer(self, g: Cells, tolerance: float | None = None) -> Cells:
        """`g` itself."""
        return g

    def estimate(self, g: Cells) -> Cells:
        """`g` itself."""
        return g


class Resistive(AbstractWires):
    """Wires of `r_row` and `r_column` Ω per segment, `r_driver` and `r_sense` Ω at their ends.

    Rows are driven at the left, from both ends with `two_sided`; columns are sensed at virtual ground at the bottom.
    """

    r_row: Parameter = param(1.0, "Ω", "resistance of a row segment", bounds=(0, 1e9))
    r_column: Parameter = param(1.0, "Ω", "resistance of a column segment", bounds=(0, 1e9))
    r_driver: Parameter = param(1.0, "Ω", "resistance between a driver and the first device", bounds=(0, 1e9))
    r_sense: Parameter = param(1.0, "Ω", "resistance between the last device and the sense node", bounds=(0, 1e9))
    two_sided: bool = option(False, "rows are driven from both ends")

    def _segments(self, dtype: jnp.dtype) -> tuple[Segments, Segments]:
        values = (self.r_row, self.r_driver, self.r_column, self.r_sense)
        row, driver, column, sense = (jnp.asarray(x, dtype) for x in values)
        return Segments(row, driver, driver if self.two_sided else None), Segments(column, sense)

    def transfer(self, g: Cells, tolerance: float | None = None) -> Cells:
        """The solution of the nodal equations."""
        return transfer(g, *self._segments(g.dtype), tolerance=tolerance)

    def estimate(self, g: Cells) -> Cells:
        """Every row wire solved against grounded columns, every column wire against grounded rows."""
        return estimate(g, *self._segments(g.dtype))
