"""`memspike data`: data sets that do not ship with a package, and a look at measured files."""

from pathlib import Path
from typing import Annotated

import typer

from memspike.cli import look
from memspike.cli.console import err, out

data_app = typer.Typer(
    help="Data sets: fetch from mirrors, import from files. Measured files: look at one.", no_args_is_help=True
)
data_app.command("look")(look.look)
Name = Annotated[str, typer.Argument(help="mnist, fashion-mnist or spoken-digits.")]


@data_app.command("fetch")
def fetch(name: Name) -> None:
    """Download a data set from its mirrors into the cache, checked."""
    from memspike.data import store

    out.print(f"{name}: {store.fetch(name, err.print)}", soft_wrap=True, markup=False)


@data_app.command("import")
def import_(
    name: Name,
    path: Annotated[Path, typer.Argument(help="Folder, tgz, tar or zip with the IDX or wav files, or an npz file.")],
) -> None:
    """Put a data set into the cache from files you have, checked."""
    from memspike.data import store

    out.print(f"{name}: {store.import_file(name, path)}", soft_wrap=True, markup=False)


@data_app.command("where")
def where() -> None:
    """Print the cache folder and which data sets are there."""
    from memspike.data import store

    out.print(str(store.folder()), soft_wrap=True, markup=False)
    for name in store.SOURCES:
        out.print(f"  {name}: {'present' if store.path_of(name).exists() else 'absent'}")
