"""`memspike neurobench`: what NeuroBench counts of a trained network."""

from pathlib import Path
from typing import Annotated, Any

import typer

from memspike.cli.console import AsJson, computing, note, out, print_json
from memspike.cli.own import Imports, bring


def _shown(value: Any) -> str:
    if value is None:
        return "not measured"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(one)}" for name, one in value.items())
    return f"{value:.6g}"


@computing()
def neurobench(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a training of classifiers.")],
    voltages: Annotated[
        bool, typer.Option("--voltages", help="Count what analog neurons really send, and not their spikes.")
    ] = False,
    imports: Imports = None,
    as_json: AsJson = False,
) -> None:
    """Footprint, activation sparsity, synaptic and neuron operations of a run, and of the same network in snnTorch."""
    bring(imports)
    from memspike.experiments.trained import load
    from memspike.interop import neurobench as measure

    found = measure(load(folder), voltages=voltages)
    if as_json:
        print_json(found._asdict())
        return
    for name in {**found.memspike, **found.snntorch}:
        for where, each in (("memspike", found.memspike), ("snnTorch", found.snntorch)):
            out.print(f"{name}, {where}: {_shown(each.get(name))}", soft_wrap=True, markup=False)
    note(*(f"note: {one}" for one in found.told))
