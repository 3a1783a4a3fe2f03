"""Files of NIR: read with the reasons in one sentence, written whole or not at all."""

import io
from pathlib import Path
from typing import Any

from memspike.interop.optional import needed
from memspike.parts.atomic import write_bytes
from memspike.parts.errors import InputError

INSTALL = "'memspike[nir]'"


def package() -> Any:
    """The package nir; InputError with the line that installs it."""
    return needed("nir", INSTALL, "NIR")


def read_nir(path: str | Path) -> Any:
    """The graph in a file; InputError in one sentence for what is none."""
    nir, file = package(), Path(path)
    if not file.is_file():
        raise InputError(f"The NIR file {file} does not exist.")
    try:
        return nir.read(file, type_check=False)  # many writers leave shapes open
    except (OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{file} cannot be read as NIR ({reason}).") from None


def _without_reset(group: Any) -> None:
    """Drop v_reset, which readers before nir 1.0.6 do not know, from every node."""
    for value in group.values():
        if "v_reset" in value:
            del value["v_reset"]
        if "nodes" in value:
            _without_reset(value["nodes"])


def write_nir(path: str | Path, graph: Any, *, v_reset: bool = True) -> Path:
    """Write a graph; without `v_reset` readers before nir 1.0.6 can read it, too (missing, it is 0).

    InputError without the package nir; RunError where the file cannot be written, with nothing changed.
    """
    buffer = io.BytesIO()
    package().write(buffer, graph)
    if not v_reset:
        with needed("h5py", INSTALL, "NIR").File(buffer, "r+") as file:
            _without_reset(file["node"]["nodes"])
    write_bytes(Path(path), buffer.getvalue())
    return Path(path)
