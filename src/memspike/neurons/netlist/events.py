"""Switches that switch within a step: when, and what that time depends on.

A step is cut where the control voltage of a switch reaches its threshold. The time of the cut is one more unknown, and
the crossing one more equation, so that derivatives are those of the moving event and not of a grid.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from memspike.devices.base import Real
from memspike.neurons.netlist.elements import Capacitor, VoltageSwitch
from memspike.neurons.netlist.equations import Given, Middle, Static, across, linear, residuals, solved, source_sum
from memspike.neurons.netlist.implicit import MOST, change, newton, perturbed, tolerance

EARLIEST = 1e-9  # of what is left of a step


class Cut(NamedTuple):
    """The step up to the first switching: mid-step values, length in s, 1 for the switch, whether it is solved."""

    y: Middle
    tau: Real
    which: dict[int, Real]
    converged: Bool[Array, "..."]


def capacitors(static: Static, given: Given, y: Middle) -> dict[int, Real]:
    """The voltages in V of the capacitors at the end of a step."""
    each = ((k, e) for k, e in enumerate(given.elements) if isinstance(e, Capacitor))
    return {k: 2 * across(static, given, y.v, e.nodes) - given.u[k] for k, e in each}


def excess(static: Static, given: Given, u: dict[int, Real]) -> dict[int, Real]:
    """For every switch how far its control voltage in V is beyond its next threshold; above 0 it switches."""
    found = {}
    for k, e in enumerate(given.elements):
        if isinstance(e, VoltageSwitch):
            volts = source_sum(given.elements, static.topology.path(e.control) or (), u)
            side = 1 - 2 * given.on[k]
            found[k] = side * ((0.0 if volts is None else volts) - e.threshold) - e.hysteresis
    return found


def _beyond(static: Static, given: Given, which: dict[int, Real], y: Middle) -> Real:
    """The excess of the chosen switch at the end."""
    every = excess(static, given, capacitors(static, given, y))
    return sum((which[k] * every[k] for k in which), jnp.zeros(()))


def first(share: dict[int, Real]) -> dict[int, Real]:
    """1 for the switch of the smallest share, none at infinity; of equal ones the first."""
    taken, found = jnp.zeros((), bool), {}
    least = jnp.stack(jnp.broadcast_arrays(*share.values())).min(axis=0)
    for k, one in share.items():
        mine = jnp.isfinite(one) & (one <= least) & ~taken
        found[k], taken = mine.astype(one.dtype), taken | mine
    return found


def _search(static: Static, given: Given, guess: Middle) -> Cut:
    whole = newton(static, given, guess)
    before = excess(static, given, given.u)
    after = excess(static, given, capacitors(static, given, whole.y))
    share = {k: jnp.where(after[k] > 0, before[k] / (before[k] - after[k]), jnp.inf) for k in before}
    which = first(share)
    event = jnp.stack(list(which.values())).sum(axis=0) > 0
    start = jnp.stack(jnp.broadcast_arrays(*share.values())).min(axis=0)
    h = jnp.broadcast_to(given.h, event.shape)
    tau = jnp.where(event, h * jnp.clip(jnp.where(event, start, 1.0), EARLIEST, 1.0), h)
    allowed = tolerance(tau.dtype)

    def once(carry: tuple[Middle, Any, Any, Any]) -> tuple[Middle, Any, Any, Any]:
        y, tau, fine, count = carry
        dy, dt = _moves(static, given._replace(h=tau), which, y)
        new = jnp.clip(tau + dt, EARLIEST * h, h)
        small = (change(y, dy) <= allowed) & (jnp.abs(new - tau) <= allowed * h)
        y = jax.tree.map(lambda x, d: jnp.where(fine, x, x + d), y, dy)
        return y, jnp.where(fine, tau, new), fine | small, count + 1

    def more(carry: tuple[Middle, Any, Any, Any]) -> Any:
        return (carry[3] < MOST) & jnp.any(~carry[2])

    begin = whole.y, tau, ~(event & whole.converged), jnp.zeros((), jnp.int32)
    y, tau, fine, _ = jax.lax.while_loop(more, once, begin)
    return Cut(y, tau, which, whole.converged & fine)


def _moves(static: Static, given: Given, which: dict[int, Real], y: Middle) -> tuple[Middle, Real]:
    """Newton's changes of the mid-step values and of the length of the step."""
    at = linear(static, given, y)
    by_values = solved(static, at, *residuals(static, given, y))
    by_time = _by_time(static, given, at, y)

    def beyond(y: Middle) -> Real:
        return _beyond(static, given, which, y)

    e, slope = jax.jvp(beyond, (y,), (by_values,))
    speed = jax.jvp(beyond, (y,), (by_time,))[1]
    dt = (e - slope) / jnp.where(speed == 0, 1.0, speed)
    return jax.tree.map(lambda a, w: -a - w * dt, by_values, by_time), dt


def _by_time(static: Static, given: Given, at: Any, y: Middle) -> Middle:
    """−dy/dh."""
    moved = jax.jvp(lambda h: residuals(static, given._replace(h=h), y), (given.h,), (jnp.ones_like(given.h),))[1]
    return solved(static, at, *moved)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def cut(static: Static, given: Given, guess: Middle) -> Cut:
    """The step up to its end, or up to the first switching within it."""
    return _search(static, given, guess)


def _cut_jvp(static: Static, primals: tuple[Given, Middle], tangents: tuple[Given, Middle]) -> Any:
    given, guess = primals
    found = cut(static, given, guess)
    values, moves, whole = perturbed(given, tangents[0])
    still = jax.tree.map(jnp.zeros_like, found)._replace(converged=jnp.zeros(found.converged.shape, jax.dtypes.float0))
    if not values:
        return found, still
    here = given._replace(h=found.tau)
    at = linear(static, here, found.y)

    def left_over(*p: Any) -> Any:
        now = whole(list(p))._replace(h=found.tau)
        return residuals(static, now, found.y), _beyond(static, now, found.which, found.y), whole(list(p)).h

    pushed, e, h = jax.jvp(left_over, values, moves)[1]
    by_values, by_time = solved(static, at, *pushed), _by_time(static, here, at, found.y)

    def beyond(y: Middle) -> Real:
        return _beyond(static, here, found.which, y)

    slope, speed = (jax.jvp(beyond, (found.y,), (one,))[1] for one in (by_values, by_time))
    event = sum(found.which.values()) > 0
    dt = jnp.where(event, (e - slope) / jnp.where(event, speed, 1.0), h)
    y = jax.tree.map(lambda y, a, w: jnp.broadcast_to(-a - w * dt, y.shape), found.y, by_values, by_time)
    return found, still._replace(y=y, tau=jnp.broadcast_to(dt, found.tau.shape))


cut.defjvp(_cut_jvp, symbolic_zeros=True)
