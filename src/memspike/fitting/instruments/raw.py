"""What a format finds in a file, before units: cells with the names, kinds and units that the file gives them."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from memspike.fitting.instruments.grid import Grid
from memspike.fitting.instruments.numbers import number
from memspike.fitting.instruments.options import Options
from memspike.fitting.instruments.quantities import QUANTITIES, meaning
from memspike.fitting.instruments.source import Source

_PAIR = re.compile(r"\s*(.+?)\s*[:=,;\t]\s*([^,;\t]+?)[\s,;]*")
_SURE = {"V": 20.0}  # a voltage without a unit that is larger is no volt


@dataclass
class RawColumn:
    """A column of cells; kind and unit are those that the format knows, else "" and the name decides."""

    name: str
    cells: Sequence[str | float]
    kind: str = ""
    unit: str = ""


@dataclass
class Raw:
    """A file as cells, with the line of each row; `headed` is False where columns have no names."""

    form: str
    columns: list[RawColumn]
    rows: tuple[int, ...]
    headed: bool = True
    comma: bool = False
    facts: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Form:
    """A file format: how it is found, what is read, where it is described, and the two functions that do it."""

    name: str
    found_by: str
    what: str
    source: str
    found: Callable[[Source], bool]
    read: Callable[[Source, Options], Raw]


def note_facts(raw: Raw, lines: Sequence[str]) -> None:
    """Settings such as `ReadVoltage,0.1` or `Temperature (K): 300` into `raw.facts`, in SI units."""
    for line in lines:
        match = _PAIR.fullmatch(line)
        if not match:
            continue
        said = meaning(match[1])
        if said.kind not in ("read voltage", "temperature", "compliance", "width"):
            continue
        text, _, tail = match[2].partition(" ")
        unit, value = said.unit or (meaning(f"x ({tail})").unit if tail else None), number(text)
        if value is None or value != value:
            continue
        (base,) = QUANTITIES[said.kind]
        if unit is not None and unit.base == base:
            raw.facts[said.kind] = unit.scale * value + unit.offset
        elif unit is None and abs(value) <= _SURE.get(base, 0.0):
            raw.facts[said.kind] = value
        else:
            raw.notes.append(f"'{line.strip()[:60]}' has no unit that is known: not used.")


def raw_of(grid: Grid, form: str) -> Raw:
    """A grid as it stands, with the settings in its preamble."""
    columns = [
        RawColumn(
            grid.header[k] if k < len(grid.header) else "",
            grid.column(k),
            unit=grid.units[k] if k < len(grid.units) else "",
        )
        for k in range(grid.width)
    ]
    raw = Raw(form, columns, tuple(k for k, _ in grid.rows), bool(grid.header), grid.comma, notes=list(grid.notes))
    note_facts(raw, grid.preamble)
    return raw
