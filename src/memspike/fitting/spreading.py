"""The noise that gives simulated ramps the spread of the measured ones, pulse by pulse."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import optimize

from memspike.fitting.candidate import SHARES, Candidate, Data
from memspike.fitting.series import SIDES

Vector = Float[np.ndarray, " _"]
LENGTHS = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 1e9)  # pulses over which a ramp may forget its speed
FEWEST = 8  # ramps of a direction whose spread says something
ODDS = 1.0  # of −log likelihood of the variance at one read, beyond which the noise of the pulses does not explain it


class Noise(NamedTuple):
    """S.d. of read and write noise in S, of the speed of ramps, and the pulses over which a ramp forgets it."""

    read: float
    up: float
    down: float
    ramp_up: float
    ramp_down: float
    length: float = 1e9


def of_likelihood(best: Candidate) -> Noise:
    """What the likelihood found."""
    return Noise(best.read_noise, best.noise_up, best.noise_down, best.variation_up, best.variation_down)


class _Ramps(NamedTuple):
    """One direction: variance of the change after 1, 2, … pulses in S², mean step in S and its slope at every pulse."""

    variance: Vector
    step: Vector
    slope: Vector
    ramps: int


def _ramps(data: Data, best: Candidate, side: int) -> _Ramps | None:
    """None where the ramps are few, or are not of single pulses."""
    name, sign = SIDES[side]
    on, curve = data.series.side(sign), getattr(best, f"curve_{name}")
    believed = np.where(data.share.known, data.y, data.share.path)  # a glitch is no spread
    g = data.width * np.where(np.isfinite(data.series.g), believed, np.nan)[on][:, : len(curve)]
    if len(g) < FEWEST or not (np.abs(data.series.pulses[on][:, : len(curve) - 1]) <= 1).all():
        return None
    reach = int(np.isfinite(g).all(axis=0).cumprod().sum())
    if reach < 10:
        return None
    low, width = float(best.law.g_min), float(best.law.g_max - best.law.g_min)
    share, step = (curve[: reach - 1] - low) / width, getattr(best, f"step_{name}")
    slope = np.interp(share, SHARES, np.gradient(step, SHARES * width))
    return _Ramps((g - g[:, :1])[:, 1:reach].var(axis=0, ddof=1), np.interp(share, SHARES, step), slope, len(g))


def _parts(of: _Ramps, length: float) -> Float[np.ndarray, "reads 3"]:
    """Variance after 1, 2, … pulses of unit read, write and speed variance, by the linearised law."""
    kept, write, both, cross, found = float(np.exp(-1 / length)), 0.0, 0.0, 0.0, []
    for step, slope in zip(of.step, 1 + of.slope, strict=True):
        write = slope**2 * write + 1
        both = slope**2 * both + 2 * slope * step * cross + step**2
        cross = (slope * cross + step) * kept
        found.append((2.0, write, both))
    return np.array(found)


def _misfit(seen: Vector, of_model: Vector, freedom: Vector) -> float:
    """−log likelihood of variances (χ²), read by read, over that of the true ones; neighbours tell the same."""
    ratio = seen / np.maximum(of_model, 1e-300)
    return float((0.5 * freedom * (ratio - 1 - np.log(np.maximum(ratio, 1e-300)))).mean())


def spreading(data: Data, best: Candidate) -> Noise | None:
    """The noise whose simulated ramps spread as the measured ones; none where the likelihood's own already does.

    Where noise is not independent from pulse to pulse (slow noise of the read, say) what single pulses show does not
    add up to the spread of a ramp. Non-negative least squares of the variances, weighted by those of the model.
    """
    sides = [_ramps(data, best, k) for k in (0, 1)]
    if sides[0] is None or sides[1] is None:
        return None
    seen = np.concatenate([of.variance for of in sides if of])
    freedom = np.concatenate([np.full(len(of.variance), of.ramps - 1.0) for of in sides if of])

    def design(length: float) -> Float[np.ndarray, "reads 5"]:
        up, down = (_parts(of, length) for of in sides if of)
        read = np.concatenate([up[:, :1], down[:, :1]])
        own = [np.pad(up[:, 1:], ((0, len(down)), (0, 0))), np.pad(down[:, 1:], ((len(up), 0), (0, 0)))]
        return np.hstack([read, *own])

    first = of_likelihood(best)
    start = np.array([first.read, first.up, first.ramp_up, first.down, first.ramp_down]) ** 2
    before = _misfit(seen, design(first.length) @ start, freedom)
    found = []
    for length in LENGTHS:
        parts, weight, variances = design(length), 1 / seen, start
        for _ in range(10):
            variances, _ = optimize.nnls(parts * weight[:, None], seen * weight)
            weight = 1 / np.maximum(parts @ variances, 1e-3 * seen)
        found.append((_misfit(seen, parts @ variances, freedom), length, np.sqrt(variances)))
    after, length, (read, up, ramp_up, down, ramp_down) = min(found, key=lambda f: f[0])
    if before - after < ODDS:
        return None
    return Noise(*map(float, (read, up, down, ramp_up, ramp_down, length)))
