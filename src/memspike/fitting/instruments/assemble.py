"""Cells → a table in SI units: kinds and units settled or asked for, missing values noted, nothing guessed."""

import math
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from memspike.fitting.instruments import doubts
from memspike.fitting.instruments.numbers import number, with_unit
from memspike.fitting.instruments.options import IGNORED, Options, values_unit
from memspike.fitting.instruments.quantities import (
    KIND_OF,
    PERCENT,
    QUANTITIES,
    SIGNS,
    STATES,
    Unit,
    meaning,
    sign_of,
    unit_of,
)
from memspike.fitting.instruments.raw import Raw
from memspike.fitting.table import UNITS, Column, Table
from memspike.parts.errors import InputError, unknown

VALUES = ("conductance", "resistance", "current")
LABELS = ("device", "ramp", "cycle")
UNNAMED = ("", "value")


@dataclass(eq=False)
class Part:
    """A column on its way: `kind` "" is not known yet, `unit` None not said; `values` are filled by `_numbers`."""

    file: str
    name: str
    number: int
    kind: str
    unit: Unit | None
    cells: list[str | float]
    rows: tuple[int, ...]
    chosen: bool = False  # by an option
    odd: str = ""  # a text in brackets that is no unit
    values: Float[np.ndarray, " rows"] = field(default_factory=lambda: np.empty(0))

    def where(self, k: int | None = None) -> str:
        """The column, or its cell in row k, as a spreadsheet counts them."""
        row = "" if k is None else f"row {self.rows[k]}, "
        return f"{self.file}, {row}column {self.number}" + (f" ({self.name})" if self.name else "")


def _chosen(raw: Raw, options: Options) -> dict[int, tuple[str, str]]:
    """Column → (kind, unit) that options give; a name fits every column that has it."""
    found: dict[int, tuple[str, str]] = {}
    for name, given in options.columns.items():
        fits = [k for k, c in enumerate(raw.columns) if c.name.strip().lower() == name.lower()]
        if not fits and name.isdigit() and 1 <= int(name) <= len(raw.columns):
            fits = [int(name) - 1]
        if not fits:
            names = [c.name for c in raw.columns if c.name]
            raise unknown("column", name, names, f"the file has {len(raw.columns)}, by name or number")
        found.update(dict.fromkeys(fits, given))
    return found


def _parts(file: str, raw: Raw, options: Options) -> list[Part]:
    chosen, parts = _chosen(raw, options), []
    for k, column in enumerate(raw.columns):
        said = meaning(column.name)
        kind, unit = column.kind or said.kind, said.unit
        if column.unit:
            unit = unit_of(column.unit)
            if unit and unit.base and kind in UNNAMED:
                kind = KIND_OF[unit.base]
        odd = "" if column.unit else said.odd
        part = Part(file, column.name, k + 1, kind, unit, list(column.cells), raw.rows, k in chosen, odd)
        if k in chosen:
            part.kind = chosen[k][0]
            part.unit = values_unit(chosen[k][1]) if chosen[k][1] else unit
            if part.unit and part.unit.base not in QUANTITIES.get(part.kind, ("",)):
                part.unit = None
        parts.append(part)
    return parts


def _numbers(part: Part, comma: bool, notes: list[str]) -> None:
    """Cells → SI values of the part; NaN where nothing was measured, and a note where a cell says so."""
    gone: list[tuple[int, str | float]] = []
    values = np.full(len(part.cells), np.nan)
    scale = part.unit or Unit(1.0, "")
    for k, cell in enumerate(part.cells):
        value = number(cell, comma=comma)
        if value is not None:
            values[k] = scale.scale * value + scale.offset
            if math.isnan(value) and cell != "":
                gone.append((k, cell))
            continue
        own = with_unit(cell, comma=comma)
        if own is None or (own[1].base not in QUANTITIES.get(part.kind, (own[1].base,))):
            raise InputError(f"{part.where(k)} is '{str(cell)[:40]}'; a number or a blank is needed.")
        values[k] = own[1].scale * own[0] + own[1].offset
        part.unit = own[1]._replace(scale=1.0)  # said, cell by cell
        if part.kind in UNNAMED and own[1].base:
            part.kind = KIND_OF[own[1].base]
    part.values = values
    if gone:
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        notes.append(f"{part.where(gone[0][0])}{more}: '{gone[0][1]}' is no value; missing.")


def _directions(part: Part, comma: bool) -> None:
    signs = []
    for k, cell in enumerate(part.cells):
        value = number(cell, comma=comma)
        sign = {**SIGNS, **STATES}.get(str(cell).lower(), 0)
        if not sign and value is not None and not math.isnan(value):
            sign = int(np.sign(value))
        if not sign:
            raise InputError(
                f"{part.where(k)} is '{str(cell)[:40]}'; a direction is needed: +1 or −1, up or down, "
                "set or reset, LTP or LTD."
            )
        signs.append(float(sign))
    part.values = np.array(signs)


def _labelled(part: Part, comma: bool) -> Column:
    """A column of labels: numbers stay numbers unless they name devices; texts are counted."""
    blank = next((k for k, cell in enumerate(part.cells) if cell == ""), None)
    if blank is not None:
        raise InputError(f"{part.where(blank)} is blank; the number of the {part.kind} is needed.")
    values = [number(cell, comma=comma) for cell in part.cells]
    if part.kind != "device" and not any(v is None or math.isnan(v) for v in values):
        return Column(part.name or f"column {part.number}", part.kind, np.array(values, float))
    return Column.of(part.name or part.kind, part.kind, [str(cell) for cell in part.cells])


