"""The public solver of a crossbar with wire resistance, and what it returns."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from memspike._errors import InputError
from memspike._param import is_concrete
from memspike.arrays.wires import Segments, drops
from memspike.arrays.wires import transfer as _transfer

Real = Float[Array, "..."]


class Currents(NamedTuple):
    """In A: `output` [..., columns] into the sense nodes, `device` [..., rows, columns] through every device."""

    output: Real
    device: Real


class Voltages(NamedTuple):
    """In V: nodes of the row and of the column wires at every device, each [..., rows, columns]."""

    row: Real
    column: Real


class Solution(NamedTuple):
    """Every current and voltage of an array."""

    currents: Currents
    voltages: Voltages


def _numbers(name: str, value: Any, unit: str, *, least: float) -> Array:
    """An array of finite numbers not below `least`; InputError with the first place that is not."""
    array = jnp.asarray(value, jnp.result_type(float))
    if is_concrete(array):
        bad = np.argwhere(~(np.isfinite(np.asarray(array)) & (np.asarray(array) >= least)))
        if len(bad):
            where = tuple(int(k) for k in bad[0])
            raise InputError(
                f"{name}{list(where) if where else ''} is {np.asarray(array)[where]:g} {unit}; "
                f"finite numbers{f' from {least:g} {unit}' if np.isfinite(least) else ''} are needed."
            )
    return array


def _segments(name: str, wire: Any, end: Any) -> Segments:
    r = _numbers(name, wire, "Ω", least=0.0)
    if r.ndim:
        raise InputError(f"{name} has shape {r.shape}; one resistance per segment, a single number, is needed.")
    return Segments(r, r if end is None else _numbers(f"end of {name}", end, "Ω", least=0.0))


def _array(conductances: Any) -> Array:
    g = _numbers("conductances", conductances, "S", least=0.0)
    if g.ndim != 2 or 0 in g.shape:
        raise InputError(f"conductances has shape {g.shape}; [rows, columns] is needed.")
    return g


@jax.jit
def _solve(g: Array, v: Array, row: Segments, column: Segments) -> Solution:
    below, above = drops(g, v.T, row, column)
    below, above = jnp.moveaxis(below, -1, 0), jnp.moveaxis(above, -1, 0)
    device = g[None] * (v[:, :, None] + below - above)
    return Solution(Currents(device.sum(1), device), Voltages(v[:, :, None] + below, above))


_solve_transfer = jax.jit(_transfer)


def solve(
    voltages: Any, conductances: Any, *, r_row: Any, r_col: Any, r_driver: Any = None, r_sense: Any = None
) -> Solution:
    """Currents and voltages of a crossbar whose wires have resistance, exact to rounding.

    `voltages` [..., rows] in V drive the rows at their left end; `conductances` [rows, columns] in S; `r_row` and
    `r_col` in Ω per wire segment. Column ends (below the last row) are virtual grounds. One segment lies between
    a driver and the first device and one between the last device and the sense node; `r_driver` and `r_sense`
    replace their resistance. 0 Ω is allowed. Differentiable in everything but the shapes.

    InputError for wrong shapes, for values that are not finite, and for negative conductances or resistances.
    """
    g = _array(conductances)
    v = _numbers("voltages", voltages, "V", least=-np.inf)
    if v.ndim == 0 or v.shape[-1] != g.shape[0]:
        raise InputError(f"voltages has shape {v.shape}; [..., {g.shape[0]}] is needed for {g.shape[0]} rows.")
    found = _solve(
        g, v.reshape(-1, g.shape[0]), _segments("r_row", r_row, r_driver), _segments("r_col", r_col, r_sense)
    )
    return jax.tree.map(lambda x: x.reshape(*v.shape[:-1], *x.shape[1:]), found)


def transfer(conductances: Any, *, r_row: Any, r_col: Any, r_driver: Any = None, r_sense: Any = None) -> Real:
    """The matrix [rows, columns] in S with output currents = voltages @ matrix; arguments as for `solve`.

    Worth it from about as many inputs as the array has rows or columns, whichever are fewer.
    """
    row, column = _segments("r_row", r_row, r_driver), _segments("r_col", r_col, r_sense)
    return _solve_transfer(_array(conductances), row, column)
