"""95 % intervals from the information at the maximum, with Student's t where few ramps decide."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import optimize, stats

from memspike.fitting.likelihood import HIGHEST, LOWEST, NOISES, Maximum, Problem

Vector = Float[np.ndarray, " _"]
Table = Float[np.ndarray, "n n"]
LEVEL = 0.975


class Uncertainty(NamedTuple):
    """Covariance of θ, Student's degrees of freedom of each, and whether every direction was determined."""

    covariance: Table
    freedom: Vector
    sound: bool


def _inverse(table: Table, on: Bool[np.ndarray, " n"]) -> tuple[Table, bool]:
    """The inverse of the information of some parameters (zero elsewhere), and whether it was regular."""
    found, part = np.zeros_like(table), table[np.ix_(on, on)]
    if not on.any() or not np.isfinite(part).all():
        return found, False
    scale = np.sqrt(np.maximum(np.diag(part), 1e-30))
    values, vectors = np.linalg.eigh(part / np.outer(scale, scale))
    good = values > 1e-9
    found[np.ix_(on, on)] = (vectors[:, good] / values[good]) @ vectors[:, good].T / np.outer(scale, scale)
    return found, bool(good.all())


def uncertainty(problem: Problem, best: Maximum, ramps: tuple[int, int]) -> Uncertainty:
    """How well θ is known, from so many ramps up and down.

    The part of each variance that ramps of different speed and window bring has as many degrees of freedom as there
    are ramps less one, the rest as many as points; they are joined after Welch and Satterthwaite.
    """
    first, theta = 2 * problem.size, best.theta
    low, high = problem.box()
    law = np.arange(len(theta)) < first
    on = ~problem.fixed & (~law | ((theta > low + 1e-6) & (theta < high - 1e-6)))
    # noise that is not there is known to be none
    noise = slice(first, first + len(NOISES))
    on[noise] &= theta[noise] > LOWEST + 1e-3
    total, sound = _inverse(problem.scores(theta, best.shift)[1], on)
    still = theta.copy()
    still[first + 2 : first + 4], still[first + 5] = LOWEST[2:4], LOWEST[5]
    kept = on & ~np.isin(np.arange(len(theta)), [first + 2, first + 3, first + 5])
    alone, _ = _inverse(problem.scores(still, best.shift)[1], kept)
    freedom = np.full(len(theta), 1e6)
    for side, count in enumerate(ramps):
        here = np.zeros(len(theta), bool)
        here[side * problem.size : (side + 1) * problem.size] = on[side * problem.size : (side + 1) * problem.size]
        if count < 2 or not here.any():
            continue
        own, rest = np.diag(total)[here], np.minimum(np.diag(alone)[here], np.diag(total)[here])
        of_ramps = (own - rest) * count / (count - 1)
        scale = np.sqrt((rest + of_ramps) / np.maximum(own, 1e-300))
        total[here] *= scale[:, None]
        total[:, here] *= scale
        freedom[here] = (rest + of_ramps) ** 2 / np.maximum(of_ramps**2 / (count - 1) + rest**2 / 1e6, 1e-300)
    return Uncertainty(total, freedom, sound and bool(on[law & ~problem.fixed].all()))


def half(known: Uncertainty) -> Vector:
    """Half the 95 % interval of every θ."""
    return stats.t.ppf(LEVEL, np.maximum(known.freedom, 1.0)) * np.sqrt(np.maximum(np.diag(known.covariance), 0.0))


def noise_interval(problem: Problem, best: Maximum, known: Uncertainty, k: int) -> tuple[float, float]:
    """95 % interval of the s.d. `NOISES[k]`, a share: on a logarithmic scale where it is clear, else by likelihood."""
    at = 2 * problem.size + k
    value, spread = float(np.exp(best.theta[at])), float(np.sqrt(max(known.covariance[at, at], 0.0)))
    if 0 < spread < 0.35:
        return value * np.exp(-1.96 * spread), value * np.exp(1.96 * spread)
    return 0.0, max(_fall(problem, best, at), value)


def _fall(problem: Problem, best: Maximum, k: int) -> float:
    """The s.d. at which the likelihood has fallen by χ²(95 %)/2, the other parameters kept."""
    level = best.loss + 0.5 * float(stats.chi2.ppf(0.95, 1))

    def excess(x: float) -> float:
        moved = best.theta.copy()
        moved[k] = x
        return problem.loss(moved, best.shift)[0] - level

    top = float(HIGHEST[k - 2 * problem.size])
    start, step = float(best.theta[k]), 0.5
    while start < top and not excess(min(start + step, top)) > 0:
        start, step = min(start + step, top), 1.5 * step
    if start >= top:
        return float(np.exp(top))
    found: Any = optimize.brentq(excess, start, min(start + step, top), xtol=0.02)
    return float(np.exp(found))


def between(speed: Vector, error: Vector) -> tuple[float, float, float]:
    """Estimate and 95 % interval of the s.d. of values with known variances of their errors.

    The weighted sum of squares about the weighted mean is χ² with one degree less than values at the true s.d.,
    and falls with it: exact, also where it is hard to tell from 0. The estimate is where it is its expectation.
    """

    def squares(spread: float) -> float:
        weight = 1 / (error + spread**2)
        return float((weight * (speed - (weight * speed).sum() / weight.sum()) ** 2).sum())

    def where(level: float) -> float:
        if squares(0.0) <= level:
            return 0.0
        return float(optimize.brentq(lambda s: squares(s) - level, 0.0, 1e3))  # pyright: ignore[reportArgumentType]

    free = len(speed) - 1
    low, high = (where(float(stats.chi2.ppf(q, free))) for q in (LEVEL, 1 - LEVEL))
    return where(float(free)), low, high


def raw_speeds(problem: Problem, best: Maximum) -> tuple[Vector, Vector]:
    """The relative speed of every trace's last ramp as its own reads tell it, and the variance of its error."""
    theta, first = best.theta.copy(), 2 * problem.size
    wide = np.maximum(theta[first + 2 : first + 4], np.log(0.3))
    theta[first + 2 : first + 4] = wide
    speed, error = np.zeros(problem.traces), np.zeros(problem.traces)
    for group in problem.groups:
        found = problem.run(theta, group, best.shift)
        last = np.array([np.flatnonzero(n)[-1] for n in group.pulses.T[: len(group.which)]])
        up = group.pulses[last, np.arange(len(group.which))] > 0
        prior = np.exp(2 * np.where(up, wide[0], wide[1]))
        d, v = (np.asarray(a)[: len(group.which)] for a in (found.speed, found.speed_variance))
        v = np.minimum(v, prior * (1 - 1e-9))
        precision = 1 / v - 1 / prior
        speed[group.which], error[group.which] = d / (v * precision), 1 / precision
    return speed, error
