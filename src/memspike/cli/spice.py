"""`memspike spice`: a trained run, a device or a neuron as circuits, and ngspice as a second opinion."""

from pathlib import Path
from typing import Annotated, Any

import typer

from memspike.cli.console import AsJson, computing, note, out, print_json
from memspike.cli.own import Imports, bring
from memspike.cli.run import run_folder
from memspike.parts import units
from memspike.parts.errors import InputError, RunError, unknown


def _layers(given: list[str] | None) -> list[int] | None:
    """Numbers of layers from texts like 1 and 1,2."""
    if given is None:
        return None
    numbers = [part.strip() for text in given for part in text.split(",")]
    if not all(part.isdigit() for part in numbers):
        raise InputError(f"--layers is '{','.join(given)}'; write numbers from 1 on, such as 1,2.")
    return [int(part) for part in numbers]


def _neuron_or_device(name: str, folder: Path, *, verify: bool | str) -> Any:
    """What a registered name, or the file of a device, comes to."""
    from memspike.devices import AbstractStateDevice, find
    from memspike.interop import spice
    from memspike.parts.registry import DEVICES, NEURONS

    if name in NEURONS:
        return spice.export_neuron(NEURONS.get(name).value(), name, folder, verify=verify)
    if name not in DEVICES and not name.endswith(".toml"):
        raise unknown("run, device or neuron", name, [e.name for r in (DEVICES, NEURONS) for e in r])
    device = find(name)
    if not isinstance(device, AbstractStateDevice):
        raise InputError(
            f"The device {name} is a {type(device).__name__}, which is programmed by counts of pulses and has no "
            "equations in time; netlists of it are its conductances (memspike spice RUN)."
        )
    return spice.export_device(device, Path(name).stem, folder, verify=verify)


@computing()
def spice(
    target: Annotated[
        str, typer.Argument(metavar="RUN|NAME", help="A run folder, a device or its file (.toml), or a neuron.")
    ],
    layers: Annotated[
        list[str] | None, typer.Option("--layers", help="Neighbouring layers, such as 1,2; all by default.")
    ] = None,
    samples: Annotated[
        list[str] | None, typer.Option("--sample", help="Test examples, such as 3 or 0-19; the first by default.")
    ] = None,
    crossbars: Annotated[
        str, typer.Option("--crossbars", help="reduced: their exact transfer; devices: every device and wire.")
    ] = "reduced",
    verify: Annotated[bool, typer.Option("--verify", help="Run ngspice and compare.")] = False,
    simulator: Annotated[
        str | None,
        typer.Option("--simulator", help="ngspice, or eecircuit-engine of npm; by default the first that is there."),
    ] = None,
    tolerance: Annotated[
        str | None, typer.Option("--tolerance", help="Largest deviation of a membrane of a run; 1mV by default.")
    ] = None,
    out_dir: Annotated[Path | None, typer.Option("--out", help="A new folder; RUN/spice by default.")] = None,
    imports: Imports = None,
    as_json: AsJson = False,
) -> None:
    """Write netlists that ngspice runs; with --verify compare both: exit status 1 beyond the tolerance."""
    folder, asked = Path(target), simulator or verify
    if simulator and not verify:
        raise InputError("--simulator belongs to --verify.")
    is_run = folder.is_dir()
    bring(imports, folder if is_run else None)
    from memspike.interop import spice as door

    if is_run:
        from memspike.experiments.trained import load

        wanted = door.Wanted(_layers(layers), samples, crossbars)
        if tolerance is not None:
            wanted = wanted._replace(tolerance=units.parse(tolerance, "V", "--tolerance"))
        found = door.export_run(load(folder), out_dir or folder / "spice", wanted, verify=asked, note=note)
    else:
        if layers or samples or crossbars != "reduced" or tolerance is not None:
            raise InputError("--layers, --sample, --crossbars and --tolerance belong to a run, not to one part.")
        name = f"spice-{folder.stem}"
        found = _neuron_or_device(target, run_folder(name, out_dir, resume=False), verify=asked)
    if as_json:
        print_json({"files": [str(path) for path in found.files], **found.facts})
    else:
        for line in [*found.said, *map(str, found.files)]:
            out.print(line, soft_wrap=True, markup=False)
    if found.passed is False:
        raise RunError("Simulator and library differ by more than the tolerance; see verify.json and overlay.png.")
