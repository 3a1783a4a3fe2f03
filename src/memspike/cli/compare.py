"""`memspike compare`: several runs beside each other."""

from pathlib import Path
from typing import Annotated

import typer

from memspike.cli.console import computing, out, print_json
from memspike.cli.run import run_folder
from memspike.parts.errors import InputError


@computing()
def compare(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Folders of finished runs of one kind.")],
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable; nothing is drawn without --out.")] = False,
    out_dir: Annotated[Path | None, typer.Option("--out", help="A new folder; runs/compare by default.")] = None,
) -> None:
    """Print a table of runs and the settings in which they differ, and draw them in one figure (svg and png)."""
    from memspike.report import compare as comparing
    from memspike.report import write_comparison

    found = comparing.compare(folders)
    folder = out_dir or (None if as_json else run_folder("compare", None, resume=False))
    if folder is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not empty; give another folder with --out.")
    written = write_comparison(found, folder) if folder is not None else []
    if as_json:
        print_json(comparing.summary(found))
        return
    out.print(comparing.text(found), markup=False, soft_wrap=True)
    for path in written:
        out.print(str(path), markup=False, soft_wrap=True)
