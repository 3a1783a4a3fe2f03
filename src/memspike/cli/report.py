"""`memspike report`: the figures and the page of a finished run, drawn again."""

from pathlib import Path
from typing import Annotated

import typer

from memspike.cli.console import computing, out
from memspike.cli.own import Imports, bring


@computing()
def report(
    folder: Annotated[Path, typer.Argument(help="The folder of a finished run.")], imports: Imports = None
) -> None:
    """Draw the figures and report.html of a run again from its files."""
    bring(imports)  # what the run was made with is not needed: its files say it all
    from memspike.report import write_report

    out.print(f"report: {write_report(folder)}", soft_wrap=True, markup=False)
