"""Switching times against voltage → thresholds, speeds and exponents; VTEAM where both directions are measured.

The time is that of the whole way at a constant voltage V, a magnitude: VTEAM t = depth/(k·(V/v_th − 1)^α), valid above
v_th; sinh t = t₀/sinh(V/V₀); exponential t = t₀·e^(−V/V₀). Errors are Gaussian in log t, of one s.d. a law.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import optimize, stats

from memspike.devices.memristors import VTEAM
from memspike.fitting.kinds import Curve, Options, Outcome, Plot, kind, no_law
from memspike.fitting.table import Estimate, Table
from memspike.parts.errors import InputError
from memspike.parts.units import counted

Values = Float[np.ndarray, " _"]
FEWEST = 5
DEPTH = 3e-9  # m: the way of VTEAM that k holds for
SETS, RESETS = {"set", "on", "up", "ltp", "1", "1.0"}, {"reset", "off", "down", "ltd", "-1", "-1.0"}
WIDEST = np.log(10.0)


class Law(NamedTuple):
    """log t of (v, logarithms of the parameters); names with units; starts from (v, t)."""

    log_time: Callable[[Values, Values], Values]
    names: tuple[tuple[str, str], ...]
    starts: Callable[[Values, Values], list[list[float]]]


class Fitted(NamedTuple):
    """One law on one side: logarithms of the parameters, their half intervals, s.d. of log t, BIC."""

    theta: Values
    half: Values
    spread: float
    bic: float


def _power(v: Values, p: Values) -> Values:
    """p: log(k/depth), log v_th, log α."""
    return -p[0] - np.exp(p[2]) * np.log(np.maximum(v / np.exp(p[1]) - 1, 1e-9))


def _sinh(v: Values, p: Values) -> Values:
    x = v / np.exp(p[1])
    return p[0] - x - np.log(-np.expm1(-2 * x) / 2)


LAWS: dict[str, Law] = {
    "vteam": Law(
        _power,
        (("k", "m/s"), ("v", "V"), ("alpha", "1")),
        lambda v, t: [
            [-np.log(np.median(t)) - a * np.log(np.median(v) / (s * v.min()) - 1), np.log(s * v.min()), np.log(a)]
            for s in (0.3, 0.7, 0.95)
            for a in (1.5, 4.0)
        ],
    ),
    "sinh": Law(
        _sinh,
        (("t_0", "s"), ("v_0", "V")),
        lambda v, t: [[np.log(np.median(t)) + np.median(v) / s, np.log(s)] for s in np.median(v) / [1.0, 5.0, 20.0]],
    ),
    "exponential": Law(
        lambda v, p: p[0] - v / np.exp(p[1]),
        (("t_0", "s"), ("v_0", "V")),
        lambda v, t: [[np.log(np.median(t)) + np.median(v) / s, np.log(s)] for s in np.median(v) / [1.0, 5.0, 20.0]],
    ),
}


def fit_side(law: Law, v: Values, t: Values) -> Fitted:
    """A law fitted to times t in s at voltages v > 0 in V by least squares of log t."""
    size = len(law.names)
    low, high = np.full(size, -np.inf), np.full(size, np.inf)
    if size == 3:  # as VTEAM allows them; a threshold above the lowest voltage would never switch there
        low, high = np.log([[1e-12 / DEPTH, 0.01, 1.0], [1e3 / DEPTH, v.min() * (1 - 1e-6), 5.0]])

    def missed(p: Values) -> Values:
        return np.log(t) - law.log_time(v, p)

    tries = [
        optimize.least_squares(missed, np.clip(s, low + 1e-6, high - 1e-6), bounds=(low, high), x_scale="jac")
        for s in law.starts(v, t)
    ]
    best = min(tries, key=lambda one: one.cost)
    free = len(v) - size
    spread = float(np.sqrt(2 * best.cost / free))
    covariance = np.linalg.pinv(best.jac.T @ best.jac, rcond=1e-12) * spread**2
    half = stats.t.ppf(0.975, free) * np.sqrt(np.diag(covariance))
    bic = len(v) * np.log(max(2 * best.cost / len(v), 1e-300)) + (size + 1) * np.log(len(v))
    return Fitted(best.x, half, spread, float(bic))


def _sides(table: Table) -> dict[str, tuple[Values, Values, float]]:
    """Magnitudes of voltage, times and polarity of each direction.

    "on" and "off" by a direction column, else "positive" and "negative" by the sign of the voltage.
    """
    volts = table.of("write voltage") or table.of("voltage")
    times = table.of("time") or table.of("width")
    if len(volts) != 1 or len(times) != 1:
        raise InputError(
            f"{table.file}: switching needs one column of voltage and one of time, here are {len(volts)} and "
            f"{len(times)}; leave one out with --column NAME=ignored, or put the directions into rows, with a column "
            "of direction (set, reset)."
        )
    v, t = volts[0].values, times[0].values
    known = np.isfinite(v) & np.isfinite(t) & (v != 0)
    for row in np.flatnonzero(known & (t <= 0)):
        raise InputError(f"{table.file}, row {table.rows[row]}: a switching time of {t[row]:g} s; above 0 is needed.")
    named = table.of("direction")
    texts = named[0].texts() if named else []
    labels = np.array([text.strip().lower() for text in texts])
    sides = {"on": np.isin(labels, list(SETS)), "off": np.isin(labels, list(RESETS))} if len(labels) else {}
    sides = sides or {"positive": v > 0, "negative": v < 0}
    found = {side: (np.abs(v[known & mask]), t[known & mask], v[known & mask]) for side, mask in sides.items()}
    for side, (volts_, _, signed) in found.items():
        if len(volts_) and (len(volts_) < FEWEST or len(np.unique(volts_)) < 3):
            raise InputError(
                f"{table.file}: {counted(len(volts_), 'time')} of direction {side}; {FEWEST} at 3 voltages are needed."
            )
        if len(np.unique(np.sign(signed))) > 1:
            raise InputError(f"{table.file}: direction {side} has voltages of both signs; one polarity a direction.")
    found = {side: row for side, row in found.items() if len(row[0])}
    if not found:
        raise InputError(f"{table.file} has no switching times; a voltage and a time in s a row are needed.")
    return {side: (row[0], row[1], float(np.sign(row[2][0]))) for side, row in found.items()}


def _estimates(name: str, side: str, one: Fitted) -> list[Estimate]:
    sign = -1.0 if side == "on" and name == "vteam" else 1.0
    rows = []
    for (what, unit), x, half in zip(LAWS[name].names, one.theta, one.half, strict=True):
        turn = 1.0 if what == "alpha" else sign
        scale = DEPTH if what == "k" else 1.0
        ends = sorted(turn * scale * float(np.exp(np.clip(x + d, -600, 600))) for d in (-half, half))
        value = turn * scale * float(np.exp(x))
        rows.append(Estimate(f"{what}_{side}", value, unit, *ends, determined=bool(2 * half <= WIDEST)))
    return rows


def _plot(sides: dict[str, tuple[Values, Values, float]], best: dict[str, Fitted], name: str) -> Plot:
    curves = []
    for side, (v, t, _) in sides.items():
        grid = np.linspace(v.min(), v.max(), 200)
        curves.append(Curve(v, t, f"{side}, measured", "points"))
        curves.append(Curve(grid, np.exp(LAWS[name].log_time(grid, best[side].theta)), f"{side}, {name}"))
    return Plot("Switching time against voltage", "|voltage| (V)", "switching time (s)", tuple(curves), "y")


@kind(
    "switching",
    needs=("voltage|write voltage", "time"),
    without=("current", "conductance", "resistance", "pulse", "temperature"),
)
def fit_switching(tables: list[Table], options: Options) -> Outcome:
    """Fit switching times: columns of kind voltage (or write voltage, V), time (or width, s), direction (set/reset).

    One law for all directions, by the lowest sum of BIC; a VTEAM device where both directions are named. The device
    keeps the default resistances, which times do not tell. InputError for data that are no switching times.
    """
    if len(tables) != 1:
        raise InputError(f"A fit of switching times takes one file, {len(tables)} are given.")
    if options.model not in ("auto", *LAWS):
        raise no_law(options.model, "switching", ["auto", *LAWS])
    sides = _sides(tables[0])
    names = [n for n in LAWS if options.model in ("auto", n)]
    tried = {n: {side: fit_side(LAWS[n], *row[:2]) for side, row in sides.items()} for n in names}
    bic = {n: sum(one.bic for one in found.values()) for n, found in tried.items()}
    name = min(bic, key=lambda n: bic[n])
    told = [e for side, one in tried[name].items() for e in _estimates(name, side, one)]
    warnings = [f"These times do not determine {e.name}." for e in told if not e.determined]
    device = None
    if name == "vteam" and {*sides} == {"on", "off"}:
        values: dict[str, Any] = {e.name: e.value for e in told}
        device = VTEAM(depth=DEPTH, **values)
        if sides["on"][2] > 0:
            warnings.append("Wired the other way round than vteam, which sets at v < 0: exchange its terminals.")
        warnings.append(
            "Only k/depth acts: k holds for a depth of 3 nm. r_on and r_off are the defaults: not measured."
        )
    elif name == "vteam":
        warnings.append("No device: mark the directions (set, reset) with --column NAME=direction to get one.")
    else:
        marked = "" if {*sides} == {"on", "off"} else " from directions (set, reset), with --column NAME=direction"
        warnings.append(f"No device follows the {name} law; --model vteam makes one{marked}.")
    spread = {side: one.spread for side, one in tried[name].items()}
    about = ", ".join(f"{side} {np.expm1(s):.0%}" for side, s in spread.items())
    return Outcome(
        headline=f"{name}: a time deviates by {about}; {sum(e.determined for e in told)} of {len(told)} determined.",
        device=device,
        estimates=tuple(told),
        warnings=tuple(warnings),
        plots={"switching": _plot(sides, tried[name], name)},
        facts={"model": name, "bic": bic, "spread": spread},
    )
