"""`memspike run`: an experiment, its progress, its run folder."""

import re
import shlex
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from memspike.cli.completion import experiment_keys, experiment_names
from memspike.cli.console import AsJson, Quiet, Verbose, computing, err, note, out, print_json
from memspike.cli.own import Imports, bring
from memspike.parts.errors import InputError, InterruptedRunError


def run_folder(name: str, given: Path | None, *, resume: bool) -> Path:
    """The folder that was given, else the next free runs/NAME, or the latest one to go on with."""
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


def _to_resume(name: str, given: Path | None) -> Path | None:
    """The folder to go on with, if it is there."""
    from memspike.config.resolve import read_file

    with suppress(InputError):
        return run_folder(read_file(name)[0], given, resume=True)
    return None


def _where(folder: Path) -> str:
    """From what a run that was interrupted goes on."""
    return "from the last checkpoint" if any(folder.rglob("checkpoints/step-*.npz")) else "from its beginning"


class _Started(NamedTuple):
    """A run as it was asked for: the command, and the one that goes on with it after an interruption."""

    config: Any
    folder: Path
    resume: bool
    command: str
    again: str


def _started(config: Any, folder: Path, *, resume: bool, named: bool) -> _Started:
    """What this program was called with; `named` says whether the folder is among it."""
    given = ["memspike", *sys.argv[1:]]
    more = [*([] if resume else ["--resume"]), *([] if named else ["--out", str(folder)])]
    return _Started(config, folder, resume, shlex.join(given), shlex.join([*given, *more]))


def _carried_out(started: _Started, *, quiet: bool, verbose: bool) -> dict[str, Any]:
    """The result of the run, with its progress on the error output."""
    from memspike import experiments
    from memspike.cli.progress import RunProgress

    config, folder, resume, command, again = started
    with RunProgress(err, quiet=quiet, verbose=verbose) as progress:
        try:
            return experiments.run(config, folder, resume=resume, report=progress.update, command=command)
        except KeyboardInterrupt:
            raise InterruptedRunError(f"Interrupted; go on {_where(folder)} with: {again}") from None


def _say_settings(experiment: Any, config: Any, folder: Path) -> None:
    """The folder, and every setting that is not that of the experiment."""
    from memspike.experiments.about import lines

    changed = [line for line in lines(experiment, config) if "usual" in line]
    note(f"folder: {folder}", *(f"{x['key']} = {x['value']} ({x['source']}; usual: {x['usual']})" for x in changed))


@computing(cores=True)
def run(
    name: Annotated[
        str, typer.Argument(help="A registered experiment or a TOML file.", autocompletion=experiment_names)
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value, e.g. training.epochs=3.", autocompletion=experiment_keys),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A small version that ends within a minute.")] = False,
    seeds: Annotated[int | None, typer.Option(help="Independent trainings, run together.")] = None,
    out_dir: Annotated[Path | None, typer.Option("--out", help="Run folder; runs/NAME by default.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    imports: Imports = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Run an experiment and write its run folder with result.json and report.html."""
    bring(imports, _to_resume(name, out_dir) if resume else None)
    from memspike import experiments

    experiment, config, _ = experiments.resolve(name, settings or [], quick=quick, seeds=seeds)
    folder = run_folder(experiment.name, out_dir, resume=resume)
    if verbose:
        _say_settings(experiment, config, folder)
    started = _started(config, folder, resume=resume, named=out_dir is not None)
    result = _carried_out(started, quiet=quiet, verbose=verbose)

    from memspike import report
    from memspike.experiments.about import expected
    from memspike.experiments.table import printed
    from memspike.report.kinds import off_exact

    page, wanted = report.write_report(folder), expected(experiment, config)
    if as_json:
        print_json({**result, "expected": wanted or None, "folder": str(folder), "report": str(page)})
        return
    out.print("; expected ".join(filter(None, (result["headline"], wanted))), markup=False, soft_wrap=True)
    if result.get("rows"):
        out.print(printed(result), markup=False, soft_wrap=True)
    if not quiet and (off := off_exact(result)):
        out.print(f"membranes deviate from a fine step by at most {off}", markup=False, soft_wrap=True)
    if not quiet:
        out.print(f"report: {page}", soft_wrap=True, markup=False)
