"""`memspike nir`: networks of spiking neurons from and for other frameworks, as files of NIR."""

from pathlib import Path
from typing import Annotated

import typer

from memspike.cli.console import AsJson, Quiet, computing, note, out, print_json
from memspike.cli.own import Imports, bring

nir_app = typer.Typer(help="Networks as NIR files, for and from other frameworks.", no_args_is_help=True)
File = Annotated[Path, typer.Argument(help="A NIR file (HDF5).")]
Dt = Annotated[str | None, typer.Option(help="Time step, e.g. 1ms; by default the one in the file, if there is one.")]
TauScale = Annotated[float, typer.Option(help="Times this, tau of the file is in seconds.")]


def seconds(text: str | None, option: str) -> float | None:
    """A time in s, None for None."""
    from memspike.parts import units

    return None if text is None else units.parse(text, "s", option)


@nir_app.command("export")
@computing()
def export(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a training of classifiers.")],
    file: Annotated[Path | None, typer.Option("--out", help="The file; RUN/network.nir by default.")] = None,
    chip: Annotated[int, typer.Option(help="Which of the chips, from 0 on.")] = 0,
    age: Annotated[str, typer.Option(help="Time since the last write, e.g. 1h.")] = "0s",
    v_reset: Annotated[bool, typer.Option(help="Without it readers before nir 1.0.6 can read the file, too.")] = True,
    imports: Imports = None,
    quiet: Quiet = False,
) -> None:
    """Write a trained network of LIF neurons as a NIR file, with its conductances; says what is lost."""
    bring(imports)
    from memspike.experiments.trained import load
    from memspike.interop import nir_of_run, write_nir
    from memspike.parts.errors import InputError

    path = file or folder / "network.nir"
    if path.exists():
        raise InputError(f"{path} exists; give another file with --out.")
    done = nir_of_run(load(folder), chip=chip, age=seconds(age, "--age") or 0.0)
    write_nir(path, done.graph, v_reset=v_reset)
    if not quiet:
        note(*(f"lost: {one}" for one in done.lost))
    out.print(str(path), soft_wrap=True, markup=False)


@nir_app.command("import")
@computing()
def import_(
    file: File,
    dt: Dt = None,
    tau_scale: TauScale = 1.0,
    out_dir: Annotated[Path | None, typer.Option("--out", help="A new folder for weights and conductances.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Read a NIR file as a network on crossbars and say what it is; `memspike deploy` puts it onto devices."""
    import numpy as np

    from memspike.interop import from_nir
    from memspike.parts.atomic import write_arrays
    from memspike.parts.errors import InputError

    if out_dir is not None and out_dir.exists() and (not out_dir.is_dir() or any(out_dir.iterdir())):
        raise InputError(f"{out_dir} is not empty; give another folder with --out.")
    found = from_nir(file, dt=seconds(dt, "--dt"), tau_scale=tau_scale)
    network = found.network
    layers = [
        {
            "layer": name,
            "rows": shape[0],
            "columns": shape[1],
        }
        for name, shape in zip(network.names, network.shapes, strict=True)
    ]
    files = []
    if out_dir is not None:
        each = {"weights.npz": found.weights, "conductances.npz": found.conductances()}
        for name, values in each.items():
            arrays = {k: np.asarray(v) for k, v in zip(network.names, values, strict=True)}
            write_arrays(out_dir / name, arrays)
            files.append(str(out_dir / name))
    spiking = network.spiking_output
    if as_json:
        facts = {"input": found.shape, "output": found.output_shape, "dt": found.dt, "spiking_output": spiking}
        print_json({**facts, "layers": layers, "told": found.told, "files": files})
        return
    sends = "spikes" if spiking else "membranes"
    shape = " × ".join(map(str, found.shape))
    out.print(f"input {shape}, {len(network.layers)} layers, output {sends}, step {found.dt:g} s", markup=False)
    for one in layers:
        out.print(f"  {one['layer']}: {one['rows']} rows × {one['columns']} columns", markup=False)
    if not quiet:
        note(*(f"note: {one}" for one in found.told))
    for path in files:
        out.print(path, soft_wrap=True, markup=False)
