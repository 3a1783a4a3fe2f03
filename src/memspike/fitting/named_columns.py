"""A CSV file whose header names kinds and units, `voltage (V), current (uA), time (s)` → a table in SI units."""

import csv
import math
import re
from pathlib import Path

import numpy as np

from memspike.fitting.table import UNITS, Column, Table
from memspike.parts import units
from memspike.parts.errors import InputError

NAMES = {
    **dict.fromkeys(("voltage", "v", "bias", "amplitude"), "voltage"),
    **dict.fromkeys(("current", "i"), "current"),
    **dict.fromkeys(("time", "t"), "time"),
    **dict.fromkeys(("cycle", "loop"), "cycle"),
    **dict.fromkeys(("compliance", "icc"), "compliance"),
    **dict.fromkeys(("direction", "polarity"), "direction"),
    "device": "device",
}
_HEAD = re.compile(r"\s*([^([]*?)\s*(?:[(\[]\s*([^)\]]*?)\s*[)\]])?\s*")


def read(path: Path) -> Table | None:
    """The table of a file; None where its header does not name a voltage and a current or time.

    InputError for a column without a unit and for a cell that is no number.
    """
    try:
        lines = [row for row in csv.reader(path.read_text(encoding="utf-8-sig").splitlines()) if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error):
        return None
    heads = [match for cell in (lines[0] if lines else []) if (match := _HEAD.fullmatch(cell))]
    kinds = [NAMES.get(head[1].lower(), "") for head in heads]
    if "voltage" not in kinds or not {"current", "time"} & {*kinds}:
        return None
    columns = []
    for k, (head, kind) in enumerate(zip(heads, kinds, strict=True)):
        texts = [row[k].strip() if k < len(row) else "" for row in lines[1:]]
        if kind in ("direction", "device"):
            labels = tuple(texts)
            columns.append(Column(head[0], kind, np.unique(labels, return_inverse=True)[1].astype(float), labels))
        elif kind:
            columns.append(Column(head[0], kind, _scale(path, head, kind) * _numbers(path, head[0], texts)))
    return Table(path.name, "named columns", tuple(columns), tuple(range(2, len(lines) + 1)))


def _scale(path: Path, head: re.Match[str], kind: str) -> float:
    if kind not in UNITS:
        return 1.0
    if not head[2]:
        raise InputError(f"{path.name}: column '{head[0]}' has no unit; head it '{head[1]} ({UNITS[kind]})'.")
    return units.parse(f"1{head[2]}", UNITS[kind], f"the unit of column '{head[0]}' in {path.name}")


def _numbers(path: Path, name: str, texts: list[str]) -> np.ndarray:
    values = np.full(len(texts), math.nan)
    for k, text in enumerate(texts):
        try:
            values[k] = float(text or "nan")
        except ValueError:
            raise InputError(
                f"{path.name}, row {k + 2}, column '{name}' is '{text[:40]}'; a number is needed."
            ) from None
    return values
