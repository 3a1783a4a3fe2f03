"""`memspike data look`: what a measured file, or a data set, holds before anything is fitted or learned."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memspike.cli import files, look_data
from memspike.cli.console import out
from memspike.cli.own import Imports, bring
from memspike.cli.plot import dots
from memspike.parts import units
from memspike.parts.errors import InputError, unknown
from memspike.parts.units import counted

if TYPE_CHECKING:
    from memspike.fitting.instruments.options import Options
    from memspike.fitting.table import Column, Table, Trace

MOST = 12  # columns that are shown
KINDS = ("data", "device")


def _say(text: str) -> None:
    out.print(text, markup=False, soft_wrap=True)


def _show(value: float, unit: str) -> str:
    return units.show(float(f"{value:.4g}"), unit)


def _line(column: "Column") -> str:
    import numpy as np

    known = column.values[np.isfinite(column.values)]
    kind = f"{column.kind} ({column.unit})" if column.unit != "1" else column.kind
    if column.labels:
        return f"  {column.name}: {kind}, {len(column.labels)} of them"
    if not len(known):
        return f"  {column.name}: {kind}, empty"
    span = f"{_show(known.min(), column.unit)} to {_show(known.max(), column.unit)}"
    lacking = len(column.values) - len(known)
    return f"  {column.name}: {kind}, {span}" + (f", {lacking} missing" if lacking else "")


def _curve(table: "Table", traces: "list[Trace]") -> "tuple[Column | None, Column] | None":
    """What to plot where there are no traces: current over voltage, or the values over time or cycle."""
    values = [c for kind in ("current", "conductance", "resistance", "voltage") for c in table.of(kind)]
    if traces or not values:
        return None
    axes = [c for kind in ("voltage", "time", "cycle", "temperature") for c in table.of(kind) if c is not values[0]]
    return (axes[0] if axes else None), values[0]


def _picture(table: "Table", traces: "list[Trace]") -> list[str]:
    """A small plot with a line that names its axes."""
    import numpy as np

    pair = _curve(table, traces)
    if traces:
        y = np.concatenate([trace.g for trace in traces])
        x, names, units_ = np.arange(len(y), dtype=float), ("read", "conductance"), ("1", "S")
    elif pair is not None:
        axis, column = pair
        y, x = column.values, axis.values if axis else np.arange(len(column.values), dtype=float)
        names, units_ = (axis.name if axis else "row", column.name), (axis.unit if axis else "1", column.unit)
    else:
        return []
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        return []
    x, y = x[known].tolist(), y[known].tolist()
    spans = [f"{n} {_show(min(v), u)} to {_show(max(v), u)}" for n, v, u in zip(names, (x, y), units_, strict=True)]
    return [f"{spans[1]}, over {spans[0]}", *dots(x, y, plain="utf" not in (out.encoding or "").lower())]


def _asked(kind: str, options: "Options", table: "Table", traces: "list[Trace]") -> str:
    """What a fit of that kind would still ask for; "" if nothing."""
    from memspike.fitting import kinds
    from memspike.fitting.conductances import conductances
    from memspike.fitting.loops import loops
    from memspike.fitting.measurements import Measurements

    try:
        if kind == kinds.PULSES:
            Measurements(tuple(traces))
            return ""
        kinds.timed([table])
        if kind == "sweep":
            loops(table, kinds.Options())
        elif kind != "switching":
            conductances(table, options, [])
    except InputError as error:
        return str(error)
    return ""


def _fitted_as(options: "Options", table: "Table", traces: "list[Trace]", why: str, command: str) -> tuple[str, str]:
    """The kind that a fit takes the file for ("" where it asks), and what to say of it, with the command."""
    from memspike.fitting import kinds

    try:
        first = kind = kinds.named([table], options=options)
        said = f"kind: {kind}; fit it with {command}"
    except InputError:
        kind, (first, *others) = "", kinds.recognised([table])
        said = f"kind: {', '.join((first, *others))} or pulses; --kind says which, as {command} --kind {first}"
    if kind == kinds.PULSES and why:
        return "", f"kind: not told by the columns, and no pulses: {why}"
    asked = _asked(first, options, table, traces)
    return kind, said + (f"\nbefore a fit: {asked}" if asked else "")


def _ramps(traces: "list[Trace]") -> str:
    up, down, reads = (
        sum((t.pulses > 0).any() and not (t.pulses < 0).any() for t in traces),
        sum((t.pulses < 0).any() and not (t.pulses > 0).any() for t in traces),
        sum(len(t.g) for t in traces),
    )
    mixed = len(traces) - up - down
    both = f", {mixed} of both directions" if mixed else ""
    return f"traces: {up} of potentiation, {down} of depression{both}; {counted(reads, 'read')}"


def look(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="A measured file, of any format that fit reads, or a data set.")
    ],
    column: files.Columns = None,
    unit: files.Unit = "",
    read_voltage: files.ReadVoltage = None,
    direction: files.Direction = "",
    skip: files.Skip = 0,
    g_range: files.Range = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Of a data set: how it is read, e.g. data.scale=standard.")
    ] = None,
    as_: Annotated[str, typer.Option("--as", help="data or device, where a file may be both.")] = "",
    imports: Imports = None,
) -> None:
    """Print what a file was understood to hold, with a small plot; nothing is fitted, learned or written."""
    bring(imports)
    options = files.said(column, unit, read_voltage, direction, skip, g_range)
    if as_ not in ("", *KINDS):
        raise unknown("kind of file (--as)", as_, KINDS)
    measured = any((column, unit, read_voltage, direction, skip, g_range))
    if as_ == "data" or (not as_ and not measured and (settings or look_data.is_data_set(path))):
        if measured:
            raise InputError("--column, --unit and the like are for measured files; a data set takes --set alone.")
        look_data.look(path, settings or [])
        return
    if settings:
        raise InputError("--set is for data sets; a measured file takes --column, --unit and the like.")
    _look_at_device(path, options)


def _look_at_device(path: Path, options: "Options") -> None:
    """Print what a measured file was understood to hold."""
    from memspike.fitting.instruments.reader import read
    from memspike.fitting.traces import to_traces

    table = read(path, options)
    notes, traces, why = list(table.notes), [], ""
    try:
        traces = to_traces(table, options, notes)
    except InputError as error:
        why = str(error)
    _say(f"{table.file}: {table.form}, {counted(len(table.rows), 'row')}")
    for line in map(_line, table.columns[:MOST]):
        _say(line)
    if len(table.columns) > MOST:
        _say(f"  and {counted(len(table.columns) - MOST, 'more column')}")
    for kind, value in table.facts.items():
        _say(f"  {kind}: {_show(value, {'temperature': 'K', 'compliance': 'A', 'width': 's'}.get(kind, 'V'))}")
    kind, said = _fitted_as(options, table, traces, why, shlex.join(["memspike", "fit", *sys.argv[3:]]))
    traces = traces if kind == "pulses" else []
    if traces:
        _say(_ramps(traces))
    for line in (said, *(f"note: {note}" for note in notes), *_picture(table, traces)):
        _say(line)
