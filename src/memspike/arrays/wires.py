"""The exact node voltages of a crossbar whose wires have resistance.

Row i is driven at its left end, column j is read at virtual ground at its lower end; every wire segment has a
resistance, the one at the driver and the one at the sense end included. With G between row node and column node

    A_r·v_r − G·v_c = (drive),    −G·v_r + A_c·v_c = 0,

where A_r is one tridiagonal matrix a row and A_c one a column. Eliminating v_r leaves S = A_c − G·A_r⁻¹·G, symmetric
and positive; conjugate gradients on S, preconditioned with A_c, need one batch of line solves along the rows and
one along the columns a step. The line solves are written as ladders of conductances: sums of positive numbers, no
cancellation, and 0 Ω is an ordinary value. Unknowns are the voltage drops, so small resistances keep all digits.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Real = Float[Array, "..."]
Cells = Float[Array, "rows columns"]
Nodes = Float[Array, "rows columns inputs"]
MOST_STEPS = 2000
# nodes times inputs of one part: five vectors of double precision then fill a few megabytes
CACHED = 1 << 16


class Segments(NamedTuple):
    """Resistances in Ω: of a wire segment and of the one at the driven (or sensed) end."""

    wire: Real
    end: Real


def _admittance(g: Real, r: Segments) -> Real:
    """Ladder along axis 0, from the far end to the driven one: conductance in S that each node sees ahead of it."""

    def node(y: Real, own: Real) -> tuple[Real, Real]:
        y = own + y / (1 + r.wire * y)
        return y, y

    return jax.lax.scan(node, jnp.zeros_like(g[0]), g, reverse=True)[1]


def _line(y: Real, r: Segments, b: Real) -> Real:
    """A⁻¹·b along axis 0 for lines of admittance `y` whose node 0 is at the driven end; b in A, result in V."""
    passed = 1 / (1 + r.wire * y)

    def inward(t: Real, item: tuple[Real, Real]) -> tuple[Real, Real]:
        here, own = item
        t = own + t
        return t * here, t

    _, gathered = jax.lax.scan(inward, jnp.zeros_like(b[0]), (passed, b), reverse=True)
    first = r.end * gathered[0] / (1 + r.end * y[0])

    def outward(x: Real, item: tuple[Real, Real]) -> tuple[Real, Real]:
        here, t = item
        x = (r.wire * t + x) * here
        return x, x

    rest = jax.lax.scan(outward, first, (passed[1:], gathered[1:]))[1]
    return jnp.concatenate([first[None], rest])


def _rows_of(x: Real) -> Real:
    """[rows, columns, …] with the driven end of the rows first along axis 0."""
    return jnp.swapaxes(x, 0, 1)


def nodes(
    g: Cells, row: Segments, column: Segments, b_row: Nodes, b_column: Nodes, tolerance: float
) -> tuple[Nodes, Nodes, Float[Array, ""]]:
    """Voltages of row and column nodes for currents `b_row`, `b_column` in A injected into them.

    `tolerance` is that of the preconditioned residual. → row nodes, column nodes, steps taken.
    """
    cells = g[..., None]
    y_row = _admittance(_rows_of(cells), row)
    y_column = _admittance(cells[::-1], column)

    def along_rows(b: Nodes) -> Nodes:
        return _rows_of(_line(y_row, row, _rows_of(b)))

    def along_columns(b: Nodes) -> Nodes:
        return _line(y_column, column, b[::-1])[::-1]

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
    v_column = done[0]
    v_row = along_rows(b_row + cells * v_column)
    return v_row, v_column, done[6].astype(g.dtype)


def _in_parts(g: Cells, row: Segments, column: Segments, b_row: Nodes, b_column: Nodes) -> tuple[Nodes, Nodes]:
    """`nodes` for a few inputs at a time, so that what an iteration touches stays in the cache."""
    inputs = b_row.shape[-1]
    few = max(1, min(inputs, CACHED // g.size))
    parts = -(-inputs // few)
    if parts == 1:
        return nodes(g, row, column, b_row, b_column, _tolerance(g.dtype))[:2]

    def split(b: Nodes) -> Real:
        padded = jnp.pad(b, ((0, 0), (0, 0), (0, parts * few - inputs)))
        return jnp.moveaxis(padded.reshape(*g.shape, parts, few), 2, 0)

    def join(x: Real) -> Nodes:
        return jnp.moveaxis(x, 0, 2).reshape(*g.shape, parts * few)[..., :inputs]

    def part(b: tuple[Nodes, Nodes]) -> tuple[Nodes, Nodes]:
        return nodes(g, row, column, *b, _tolerance(g.dtype))[:2]

    below, above = jax.lax.map(part, (split(b_row), split(b_column)))
    return join(below), join(above)


def _tolerance(dtype: jnp.dtype) -> float:
    return 1e-12 if dtype == jnp.float64 else 1e-7


@jax.custom_vjp
def drops(g: Cells, v: Float[Array, "rows inputs"], row: Segments, column: Segments) -> tuple[Nodes, Nodes]:
    """Row node voltage minus drive, and column node voltage, in V, for row drives `v` in V.

    The gradient is one more solve of the same symmetric system (implicit function theorem), with respect to
    conductances, drives and resistances.
    """
    b = g[..., None] * v[:, None, :]
    return _in_parts(g, row, column, -b, b)


def _forward(g: Cells, v: Float[Array, "rows inputs"], row: Segments, column: Segments) -> tuple[tuple, tuple]:
    below, above = drops(g, v, row, column)
    return (below, above), (g, v, row, column, below, above)


def _segment_slopes(outflow: Real, adjoint: Real, like: Segments) -> Segments:
    """dL/dr of the lines along axis 0, driven at index 0: product of the currents of each segment, summed."""
    along, against = (jax.lax.cumsum(x, axis=0, reverse=True) for x in (outflow, adjoint))
    each = (along * against).sum(tuple(range(1, along.ndim)))
    return Segments(each[1:].sum().astype(like.wire.dtype), each[0].astype(like.end.dtype))


def _backward(saved: tuple, cotangents: tuple[Nodes, Nodes]) -> tuple:
    g, v, row, column, below, above = saved
    d_below, d_above = cotangents
    l_row, l_column = _in_parts(g, row, column, d_below, d_above)
    across = l_row - l_column
    device = g[..., None] * (v[:, None, :] + below - above)
    d_g = -(across * (v[:, None, :] + below - above)).sum(-1)
    d_v = -(g[..., None] * across).sum(1)
    pull = g[..., None] * across
    d_row = _segment_slopes(_rows_of(device), _rows_of(pull - d_below), row)
    d_column = _segment_slopes(-device[::-1], -(pull + d_above)[::-1], column)
    return d_g, d_v, d_row, d_column


drops.defvjp(_forward, _backward)


def transfer(g: Cells, row: Segments, column: Segments) -> Cells:
    """What the array does to row voltages: output currents = v @ transfer, in S, [rows, columns].

    One solve for every row or, by reciprocity, for every column, whichever are fewer: from then on every input
    and time step costs one product.
    """
    rows, columns = g.shape
    if columns < rows:
        return transfer(g.T[::-1, ::-1], column, row)[::-1, ::-1].T
    below, above = drops(g, jnp.eye(rows, dtype=g.dtype), row, column)
    unit = jnp.eye(rows, dtype=g.dtype)[:, None, :]
    return (g[..., None] * (unit + below - above)).sum(0).T
