"""`memspike fit`: a device from measured pulses."""

from pathlib import Path
from typing import Annotated

import typer

from memspike.cli.console import computing, out
from memspike.cli.run import run_folder
from memspike.parts import units
from memspike.parts.errors import InputError


@computing()
def fit(
    files: Annotated[list[Path], typer.Argument(help="CSV of pulse ramps, of a current–voltage sweep, …")],
    model: Annotated[str, typer.Option(help="auto, or a law such as soft-bounds or vteam.")] = "auto",
    read_voltage: Annotated[
        float | None, typer.Option(help="Read voltage in V: the files hold currents in A, not conductances in S.")
    ] = None,
    kind: Annotated[str, typer.Option(help="What was measured: auto, pulses, sweep, switching.")] = "auto",
    sweep_rate: Annotated[float | None, typer.Option(help="V/s of a sweep without times.")] = None,
    compliance: Annotated[float | None, typer.Option(help="Compliance of a sweep in A.")] = None,
    out_dir: Annotated[Path | None, typer.Option("--out", help="Folder; runs/fit-FILE by default.")] = None,
) -> None:
    """Fit a device to measured pulses, sweeps or switching times and write device.toml, fit.json and fit.html."""
    from memspike import fitting, report
    from memspike.fitting import kinds, named_columns

    folder = out_dir or run_folder(f"fit-{files[0].stem}", None, resume=False)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not empty; give another folder with --out.")
    tables = [] if kind == "pulses" else [table for file in files if (table := named_columns.read(file))]
    if kind not in ("auto", "pulses") or (len(tables) == len(files) and kinds.recognised(tables)):
        if len(tables) < len(files):
            raise InputError(f"{kind} needs columns headed with name and unit, such as 'voltage (V)', 'current (uA)'.")
        result = kinds.fit_tables(tables, kinds.Options(model, sweep_rate, compliance), kind)
        page = report.write_outcome(result, folder)
        for line in (result.headline, *result.warnings):
            out.print(line, markup=False, soft_wrap=True)
        if result.device is not None:
            out.print(f"device: {folder / 'device.toml'}", soft_wrap=True, markup=False)
        out.print(f"report: {page}", soft_wrap=True, markup=False)
        return
    found = fitting.fit(files, model=model, read_voltage=read_voltage)
    page = report.write_fit(found, folder)
    out.print(f"[bold]{found.model}[/bold], the lowest BIC of {len(found.bic)}" if model == "auto" else found.model)
    for side, name in (("up", "potentiation"), ("down", "depression")):
        own = {what: getattr(found, f"{what}_{side}") for what in ("rms", "noise", "variation", "nl")}
        out.print(
            f"{name}: rms {own['rms']:.2%} of the range, noise {units.show(own['noise'], 'S')} a pulse, "
            f"ramp to ramp {own['variation']:.2%}, NL {own['nl']:+.2f}",
            soft_wrap=True,
        )
    for note in (*(f"{name} was left out: {why}" for name, why in found.dropped.items()), *found.warnings):
        out.print(note, markup=False, soft_wrap=True)
    out.print(f"device: {folder / 'device.toml'}", soft_wrap=True, markup=False)
    out.print(f"report: {page}", soft_wrap=True, markup=False)
