"""Retention: conductance against time → drift exponent, its spread and state dependence, activation energy → `Drift`.

ln G of a trace falls on a line of slope −ν_i against f(t) = ln(max(a·t, t₀)/t₀), with a free start. The slope of a
trace has a known error, so ν_i ~ N((ν + b·ln(G_i/G_r))·e^(−E_ν/k·(1/T − 1/T_r)), σ_ν²) is a random-effects regression,
solved by restricted maximum likelihood; its intervals hold for few traces. t₀ is the first read where no trace has
one at t = 0; else t₀ and the energy E_a of a = e^(−E_a/k·(1/T − 1/T_r)) are found by likelihood.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import stats

from memspike.devices.step import SoftBounds
from memspike.devices.variation.drift import BOLTZMANN, Drift
from memspike.devices.variation.fabricate import Absolute, AbstractSpread
from memspike.fitting.kinds import Curve, Options, Outcome, Plot, kind
from memspike.fitting.records import (
    Lines,
    Mixed,
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
    span,
    undetermined,
)
from memspike.fitting.table import Estimate, Table
from memspike.parts.errors import InputError
from memspike.parts.units import counted

STATES_APART = 0.2  # spread of ln G over traces from which on a state dependence is looked for
FEWEST_STATES = 5  # traces from which on it is
MOST = 5.0  # eV: no activation energy is larger


@dataclass(frozen=True)
class _Traces:
    """ln G and t of all reads, the trace of each, and per trace ln G at its start and temperature in K."""

    y: Values
    t: Values
    which: np.ndarray
    start: Values
    temperature: Values
    t0: float
    clocked: bool

    @property
    def inverse(self) -> Values:
        """(1/T_r − 1/T)/k in 1/eV of each trace; T_r is the lowest temperature."""
        return (1 / self.temperature.min() - 1 / self.temperature) / BOLTZMANN


def _fall(data: _Traces, t0: float, clock: float) -> Values:
    """−f(t) of all reads: a line of ln G on it has slope ν."""
    aged = np.exp(clock * data.inverse)[data.which] * data.t / t0
    return -np.log(np.maximum(aged, 1.0))


def _design(data: _Traces, bends: bool, energy: float) -> Float[np.ndarray, "_ _"]:
    factor = np.exp(energy * data.inverse)
    return np.stack([factor, factor * (data.start - data.start.mean())] if bends else [factor], axis=1)


def _read(tables: list[Table]) -> tuple[_Traces, list[str]]:
    rows, notes = gather(tables, ("time",), ("device", "temperature", "target", "ramp", "cycle"))
    rows, more = positive(rows)
    pieces = groups(*(rows[k] for k in ("series", "device", "temperature", "target", "ramp", "cycle")))
    good = [p for p in pieces if len(np.unique(rows["time"][p])) >= 3]
    if len(good) < 2:
        raise InputError(
            f"{tables[0].file} has {counted(len(good), 'trace')} of reads at 3 times or more; retention needs 2 or "
            "more, told apart by columns of device, temperature, target, ramp or cycle."
        )
    if len(good) < len(pieces):
        more.append(
            f"{counted(len(pieces) - len(good), 'trace')} of {len(pieces)} left out: reads at fewer than 3 times."
        )
    if (rows["time"] < 0).any():
        raise InputError(f"{tables[0].file} has a time below 0 s; times count from the write on.")
    lost = np.isnan(rows["temperature"])
    if lost.any() and not lost.all():
        raise InputError(
            f"{tables[0].file} lacks the temperature of {counted(int(lost.sum()), 'row')}; all or none need one."
        )
    temperature = np.where(lost, 300.0, rows["temperature"])
    order = [p[np.argsort(rows["time"][p], kind="stable")] for p in good]
    at = np.concatenate(order)
    t, y = rows["time"][at], np.log(rows["g"][at])
    which = np.repeat(np.arange(len(order)), [len(p) for p in order])
    clocked = all(rows["time"][p[0]] == 0 for p in order)
    if not clocked and (t == 0).any():
        kept = t > 0
        t, y, which = t[kept], y[kept], which[kept]
        more.append("Reads at t = 0 of some traces were left out: not every trace has one.")
    start = np.array([np.log(rows["g"][p[0]]) for p in order])
    data = _Traces(y, t, which, start, np.array([temperature[p[0]] for p in order]), float(t[t > 0].min()), clocked)
    return data, notes + more


@dataclass(frozen=True)
class _Found:
    """A law at given ln t₀, energies of clock and exponent in eV (`names` say which), and what follows from them."""

    theta: Values
    names: tuple[str, ...]
    lines: Lines
    fit: Mixed
    x: Float[np.ndarray, "_ _"]
    loss: float


def _at(data: _Traces, names: tuple[str, ...], bends: bool, theta: Values) -> _Found:
    """Everything else is closed; the energies are kept from running away."""
    given = dict(zip(names, theta, strict=True))
    x = _fall(data, np.exp(given.get("t0", np.log(data.t0))), given.get("clock_energy", 0.0))
    found = lines(x, data.y, data.which)
    x = _design(data, bends, given.get("exponent_energy", 0.0))
    fit = mixed(found.slope, x, found.variance)
    far = np.array([50.0 if n == "t0" else MOST for n in names])
    fence = 1e3 * float((np.maximum(np.abs(theta) - far, 0.0) ** 2).sum())
    return _Found(theta, names, found, fit, x, 0.5 * (found.loss + fit.loss) + fence)


def _solve(data: _Traces, names: tuple[str, ...], bends: bool) -> _Found:
    """Maximum likelihood over the parameters of `names`, from the best points of a grid."""
    if not names:
        return _at(data, names, bends, np.empty(0))
    grids = {
        "t0": np.linspace(np.log(data.t0) - 7.0, np.log(data.t.max()), 9),
        "clock_energy": np.linspace(-0.5, 2.5, 9),
        "exponent_energy": np.linspace(-0.3, 1.2, 6),
    }

    def loss(theta: Values) -> float:
        return _at(data, names, bends, theta).loss

    starts = sorted((np.array(p) for p in product(*(grids[n] for n in names))), key=loss)[:2]
    return _at(data, names, bends, min((minimise(loss, p) for p in starts), key=lambda found: found[1])[0])


def _choose(data: _Traces, bends: bool) -> tuple[_Found, list[str]]:
    """The law whose clock or exponent is activated; only the likelier one counts."""
    base = ("t0",) if data.clocked else ()
    if np.ptp(data.temperature) < 1:
        return _solve(data, base, bends), []
    if not data.clocked:
        note = "There are no reads at t = 0, so a faster clock cannot be told from a lower start: the activation "
        return _solve(data, ("exponent_energy",), bends), [note + "energy is that of the drift exponent."]
    found = {name: _solve(data, (*base, f"{name}_energy"), bends) for name in ("clock", "exponent")}
    best = min(found, key=lambda n: found[n].loss)
    gap = abs(found["clock"].loss - found["exponent"].loss)
    note = f"Temperature acts on the {best} rather than on the {'exponent' if best == 'clock' else 'clock'}"
    return found[best], [f"{note}: the log-likelihood is {gap:.3g} higher."]


def _estimates(data: _Traces, found: _Found, bends: bool) -> list[Estimate]:
    """ν and its slope, spread over traces, read noise, t₀ and the activation energy, with intervals."""
    names, theta, fit = found.names, found.theta, found.fit
    covariance = fit.covariance
    more = []
    if names:
        h = np.full(len(names), 1e-2)

        def loss(theta: Values) -> float:
            return _at(data, names, bends, theta).loss

        curvature = np.linalg.pinv(hessian(loss, theta, h), hermitian=True)
        ends = [[_at(data, names, bends, theta + s * h * row).fit.beta for s in (1, -1)] for row in np.eye(len(names))]
        moved = np.stack([(up - down) / (2 * step) for (up, down), step in zip(ends, h, strict=True)], axis=1)
        covariance = covariance + moved @ curvature @ moved.T
        errors = np.sqrt(np.maximum(np.diag(curvature), 1e-8))
        for k, name in enumerate(names):
            low, high = profile(loss, theta, k, errors)
            if name == "t0":
                more.append(estimate(name, np.exp(theta[k]), "s", np.exp(low), np.exp(high), ratio=True))
            else:
                more.append(estimate(name, theta[k], "eV", low, high))
    error = np.sqrt(np.diag(covariance)) * float(stats.t.ppf(0.975, fit.freedom))
    drift = [estimate(n, v, "1", v - e, v + e) for n, v, e in zip(("nu", "slope"), fit.beta, error, strict=False)]
    drift.append(estimate("nu_sd", fit.sd, "1", *sd_interval(found.lines.slope, found.x, found.lines.variance)))
    return [*drift, estimate("read_noise", found.lines.noise, "1", *noise_interval(found.lines)), *more]


def _curved(data: _Traces, found: _Found) -> bool:
    """Whether reads leave the lines: a square term that is significant and moves ends by more than 2 %."""
    given = dict(zip(found.names, found.theta, strict=True))
    f = _fall(data, np.exp(given.get("t0", np.log(data.t0))), given.get("clock_energy", 0.0))
    rest = data.y - found.lines.offset[data.which] - found.lines.slope[data.which] * f
    x = f - (np.bincount(data.which, f) / found.lines.number)[data.which]
    square = x * x - np.mean(x * x)
    bend, size = float(square @ rest), float(square @ square)
    clear = abs(bend) > 4 * np.sqrt(size) * found.lines.noise
    return bool(size > 0 and clear and abs(bend) / size * np.ptp(x) ** 2 > 0.02)


@kind("retention", needs=("time",), without=("pulse", "write voltage", "voltage"))
def retention(tables: list[Table], options: Options) -> Outcome:
    """Fit drift to conductances in S against seconds since the write, many traces; temperature in K optional.

    A trace is one device at one temperature, target, ramp and cycle. Needs at least 2 traces of 3 reads. The device is
    `Drift` around `SoftBounds` over the measured range, whose pulses are an example. InputError for what cannot be
    used.
    """
    data, notes = _read(tables)
    bends = float(np.std(data.start)) > STATES_APART and len(data.start) >= FEWEST_STATES
    found, more = _choose(data, bends)
    notes += more
    if _curved(data, found):
        notes.append("ln G bends against ln t: a power law does not hold over all of these times.")
    estimates = _estimates(data, found, bends)
    if not bends:
        few = "There are too few traces" if len(data.start) < FEWEST_STATES else "The traces start too near each other"
        notes.append(f"{few} to tell how the exponent depends on the state.")
    notes += undetermined(estimates)
    given = {e.name: e for e in estimates}
    sloped = bends and given["slope"].low * given["slope"].high > 0
    low, high = float(np.exp(data.y.min())), float(np.exp(max(data.y.max(), data.start.max())))
    energies = {n: v.value for n, v in given.items() if n.endswith("_energy") and v.determined}
    device = Drift(
        SoftBounds(g_min=low, g_max=high),
        nu=given["nu"].value,
        slope=given["slope"].value if sloped else 0.0,
        g_reference=float(np.exp(data.start.mean())),
        t0=given["t0"].value if "t0" in given else data.t0,
        temperature=float(data.temperature.min()),
        reference_temperature=float(data.temperature.min()),
        **energies,
    )
    silent = [*({"clock_energy", "exponent_energy"} - {*energies}), *([] if sloped else ["slope"])]
    example = " ".join(["device", *sorted(silent)])
    reach = span(low, high)
    notes.append(
        f"Retention tells nothing about pulses and their range: those of the device inside, {reach}, are an example."
    )
    spread: dict[str, AbstractSpread] = {"nu": Absolute(given["nu_sd"].value)}
    facts: dict[str, Any] = {"kind": "retention", "traces": len(data.start), "reads": len(data.y)}
    headline = f"Drift of {len(data.start)} traces: {shown(given['nu'])}, {shown(given['nu_sd'])} over traces"
    headline += "".join(f", {shown(e)}" for e in estimates if e.name.endswith("_energy"))
    return Outcome(f"{headline}.", device, tuple(estimates), tuple(notes), _plots(data, found), facts, spread, example)


def _plots(data: _Traces, found: _Found) -> dict[str, Plot]:
    traces = []
    for k in range(min(len(data.start), 60)):
        own = (data.which == k) & (data.t > 0)
        traces.append(Curve(data.t[own], 1e6 * np.exp(data.y[own]), style="faint" if len(data.start) > 8 else "points"))
    states = [Curve(1e6 * np.exp(data.start), found.lines.slope, "traces", "points")]
    for kelvin in np.unique(data.temperature):
        own = np.flatnonzero(data.temperature == kelvin)
        own = own[np.argsort(data.start[own])]
        label = "law" if np.ptp(data.temperature) == 0 else f"law at {kelvin:.4g} K"
        states.append(Curve(1e6 * np.exp(data.start[own]), (found.x @ found.fit.beta)[own], label))
    return {
        "retention": Plot("Retention", "time (s)", "conductance (µS)", tuple(traces), log="xy"),
        "exponent": Plot("Drift exponent against state", "conductance (µS)", "ν", tuple(states), log="x"),
    }
