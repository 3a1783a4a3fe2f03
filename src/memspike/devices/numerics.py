"""What the laws of state devices are computed with: an integrator, a bisection, smooth stand-ins for hard edges.

The one integrator takes exponential Rosenbrock–Euler steps, elementwise: x' = x + h·φ₁(h·J)·f with J = ∂f/∂x and
φ₁(z) = (e^z − 1)/z: exact where the rate f is linear in the state, second order at a constant voltage otherwise, and
bounded for every step where J < 0. A sub-step that is long against 1/|J| of a strongly nonlinear rate stays bounded but
is not accurate: raise `substeps`. Source: Hochbruck & Ostermann, Acta Numerica 19: 209 (2010), doi
10.1017/S0962492910000048. The exact limits of the stand-ins are named in each docstring.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from memspike.devices.base import Real
from memspike.parts.param import Parameter

Duration = Float[Array, "..."] | float

# a growth of e^20 within one sub-step ends at a bound of the state in any device
LARGEST_GROWTH = 20.0
# h·|J| of one part of a step that is to be resolved: 0.3 % of its change
LARGEST_CHANGE = 0.3


def phi(z: Real) -> Real:
    """(e^z − 1)/z, with z held below 20 so that it cannot overflow."""
    z = jnp.minimum(z, LARGEST_GROWTH)
    small = jnp.abs(z) < 1e-3
    safe = jnp.where(small, 1.0, z)
    return jnp.where(small, 1 + z / 2 + z * z / 6, jnp.expm1(safe) / safe)


# of tanh by a ratio of polynomials, exact to the last digits of float32 for |x| up to LARGEST_FALL/8
LARGEST_FALL = 17.6
TANH = (135135.0, 17325.0, 378.0, 1.0), (135135.0, 62370.0, 3150.0, 28.0)


def risen(z: Real) -> Real:
    """1 − e^(−z): the share of its way that a relaxation has gone after z time constants; below 0 what has grown.

    In float32 by 1 − e^(−z/4) = 2t/(1 + t), t = tanh(z/8), and two doublings: as exact as `expm1` for z ≥ 0 in a third
    of its time; a growth ends at e^17.6 and has a digit less.
    Source: Lambert's continued fraction of tanh, NIST Digital Library of Mathematical Functions, eq. 4.39.1.
    """
    if z.dtype != jnp.float32:
        return -jnp.expm1(-z)
    return _risen(z)


@jax.custom_jvp
def _risen(z: Real) -> Real:
    x = jnp.clip(z, -LARGEST_FALL, LARGEST_FALL) / 8
    above, below = (reduce(lambda s, a: s * (x * x) + a, reversed(p), jnp.zeros_like(x)) for p in TANH)
    share = 2 * x * above / (below + x * above)
    share = share * (2 - share)
    return share * (2 - share)


@_risen.defjvp
def _risen_jvp(z: tuple[Real], moved: tuple[Real]) -> tuple[Real, Real]:
    share = _risen(*z)
    return share, (1 - share) * moved[0]


def exponential_step(rate: Callable[[Real], Real], x: Real, dt: Duration) -> Real:
    """One step of `dt` seconds of dx/dt = rate(x), each element on its own."""
    f, slope = jax.jvp(rate, (x,), (jnp.ones_like(x),))
    return x + dt * phi(slope * dt) * f


def keep(x: Real, low: Any, high: Any) -> Real:
    """x inside [low, high]; at a bound the derivative still passes."""
    return jnp.where(x < low, low, jnp.where(x > high, high, x))


def repeat(step: Callable[[Any, Duration], Any], state: Any, dt: Duration, substeps: int) -> Any:
    """`substeps` equal parts of `dt`, each by `step(state, h)`; the state is broadcast to its final shape."""
    h = dt / substeps
    shapes = jax.eval_shape(lambda s: step(s, h), state)
    start = jax.tree.map(lambda x, like: jnp.broadcast_to(x, like.shape), state, shapes)
    return jax.lax.scan(lambda s, _: (step(s, h), None), start, None, length=substeps)[0]


def bounded(rate: Callable[[Real], Real], x: Real, dt: Duration, ends: tuple[Real, Real], substeps: int) -> Real:
    """A scalar state after `dt` seconds, never outside `ends`."""
    return repeat(lambda s, h: keep(exponential_step(rate, s, h), *ends), x, dt, substeps)


def resolved(rate: Callable[[Real], Real], x: Real, dt: Duration, ends: tuple[Real, Real], substeps: int) -> Real:
    """As `bounded`, for rates that change by orders of magnitude on the way.

    While parts are left none is longer than 0.3/|J|, so a runaway or a collapse is followed; the last part takes the
    rest of the time. Parts are of equal length where the rate hardly changes.
    """
    shape = jnp.broadcast_shapes(jax.eval_shape(rate, x).shape, jnp.shape(dt))

    def one(carry: tuple[Real, Real], count: Real) -> tuple[tuple[Real, Real], None]:
        state, left = carry
        f, slope = jax.jvp(rate, (state,), (jnp.ones_like(state),))
        share, steep = left / count, jnp.abs(slope)
        short = (share * steep > LARGEST_CHANGE) & (count > 1)
        h = jnp.where(short, LARGEST_CHANGE / jnp.where(short, steep, 1.0), share)
        return (keep(state + h * phi(slope * h) * f, *ends), left - h), None

    start = jnp.broadcast_to(x, shape), jnp.broadcast_to(jnp.asarray(dt, x.dtype), shape)
    return jax.lax.scan(one, start, jnp.arange(substeps, 0, -1, dtype=x.dtype))[0][0]


def bisect(above: Callable[[Real], Bool[Array, "..."]], low: Real, high: Real, steps: int) -> tuple[Real, Real]:
    """The bracket [low, high] after `steps` halvings; `above(x)` tells whether what is sought lies above x."""

    def halve(_: Any, bracket: tuple[Real, Real]) -> tuple[Real, Real]:
        middle = 0.5 * (bracket[0] + bracket[1])
        upper = above(middle)
        return jnp.where(upper, middle, bracket[0]), jnp.where(upper, bracket[1], middle)

    return jax.lax.fori_loop(0, steps, halve, (low, high))


# dividing by less would overflow float32
NEGLIGIBLE_BASE = 1e-12


def edge(distance: Real, width: Parameter) -> Real:
    """How fast a state may still move towards a bound at that distance: u(2 − u), u = distance/width; 1 from u = 1 on.

    Zero at the bound with a finite slope there, once differentiable, and **exactly** 1 farther than `width` away.
    """
    u = jnp.minimum(distance / width, 1.0)
    return u * (2 - u)


def positive_part(y: Real, width: Parameter) -> Real:
    """max(y, 0), exactly so below 0 and above `width`, once differentiable: y·u(2 − u) with u = y/width between."""
    above = jnp.where(y > 0, y, 0.0)
    return above * edge(above, width)


def gate(y: Real, width: Parameter) -> Real:
    """Exactly 0 below zero, exactly 1 beyond `width`, a cubic between; the unit step for width → 0."""
    u = jnp.clip(y / width, 0.0, 1.0)
    return u * u * (3 - 2 * u)


def power(base: Real, exponent: Parameter) -> Real:
    """base^exponent for base ≥ 0 and exponent ≥ 1, with finite derivatives in both at base = 0."""
    above = base > NEGLIGIBLE_BASE
    safe = jnp.where(above, base, 1.0)
    return jnp.where(above, jnp.exp(exponent * jnp.log(safe)), 0.0)


def magnitude(v: Real, width: Parameter) -> Real:
    """v²/√(v² + width²): |v| for width → 0, and smooth at 0."""
    return v * v / jnp.sqrt(v * v + width * width)


def root_magnitude(v: Real, width: Parameter) -> Real:
    """v²/(v² + width²)^¾: √|v| for width → 0, and smooth at 0."""
    square = v * v + width * width
    return v * v / (jnp.sqrt(square) * jnp.sqrt(jnp.sqrt(square)))
