"""The option of verbs that brings parts of users."""

from pathlib import Path
from typing import Annotated

import typer

Imports = Annotated[
    list[str] | None,
    typer.Option("--import", metavar="FILE|MODULE", help="A Python file or module with parts of your own."),
]


def bring(given: list[str] | None, folder: Path | None = None) -> None:
    """Import what was given, then what the run in a folder was made with."""
    if not given and folder is None:
        return
    from memspike.parts import imports

    imports.bring_all(given or [])
    if folder is not None:
        imports.bring_of_run(folder)
