"""A text → preamble, header, units and rows of cells, whatever separates them."""

import csv
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache

from memspike.fitting.instruments.numbers import clean, decimal_comma, number, with_unit
from memspike.fitting.instruments.quantities import SIGNS, unit_of
from memspike.fitting.instruments.source import Source
from memspike.parts.errors import InputError

_SAMPLE = 200
_DATE = re.compile(r"\d{1,4}[-/.:]\d{1,2}[-/.:]\d{1,4}")
Line = tuple[int, list[str]]


@dataclass
class Grid:
    """Cells of a file: (line number, cells) of every row with content; `header` and `units` may be empty."""

    file: str
    rows: list[Line]
    header: list[str] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    preamble: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    separator: str = ","
    comma: bool = False

    @property
    def width(self) -> int:
        """The number of columns."""
        return max(len(self.header), max((len(cells) for _, cells in self.rows), default=0))

    def column(self, k: int) -> list[str]:
        """The cells of a column, "" where a row is shorter."""
        return [cells[k] if k < len(cells) else "" for _, cells in self.rows]


def split(line: str, separator: str) -> list[str]:
    """The cells of a line; InputError-free: a damaged quote ends with its line."""
    if separator == " ":
        return [clean(cell) for cell in line.split()]
    try:
        return [clean(cell) for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])]
    except csv.Error:
        return [clean(cell) for cell in line.split(separator)]


def _numeric(cell: str, *, comma: bool = True) -> bool:
    if not cell:
        return False
    found = number(cell, comma=comma and cell.count(",") == 1)
    return (found is not None and found == found) or with_unit(cell, comma=True) is not None


def separator_of(lines: list[str]) -> str:
    """Tab, semicolon, comma or blank: the one that makes most cells numbers; a tie goes to the first of these."""
    sample = [line for line in lines if line.strip() and not line.lstrip().startswith("#")][-_SAMPLE:]
    if sum(with_unit(clean(line), comma=True) is not None for line in sample) > 0.5 * len(sample):
        return ","  # one column of cells such as 1.2 uS
    best, found = 0.0, ","
    for separator in "\t;, ":
        rows = [cells for line in sample if len(cells := split(line, separator)) > 1]
        cells = [cell for row in rows for cell in row if cell]
        numbers = sum(_numeric(cell, comma=separator != ",") for cell in cells)
        lengths = Counter(map(len, rows)).most_common(1)
        if len(rows) < 0.5 * len(sample) or not lengths:
            continue
        score = round(numbers / max(len(cells), 1), 1)
        if score > best:
            best, found = score, separator
    return found


def _lone_decimal_commas(rows: list[Line]) -> bool:
    """One column of numbers such as 0,00123, which a comma would cut in two: no column of two counts like these."""
    cells = [own for _, own in rows if any(map(_numeric, own))]
    pairs = all(
        len(p) == 2 and re.fullmatch(r"[-+]?\d+", p[0]) and re.fullmatch(r"\d+(?:[eE][-+]?\d+)?", p[1]) for p in cells
    )
    names = [own for _, own in rows[: next((k for k, (_, own) in enumerate(rows) if own in cells), 0)]]
    one_name = bool(names) and len(names[-1]) == 1
    return bool(cells) and pairs and (one_name or any(p[1][0] == "0" and len(p[1]) > 1 for p in cells))


def _trimmed(cells: list[str]) -> list[str]:
    return cells[: max((k for k, cell in enumerate(cells, 1) if cell), default=0)]


def _is_data(cells: list[str]) -> bool:
    first = next((cell for cell in cells if cell), "")
    numbers = sum(_numeric(cell) for cell in cells)
    if _DATE.match(first) and len(cells) > 1:
        return numbers > 0
    return _numeric(first) or (numbers > 0 and (first.lower() in SIGNS or first.lower() == "nan" or len(cells) > 2))


def _is_units(cells: list[str]) -> bool:
    filled = [cell.strip("()[]") for cell in cells if cell]
    return len(filled) > 0 and all(unit_of(cell) is not None for cell in filled)


def _header_at(rows: list[Line]) -> int | None:
    """The row that names the columns: no number in it, as wide as the rows that follow, numbers below it."""
    width = Counter(len(cells) for _, cells in rows[-_SAMPLE:]).most_common(1)[0][0]
    for k, (_, cells) in enumerate(rows):
        below = next((c for _, c in rows[k + 1 : k + 3] if not _is_units(c)), None)
        if _is_data(cells) and len(cells) >= width:
            return None
        filled = sum(map(bool, cells))
        wide = filled >= max(1, min(2, width)) and filled >= 0.5 * width
        if wide and not any(_numeric(cell) for cell in cells) and below is not None and _is_data(below):
            return k
    return None


@lru_cache(maxsize=1)  # several formats look at the same file
def grid(source: Source, separator: str = "") -> Grid:
    """The table in a text file; lines that begin with # are header or comment. InputError if it has no rows."""
    found = separator or separator_of(source.lines)
    numbered: list[Line] = []
    preamble: list[str] = []
    for k, line in enumerate(source.lines, 1):
        comment = line.lstrip().startswith("#")
        cells = _trimmed(split(line.lstrip().lstrip("#") if comment else line, found))
        if not any(cells):
            continue
        if comment and (numbered or len(cells) < 2 or any(_numeric(cell) for cell in cells)):
            preamble.append(line.strip().lstrip("#").strip())
        else:
            numbered.append((k, cells))
    if not numbered:
        raise InputError(f"{source.name} is empty; a file of measurements is needed.")
    if found == "," and _lone_decimal_commas(numbered[:_SAMPLE]):
        numbered = [(k, [",".join(cells)]) for k, cells in numbered]
    at = _header_at(numbered)
    header = numbered[at][1] if at is not None else []
    start = at + 1 if at is not None else next((k for k, (_, c) in enumerate(numbered) if _is_data(c)), len(numbered))
    texts = source.lines
    preamble += [texts[k - 1].strip() for k, _ in numbered[: at if at is not None else start]]
    rows = numbered[start:]
    units = rows.pop(0)[1] if header and rows and _is_units(rows[0][1]) else []
    notes = []
    while rows and not any(number(c) is not None or _numeric(c) for c in rows[-1][1] if c):
        line, cells = rows.pop()
        notes.append(f"Line {line} ('{cells[0][:40]}') behind the table is left out.")
    if not rows:
        raise InputError(f"{source.name} has a header but no numbers; a file of measurements is needed.")
    comma = decimal_comma((c for _, cells in rows for c in cells), separated_by_commas=found == ",")
    if comma is None:
        raise InputError(
            f"{source.name} writes numbers as 1,234, which may be 1.234 or 1234; write them with a decimal point."
        )
    return Grid(source.name, rows, header, [u.strip("()[]") for u in units], preamble, notes, found, comma)
