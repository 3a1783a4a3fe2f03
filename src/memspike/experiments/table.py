"""What a result is, and how its rows are read: one declaration for the terminal, the report and the README."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from memspike.parts import units
from memspike.parts.errors import unknown

Row = Mapping[str, Any]

KINDS = {
    "membranes": "a classifier trained through the equations of its neurons; its rows are chips by age",
    "classification": "a classifier that learns online; its rows, if any, are further tests",
    "regression": "numbers that a network follows frame by frame",
    "generation": "patterns that a network learns online to generate",
    "plasticity": "neurons that learn to tell inputs apart without a teacher; its rows are tests under noise",
    "recall": "a memory that completes stored patterns from a part",
    "schemes": "errors of several trainings: a row for every scheme, or for every scheme and condition",
    "references": "errors of schemes by the offset of their references; `curves` by `updates`",
    "labels": "accuracies by the nonlinearity label of the device, one row for every method",
    "devices": "accuracies by device, one row for every method",
    "wires": "accuracies by tile size and wire resistance",
    "speakers": "accuracies for speakers who were left out of the training",
    "writes": "means and deviations that one blind write reaches, by writer",
    "matrix": "combinations of parts; `axes` are their names, `reasons` the sentences of what is refused",
    "table": "rows alone, without a figure",
}
"""Every kind of result: it names the files and the figures of its report, and nothing else does."""


class Column(NamedTuple):
    """A column of a table: the key in a row, the title, how the value is printed and in which unit.

    `form` is one of `FORMS`, alone or followed by " with sd" (mean ± standard deviation) or by " with quartiles"
    (median, quartiles and how many seeds diverged); these read `sd`, `q1`, `q3` in the place of `mean` or `median` of
    the key, and `diverged`. Values are in SI; a `unit` with a prefix scales them. `digits` are decimal places, for
    `number` and `scaled` significant ones. A value that a row lacks is an empty cell.
    """

    key: str
    title: str
    form: str = "number"
    unit: str = ""
    digits: int = 4


FORMS = {
    "text": "a name; in a figure it tells rows apart",
    "count": "a whole number",
    "number": "significant digits",
    "fixed": "decimal places",
    "percent": "decimal places, in percent",
    "scaled": "significant digits and the unit with the prefix that keeps the number short",
    "duration": "a time in s, min, h, d, months or years",
}
# of a longer table a reader sees the first rows alone
LONG = 250
SPREADS = ("", "sd", "quartiles")
PREFIXED = ("A", "F", "Hz", "J", "S", "V", "W", "s", "Ω")

# columns of several experiments
SCHEME = Column("scheme", "scheme", "text")
ACCURACY = Column("accuracy_mean", "test accuracy", "percent with sd", digits=2)
LOWEST = Column("accuracy_min", "lowest", "percent", digits=2)
ERROR = Column("mse_median", "error: median (quartiles)", "fixed with quartiles")
WRITES = Column("writes_per_device", "writes a device", "fixed", digits=2)
MOST = Column("writes_most", "writes at most", "count")
ENERGY = Column("energy_j", "energy", "scaled", "J", 3)
ENDURANCE = Column("endurance_used", "endurance used", "number", "%", 3)
PULSES = Column("pulses_per_weight", "pulses a weight", "fixed", digits=1)
RATE = Column("rate_hz", "firing rate", "fixed", "Hz", 1)
DAYS = Column("days", "days", "fixed", digits=1)
SEEDS = Column("seeds", "seeds", "count")


def declared(columns: Iterable[Column]) -> list[dict[str, Any]]:
    """Columns as they stand in a result.json. InputError for a form that does not exist."""
    found = []
    for column in columns:
        form, spread = _form(column)
        if form not in FORMS:
            raise unknown("form of a column", form, FORMS)
        if spread not in SPREADS:
            raise unknown("spread of a column", spread, SPREADS)
        found.append(column._asdict())
    return found


def columns_of(declaration: Iterable[Mapping[str, Any]]) -> tuple[Column, ...]:
    """The columns that `declared` wrote."""
    return tuple(Column(**entry) for entry in declaration)


def _form(column: Column) -> tuple[str, str]:
    form, _, spread = column.form.partition(" with ")
    return form, spread


def _scale(unit: str) -> float:
    """What one `unit` is in SI: 1e-6 for µS, 1e-12 for µS², 1 for a unit without a prefix."""
    if unit == "%":
        return 1e-2
    if unit.endswith("²"):
        return _scale(unit[:-1]) ** 2
    return units.PREFIXES.get(unit[:1], 1.0) if unit[1:] in PREFIXED else 1.0


def _number(value: Any, column: Column) -> str:
    """The number alone."""
    form, digits = _form(column)[0], column.digits
    if form in ("text", "count"):
        return str(value)
    if not math.isfinite(value):
        return "not finite"
    if form == "percent":
        return f"{100 * value:.{digits}f}"
    return f"{value / _scale(column.unit):.{digits}{'g' if form == 'number' else 'f'}}"


def _beside(key: str, which: str) -> str:
    """The key of the s.d. or of a quartile: accuracy_mean → accuracy_sd, mse_median → mse_q1, error → error_sd."""
    return f"{key.removesuffix('_mean').removesuffix('_median')}_{which}"


def _spread(row: Row, column: Column) -> str:
    """What stands behind the number: ± s.d., or quartiles in brackets."""
    spread = _form(column)[1]
    if spread == "sd" and row.get(_beside(column.key, "sd")) is not None:
        return f" ± {_number(row[_beside(column.key, 'sd')], column)}"
    if spread == "quartiles":
        low, high = (_number(row[_beside(column.key, which)], column) for which in ("q1", "q3"))
        return f" ({low}–{high}" + (f", {row['diverged']} diverged)" if row.get("diverged") else ")")
    return ""


def cell(row: Row, column: Column) -> str:
    """The value of a row in a column, as text."""
    value, form = row.get(column.key), _form(column)[0]
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return ", ".join(cell({column.key: one}, column) for one in value)
    if form == "duration":
        return units.duration(value)
    if form == "scaled":
        return units.show(float(f"{value:.{column.digits}g}"), column.unit)
    unit = "%" if form == "percent" else column.unit
    gap = "" if unit in ("", "×") else " "
    return f"{_number(value, column)}{_spread(row, column)}{gap}{unit}"


def cells(rows: Iterable[Row], columns: Sequence[Column]) -> list[list[str]]:
    """The texts of a table, line by line, without its titles."""
    return [[cell(row, column) for column in columns] for row in rows]


def plain(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table for a terminal: columns under each other, texts on the left and numbers on the right."""
    wide = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    right = [all(not line[k] or line[k][0] in "0123456789-−." for line in lines) for k in range(len(header))]

    def written(line: Sequence[str]) -> str:
        texts = zip(line, wide, right, strict=True)
        return "  ".join(text.rjust(width) if number else text.ljust(width) for text, width, number in texts).rstrip()

    return "\n".join(map(written, [header, *lines]))


def shown(rows: Sequence[Row]) -> tuple[Sequence[Row], str]:
    """The rows that a reader sees, and a sentence on those that are left to result.json."""
    if len(rows) <= LONG:
        return rows, ""
    return rows[:LONG], f"{len(rows) - LONG} more rows are in result.json."


def printed(result: Mapping[str, Any]) -> str:
    """The rows of a result.json as a table for a terminal; empty without rows."""
    if not result.get("rows"):
        return ""
    columns = columns_of(result["columns"])
    rows, more = shown(result["rows"])
    return "\n".join(filter(None, (plain([column.title for column in columns], cells(rows, columns)), more)))
