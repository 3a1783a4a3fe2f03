"""`memspike export`: a trained run as files for other programs and for a laboratory."""

from pathlib import Path
from typing import Annotated

import typer

from memspike.cli.console import computing, out
from memspike.cli.own import Imports, bring


@computing()
def export(
    folder: Annotated[Path, typer.Argument(help="The folder of a training.")],
    out_dir: Annotated[Path | None, typer.Option("--out", help="A new folder; RUN/export by default.")] = None,
    imports: Imports = None,
) -> None:
    """Write conductances, pulses, weights, predictions and traces of a run as npz and CSV."""
    bring(imports)
    from memspike.experiments.export import export_run
    from memspike.experiments.trained import load

    for path in export_run(load(folder), out_dir or folder / "export"):
        out.print(str(path), soft_wrap=True, markup=False)
