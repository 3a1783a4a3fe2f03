"""CSV files as people write them → columns of numbers that remember the cell they came from."""

import csv
import math
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from memspike.parts.errors import InputError
from memspike.parts.units import PREFIXES

INDEX = {"", "pulse", "pulses", "pulse number", "pulse no", "index", "n", "no", "number", "#", "step", "time", "t"}
DIRECTION = {"sign", "direction", "dir", "polarity", "pulse sign", "type", "operation", "op"}
RAMP = {"ramp", "cycle", "ramp id", "cycle id", "ramp number", "cycle number", "sweep", "trace", "loop"}
CONDUCTANCE = {"g", "conductance"}
CURRENT = {"i", "current", "read current", "i read"}
VALUE = {"value", "values", "measurement"} | CONDUCTANCE | CURRENT
SIGNS = {
    **dict.fromkeys(("up", "set", "ltp", "potentiation", "potentiate", "inc", "increase", "+", "p", "pot"), 1),
    **dict.fromkeys(("down", "reset", "ltd", "depression", "depress", "dec", "decrease", "-", "−", "d", "dep"), -1),
}
_UNIT = re.compile(r"[(\[]\s*([^)\]]*?)\s*[)\]]")
_SIEMENS_OR_AMPERE = re.compile(r"([fpnuµμmkMG]?)([SA])")
_OTHER_UNIT = re.compile(r"[fpnuµμmkMG]?(V|Ω|[oO]hms?|s|Hz|W|J|%|a\.u\.)")


class Ramp(NamedTuple):
    """Values of one column, or of one ramp of a long table: NaN for blanks, with the row of each value.

    `sign` is +1 or −1 where the table says so, else 0; `kind` is "S" or "A" where the header says so, else "".
    """

    values: Float[np.ndarray, " values"]
    rows: tuple[int, ...]
    file: str
    column: int
    name: str
    kind: str = ""
    sign: int = 0

    def where(self, k: int | None = None) -> str:
        """The cell of value `k`, or the column from its first row, as a spreadsheet counts them."""
        name = f" ({self.name})" if self.name else ""
        row = f"row {self.rows[k]}" if k is not None else f"rows {self.rows[0]} to {self.rows[-1]}"
        return f"{self.file}, {row}, column {self.column}{name}"


class _Sheet(NamedTuple):
    """A file as cells: (row number, texts) for every line with content; header names by column, maybe none."""

    file: str
    lines: list[tuple[int, list[str]]]
    header: list[str]
    comma: bool

    def name(self, column: int) -> str:
        return self.header[column] if column < len(self.header) else ""

    def cell(self, texts: list[str], column: int) -> str:
        return texts[column] if column < len(texts) else ""

    def where(self, row: int, column: int) -> str:
        name = f" ({self.name(column)})" if self.name(column) else ""
        return f"{self.file}, row {row}, column {column + 1}{name}"

    def number(self, row: int, column: int, text: str) -> float:
        """A finite number, NaN for a blank; InputError for anything else."""
        if not text:
            return math.nan
        value = _parse(text, self.comma)
        if value is None:
            raise InputError(f"{self.where(row, column)} is '{text[:40]}'; a number or a blank is needed.")
        if not math.isfinite(value):
            raise InputError(f"{self.where(row, column)} is '{text[:40]}'; a finite number or a blank is needed.")
        return value


def _parse(text: str, comma: bool) -> float | None:
    try:
        return float(text.replace(",", ".") if comma else text)
    except ValueError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; a CSV file of measured ramps is needed.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file; a CSV file of measured ramps is needed.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); a CSV file of measured ramps is needed.") from None


def _sheet(path: Path) -> _Sheet:
    raw = _text(path).splitlines()
    content = [line for line in raw if line.strip(" ,;\t") and not line.lstrip().startswith("#")]
    if not content:
        raise InputError(f"{path} is empty; a CSV file of measured ramps is needed.")
    delimiter = next((d for d in "\t;" if d in content[0]), ",")
    try:
        rows = [[c.strip() for c in next(csv.reader([line], delimiter=delimiter), [])] for line in raw]
    except csv.Error as error:
        raise InputError(f"{path} is not a CSV file ({error}).") from None
    lines = [(k, texts) for k, texts in enumerate(rows, 1) if any(texts) and not raw[k - 1].lstrip().startswith("#")]
    comma = delimiter != ","
    first = lines[0][1]
    header = first if not any(_parse(c, comma) is not None for c in first if c) else []
    lines = lines[1:] if header else lines
    if not lines:
        raise InputError(f"{path} has a header but no numbers; a CSV file of measured ramps is needed.")
    return _Sheet(path.name, lines, header, comma)


def _plain(name: str) -> str:
    """A header name without unit, case and punctuation."""
    return " ".join(re.sub(r"[_\-/]", " ", _UNIT.sub("", name)).lower().split())


