"""From measured pulses to a device: maximum likelihood, 95 % intervals and the choice of the law."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from memspike.devices import labels
from memspike.devices.asymmetry import symmetry_point
from memspike.devices.step import AbstractStepDevice
from memspike.devices.variation.wrappers import CycleToCycle
from memspike.fitting.candidates import LAWS, SIDES, Law
from memspike.fitting.instruments.options import Options
from memspike.fitting.likelihood import Problem, Ramps, intervals, maximise, ramps, start
from memspike.fitting.measurements import Measurements, read
from memspike.parts.errors import InputError, unknown

Vector = Float[np.ndarray, " _"]
DECADES = 2.0  # a parameter whose interval spans more factors of ten is not identified
SHARES = np.linspace(0.0, 1.0, 1001)
BEYOND = 0.05  # share of the range by which noise may carry data over a given range


@dataclass(frozen=True)
class Estimate:
    """A fitted parameter with its 95 % interval."""

    name: str
    value: float
    unit: str
    low: float
    high: float


@dataclass(frozen=True)
class Candidate:
    """One fitted law: rms as a share of the range, noise in S, ramp-to-ramp variation of the speed, both ways.

    `curve_*` is the mean response in S after 0, 1, 2, … pulses from the mean initial conductance, `step_*` the
    step in S of one pulse at `SHARES` of the range. `lag1_*` is the correlation of neighbouring residuals: pure
    write noise leaves none, read noise a negative one. `symmetry_point` is the share of the range where a pulse
    up and one down are equally large. `sound` is False if the likelihood is flat in a parameter.
    """

    law: AbstractStepDevice
    bic: float
    rms_up: float
    rms_down: float
    noise_up: float
    noise_down: float
    variation_up: float
    variation_down: float
    lag1_up: float
    lag1_down: float
    curve_up: Vector
    curve_down: Vector
    step_up: Vector
    step_down: Vector
    parameters: tuple[Estimate, ...]
    symmetry_point: float | None
    sound: bool


def _of_best(name: str, doc: str) -> Any:
    """The number of the chosen candidate."""
    return property(lambda fit: getattr(fit.best, name), doc=doc)


@dataclass(frozen=True)
class Fit:
    """What `fit` found; `candidates` holds every law that was tried, `dropped` why one was left out."""

    measurements: Measurements
    g_min: float
    g_max: float
    model: str
    candidates: dict[str, Candidate]
    dropped: dict[str, str]
    nl_up: float
    nl_down: float
    warnings: tuple[str, ...]

    @property
    def best(self) -> Candidate:
        """The candidate of the chosen model."""
        return self.candidates[self.model]

    @property
    def device(self) -> CycleToCycle:
        """The fitted device, with its cycle-to-cycle noise."""
        width = self.g_max - self.g_min
        up, down = self.best.noise_up / width, self.best.noise_down / width
        return CycleToCycle(device=self.best.law, up=up, down=down)  # pyright: ignore[reportCallIssue]

    @property
    def bic(self) -> dict[str, float]:
        """The Bayesian information criterion of every candidate; lower is better."""
        return {name: c.bic for name, c in self.candidates.items()}

    @property
    def parameters(self) -> tuple[Estimate, ...]:
        """Every parameter of the chosen model with its 95 % interval."""
        return self.best.parameters

    rms_up = _of_best("rms_up", "rms of the mean upward response against the mean of the ramps, a share of the range.")
    rms_down = _of_best("rms_down", "The same of the downward response.")
    noise_up = _of_best("noise_up", "Cycle-to-cycle s.d. σ of one upward pulse, in S.")
    noise_down = _of_best("noise_down", "The same of one downward pulse.")
    variation_up = _of_best("variation_up", "Ramp-to-ramp s.d. σ_r of the upward speed, relative.")
    variation_down = _of_best("variation_down", "The same of the downward speed.")
    lag1_up = _of_best("lag1_up", "Correlation of neighbouring upward residuals.")
    lag1_down = _of_best("lag1_down", "The same of downward residuals.")

    def summary(self) -> dict[str, Any]:
        """The numbers of the fit as plain dictionaries and lists, as in fit.json."""
        keys = [f"{what}_{side}" for what in ("rms", "noise", "variation", "lag1") for side, _ in SIDES]

        def row(candidate: Candidate) -> dict[str, Any]:
            own = {key: getattr(candidate, key) for key in keys}
            return {**own, "parameters": [dataclasses.asdict(p) for p in candidate.parameters]}

        data = {f"{what}_{side}": value for side, _ in SIDES for what, value in self.measurements.facts(side).items()}
        return {
            "model": self.model,
            **row(self.best),
            "nl_up": self.nl_up,
            "nl_down": self.nl_down,
            "symmetry_point": self.best.symmetry_point,
            "g_min": self.g_min,
            "g_max": self.g_max,
            "read_voltage": self.measurements.read_voltage,
            **data,
            "bic": self.bic,
            "candidates": {name: row(c) for name, c in self.candidates.items()},
            "dropped": self.dropped,
            "warnings": list(self.warnings),
            "notes": list(self.measurements.notes),
        }


@dataclass(frozen=True)
class _Side:
    """One direction of one law, fitted."""

    problem: Problem
    theta: Vector
    loss: float
    estimates: tuple[Estimate, ...]
    noise: float
    variation: float
    lag1: float
    sound: bool


def _lag1(problem: Problem, theta: Vector) -> float:
    """Correlation of neighbouring residuals, each ramp's own speed taken off."""
    m, data = problem.means(theta), problem.data
    missed = data.step - m
    speed = np.exp(2 * theta[-1])
    strength, along = (m * m).sum(1), (m * missed).sum(1)
    missed = missed - (speed * along / (np.exp(2 * theta[-2]) + speed * strength))[:, None] * m
    pairs = data.known[:, 1:] & data.known[:, :-1]
    if not pairs.any():
        return 0.0
    return float((missed[:, 1:] * missed[:, :-1])[pairs].mean() / (missed[data.known] ** 2).mean())


