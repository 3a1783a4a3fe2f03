"""Write–verify logs of an NI test bench: tabs, no names, address first, ohms, 1e10 for infinite."""

import numpy as np

from memspike.fitting.instruments.grid import split
from memspike.fitting.instruments.numbers import number
from memspike.fitting.instruments.options import Options
from memspike.fitting.instruments.raw import Form, Raw, RawColumn
from memspike.fitting.instruments.source import Source
from memspike.parts.errors import InputError

_FULL = 11  # address, reads, sets, resets, final, –, low, high, success, attempts, attempts
_INFINITE = 1e10
_FEWEST = 5


def _rows(source: Source, most: int | None = None) -> list[tuple[int, list[str]]]:
    return [(k, split(line, "\t")) for k, line in enumerate(source.lines[:most], 1) if line.strip()]


def _whole(cell: str) -> bool:
    value = number(cell)
    return value is not None and value == value and value >= 0 and value % 1 == 0


def _found(source: Source) -> bool:
    """All numbers, whole addresses first, and a column of zeros and ones for success."""
    rows = _rows(source, 200)
    if not rows or any("\t" not in line for line in source.lines[:5] if line.strip()):
        return False
    width = len(rows[0][1])
    if width < _FEWEST or not all(len(cells) == width and _whole(cells[0]) for _, cells in rows):
        return False
    if any(number(cell) is None for _, cells in rows for cell in cells):
        return False
    flags = (k for k in range(_FEWEST - 1, width) if all(number(c[k]) in (0.0, 1.0) for _, c in rows))
    large = any(any((number(c[k]) or 0.0) >= 1e3 for _, c in rows) for k in range(1, width))
    return large and any(True for _ in flags)


def _verified(rows: list[tuple[int, list[str]]]) -> bool:
    """Whether successes lie between low and high, as the layout with eleven columns has it."""
    values = [[number(cell) for cell in cells] for _, cells in rows if len(cells) == _FULL]
    full = np.array([[np.nan if v is None else v for v in row] for row in values]).reshape(-1, _FULL)
    done = full[full[:, 8] == 1]
    return len(done) > 0 and bool(np.mean((done[:, 6] <= done[:, 4]) & (done[:, 4] <= done[:, 7])) >= 0.9)


def _read(source: Source, options: Options) -> Raw:
    rows = _rows(source)
    width = max(len(cells) for _, cells in rows)
    cells = [[c[k] if k < len(c) else "" for _, c in rows] for k in range(width)]
    lines = tuple(k for k, _ in rows)
    kinds = {kind for kind, _ in options.columns.values()}
    full = width == _FULL and _verified(rows)
    if not kinds and not full:
        raise InputError(
            f"{source.name} looks like a log of write and verify without names; say which column holds the read "
            "resistances, as --column 4=resistance:ohm."
        )
    open_cells = [["inf" if number(c) == _INFINITE else c for c in column] for column in cells]
    columns = [RawColumn("address", cells[0], "device")]
    if not full:
        columns += [RawColumn("", column) for column in open_cells[1:]]
        return Raw(FORM.name, columns, lines)
    middle = []
    for low, high in zip(cells[6], cells[7], strict=True):
        a, b = number(low), number(high)
        middle.append("" if not a or not b or b == _INFINITE else (a + b) / 2)
    columns += [
        RawColumn("final", open_cells[4], "resistance", "Ω"),
        RawColumn("middle of the range", middle, "target", "Ω"),
    ]
    notes = ["Eleven columns without names: address, final resistance and range in ohms, as the bench writes them."]
    return Raw(FORM.name, columns, lines, notes=notes)


FORM = Form(
    "write–verify log",
    "tabs, no names, whole addresses first, a column of zeros and ones",
    "eleven columns: final resistance and target in ohms, since successes lie within their range; fewer: asked for "
    "(`--column 4=resistance:ohm`); 1e10 is infinite",
    "[akashlevy/RRAM-RADAR-Tuning](https://github.com/akashlevy/RRAM-RADAR-Tuning) 5038af3",
    _found,
    _read,
)
