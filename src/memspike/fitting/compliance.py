"""A device behind a source that limits its current: the limit acts inside the rate, not between steps."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from memspike.devices.base import Real
from memspike.devices.numerics import Duration, bounded, keep, phi
from memspike.devices.volatile import DiffusiveState

Across = Callable[[Any, Real], Real]
MOST = 300  # trials of one step in time


def limited(device: Any, state: Any, v: Real, limit: Real, bend: Real | float | None) -> Real:
    """The voltage in V across a device under `limit` A: `v`, or the one at which it carries the limit if that is less.

    At one polarity the current goes as sinh(v/bend), with `bend` in V; None is ohmic.
    """
    turn, unit = jnp.where(v < 0, -1.0, 1.0), 1.0 if bend is None else bend
    share = limit / jnp.maximum(jnp.abs(device.current(state, turn * unit)), 1e-30)
    most = share if bend is None else unit * jnp.arcsinh(share * jnp.sinh(1.0))
    return jnp.where(jnp.abs(v) > most, turn * most, v)


def followed(
    rate: Callable[[Real, Real], Real], x: Real, dt: Duration, ends: tuple[Real, Real], tolerance: float
) -> Real:
    """A scalar state after `dt` seconds of dx/dt = rate(x, share of dt gone), as exactly as `tolerance` asks.

    Exponential Rosenbrock steps of h with f at their middle; ½·h times what the rates at both ends of a step differ
    from it and its slope is taken as the error. A longer step is repeated shorter, so none jumps over the state where
    the limiter stops it. After `MOST` trials the last step takes the rest.
    """

    def one(carry: tuple[Real, ...]) -> tuple[Real, ...]:
        state, gone, h, count = carry
        last = count >= MOST
        h = jnp.where(last, 1 - gone, jnp.minimum(h, 1 - gone))
        f, slope = jax.jvp(lambda y: rate(y, gone + h / 2), (state,), (jnp.ones_like(state),))
        after = keep(state + h * dt * phi(slope * h * dt) * f, *ends)
        wrong = rate(after, gone + h) + rate(state, gone) - 2 * f - slope * (after - state)
        miss = jax.lax.stop_gradient(0.5 * h * dt * jnp.abs(wrong) / tolerance)
        good = (miss <= 1) | last
        longer = jax.lax.stop_gradient(h * jnp.clip(0.9 / jnp.cbrt(jnp.maximum(miss, 1e-9)), 0.1, 10.0))
        there = jnp.where(h >= 1 - gone, 1.0, gone + h)
        return jnp.where(good, after, state), jnp.where(good, there, gone), longer, count + 1

    start = (x, jnp.zeros_like(x), jnp.ones_like(x), jnp.zeros_like(x))
    return jax.lax.while_loop(lambda c: (c[1] < 1).any(), one, start)[0]


def advance(device: Any, across: Across, state: Any, dt: Duration, ends: tuple[Real, Real], tolerance: float) -> Any:
    """The state after `dt` seconds at the voltage `across(state, share of dt gone)`; two populations go in turn."""
    if not isinstance(state, DiffusiveState):
        return followed(lambda x, gone: device.rate(x, across(x, gone)), state, dt, ends, tolerance)

    def slow(s: DiffusiveState, gone: float) -> DiffusiveState:
        v = across(s, jnp.asarray(gone))
        moved = bounded(lambda r: device.rate(s._replace(r=r), v).r, s.r, dt / 2, ends, 1)
        return DiffusiveState(jnp.minimum(s.f, 1 - moved), moved)

    def fast(f: Real, gone: Real) -> Real:
        s = half._replace(f=f)
        return device.rate(s, across(s, gone)).f

    half = slow(state, 0.0)
    return slow(half._replace(f=followed(fast, half.f, dt, (ends[0], 1 - half.r), tolerance)), 1.0)