def _fit_side(law: Law, data: Ramps, side: str, width: float) -> _Side:
    problem = Problem(law.shape, len(law.names), np.array(law.constants), data)
    begin = min((start(problem, natural) for natural in law.starts(data)), key=lambda theta: problem(theta)[0])
    theta, loss = maximise(problem, begin)
    low, high, sound = intervals(problem, theta)
    natural = problem.shape.natural(theta[:-2])
    noise, variation = np.exp(theta[-2]) * width, np.exp(theta[-1])
    scale = np.array([1.0] * len(natural) + [width, 1.0])
    names = [name.format(side) for name in law.names] + [f"noise_{side}", f"variation_{side}"]
    units = ["1"] * len(natural) + ["S", "1"]
    values = (names, np.array([*natural, noise, variation]), units, low * scale, high * scale)
    estimates = tuple(Estimate(n, float(v), u, float(a), float(b)) for n, v, u, a, b in zip(*values, strict=True))
    return _Side(problem, theta, loss, estimates, float(noise), float(variation), _lag1(problem, theta), sound)


def mean_curve(g: Float[np.ndarray, "ramps pulses"]) -> Vector:
    """Mean over ramps in S at every pulse number that at least half of them reach, NaN in gaps."""
    used = np.isfinite(g).sum(axis=0) >= 0.5 * len(g)
    length = int(np.flatnonzero(used)[-1]) + 1
    return np.array([np.nanmean(g[:, k]) if used[k] else np.nan for k in range(length)])


def _responses(
    sides: dict[str, _Side], first: dict[str, float], length: int
) -> tuple[dict[str, Vector], dict[str, Vector], float | None]:
    """Shares after 0, 1, 2, … pulses and steps at `SHARES` of each direction, and the symmetry point; no noise.

    The laws compose exactly, so k pulses are one call. No symmetry point is None.
    """
    share = SHARES
    curves, steps = {}, {}
    for side, sign in SIDES:
        pulses = np.append(sign * np.arange(float(length)), np.full(share.size, float(sign)))
        starts = np.append(np.full(length, first[side]), share)
        after = sides[side].problem.program(sides[side].theta, starts, pulses)
        curves[side], steps[side] = after[:length], after[length:] - share
    where, _ = symmetry_point(share, steps["up"], -steps["down"])
    return curves, steps, where if np.isfinite(where) else None


