"""Measured pulse trains: what a fit needs, from traces of reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from memspike.fitting.instruments.options import Options
from memspike.fitting.instruments.reader import read as read_table
from memspike.fitting.table import Table, Trace
from memspike.fitting.traces import to_traces, where
from memspike.parts.errors import InputError
from memspike.parts.units import counted

Ramps = Float[np.ndarray, "_ _"]
NAMES = {1: "potentiation", -1: "depression"}
UNITS_APART = 1e3  # traces of one device in one unit differ by less than this


def _way(trace: Trace) -> int:
    """1 or −1 where all pulses of a trace go one way, else 0."""
    ways = np.unique(np.sign(trace.pulses[trace.pulses != 0]))
    return int(ways[0]) if len(ways) == 1 else 0


@dataclass(frozen=True)
class Measurements:
    """Traces of reads and pulses, of one device or of many.

    `read_voltage` in V is kept for the record where currents were measured, `notes` say what the reader left out or
    decided. InputError unless there are pulses both ways and all traces can be of one unit.
    """

    traces: tuple[Trace, ...]
    read_voltage: float | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.traces:
            raise InputError("No trace was given; at least one is needed.")
        _check_scales(self.traces)
        _check_ways(self.traces)

    def table(self, way: int) -> Ramps:
        """The traces whose pulses all go one way (1 or −1), a row each, NaN behind the end."""
        own = [trace.g for trace in self.traces if _way(trace) == way]
        table = np.full((len(own), max(map(len, own), default=0)), np.nan)
        for row, g in zip(table, own, strict=True):
            row[: len(g)] = g
        return table


def _check_scales(traces: Sequence[Trace]) -> None:
    middles = [float(np.nanmedian(t.g)) for t in traces]
    typical = float(np.median(middles))
    for trace, middle in zip(traces, middles, strict=True):
        if not 1 / UNITS_APART < middle / typical < UNITS_APART:
            raise InputError(
                f"{where(trace)} holds values about {middle:.2g} while others are about {typical:.2g}: "
                "mixed units; give all conductances in S or all currents in A, or name the units in the headers."
            )


def _check_ways(traces: Sequence[Trace]) -> None:
    """There are pulses both ways; ramps up and down of one device run over the same conductances."""
    ramps = {way: [trace for trace in traces if _way(trace) == way] for way in NAMES}
    if sum(map(len, ramps.values())) < len(traces):
        return
    files = {trace.file for trace in traces}
    holder = f"{files.pop()} holds" if len(files) == 1 and files != {""} else "The traces hold"
    for way, others in ramps.items():
        if not others:
            raise InputError(
                f"{holder} {counted(len(ramps[-way]), 'ramp')} of {NAMES[-way]} but none of {NAMES[way]}; "
                "a device needs both, in one file or two."
            )
    ends = {w: [f(f(t.g[np.isfinite(t.g)]) for t in own) for f in (min, max)] for w, own in ramps.items()}
    if max(low for low, _ in ends.values()) >= min(high for _, high in ends.values()):
        spans = " ".join(
            f"{where(ramps[way][0])} and the other ramps of {name} go from {ends[way][0]:.3g} to {ends[way][1]:.3g} S,"
            for way, name in NAMES.items()
        )
        raise InputError(f"{spans} mixed units, or two devices; the two directions of one device overlap.")


def ramps(up: Ramps, down: Ramps) -> Measurements:
    """Ramps of single pulses from arrays of conductances in S: a row a ramp, from before its first pulse on."""
    found = []
    for way, table in ((1, up), (-1, down)):
        for k, row in enumerate(np.asarray(table, float)):
            reads = int(np.flatnonzero(~np.isnan(row))[-1:].sum()) + 1
            found.append(Trace(row[:reads], np.full(reads - 1, float(way)), ramp=f"{NAMES[way]} {k + 1}"))
    return Measurements(tuple(found))


def of_tables(tables: Sequence[Table], options: Options) -> Measurements:
    """The pulse trains in tables: both directions in one, or in several."""
    said = [t.facts["read voltage"] for t in tables if "read voltage" in t.facts and t.of("current")]
    voltage = options.read_voltage if options.read_voltage is not None else next(iter(said), None)
    notes = [note for table in tables for note in table.notes]
    return Measurements(tuple(to_traces(tables, options, notes)), voltage, tuple(notes))


def read(paths: Sequence[Path], options: Options | None = None) -> Measurements:
    """The pulse trains in files of any format that `fitting.instruments` reads.

    InputError in one sentence, with file, row and column as a spreadsheet counts them, for what cannot be used
    and for what is not sure.
    """
    if not paths:
        raise InputError("No file of measurements was given; at least one is needed.")
    options = options or Options()
    return of_tables([read_table(path, options) for path in paths], options)
