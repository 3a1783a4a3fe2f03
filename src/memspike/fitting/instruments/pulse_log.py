"""Logs of pulses and reads in turn: rows of write, zero and ± read voltages, with `key: value` lines first."""

import math
import re

from memspike.fitting.instruments.grid import Grid, grid
from memspike.fitting.instruments.numbers import number
from memspike.fitting.instruments.options import Options
from memspike.fitting.instruments.quantities import meaning
from memspike.fitting.instruments.raw import Form, Raw, RawColumn, note_facts
from memspike.fitting.instruments.source import Source
from memspike.parts.errors import InputError

_KEYS = ("Number of Pulses:", "Read Voltage")
_KINDS = ["time", "voltage", "current", "voltage", "current"]
_MATCH = 1e-6  # relative: a row at the read voltage is a read
_WIDTH = re.compile(r"\s*tON\s*\(ms\)\s*:\s*(\S+)")


def _found(source: Source) -> bool:
    head = [line.strip() for line in source.lines[:40]]
    return all(any(line.startswith(key) for line in head) for key in _KEYS)


def _value(cells: list[str], k: int) -> float:
    found = number(cells[k]) if k < len(cells) else math.nan
    return math.nan if found is None else found


def _read(source: Source, options: Options) -> Raw:
    table: Grid = grid(source)
    if [meaning(name).kind for name in table.header[:5]] != _KINDS:
        raise InputError(
            f"{source.name} is a log of pulses with a read voltage, but its columns are not time, voltage, current, "
            "voltage, current."
        )
    raw = Raw("pulse and read log", [], ())
    note_facts(raw, table.preamble)
    if "read voltage" not in raw.facts:
        raise InputError(f"{source.name} does not say its read voltage in volts; the line 'Read Voltage (V)' does.")
    read = raw.facts["read voltage"]
    rows: list[tuple[int, float, float, float, float]] = []
    pulse = 0.0
    for line, cells in table.rows:
        time, volts, amperes = (_value(cells, k) for k in range(3))
        back = _value(cells, 4)
        if math.isclose(abs(volts), abs(read), rel_tol=_MATCH):
            # the mean of both polarities: an offset of the meter cancels
            amperes = amperes if math.isnan(back) else (amperes - back) / 2
            rows.append((line, time, pulse, volts, amperes))
            pulse = 0.0
        elif volts:
            pulse = volts
    if not rows:
        raise InputError(f"{source.name} has no row at its read voltage of {read:g} V.")
    names = (("time", "s"), ("write voltage", "V"), ("read voltage", "V"), ("current", "A"))
    raw.columns = [RawColumn(kind, [row[k] for row in rows], kind, unit) for k, (kind, unit) in enumerate(names, 1)]
    raw.rows = tuple(row[0] for row in rows)
    on = next((m[1] for line in table.preamble if (m := _WIDTH.match(line))), "")
    if width := number(on):
        raw.columns.append(RawColumn("width", [1e-3 * width if row[2] else "" for row in rows], "width", "s"))
    return raw


FORM = Form(
    "pulse and read log",
    "lines `Number of Pulses: …` and `Read Voltage (V): …` before the table",
    "rows at the read voltage are reads, the mean of both polarities; other rows are pulses, those at 0 V nothing",
    "[cateru/Memristor_Crossbar_Training_Class](https://github.com/cateru/Memristor_Crossbar_Training_Class) a835f7e",
    _found,
    _read,
)
