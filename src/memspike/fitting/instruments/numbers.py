"""A cell of a table → a number, a missing value, or neither; with the unit that stands in it, if one does."""

import math
import re
from collections.abc import Iterable

from memspike.fitting.instruments.quantities import Unit, unit_of

MISSING = frozenset(
    [
        "nan",
        "n/a",
        "na",
        "#n/a",
        "null",
        "none",
        "-",
        "--",
        "---",
        "—",
        "ovld",
        "ovrflw",
        "overflow",
        "over",
        "ovf",
        "inf",
        "+inf",
        "-inf",
        "infinity",
        "#div/0!",
        "#num!",
        "#value!",
        "#ref!",
        "<na>",
        "err",
        "error",
        "?",
    ]
)
OVERFLOW = 9.9e36  # instruments write 9.91E37 (not a number), 9.9E37 or 1.99999E+100 (overflow)
LONGEST = 64  # characters of a number with its unit
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?")
_WITH_UNIT = re.compile(r"([-+]?[.,]?\d[\d.,]*(?:[eE][-+]?\d+)?)\s*([^\d\s.,+-]\S*)")
_GROUPS = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+")
_SPACES = re.compile(r"(?<=\d)[ '’\u00a0\u202f\u2009](?=\d{3}(?!\d))")


def clean(text: str) -> str:
    """A cell without quotes, blanks and marks of thousands that are no commas; a real minus sign."""
    text = text.strip().strip("\"'").strip().replace("−", "-")
    return _SPACES.sub("", text)


def decimal_comma(cells: Iterable[str], *, separated_by_commas: bool) -> bool | None:
    """Whether a comma in a number is its decimal point; None where the file does not say."""
    short = (c for c in cells if "," in c and len(c) <= LONGEST)
    numbers = (match[1] if (match := _WITH_UNIT.fullmatch(c)) else c for c in short)
    with_comma = [c for c in numbers if "," in c and re.fullmatch(r"[-+\d.,]+(?:[eE][-+]?\d+)?", c)]
    if not with_comma:
        return False
    if any("." in c for c in with_comma):
        return any(c.rfind(",") > c.rfind(".") >= 0 for c in with_comma)
    if all(_GROUPS.fullmatch(c) for c in with_comma):
        certain = separated_by_commas or any(c.count(",") > 1 for c in with_comma)
        return False if certain else None
    return True


def number(cell: str | float, *, comma: bool = False) -> float | None:
    """The number in a cell, NaN if it says that there is none, None if it is a text."""
    if not isinstance(cell, str):
        return math.nan if abs(cell) >= OVERFLOW else float(cell)
    if not cell or cell.lower() in MISSING:
        return math.nan
    if len(cell) > LONGEST:
        return None
    if "," in cell:
        cell = cell.replace(".", "").replace(",", ".") if comma else cell.replace(",", "")
    if not _NUMBER.fullmatch(cell):
        return None
    value = float(cell.replace("d", "e").replace("D", "e"))
    return math.nan if abs(value) >= OVERFLOW else value


def with_unit(cell: str | float, *, comma: bool = False) -> tuple[float, Unit] | None:
    """Number and unit of a cell such as `1.2 uS`; None if it is no such cell."""
    match = _WITH_UNIT.fullmatch(cell) if isinstance(cell, str) and len(cell) <= LONGEST else None
    unit = unit_of(match[2]) if match else None
    if match is None or unit is None:
        return None
    value = number(match[1], comma=comma)
    return None if value is None else (value, unit)
