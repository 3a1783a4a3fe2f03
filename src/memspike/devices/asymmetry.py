"""How unequal potentiation and depression are, and what that does to learning."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from memspike.devices.base import AbstractPulseDevice, Real, span
from memspike.devices.numerics import bisect

Curve = Float[np.ndarray, " points"]
Values = Float[np.ndarray, " points"] | float


class Response(NamedTuple):
    """Mean steps of one device over its range, over those of a linear device with `pulses` pulses a sweep.

    `share` is of the range; `up` and `down` are both counted positive: shares of the range where `pulses` is 1.
    `symmetry_point` is the share where they are equal (NaN if nowhere); random pulses of both signs drive the device to
    it if `attracting`, else away.

    E[Δg] = (F·E[n] − A·E|n|)/pulses for random whole pulses n at g, with F = (q⁺ + q⁻)/2 and A = (q⁻ − q⁺)/2: the
    second part is a drift that is there even where the wanted change is zero on average.
    """

    share: Curve
    up: Curve
    down: Curve
    pulses: float
    symmetry_point: float
    attracting: bool

    @property
    def mean(self) -> Curve:
        """F: how much of a wanted change happens."""
        return 0.5 * (self.up + self.down)

    @property
    def asymmetry(self) -> Curve:
        """A: what every pulse of either sign moves downwards on average."""
        return 0.5 * (self.down - self.up)

    def drift(self, share: Values, mean: Values = 0.0, activity: Values = 1.0) -> Float[np.ndarray, " points"]:
        """Expected change of the share of the range by one update with E[n] = `mean` and E|n| = `activity`."""
        f, a = (np.interp(share, self.share, curve) for curve in (self.mean, self.asymmetry))
        return np.atleast_1d((f * mean - a * activity) / self.pulses)

    def penalty(self) -> Curve:
        """∫ A/F dg from the symmetry point (mid-range without one): what analog SGD adds to the loss.

        With pulses in proportion to a noisy gradient the stationary point solves dL/dw = −(A/F)·E|∂L/∂w|, so the loss
        that is minimised is L + E|∂L/∂w|·penalty, whatever the learning rate; per unit of g as weight.
        """
        slope = self.asymmetry / np.maximum(self.mean, 1e-12)
        steps = 0.5 * (slope[1:] + slope[:-1]) * np.diff(self.share)
        summed = np.concatenate([[0.0], np.cumsum(steps)])
        start = self.symmetry_point if np.isfinite(self.symmetry_point) else 0.5
        return summed - np.interp(start, self.share, summed)


def asymmetry(device: AbstractPulseDevice, points: int = 401) -> Response:
    """The response of a device with scalar parameters, its steps as shares of the range."""
    share = jnp.linspace(0.0, 1.0, points)
    state = device.place(device.init((points,)), device.g_min + span(device) * share)
    before = device.stored(state)
    up, down = (
        np.asarray(sign * (device.stored(device.program(state, sign)) - before) / span(device), dtype=float)
        for sign in (1, -1)
    )
    grid = np.asarray(share, dtype=float)
    return Response(grid, up, down, 1.0, *symmetry_point(grid, up, down))


def response(device: AbstractPulseDevice, pulses: float | None = None, points: int = 401) -> Response:
    """The response of a device with scalar parameters over that of a linear one with `pulses` pulses a sweep.

    `pulses` is by default 1 over the mean step.
    Source of the drift law: the expectation of one write, as in the analyses of analog SGD by Wu, Gokmen, Rasch & Chen,
    arXiv 2406.12774.
    """
    found = asymmetry(device, points)
    number = pulses or float(2 / (found.up.mean() + found.down.mean()))
    return found._replace(up=number * found.up, down=number * found.down, pulses=number)


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
