"""docs/catalogue.md from the registry: python scripts/catalogue.py [--check]."""

import sys
from pathlib import Path

import memspike
from memspike.parts import units
from memspike.parts.registry import REGISTRIES

PAGE = Path(__file__).parents[1] / "docs/catalogue.md"
WITH_PARAMETERS = ("devices", "neurons", "filters", "synapses", "losses")


def parameter_table(thing: object) -> list[str]:
    rows = ["", "| parameter | value | bounds | meaning |", "|---|---|---|---|"]
    for p in memspike.parameters(thing):
        low, high = (units.show(b, p.unit) for b in p.bounds)
        rows.append(f"| `{p.path}` | {units.show(float(p.value), p.unit)} | {low} … {high} | {p.doc} |")
    return rows if len(rows) > 3 else []


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
    return "\n".join(lines) + "\n"


def main() -> int:
    text = page()
    if "--check" in sys.argv:
        return int(not PAGE.exists() or PAGE.read_text() != text)
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
