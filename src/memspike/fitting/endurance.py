"""Endurance: LRS and HRS against cycles → windows, their closing, and the law of the cycles to failure.

A device failed at the cycle from which on its window G_LRS/G_HRS stays below a limit; between two measured cycles the
failure is interval-censored, a device that still works at its last cycle is right-censored. Weibull and log-normal
laws are fitted by maximum likelihood with profile intervals; the likelier one goes into the device.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import stats
from scipy.special import log_ndtr

from memspike.devices.step import SoftBounds
from memspike.devices.variation.fabricate import AbstractSpread, LogNormal, Weibull
from memspike.devices.variation.wrappers import LimitedEndurance
from memspike.fitting.kinds import Curve, Options, Outcome, Plot, kind, no_law
from memspike.fitting.records import (
    Rows,
    Values,
    estimate,
    gather,
    groups,
    hessian,
    lines,
    minimise,
    mixed,
    noise_interval,
    positive,
    profile,
    sd_interval,
    shown,
    undetermined,
)
from memspike.fitting.table import Estimate, Table
from memspike.parts.errors import InputError
from memspike.parts.units import counted

ON = {"lrs", "on", "set", "low resistance", "up", "ltp", "rlrs", "glrs", "ron", "gon", "ilrs", "ion"}
OFF = {"hrs", "off", "reset", "high resistance", "down", "ltd", "rhrs", "ghrs", "roff", "goff", "ihrs", "ioff"}
SPREADS: dict[str, Callable[[float], AbstractSpread]] = {"log-normal": LogNormal, "weibull": Weibull}
SIGNS = {"1": 1.0, "+1": 1.0, "-1": 0.0}
PULSES = 2.0  # pulses of a cycle: one SET and one RESET
EXAMPLE = "device.pulses device.curvature"
FEWEST = 2  # failures from which on a law is fitted


@dataclass(frozen=True)
class _Lives:
    """Last good and first bad cycle of each device; the latter infinite for one that still works."""

    good: Values
    bad: Values

    @property
    def failed(self) -> int:
        return int(np.isfinite(self.bad).sum())


def _log_normal(u: Values, theta: Values) -> tuple[Values, Values]:
    """ln F and ln S at ln cycles; theta: ln median, ln s.d."""
    z = (u - theta[0]) * np.exp(-theta[1])
    return log_ndtr(z), log_ndtr(-z)


def _weibull(u: Values, theta: Values) -> tuple[Values, Values]:
    """The same; theta: ln median, ln shape."""
    hazard = np.log(2) * np.exp(np.clip((u - theta[0]) * np.exp(theta[1]), -700.0, 50.0))
    return np.log(-np.expm1(-hazard)), -hazard


LAWS: dict[str, Callable[[Values, Values], tuple[Values, Values]]] = {"log-normal": _log_normal, "weibull": _weibull}
SHAPES = {"log-normal": "lognormal_sd", "weibull": "weibull_shape"}


def _loss(lives: _Lives, law: str) -> Callable[[Values], float]:
    ends = np.isfinite(lives.bad)
    low, high = np.log(np.maximum(lives.good, 1e-3)), np.log(np.where(ends, lives.bad, 1.0))

    def loss(theta: Values) -> float:
        theta = np.clip(theta, -20.0, 60.0)
        alive, later = LAWS[law](low, theta)[1], LAWS[law](high, theta)[1]
        inside = alive + np.log(np.maximum(-np.expm1(np.minimum(later - alive, 0.0)), 1e-300))
        return -float(np.where(ends, inside, alive).sum())

    return loss


def _best(lives: _Lives, law: str) -> tuple[Values, float]:
    """The maximum of the likelihood of a law, and −log-likelihood there."""
    loss = _loss(lives, law)
    ends = np.log(np.where(np.isfinite(lives.bad), lives.bad, lives.good))
    starts = [np.array([np.median(ends) + move, np.log(shape)]) for move in (0.0, 1.0) for shape in (0.3, 1.0, 3.0)]
    return minimise(loss, min(starts, key=loss))


def _life(lives: _Lives, law: str, best: Values) -> list[Estimate]:
    """Median cycles and shape of a law with profile intervals."""
    loss = _loss(lives, law)
    errors = np.sqrt(np.clip(np.diag(np.linalg.pinv(hessian(loss, best, np.full(2, 1e-3)))), 1e-6, 4.0))
    found = []
    for k, name in enumerate(("median_cycles", SHAPES[law])):
        low, high = profile(loss, best, k, errors)
        found.append(estimate(name, np.exp(best[k]), "1", np.exp(low), np.exp(high), ratio=True))
    return found


def _states(rows: Rows, file: str) -> np.ndarray:
    """Whether a row is LRS: from names of columns, labels of direction, or the larger of two columns."""

    def told(texts: np.ndarray) -> np.ndarray:
        def one(text: str) -> float:
            words = "".join(c if c.isalnum() else " " for c in text.lower()).split()
            spelled = {*words, "".join(words), *(f"{a} {b}" for a, b in pairwise(words))}
            if text.removesuffix(".0") in SIGNS:
                return SIGNS[text.removesuffix(".0")]
            return 1.0 if spelled & ON else 0.0 if spelled & OFF else np.nan

        names, where = np.unique(texts.astype(str), return_inverse=True)
        return np.array([one(name) for name in names])[where]

    for texts in (rows["direction"], rows["name"]):
        found = told(texts)
        if np.isfinite(found).all() and 0 < found.mean() < 1:
            return found > 0.5
    names = np.unique(rows["name"])
    if len(names) == 2:
        first = rows["name"] == names[0]
        return first == (np.median(rows["g"][first]) > np.median(rows["g"][~first]))
    raise InputError(
        f"{file} does not tell LRS from HRS; two columns named LRS and HRS, or a column of direction "
        "(set or reset) are needed: --column NAME=direction."
    )


def _windows(rows: Rows, file: str) -> tuple[Rows, Rows]:
    """Per device and cycle: G in S of LRS ("on") and HRS ("off"), as the geometric mean of its reads; and pairs."""
    on = _states(rows, file)
    pieces = groups(rows["device"], rows["cycle"], on)
    at = np.array([p[0] for p in pieces])
    g = np.array([np.log(rows["g"][p]).mean() for p in pieces])
    single = {"device": rows["device"][at], "cycle": rows["cycle"][at], "on": on[at], "g": g}
    both = [p for p in groups(single["device"], single["cycle"]) if len(p) == 2]
    kept = np.isin(single["device"], [single["device"][p[0]] for p in both])
    if not both:
        raise InputError(f"{file} has no cycle with both LRS and HRS; every cycle of a device needs one of each.")
    first = np.array([p[0] for p in both])
    signed = [float(np.sum(np.where(single["on"][p], single["g"][p], -single["g"][p]))) for p in both]
    pairs = {"device": single["device"][first], "cycle": single["cycle"][first], "window": np.array(signed)}
    return {k: v[kept] for k, v in single.items()}, pairs


def _numbered(labels: np.ndarray) -> tuple[np.ndarray, int]:
    """The number of the device of each row, in the order of their names, and how many there are."""
    names, which = np.unique(labels, return_inverse=True)
    return which, len(names)


def _lives(pairs: Rows, limit: float) -> _Lives:
    ends = []
    which, number = _numbered(pairs["device"])
    for piece in (np.flatnonzero(which == k) for k in range(number)):
        own = piece[np.argsort(pairs["cycle"][piece], kind="stable")]
        good = np.flatnonzero(pairs["window"][own] >= limit)
        last = good[-1] if len(good) else -1
        cycles = pairs["cycle"][own]
        ends.append((cycles[last] if last >= 0 else 0.0, cycles[last + 1] if last + 1 < len(own) else np.inf))
    good, bad = np.array(ends, float).T
    return _Lives(good, bad)


def _level(single: Rows, lives: _Lives, on: bool, name: str) -> list[Estimate]:
    """Conductance of a state over devices before failure, and s.d. of ln G over cycles and devices."""
    which, _ = _numbered(single["device"])
    mine = (single["on"] == on) & (single["cycle"] <= lives.good[which])
    which, number = _numbered(single["device"][mine])
    found = lines(np.log(single["cycle"][mine] + 1), single["g"][mine], which)
    estimates = []
    if found.freedom > 0:
        estimates.append(estimate(f"{name}_cycle_sd", found.noise, "1", *noise_interval(found)))
    if number > 1:
        x, known = np.ones((number, 1)), found.noise**2 / found.number
        fit = mixed(found.mean, x, known)
        error = float(np.sqrt(fit.covariance[0, 0]) * stats.t.ppf(0.975, fit.freedom))
        middle = fit.beta[0]
        low, high = np.exp([middle - error, middle + error])
        estimates.insert(0, estimate(name, np.exp(middle), "S", low, high))
        estimates.append(estimate(f"{name}_device_sd", fit.sd, "1", *sd_interval(found.mean, x, known)))
    return estimates


def _closing(pairs: Rows, lives: _Lives) -> list[Estimate]:
    """Change of the logarithm of the window per e-fold of cycles, before failure, over devices."""
    which, _ = _numbered(pairs["device"])
    kept = (pairs["cycle"] <= lives.good[which]) & (pairs["cycle"] > 0)
    if kept.sum() < 3:
        return []
    own, _ = _numbered(which[kept])
    found = lines(np.log(pairs["cycle"][kept]), pairs["window"][kept], own)
    known = (found.variance < 1e6) & (found.number > 2)
    if known.sum() < 2 or found.freedom < 1:
        return []
    fit = mixed(found.slope[known], np.ones((int(known.sum()), 1)), found.variance[known])
    error = float(np.sqrt(fit.covariance[0, 0]) * stats.t.ppf(0.975, fit.freedom))
    return [estimate("window_slope", fit.beta[0], "1", fit.beta[0] - error, fit.beta[0] + error)]


def _chosen(lives: _Lives, model: str) -> tuple[str, list[Estimate], dict[str, Any], list[str]]:
    """The law, its estimates, the best numbers of the other one, and whether the two can be told apart."""
    if model not in ("auto", *LAWS):
        raise no_law(model, "endurance", ["auto", *LAWS])
    found = {law: _best(lives, law) for law in LAWS}
    law = min(found, key=lambda name: found[name][1]) if model == "auto" else model
    gap = abs(found["weibull"][1] - found["log-normal"][1])
    near = [f"These failures do not tell Weibull from log-normal: log-likelihoods differ by {gap:.2g}."]
    others = {
        name: dict(zip(("median_cycles", SHAPES[name]), np.exp(theta).tolist(), strict=True))
        for name, (theta, _) in found.items()
        if name != law
    }
    return law, _life(lives, law, found[law][0]), others, near if gap < 2 else []


@kind(
    "endurance",
    needs=("cycle",),
    without=("time", "voltage", "pulse", "target"),
    states=(
        ("lrs", "rlrs", "glrs", "ilrs", "on", "ron", "gon", "ion"),
        ("hrs", "rhrs", "ghrs", "ihrs", "off", "roff", "goff", "ioff"),
    ),
)
def endurance(tables: list[Table], options: Options) -> Outcome:
    """Fit LRS and HRS against cycles, in columns of these names or with a column of direction; many devices.

    The limit of a window is `options.window`, by default the square root of the initial window over all devices. The
    device is `LimitedEndurance` around `SoftBounds` over the measured range, with 2 pulses a cycle; the spread over
    devices is among the facts. No device is given where fewer than 2 failed. InputError for what cannot be used.
    """
    rows, notes = gather(tables, ("cycle",), ("device", "direction"))
    if rows["cycle"].dtype.kind != "f":
        raise InputError(f"{tables[0].file}: a cycle is '{rows['cycle'][0]}'; the number of the cycle is needed.")
    if (rows["cycle"] < 0).any():
        raise InputError(f"{tables[0].file} has a cycle below 0; cycles count from the first on.")
    rows, more = positive(rows)
    if not any(table.of("device") for table in tables):
        rows["device"] = rows["file"]  # two columns of a file are the states of one device
    single, pairs = _windows(rows, tables[0].file)
    early = np.concatenate([p[np.argsort(pairs["cycle"][p])[:3]] for p in groups(pairs["device"])])
    given = options.window
    if given is not None and not 1 < given < np.inf:
        raise InputError(f"The smallest window is {given:g}; allowed: a ratio of conductances above 1.")
    limit = 0.5 * float(np.median(pairs["window"][early])) if given is None else float(np.log(given))
    if limit <= 0:
        raise InputError(f"{tables[0].file} has no window: LRS does not conduct better than HRS in the first cycles.")
    lives = _lives(pairs, limit)
    n = len(lives.good)
    failed = f"{lives.failed} of {counted(n, 'device')} failed"
    levels = [*_level(single, lives, True, "g_lrs"), *_level(single, lives, False, "g_hrs"), *_closing(pairs, lives)]
    facts: dict[str, Any] = {
        "kind": "endurance", "devices": n, "failed": lives.failed, "smallest_window": float(np.exp(limit)),
    }  # fmt: skip
    plots = _plots(pairs, lives)
    if lives.failed < FEWEST:
        share = 1 - 0.05 ** (1 / n)
        notes.append(
            f"{failed}, too few for a law; with 95 % confidence no more than {share:.0%} fail within "
            f"{counted(int(lives.good.min()), 'cycle')}."
        )
        headline = f"Endurance is not determined: {failed}."
        return Outcome(headline, None, tuple(levels), tuple(notes + more), plots, facts)
    law, life, others, near = _chosen(lives, options.model)
    estimates = [*life, *levels]
    notes += [*more, *near, *undetermined(estimates)]
    median, shape = life
    plots["failures"] = _failures(lives, law, np.log([median.value, shape.value]))
    facts["other_laws"] = others
    spread: dict[str, AbstractSpread] = {"endurance": SPREADS[law](shape.value)}
    g = {on: float(np.exp(np.median(single["g"][_early(single, on)]))) for on in (True, False)}
    device = LimitedEndurance(SoftBounds(g_min=g[False], g_max=g[True]), endurance=PULSES * median.value)
    notes.append("A cycle counts as 2 pulses; the pulses of the device inside are an example.")
    headline = f"{failed} ({law}): {shown(median)}, {shown(shape)}."
    return Outcome(headline, device, tuple(estimates), tuple(notes), plots, facts, spread, EXAMPLE)


def _early(single: Rows, on: bool) -> np.ndarray:
    """The first three rows of a state of each device."""
    mine = np.flatnonzero(single["on"] == on)
    return np.concatenate([mine[p[np.argsort(single["cycle"][mine][p])[:3]]] for p in groups(single["device"][mine])])


def _plots(pairs: Rows, lives: _Lives) -> dict[str, Plot]:
    curves = []
    for piece in groups(pairs["device"])[:60]:
        own = piece[np.argsort(pairs["cycle"][piece])]
        curves.append(Curve(pairs["cycle"][own], np.exp(pairs["window"][own]), style="faint"))
    return {"windows": Plot("Windows", "cycle", "G_LRS/G_HRS", tuple(curves), log="xy")}


def _failures(lives: _Lives, law: str, theta: Values) -> Plot:
    """The share of devices that failed, between the last good and the first bad cycle of each, and the law."""
    failed = np.isfinite(lives.bad)
    at = np.sort(np.sqrt(np.maximum(lives.good[failed], 1.0) * lives.bad[failed]))
    share = (np.arange(len(at)) + 0.7) / (len(failed) + 0.4)
    u = np.linspace(np.log(at[0]) - 1, np.log(max(at[-1], lives.good.max())) + 0.5, 200)
    curves = (Curve(at, share, "failed devices", "points"), Curve(np.exp(u), np.exp(LAWS[law](u, theta)[0]), law))
    return Plot("Failures", "cycle", "share of devices that failed", curves, log="x")
