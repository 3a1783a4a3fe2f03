"""From measured pulses to a device: maximum likelihood, 95 % intervals and the choice of the law."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from memspike.devices.variation.fabricate import AbstractSpread
from memspike.devices.variation.measured import RampToRamp, ReadNoise
from memspike.devices.variation.wrappers import CycleToCycle
from memspike.fitting.candidate import Candidate, Data, Screened, candidate, screened
from memspike.fitting.candidates import LAWS
from memspike.fitting.instruments.options import Options
from memspike.fitting.kinds import PULSES, no_law
from memspike.fitting.likelihood import Search, groups
from memspike.fitting.measurements import Measurements, read
from memspike.fitting.series import SIDES, Series, Smooth, series, smooth
from memspike.fitting.spreading import Noise, of_likelihood, spreading
from memspike.fitting.start import Range, lengths, ranges, scales
from memspike.fitting.table import Estimate, Trace
from memspike.fitting.traces import where
from memspike.fitting.trust import Trajectory, compared, doubts
from memspike.parts import units

Vector = Float[np.ndarray, " _"]
TELLING = "piecewise-step-7"  # a law that follows any data well enough to tell displaced ramps
SLOW = (
    "The ramps spread otherwise than independent noise of their pulses would let them; "
    "the device has the noise that gives the measured spread."
)
DECADES = 2.0  # a parameter whose interval spans more factors of ten is not identified


def _of_best(name: str, doc: str) -> Any:
    """The number of the chosen candidate."""
    return property(lambda fit: getattr(fit.best, name), doc=doc)


@dataclass(frozen=True)
class Fit:
    """What `fit` found. `bic` is the Bayesian information criterion of every law that was tried (lower is better),
    `candidates` holds the chosen one and the exponential one in full, `dropped` says why one was left out; `data` are
    the reads without glitches.

    `labels` are the nonlinearity labels of the ramps with their intervals, `spread` is how devices differ
    (relative s.d. by parameter path of `device`), `noise` what the device holds: that of the likelihood, or that which
    gives simulated ramps the measured spread where the two differ. `headline` says why the model must not be trusted
    ("" if it may).

    `g_min` and `g_max` are in S, `read_voltage` is in V.
    """

    data: Series
    g_min: float
    g_max: float
    model: str
    candidates: dict[str, Candidate]
    bic: dict[str, float]
    dropped: dict[str, str]
    labels: tuple[Estimate, Estimate]
    spread: dict[str, AbstractSpread]
    noise: Noise
    headline: str
    warnings: tuple[str, ...]
    read_voltage: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def best(self) -> Candidate:
        """The candidate of the chosen model."""
        return self.candidates[self.model]

    @property
    def device(self) -> ReadNoise:
        """The fitted device: its law, with ramp-to-ramp variation, noise of the pulses and of the read."""
        law, noise = self.best.law, self.noise
        width = float(law.g_max - law.g_min)
        speeds = {"up": noise.ramp_up, "down": noise.ramp_down, "length": noise.length}
        ramps: Any = RampToRamp(device=law, **speeds)  # pyright: ignore[reportCallIssue]
        noisy: Any = CycleToCycle(device=ramps, up=noise.up / width, down=noise.down / width)  # pyright: ignore[reportCallIssue]
        return ReadNoise(device=noisy, level=noise.read / width)  # pyright: ignore[reportCallIssue]

    @cached_property
    def trajectories(self) -> dict[str, tuple[Trajectory, Trajectory]]:
        """Change since the first read of the ramps of each direction: measured, and simulated by `device`."""
        return {
            side: pair
            for k, (side, _) in enumerate(SIDES)
            if (pair := compared(self.data, self.device, self.spread, k))
        }

    @property
    def nl_up(self) -> float:
        """The label NL of potentiation, that of the best exponential law."""
        return self.labels[0].value

    @property
    def nl_down(self) -> float:
        """The same of depression."""
        return self.labels[1].value

    @property
    def parameters(self) -> tuple[Estimate, ...]:
        """Every parameter of the chosen model with its 95 % interval."""
        return self.best.parameters

    rms_up = _of_best("rms_up", "rms of the mean upward response against the mean of the ramps, a share of the range.")
    rms_down = _of_best("rms_down", "The same of the downward response.")
    noise_up = _of_best("noise_up", "Write noise: s.d. σ of one upward pulse, in S.")
    noise_down = _of_best("noise_down", "The same of one downward pulse.")
    read_noise = _of_best("read_noise", "Read noise: s.d. of one read, in S.")
    variation_up = _of_best("variation_up", "Ramp-to-ramp s.d. σ_r of the upward speed, relative.")
    variation_down = _of_best("variation_down", "The same of the downward speed.")
    window = _of_best("window", "s.d. in S by which the law of one ramp is displaced from that of another.")
    lag1_up = _of_best("lag1_up", "Correlation of neighbouring upward innovations.")
    lag1_down = _of_best("lag1_down", "The same of downward innovations.")

    def facts(self, side: str) -> dict[str, float | int]:
        """Ramps, reads, and mean and s.d. of the first read in S of one direction."""
        g = self.data.table(side)
        first = g[np.isfinite(g[:, 0]), 0]
        return {
            "ramps": len(g),
            "points": int(np.isfinite(g).sum()),
            "initial_mean": float(first.mean()) if len(first) else float("nan"),
            "initial_sd": float(first.std(ddof=1)) if len(first) > 1 else float("nan"),
        }

    def summary(self) -> dict[str, Any]:
        """The numbers of the fit as plain dictionaries and lists, as in fit.json."""
        keys = [f"{what}_{side}" for what in ("rms", "noise", "variation", "lag1") for side, _ in SIDES]

        def row(one: Candidate) -> dict[str, Any]:
            own = {key: getattr(one, key) for key in (*keys, "read_noise", "window")}
            return {**own, "parameters": [dataclasses.asdict(p) for p in one.parameters]}

        facts = {f"{what}_{side}": value for side, _ in SIDES for what, value in self.facts(side).items()}
        found = {
            "model": self.model,
            "headline": self.headline,
            **row(self.best),
            "labels": [dataclasses.asdict(p) for p in self.labels],
            "nl_up": self.nl_up,
            "nl_down": self.nl_down,
            "symmetry_point": self.best.symmetry_point,
            "g_min": self.g_min,
            "g_max": self.g_max,
            "read_voltage": self.read_voltage,
            "reference": self.data.reference,
            "devices": len(self.data.names),
            "device_noise": self.noise._asdict(),
            "spread": {paths: getattr(how, "sd", None) for paths, how in self.spread.items()},
            **facts,
            "bic": self.bic,
            "candidates": {name: row(c) for name, c in self.candidates.items()},
            "dropped": self.dropped,
            "warnings": list(self.warnings),
            "notes": list(self.notes),
        }
        return _without_nan(found)


def _without_nan(value: Any) -> Any:
    """What JSON can hold: none for numbers that are not."""
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _degenerate(candidate: Candidate) -> str:
    """Why the exponent of exp-step cannot be told from these data; empty if it can."""
    if not candidate.sound:
        return "the likelihood has no sharp maximum"
    for p in candidate.parameters:
        if p.name.startswith("gamma") and p.high > p.low * 10**DECADES:
            return f"{p.name} lies anywhere between {p.low:.2g} and {p.high:.2g}"
    return ""


def _wanted(model: str) -> list[str]:
    names = [name for name in LAWS if model == "auto" or name == model or name.rpartition("-")[0] == model]
    if not names:
        raise no_law(model, PULSES, ["auto", "piecewise-step", *LAWS])
    return names


def prepared(data: Series, given: tuple[float, float] | None) -> Data:
    """Traces as shares of the range of their device, with a smooth path through them.

    Ends that scatter widen the range, unless it is the law itself that is displaced from ramp to ramp.
    """
    path = smooth(data.g, data.pulses)
    if given is None and len(data.names) == 1 and scales(data, path) is not None:
        each = tuple(f"ramp {k + 1}" for k in range(len(data.g)))
        data = dataclasses.replace(data, device=np.arange(len(each)), names=each)
    wide = _shares(data, path, ranges(data, path, given, True))
    if not any(wide.range.margin):
        return wide
    window = 2 * screened(LAWS[TELLING][0], wide, []).window
    if window < 0.5 * max(wide.range.margin):
        return wide
    return _shares(data, path, ranges(data, path, given, False))


def _shares(data: Series, path: Smooth, found: Range) -> Data:
    low, width = (a[data.device][:, None] for a in (found.low, found.high - found.low))
    share, y = path._replace(path=(path.path - low) / width), (data.g - low) / width
    return Data(data, found, share, y, groups(data, share, y), lengths(data))


def _notes(data: Data, best: Candidate) -> tuple[str, ...]:
    """What these data cannot tell, a sentence each."""
    found = []
    alone = [
        name
        for (side, sign), name in zip(SIDES, ("potentiation", "depression"), strict=True)
        if data.series.side(sign).sum() == 1
    ]
    if alone or not data.ramps:
        what = f"One ramp of {' and one of '.join(alone)}" if alone else "One trace"
        found.append(f"{what}: ramp-to-ramp variation is not determined and taken as none.")
    if len(data.series.names) == len(data.series.g) > 1 and all(name.startswith("ramp ") for name in data.series.names):
        found.append(
            "The ramps are scaled copies of each other, as of several devices: each was taken for a device of its own; "
            "name the devices in a column if that is wrong."
        )
    if len(data.series.names) == 1 and best.window > 0.03 * (float(best.law.g_max) - float(best.law.g_min)):
        found.append(
            "The ramps lie on displaced laws, as of several devices or of one that drifts; "
            "if they are several devices, name them in a column of devices."
        )
    return tuple(found)


def _glitches(traces: Sequence[Trace], far: Bool[np.ndarray, "traces reads"]) -> tuple[str, ...]:
    """A sentence about the reads that are left out of means and pictures."""
    at = np.argwhere(far)
    if not len(at):
        return ()
    trace, read = traces[at[0][0]], int(at[0][1])
    first = f"{units.show(float(f'{trace.g[read]:.4g}'), 'S')} in {where(trace) or f'trace {at[0][0] + 1}'}"
    lie, first = ("1 read lies", first) if len(at) == 1 else (f"{len(at)} reads lie", f"the first: {first}")
    pulse = np.abs(trace.pulses[:read]).sum()
    return (f"{lie} far from all others ({first}), at pulse {pulse:g}; pictures and their means leave out such reads.",)


def _screen(names: list[str], data: Data) -> dict[str, Screened]:
    """The better variant of every law, roughly; those that win most often come first."""
    found: dict[str, Screened] = {}
    for name in sorted(names, key=lambda name: (name != "soft-bounds", not name.startswith("piecewise"))):
        tried = [screened(law, data, list(found.values())) for law in LAWS[name]]
        found[name] = min(tried, key=lambda one: one.maximum.loss)
    return found


def _measured(given: Any, read_voltage: float | None, options: Options) -> Measurements:
    if isinstance(given, Measurements):
        return given
    several: list[Any] = [given] if isinstance(given, str | Path) else list(given)
    if several and all(isinstance(one, Trace) for one in several):
        return Measurements(tuple(several), read_voltage)
    if read_voltage is not None:
        options = dataclasses.replace(options, read_voltage=read_voltage)
    return read([Path(one) for one in several], options)


def fit(
    measured: Measurements | Sequence[Trace] | str | Path | Sequence[str | Path],
    *,
    model: str = "auto",
    read_voltage: float | None = None,
    g_range: tuple[float, float] | None = None,
    options: Options | None = None,
) -> Fit:
    """Fit a pulse device to pulse trains (or to the files that hold them) by maximum likelihood.

    `model` is a candidate (`soft-bounds`, `power-step`, `log-step`, `exp-step`, `constant-step`,
    `piecewise-step`, the last with a number of nodes if wanted, as `piecewise-step-9`), or "auto" for the one
    with the lowest BIC. `read_voltage` in V says that the files hold currents, `options` more about them. `g_range`
    in S is the range of the device; by default that of its mean ramps. InputError for data that cannot be used.
    """
    names = _wanted(model)
    measured = _measured(measured, read_voltage, options or Options())
    data = prepared(series(list(measured.traces)), g_range)
    rough = _screen(list(dict.fromkeys(["soft-bounds", *names])), data)
    likely = rough["soft-bounds"].bic < min(one.bic for one in rough.values()) + 100
    exponential = candidate(rough["soft-bounds"], data, Search() if likely else Search(0.5, 12))
    found, dropped = {"soft-bounds": exponential}, {}
    ranked = sorted(names, key=lambda name: rough[name].bic)
    chosen = ranked[0]
    found[chosen] = found.get(chosen) or candidate(rough[chosen], data)
    why = _degenerate(found[chosen]) if model == "auto" and chosen == "exp-step" else ""
    if why:
        dropped[chosen] = why
        del found[chosen], rough[chosen]
        chosen = ranked[1]
        found[chosen] = found.get(chosen) or candidate(rough[chosen], data)
    best, labels = found[chosen], exponential.labels
    assert labels is not None
    distrust, spread = doubts(data, best, chosen), spreading(data, best)
    return Fit(
        data=data.series.without(best.far),
        g_min=float(best.law.g_min),
        g_max=float(best.law.g_max),
        model=chosen,
        candidates=found,
        bic={name: found[name].bic if name in found else one.bic for name, one in rough.items()},
        dropped=dropped,
        labels=labels,
        spread=best.spread,
        noise=spread or of_likelihood(best),
        headline=f"Do not trust this model: {distrust[0]}." if distrust else "",
        warnings=(
            *(f"{why[0].upper()}{why[1:]}." for why in distrust[1:]),
            *_notes(data, best),
            *((SLOW,) if spread else ()),
        ),
        read_voltage=measured.read_voltage,
        notes=(*measured.notes, *_glitches(measured.traces, best.far)),
    )
