"""A wanted change as it leaves the neurons: a sum of outer products of rows and columns, not yet a matrix."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float


class Outer(NamedTuple):
    """Δw = Σ_k rows[k] ⊗ columns[k], in units of weight: what an array can multiply by itself with pulses."""

    rows: Float[Array, "terms rows"]
    columns: Float[Array, "terms columns"]


def dense(dw: Outer | Float[Array, "rows columns"]) -> Float[Array, "rows columns"]:
    """The matrix [rows, columns]."""
    return dw.rows.T @ dw.columns if isinstance(dw, Outer) else dw


def terms(dw: Outer | Float[Array, "rows columns"]) -> Outer:
    """Outer products that add up to Δw: those it is given by, or of a matrix one for every row."""
    return dw if isinstance(dw, Outer) else Outer(jnp.eye(dw.shape[0], dtype=dw.dtype), dw)