def _candidate(
    variants: tuple[Law, ...], data: dict[str, Ramps], measured: Measurements, g_range: tuple[float, float]
) -> Candidate:
    """The better variant of a law, both directions."""
    low, high = g_range
    width, found = high - low, []
    for law in variants:
        sides = {side: _fit_side(law, data[side], side, width) for side, _ in SIDES}
        found.append((sum(s.loss for s in sides.values()), law, sides))
    loss, law, sides = min(found, key=lambda item: item[0])
    means = {side: mean_curve(getattr(measured, side)) for side, _ in SIDES}
    first = {side: (mean[0] - low) / width for side, mean in means.items()}
    curves, steps, symmetry = _responses(sides, first, data["up"].share.shape[1] + 1)
    own: dict[str, Any] = {}
    for side, mean in means.items():
        curve = low + width * curves[side][: len(mean)]
        own |= {f"{what}_{side}": getattr(sides[side], what) for what in ("noise", "variation", "lag1")}
        own[f"step_{side}"] = width * steps[side]
        own |= {f"curve_{side}": curve, f"rms_{side}": float(np.sqrt(np.nanmean((curve - mean) ** 2)) / width)}
    points = sum(d.points for d in data.values())
    spent = sum(len(s.estimates) for s in sides.values())
    natural = (sides[side].problem.shape.natural(sides[side].theta[:-2]) for side, _ in SIDES)
    return Candidate(
        law=law.assemble(*natural, g_min=low, g_max=high),
        bic=2 * loss + spent * float(np.log(points)),
        parameters=sum((s.estimates for s in sides.values()), ()),
        symmetry_point=symmetry,
        sound=all(s.sound for s in sides.values()),
        **own,
    )


def _degenerate(candidate: Candidate) -> str:
    """Why the exponent of exp-step cannot be told from these data; empty if it can."""
    if not candidate.sound:
        return "the likelihood has no sharp maximum"
    for p in candidate.parameters:
        if p.name.startswith("gamma") and p.high > p.low * 10**DECADES:
            return f"{p.name} lies anywhere between {p.low:.2g} and {p.high:.2g}"
    return ""


def _range(measured: Measurements, given: tuple[float, float] | None) -> tuple[float, float]:
    everything = np.concatenate([measured.up.ravel(), measured.down.ravel()])
    seen = float(np.nanmin(everything)), float(np.nanmax(everything))
    if given is None:
        return seen
    low, high = map(float, given)
    if not 0 <= low < high < np.inf:
        raise InputError(f"g_range is {low:g} to {high:g} S; the lowest must be at least 0 and below the highest.")
    slack = BEYOND * (high - low)
    if seen[0] < low - slack or seen[1] > high + slack:
        raise InputError(
            f"g_range is {low:g} to {high:g} S, but the data go from {seen[0]:g} to {seen[1]:g} S; "
            "a range that holds the data is needed."
        )
    return low, high


def _wanted(model: str) -> list[str]:
    names = [name for name in LAWS if model == "auto" or name == model or name.rpartition("-")[0] == model]
    if not names:
        raise unknown("model", model, ["auto", "piecewise-step", *LAWS])
    return names


def fit(
    measured: Measurements | str | Path | Sequence[str | Path],
    *,
    model: str = "auto",
    read_voltage: float | None = None,
    g_range: tuple[float, float] | None = None,
    options: Options | None = None,
) -> Fit:
    """Fit a pulse device to measurements (or to the files that hold them) by maximum likelihood.

    `model` is a candidate (`soft-bounds`, `power-step`, `log-step`, `exp-step`, `constant-step`,
    `piecewise-step`, the last with a number of nodes if wanted, as `piecewise-step-9`), or "auto" for the one
    with the lowest BIC. `read_voltage` in V says that the files hold currents, `options` more about them.
    `g_range` in S is the range of the device; by default the lowest and the highest conductance seen. InputError
    for data that cannot be used.
    """
    names = _wanted(model)
    if not isinstance(measured, Measurements):
        paths = [measured] if isinstance(measured, str | Path) else list(measured)
        options = options or Options()
        if read_voltage is not None:
            options = dataclasses.replace(options, read_voltage=read_voltage)
        measured = read([Path(p) for p in paths], options)
    low, high = _range(measured, g_range)
    shape = max(len(measured.up), len(measured.down)), max(measured.up.shape[1], measured.down.shape[1])
    data = {side: ramps((getattr(measured, side) - low) / (high - low), sign, shape) for side, sign in SIDES}
    tried = {
        name: _candidate(LAWS[name], data, measured, (low, high)) for name in dict.fromkeys([*names, "soft-bounds"])
    }
    reasons = {"exp-step": _degenerate(tried["exp-step"])} if model == "auto" else {}
    dropped = {name: why for name, why in reasons.items() if why}
    kept = {name: c for name, c in tried.items() if name not in dropped}
    best = min((name for name in names if name in kept), key=lambda name: kept[name].bic)
    bends = {p.name: p.value for p in tried["soft-bounds"].parameters}
    trouble = () if kept[best].sound else (f"The likelihood of {best} is flat in a parameter; see its intervals.",)
    return Fit(
        measurements=measured,
        g_min=low,
        g_max=high,
        model=best,
        candidates=kept,
        dropped=dropped,
        nl_up=float(labels.label(bends["curvature_up"])),
        nl_down=float(labels.label(bends["curvature_down"])),
        warnings=trouble,
    )
