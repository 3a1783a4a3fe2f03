"""Traces as padded arrays in double precision: reads, signed pulse counts and a smooth path through the reads."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import linalg, ndimage

from memspike.fitting.table import Trace
from memspike.parts.errors import InputError
from memspike.parts.units import counted

Reads = Float[np.ndarray, "traces reads"]
Gaps = Float[np.ndarray, "traces gaps"]
SIDES = (("up", 1), ("down", -1))
NAMES = {"up": "potentiation", "down": "depression"}
FEWEST = 3  # reads of a trace
PENALTIES = tuple(10.0**k for k in range(-1, 8))
FAR = 6.0  # robust s.d. from the median of its neighbours that make a read a glitch of the smooth path


@dataclass(frozen=True)
class Series:
    """`g` in S (NaN where missing), signed `pulses` between reads (0 beyond the end of a trace) and their dose.

    `volts` and `width` are the logarithm-free deviations |V| − V_ref in V and log(width/width_ref) of every gap,
    zero where all are alike or unknown; `reference` holds V_ref (V) and width_ref (s) of each direction.
    `device` numbers the devices; `names` are their labels.
    """

    g: Reads
    pulses: Gaps
    volts: Gaps
    width: Gaps
    device: Int[np.ndarray, " traces"]
    names: tuple[str, ...]
    reference: dict[str, float]

    def side(self, sign: int) -> Bool[np.ndarray, " traces"]:
        """The traces that hold pulses of this direction only: ramps."""
        return (sign * self.pulses >= 0).all(1) & (self.pulses != 0).any(1)

    def without(self, far: Bool[np.ndarray, "traces reads"]) -> "Series":
        """The same without some reads."""
        return replace(self, g=np.where(far, np.nan, self.g))

    def table(self, side: str) -> Reads:
        """The ramps of one direction, conductances in S."""
        return self.g[self.side(dict(SIDES)[side])]


def _finite(trace: Trace) -> Trace:
    """A trace as a fit can use it; InputError for what no device shows."""
    where = " ".join(part for part in (trace.file, f"ramp {trace.ramp}" if trace.ramp else "") if part) or "A trace"
    if len(trace.pulses) != len(trace.g) - 1:
        raise InputError(f"{where} has {len(trace.g)} reads, {len(trace.pulses)} gaps; one gap less is needed.")
    known = np.isfinite(trace.g)
    if known.sum() < FEWEST:
        raise InputError(f"{where} has {counted(int(known.sum()), 'read')}; at least {FEWEST} are needed.")
    if not (trace.g[known] > 0).all():
        worst = float(trace.g[known].min())
        raise InputError(f"{where} holds a conductance of {worst:g} S; a finite value above 0 is needed.")
    if not np.isfinite(trace.pulses).all():
        raise InputError(f"{where} holds a pulse count that is not finite; whole numbers are needed.")
    return trace


def _dose(traces: list[Trace], pulses: Gaps, field: str, logarithm: bool) -> tuple[Gaps, dict[str, float]]:
    """Deviations of amplitude or width from the median of their direction."""
    found, reference = np.zeros_like(pulses), {}
    if any(getattr(t, field) is None for t in traces):
        return found, reference
    raw = np.ones_like(pulses)
    for row, trace in zip(raw, traces, strict=True):
        row[: len(trace.pulses)] = np.abs(getattr(trace, field))
    for side, sign in SIDES:
        used = (sign * pulses > 0) & np.isfinite(raw) & (raw > 0)
        if (sign * pulses > 0).sum() != used.sum():
            raise InputError(f"A pulse of {NAMES[side]} has no {field} above 0, but others have one; all or none.")
        if used.any():
            middle = float(np.median(raw[used]))
            reference[f"{field}_{side}"] = middle
            found[used] = np.log(raw[used] / middle) if logarithm else raw[used] - middle
    return found, reference


def series(traces: list[Trace]) -> Series:
    """Traces side by side. InputError for a trace that cannot be used, or a direction that nobody pulsed."""
    traces = [_finite(trace) for trace in traces]
    reads = max(len(t.g) for t in traces) if traces else 0
    g, pulses = np.full((len(traces), reads), np.nan), np.zeros((len(traces), max(reads - 1, 0)))
    for k, trace in enumerate(traces):
        g[k, : len(trace.g)], pulses[k, : len(trace.pulses)] = trace.g, trace.pulses
    for side, sign in SIDES:
        if not (sign * pulses > 0).any():
            raise InputError(f"No pulse of {NAMES[side]} was measured; a device needs both directions.")
    names = tuple(dict.fromkeys(t.device for t in traces))
    device = np.array([names.index(t.device) for t in traces])
    volts, v_ref = _dose(traces, pulses, "amplitude", False)
    width, w_ref = _dose(traces, pulses, "width", True)
    return Series(g, pulses, volts, width, device, names, v_ref | w_ref)


def _roughness(reads: int) -> Float[np.ndarray, "3 reads"]:
    """DᵀD of second differences in the upper banded form of LAPACK."""
    band = np.zeros((3, reads))
    d = np.array([1.0, -2.0, 1.0])
    for row in range(3):
        for column in range(row, 3):
            lag = column - row
            band[2 - lag, column : reads - 2 + column] += d[row] * d[column]
    return band


def _whittaker(y: Reads, weight: Reads, penalty: float) -> tuple[Reads, float]:
    """Penalised least squares of every row, and the generalised cross-validation of all."""
    smooth, missed, free = np.empty_like(y), 0.0, 0.0
    bands: dict[int, Any] = {}
    for row, value, known in zip(smooth, y, weight, strict=True):
        last = int(np.flatnonzero(known)[-1]) + 1
        if last not in bands:
            bands[last] = penalty * _roughness(last)
        band = bands[last].copy()
        band[2] += known[:last] + 1e-12
        row[:last] = linalg.solveh_banded(band, known[:last] * value[:last], check_finite=False)
        row[last:] = row[last - 1]
        missed += float((known * (value - row) ** 2).sum())
        free += float(known.sum())
    # leverage of an interior point of the smoother: 1/(2√2 λ^¼) for λ ≫ 1, close to 1 below
    leverage = free * min(1.0, 1 / (1 + 2.83 * penalty**0.25))
    return smooth, missed / max(free - leverage, 1e-9) ** 2


class Smooth(NamedTuple):
    """A smooth path through the reads, in their unit, and which reads it believed."""

    path: Reads
    known: Bool[np.ndarray, "traces reads"]


def smooth(g: Reads, pulses: Gaps) -> Smooth:
    """Whittaker's smoother through the reads without isolated glitches; its penalty by cross-validation.

    A path that goes up and down from pulse to pulse is kept as it is, because the steps are no noise there.
    """
    measured = np.isfinite(g)
    filled = np.array(
        [np.interp(np.arange(len(row)), np.flatnonzero(ok), row[ok]) for row, ok in zip(g, measured, strict=True)]
    )
    middle = ndimage.median_filter(filled, size=(1, 5), mode="nearest")
    away = np.abs(filled - middle)
    turns = (np.sign(pulses[:, 1:]) * np.sign(pulses[:, :-1]) < 0).mean() if pulses.shape[1] > 1 else 0.0
    usual = 1.4826 * np.median(away[measured]) + 0.02 * np.median(np.abs(np.diff(middle, axis=1)).max(1))
    known = measured & (away <= FAR * max(usual, 1e-30)) if turns < 0.05 else measured
    # the ends of a median are biased where the path is steep
    steep = np.abs(filled[:, [1, -2]] - filled[:, [2, -3]]) * 3 + FAR * usual
    known[:, [0, -1]] = measured[:, [0, -1]] & (away[:, [0, -1]] <= np.maximum(steep, FAR * usual))
    if turns >= 0.05 or g.shape[1] < 5:
        return Smooth(np.where(known, filled, middle), known)
    weight = known.astype(float)
    tried = [_whittaker(filled, weight, penalty) for penalty in PENALTIES]
    return Smooth(min(tried, key=lambda t: t[1])[0], known)
