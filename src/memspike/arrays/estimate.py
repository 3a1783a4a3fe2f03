"""A cheap, smooth estimate of what a wired array does: every wire on its own, its drop resummed."""

from functools import lru_cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from memspike.arrays.wires import Cells, Segments

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


def _row_drop(g: Cells, r: Segments, two_sided: bool) -> Cells:
    """Voltage in V lost along rows driven at the left, or at both ends, if every device sees 1 V."""
    n = g.shape[1]
    modes = jnp.asarray(_modes(n), g.dtype)
    drop = r.end * g.sum(1, keepdims=True) + r.wire * ((g @ modes) @ modes.T)
    if not two_sided:
        return drop
    near = r.end + r.wire * jnp.arange(n, dtype=g.dtype)
    total = near[-1] + r.end
    share = near / jnp.where(total > 0, total, 1.0)
    return jnp.maximum(drop - (g @ near)[:, None] * share[None, :], 0.0)


def _column_drop(g: Cells, r: Segments) -> Cells:
    """The same along columns, whose first node is at the bottom."""
    modes = jnp.asarray(_modes(len(g))[::-1], g.dtype)
    return r.end * g.sum(0, keepdims=True) + r.wire * (modes @ (modes.T @ g))


def estimate(g: Cells, row: Segments, column: Segments, *, two_sided: bool = False) -> Cells:
    """The transfer matrix [rows, columns] in S without the coupling of columns through row wires.

    T⁰_ij = g_ij / ((1 + Σ_k R_jk·g_ik)·(1 + Σ_k C_ik·g_kj)): R and C are the resistances that two nodes of a bare
    row, or column, share, in their strongest modes. About first order in the drop of a wire, bounded for any. Thin
    matrix products, so that a training step can afford it; what it misses is left to `Crossbar.correction`.
    """
    return g / ((1 + _row_drop(g, row, two_sided)) * (1 + _column_drop(g, column)))
