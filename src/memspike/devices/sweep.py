"""Sinusoidal current–voltage loops of a state device, with a series load."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.devices.base import AbstractStateDevice, Real
from memspike.devices.numerics import bisect

BISECTIONS = 50


class Sweep(NamedTuple):
    """A loop on `steps·periods + 1` times: t in s, device voltage in V, current in A, states."""

    t: Float[Array, " time"]
    v: Float[Array, " time"]
    i: Float[Array, " time"]
    states: Any


def load_line(device: AbstractStateDevice, state: Any, supply: Real, load: Real | float) -> Real:
    """The device voltage v with v + load·i(state, v) = supply, by bisection (i grows with v)."""
    zero = jnp.zeros_like(supply)
    ends = jnp.minimum(supply, zero), jnp.maximum(supply, zero)
    low, high = bisect(lambda v: ~(v + load * device.current(state, v) > supply), *ends, BISECTIONS)
    return jnp.where(supply == 0, zero, 0.5 * (low + high))


def sweep(
    device: AbstractStateDevice,
    amplitude: float | Real,
    frequency: float | Real,
    *,
    periods: int = 1,
    steps: int = 2000,
    load: float | Real = 0.0,
) -> Sweep:
    """Drive a rested device with amplitude·sin(2πft) volts through `load` Ω; `steps` (even) midpoint steps a period.

    With load = 0 the source is across the device. A device with a region of negative differential resistance
    needs a load, and steps that are short against its own time constant.
    """
    # as arrays, so that another amplitude, frequency or load does not compile again
    u, dt, ohms = (jnp.asarray(x, dtype=float) for x in (amplitude, 1 / (frequency * steps), load))
    return _loop(device, u, dt, ohms, (periods, steps))


@eqx.filter_jit
def _loop(device: AbstractStateDevice, amplitude: Real, dt: Real, load: Real, count: tuple[int, int]) -> Sweep:
    periods, steps = count

    def source(k: Real) -> Real:
        # by half periods, so that the zero crossings are exact
        sign = jnp.where(jnp.mod(k, steps) < 0.5 * steps, 1.0, -1.0)
        return sign * amplitude * jnp.sin(2 * jnp.pi * (jnp.mod(k, 0.5 * steps) / steps))

    def voltage(state: Any, k: Real) -> Real:
        return load_line(device, state, source(k), load)

    def step(state: Any, k: Real) -> tuple[Any, Any]:
        v = voltage(state, k)
        middle = voltage(device.advance(state, v, dt / 2), k + 0.5)
        return device.advance(state, middle, dt), (v, device.current(state, v), state)

    whole = jnp.arange(steps * periods + 1, dtype=jnp.result_type(float))
    _, (v, i, states) = jax.lax.scan(step, device.init(), whole)
    return Sweep(whole * dt, v, i, states)


class SweepSetting(NamedTuple):
    """Amplitude in V, middle frequency in Hz (a tenth and ten times it are shown too), series load in Ω."""

    amplitude: float
    frequency: float
    load: float


SWEEPS = {
    "mif-pair": SweepSetting(0.2, 100.0, 0.0),
    "knowm": SweepSetting(0.5, 1e3, 0.0),
    "vteam": SweepSetting(0.25, 1e6, 0.0),
    "mif-synapse": SweepSetting(0.11, 1e3, 0.0),
    "yakopcic": SweepSetting(0.45, 100.0, 0.0),
    "stanford-pku": SweepSetting(2.0, 1e5, 1e3),
    "linear-ion-drift": SweepSetting(1.2, 0.5, 0.0),
    "threshold-switch": SweepSetting(0.2, 1e3, 0.0),
    "nbo2": SweepSetting(2.0, 1e7, 3e3),
    "diffusive": SweepSetting(1.5, 1.0, 0.0),
    "vo2": SweepSetting(14.0, 2e5, 5e3),
}