def _is_index(part: Part, raw: Raw) -> bool:
    """A first column that only counts rows: without a name, or named by pandas."""
    if part.number != 1 or part.chosen or part.kind or len(raw.columns) < 2 or len(part.cells) < 3:
        return False
    if part.name and not part.name.lower().startswith("unnamed"):
        return False
    values = [number(cell) for cell in part.cells]
    return all(v is not None and not math.isnan(v) for v in values) and bool(np.all(np.diff(values) == 1))  # pyright: ignore


def _is_text(part: Part, comma: bool) -> bool:
    filled = [cell for cell in part.cells if cell != ""]
    texts = sum(number(c, comma=comma) is None and with_unit(c, comma=comma) is None for c in filled)
    return not filled or texts > 0.5 * len(filled)


def _settle_unnamed(parts: list[Part], raw: Raw, options: Options, notes: list[str]) -> list[Part]:
    """Unnamed columns are values where no other column is; else, and where they are texts, they are left out."""
    others = any(p.kind in (*VALUES, "voltage") for p in parts)
    kept = []
    for part in parts:
        why = ""
        if part.kind == IGNORED:
            why = "as --column says"
        elif part.unit == PERCENT and sign_of(part.name) and not others:
            part.unit = None  # of a range that --g-range tells
            part.cells = [0.01 * value if (value := number(c, comma=raw.comma)) else c for c in part.cells]
        elif part.unit and not part.unit.base and not part.chosen:
            if part.kind in (*VALUES, "value"):
                raise doubts.wrong_unit(part, part.name)
            why = "its unit is none of a measured quantity"
        elif _is_index(part, raw):
            why = "it counts the rows"
        elif part.kind == "" and (others or _is_text(part, raw.comma)):
            why = "what it holds is not known" if any(cell != "" for cell in part.cells) else ""
            if not why:
                continue
        if why:
            notes.append(f"Column {part.number}{f' ({part.name})' if part.name else ''} is left out: {why}.")
        else:
            kept.append(part)
    return kept


def _apply_unit(parts: list[Part], options: Options) -> None:
    """`--unit` on the columns of its quantity, or on all values where there is none of it."""
    if not options.unit:
        return
    unit = values_unit(options.unit)
    open_ = [p for p in parts if not p.chosen and p.kind in (*VALUES, *UNNAMED)]
    same = [p for p in open_ if p.kind == KIND_OF[unit.base]]
    for part in same or open_:
        part.kind, part.unit = KIND_OF[unit.base], unit


def _columns(parts: list[Part], raw: Raw, notes: list[str]) -> tuple[Column, ...]:
    found = []
    for part in parts:
        if part.kind in LABELS:
            found.append(_labelled(part, raw.comma))
            continue
        if part.kind == "target" and part.unit and part.unit.base == "Ω":
            part.values = 1 / part.values
        assumed = part.kind in UNITS and part.unit is None
        found.append(Column(part.name or f"column {part.number}", part.kind, part.values, assumed=assumed))
    return tuple(found)


def assemble(file: str, raw: Raw, options: Options) -> Table:
    """The table of a file. InputError in one sentence for what is not sure, with the option that settles it."""
    notes = list(raw.notes)
    parts = _settle_unnamed(_parts(file, raw, options), raw, options, notes)
    _apply_unit(parts, options)
    for part in parts:
        open_ = part.unit is None and not part.chosen and options.g_range is None
        if part.odd and open_ and part.kind in (*UNITS, *UNNAMED):
            raise doubts.odd_unit(part)
        if part.unit and part.unit.base and part.unit.base not in QUANTITIES.get(part.kind, (part.unit.base,)):
            raise doubts.wrong_unit(part, part.name)
        if part.kind == "direction":
            _directions(part, raw.comma)
        elif part.kind not in LABELS:
            _numbers(part, raw.comma, notes)
    doubts.settle_values(parts, raw, options, notes)
    long = any(p.kind in ("direction", "ramp", "cycle") for p in parts)
    for part in parts:
        if long and part.kind == "pulse" and np.isnan(part.values).any():
            blank = int(np.flatnonzero(np.isnan(part.values))[0])
            raise InputError(f"{part.where(blank)} is blank; the number of the pulse is needed.")
        doubts.check(part, notes)
    full = {p.kind for p in parts if np.isfinite(p.values).any()}
    if not full & {*VALUES, "voltage", "target"} and not full >= {"write voltage", "time"}:  # these: switching times
        raise InputError(f"{file} has no column of values; name one with --column, as --column 2=conductance:uS.")
    silent = [
        p for p in parts if p.kind in ("voltage", "current") and p.kind == meaning(p.name).kind and p.unit is None
    ]
    if {p.kind for p in silent} == {"voltage", "current"}:
        names = " and ".join(p.name for p in silent[:2])
        notes.append(f"{names} have no unit: read in V and A; --column {silent[0].number}=voltage:mV says otherwise.")
    said = {} if options.read_voltage is None else {"read voltage": options.read_voltage}
    other = next((p for p in parts if p.kind in VALUES), None)
    if said and not any(p.kind == "current" for p in parts):
        holds = f", {other.name} holds {other.kind}s" if other else " holds no currents"
        raise InputError(f"{file}{holds}; leave the read voltage out.")
    return Table(file, raw.form, _columns(parts, raw, notes), raw.rows, {**raw.facts, **said}, tuple(notes))
