"""The command line: memspike list | show | run | fit | report | data | doctor."""

import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import jax
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from memspike import __version__, devices, experiments, fitting, parameters
from memspike.cli import doctor
from memspike.cli.progress import RunProgress
from memspike.data import store
from memspike.devices import AbstractDevice, AbstractPulseDevice, AbstractWrapper, SoftBounds, labels
from memspike.devices.asymmetry import asymmetry
from memspike.experiments.base import Experiment
from memspike.experiments.settings import flat
from memspike.parts import units
from memspike.parts.errors import InputError, InterruptedRunError, RunError, unknown
from memspike.parts.parallel import use_cores
from memspike.parts.registry import REGISTRIES, Entry
from memspike.report import write_device, write_fit, write_report

app = typer.Typer(
    help="Simulate and train spiking neural networks made of memristive devices.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Data sets: fetch from mirrors, import from files.", no_args_is_help=True)
app.add_typer(data_app, name="data")
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)
Kind = Annotated[str | None, typer.Argument(help="devices, neurons, rules, schemes, experiments, datasets, …")]


def _version(wanted: bool | None) -> None:
    if wanted:
        out.print(f"memspike {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool | None, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = None,
) -> None:
    """Options of the program itself."""


@app.command("list")
def list_(
    kind: Kind = None, as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False
) -> None:
    """List what is registered, all of it or one kind."""
    if kind is not None and kind not in REGISTRIES:
        raise unknown("kind", kind, REGISTRIES)
    chosen = {k: list(r) for k, r in REGISTRIES.items() if kind in (None, k)}
    if as_json:
        rows = {k: [{"name": e.name, "doc": e.doc, "source": e.source} for e in es] for k, es in chosen.items()}
        print(json.dumps(rows if kind is None else rows[kind], indent=2, ensure_ascii=False))
        return
    for name, entries in chosen.items():
        table = Table(title=name, title_justify="left", box=None, pad_edge=False, header_style="dim")
        table.add_column("name", style="bold", no_wrap=True)
        table.add_column("what it is")
        for entry in entries:
            table.add_row(entry.name, entry.doc)
        out.print(table, "")


def _find(name: str) -> tuple[str, Entry]:
    for kind, registry in REGISTRIES.items():
        if name in registry:
            return kind, registry.get(name)
    raise unknown("name", name, [e.name for r in REGISTRIES.values() for e in r])


def _parameter_table(thing: Any) -> Table | None:
    rows = list(parameters(thing))
    if not rows:
        return None
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("parameter", "value", "bounds", "meaning"):
        table.add_column(column, no_wrap=column == "parameter")
    for p in rows:
        low, high = (units.show(b, p.unit) for b in p.bounds)
        values = np.asarray(p.value)
        shown = units.show(float(values.flat[0]), p.unit) + (f" and {values.size - 1} more" if values.size > 1 else "")
        table.add_row(p.path, shown, f"{low} … {high}", p.doc)
    return table


def _show_device(device: AbstractDevice, name: str, folder: Path | None) -> None:
    table = _parameter_table(device)
    if table is not None:
        out.print(table)
    if isinstance(device, AbstractPulseDevice):
        curve = asymmetry(device)
        where = f"at {curve.symmetry_point:.3f} of the range, {'attracts' if curve.attracting else 'repels'}"
        out.print(f"symmetry point: {where if np.isfinite(curve.symmetry_point) else 'none inside the range'}")
    law = device
    while isinstance(law, AbstractWrapper):
        law = law.device
    if isinstance(law, SoftBounds):
        up, down = (float(labels.label(k)) for k in (law.curvature_up, law.curvature_down))
        out.print(f"nonlinearity labels: NL_LTP {up:+.2f}, NL_LTD {down:+.2f}")
    for path in write_device(device, folder, name=name, spread=devices.spread_of(name)) if folder else ():
        out.print(f"{path.stem}: {path}", soft_wrap=True, markup=False)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Anything that `memspike list` names, or a device file (.toml).")],
    out_dir: Annotated[
        Path | None, typer.Option("--out", help="Folder for its figures; runs/devices/NAME, or beside the file.")
    ] = None,
    figures: Annotated[bool, typer.Option(help="Draw how a device behaves.")] = True,
) -> None:
    """Show one thing: what it is, its source, its parameters with units and bounds; of a device, figures too."""
    is_file = name.endswith(".toml")
    beside = Path(name).with_suffix("") if is_file else Path("runs/devices") / name
    folder = (out_dir or beside) if figures else None
    if is_file:
        device = devices.find(name)
        out.print(f"[bold]{name}[/bold] (device): {type(device).__name__}\n[dim]source:[/dim] {device.source}")
        _show_device(device, name, folder)
        return
    kind, entry = _find(name)
    out.print(f"[bold]{entry.name}[/bold] ({kind.removesuffix('s')}): {entry.doc}")
    if entry.source:
        out.print(f"[dim]source:[/dim] {entry.source}")
    if kind == "experiments":
        experiment: Experiment = entry.value
        own, quick = experiment.shown(experiment.expected), experiment.shown(experiment.expected_quick)
        out.print(f"[dim]expected:[/dim] {own}, quick {quick}")
        table = Table(box=None, pad_edge=False, header_style="dim")
        for column in ("key", "value"):
            table.add_column(column)
        for key, value in flat(experiment.config.model_dump()):
            table.add_row(key, str(value))
        out.print(table)
        return
    if kind == "devices":
        _show_device(entry.value(), entry.name, folder)
    elif kind in ("neurons", "filters", "synapses", "losses"):
        table = _parameter_table(entry.value())
        if table is not None:
            out.print(table)


