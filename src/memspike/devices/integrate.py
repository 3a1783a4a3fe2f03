"""The one integrator of the state devices: exponential Rosenbrock–Euler steps, elementwise.

x' = x + h·φ₁(h·J)·f with J = ∂f/∂x and φ₁(z) = (e^z − 1)/z: exact where the rate f is linear in the state,
second order at a constant voltage otherwise, and bounded for every step where J < 0. A sub-step that is long
against 1/|J| of a strongly nonlinear rate stays bounded but is not accurate: raise `substeps`. Source: Hochbruck &
Ostermann, Acta Numerica 19: 209 (2010), doi 10.1017/S0962492910000048.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.devices.base import Real

Duration = Float[Array, "..."] | float

# a growth of e^20 within one sub-step ends at a bound of the state in any device
LARGEST_GROWTH = 20.0


def phi(z: Real) -> Real:
    """(e^z − 1)/z, with z held below 20 so that it cannot overflow."""
    z = jnp.minimum(z, LARGEST_GROWTH)
    small = jnp.abs(z) < 1e-3
    safe = jnp.where(small, 1.0, z)
    return jnp.where(small, 1 + z / 2 + z * z / 6, jnp.expm1(safe) / safe)


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
