"""Current–voltage sweeps as a fit takes them: voltages, currents and times of one device, in the order measured."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from memspike.fitting.kinds import Options
from memspike.fitting.table import Table
from memspike.parts import units
from memspike.parts.errors import InputError
from memspike.parts.units import counted

Values = Float[np.ndarray, " points"]
FEWEST = 20
MOST = 20_000
PLATEAU = 0.01  # currents this close to the largest one are as large
PLATEAU_POINTS = 5
PLATEAU_VOLTAGE = 1.1  # over which the voltage at least changes by this factor


@dataclass(frozen=True)
class Loops:
    """One device: v in V, i in A, t in s from 0, `limit` the compliance in A (inf without), `cycle` counted from 0.

    `held` marks points at the compliance: they say only that the device would carry more.
    """

    v: Values
    i: Values
    t: Values
    limit: Values
    held: Bool[np.ndarray, " points"]
    cycle: Values
    notes: tuple[str, ...] = ()

    @property
    def cycles(self) -> int:
        """How many."""
        return int(self.cycle.max()) + 1


class Span(NamedTuple):
    """What a sweep spans, for starting values: voltages and conductances seen, seconds of one branch, a current."""

    top: float
    bottom: float
    g_low: float
    g_high: float
    seconds: float
    i: float


def _only(table: Table, kind: str) -> Values | None:
    found = table.of(kind)
    if len(found) > 1:
        names = " and ".join(column.name for column in found)
        raise InputError(f"{table.file} has {len(found)} columns of kind {kind} ({names}); a sweep needs one.")
    return found[0].values if found else None


def _times(table: Table, v: Values, options: Options) -> Values:
    """Seconds of each row: as measured, or from the sweep rate."""
    measured = _only(table, "time")
    rate = options.sweep_rate if options.sweep_rate is not None else table.facts.get("sweep rate")
    if measured is not None:
        back = np.flatnonzero(np.diff(measured) < 0)
        if len(back):
            raise InputError(f"{table.file}, row {table.rows[back[0] + 1]}: time goes back; it has to grow.")
        return measured - measured[0]
    if rate is not None and not rate > 0:
        raise InputError(f"The sweep rate is {rate:g} V/s; a rate above 0 is needed.")
    if rate is None:
        raise InputError(f"{table.file} has no times; give the sweep rate in V/s with --sweep-rate.")
    return np.append(0.0, np.cumsum(np.abs(np.diff(v)))) / rate


def _plateau(v: Values, i: Values) -> tuple[float, str]:
    """The compliance that one polarity shows by itself: many equal largest currents over many voltages."""
    top = float(np.abs(i).max(initial=0.0))
    at = np.abs(i) > (1 - PLATEAU) * top
    volts = np.abs(v[at])
    if top == 0 or at.sum() < PLATEAU_POINTS or volts.max() < PLATEAU_VOLTAGE * volts.min():
        return np.inf, ""
    level = float(np.median(np.abs(i[at])))
    return level, f"{int(at.sum())} points stand at {units.show(level, 'A')}: taken as the compliance."


def _limits(table: Table, v: Values, i: Values, options: Options) -> tuple[Values, list[str]]:
    given = _only(table, "compliance")
    if given is not None:
        return np.where(np.isfinite(given) & (given != 0), np.abs(given), np.inf), []
    known = options.compliance if options.compliance is not None else table.facts.get("compliance")
    if known is not None:
        if not known > 0:
            raise InputError(f"The compliance is {known:g} A; a current above 0 is needed.")
        return np.full(len(v), float(known)), []
    limit, notes = np.full(len(v), np.inf), []
    for side in (v > 0, v < 0):
        level, note = _plateau(v[side], i[side])
        limit[side] = level
        notes += [note] if note else []
    return limit, notes


def _cycles(table: Table, v: Values) -> Values:
    """The cycle of each row: by its column, or cut where the voltage comes back through zero from below."""
    found = _only(table, "cycle")
    if found is not None:
        return np.unique(found, return_inverse=True)[1].astype(float)
    signs = np.sign(np.where(np.abs(v) < 1e-3 * np.abs(v).max(), 0.0, v))
    moved = signs[signs != 0]
    first = moved[0] if len(moved) else 1.0
    count, last = [], first
    cycle = 0.0
    for sign in signs:
        if sign == first and last == -first:
            cycle += 1
        last = sign or last
        count.append(cycle)
    return np.array(count)


def loops(table: Table, options: Options) -> Loops:
    """The sweeps of one table; InputError if it cannot be one device's."""
    v, i = _only(table, "voltage"), _only(table, "current")
    if v is None or i is None:
        lacking = "voltage" if v is None else "current"
        raise InputError(f"{table.file} has no column of kind {lacking}; name it with --column NAME={lacking}:UNIT.")
    devices = {label for column in table.of("device") for label in column.texts()}
    if len(devices) > 1:
        raise InputError(f"{table.file} holds {len(devices)} devices; a sweep fit takes one device a file.")
    known = np.isfinite(v) & np.isfinite(i)
    v, i = v[known], i[known]
    if len(v) < FEWEST or np.ptp(v) == 0 or np.abs(i).max() == 0:
        raise InputError(
            f"{table.file} has {counted(len(v), 'point')}; at least {FEWEST} with changing v and some current needed."
        )
    if len(v) > MOST:
        raise InputError(f"{table.file} has {len(v)} points; at most {MOST} fit. Give fewer cycles or every nth point.")
    below = v < -0.1 * np.abs(v).max()
    absolute = bool(below.any() and (i >= 0).all() and np.median(i[below]) > 0)
    i = np.copysign(i, v) if absolute else i
    kept = Table(
        table.file,
        table.form,
        tuple(type(c)(c.name, c.kind, c.values[known]) for c in table.columns if c.kind != "device"),
        tuple(row for row, keep in zip(table.rows, known, strict=True) if keep),
        table.facts,
    )
    limit, notes = _limits(kept, v, i, options)
    held = np.abs(i) >= (1 - PLATEAU) * limit
    notes += ["No current is negative, so they are magnitudes: each has the sign of its voltage."] if absolute else []
    missing = int((~known).sum())
    notes += [f"{counted(missing, 'row')} without a value left out."] if missing else []
    return Loops(v, i, _times(kept, v, options), limit, held, _cycles(kept, v), tuple(notes))


def span(data: Loops, sign: int) -> Span:
    """What the sweep spans, seen with the given orientation."""
    v = sign * data.v
    far = (np.abs(v) > 0.1 * np.abs(v).max()) & ~data.held
    far = far if far.any() else np.abs(v) > 0.1 * np.abs(v).max()
    g = np.maximum(data.i[far] / data.v[far], 1e-15)
    top, bottom = max(float(v.max()), 0.0), max(float(-v.min()), 0.0)
    most = max(top, bottom)
    low, high = np.percentile(g, 2), np.percentile(g, 98)
    path = np.abs(np.diff(v)).sum() / most  # in amplitudes
    current = float(np.abs(data.i).max())
    return Span(top or most, bottom or most, low, max(high, 1.01 * low), float(data.t[-1] / path), current)
