"""How far membranes at a step are from those at finer steps, and which step is fine enough for a circuit simulator."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from memspike.networks.simulate import Events, simulate
from memspike.parts.errors import InputError

Real = Float[Array, "..."]
# of so many times finer steps, the membranes of all layers, [steps, *batch, neurons] in V each
Membranes = tuple[Real, ...]
Runs = Callable[[int], Membranes]

SPICE = 1e-3
"""Largest deviation in V of a run that is as accurate as a circuit simulator."""
FINEST = 4096


class Step(NamedTuple):
    """A time step in s, and the largest deviation in V that is estimated for it."""

    dt: float
    deviation: float


def refined(inputs: Events | Real, times: int) -> Events | Real:
    """The same inputs in `times` finer steps: voltages [steps, ...] that are held are held as long."""
    return inputs if isinstance(inputs, Events) else jnp.repeat(inputs, times, axis=0)


def at_starts(spikes: Real, times: int) -> Real:
    """The same spikes [steps, ...], which come at the starts of steps, in `times` finer steps."""
    return jnp.zeros((len(spikes) * times, *spikes.shape[1:]), spikes.dtype).at[::times].set(spikes)


def apart(coarse: Membranes, fine: Membranes) -> float:
    """The largest difference in V at the ends of the coarse steps, of all layers."""
    found = [0.0]
    for one, other in zip(coarse, fine, strict=True):
        ratio = len(other) // len(one)
        found.append(float(jnp.abs(other[ratio - 1 :: ratio] - one).max()))
    return max(found) if np.isfinite(found).all() else float("inf")


def deviation(run: Runs, *, settled: float = 0.1e-3, first: int = 16) -> float:
    """How far, in V, the membranes at a step are from those at a fine step, at the ends of the steps.

    A fine step is one that changes them by less than `settled` V when it is halved; `first` is where the search begins.
    Where none is found down to 1/4096, it is the finest one.
    """
    coarse, times = run(1), first
    fine = run(times)
    while times < FINEST:
        finer = run(2 * times)
        if apart(fine, finer) < settled:
            return apart(coarse, finer)
        times, fine = 2 * times, finer
    return apart(coarse, fine)


def fine_enough(run: Runs, within: float = SPICE) -> tuple[int, float]:
    """How many times finer steps have to be for membranes within `within` V of the exact ones, and the estimate in V.

    Steps are halved until the estimate is half of that: 4/3 of what the next halving changes (Richardson), since the
    method is of second order. InputError where steps 4096 times finer are not enough.
    """
    times, coarse, estimate = 1, run(1), float("inf")
    while times < FINEST:
        fine = run(2 * times)
        estimate = 4 / 3 * apart(coarse, fine)
        if estimate <= 0.5 * within:
            return times, estimate
        times, coarse = 2 * times, fine
    raise InputError(
        f"Membranes still deviate by some {1e3 * estimate:.3g} mV at steps {FINEST} times finer; {1e3 * within:g} mV "
        "are wanted."
    )


def accurate_step(
    network: Any,
    seen: Any,
    inputs: Events | Float[Array, "steps *batch rows"],
    *,
    steps: int,
    dt: float,
    within: float = SPICE,
) -> Step:
    """The step, `dt` or a half, a quarter … of it, at which all membranes of a trial are within `within` V of exact.

    `seen` holds the conductances of every crossbar, as for `simulate`; the trial has `steps` of `dt` seconds.
    InputError where no such step is found.
    """
    times, estimate = fine_enough(runs_of(network, seen, inputs, steps=steps, dt=dt), within)
    return Step(dt / times, estimate)


def runs_of(network: Any, seen: Any, inputs: Events | Real, *, steps: int, dt: float) -> Runs:
    """A trial of `steps` of `dt` seconds, without read noise, in so many times finer steps."""

    def run(times: int) -> Membranes:
        def trial(seen: Any, inputs: Any) -> Membranes:
            return simulate(network, seen, inputs, steps=steps * times, dt=dt / times, checkpoint=False)

        return jax.jit(trial)(seen, refined(inputs, times))

    return run
