"""One law fitted to traces: its device, its noise, and a 95 % interval for every number."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from memspike.devices import labels
from memspike.devices.asymmetry import symmetry_point
from memspike.devices.step import AbstractStepDevice, SoftBounds
from memspike.devices.variation.fabricate import AbstractSpread
from memspike.fitting.candidates import Law, affine_rate, soft_bounds, soft_numbers
from memspike.fitting.intervals import Uncertainty, between, half, noise_interval, raw_speeds, uncertainty
from memspike.fitting.likelihood import DOSES, FULL, LOWEST, NOISES, Group, Maximum, Problem, Search, maximise
from memspike.fitting.series import SIDES, Series, Smooth
from memspike.fitting.spread import between_devices, spread_of
from memspike.fitting.start import Range, initial, of_mean
from memspike.fitting.table import Estimate

Vector = Float[np.ndarray, " _"]
SHARES = np.linspace(0.0, 1.0, 1001)
COARSE, COARSE_STEPS = 0.5, 12  # enough to tell laws apart: of −log likelihood, and steps at most
HOPELESS = 100.0  # of −log likelihood behind the best
CYCLE = 0.05  # share of the range by which the cycle of the mean ramps may miss their ends


class Data(NamedTuple):
    """Traces, the range, a smooth path and the reads as shares of it, the same for the filter, pulses of a ramp."""

    series: Series
    range: Range
    share: Smooth
    y: Float[np.ndarray, "traces reads"]
    groups: tuple[Group, ...]
    lengths: tuple[int, int]

    @property
    def low(self) -> float:
        """Lower end of the range of the mean device, in S."""
        return float(self.range.low.mean())

    @property
    def width(self) -> float:
        """Its width in S."""
        return float((self.range.high - self.range.low).mean())

    @property
    def points(self) -> int:
        """How many reads there are."""
        return int(np.isfinite(self.y).sum())

    @property
    def ramps(self) -> tuple[int, int]:
        """Ramps up and down."""
        up, down = (int(self.series.side(sign).sum()) for _, sign in SIDES)
        return up, down


@dataclass(frozen=True)
class Candidate:
    """One fitted law: rms as a share of the range, noise in S, ramp-to-ramp variation of the speed, both ways.

    `curve_*` is the mean response in S from the mean first read, at every read of the ramps, `step_*` the
    step in S of one pulse at `SHARES` of the range. `lag1_*` is the correlation of neighbouring innovations, none
    where the model is right. `symmetry_point` is the share of the range where a pulse up and one down are
    equally large. `sound` is False if the likelihood is flat in a parameter. `window` is the s.d. in S by which
    ramps are displaced; `spread` says how devices differ, by parameter path of the fitted device;
    `reach` is half the 95 % interval of every θ, `far` the reads that are glitches.
    """

    law: AbstractStepDevice
    bic: float
    rms_up: float
    rms_down: float
    noise_up: float
    noise_down: float
    read_noise: float
    variation_up: float
    variation_down: float
    window: float
    lag1_up: float
    lag1_down: float
    curve_up: Vector
    curve_down: Vector
    step_up: Vector
    step_down: Vector
    parameters: tuple[Estimate, ...]
    symmetry_point: float | None
    sound: bool
    spread: dict[str, AbstractSpread]
    labels: tuple[Estimate, Estimate] | None
    problem: Problem = field(repr=False)
    maximum: Maximum = field(repr=False)
    reach: Vector = field(repr=False)
    far: Bool[np.ndarray, "traces reads"] = field(repr=False)


def _fixed(law: Law, data: Data) -> tuple[np.ndarray, Vector]:
    """Which parameters these data cannot tell, and the value that a fixed noise takes."""
    size = len(law.shape.scales)
    fixed = np.zeros(2 * size + len(NOISES) + len(DOSES), bool)
    first, mixed = 2 * size, sum(data.ramps) < len(data.y)
    turns = [sum(int((g.reads.turn & (sign * g.pulses > 0)).sum()) for g in data.groups) for _, sign in SIDES]
    for side in (0, 1):
        fixed[first + 2 + side] = turns[side] < 2
        if law.edges and data.range.given:
            fixed[side * size + size - 1] = True
    fixed[first + 5] = len(data.y) < 3 if mixed else max(data.ramps) < 2
    for k, values in enumerate((data.series.volts, data.series.width)):
        for side, (_, sign) in enumerate(SIDES):
            fixed[first + len(NOISES) + 2 * k + side] = not np.ptp(values[sign * data.series.pulses > 0]) > 1e-9
    return fixed, LOWEST


class Screened(NamedTuple):
    """A law whose likelihood is known well enough to compare it with others."""

    law: Law
    problem: Problem
    maximum: Maximum
    bic: float

    @property
    def window(self) -> float:
        """s.d. by which ramps are displaced, a share of the range."""
        return float(np.exp(self.maximum.theta[2 * self.problem.size + NOISES.index("window")]))


def screened(law: Law, data: Data, others: list[Screened]) -> Screened:
    """The maximum of the likelihood of a law, roughly; a law that is far behind `others` is given up early.

    Of others of the same kind the noise is where the search begins.
    """
    fixed, lowest = _fixed(law, data)
    problem = Problem(law.shape, data.groups, fixed, len(data.y))
    alike = [other.maximum for other in others if not law.guesses and not other.law.guesses]
    noise = slice(2 * problem.size, 2 * problem.size + len(NOISES))
    begins = []
    for shift in (alike[-1].shift,) if alike else _offsets(data):
        moved = data.share._replace(path=data.share.path - shift[:, None])
        theta = initial(problem, law, data.series, moved, data.y)
        if alike:
            theta[noise] = alike[-1].theta[-len(NOISES) - len(DOSES) :][: len(NOISES)]
        elif shift.any():
            theta[noise.stop - 1] = np.log(shift.std())
        theta[noise] = np.where(fixed[noise], lowest, theta[noise])
        if law.edges and data.range.given:
            theta[[problem.size - 1, 2 * problem.size - 1]] = 0.0
        begins.append((problem.loss(theta, shift)[0], theta, shift))
        if fixed[noise.stop - 1]:
            break
    _, theta, shift = min(begins, key=lambda b: b[0])
    best = min((other.maximum.loss for other in others), default=np.inf)
    return _scored(law, problem, maximise(problem, theta, shift, Search(COARSE, COARSE_STEPS, best + HOPELESS)), data)


def _scored(law: Law, problem: Problem, found: Maximum, data: Data) -> Screened:
    spent = int((~problem.fixed).sum())
    return Screened(law, problem, found, 2 * found.loss + spent * float(np.log(data.points)))


def _offsets(data: Data) -> tuple[Vector, Vector]:
    """No offset of any trace, and those with which all ramps of a direction begin alike."""
    first, same = data.share.path[:, 0], np.zeros(len(data.y))
    for _, sign in SIDES:
        on = data.series.side(sign)
        same[on] = first[on] - first[on].mean() if on.any() else 0.0
    return np.zeros(len(data.y)), same


def _pulses_of_reads(data: Data, side: int) -> Vector:
    """Pulses before every read of the usual ramp of a direction."""
    on = data.series.side(SIDES[side][1])
    if not on.any():
        return np.zeros(1)
    reached = np.isfinite(data.series.g[on]).sum(axis=0) >= 0.5 * on.sum()
    reads = int(np.flatnonzero(reached)[-1]) + 1
    gaps = np.abs(data.series.pulses[on][:, : reads - 1])
    return np.append(0.0, np.cumsum(np.median(gaps, axis=0)))


def mean_curve(g: Float[np.ndarray, "ramps pulses"]) -> Vector:
    """Mean over ramps in S at every pulse number that at least half of them reach, NaN in gaps."""
    used = np.isfinite(g).sum(axis=0) >= 0.5 * len(g)
    length = int(np.flatnonzero(used)[-1]) + 1
    return np.array([np.nanmean(g[:, k]) if used[k] else np.nan for k in range(length)])


def _responses(problem: Problem, theta: Vector, data: Data, law: AbstractStepDevice) -> dict[str, Any]:
    """Mean curves and steps of both directions in S, and how far the curves are from the mean ramps."""
    found: dict[str, Any] = {}
    low, high = float(law.g_min), float(law.g_max)
    inside = (low + SHARES * (high - low) - data.low) / data.width
    for side, (name, _) in enumerate(SIDES):
        step = problem.after(theta, side, inside, np.ones(SHARES.size)) - inside
        found[f"step_{name}"] = data.width * step
        table, pulses = data.series.table(name), _pulses_of_reads(data, side)
        if not len(table):
            found |= {f"curve_{name}": np.full(1, np.nan), f"rms_{name}": float("nan")}
            continue
        mean = mean_curve(table)
        first = np.nanmean(data.share.path[data.series.side(SIDES[side][1]), 0])
        after = problem.after(theta, side, np.full(len(pulses) - 1, first), pulses[1:])
        curve = data.low + data.width * np.append(first, after)
        found[f"curve_{name}"] = curve
        found[f"rms_{name}"] = float(np.sqrt(np.nanmean((curve - mean) ** 2)) / data.width)
    where, _ = symmetry_point(SHARES, found["step_up"] / (high - low), -found["step_down"] / (high - low))
    return found | {"symmetry_point": where if np.isfinite(where) else None}


def innovations(problem: Problem, best: Maximum, side: int) -> list[Vector]:
    """Standardised innovations of the reads after pulses of one direction, trace by trace, glitches left out."""
    found = []
    for group in problem.groups:
        if side not in group.sides:
            continue
        out = problem.run(best.theta, group, best.shift)
        z = np.asarray(out.missed) / np.sqrt(np.asarray(out.variance))
        on = (np.asarray(out.belief)[1:] > 0.5) & (SIDES[side][1] * group.pulses > 0)
        found += [np.where(keep, row, np.nan) for row, keep in zip(z[1:].T, on.T, strict=True) if keep.any()]
    return found


def _far(problem: Problem, best: Maximum, data: Data) -> Bool[np.ndarray, "traces reads"]:
    """Reads that are away from their neighbours, and that the filter does not believe either."""
    belief = np.ones_like(data.y)
    for group in problem.groups:
        belief[group.which] = np.asarray(problem.run(best.theta, group, best.shift).belief).T[: len(group.which)]
    return (belief < 0.5) & ~data.share.known & np.isfinite(data.y)


def _lag1(rows: list[Vector]) -> float:
    pairs = np.concatenate([row[1:] * row[:-1] for row in rows]) if rows else np.zeros(0)
    whole = np.concatenate(rows) if rows else np.zeros(0)
    if not np.isfinite(pairs).any():
        return 0.0
    return float(np.nanmean(pairs) / max(float(np.nanmean(whole**2)), 1e-30))


def _cycle(up: Vector, down: Vector, data: Data) -> tuple[float, float]:
    """The range in shares of the exponential law: that of the cycle of its mean ramps, where there is one.

    Its pulses of a full sweep are then those of the ramps. The range of the data if the cycle is elsewhere.
    """
    n_up, n_down = data.lengths
    if data.range.given or not (n_up and n_down):
        return 0.0, 1.0
    rates = affine_rate(1, *up), affine_rate(-1, *down)
    keep = [float(np.exp(np.clip(-c * n, -50, 50))) for c, n in zip(rates, (n_up, n_down), strict=True)]
    below, above = data.range.margin
    if min(abs(up[1]), abs(down[1])) < 1e-4 or abs(1 - keep[0] * keep[1]) < 0.02:
        return 0.0, 1.0
    ends = 0.5 - 0.5 / up[1], 0.5 - 0.5 / down[1]
    high = (ends[0] * (1 - keep[0]) + keep[0] * ends[1] * (1 - keep[1])) / (1 - keep[0] * keep[1])
    low = ends[1] * (1 - keep[1]) + keep[1] * high
    if abs(low - below) > CYCLE or abs(high - (1 - above)) > CYCLE:
        return 0.0, 1.0
    # room for ends that scatter, but not beyond half the way to an asymptote
    room = [0.5 * (ends[0] - high) if rates[0] > 0 else 1.0, 0.5 * (low - ends[1]) if rates[1] > 0 else 1.0]
    return low - min(below, room[1]), high + min(above, room[0])


def _derived(
    value: Callable[[Vector], Vector], problem: Problem, best: Maximum, known: Uncertainty
) -> tuple[Vector, Vector]:
    """A vector function of θ and half its 95 % intervals (delta method)."""
    centre = value(best.theta)
    slopes = []
    for k in range(2 * problem.size):
        h = 1e-4 * np.sqrt(max(known.covariance[k, k], 1e-12)) / 1e-2
        h = min(max(h, 1e-7), 1e-2)
        moved = np.arange(len(best.theta)) == k
        slopes.append((value(best.theta + h * moved) - value(best.theta - h * moved)) / (2 * h))
    table = np.array(slopes)
    part = known.covariance[: 2 * problem.size, : 2 * problem.size]
    variance = np.einsum("kj,kl,lj->j", table, part, table)
    weight = table**2 * np.diag(part)[:, None]
    freedom = weight.sum(0) / np.maximum((weight / known.freedom[: 2 * problem.size, None]).sum(0), 1e-300)
    quantile = stats.t.ppf(0.975, np.clip(freedom, 1.0, 1e6))
    return centre, quantile * np.sqrt(np.maximum(variance, 0.0))


def _soft(problem: Problem, best: Maximum, known: Uncertainty, data: Data) -> tuple[Any, list[Estimate], Any]:
    """The exponential law over its cycle, its pulses and curvatures, and the labels of the ramps."""

    def cycle(theta: Vector) -> tuple[tuple[float, float], dict[str, float]]:
        up, down = problem.law(theta, 0), problem.law(theta, 1)
        ends = _cycle(up, down, data)
        return ends, soft_numbers(up, down, *ends)

    def numbers(theta: Vector) -> Vector:
        law = cycle(theta)[1]
        own = [law[f"{name}_{side}"] for side, _ in SIDES for name in ("pulses", "curvature")]
        ramp = [own[1], own[3]]
        if not data.range.given and all(data.lengths):
            rates = affine_rate(1, *problem.law(theta, 0)), affine_rate(-1, *problem.law(theta, 1))
            ramp = [rates[0] * data.lengths[0], -rates[1] * data.lengths[1]]
        return np.array([np.log(own[0]), own[1], np.log(own[2]), own[3], *ramp])

    centre, reach = _derived(numbers, problem, best, known)
    ends = np.stack([centre, centre - reach, centre + reach])
    ends[:, [0, 2]] = np.exp(ends[:, [0, 2]])
    names = ("pulses_up", "curvature_up", "pulses_down", "curvature_down")
    own = [Estimate(n, float(v[0]), "1", float(v[1]), float(v[2])) for n, v in zip(names, ends.T, strict=False)]
    marks = [labels.label(ends[:, k]) for k in (4, 5)]
    named = tuple(
        Estimate(f"nl_{side}", float(m[0]), "1", float(m[1]), float(m[2]))
        for (side, _), m in zip(SIDES, marks, strict=True)
    )
    (low, high), fields = cycle(best.theta)
    law = SoftBounds(**fields, g_min=max(data.low + data.width * low, 0.0), g_max=data.low + data.width * high)
    return law, own, named


def _of_law(law: Law, problem: Problem, best: Maximum, known: Uncertainty) -> list[Estimate]:
    """The law's own parameters with their intervals."""
    low, high = problem.box()
    reach, found = half(known), []
    for side, (word, _) in enumerate(SIDES):
        part = slice(side * problem.size, (side + 1) * problem.size)
        ends = [np.clip(best.theta[part] + s * reach[part], low[part], high[part]) for s in (0, -1, 1)]
        for k, (value, a, b) in enumerate(zip(*map(problem.shape.natural, ends), strict=True)):
            if not problem.fixed[part][k]:
                name = f"{law.names[k]}_{word}" if law.names[k] else f"{word}[{k}]"
                found.append(Estimate(name, float(value), "1", float(a), float(b)))
    return found


