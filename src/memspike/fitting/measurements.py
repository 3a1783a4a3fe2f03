"""Measured pulse ramps: what a fit needs, from traces of reads."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from memspike.fitting.instruments.options import Options
from memspike.fitting.instruments.reader import read as read_table
from memspike.fitting.table import Trace
from memspike.fitting.traces import FEWEST_POINTS, to_traces, where
from memspike.parts.errors import InputError

Table = Float[np.ndarray, "_ _"]
NAMES = {"up": "potentiation", "down": "depression"}
UNITS_APART = 1e3  # ramps of one device in one unit differ by less than this


@dataclass(frozen=True)
class Measurements:
    """Conductances in S after every pulse, a row a ramp, NaN where nothing was measured.

    The first value of a row is the one before its first pulse. `read_voltage` in V is kept for the record
    where currents were measured, `notes` say what the reader left out or decided. InputError unless both
    directions have two ramps of finite, positive values.
    """

    up: Table
    down: Table
    read_voltage: float | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for side, name in NAMES.items():
            g = getattr(self, side)
            bad = np.argwhere(~(np.isnan(g) | (np.isfinite(g) & (g > 0))))
            if len(bad):
                row, column = bad[0]
                given = f"Ramp {row + 1} of {name} is {g[row, column]:g} S at pulse {column}"
                raise InputError(f"{given}; a finite value above 0 is needed.")
            if len(g) < 2 or (np.isfinite(np.diff(g, axis=1)).sum(axis=1) < FEWEST_POINTS - 1).any():
                raise InputError(
                    f"{name.capitalize()} has {len(g)} ramps of up to {g.shape[1]} values; "
                    f"at least 2 ramps of {FEWEST_POINTS} values each are needed."
                )

    def facts(self, side: str) -> dict[str, float | int]:
        """Ramps, points, and mean and s.d. of the initial conductance in S of one direction."""
        g = getattr(self, side)
        first = g[:, 0]
        return {
            "ramps": len(g),
            "points": int(np.isfinite(g).sum()),
            "initial_mean": float(np.nanmean(first)),
            "initial_sd": float(np.nanstd(first, ddof=1)),
        }


def _runs(trace: Trace) -> Iterator[tuple[int, Trace]]:
    """(sign, ramp) of every stretch of single pulses of one direction; reads without a pulse between are averaged."""
    first = np.append(0, np.flatnonzero(trace.pulses) + 1)
    counts = np.add.reduceat(np.isfinite(trace.g), first)
    g = np.add.reduceat(np.nan_to_num(trace.g), first) / np.where(counts, counts, np.nan)
    pulses = trace.pulses[trace.pulses != 0]
    if pulses.size and np.any(np.abs(pulses) != 1):
        raise InputError(f"{where(trace)} has up to {np.abs(pulses).max():g} pulses between two reads; one is needed.")
    turns = np.flatnonzero(np.diff(np.sign(pulses))) + 1
    for a, b in zip(np.append(0, turns), np.append(turns, len(pulses)), strict=True):
        if b > a:
            rows = tuple(trace.rows[k] for k in first[a : b + 1]) if trace.rows else ()
            yield (
                int(np.sign(pulses[a])),
                Trace(g[a : b + 1], pulses[a:b], trace.device, trace.ramp, file=trace.file, rows=rows),
            )


def _check_scales(ramps: list[Trace]) -> None:
    middles = [float(np.nanmedian(r.g)) for r in ramps]
    typical = float(np.median(middles))
    for ramp, middle in zip(ramps, middles, strict=True):
        if not 1 / UNITS_APART < middle / typical < UNITS_APART:
            raise InputError(
                f"{where(ramp)} holds values about {middle:.2g} while others are about {typical:.2g}: "
                "mixed units; give all conductances in S or all currents in A, or name the units in the headers."
            )


def _check_overlap(sides: dict[str, list[Trace]]) -> None:
    """Potentiation and depression of one device run over the same conductances."""
    low = {side: min(float(np.nanmin(r.g)) for r in ramps) for side, ramps in sides.items()}
    high = {side: max(float(np.nanmax(r.g)) for r in ramps) for side, ramps in sides.items()}
    if max(low.values()) >= min(high.values()):
        spans = {s: f"go from {low[s]:.3g} to {high[s]:.3g} S" for s in sides}
        raise InputError(
            f"{where(sides['up'][0])} and the other ramps of potentiation {spans['up']}, but "
            f"{where(sides['down'][0])} and the other ramps of depression {spans['down']}: "
            "mixed units, or two devices; the two directions of one device overlap."
        )


def _table(ramps: list[Trace]) -> Table:
    table = np.full((len(ramps), max(len(r.g) for r in ramps)), np.nan)
    for row, ramp in zip(table, ramps, strict=True):
        row[: len(ramp.g)] = ramp.g
    return table


def measurements(traces: Sequence[Trace], read_voltage: float | None = None, notes: Sequence[str] = ()) -> Measurements:
    """The ramps of both directions in traces of single pulses; InputError if one of them has fewer than two."""
    runs = [run for trace in traces for run in _runs(trace) if np.isfinite(run[1].g).sum() >= FEWEST_POINTS]
    if not runs:
        raise InputError("The files hold no ramp of three reads with a pulse before each.")
    _check_scales([ramp for _, ramp in runs])
    sides = {side: [r for s, r in runs if s == sign] for side, sign in (("up", 1), ("down", -1))}
    files = {trace.file for trace in traces}
    for side, other in (("up", "down"), ("down", "up")):
        if not sides[side]:
            raise InputError(
                f"{files.pop() if len(files) == 1 else 'The files'} {'holds' if not files else 'hold'} "
                f"{len(sides[other])} ramps of {NAMES[other]} but none of {NAMES[side]}; "
                "a device needs both, in one file or two."
            )
        if len(sides[side]) == 1:
            raise InputError(
                f"{where(sides[side][0])} is the only ramp of {NAMES[side]}; at least 2 are needed, "
                "because one cannot show how ramps differ."
            )
    _check_overlap(sides)
    return Measurements(_table(sides["up"]), _table(sides["down"]), read_voltage, tuple(notes))


def read(paths: Sequence[Path], options: Options | None = None) -> Measurements:
    """The ramps in files of any format that `fitting.instruments` reads: both directions in one file, or in several.

    InputError in one sentence, with file, row and column as a spreadsheet counts them, for what cannot be used
    and for what is not sure.
    """
    options = options or Options()
    if not paths:
        raise InputError("No file of measurements was given; at least one is needed.")
    tables = [read_table(path, options) for path in paths]
    said = [t.facts["read voltage"] for t in tables if "read voltage" in t.facts and t.of("current")]
    voltage = options.read_voltage if options.read_voltage is not None else next(iter(said), None)
    notes = [note for table in tables for note in table.notes]
    traces = to_traces(tables, options, notes)
    return measurements(traces, voltage, notes)