def _run_folder(name: str, given: Path | None, resume: bool) -> Path:
    if given is not None:
        return given
    root = Path("runs")
    ours = re.compile(rf"{re.escape(name)}(?:-(\d+))?")
    found = sorted((int(m[1] or 1), p) for p in root.glob(f"{name}*") if (m := ours.fullmatch(p.name)))
    if resume:
        if not found:
            raise InputError(f"There is no run of {name} in {root}/ to resume; give its folder with --out.")
        return found[-1][1]
    return root / (f"{name}-{found[-1][0] + 1}" if found else name)


def _changed(config: Any, name: str, quick: bool) -> bool:
    """Whether a configuration differs from the experiment's own in more than its seeds."""
    _, own = experiments.resolve(name, quick=quick)
    return config.model_copy(update={"seed": own.seed, "seeds": own.seeds}) != own


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="A registered experiment or a TOML file.")],
    settings: Annotated[list[str] | None, typer.Option("--set", help="key=value, e.g. training.epochs=3.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A small version that ends within a minute.")] = False,
    seeds: Annotated[int | None, typer.Option(help="Independent trainings, run together.")] = None,
    out_dir: Annotated[Path | None, typer.Option("--out", help="Run folder; runs/NAME by default.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
) -> None:
    """Run an experiment and write its run folder with result.json and report.html."""
    use_cores()
    experiment, config = experiments.resolve(name, settings or [], quick=quick, seeds=seeds)
    folder = _run_folder(experiment.name, out_dir, resume)
    with RunProgress(err) as progress:
        try:
            result = experiments.run(config, folder, resume=resume, report=progress.update)
        except KeyboardInterrupt:
            again = f"memspike run {name} --resume --out {folder}"
            raise InterruptedRunError(
                f"Interrupted; go on from the last checkpoint with the same options: {again}"
            ) from None
    wanted = experiment.expected_quick if quick else experiment.expected
    expected = experiment.shown(wanted)
    changed = " (settings were changed)" if _changed(config, experiment.name, quick) else ""
    page = write_report(folder, f"expected {expected}{changed}")
    if experiment.summary is not None:
        out.print(f"{experiment.summary(result)}; expected {expected}{changed}", soft_wrap=True)
    else:
        _print_accuracy(result, f"expected {expected}{changed}")
    _print_rows(result.get("rows", []))
    out.print(f"report: {page}", soft_wrap=True, markup=False)


def _print_accuracy(result: dict[str, Any], expected: str) -> None:
    spread = f" ± {100 * result['test_accuracy_sd']:.2f}" if result["seeds"] > 1 else ""
    out.print(f"test accuracy [bold]{100 * result['test_accuracy']:.2f}{spread} %[/bold], {expected}")
    if "chips" in result:
        out.print(
            f"{result['chips']} chips with programming spread and read noise: "
            f"{100 * result['chips_accuracy']:.2f} ± {100 * result['chips_accuracy_sd']:.2f} %"
        )


def _print_rows(rows: list[dict[str, Any]]) -> None:
    """The rows of a study as a table; accuracies of aged chips as sentences."""
    if rows and "age_s" not in rows[0]:
        table = Table(box=None, pad_edge=False, header_style="dim")
        columns = list(dict.fromkeys(key for row in rows for key in row))
        for column in columns:
            table.add_column(column, no_wrap=True)
        for row in rows:
            found = (row.get(column, "") for column in columns)
            table.add_row(*(f"{x:.4g}" if isinstance(x, float) else str(x) for x in found))
        # as wide as it is: a terminal wraps it, a file keeps it
        wide = Console(file=out.file, width=10_000)
        wide.width = wide.measure(table).maximum
        wide.print(table)
        return
    for row in rows:
        held = "" if row["compensation"] == "none" else f", compensation {row['compensation']}"
        out.print(
            f"{units.duration(row['age_s'])} after programming{held}: "
            f"{100 * row['accuracy_mean']:.2f} ± {100 * row['accuracy_sd']:.2f} %"
        )


@app.command()
def fit(
    files: Annotated[list[Path], typer.Argument(help="CSV of pulse ramps: both directions, or one file each.")],
    model: Annotated[str, typer.Option(help="auto, or a law such as soft-bounds.")] = "auto",
    read_voltage: Annotated[
        float | None, typer.Option(help="Read voltage in V: the files hold currents in A, not conductances in S.")
    ] = None,
    out_dir: Annotated[Path | None, typer.Option("--out", help="Folder; runs/fit-FILE by default.")] = None,
) -> None:
    """Fit a device to measured pulses and write device.toml, fit.json and fit.html."""
    folder = out_dir or _run_folder(f"fit-{files[0].stem}", None, resume=False)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not empty; give another folder with --out.")
    found = fitting.fit(files, model=model, read_voltage=read_voltage)
    page = write_fit(found, folder)
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


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="The folder of a finished run.")]) -> None:
    """Draw the figures and report.html of a run again from its files."""
    out.print(f"report: {write_report(folder)}", soft_wrap=True, markup=False)


