"""`memspike show`: one thing, its source, its parameters; of a device also how it behaves."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memspike.cli.completion import every_name
from memspike.cli.console import AsJson, Quiet, Verbose, computing, note, out, print_json
from memspike.cli.own import Imports, bring
from memspike.parts import units
from memspike.parts.errors import unknown
from memspike.parts.registry import DEVICES, REGISTRIES, Entry

PARAMETRISED = ("neurons", "filters", "synapses", "losses")
# a table of so many numbers is printed whole
NODES = 16

if TYPE_CHECKING:
    from rich.table import Table

    from memspike.devices import AbstractDevice


def _find(name: str) -> tuple[str, Entry]:
    for kind, registry in REGISTRIES.items():
        if name in registry:
            return kind, registry.get(name)
    raise unknown("name", name, [e.name for r in REGISTRIES.values() for e in r], "see: memspike list")


def _table(*columns: str) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, no_wrap=column in ("parameter", "key"))
    return table


def _nodes(values: Any) -> str:
    """The numbers of a short table; of a long one its shape and range."""
    if values.size <= NODES:
        return " ".join(f"{x:.3g}" for x in values.ravel())
    return f"{' × '.join(map(str, values.shape))} numbers, {values.min():.3g} … {values.max():.3g}"


def _tables(thing: Any, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Path, values and meaning of the tables that a device is made of, such as the nodes of a piecewise law."""
    import dataclasses

    import equinox as eqx
    import numpy as np

    for field in dataclasses.fields(thing):
        value = getattr(thing, field.name)
        if isinstance(value, eqx.Module) and dataclasses.is_dataclass(value):
            yield from _tables(value, f"{prefix}{field.name}.")
        elif eqx.is_array(value) and "unit" not in field.metadata:
            yield prefix + field.name, np.asarray(value), field.metadata.get("doc", "")


def _print_parameters(thing: Any, example: tuple[str, ...] = ()) -> None:
    import dataclasses

    import numpy as np

    from memspike import parameters

    table = _table("parameter", "value", "bounds", "meaning")
    for p in (p for p in parameters(thing) if not p.path.startswith(example)):
        low, high = (units.show(b, p.unit) for b in p.bounds)
        values = np.asarray(p.value)
        shown = units.show(float(values.flat[0]), p.unit) + (f" and {values.size - 1} more" if values.size > 1 else "")
        table.add_row(p.path, shown, f"{low} … {high}", p.doc)
    for path, values, doc in _tables(thing) if dataclasses.is_dataclass(thing) else ():
        table.add_row(path, _nodes(values), "", doc)
    if table.row_count:
        out.print(table)


def _show_device(device: "AbstractDevice", name: str, folder: Path | None) -> None:
    import numpy as np

    from memspike import devices, report
    from memspike.devices.asymmetry import asymmetry
    from memspike.devices.description import example_of

    example = example_of(name)
    _print_parameters(device, example)
    if example:
        out.print(f"not measured, so not shown: {', '.join(f'{path}…' for path in example)}", soft_wrap=True)
    elif isinstance(device, devices.AbstractPulseDevice):
        curve = asymmetry(device)
        where = f"at {curve.symmetry_point:.3f} of the range, {'attracts' if curve.attracting else 'repels'}"
        out.print(f"symmetry point: {where if np.isfinite(curve.symmetry_point) else 'none inside the range'}")
    law = device
    while isinstance(law, devices.AbstractWrapper):
        law = law.device
    if isinstance(law, devices.SoftBounds) and not example:
        up, down = (float(devices.labels.label(k)) for k in (law.curvature_up, law.curvature_down))
        out.print(f"nonlinearity labels: NL_LTP {up:+.2f}, NL_LTD {down:+.2f}")
    more: dict[str, Any] = {"name": name, "spread": devices.spread_of(name), "pulses": not example}
    for path in report.write_device(device, folder, **more) if folder else ():
        out.print(f"{path.stem}: {path}", soft_wrap=True, markup=False)


