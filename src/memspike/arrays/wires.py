"""The exact node voltages of a crossbar whose wires have resistance.

Row i is driven at its left end, column j is read at its lower end; every wire segment has a resistance, the ones at
the ends included. A line may be driven from its far end as well, or be left floating. With G between row node and
column node, and voltages counted from the drive of their line,

    A_r·x_r − G·x_c = b_r,    −G·x_r + A_c·x_c = b_c,

where A_r is one tridiagonal matrix a row and A_c one a column. Eliminating x_r leaves S = A_c − G·A_r⁻¹·G, symmetric
and positive; conjugate gradients on S, preconditioned with A_c, need one batch of line solves along the rows and
one along the columns a step. The line solves are written as ladders of conductances: sums of positive numbers, no
cancellation, and 0 Ω is an ordinary value. Unknowns are the voltage drops, so small resistances keep all digits.

A segment of `far` ohms at the other end adds e·eᵀ/far to a line (e: its last node). With z = A⁻¹·e and
s = z/(far + z_last), the share of a current at each node that leaves through that end, the Sherman–Morrison
formula reads A⁻¹·b − z·(s·b): here too 0 Ω is an ordinary value. A floating line has an end of infinite ohms, which
the ladder knows as well.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Real = Float[Array, "..."]
Cells = Float[Array, "rows columns"]
Nodes = Float[Array, "rows columns inputs"]
MOST_STEPS = 2000
# nodes times inputs of one part: five vectors of double precision then fill a few megabytes
CACHED = 1 << 16


class Segments(NamedTuple):
    """Resistances in Ω: of a wire segment, of the one at the driven (or sensed) end and of the one at the far end.

    The ends are single numbers or one a line; an infinite `end` is open. Without `far` (None) the far ends are open.
    """

    wire: Real
    end: Real
    far: Real | None = None


class Convergence(NamedTuple):
    """Of each input: solver steps, and the largest error of Kirchhoff's current law over the largest device current."""

    steps: Int[Array, "..."]
    residual: Real


class Drops(NamedTuple):
    """Voltages in V of row and of column nodes against the drive of their line, and how exact they are."""

    row: Nodes
    column: Nodes
    convergence: Convergence


class _Lines(NamedTuple):
    """Parallel lines along axis 0: admittances, resistances and, if driven from the far end too, z and s."""

    y: Real
    r: Segments
    far: tuple[Real, Real] | None = None


def _per_line(r: Real) -> Real:
    """[lines] → [lines, inputs]."""
    return r[:, None] if r.ndim else r


def _far_share(n: int, r: Segments) -> Real:
    """Share [n, lines or 1, 1] of a current drawn at each of `n` nodes that comes from the far end; no devices.

    At 0 Ω all along a line it is that of equal segments, the limit of ever smaller ones.
    """
    assert r.far is not None
    shape = jnp.broadcast_shapes(r.end.shape, r.far.shape)
    end, far = (jnp.broadcast_to(x, shape)[None] for x in (r.end, r.far))
    along = jnp.arange(n, dtype=r.wire.dtype).reshape(n, *(1 for _ in shape))
    closed = jnp.isfinite(end)
    end = jnp.where(closed, end, 0.0)
    total = end + (n - 1) * r.wire + far
    share = (end + along * r.wire) / jnp.where(total > 0, total, 1.0)
    share = jnp.where(total > 0, share, (along + 1) / (n + 1))
    return jnp.where(closed, share, jnp.where(jnp.isfinite(far), 1.0, 0.0)).reshape(n, -1, 1)


def _admittance(g: Real, r: Segments) -> Real:
    """Ladder along axis 0, from the far end to the driven one: conductance in S that each node sees ahead of it."""

    def node(y: Real, own: Real) -> tuple[Real, Real]:
        y = own + y / (1 + r.wire * y)
        return y, y

    return jax.lax.scan(node, jnp.zeros_like(g[0]), g, reverse=True)[1]


def _line(y: Real, r: Segments, b: Real) -> Real:
    """A⁻¹·b along axis 0 for lines of admittance `y` whose node 0 is at the driven end; b in A, result in V."""
    passed = 1 / (1 + r.wire * y)
    end = _per_line(r.end)

    def inward(t: Real, item: tuple[Real, Real]) -> tuple[Real, Real]:
        here, own = item
        t = own + t
        return t * here, t

    _, gathered = jax.lax.scan(inward, jnp.zeros_like(b[0]), (passed, b), reverse=True)
    closed = jnp.isfinite(end)
    resistance = jnp.where(closed, end, 0.0)
    floating = gathered[0] / jnp.where(y[0] > 0, y[0], 1.0)
    first = jnp.where(closed, resistance * gathered[0] / (1 + resistance * y[0]), floating)

    def outward(x: Real, item: tuple[Real, Real]) -> tuple[Real, Real]:
        here, t = item
        x = (r.wire * t + x) * here
        return x, x

    rest = jax.lax.scan(outward, first, (passed[1:], gathered[1:]))[1]
    return jnp.concatenate([first[None], rest])


