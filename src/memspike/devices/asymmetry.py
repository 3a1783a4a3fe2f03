"""How unequal potentiation and depression are: response functions, symmetry point, half-range asymmetry."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from memspike.devices.base import AbstractPulseDevice, Real, span
from memspike.devices.bisection import bisect

Curve = Float[np.ndarray, " points"]


class Asymmetry(NamedTuple):
    """Mean response of one device over its range; all conductances as shares of the range.

    `up` and `down` are the mean steps of one pulse, both counted positive. `symmetry_point` is where they are
    equal (NaN if nowhere); random pulses of both signs drive the device to it if `attracting`, else away.
    """

    share: Curve
    up: Curve
    down: Curve
    symmetry_point: float
    attracting: bool


def asymmetry(device: AbstractPulseDevice, points: int = 401) -> Asymmetry:
    """The response functions of a device with scalar parameters and its symmetry point."""
    share = jnp.linspace(0.0, 1.0, points)
    state = device.place(device.init((points,)), device.g_min + span(device) * share)
    before = device.stored(state)
    up, down = (
        np.asarray(sign * (device.stored(device.program(state, sign)) - before) / span(device), dtype=float)
        for sign in (1, -1)
    )
    grid = np.asarray(share, dtype=float)
    return Asymmetry(grid, up, down, *symmetry_point(grid, up, down))


def symmetry_point(share: Curve, up: Curve, down: Curve) -> tuple[float, bool]:
    """Where the steps `up` and `down` (both positive) are equal, nearest to mid-range, and whether it attracts.

    All are shares of the range. NaN and False if there is no such point.
    """
    # where a pulse ends at a bound, the clip hides its true size
    free = (share + up < 1 - 1e-6) & (share - down > 1e-6)
    gap, grid = (up - down)[free], share[free]
    crossing = np.flatnonzero(np.signbit(gap[1:]) != np.signbit(gap[:-1]))
    if not len(crossing) or np.abs(gap).max() < 1e-6:
        return float("nan"), False
    k = int(crossing[np.argmin(np.abs(grid[crossing] - 0.5))])
    where = grid[k] + (grid[k + 1] - grid[k]) * gap[k] / (gap[k] - gap[k + 1])
    return float(where), bool(gap[k] > gap[k + 1])


def half_range_asymmetry(device: AbstractPulseDevice, pulses_up: int, pulses_down: int) -> float:
    """Share reached by half of `pulses_up` from G_min less that left by half of `pulses_down` from G_max.

    0 when depression retraces potentiation; both counts are those of a full sweep.
    """
    low = device.place(device.init(), jnp.asarray(device.g_min))
    high = device.place(device.init(), jnp.asarray(device.g_max))
    risen = device.stored(device.program(low, pulses_up / 2))
    fallen = device.stored(device.program(high, -pulses_down / 2))
    return float((risen - fallen) / span(device))


def symmetry_points(device: AbstractPulseDevice, shape: tuple[int, ...] = ()) -> Real:
    """The conductance in S where the mean steps up and down are equal, for each of `shape` devices by bisection.

    For laws with one such point, as all step laws here; NaN where up exceeds down, or falls short, all over.
    """
    blank = device.init(shape)

    def gap(share: Real) -> Real:
        state = device.place(blank, device.g_min + span(device) * share)
        up, down = (device.stored(device.program(state, n)) - device.stored(state) for n in (1, -1))
        return up + down

    like = jnp.zeros_like(device.stored(blank))
    low, high = like + 1e-3, like + (1 - 1e-3)
    first, last = gap(low), gap(high)

    below, above = bisect(lambda share: jnp.sign(gap(share)) == jnp.sign(first), low, high, 40)
    share = 0.5 * (below + above)
    found = device.place(blank, device.g_min + span(device) * share)
    # where a pulse ends at a bound, the clip hides its true size
    up, down = ((device.stored(device.program(found, n)) - device.g_min) / span(device) for n in (1, -1))
    free = (up < 1 - 1e-6) & (down > 1e-6) & (jnp.sign(first) * jnp.sign(last) < 0)
    return jnp.where(free, device.stored(found), jnp.nan)
