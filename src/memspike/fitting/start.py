"""Before the likelihood: the range that the ramps run over, and where the search for a law begins."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from memspike.fitting.candidates import Law, hats
from memspike.fitting.likelihood import DOSES, NOISES, Problem
from memspike.fitting.series import SIDES, Series, Smooth
from memspike.parts.errors import InputError

Vector = Float[np.ndarray, " _"]
BEYOND = 0.05  # share of the range by which noise may carry data over a given range
SCALED = 0.04  # least s.d. of the logarithm of scales that are worth a range of their own
SURE = 0.999  # that ends scatter by more than their noise
SPEED, WINDOW = 0.03, 3e-3  # first guesses of ramp-to-ramp variation


class Ends(NamedTuple):
    """Where ramps begin and end: mean, s.d. of the mean in S, how many, and by how much the ends scatter (S)."""

    mean: float
    error: float
    ramps: int
    scatter: float


class Range(NamedTuple):
    """Lowest and highest conductance in S of every device [devices], and the two ends over all of them.

    `margin` is the scatter of the hidden ends beyond their means, shares of the range, at the bottom and the top.
    """

    low: Vector
    high: Vector
    bottom: Ends
    top: Ends
    margin: tuple[float, float]
    given: bool


def lengths(data: Series) -> tuple[int, int]:
    """The usual number of pulses of a ramp, up and down; 0 where there are no ramps."""
    found = [np.abs(data.pulses[data.side(sign)]).sum(axis=1) for _, sign in SIDES]
    return tuple(int(np.median(n)) if len(n) else 0 for n in found)  # pyright: ignore[reportReturnType]


def _ends(values: Vector, noise: float) -> Ends:
    if not len(values):
        return Ends(np.nan, np.nan, 0, 0.0)
    spread = float(values.std(ddof=1)) if len(values) > 1 else noise
    clear = len(values) > 3 and spread**2 > noise**2 * float(stats.chi2.ppf(SURE, len(values) - 1)) / (len(values) - 1)
    return Ends(
        float(values.mean()),
        max(spread, noise) / np.sqrt(len(values)),
        len(values),
        float(np.sqrt(spread**2 - noise**2)) if clear else 0.0,
    )


def _one(data: Series, path: Smooth, which: Bool[np.ndarray, " traces"]) -> tuple[Ends, Ends]:
    """Bottom and top of some traces: of their mean ramps, or of all states where there are no ramps."""
    known = np.isfinite(data.g)
    missed = (data.g - path.path)[known & path.known & which[:, None]]
    noise = float(np.sqrt((missed**2).mean())) if missed.size else 0.0
    bends = np.abs(np.diff(data.g[which], 3, axis=1)) if data.g.shape[1] > 3 else np.zeros(0)
    if np.isfinite(bends).any():  # what a read alone scatters: a third difference holds 20 times its variance
        noise = max(noise, 1.4826 * float(np.nanmedian(bends)) / 20**0.5)
    last = np.array([np.flatnonzero(row)[-1] for row in known])
    stop, begin = path.path[np.arange(len(last)), last], path.path[:, 0]
    up, down = (data.side(sign) & which for _, sign in SIDES)
    if not (up.any() and down.any()):
        inside = path.path[which][known[which]]
        low, high = (np.quantile(inside, q) for q in (0.005, 0.995))
        return Ends(float(low), noise, len(inside), 0.0), Ends(float(high), noise, len(inside), 0.0)
    bottom = min((_ends(begin[up], noise), _ends(stop[down], noise)), key=lambda e: e.mean)
    top = max((_ends(begin[down], noise), _ends(stop[up], noise)), key=lambda e: e.mean)
    return bottom, top


def scales(data: Series, path: Smooth) -> Vector | None:
    """The scale of every ramp over the mean of its direction, if ramps are scaled copies of each other; else none.

    So they are where they come from several devices that nobody named: low ends are low in the same ratio as high ends.
    """
    found = np.zeros(len(data.g))
    last = np.array([np.flatnonzero(row)[-1] for row in np.isfinite(data.g)])
    begin, stop = path.path[:, 0], path.path[np.arange(len(last)), last]
    for _, sign in SIDES:
        on = data.side(sign)
        if on.sum() < 4 or not ((begin[on] > 0) & (stop[on] > 0)).all():
            return None
        logs = np.log(np.stack([begin[on], stop[on]]))
        logs -= logs.mean(axis=1, keepdims=True)
        if min(logs.std(axis=1)) < SCALED or (logs[0] - logs[1]).std() > 0.5 * min(logs.std(axis=1)):
            return None
        found[on] = logs.mean(axis=0)
    mixed = ~data.side(1) & ~data.side(-1)
    return None if mixed.any() else np.exp(found)


def ranges(data: Series, path: Smooth, given: tuple[float, float] | None, wide: bool) -> Range:
    """The range of every device from where its smooth ramps begin and end, wider by twice the scatter
    of these, or by half of it unless `wide`.
    """
    count = len(data.names)
    bottom, top = _one(data, path, np.ones(len(data.g), bool))
    if given is not None:
        low, high = map(float, given)
        if not 0 <= low < high < np.inf:
            raise InputError(f"g_range is {low:g} to {high:g} S; the lowest must be at least 0 and below the highest.")
        slack = BEYOND * (high - low)
        seen = float(np.nanmin(path.path)), float(np.nanmax(path.path))
        if seen[0] < low - slack or seen[1] > high + slack:
            raise InputError(
                f"g_range is {low:g} to {high:g} S, but the data go from {seen[0]:g} to {seen[1]:g} S; "
                "a range that holds the data is needed."
            )
        return Range(np.full(count, low), np.full(count, high), bottom, top, (0.0, 0.0), True)
    every = scales(data, path) if count == len(data.g) > 1 else None
    if every is not None and (bottom.mean < top.mean):
        own = [tuple(e._replace(mean=e.mean * s, scatter=0.0) for e in (bottom, top)) for s in every]
    else:
        own = [_one(data, path, data.device == k) for k in range(count)]
    if all(b.mean - t.mean > 0.5 * float(np.nanmax(path.path) - np.nanmin(path.path)) for b, t in own):
        raise InputError(
            "The ramps that are called up fall, and those that are called down rise; exchange their names or signs."
        )
    if not all(b.mean < t.mean for b, t in own):
        raise InputError("The ramps of a device end where they begin; ramps that go up and down are needed.")
    width = np.array([t.mean - b.mean for b, t in own])
    margin = [(2.0 if wide else 0.5) * float(np.mean([e[k].scatter for e in own]) / width.mean()) for k in (0, 1)]
    low = np.array([b.mean for b, _ in own]) - margin[0] * width
    high = np.array([t.mean for _, t in own]) + margin[1] * width
    low = np.maximum(low, 0.0)
    whole = 1 + margin[0] + margin[1]
    return Range(low, high, bottom, top, (margin[0] / whole, margin[1] / whole), False)


def of_mean(ends: Ends) -> tuple[float, float]:
    """95 % interval of the mean of an end, in S."""
    reach = float(stats.t.ppf(0.975, max(ends.ramps - 1, 1))) * ends.error
    return ends.mean - reach, ends.mean + reach


def _side(problem: Problem, law: Law, side: int, steps: tuple[Vector, Vector, Vector]) -> tuple[Vector, Vector]:
    """θ of the law of one direction that comes nearest to the steps, and what it misses of them."""
    x, step, n = steps
    found = []
    if not law.guesses:
        size = float(np.abs((step / n).mean()))
        design = np.vstack([hats(np.clip(x, 0, 1), problem.size), 1e-2 * np.eye(problem.size)])
        wanted = np.append(SIDES[side][1] * step / n, np.full(problem.size, 1e-2 * size))
        q = np.clip(np.linalg.lstsq(design, wanted, rcond=None)[0], 0.1 * size, 0.5)
        found.append(np.clip(q, problem.shape.low, problem.shape.high))
    for guess in law.guesses:
        trial = guess.copy()
        mean = problem.after(np.tile(problem.shape.vector(trial), 2), side, x, n) - x
        ratio = abs(step.mean()) / max(abs(mean.mean()), 1e-12)
        trial[0] *= 1 / ratio if law.divides else ratio
        trial[0] = np.clip(trial[0], 2 * problem.shape.low[0], 0.5 * problem.shape.high[0])
        found.append(trial)
    thetas = [problem.shape.vector(natural) for natural in found]
    missed = [step - (problem.after(np.tile(theta, 2), side, x, n) - x) for theta in thetas]
    best = min(range(len(thetas)), key=lambda k: float((missed[k] ** 2).sum()))
    return thetas[best], missed[best]


def initial(problem: Problem, law: Law, data: Series, share: Smooth, y: Float[np.ndarray, "traces reads"]) -> Vector:
    """θ where the search begins: the law nearest to the smooth steps, noise as the reads scatter about it."""
    thetas, noises, reads = [], [], []
    for side, (_, sign) in enumerate(SIDES):
        on = sign * data.pulses > 0
        x, n = share.path[:, :-1], np.where(on, np.abs(data.pulses), 1.0)
        theta, _ = _side(problem, law, side, (x[on], np.diff(share.path, axis=1)[on], n[on]))
        thetas.append(theta)
        missed = np.diff(y, axis=1) - (problem.after(np.tile(theta, 2), side, x, n) - x)
        missed = np.where(on & np.isfinite(missed), missed, np.nan)
        missed = missed - _row_median(missed)
        size = 1.4826 * float(np.nanmedian(np.abs(missed))) + 1e-6
        missed = np.clip(missed, -4 * size, 4 * size)
        pairs = missed[:, 1:] * missed[:, :-1]
        lag = float(pairs[np.isfinite(pairs)].mean()) if np.isfinite(pairs).any() else 0.0
        total = float(np.nanmean(missed**2))
        read = float(np.clip(-lag, 0.02 * total, 0.48 * total))
        reads.append(read)
        noises.append(0.5 * np.log((total - 2 * read) / max(float(n[on].mean()), 1.0)))
    noise = [*noises, np.log(SPEED), np.log(SPEED), 0.5 * np.log(np.mean(reads)), np.log(WINDOW)]
    assert len(noise) == len(NOISES)
    return np.concatenate([*thetas, noise, np.zeros(len(DOSES))])


def _row_median(values: Float[np.ndarray, "rows n"]) -> Float[np.ndarray, "rows 1"]:
    """Median of what is there in every row, 0 where nothing is."""
    there = np.isfinite(values).any(axis=1)
    found = np.zeros((len(values), 1))
    found[there] = np.nanmedian(values[there], axis=1, keepdims=True)
    return found
