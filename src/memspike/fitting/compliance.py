"""A device behind a source that limits its current: the limit acts inside the rate, not between steps."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from memspike.devices.base import Real
from memspike.devices.numerics import Duration, bounded, resolved
from memspike.devices.volatile import DiffusiveState


def limited(device: Any, state: Any, v: Real, limit: Real, bend: Real | float | None) -> Real:
    """The voltage in V across a device under `limit` A: `v`, or the one at which it carries the limit if that is less.

    At one polarity the current goes as sinh(v/bend), with `bend` in V; None is ohmic.
    """
    turn, unit = jnp.where(v < 0, -1.0, 1.0), 1.0 if bend is None else bend
    share = limit / jnp.maximum(jnp.abs(device.current(state, turn * unit)), 1e-30)
    most = share if bend is None else unit * jnp.arcsinh(share * jnp.sinh(1.0))
    return jnp.where(jnp.abs(v) > most, turn * most, v)


def advance(
    device: Any, across: Callable[[Any], Real], state: Any, dt: Duration, ends: tuple[Real, Real], parts: int
) -> Any:
    """The state after `dt` seconds at the voltage `across(state)`; the two populations of a diffusive device in turn."""
    if not isinstance(state, DiffusiveState):
        return resolved(lambda x: device.rate(x, across(x)), state, dt, ends, parts)

    def slow(s: DiffusiveState) -> DiffusiveState:
        moved = bounded(lambda r: device.rate(s._replace(r=r), across(s)).r, s.r, dt / 2, ends, 1)
        return DiffusiveState(jnp.minimum(s.f, 1 - moved), moved)

    def fast(f: Real) -> Real:
        s = half._replace(f=f)
        return device.rate(s, across(s)).f

    half = slow(state)
    return slow(half._replace(f=resolved(fast, half.f, dt, (ends[0], 1 - half.r), parts)))
