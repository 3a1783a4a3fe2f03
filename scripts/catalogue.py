"""docs/catalogue.md from the registry: python scripts/catalogue.py [--check]."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np

import memspike
from memspike.parts import units
from memspike.parts.fields import FieldInfo, fields_of, is_part, product
from memspike.parts.registry import REGISTRIES
from memspike.parts.table import default_of
from memspike.parts.written import type_of

PAGE = Path(__file__).parents[1] / "docs/catalogue.md"
WITH_PARAMETERS = ("devices", "neurons", "filters", "synapses")
WITH_KEYS = ("programmers", "compensations", "rules", "schemes", "losses", "optimizers", "encoders")


def parameter_table(thing: object) -> list[str]:
    rows = ["", "| parameter | value | bounds | meaning |", "|---|---|---|---|"]
    for p in memspike.parameters(thing):
        low, high = (bound(b, p.unit) for b in p.bounds)
        rows.append(f"| `{p.path}` | {units.show(float(p.value), p.unit)} | {low} … {high} | {cell(p.doc)} |")
    return rows if len(rows) > 3 else []


def shown(value: Any, unit: str) -> str:
    """A value of a key: numbers with their unit, names as they are."""
    if value is None or isinstance(value, bool | str):
        return "none" if value is None else str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(shown(v, unit) for v in value)}]"
    if isinstance(value, int) and unit == "1":
        return str(value)
    return units.show(float(value), unit) if np.ndim(value) == 0 else str(value)


def bound(value: float, unit: str) -> str:
    return units.show(value, unit) if np.isfinite(value) else "∞" if value > 0 else "−∞"


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def key_row(field: FieldInfo) -> str:
    low_high = " … ".join(bound(b, field.unit) for b in field.bounds) if field.bounds else ""
    if field.default is dataclasses.MISSING:
        value = "to be given"
    else:
        value = type_of(default_of(field)) if field.part else shown(field.default, field.unit)
    return f"| `{field.name}` | {value} | {low_high} | {cell(field.doc)} |"


def key_table(make: Any) -> list[str]:
    """What a table may set of a part: its own fields, or the documented arguments of its function."""
    fields = fields_of(product(make) if is_part(product(make)) else make).values()
    return ["", "| key | default | bounds | meaning |", "|---|---|---|---|", *map(key_row, fields)] if fields else []


def page() -> str:
    lines = ["# Catalogue", "", "Made from the registry by `scripts/catalogue.py`; `memspike list` prints the same."]
    for kind, registry in REGISTRIES.items():
        lines += ["", f"## {kind.capitalize()}"]
        for entry in registry:
            lines += ["", f"### {entry.name}", "", f"{entry.doc[0].upper()}{entry.doc[1:]}."]
            if entry.source:
                lines += ["", f"Source: {entry.source}."]
            if kind in WITH_PARAMETERS:
                lines += parameter_table(entry.value())
            elif kind in WITH_KEYS:
                lines += key_table(entry.value)
    return "\n".join(lines) + "\n"


def main() -> int:
    text = page()
    if "--check" in sys.argv:
        return int(not PAGE.exists() or PAGE.read_text() != text)
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