def _show_experiment(experiment: Any, wanted: str | None) -> None:
    """Every key with value, what is allowed, and meaning; with `wanted` those that contain this text."""
    from memspike.experiments.about import allowed, shown
    from memspike.parts.written import keys_of

    own, quick = experiment.shown(experiment.expected), experiment.shown(experiment.expected_quick)
    out.print(f"[dim]expected:[/dim] {own}, quick {quick}")
    keys = [key for key in keys_of(experiment.settings()) if wanted is None or wanted in key.path]
    if not keys:
        every = [key.path for key in keys_of(experiment.settings())]
        raise unknown("part of a key", wanted or "", every, f"see: memspike show {experiment.name}")
    table = _table("key", "value", "allowed", "meaning")
    for key in keys:
        table.add_row(key.path, shown(key.value, key.unit), allowed(key), key.doc)
    out.print(table)


def _parameters(thing: Any, example: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    from memspike import parameters

    return [
        {"name": p.path, "value": p.value, "unit": p.unit, "bounds": p.bounds, "meaning": p.doc, "source": p.source}
        for p in parameters(thing)
        if not p.path.startswith(example)
    ]


def _as_json(kind: str, entry: Entry, wanted: str | None) -> dict[str, Any]:
    """A thing with its parameters, or an experiment with its keys."""
    from memspike.parts.written import keys_of

    found: dict[str, Any] = {"name": entry.name, "kind": kind, "doc": entry.doc, "source": entry.source}
    if kind == "experiments":
        keys = [key for key in keys_of(entry.value.settings()) if wanted is None or wanted in key.path]
        found |= {"expected": entry.value.expected, "expected_quick": entry.value.expected_quick}
        found |= {"measure": entry.value.measure, "settings": [key._asdict() for key in keys]}
    elif kind == "devices":
        from memspike.devices.description import example_of

        found["parameters"] = _parameters(entry.value(), example_of(entry.name))
    elif kind in PARAMETRISED:
        found["parameters"] = _parameters(entry.value())
    return found


def _device_file(name: str, folder: Path | None, *, as_json: bool) -> None:
    """A device that a file describes."""
    from memspike import devices
    from memspike.devices.description import example_of

    DEVICES.load()  # a file may name any model
    device = devices.find(name)
    model = type(device).__name__
    if as_json:
        more = {"parameters": _parameters(device, example_of(name))}
        print_json({"name": name, "kind": "devices", "model": model, "source": device.source, **more})
        return
    out.print(f"[bold]{name}[/bold] (device): {model}\n[dim]source:[/dim] {device.source}")
    _show_device(device, name, folder)


@computing()
def show(
    name: Annotated[
        str,
        typer.Argument(
            help="Anything that `memspike list` names, or a device file (.toml).", autocompletion=every_name
        ),
    ],
    wanted: Annotated[str | None, typer.Argument(help="Of an experiment: only keys that contain this.")] = None,
    out_dir: Annotated[
        Path | None, typer.Option("--out", help="Folder for its figures; runs/devices/NAME, or beside the file.")
    ] = None,
    figures: Annotated[bool, typer.Option(help="Draw how a device behaves.")] = True,
    imports: Imports = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show one thing: what it is, its source, its parameters with units and bounds; of a device, figures too.

    With --json or --quiet nothing is drawn; -v names the source of every parameter.
    """
    bring(imports)
    is_file = name.endswith(".toml")
    beside = Path(name).with_suffix("") if is_file else Path("runs/devices") / name
    folder = (out_dir or beside) if figures and not as_json and not quiet else None
    if is_file:
        _device_file(name, folder, as_json=as_json)
        return
    kind, entry = _find(name)
    if as_json:
        print_json(_as_json(kind, entry, wanted))
        return
    out.print(f"[bold]{entry.name}[/bold] ({kind.removesuffix('s')}): {entry.doc}")
    if entry.source:
        out.print(f"[dim]source:[/dim] {entry.source}")
    if kind == "experiments":
        _show_experiment(entry.value, wanted)
    elif kind == "devices":
        _show_device(entry.value(), entry.name, folder)
    elif kind in PARAMETRISED:
        _print_parameters(entry.value())
    if verbose and kind in ("devices", *PARAMETRISED):
        sources: dict[str, list[str]] = {}
        for p in _parameters(entry.value()):
            sources.setdefault(p["source"] or "not given", []).append(p["name"])
        note(*(f"source of {', '.join(names)}: {source}" for source, names in sources.items()))
