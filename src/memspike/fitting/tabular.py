"""Ramps → `Tabular`: the distribution of ΔG at every G as a table of quantiles, one a device, in CrossSim's form.

At each point of an equidistant grid of G the mean step is a local line through the nearest steps, and the quantiles
are those of their residuals about it, weighted by distance: the tails are measured ones, none is assumed. Intervals are
by resampling whole ramps.
"""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy import stats

from memspike.devices.tabular import Tabular
from memspike.devices.variation.fabricate import AbstractSpread, AnyOf
from memspike.fitting.kinds import KINDS, Curve, Options, Outcome, Plot
from memspike.fitting.records import Rows, Values, estimate, gather, groups, undetermined
from memspike.fitting.table import Estimate, Table
from memspike.fitting.traces import restarts
from memspike.parts.errors import InputError
from memspike.parts.units import counted

POINTS, QUANTILES = 101, 101
NEAR = 0.2  # share of the steps of a direction that a point of the grid looks at
FEWEST = 50  # steps of a direction of a device
RESAMPLED = 200
SHARES = (0.25, 0.5, 0.75)
UP = {"up", "set", "ltp", "potentiation", "inc", "increase", "+", "+1", "1", "p"}
DOWN = {"down", "reset", "ltd", "depression", "dec", "decrease", "-", "-1", "−1", "d"}
GAIN = 0.3  # share of the swing of a ramp by which its end is above its start, else its direction is not clear


@dataclass(frozen=True)
class _Steps:
    """Steps of one direction: conductance before, ΔG, both in S, and the ramp of each."""

    g: Values
    step: Values
    ramp: np.ndarray


