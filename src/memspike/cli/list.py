"""`memspike list`: what is registered."""

import json
from typing import Annotated

import typer

from memspike.cli.console import out
from memspike.cli.own import Imports, bring
from memspike.parts.errors import unknown
from memspike.parts.registry import REGISTRIES

Kind = Annotated[str | None, typer.Argument(help="devices, neurons, rules, schemes, experiments, datasets, …")]


def list_(
    kind: Kind = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    imports: Imports = None,
) -> None:
    """List what is registered, all of it or one kind."""
    bring(imports)
    if kind is not None and kind not in REGISTRIES:
        raise unknown("kind", kind, REGISTRIES)
    chosen = {k: list(r) for k, r in REGISTRIES.items() if kind in (None, k)}
    if as_json:
        rows = {k: [{"name": e.name, "doc": e.doc, "source": e.source} for e in es] for k, es in chosen.items()}
        print(json.dumps(rows if kind is None else rows[kind], indent=2, ensure_ascii=False))
        return
    from rich.table import Table

    for name, entries in chosen.items():
        table = Table(title=name, title_justify="left", box=None, pad_edge=False, header_style="dim")
        table.add_column("name", style="bold", no_wrap=True)
        table.add_column("what it is")
        for entry in entries:
            table.add_row(entry.name, entry.doc)
        out.print(table, "")