def _of_noise(
    problem: Problem, best: Maximum, known: Uncertainty, data: Data
) -> tuple[list[Estimate], dict[str, float]]:
    """Write noise, ramp-to-ramp variation, read noise and window with their intervals; spread of devices' speeds."""
    first, found, spread = 2 * problem.size, [], {}
    speed, error = raw_speeds(problem, best) if sum(data.ramps) else (np.zeros(0), np.zeros(0))
    for k, name in enumerate(NOISES):
        unit, scale = ("1", 1.0) if name.startswith("variation") else ("S", data.width)
        if problem.fixed[first + k]:
            found.append(Estimate(name, 0.0, unit, 0.0, float("inf")))
            continue
        value = float(np.exp(best.theta[first + k])) if best.theta[first + k] > LOWEST[k] + 1e-3 else 0.0
        side = (k - 2) % 2
        if name.startswith("variation") and data.ramps[side] >= 2:
            on = data.series.side(SIDES[side][1])
            (value, low, high), between_d = between_devices(speed[on], error[on], data.series.device[on], between)
            if between_d > 0:
                spread[SIDES[side][0]] = between_d
        else:
            low, high = noise_interval(problem, best, known, k)
        found.append(Estimate(name, value * scale, unit, low * scale, high * scale))
    reach = half(known)
    for k, name in enumerate(DOSES):
        at = first + len(NOISES) + k
        if not problem.fixed[at]:
            value, unit = float(best.theta[at]), "1/V" if k < 2 else "1"
            found.append(Estimate(name, value, unit, value - float(reach[at]), value + float(reach[at])))
    return found, spread


