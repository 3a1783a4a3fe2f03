"""Tables → traces: reads in order with the pulses between them, cut where a ramp turns."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from memspike.fitting.conductances import conductances
from memspike.fitting.instruments.options import Options
from memspike.fitting.instruments.quantities import sign_of
from memspike.fitting.table import Column, Table, Trace
from memspike.parts.errors import InputError
from memspike.parts.units import counted

Vector = Float[np.ndarray, " _"]
FEWEST_POINTS = 3
FAR = 10.0  # typical steps: a jump back that is larger sets the device back before its next ramp
REVERSAL = 0.4  # share of a column's range: a swing back of more than this is a turning point


def turning_points(g: Float[np.ndarray, " values"]) -> list[int]:
    """Where a column turns: the extremes from which it swings back by more than `REVERSAL` of its range.

    Noise shifts an extreme by a few pulses; where the turns are those of equal blocks, up to that shift,
    the ends of the blocks are taken.
    """
    threshold = REVERSAL * (g.max() - g.min())
    turns, low, high, rising = [], 0, 0, None
    for k, value in enumerate(g):
        low = k if value < g[low] else low
        high = k if value > g[high] else high
        if rising is not False and value < g[high] - threshold:
            turns += [high] if rising else []
            rising, low = False, k
        elif rising is not True and value > g[low] + threshold:
            turns += [low] if rising is False else []
            rising, high = True, k
        if rising is False:
            high = low
        elif rising is True:
            low = high
    blocks = len(turns) + 1
    for values, first in ((len(g), -1), (len(g) - 1, 0)):
        length, rest = divmod(values, blocks)
        ends = [first + length * k for k in range(1, blocks)]
        if not rest and all(abs(a - b) <= max(2, 0.15 * length) for a, b in zip(turns, ends, strict=True)):
            return ends
    return turns


def restarts(g: Float[np.ndarray, " values"], sign: int) -> list[int]:
    """First reads of the ramps of one direction that stand one behind the other: the device was set back between.

    A set-back runs against the direction, over more than `REVERSAL` of the range and `FAR` typical steps, and stays.
    """
    back = -sign * np.diff(g)
    sizes = np.abs(back)
    if len(g) < 2 * FEWEST_POINTS or not np.isfinite(sizes).any():
        return []
    least = max(REVERSAL * float(np.nanmax(g) - np.nanmin(g)), FAR * float(np.nanmedian(sizes)))
    found = (int(k) + 1 for k in np.flatnonzero(back > least))
    return [
        k
        for k in found
        if 2 <= k < len(g) - 1 and min(-sign * (g[k] - g[k - 2]), -sign * (g[k + 1] - g[k - 1])) > least / 2
    ]


def where(trace: Trace) -> str:
    """File, rows and ramp of a trace, for a sentence."""
    rows = f", rows {trace.rows[0]} to {trace.rows[-1]}" if trace.rows else ""
    return ", ".join(filter(None, (f"{trace.file}{rows}", trace.device, trace.ramp)))


def _trace(table: Table, g: Vector, rows: Sequence[int], pulses: Vector, device: str, ramp: str) -> Trace:
    return Trace(g, pulses, device, ramp, file=table.file, rows=tuple(table.rows[k] for k in rows))


def _checked(trace: Trace) -> Trace:
    known = trace.g[np.isfinite(trace.g)]
    if len(known) < FEWEST_POINTS:
        raise InputError(f"{where(trace)} has {counted(len(known), 'value')}; a ramp needs at least {FEWEST_POINTS}.")
    if known.max() == known.min():
        raise InputError(f"{where(trace)} is constant at {known[0]:g} S; a ramp that goes up or down is needed.")
    return trace


def _cut(trace: Trace) -> list[Trace]:
    """A series as ramps of one direction each, marked by their trend; a turning point ends one and begins the next."""
    _checked(trace)
    at = np.flatnonzero(np.isfinite(trace.g))
    ends = [0, *(int(at[k]) for k in turning_points(trace.g[at])), len(trace.g) - 1]
    pieces = [(a, b + 1) for a, b in pairwise(ends) if b + 1 - a >= FEWEST_POINTS]
    found = []
    for n, (a, b) in enumerate(pieces, 1):
        g = trace.g[a:b]
        own = g[np.isfinite(g)]
        sign = 1.0 if len(own) > 1 and np.polyfit(np.arange(len(own)), own, 1)[0] > 0 else -1.0
        name = trace.ramp if len(pieces) == 1 else f"{trace.ramp}, ramp {n}"
        pulses = sign * np.abs(trace.pulses[a : b - 1])
        found.append(Trace(g, pulses, trace.device, name, file=trace.file, rows=trace.rows[a:b]))
    return found


def _one_way(trace: Trace, sign: int) -> list[Trace]:
    """A series whose direction is known as one ramp, or as several where the device is set back between them."""
    known = np.flatnonzero(np.isfinite(trace.g))
    starts = [0, *(int(known[k]) for k in restarts(trace.g[known], sign)), len(trace.g)]
    if len(starts) == 2:
        return [_checked(trace)]
    return [
        _checked(
            replace(
                trace,
                g=trace.g[a:b],
                pulses=trace.pulses[a : b - 1],
                ramp=f"{trace.ramp}, ramp {n}",
                rows=trace.rows[a:b],
            )
        )
        for n, (a, b) in enumerate(pairwise(starts), 1)
        if b - a >= FEWEST_POINTS
    ]


def _ends(g: Vector) -> slice:
    known = np.flatnonzero(np.isfinite(g))
    return slice(int(known[0]), int(known[-1]) + 1) if len(known) else slice(0, 0)


def _wide(table: Table, values: list[tuple[Column, Vector]], forced: int) -> list[Trace]:
    """One series a column; its direction is that of its name, or of its trend between turning points."""
    found = []
    for column, g in values:
        used = _ends(g)
        rows = range(len(g))[used]
        sign = forced or sign_of(column.name)
        trace = _trace(table, g[used], rows, (sign or 1.0) * np.ones(max(0, len(rows) - 1)), "", column.name)
        found += _one_way(trace, sign) if sign else _cut(trace)
    seen: dict[str, int] = {}
    for k, trace in enumerate(found):
        seen[trace.ramp] = seen.get(trace.ramp, 0) + 1
        if seen[trace.ramp] > 1:
            found[k] = replace(trace, ramp=f"{trace.ramp} ({seen[trace.ramp]})")
    return found


def _order(keys: list[tuple[str, str, int, int]]) -> list[tuple[str, str, int, int]]:
    """By the number of the ramp where ramps have numbers."""
    try:
        return sorted(keys, key=lambda key: float(key[1] or 0))
    except ValueError:
        return keys


def _long(table: Table, column: Column, g: Vector, forced: int, device: str) -> list[Trace]:
    """Rows grouped by device and ramp, and wherever direction or pulse number turn where no ramp is named."""
    devices = table.of("device")
    ramps = table.of("ramp") or table.of("cycle")
    signs = table.of("direction")
    pulses = table.of("pulse")
    names = devices[0].texts() if devices else [device] * len(g)
    labels = ramps[0].texts() if ramps else [""] * len(g)
    groups: dict[tuple[str, str, int, int], list[int]] = {}
    run, before = 0, ("", 0, -np.inf)
    for k in range(len(g)):
        sign = int(signs[0].values[k]) if signs else 0
        index = pulses[0].values[k] if pulses else float(k)
        if not ramps and (names[k] != before[0] or sign != before[1] or index < before[2]):
            run += 1
        before = (names[k], sign, index)
        groups.setdefault((names[k], labels[k], sign, run), []).append(k)
    if table.of("cycle") and len(groups) == len(g) >= FEWEST_POINTS:
        raise InputError(f"{table.file} has one read a cycle, so no ramps; --kind endurance fits LRS and HRS.")
    found = []
    for name, label, sign, number in _order(list(groups)):
        rows = groups[name, label, sign, number]
        steps = np.ones(len(rows) - 1)
        if pulses:
            rows = sorted(rows, key=lambda k: pulses[0].values[k])
            steps = np.diff(pulses[0].values[rows])
        ramp = f"ramp {label or number}" + {1: " up", -1: " down"}.get(sign, "")
        if not devices and device:
            name = device
        trace = _trace(table, g[rows], rows, (sign or forced or 1.0) * steps, name, ramp)
        found += _one_way(trace, sign or forced) if sign or forced else _cut(trace)
    return found


def _reads_a_pulse(values: list[tuple[Column, Vector]]) -> tuple[Vector, list[int]]:
    """Several columns of reads behind each pulse as one series, with the row of each read."""
    g = np.column_stack([own for _, own in values])
    return g.ravel(), [k for k in range(len(g)) for _ in values]


def _polarity(table: Table, traces: list[Trace], options: Options, notes: list[str]) -> float:
    """+1 where positive pulses potentiate, −1 where negative ones do: as told, else as the reads say."""
    if options.direction in ("positive", "negative"):
        return 1.0 if options.direction == "positive" else -1.0
    agree = sum(float(np.nansum(np.sign(t.pulses) * np.diff(t.g))) for t in traces)
    if agree < 0:
        notes.append(f"{table.file}: negative pulses raise the conductance (--direction says otherwise).")
    return -1.0 if agree < 0 else 1.0


def _applied(table: Table) -> Vector:
    """How many pulses lie before each row: a running number tells by its steps, any other column by itself."""
    columns = table.of("pulse")
    if not columns:
        return np.ones(len(table.rows))
    values = np.nan_to_num(columns[0].values, nan=1.0)
    steps = np.diff(values, prepend=values[0] - 1)
    return np.where(steps > 0, steps, 1.0) if np.mean(steps > 0) > 0.5 else np.abs(values)


def _sequences(table: Table, values: list[tuple[Column, Vector]], options: Options, notes: list[str]) -> list[Trace]:
    """Reads with the pulse before each: one trace a device and ramp, of any amplitudes and polarities."""
    g, rows = _reads_a_pulse(values)
    volts = np.nan_to_num(table.of("write voltage")[0].values)
    widths, many = table.of("width"), _applied(table)
    groups: dict[tuple[str, str], list[int]] = {}
    devices, ramps = table.of("device"), table.of("ramp") or table.of("cycle")
    names = devices[0].texts() if devices else [""] * len(volts)
    labels = ramps[0].texts() if ramps else [""] * len(volts)
    for n, k in enumerate(rows):
        groups.setdefault((names[k], labels[k]), []).append(n)
    found = []
    for (name, label), own in groups.items():
        first = np.array([n == 0 or rows[n - 1] != rows[n] for n in own])
        at = [rows[n] for n in own]
        size = np.where(first, np.nan_to_num(np.sign(volts[at]) * many[at]), 0.0)[1:]
        trace = Trace(
            g=g[own],
            pulses=size,
            device=name,
            ramp=f"ramp {label}" if label else "",
            amplitude=np.where(size != 0, volts[at][1:], np.nan),
            width=np.where(size != 0, widths[0].values[at][1:], np.nan) if widths else None,
            file=table.file,
            rows=tuple(table.rows[k] for k in at),
        )
        if np.isfinite(trace.g).sum() >= FEWEST_POINTS and size.any():
            found.append(trace)
        else:
            notes.append(f"{where(trace)}: too few reads and pulses; left out.")
    if not found:
        raise InputError(f"{table.file} has no device with {FEWEST_POINTS} reads and a pulse between them.")
    sign = _polarity(table, found, options, notes)
    return [replace(t, pulses=sign * t.pulses) for t in found]


def to_traces(
    tables: Table | Sequence[Table], options: Options | None = None, notes: list[str] | None = None
) -> list[Trace]:
    """The reads and pulses in tables of pulse trains, in S, a trace a ramp; what was decided goes to `notes`.

    A column of write voltages makes a sequence of any pulses, one trace a device (and ramp); columns of
    direction, ramp or cycle make a trace of each ramp; else each column of values is a series, cut where it
    turns. InputError for sweeps, unknown read voltages, ramps of fewer than three reads or without change.
    """
    options = options or Options()
    notes = [] if notes is None else notes
    forced = {"up": 1, "down": -1}.get(options.direction, 0)
    found: list[Trace] = []
    for table in [tables] if isinstance(tables, Table) else tables:
        values = [(c, g) for c, g in conductances(table, options, notes) if np.isfinite(g).any()]
        volts = table.of("write voltage")
        grouped = any(table.of(kind) for kind in ("direction", "ramp", "cycle", "device"))
        if volts and np.nan_to_num(volts[0].values).any():
            found += _sequences(table, values, options, notes)
        elif grouped:
            for column, g in values:
                found += _long(table, column, g, forced, column.name if len(values) > 1 else "")
        else:
            found += _wide(table, values, forced)
    return found
