"""`memspike fit`: a device from measured files."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memspike.cli import files as measured
from memspike.cli.console import AsJson, Quiet, Verbose, computing, err, note, out, print_json
from memspike.cli.own import Imports, bring
from memspike.cli.run import run_folder
from memspike.parts import units
from memspike.parts.errors import InputError

if TYPE_CHECKING:
    from memspike.fitting.fit import Fit
    from memspike.fitting.kinds import Outcome


def _say(*lines: str) -> None:
    for line in lines:
        out.print(line, markup=False, soft_wrap=True)


def _say_pulses(found: "Fit", chosen: bool) -> None:
    _say(*filter(None, [found.headline]))
    out.print(f"[bold]{found.model}[/bold], the lowest BIC of {len(found.bic)}" if chosen else found.model)
    for side, name in (("up", "potentiation"), ("down", "depression")):
        own = {what: getattr(found, f"{what}_{side}") for what in ("rms", "noise", "variation", "nl")}
        rms = f"rms {own['rms']:.2%} of the range, " if own["rms"] == own["rms"] else ""  # none without ramps
        _say(
            f"{name}: {rms}write noise {units.show(own['noise'], 'S')} a pulse, "
            f"ramp to ramp {own['variation']:.2%}, NL {own['nl']:+.2f}"
        )
    _say(f"read noise {units.show(found.read_noise, 'S')}", *(f"note: {note}" for note in found.notes))
    _say(*(f"{name} was left out: {why}" for name, why in found.dropped.items()), *found.warnings)


def _say_other(found: "Outcome") -> None:
    _say(found.headline, *found.warnings)


@computing()
def fit(
    files: Annotated[list[Path], typer.Argument(help="Measured files, of any format that data look reads.")],
    kind: Annotated[
        str, typer.Option(help="What was measured: auto, pulses, sweep, switching, retention, endurance, …")
    ] = "auto",
    model: Annotated[str, typer.Option(help="auto, or a law such as soft-bounds or vteam.")] = "auto",
    column: measured.Columns = None,
    unit: measured.Unit = "",
    read_voltage: measured.ReadVoltage = None,
    direction: measured.Direction = "",
    skip: measured.Skip = 0,
    g_range: measured.Range = None,
    sweep_rate: Annotated[str | None, typer.Option(help="Sweep rate in V/s of a sweep without times.")] = None,
    compliance: Annotated[str | None, typer.Option(help="Compliance (A) of a sweep.")] = None,
    window: Annotated[float | None, typer.Option(help="Smallest window G_LRS/G_HRS of a device that works.")] = None,
    out_dir: Annotated[Path | None, typer.Option("--out", help="Folder; runs/fit-FILE by default.")] = None,
    imports: Imports = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Fit a device to pulses, sweeps and other measurements; writes device.toml, fit.json and fit.html."""
    bring(imports)
    from memspike import fitting, report
    from memspike.cli.progress import laws
    from memspike.fitting import kinds
    from memspike.fitting.instruments.reader import read
    from memspike.fitting.measurements import of_tables

    folder = out_dir or run_folder(f"fit-{files[0].stem}", None, resume=False)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not empty; give another folder with --out.")
    options = measured.said(column, unit, read_voltage, direction, skip, g_range)
    tables = [read(path, options) for path in files]
    name = kinds.named(tables, kind, options)
    rate, limit = (
        None if text is None else units.parse(text, unit, option)
        for text, unit, option in ((sweep_rate, "V/s", "--sweep-rate"), (compliance, "A", "--compliance"))
    )
    said = kinds.Options(model, rate, limit, window, options.read_voltage)
    kinds.check(said, name)
    if verbose:
        note(*(f"{table.file}: {table.form}, {units.counted(len(table.rows), 'row')}" for table in tables))
        note(f"kind: {name}; folder: {folder}")
    if name == kinds.PULSES:
        found = fitting.fit(of_tables(tables, options), model=model)
        page = report.write_fit(found, folder)
    else:
        with laws(err, quiet=quiet) as tell:
            found = kinds.fit_tables(tables, dataclasses.replace(said, tell=tell), name)
        page = report.write_outcome(found, folder)
    device = folder / "device.toml" if found.device is not None else None
    if as_json:
        facts = json.loads((folder / "fit.json").read_text())
        print_json({**facts, "device": device and str(device), "report": str(page)})
        return
    if quiet:
        _say(str(device or page))
        return
    if isinstance(found, fitting.Fit):
        _say_pulses(found, model == "auto")
    else:
        _say(*(f"note: {note}" for table in tables for note in table.notes))
        _say_other(found)
    _say(*([f"device: {device}"] if device else []), f"report: {page}")
