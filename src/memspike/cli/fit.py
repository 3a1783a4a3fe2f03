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
    files: Annotated[list[Path], typer.Argument(help="CSV of pulse ramps: both directions, or one file each.")],
    model: Annotated[str, typer.Option(help="auto, or a law such as soft-bounds.")] = "auto",
    read_voltage: Annotated[
        float | None, typer.Option(help="Read voltage in V: the files hold currents in A, not conductances in S.")
    ] = None,
    out_dir: Annotated[Path | None, typer.Option("--out", help="Folder; runs/fit-FILE by default.")] = None,
) -> None:
    """Fit a device to measured pulses and write device.toml, fit.json and fit.html."""
    from memspike import fitting, report

    folder = out_dir or run_folder(f"fit-{files[0].stem}", None, resume=False)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not empty; give another folder with --out.")
    found = fitting.fit(files, model=model, read_voltage=read_voltage)
    page = report.write_fit(found, folder)
    if found.headline:
        out.print(found.headline, markup=False, soft_wrap=True)
    out.print(f"[bold]{found.model}[/bold], the lowest BIC of {len(found.bic)}" if model == "auto" else found.model)
    for side, name in (("up", "potentiation"), ("down", "depression")):
        own = {what: getattr(found, f"{what}_{side}") for what in ("rms", "noise", "variation", "nl")}
        out.print(
            f"{name}: rms {own['rms']:.2%} of the range, write noise {units.show(own['noise'], 'S')} a pulse, "
            f"ramp to ramp {own['variation']:.2%}, NL {own['nl']:+.2f}",
            soft_wrap=True,
        )
    out.print(f"read noise {units.show(found.read_noise, 'S')}", soft_wrap=True)
    for note in (*(f"{name} was left out: {why}" for name, why in found.dropped.items()), *found.warnings):
        out.print(note, markup=False, soft_wrap=True)
    out.print(f"device: {folder / 'device.toml'}", soft_wrap=True, markup=False)
    out.print(f"report: {page}", soft_wrap=True, markup=False)
