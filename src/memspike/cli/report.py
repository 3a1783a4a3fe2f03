"""`memspike report`: the figures and the page of a finished run, drawn again, or figures for a paper."""

from pathlib import Path
from typing import Annotated

import typer

from memspike.cli.console import computing, out
from memspike.cli.own import Imports, bring


@computing()
def report(
    folder: Annotated[Path, typer.Argument(help="The folder of a finished run.")],
    form: Annotated[str | None, typer.Option("--format", help="Figures alone: svg, pdf or png.")] = None,
    width: Annotated[str | None, typer.Option(help="Their width with its unit: 85mm, 18cm, 7in; 85mm.")] = None,
    style: Annotated[str | None, typer.Option(help="paper: small letters, thin lines; or screen.")] = None,
    out_dir: Annotated[Path | None, typer.Option("--out", help="Their folder; RUN/figures-STYLE by default.")] = None,
    imports: Imports = None,
) -> None:
    """Draw the figures and report.html of a run again from its files, or its figures for a paper."""
    bring(imports)  # what the run was made with is not needed: its files say it all
    if (form, width, style, out_dir) == (None, None, None, None):
        from memspike.report import write_report

        out.print(f"report: {write_report(folder)}", soft_wrap=True, markup=False)
        return
    from memspike.report.paper import width_of, write_figures

    look = style or "paper"
    where = out_dir or folder / f"figures-{look}"
    for path in write_figures(folder, where, form=form or "pdf", width=width_of(width or "85mm"), style=look):
        out.print(str(path), soft_wrap=True, markup=False)
