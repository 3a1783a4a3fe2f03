"""One step of a netlist from the voltages of its capacitors to the next, with all switchings within it."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from memspike.devices.base import AbstractMemoryDevice, Real, select
from memspike.devices.numerics import keep
from memspike.devices.volatile import VO2
from memspike.neurons.netlist.elements import Memristor, VoltageSwitch
from memspike.neurons.netlist.equations import Given, Middle, Static, across
from memspike.neurons.netlist.events import capacitors, cut, excess, first
from memspike.neurons.netlist.implicit import settle


class Reached(NamedTuple):
    """Where a step ends: voltages, states, switches, the last mid-step values, and whether all of it was solved."""

    u: dict[int, Real]
    x: dict[int, Any]
    on: dict[int, Real]
    y: Middle
    solved: Bool[Array, "..."]


def _ends(static: Static, given: Given, y: Middle) -> tuple[dict[int, Real], dict[int, Any]]:
    """Voltages and states at the end of a step, twice the middle less the beginning; memories stay in their range.

    A memory of the last reversal is looked at here, with the voltage of the middle: reversals are as late as that.
    """
    states = {}
    for k, before in given.x.items():
        leaves, tree = jax.tree.flatten(before)
        after = [2 * x - x0 for x, x0 in zip(y.x[k], leaves, strict=True)]
        element: Any = given.elements[k]
        if isinstance(element, Memristor) and isinstance(element.device, AbstractMemoryDevice):
            after = [keep(x, *element.device.ends()) for x in after]
        states[k] = jax.tree.unflatten(tree, after)
        if isinstance(element, Memristor) and isinstance(element.device, VO2):
            states[k] = element.device.turn(states[k], across(static, given, y.v, element.nodes))
    return capacitors(static, given, y), states


def guess_of(given: Given, v: tuple[Real, ...]) -> Middle:
    """The mid-step values with states as they are."""
    return Middle(v, {k: tuple(jax.tree.leaves(x)) for k, x in given.x.items()})


@partial(jax.jit, static_argnums=(0, 3))  # traced once however often a program asks
def step(static: Static, given: Given, v: tuple[Real, ...], events: int) -> Reached:
    """The step from what is given; `v` is where the solution is sought. Up to so many switchings are found in it."""
    if not any(isinstance(e, VoltageSwitch) for e in given.elements):
        y, solved = settle(static, given, guess_of(given, v))
        return Reached(*_ends(static, given, y), given.on, y, solved)
    whole, left = given.h, given.h
    now, y, fine = given, guess_of(given, v), jnp.ones((), bool)
    for _ in range(events + 1):
        over = left <= 0
        now = now._replace(h=jnp.where(over, whole, left))
        due = {k: jnp.where(e > 0, 0.0 * e, jnp.inf) for k, e in excess(static, now, now.u).items()}
        at_once = first(due)
        waits = ~over & (sum(at_once.values()) <= 0)
        found = cut(static, now, y)
        u, x = _ends(static, now._replace(h=found.tau), found.y)
        flips = {k: jnp.where(over, 0.0, jnp.where(waits, found.which[k], at_once[k])) for k in at_once}
        on = {k: flips[k] + now.on[k] - 2 * flips[k] * now.on[k] for k in flips}
        fine = fine & (found.converged | ~waits)
        left = jnp.where(waits, left - found.tau, left)
        y = select(waits, found.y, guess_like(y, found.y))
        now = now._replace(u=select(waits, u, now.u), x=select(waits, x, now.x), on=on)
    return Reached(now.u, now.x, now.on, y, fine & (left <= 0))


def guess_like(y: Middle, like: Middle) -> Middle:
    """`y` in the shapes of another."""
    return jax.tree.map(lambda x, wide: jnp.broadcast_to(x, wide.shape), y, like)