@data_app.command("fetch")
def data_fetch(name: Annotated[str, typer.Argument(help="mnist, fashion-mnist or spoken-digits.")]) -> None:
    """Download a data set from its mirrors into the cache, checked."""
    out.print(f"{name}: {store.fetch(name, err.print)}", soft_wrap=True, markup=False)


@data_app.command("import")
def data_import(
    name: Annotated[str, typer.Argument(help="mnist, fashion-mnist or spoken-digits.")],
    path: Annotated[Path, typer.Argument(help="Folder, tgz, tar or zip with the IDX or wav files, or an npz file.")],
) -> None:
    """Put a data set into the cache from files you have, checked."""
    out.print(f"{name}: {store.import_file(name, path)}", soft_wrap=True, markup=False)


@data_app.command("where")
def data_where() -> None:
    """Print the cache folder and which data sets are there."""
    out.print(str(store.folder()), soft_wrap=True, markup=False)
    for name in store.SOURCES:
        out.print(f"  {name}: {'present' if store.path_of(name).exists() else 'absent'}")


@app.command("doctor")
def doctor_() -> None:
    """Check versions, devices, the JAX canaries and the caches."""
    healthy = True
    for check in doctor.checks():
        healthy &= check.ok
        out.print(f"{'[green]ok  [/green]' if check.ok else '[red]FAIL[/red]'} {check.name}: {check.detail}")
    if not healthy:
        raise RunError("Something is wrong with this installation; see the lines marked FAIL.")


def _stop(message: str, status: int) -> NoReturn:
    err.print(f"memspike: {message}", markup=False, soft_wrap=True)
    sys.exit(status)


def main() -> None:
    """Entry point: bad input ends with status 2, a failure with 1, an interruption with 130."""
    try:
        app()
    except InputError as error:
        _stop(str(error), 2)
    except InterruptedRunError as error:
        _stop(str(error), 130)
    except RunError as error:
        _stop(str(error), 1)
    except KeyboardInterrupt:
        _stop("Interrupted.", 130)
    except MemoryError:
        _stop("The machine ran out of memory; use a smaller training.batch or fewer --seeds.", 1)
    except jax.errors.JaxRuntimeError as error:
        _stop(f"JAX failed: {str(error).splitlines()[0]}", 1)
    except OSError as error:
        _stop(f"{error.filename or 'A file'} cannot be used: {error.strerror or error}.", 1)


if __name__ == "__main__":
    main()