def _lines(g: Real, r: Segments) -> _Lines:
    """What all line solves of one conductance state share; g [nodes, lines, inputs or 1] in S."""
    y = _admittance(g, r)
    if r.far is None:
        return _Lines(y, r)
    z = _line(y, r, jnp.zeros_like(y).at[-1].set(1.0))
    total = _per_line(r.far) + z[-1]
    bare = jnp.broadcast_to(_far_share(len(g), r), z.shape)
    share = jnp.where(total[None] > 0, z / jnp.where(total > 0, total, 1.0)[None], bare)
    return _Lines(y, r, (z, share))


def _inverse(lines: _Lines, b: Real) -> Real:
    """A⁻¹·b along axis 0, b in A, result in V."""
    x = _line(lines.y, lines.r, b)
    if lines.far is None:
        return x
    z, share = lines.far
    return x - z * (share * b).sum(0, keepdims=True)


def _rows_of(x: Real) -> Real:
    """[rows, columns, …] with the driven end of the rows first along axis 0."""
    return jnp.swapaxes(x, 0, 1)


def conjugate_gradients(
    cells: Real, row: Segments, column: Segments, b_row: Nodes, b_column: Nodes, tolerance: float | Real
) -> tuple[Nodes, Nodes, Array, Real]:
    """→ row nodes, column nodes in V, steps taken, and the largest current error in A of each input."""
    rows = _lines(_rows_of(cells), row)
    columns = _lines(cells[::-1], column)

    def along_rows(b: Nodes) -> Nodes:
        return _rows_of(_inverse(rows, _rows_of(b)))

    def along_columns(b: Nodes) -> Nodes:
        return _inverse(columns, b[::-1])[::-1]

    def dot(a: Nodes, b: Nodes) -> Real:
        return (a * b).sum((0, 1), keepdims=True)

    r = b_column + cells * along_rows(b_row)
    z = along_columns(r)
    start = dot(r, z)

    def unfinished(carry: tuple) -> Array:
        return (carry[6] < MOST_STEPS) & (carry[5] > tolerance**2 * start).any()

    def step(carry: tuple) -> tuple:
        # q = A_c·p is carried along, so the (possibly infinite) wire conductance never appears
        x, r, p, q, _, rz, count = carry
        sp = q - cells * along_rows(cells * p)
        curvature = dot(p, sp)
        alpha = jnp.where(curvature > 0, rz / jnp.where(curvature > 0, curvature, 1.0), 0.0)
        x, r = x + alpha * p, r - alpha * sp
        z = along_columns(r)
        new = dot(r, z)
        beta = jnp.where(rz > 0, new / jnp.where(rz > 0, rz, 1.0), 0.0)
        return x, r, z + beta * p, r + beta * q, z, new, count + 1

    zero = jnp.zeros_like(z)
    done = jax.lax.while_loop(unfinished, step, (zero, r, z, r, z, start, jnp.zeros((), jnp.int32)))
    # one step of refinement by z leaves the error G·A_r⁻¹·G·z, of which an ideal wire has none
    correction = along_rows(cells * done[4])
    v_column = done[0] + done[4]
    v_row = along_rows(b_row + cells * done[0]) + correction
    return v_row, v_column, done[6], jnp.abs(cells * correction).max((0, 1))


