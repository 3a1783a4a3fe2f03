"""Read noise: repeated reads in time at several conductances → 1/f and white noise against conductance, telegraphs.

The one-sided spectral density of a record is (G·Q)²/f_c·(f_c/f)^γ + 2·Δt·σ_w², with f_c the middle of its band. Q, γ
and σ_w maximise Whittle's likelihood of the periodogram (the mean is taken off); their covariance is the inverse of
the Fisher information. Over records, ln Q = ln scale − exponent·ln(G/25 µS) + N(0, s²) is a random-effects regression.
Whittle, Ark. Mat. 2: 423 (1953).
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats
from scipy.signal import windows

from memspike.devices.pcm import JOSHI_RANGE
from memspike.devices.step import SoftBounds
from memspike.devices.variation.measured import ReadNoise
from memspike.devices.variation.wrappers import Flicker
from memspike.fitting.kinds import Curve, Options, Outcome, Plot, kind
from memspike.fitting.records import (
    Values,
    Z,
    estimate,
    gather,
    groups,
    mixed,
    positive,
    sd_interval,
    shown,
    span,
    undetermined,
)
from memspike.fitting.table import Estimate, Table
from memspike.fitting.telegraph import APART, Telegraph, telegraph
from memspike.parts.errors import InputError
from memspike.parts.units import counted

FEWEST = 64  # reads of a record
UNEVEN = 0.01  # of the time step
TAPER = 0.5  # share of a record in the two flanks of the taper
LOWEST = 2  # first ordinate used
FEW_RECORDS = 10  # fewer do not tell how they differ
PER_EFOLD = 2  # oscillations of the device in an e-fold of frequencies: fewer look like lines in a record
EXAMPLE = "device.device.pulses device.device.curvature"
CLEAR = 10.0  # log-likelihood by which two levels must beat coloured noise


@dataclass(frozen=True)
class Record:
    """Reads of one device at one state, `dt` s apart, and their spectrum (1/Hz, relative to G²) at `f` Hz.

    `lost` is the factor on variances that the taper costs.
    """

    label: str
    g: Values
    dt: float
    f: Values
    power: Values
    lost: float

    @property
    def mean(self) -> float:
        """Mean conductance in S."""
        return float(self.g.mean())


def spectrum(x: Values, dt: float) -> tuple[Values, Values, float]:
    """Frequencies in Hz, the one-sided periodogram (1/Hz) after a cosine taper, and its loss of information.

    The taper keeps slow wandering from leaking into high frequencies; neighbouring ordinates are then not independent,
    and variances are larger by n·Σw⁴/(Σw²)². The mean is taken off; the two lowest and the highest frequency are left
    out.
    """
    n = len(x)
    w = windows.tukey(n, TAPER)
    inside = slice(LOWEST, (n + 1) // 2)
    power = 2 * dt * np.abs(np.fft.rfft((x - np.average(x, weights=w)) * w))[inside] ** 2 / np.sum(w**2)
    return np.fft.rfftfreq(n, dt)[inside], power, float(n * np.sum(w**4) / np.sum(w**2) ** 2)


class Spectral(NamedTuple):
    """ln Q² and γ of each record, and the covariance of all of either; white slope² and offset² (S²), and theirs."""

    theta: Float[np.ndarray, "2 records"]
    covariance: Float[np.ndarray, "2 records records"]
    white: Values
    white_covariance: Float[np.ndarray, "_ _"]


def whittle(records: "list[Record]") -> Spectral:
    """All records at once by Fisher scoring; every record has its own Q and γ, all share the law of white noise.

    A record without wandering leaves its ln Q² and γ to a prior of s.d. 10 and 3.
    """
    n = len(records)
    which = np.repeat(np.arange(n), [len(r.f) for r in records])
    power = np.concatenate([r.power for r in records])
    middle = np.array([np.sqrt(r.f[0] * r.f[-1]) for r in records])
    u = np.log(middle[which] / np.concatenate([r.f for r in records]))
    flat = np.array([2 * r.dt for r in records])[which]
    g = np.array([r.mean for r in records])
    scale = float(np.exp(np.log(g).mean()))
    shapes = [flat, flat * (scale / g[which]) ** 2] if len(g) >= 4 and np.ptp(g) > 0.3 * g.mean() else [flat]
    parts = [(slice(0, len(r.f) // 8 + 1), slice(-(len(r.f) // 2), None)) for r in records]
    low, high = (np.array([r.power[p[k]].mean() for r, p in zip(records, parts, strict=True)]) for k in (0, 1))
    first = np.array([r.f[len(r.f) // 16] for r in records])
    centre = np.concatenate([np.log(0.5 * low * first), np.ones(n)])
    white = np.zeros(len(shapes))
    white[0] = 0.5 * float(np.min(high / [2 * r.dt for r in records]))
    prior = np.concatenate([np.full(n, 1e-2), np.full(n, 0.1)])

    def terms(theta: Values) -> tuple[Values, np.ndarray]:
        wander = np.exp(theta[which] + theta[n + which] * u) / middle[which]
        whole = wander + sum(v * s for v, s in zip(theta[2 * n :], shapes, strict=True))
        with np.errstate(divide="ignore", invalid="ignore"):
            return whole, np.stack([wander, u * wander, *shapes]) / whole

    def worth(theta: Values) -> float:
        whole = terms(theta)[0]
        if not (whole > 0).all():
            return -np.inf
        return -float((np.log(whole) + power / whole).sum() + 0.5 * (prior * (theta[: 2 * n] - centre) ** 2).sum())

    def fisher(slopes: np.ndarray) -> Float[np.ndarray, "_ _"]:
        m, k = np.zeros((len(theta), len(theta))), np.arange(n)
        for i in range(len(slopes)):
            for j in range(len(slopes)):
                sums = np.bincount(which, slopes[i] * slopes[j])
                rows, columns = (n * x + k if x < 2 else np.full(n, 2 * n + x - 2) for x in (i, j))
                np.add.at(m, (rows, columns), sums)
        m[np.arange(2 * n), np.arange(2 * n)] += prior
        return m

    theta = np.concatenate([centre, white])
    value, damping = worth(theta), 1e-2
    for _ in range(200):
        whole, slopes = terms(theta)
        off = slopes * (power / whole - 1)
        score = np.concatenate([np.bincount(which, off[0]), np.bincount(which, off[1]), off[2:].sum(1)])
        score[: 2 * n] -= prior * (theta[: 2 * n] - centre)
        m = fisher(slopes)
        step = np.linalg.solve(m + damping * np.diag(np.diag(m)), score)
        step[: 2 * n] = np.clip(step[: 2 * n], -2.0, 2.0)
        trial = worth(theta + step)
        damping = max(damping / 4, 1e-9) if trial >= value else 4 * damping
        if trial >= value:
            gain, theta, value = trial - value, theta + step, trial
            if gain < 1e-5:
                break
    whole, slopes = terms(theta)
    m, lost = fisher(slopes), records[0].lost
    own = np.linalg.inv(m[: 2 * n, : 2 * n])
    tied = own @ m[: 2 * n, 2 * n :]
    inverse = np.linalg.inv(m[2 * n :, 2 * n :] - m[2 * n :, : 2 * n] @ tied)
    white = lost * inverse
    if n >= FEW_RECORDS:  # records that differ from the law in their own way: sandwich over records
        each = np.stack([np.bincount(which, s * (power / whole - 1)) for s in slopes[2:]])
        wider = inverse @ each @ each.T @ inverse * n / (n - len(shapes))
        grown = np.sqrt(np.maximum(np.diag(wider) / np.diag(white), 1.0))
        white = white * np.outer(grown, grown)
    inverse = lost * own + tied @ white @ tied.T
    units = np.array([1.0, scale**2])[: len(shapes)]
    return Spectral(
        theta[: 2 * n].reshape(2, n),
        np.stack([inverse[:n, :n], inverse[n : 2 * n, n : 2 * n]]),
        theta[2 * n :] * units,
        white * np.outer(units, units),
    )


def _record(label: str, t: Values, g: Values) -> Record | str:
    """The record, or why it cannot be used."""
    steps = np.diff(t)
    dt = float(np.median(steps)) if len(steps) else 0.0
    if len(g) < FEWEST:
        return f"{label} has {counted(len(g), 'read')}; at least {FEWEST} are needed."
    if dt <= 0 or np.abs(steps - dt).max() > UNEVEN * dt:
        return f"{label} is not read at equal intervals: steps of {steps.min():.3g} to {steps.max():.3g} s."
    if not np.std(g) > 1e-9 * np.mean(g):
        return f"{label} shows no noise: all reads are alike."
    return Record(label, g, dt, *spectrum(g / g.mean(), dt))


def _records(tables: list[Table]) -> tuple[list[Record], list[str]]:
    rows, notes = gather(tables, ("time",), ("device", "target", "ramp", "cycle"))
    rows, more = positive(rows)
    notes += more
    records = []
    for piece in groups(*(rows[k] for k in ("series", "device", "target", "ramp", "cycle"))):
        own = piece[np.argsort(rows["time"][piece], kind="stable")]
        label = " ".join(dict.fromkeys([str(rows["device"][own[0]]), str(rows["ramp"][own[0]])])).strip()
        found = _record(label, rows["time"][own], rows["g"][own])
        if isinstance(found, str):
            notes.append(f"Left out: {found}")
        else:
            records.append(found)
    if not records:
        raise InputError(f"{tables[0].file} has no record that a spectrum can be taken of: {notes[-1]}")
    return records, notes


def _switching(record: Record) -> Telegraph | None:
    """Two levels where they are clearly likelier than coloured Gaussian noise, and further apart than the noise."""
    found = telegraph(record.g, record.dt)
    if found is None:
        return None
    fitted = whittle([record])
    middle = np.sqrt(record.f[0] * record.f[-1])
    whole = np.exp(fitted.theta[0, 0]) / middle * (middle / record.f) ** fitted.theta[1, 0] + 2 * record.dt * max(
        fitted.white[0], 0.0
    )
    # as a likelihood of the reads: each ordinate stands for two of them
    variance = whole / (2 * record.dt) * record.mean**2
    coloured = -float((np.log(2 * np.pi * variance) + record.power / whole).sum())
    step, noise = found.estimates[1], found.estimates[2]
    clear = found.likelihood - coloured > CLEAR and step.value > APART * noise.value and step.determined
    return found if clear else None


def _mean(
    y: Values, x: Float[np.ndarray, "_ _"], covariance: Float[np.ndarray, "_ _"], at: Values
) -> tuple[float, float]:
    """The regression at `at`, and half of its 95 % interval; of one or two records, without a spread over them.

    Errors that records share, by way of the white noise, do not average out.
    """
    known = np.diag(covariance)
    if len(y) <= x.shape[1]:
        return float(at @ np.linalg.lstsq(x, y, rcond=None)[0]), Z * float(np.sqrt(known.max()))
    fit = mixed(y, x, known)
    weight = x.T / (known + fit.sd**2)
    of = at @ np.linalg.solve(weight @ x, weight)
    shared = float(of @ (covariance - np.diag(known)) @ of)
    variance = float(at @ fit.covariance @ at) + max(shared, 0.0)
    return float(at @ fit.beta), float(stats.t.ppf(0.975, fit.freedom) * np.sqrt(variance))


def _law(records: list[Record], found: Spectral) -> list[Estimate]:
    """1/f and white noise against conductance over the records."""
    u = np.log(np.array([r.mean for r in records]) / JOSHI_RANGE)
    n = len(records)
    bends = n >= 4 and np.std(u) > 0.2
    one = np.ones((n, 1))
    x = np.stack([np.ones(n), -(u - u.mean())], axis=1) if bends else one
    log_q, known = 0.5 * found.theta[0], 0.25 * found.covariance[0]
    value, error = _mean(log_q, x, known, np.array([1.0, u.mean()])[: x.shape[1]])
    law = [estimate("scale", np.exp(value), "1", np.exp(value - error), np.exp(value + error), ratio=True)]
    if bends:
        value, error = _mean(log_q, x, known, np.array([0.0, 1.0]))
        law.append(estimate("exponent", value, "1", value - error, value + error))
    if n > 2:
        law.append(
            estimate("q_record_sd", mixed(log_q, x, np.diag(known)).sd, "1", *sd_interval(log_q, x, np.diag(known)))
        )
    value, error = _mean(found.theta[1], one, found.covariance[1], np.ones(1))
    law.append(estimate("gamma", value, "1", value - error, value + error))
    errors = Z * np.sqrt(np.diag(found.white_covariance))
    for name, unit, v, e in zip(("white_slope", "white_offset"), ("1", "S"), found.white, errors, strict=False):
        law.append(estimate(name, np.sqrt(max(v, 0.0)), unit, np.sqrt(max(v - e, 0.0)), np.sqrt(max(v, 0.0) + e)))
    return law


def _device(records: list[Record], given: dict[str, Estimate]) -> Flicker:
    g = np.array([r.mean for r in records])
    low, high = float(min(r.g.min() for r in records)), float(max(r.g.max() for r in records))
    level = given["white_offset"].value / (high - low) if "white_offset" in given else 0.0
    inside = ReadNoise(SoftBounds(g_min=low, g_max=high), level=level, slope=given["white_slope"].value)
    exponent = given["exponent"].value if "exponent" in given else 0.0
    scale = given["scale"].value
    highest = min(scale * float((g / JOSHI_RANGE).min()) ** -exponent if exponent > 0 else scale, 1.0)
    slowest, fastest = min(1 / (len(r.g) * r.dt) for r in records), max(0.5 / r.dt for r in records)
    return Flicker(
        inside,
        scale=min(scale, 1.0),
        exponent=exponent,
        highest=max(highest, 1e-12),
        slowest=slowest,
        fastest=fastest,
        bands=max(8, int(np.ceil(PER_EFOLD * np.log(fastest / slowest)))),
    )


@kind("read-noise", needs=("time",), without=("pulse", "write voltage", "voltage", "temperature"))
def read_noise(tables: list[Table], options: Options) -> Outcome:
    """Fit noise to conductances in S that are read again and again at equal intervals in s.

    A record is one device, target, ramp and cycle. The device is `Flicker` around `ReadNoise` around `SoftBounds` over
    the measured range; records that switch between two levels are reported and left out of it. InputError where no
    record can be used.
    """
    records, notes = _records(tables)
    tested = [(r, _switching(r)) for r in records]
    steady = [r for r, chain in tested if chain is None]
    switching = [(r.label, chain) for r, chain in tested if chain is not None]
    facts: dict[str, Any] = {
        "kind": "read-noise",
        "telegraph": [label for label, _ in switching],
    }
    telegraphs = [replace(e, name=f"{label} {e.name}".strip()) for label, chain in switching for e in chain.estimates]
    if switching:
        notes.append(
            f"{counted(len(switching), 'record')} of {len(records)} left out of the 1/f law: random telegraph noise "
            "between two levels."
        )
    if not steady:
        headline = f"{counted(len(records), 'record')} of telegraph noise between two levels; there is no 1/f law."
        return Outcome(headline, None, tuple(telegraphs), tuple(notes), {}, facts)
    found = whittle(steady)
    facts["records"] = _rows(steady, found)
    law = _law(steady, found)
    given = {e.name: e for e in law}
    gamma = given["gamma"]
    if not gamma.low <= 1 <= gamma.high:
        notes.append(f"The slope of the spectrum is {shown(gamma)}; Flicker has exactly 1/f inside its band.")
    if len(steady) < 3:
        notes.append("Fewer than 3 records: the intervals hold for the first record, not from device to device.")
    device = _device(steady, given)
    reach = span(float(device.g_min), float(device.g_max))
    notes += undetermined([*law, *telegraphs])
    notes.append(
        f"Read noise tells nothing about pulses and their range: those of the device inside, {reach}, are an example."
    )
    headline = f"Read noise of {counted(len(steady), 'record')}: Q {shown(given['scale'])} at 25 µS, {shown(gamma)}"
    headline += f", {counted(len(switching), 'telegraph')} left out." if switching else "."
    return Outcome(headline, device, (*law, *telegraphs), tuple(notes), _plots(steady, found), facts, example=EXAMPLE)


def _rows(records: list[Record], found: Spectral) -> list[dict[str, Any]]:
    """Mean, s.d. of reads, Q and γ of every record with their intervals."""
    rows = []
    errors = Z * np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2))
    for r, theta, error in zip(records, found.theta.T, errors.T, strict=True):
        q = [float(np.exp(0.5 * (theta[0] + s * error[0]))) for s in (0, -1, 1)]
        gamma = [float(theta[1] + s * error[1]) for s in (0, -1, 1)]
        own = {"label": r.label, "reads": len(r.g), "g": r.mean, "sd": float(np.std(r.g, ddof=1))}
        rows.append(own | {"q": q, "gamma": gamma})
    return rows


def _plots(records: list[Record], found: Spectral) -> dict[str, Plot]:
    curves = []
    for r, (log_q, gamma) in list(zip(records, found.theta.T, strict=True))[:12]:
        edges = np.unique(np.round(np.logspace(0, np.log10(len(r.f)), 25)).astype(int)) - 1
        f, power = (np.add.reduceat(x, edges) / np.diff([*edges, len(r.f)]) for x in (r.f, r.power))
        middle = np.sqrt(r.f[0] * r.f[-1])
        white = found.white[0] + (found.white[1] / r.mean**2 if len(found.white) > 1 else 0.0)
        fitted = np.exp(log_q) / middle * (middle / r.f) ** gamma + 2 * r.dt * white
        curves += [Curve(f, power, r.label, "points"), Curve(r.f, fitted)]
    g = 1e6 * np.array([r.mean for r in records])
    sd = Curve(g, np.array([100 * np.std(r.g) / r.mean for r in records]), "records", "points")
    return {
        "spectra": Plot("Spectra of relative noise", "frequency (Hz)", "density (1/Hz)", tuple(curves), log="xy"),
        "noise": Plot("Noise against state", "conductance (µS)", "s.d. of reads (%)", (sd,), log="xy"),
    }
