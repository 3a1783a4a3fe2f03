"""Small systems of linear equations by elimination, written out: an element of the matrix is an array of any shape.

None stands for an element that is zero whatever the numbers, so that nothing is computed with it.
"""

import jax.numpy as jnp

from memspike.devices.base import Real

Row = list[Real | None]
Matrix = list[Row]
# more unknowns than that make programs that take long to compile: LU with pivoting then
WRITTEN_OUT = 8


def add(a: Real | None, b: Real | None) -> Real | None:
    """a + b."""
    if a is None or b is None:
        return b if a is None else a
    return a + b


def minus(a: Real | None, factor: Real | None, b: Real | None) -> Real | None:
    """a − factor·b."""
    if factor is None or b is None:
        return a
    return -factor * b if a is None else a - factor * b


def solve(matrix: Matrix, rights: list[Row]) -> list[list[Real]]:
    """The solutions for several right-hand sides, of matrices whose diagonal outweighs the rest.

    That is so for sums of currents and for implicit steps; no rows are exchanged.
    """
    size = len(matrix)
    if size > WRITTEN_OUT:
        return _pivoted(matrix, rights)
    left, right = [list(row) for row in matrix], [list(one) for one in rights]
    for k in range(size):
        inverse = 1 / _present(left[k][k])
        for i in range(k + 1, size):
            if left[i][k] is None:
                continue
            factor = _present(left[i][k]) * inverse
            for j in range(k + 1, size):
                left[i][j] = minus(left[i][j], factor, left[k][j])
            for one in right:
                one[i] = minus(one[i], factor, one[k])
    solutions = []
    for one in right:
        found: list[Real] = [jnp.zeros(())] * size
        for k in reversed(range(size)):
            rest = one[k]
            for j in range(k + 1, size):
                rest = minus(rest, left[k][j], found[j])
            found[k] = jnp.zeros_like(_present(left[k][k])) if rest is None else rest / _present(left[k][k])
        solutions.append(found)
    return solutions


def _present(element: Real | None) -> Real:
    assert element is not None, "a row without a diagonal"
    return element


def _pivoted(matrix: Matrix, rights: list[Row]) -> list[list[Real]]:
    given = [x for row in (*matrix, *rights) for x in row if x is not None]
    shape, dtype = jnp.broadcast_shapes(*(x.shape for x in given)), given[0].dtype
    zero = jnp.zeros(shape, dtype)

    def stacked(row: Row) -> Real:
        return jnp.stack([zero if x is None else jnp.broadcast_to(x, shape) for x in row], axis=-1)

    left = jnp.stack([stacked(row) for row in matrix], axis=-2)
    found = jnp.linalg.solve(left, jnp.stack([stacked(one) for one in rights], axis=-1))
    return [[found[..., k, j] for k in range(len(matrix))] for j in range(len(rights))]