def in_parts(solver: Callable, *items: Nodes) -> Any:
    """`solver(*items)` for a few inputs at a time, so that what an iteration touches stays in the cache.

    Inputs are the last axis of every item and of every array that the solver returns.
    """
    *shape, inputs = items[0].shape
    few = min(inputs, max(2, CACHED // (shape[0] * shape[1])))
    parts = -(-inputs // few)
    if parts == 1:
        return solver(*items)

    def split(b: Nodes) -> Real:
        padded = jnp.pad(b, ((0, 0), (0, 0), (0, parts * few - inputs)))
        return jnp.moveaxis(padded.reshape(*shape, parts, few), 2, 0)

    def join(x: Array) -> Array:
        return jnp.moveaxis(x, 0, -2).reshape(*x.shape[1:-1], parts * few)[..., :inputs]

    return jax.tree.map(join, jax.lax.map(lambda b: solver(*b), tuple(split(b) for b in items)))


def tolerance_of(dtype: jnp.dtype) -> float:
    """The preconditioned residual that conjugate gradients reach in this precision."""
    return 1e-12 if dtype == jnp.float64 else 1e-7


@partial(jax.custom_vjp, nondiff_argnums=(4,))
def _applied(g: Cells, v: Nodes, row: Segments, column: Segments, tolerance: float | None) -> Drops:
    def part(v: Nodes) -> Drops:
        b = g[..., None] * v
        reached = tolerance_of(g.dtype) if tolerance is None else tolerance
        below, above, steps, error = conjugate_gradients(g[..., None], row, column, -b, b, reached)
        largest = jnp.abs(g[..., None] * (v + below - above)).max((0, 1))
        residual = error / jnp.where(largest > 0, largest, 1.0)
        return Drops(below, above, Convergence(jnp.broadcast_to(steps, residual.shape), residual))

    return in_parts(part, v)


def _forward(g: Cells, v: Nodes, row: Segments, column: Segments, tolerance: float | None) -> tuple[Drops, tuple]:
    drops = applied(g, v, row, column, tolerance)
    return drops, (g, v + drops.row - drops.column, row, column)


def _segment_slopes(outflow: Real, adjoint: Real, like: Segments) -> Segments:
    """dL/dr of the lines along axis 0, driven at index 0: product of the currents of each segment, summed."""

    def shaped(x: Real, like: Real) -> Real:
        return x.sum(-1) if like.ndim else x.sum()

    along, against = (jax.lax.cumsum(x, axis=0, reverse=True) for x in (outflow, adjoint))
    far = None
    if like.far is not None:
        share = _far_share(len(outflow), like)
        through, back = ((share * x).sum(0) for x in (outflow, adjoint))
        along, against = along - through[None], against - back[None]
        far = shaped(through * back, like.far)
    each = along * against
    return Segments(each[1:].sum(), shaped(each[0], like.end), far)


def pulled_back(
    slope: Real, device: Nodes, row: Segments, column: Segments, d_below: Nodes, d_above: Nodes
) -> tuple[Nodes, Segments, Segments]:
    """From dL/d(drops): −dL/d(device current) of every cell in V/…, and dL/dr of rows and columns.

    `slope` in S is that of the cells (the last axis may be 1), `device` in A their currents.
    """
    tolerance = tolerance_of(device.dtype)

    def part(p: Nodes, q: Nodes, *each: Nodes) -> tuple[Nodes, Nodes]:
        return conjugate_gradients(each[0] if each else slope, row, column, p, q, tolerance)[:2]

    l_row, l_column = in_parts(part, d_below, d_above, *([slope] if slope.shape[-1] > 1 else []))
    across = l_row - l_column
    pull = slope * across
    d_row = _segment_slopes(_rows_of(device), _rows_of(pull - d_below), row)
    d_column = _segment_slopes(-device[::-1], -(pull + d_above)[::-1], column)
    return across, d_row, d_column


def _backward(tolerance: float | None, saved: tuple, cotangents: Drops) -> tuple:
    g, across, row, column = saved
    cells = g[..., None]
    adjoint, d_row, d_column = pulled_back(cells, cells * across, row, column, cotangents.row, cotangents.column)
    return -(adjoint * across).sum(-1), -cells * adjoint, d_row, d_column


_applied.defvjp(_forward, _backward)


def applied(g: Cells, v: Nodes, row: Segments, column: Segments, tolerance: float | None = None) -> Drops:
    """Drops in the wires if the drives of its row and column put `v` volts across every cell before any drop.

    `tolerance` of the preconditioned residual: None is what the precision gives. The gradient is one more solve of
    the same symmetric system (implicit function theorem), with respect to conductances, drives and resistances.
    """
    return cast(Drops, _applied(g, v, row, column, tolerance))


def _reversed(r: Segments) -> Segments:
    """The same lines in the opposite order."""
    return jax.tree.map(lambda x: x[::-1] if x.ndim else x, r)


def transfer(g: Cells, row: Segments, column: Segments, *, tolerance: float | None = None) -> Cells:
    """What the array does to row voltages: output currents = v @ transfer, in S, [rows, columns].

    One solve for every row or, by reciprocity, for every column, whichever are fewer: from then on every input
    and time step costs one product. If rows have two ends it is the columns of the transposed array that have them,
    and what enters a row counts through both. `tolerance` as of `applied`.
    """
    rows, columns = g.shape
    if columns < rows:
        return transfer(g.T[::-1, ::-1], _reversed(column), _reversed(row), tolerance=tolerance)[::-1, ::-1].T
    unit = jnp.eye(rows, dtype=g.dtype)[:, None, :]
    drops = applied(g, jnp.broadcast_to(unit, (*g.shape, rows)), row, column, tolerance)
    return (g[..., None] * (unit + drops.row - drops.column)).sum(0).T
