"""`memspike deploy`: a network of another framework on device arrays, as they age."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from memspike.cli.console import AsJson, Quiet, computing, note, out, print_json
from memspike.cli.nir import Dt, File, TauScale, seconds
from memspike.cli.own import Imports, bring
from memspike.cli.run import run_folder
from memspike.parts.errors import InputError

OWN = ("synapse", "array", "fabrication", "evaluation", "seed")


def _check_keys(given: list[str]) -> None:
    """InputError for keys that have no meaning here."""
    for item in given:
        first = item.partition("=")[0].strip().split(".")[0]
        if first not in OWN:
            raise InputError(f"--set {item} has no meaning here: the network is given; allowed: {', '.join(OWN)}.")


def _line(row: dict[str, Any]) -> str:
    """A row of the table in words."""
    from memspike.parts import units

    age = "" if row["age_s"] is None else f" after {units.duration(row['age_s'])}"
    against = "" if row["compensation"] == "none" else f", compensation {row['compensation']}"
    said = [f"{row['network']}{age}{against}:"]
    if "accuracy_mean" in row:
        said.append(f"accuracy {row['accuracy_mean']:.1%} ± {row['accuracy_sd']:.1%},")
    same = f"same decision {row['same_decision_mean']:.1%} ± {row['same_decision_sd']:.1%}"
    return " ".join([*said, f"{same}, outputs differ by {row['difference_mean']:.2%}"])


@computing()
def deploy(
    file: File,
    device: Annotated[str, typer.Option(help="A registered device, such as pcm, or a device file (.toml).")],
    data: Annotated[Path | None, typer.Option(help="npz with x [examples, steps, …] and y [examples].")] = None,
    ages: Annotated[str, typer.Option(help="Times since programming at which chips are read.")] = "1s,1h,1d,1month",
    chips: Annotated[int, typer.Option(help="Chips that are programmed.")] = 5,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Keys of synapse, array, fabrication, evaluation."),
    ] = None,
    dt: Dt = None,
    tau_scale: TauScale = 1.0,
    out_dir: Annotated[Path | None, typer.Option("--out", help="A new folder; runs/deploy-FILE by default.")] = None,
    imports: Imports = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Put the network of a NIR file onto device arrays: what it does as numbers, when programmed, and over time."""
    bring(imports)
    from memspike import interop
    from memspike.experiments import resolve
    from memspike.parts.atomic import write_text

    folder = out_dir or run_folder(f"deploy-{file.stem}", None, resume=False)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not empty; give another folder with --out.")
    _check_keys(given or [])
    times = [seconds(text, "--ages") or 0.0 for text in ages.split(",")]
    found = interop.from_nir(file, dt=seconds(dt, "--dt"), tau_scale=tau_scale)
    settings = resolve("classifier", [f"synapse.device={device}", *(given or [])]).settings
    inputs = interop.random_inputs(found) if data is None else interop.inputs_of(data, found)
    if not quiet:
        note(*(f"note: {one}" for one in found.told))
        if inputs.y is None:
            shown = "random spikes (100 examples of 100 steps, 0.1 a step)" if data is None else str(data)
            note(f"no labels in {shown}: compared with the network of numbers")
    rows = interop.deploy(found, settings, inputs, ages=times, chips=chips)
    facts = {
        "file": str(file),
        "device": device,
        "set": given or [],
        "dt_s": found.dt,
        "told": found.told,
        "rows": rows,
    }
    path = folder / "deploy.json"
    write_text(path, json.dumps(facts, indent=2) + "\n")
    if as_json:
        print_json({**facts, "written": str(path)})
        return
    for row in rows:
        out.print(_line(row), soft_wrap=True, markup=False)
    out.print(str(path), soft_wrap=True, markup=False)
