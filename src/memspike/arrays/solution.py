"""The public solver of a crossbar with wire resistance, and what it returns."""

from typing import Any, NamedTuple, Required, TypedDict, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from memspike.arrays.curves import AbstractCurve
from memspike.arrays.newton import drops_of
from memspike.arrays.wires import Convergence, Segments, fed_twice
from memspike.arrays.wires import transfer as _transfer
from memspike.parts.errors import InputError, RunError
from memspike.parts.param import is_concrete

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
    """Every current and voltage of an array, and how exact they are."""

    currents: Currents
    voltages: Voltages
    convergence: Convergence


class Wires(TypedDict, total=False):
    """The wires of an array: Ω per segment, Ω of the end segments (`None`: as any other), and where rows are driven.

    With `two_sided` rows the driver feeds both ends of its row, each through a segment of `r_driver`.
    """

    r_row: Required[Any]
    r_col: Required[Any]
    r_driver: Any
    r_sense: Any
    two_sided: bool


def numbers(name: str, value: Any, unit: str, *, least: float) -> Array:
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
    r = numbers(name, wire, "Ω", least=0.0)
    if r.ndim:
        raise InputError(f"{name} has shape {r.shape}; one resistance per segment, a single number, is needed.")
    return Segments(r, r if end is None else numbers(f"end of {name}", end, "Ω", least=0.0))


def siemens(conductances: Any) -> Array:
    """The checked conductances [rows, columns]; InputError for what is no array of them."""
    g = numbers("conductances", conductances, "S", least=0.0)
    if g.ndim != 2 or 0 in g.shape:
        raise InputError(f"conductances has shape {g.shape}; [rows, columns] is needed.")
    return g


def segments(
    *, r_row: Any, r_col: Any, r_driver: Any = None, r_sense: Any = None, two_sided: bool = False
) -> tuple[Segments, Segments]:
    """The checked resistances of rows and of columns; InputError for what is no resistance."""
    row, column = _segments("r_row", r_row, r_driver), _segments("r_col", r_col, r_sense)
    return fed_twice(row) if two_sided else row, column


def converged(found: Convergence, curve: AbstractCurve | None) -> None:
    """RunError if the solver stopped short of a solution; traced values pass."""
    if not is_concrete(found.residual):
        return
    residual = np.asarray(found.residual)
    most = 1e-9 if residual.dtype == np.float64 else 1e-4
    if curve is not None and not (residual <= most).all():
        raise RunError(
            f"The array of cells with the curve {type(curve).__name__} has no solution after "
            f"{np.max(found.steps)} Newton steps: the relative error of Kirchhoff's current law is still "
            f"{np.max(residual):.1g}, {most:g} is needed; lower voltages or a less steep curve may help."
        )


@jax.jit
def _solve(g: Array, v: Array, row: Segments, column: Segments, curve: AbstractCurve | None) -> Solution:
    e = jnp.broadcast_to(v.T[:, None, :], (*g.shape, len(v)))
    drops, device = drops_of(curve, g, e, row, column)
    below, above, device = (jnp.moveaxis(x, -1, 0) for x in (drops.row, drops.column, device))
    return Solution(Currents(device.sum(1), device), Voltages(v[:, :, None] + below, above), drops.convergence)


_solve_transfer = jax.jit(_transfer)


def solve(voltages: Any, conductances: Any, *, curve: AbstractCurve | None = None, **wires: Unpack[Wires]) -> Solution:
    """Currents and voltages of a crossbar whose wires have resistance, exact to rounding.

    `voltages` [..., rows] in V drive the rows at their left end; `conductances` [rows, columns] in S; `r_row` and
    `r_col` in Ω per wire segment. Column ends (below the last row) are virtual grounds. One segment lies between
    a driver and the first device and one between the last device and the sense node; `r_driver` and `r_sense`
    replace their resistance. 0 Ω is allowed. With `two_sided=True` the driver of a row feeds its right end too,
    through an equal end segment. Differentiable in everything but the shapes.

    `curve` gives the cells a current that is not proportional to their voltage; `conductances` are then the g of
    the curve. `convergence` of the solution tells the steps taken (of conjugate gradients, or of Newton's method if
    there is a curve) and the largest error of Kirchhoff's current law relative to the largest device current.

    InputError for wrong shapes, for values that are not finite, and for negative conductances or resistances.
    RunError if Newton's method does not reach a solution; inside `jax.jit`, look at `convergence.residual`.
    """
    g = siemens(conductances)
    v = numbers("voltages", voltages, "V", least=-np.inf)
    if v.ndim == 0 or v.shape[-1] != g.shape[0]:
        raise InputError(f"voltages has shape {v.shape}; [..., {g.shape[0]}] is needed for {g.shape[0]} rows.")
    found = _solve(g, v.reshape(-1, g.shape[0]), *segments(**wires), curve)
    converged(found.convergence, curve)
    return jax.tree.map(lambda x: x.reshape(*v.shape[:-1], *x.shape[1:]), found)


def transfer(conductances: Any, **wires: Unpack[Wires]) -> Real:
    """The matrix [rows, columns] in S with output currents = voltages @ matrix; wires as for `solve`, ohmic cells.

    Worth it from about as many inputs as the array has rows or columns, whichever are fewer.
    """
    return _solve_transfer(siemens(conductances), *segments(**wires))