def candidate(rough: Screened, data: Data, search: Search = FULL) -> Candidate:
    """A law at the very maximum of its likelihood, with its intervals."""
    law, problem, first, _ = rough
    best = maximise(problem, first.theta, first.shift, search)
    known = uncertainty(problem, best, data.ramps)
    noise, speeds = _of_noise(problem, best, known, data)
    up, down = problem.law(best.theta, 0), problem.law(best.theta, 1)
    named, own = None, []
    if law.assemble is soft_bounds:
        device, own, named = _soft(problem, best, known, data)
    else:
        device, own = law.assemble(up, down, data.low, data.width), _of_law(law, problem, best, known)
    ends = []
    if not data.range.given:
        for name, end in (("g_min", data.range.bottom), ("g_max", data.range.top)):
            value = float(getattr(device, name))
            low, high = of_mean(end)
            ends.append(Estimate(name, value, "S", min(value + low - end.mean, value), value + high - end.mean))
    rows = {f"lag1_{side}": _lag1(innovations(problem, best, k)) for k, (side, _) in enumerate(SIDES)}
    by_name, far = {p.name: p.value for p in noise}, _far(problem, best, data)
    near = data._replace(series=data.series.without(far))
    return Candidate(
        law=device,
        bic=_scored(law, problem, best, data).bic,
        **{name: by_name[name] for name in NOISES},
        **rows,
        **_responses(problem, best.theta, near, device),
        parameters=(*own, *noise, *ends),
        sound=known.sound,
        spread=spread_of(data.range, law, speeds),
        labels=named,
        problem=problem,
        maximum=best,
        reach=half(known),
        far=far,
    )