def _unit(sheet: _Sheet, column: int) -> tuple[float, str]:
    """Scale and kind ("S", "A" or unknown) of a column of values."""
    name = sheet.name(column)
    given = _UNIT.search(name)
    if given and (match := _SIEMENS_OR_AMPERE.fullmatch(given[1])):
        return PREFIXES[match[1]], match[2]
    if given and _OTHER_UNIT.fullmatch(given[1]):
        raise InputError(
            f"{sheet.file}, column {column + 1} is headed '{name}'; conductance (S) or current (A) is needed."
        )
    words = _plain(name)
    return 1.0, "S" if words in CONDUCTANCE else "A" if words in CURRENT else ""


def _counts_up(values: Float[np.ndarray, " rows"]) -> bool:
    return len(values) > 1 and bool(np.all(np.diff(values) == 1))


def _wide(sheet: _Sheet) -> list[Ramp]:
    width = max(len(texts) for _, texts in sheet.lines)
    ramps = []
    for column in range(width):
        cells = [sheet.number(row, column, sheet.cell(texts, column)) for row, texts in sheet.lines]
        values = np.array(cells)
        given = np.flatnonzero(np.isfinite(values))
        named_index = bool(sheet.header) and _plain(sheet.name(column)) in INDEX
        if not len(given) or (named_index and width > 1 and (sheet.name(column) or _counts_up(values[given]))):
            continue
        scale, kind = _unit(sheet, column)
        used = slice(given[0], given[-1] + 1)
        rows = tuple(row for row, _ in sheet.lines[used])
        ramps.append(Ramp(scale * values[used], rows, sheet.file, column + 1, sheet.name(column), kind))
    if not ramps:
        raise InputError(f"{sheet.file} has no column of values; a CSV file of measured ramps is needed.")
    return ramps


def _sign(sheet: _Sheet, row: int, column: int, text: str) -> int:
    value = _parse(text, sheet.comma)
    sign = SIGNS.get(text.lower(), 0) if value is None else int(np.sign(value)) if math.isfinite(value) else 0
    if not sign:
        raise InputError(
            f"{sheet.where(row, column)} is '{text[:40]}'; a direction is needed: +1 or −1, up or down, "
            "set or reset, LTP or LTD."
        )
    return sign


def _long(sheet: _Sheet, roles: dict[str, int]) -> list[Ramp]:
    """Rows grouped into ramps: by ramp number if there is one, and wherever direction or pulse number turn."""
    column = roles["value"]
    scale, kind = _unit(sheet, column)
    groups: dict[tuple[str, int, int], list[tuple[float, float, int]]] = {}
    run, before = 0, ("", 0, -math.inf)
    for row, texts in sheet.lines:
        ramp = sheet.cell(texts, roles["ramp"]) if "ramp" in roles else ""
        if "ramp" in roles and not ramp:
            raise InputError(f"{sheet.where(row, roles['ramp'])} is blank; the number of the ramp is needed.")
        sign = 0
        if "direction" in roles:
            sign = _sign(sheet, row, roles["direction"], sheet.cell(texts, roles["direction"]))
        index = float(row)
        if "index" in roles:
            index = sheet.number(row, roles["index"], sheet.cell(texts, roles["index"]))
            if math.isnan(index):
                raise InputError(f"{sheet.where(row, roles['index'])} is blank; the number of the pulse is needed.")
        value = sheet.number(row, column, sheet.cell(texts, column))
        if "ramp" not in roles and (sign != before[1] or index <= before[2]):
            run += 1
        before = (ramp, sign, index)
        groups.setdefault((ramp, sign, run), []).append((index, value, row))
    found = []
    numbers = [_parse(ramp, sheet.comma) for ramp, _, _ in groups]
    order = list(groups) if None in numbers else [g for _, g in sorted(zip(numbers, groups, strict=True))]  # pyright: ignore
    for group in order:
        sign, entries = group[1], groups[group]
        entries.sort(key=lambda entry: entry[0])
        values = scale * np.array([value for _, value, _ in entries])
        rows = tuple(row for _, _, row in entries)
        found.append(Ramp(values, rows, sheet.file, column + 1, sheet.name(column), kind, sign))
    return found


def _roles(sheet: _Sheet) -> dict[str, int]:
    """Which column of a long table is what; empty for a table with one ramp a column."""
    roles: dict[str, int] = {}
    names = [_plain(name) for name in sheet.header]
    for role, known in (("value", VALUE), ("direction", DIRECTION), ("ramp", RAMP), ("index", INDEX)):
        columns = [k for k, name in enumerate(names) if name in known]
        if len(columns) == 1:
            roles[role] = columns[0]
    if "value" not in roles or not {"direction", "ramp"} & roles.keys():
        return {}
    for k, name in enumerate(sheet.header):
        if k not in roles.values():
            raise InputError(
                f"{sheet.file}, row 1, column {k + 1} is headed '{name}'; a long table has columns of pulse, "
                "direction, ramp and value."
            )
    return roles


def read_columns(path: Path) -> list[Ramp]:
    """The columns of a file, or the ramps of a long table; InputError names the row and column at fault."""
    sheet = _sheet(path)
    roles = _roles(sheet)
    return _long(sheet, roles) if roles else _wide(sheet)
