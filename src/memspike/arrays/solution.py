"""The public solver of a crossbar with wire resistance, of cells that are ohmic or have any curve.

Curves are solved by damped Newton around the exact linear solver. A cell at u volts is linearised: slope conductance
σ = dI/du beside a current source. With drives that put e volts across a cell, the next drops x solve the linear array
of conductances σ with currents ∓(σ·(e − u) + I(u)) injected into row and column nodes. The wires then carry
J = I(u) + σ·Δu exactly, so I(u) − J is the error of Kirchhoff's current law at every node and no wire conductance,
infinite at 0 Ω, is ever formed. Drops and J change along a step in proportion. The solution is the minimum of the
co-content, a convex function whose slope along a step is Σ (I − J)·Δu: a step that overshoots the minimum on its way
is halved, which converges from any start.
"""

from typing import Any, NamedTuple, Required, TypedDict, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from memspike.arrays.curves import AbstractCurve
from memspike.arrays.wires import (
    Cells,
    Convergence,
    Drops,
    Nodes,
    Real,
    Segments,
    applied,
    conjugate_gradients,
    in_parts,
    pulled_back,
    tolerance_of,
)
from memspike.arrays.wires import transfer as _transfer
from memspike.parts.errors import InputError, RunError
from memspike.parts.param import is_concrete

MOST_NEWTON = 60
MOST_HALVINGS = 12
# the next linear solve is as exact as the square of the error before it, and never worse than this
LOOSEST = 1e-3


class _Point(NamedTuple):
    """Drops in V, the currents in A that the wires carry with them, and what is known about their error."""

    row: Nodes
    column: Nodes
    carried: Nodes
    solver: Float[Array, " inputs"]
    residual: Float[Array, " inputs"]
    steps: Int[Array, " inputs"]


def accuracy(dtype: jnp.dtype) -> float:
    """The relative error of Kirchhoff's current law at which Newton's method stops."""
    return 1e-10 if dtype == jnp.float64 else 3e-6


def current(curve: AbstractCurve, g: Cells, u: Nodes) -> Nodes:
    """Device currents in A at `u` volts across the cells, for every input."""
    return jax.vmap(curve.current, (None, -1), -1)(g, u)


def _slope(curve: AbstractCurve, g: Cells, u: Nodes) -> Nodes:
    return jax.vmap(curve.slope, (None, -1), -1)(g, u)


def _largest(x: Nodes) -> Float[Array, " inputs"]:
    return jnp.abs(x).max((0, 1))


def _relative(error: Real, device: Nodes) -> Real:
    largest = _largest(device)
    return error / jnp.where(largest > 0, largest, 1.0)


def _damped(curve: AbstractCurve, g: Cells, e: Nodes, old: _Point, full: _Point) -> _Point:
    """The point between `old` and the full step, halving the step of an input while it overshoots."""

    def at(t: Float[Array, " inputs"]) -> _Point:
        row, column, carried = (a + t[None, None] * (b - a) for a, b in zip(old[:3], full[:3], strict=True))
        device = current(curve, g, e + row - column)
        solver = old.solver + t * (full.solver - old.solver)
        residual = _relative(_largest(device - carried) + solver, device)
        return _Point(row, column, carried, solver, residual, full.steps)

    def downhill(point: _Point) -> Float[Array, " inputs"]:
        mismatch = current(curve, g, e + point.row - point.column) - point.carried
        return (mismatch * ((full.row - old.row) - (full.column - old.column))).sum((0, 1))

    def attempt(carry: tuple) -> tuple:
        t, _, _, count = carry
        new = at(t)
        small = new.residual <= _relative(new.solver, new.carried) + accuracy(g.dtype)
        good = (downhill(new) <= overshoot) | small | _done(old)
        return jnp.where(good, t, 0.5 * t), ~good.all(), new, count + 1

    overshoot = 0.3 * jnp.abs(downhill(old))
    one = jnp.ones_like(old.residual)
    start = (one, jnp.array(True), full, jnp.zeros((), jnp.int32))
    return jax.lax.while_loop(lambda c: c[1] & (c[3] < MOST_HALVINGS), attempt, start)[2]


def _done(point: _Point) -> Bool[Array, " inputs"]:
    return (point.residual <= accuracy(point.residual.dtype)) | (point.steps >= MOST_NEWTON)


def _newton(curve: AbstractCurve, g: Cells, e: Nodes, row: Segments, column: Segments) -> Drops:
    finest = tolerance_of(g.dtype)

    def step(old: _Point) -> _Point:
        u = e + old.row - old.column
        slope, known, done = _slope(curve, g, u), current(curve, g, u), _done(old)
        b = known + slope * (old.column - old.row)
        tolerance = jnp.where(done, LOOSEST, jnp.clip(0.1 * old.residual**2, finest, LOOSEST))[None, None]
        x_row, x_column, _, solver = conjugate_gradients(slope, row, column, -b, b, tolerance)
        carried = known + slope * ((x_row - old.row) - (x_column - old.column))
        full = _Point(x_row, x_column, carried, solver, old.residual, old.steps + 1)
        new = _damped(curve, g, e, old, full)
        return jax.tree.map(lambda a, b: jnp.where(jnp.broadcast_to(done, a.shape), a, b), old, new)

    zero, none = jnp.zeros_like(e), jnp.zeros(e.shape[-1:], jnp.int32)
    residual = jnp.ones_like(e[0, 0])
    start = _Point(zero, zero, zero, jnp.zeros_like(residual), jnp.where(_largest(e) > 0, residual, 0.0), none)
    end = jax.lax.while_loop(lambda point: ~_done(point).all(), step, start)
    return Drops(end.row, end.column, Convergence(end.steps, end.residual))


@jax.custom_vjp
def nonlinear(curve: AbstractCurve, g: Cells, e: Nodes, row: Segments, column: Segments) -> Drops:
    """Drops in the wires if the drives put `e` volts across every cell before any drop.

    The gradient (curve, conductances, drives, resistances) is that of the implicit function theorem: one solve of
    the array linearised at the solution.
    """
    return in_parts(lambda e: _newton(curve, g, e, row, column), e)


def _forward(curve: AbstractCurve, g: Cells, e: Nodes, row: Segments, column: Segments) -> tuple[Drops, tuple]:
    drops = nonlinear(curve, g, e, row, column)
    return drops, (curve, g, e + drops.row - drops.column, row, column)


def _backward(saved: tuple, cotangents: Drops) -> tuple:
    curve, g, u, row, column = saved
    device, pullback = jax.vjp(lambda curve, g: current(curve, g, u), curve, g)
    slope = _slope(curve, g, u)
    adjoint, d_row, d_column = pulled_back(slope, device, row, column, cotangents.row, cotangents.column)
    d_curve, d_g = pullback(-adjoint)
    return d_curve, d_g, -slope * adjoint, d_row, d_column


nonlinear.defvjp(_forward, _backward)


def drops_of(curve: AbstractCurve | None, g: Cells, e: Nodes, row: Segments, column: Segments) -> tuple[Drops, Nodes]:
    """Drops in V and device currents in A of an array with cells of any curve (None: ohmic)."""
    if curve is None:
        drops = applied(g, e, row, column)
        return drops, g[..., None] * (e + drops.row - drops.column)
    drops = nonlinear(curve, g, e, row, column)
    return drops, current(curve, g, e + drops.row - drops.column)


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
    return row._replace(far=row.end) if two_sided else row, column


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

    InputError for conductances or resistances that are no such numbers.
    """
    return _solve_transfer(siemens(conductances), *segments(**wires))