def _sign(label: str, g: Values, where: str) -> int:
    word = label.strip().lower().removesuffix(".0")
    if word in UP or word in DOWN:
        return 1 if word in UP else -1
    rise = float(np.median(g[-max(len(g) // 10, 1) :]) - np.median(g[: max(len(g) // 10, 1)]))
    if abs(rise) < GAIN * np.ptp(g):
        raise InputError(f"{where} neither rises nor falls; name the column of its direction: --column NAME=direction.")
    return 1 if rise > 0 else -1


def steps(tables: list[Table]) -> tuple[dict[str, dict[int, _Steps]], list[str]]:
    """Steps of every device and direction (+1, −1); a ramp is a series, device, ramp, cycle and direction.

    Rows are in the order of the pulse column, else of the file. InputError for a ramp that neither rises nor falls
    and has no direction.
    """
    rows, notes = gather(tables, (), ("device", "ramp", "cycle", "direction", "pulse"))
    told = any(table.of("device") for table in tables)  # else columns and files are ramps of one device
    device = rows["device"] if told else np.full(len(rows["g"]), "")
    found: dict[str, dict[int, list[Rows]]] = {}
    for k, piece in enumerate(groups(*(rows[x] for x in ("series", "device", "ramp", "cycle", "direction")))):
        known = np.isfinite(rows["pulse"][piece]).all()
        own = piece[np.argsort(rows["pulse"][piece], kind="stable")] if known else piece
        g = rows["g"][own]
        if len(g) < 2:
            continue
        where = f"{rows['series'][own[0]]} ramp {rows['ramp'][own[0]]}".strip()
        sign = _sign(str(rows["direction"][own[0]]), g, where)
        begun = [at - 1 for at in restarts(g, sign)]  # what leads from the end of a ramp to the next is no step
        part = {"g": g[:-1], "step": np.diff(g), "ramp": k + np.searchsorted(begun, np.arange(len(g) - 1)) / len(g)}
        part = {name: np.delete(values, begun) for name, values in part.items()}
        found.setdefault(str(device[own[0]]), {}).setdefault(sign, []).append(part)
    return {
        name: {
            sign: _Steps(*(np.concatenate([p[x] for p in parts]) for x in ("g", "step", "ramp")))
            for sign, parts in sides.items()
        }
        for name, sides in found.items()
    }, notes


def _local(steps: _Steps, grid: Values) -> tuple[Values, Float[np.ndarray, "points _"], Float[np.ndarray, "points _"]]:
    """At each point the mean step by a local line, the weights of the steps, and what the line leaves of each."""
    distance = steps.g[None, :] - grid[:, None]
    number = min(max(int(NEAR * len(steps.g)), 30), len(steps.g))
    reach = 1.001 * np.partition(np.abs(distance), number - 1, axis=1)[:, number - 1 : number] + 1e-30
    x = distance / reach
    weight = np.maximum(1 - np.abs(x) ** 3, 0.0) ** 3
    s = [(weight * x**k).sum(1) for k in range(3)]
    t = [(weight * x**k * steps.step).sum(1) for k in range(2)]
    spread = s[0] * s[2] - s[1] ** 2
    sloped = spread > 1e-6 * s[0] ** 2
    safe = np.where(sloped, spread, 1.0)
    mean = np.where(sloped, (s[2] * t[0] - s[1] * t[1]) / safe, t[0] / s[0])
    slope = np.where(sloped, (s[0] * t[1] - s[1] * t[0]) / safe, 0.0)
    return mean, weight, steps.step - mean[:, None] - slope[:, None] * x


def table(steps: _Steps, grid: Values) -> Float[np.ndarray, "quantiles points"]:
    """ΔG in S at equidistant probabilities 0 … 1 and the points of the grid; the ends are the furthest steps seen."""
    probability = np.linspace(0.0, 1.0, QUANTILES)
    found = np.empty((QUANTILES, len(grid)))
    for k, (mean, weight, rest) in enumerate(zip(*_local(steps, grid), strict=True)):
        order = np.argsort(rest)[(weight > 0)[np.argsort(rest)]]
        below = np.cumsum(weight[order])
        found[:, k] = np.interp(probability, (below - 0.5 * weight[order]) / below[-1], rest[order])
        found[:, k] += mean - np.trapezoid(found[:, k], probability)
    return found


def _moments(steps: _Steps, grid: Values) -> Float[np.ndarray, "2 points"]:
    """Mean and s.d. of a step at each point."""
    mean, weight, rest = _local(steps, grid)
    total = weight.sum(1)
    lost = 1 - 2 * (weight**2).sum(1) / total**2  # two numbers of the line
    return np.stack([mean, np.sqrt((weight * rest**2).sum(1) / total / lost)])


def _resampled(steps: _Steps, grid: Values, rng: np.random.Generator) -> Float[np.ndarray, "draws 2 points"]:
    """Moments of ramps drawn with replacement; of stretches of steps where there are fewer than 4 ramps."""
    label = steps.ramp if len(np.unique(steps.ramp)) >= 4 else np.arange(len(steps.g)) // max(len(steps.g) // 20, 1)
    pieces = groups(label)
    draws = []
    for _ in range(RESAMPLED):
        at = np.concatenate([pieces[k] for k in rng.integers(0, len(pieces), len(pieces))])
        draws.append(_moments(_Steps(steps.g[at], steps.step[at], steps.ramp[at]), grid))
    return np.array(draws)


def _told(name: str, steps: _Steps, span: tuple[float, float], rng: np.random.Generator) -> list[Estimate]:
    """Mean and s.d. of a step at quarters of the range with 95 % intervals."""
    grid = span[0] + (span[1] - span[0]) * np.array(SHARES)
    value, drawn = _moments(steps, grid), _resampled(steps, grid, rng)
    count = max(len(np.unique(steps.ramp)), 4)
    factor = float(stats.t.ppf(0.975, count - 1)) * np.sqrt(count / (count - 1))
    error = factor * drawn[:, 0].std(axis=0, ddof=1)
    ratio = np.exp(factor * np.log(np.maximum(drawn[:, 1], 1e-300)).std(axis=0, ddof=1))
    ends = {
        "mean": (value[0], value[0] - error, value[0] + error),
        "sd": (value[1], value[1] / ratio, value[1] * ratio),
    }
    return [
        estimate(f"{name} {what} at {share:.0%}".strip(), v, "S", low, high)
        for what, rows in ends.items()
        for share, v, low, high in zip(SHARES, *rows, strict=True)
    ]


def _lag(steps: _Steps, grid: Values) -> float:
    """Correlation of neighbouring residuals of a ramp: write noise leaves none, read noise −0.5."""
    rest = steps.step - np.interp(steps.g, grid, _local(steps, grid)[0])
    same = steps.ramp[1:] == steps.ramp[:-1]
    return float((rest[1:] * rest[:-1])[same].mean() / max(float(np.mean(rest**2)), 1e-300))


def tabular(tables: list[Table], options: Options) -> Outcome:
    """Tables of ΔG from ramps of identical pulses: conductances in S, columns of device, ramp, direction and pulse.

    Every device with at least 50 steps each way has its own table in `device`; `Tabular.which` picks one, and
    the spread is `AnyOf` them. InputError where no device has both directions.
    """
    found, notes = steps(tables)
    whole = {name: s for name, s in found.items() if all(len(s[k].g) >= FEWEST if k in s else False for k in (1, -1))}
    if not whole:
        raise InputError(
            f"{tables[0].file} has no device with {FEWEST} steps in each direction; tables of ΔG need more ramps."
        )
    if lost := len(found) - len(whole):
        notes.append(f"{counted(lost, 'device')} of {len(found)} left out: fewer than {FEWEST} steps each way.")
    rng = np.random.default_rng(0)
    grids, sides, estimates = [], {1: [], -1: []}, []
    for name, own in whole.items():
        seen = np.concatenate([own[1].g, own[-1].g])
        low, high = float(seen.min()), float(seen.max())
        grid = np.linspace(low, high, POINTS)
        grids.append(grid)
        for sign in (1, -1):
            sides[sign].append(table(own[sign], grid))
            if len(whole) <= 3:
                label = f"{name} {'up' if sign > 0 else 'down'}".strip()
                estimates += _told(label, own[sign], (low, high), rng)
            lag = _lag(own[sign], grid)
            if lag < -0.2:
                notes.append(
                    f"{name or 'The device'}: neighbouring steps {'up' if sign > 0 else 'down'} are correlated by "
                    f"{lag:+.2f}, so part of their scatter is read noise, which the table counts as noise of the pulse."
                )
    least = min(len(own[k].g) for own in whole.values() for k in (1, -1))
    if NEAR * least < QUANTILES:
        notes.append(f"A point of the grid sees about {max(int(NEAR * least), 30)} steps: quantiles beyond 1 in that "
                     "many are the furthest step seen.")  # fmt: skip
    device = Tabular(g=jnp.asarray(grids), up=jnp.asarray(sides[1]), down=jnp.asarray(sides[-1]))
    facts: dict[str, Any] = {"kind": "tabular", "devices": list(whole), "steps": {
        name: {"up": len(own[1].g), "down": len(own[-1].g)} for name, own in whole.items()}}  # fmt: skip
    spread: dict[str, AbstractSpread] = {"which": AnyOf(len(whole))} if len(whole) > 1 else {}
    headline = f"Step tables of {counted(len(whole), 'device')}, {POINTS} conductances each."
    notes += undetermined(estimates)
    return Outcome(headline, device, tuple(estimates), tuple(notes), _plots(whole, device), facts, spread)


def _plots(whole: dict[str, dict[int, _Steps]], device: Tabular) -> dict[str, Plot]:
    own, grid = next(iter(whole.values())), 1e6 * np.asarray(device.g[0], float)
    plots = {}
    for sign, name, quantiles in ((1, "up", device.up), (-1, "down", device.down)):
        q = 1e6 * np.asarray(quantiles[0], float)
        curves = [Curve(1e6 * own[sign].g, 1e6 * own[sign].step, "steps", "points")]
        curves += [Curve(grid, q[k], f"{k} %") for k in (5, 50, 95)]
        plots[name] = Plot(f"Steps {name}", "conductance (µS)", "ΔG (µS)", tuple(curves))
    return plots


KINDS["tabular"] = tabular  # by name only: ramps are fitted by a law unless told otherwise
