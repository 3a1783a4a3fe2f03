"""The solution of an implicit step: Newton's iteration, and its derivatives by the implicit function theorem.

Two or three iterations suffice where a step is short against what happens; there are never more than `MOST`, with
limited changes. What did not converge then is told. The derivatives are those of the solution and not of the iteration:
one linear system for each direction forwards, and by its transpose one for all parameters backwards.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Bool

from memspike.devices.base import Real
from memspike.neurons.netlist.equations import Given, Middle, Static, linear, residuals, solved

MOST = 60
LONGEST = 0.25  # V, of one limited iteration
SMALLEST = 1e-3  # V and units of a state below which a change counts as absolute


class Solution(NamedTuple):
    """Mid-step values, and whether they are the solution."""

    y: Middle
    converged: Bool[Array, "..."]


def tolerance(dtype: Any) -> float:
    """Relative change of the last iteration: the error after it is of the order of its square."""
    return max(1e-6, float(jnp.finfo(dtype).eps) ** 0.5)


def _pairs(y: Middle, moved: Middle) -> list[tuple[Real, Real]]:
    return list(zip(jax.tree.leaves(y), jax.tree.leaves(moved), strict=True))


def change(y: Middle, moved: Middle) -> Real:
    """The largest relative change."""
    each = [jnp.abs(d) / (jnp.abs(x) + SMALLEST) for x, d in _pairs(y, moved)]
    shape = jnp.broadcast_shapes(*(one.shape for one in each))
    return jnp.stack([jnp.broadcast_to(one, shape) for one in each]).max(axis=0)


def _limit(y: Middle, moved: Middle) -> Real:
    """The share of a change that leaves voltages within LONGEST and states within their own size."""
    share = None
    for d in moved.v:
        one = LONGEST / jnp.maximum(jnp.abs(d), LONGEST)
        share = one if share is None else jnp.minimum(share, one)
    for x, d in zip(jax.tree.leaves(y.x), jax.tree.leaves(moved.x), strict=True):
        room = 0.5 * jnp.abs(x) + 0.5
        one = room / jnp.maximum(jnp.abs(d), room)
        share = one if share is None else jnp.minimum(*jnp.broadcast_arrays(share, one))
    assert share is not None, "nothing is unknown"
    return share


@partial(jax.jit, static_argnums=0)  # traced once, although a step asks several times
def improvement(static: Static, given: Given, y: Middle) -> Middle:
    """What Newton's iteration takes away from `y`."""
    return solved(static, linear(static, given, y), *residuals(static, given, y))


def spread(y: Middle, like: Middle) -> Middle:
    """`y` in the shapes that an iteration gives."""
    return jax.tree.map(lambda x, wide: jnp.broadcast_to(x, wide.shape), y, like)


@partial(jax.jit, static_argnums=0)
def newton(static: Static, given: Given, guess: Middle) -> Solution:
    """The solution that is near `guess`."""
    shapes = jax.eval_shape(lambda: jax.tree.map(lambda x, d: x - d, guess, improvement(static, given, guess)))
    y = spread(guess, shapes)
    allowed = tolerance(y.v[0].dtype)
    alive = jnp.isfinite(change(y, y))

    def more(carry: tuple[Middle, Any, Any]) -> Any:
        return (carry[2] < MOST) & jnp.any(alive & ~carry[1])

    def once(carry: tuple[Middle, Any, Any]) -> tuple[Middle, Any, Any]:
        y, fine, count = carry
        moved = improvement(static, given, y)
        share = _limit(y, moved)
        new = jax.tree.map(lambda x, d: jnp.where(fine, x, x - share * d), y, moved)
        return new, fine | ((change(new, moved) <= allowed) & (share >= 1)), count + 1

    y, fine, _ = jax.lax.while_loop(more, once, (y, jnp.zeros_like(alive), jnp.zeros((), jnp.int32)))
    return Solution(y, fine)


def perturbed(given: Given, tangents: Given) -> tuple[list[Any], list[Any], Any]:
    """The numbers that are moved, how they are, and the way back to the whole."""
    leaves, tree = jax.tree.flatten(given)
    moves = jax.tree.leaves(tangents, is_leaf=lambda t: isinstance(t, SymbolicZero))
    which = [k for k, t in enumerate(moves) if not isinstance(t, SymbolicZero)]

    def whole(values: list[Any]) -> Given:
        new = list(leaves)
        for k, value in zip(which, values, strict=True):
            new[k] = value
        return jax.tree.unflatten(tree, new)

    return [leaves[k] for k in which], [moves[k] for k in which], whole


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def settle(static: Static, given: Given, guess: Middle) -> Solution:
    """The mid-step values of a step; `guess` has no influence on their derivatives."""
    return newton(static, given, guess)


def _settle_jvp(static: Static, primals: tuple[Given, Middle], tangents: tuple[Given, Middle]) -> Any:
    given, guess = primals
    found = settle(static, given, guess)
    values, moves, whole = perturbed(given, tangents[0])
    flat = jnp.zeros(found.converged.shape, jax.dtypes.float0)
    if not values:
        still = jax.tree.map(jnp.zeros_like, found.y)
        return found, Solution(still, flat)
    pushed = jax.jvp(lambda *p: residuals(static, whole(list(p)), found.y), values, moves)[1]
    moved = solved(static, linear(static, given, found.y), *pushed)
    return found, Solution(jax.tree.map(lambda y, d: jnp.broadcast_to(-d, y.shape), found.y, moved), flat)


settle.defjvp(_settle_jvp, symbolic_zeros=True)
