"""Where in the source something is registered: the file and the line of a user, or of the library."""

import os
import sys
from collections.abc import Iterator
from importlib import reload
from pathlib import Path
from types import FrameType
from typing import NamedTuple

LIBRARY = "memspike"
MAIN = ("__main__", "__mp_main__")


class Place(NamedTuple):
    """A line of a file, and the name of the module that it is a part of."""

    module: str = ""
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.module if self.ours else short(self.file)}, line {self.line}"

    @property
    def ours(self) -> bool:
        """Whether it is a part of the library."""
        return self.module.split(".")[0] == LIBRARY

    @property
    def fleeting(self) -> bool:
        """Whether there is no such file: the cell of a notebook, or what was typed into a console."""
        return not os.path.isfile(self.file)


def short(file: str | Path) -> str:
    """A path as seen from the working directory, where it is below that."""
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here)) if path.is_absolute() and path.is_relative_to(here) else str(path)


def _frames() -> Iterator[FrameType]:
    frame = sys._getframe(2)
    while frame is not None:
        yield frame
        frame = frame.f_back


def place() -> Place:
    """The line of the innermost module that is being executed, or the outermost line where none is."""
    found = None
    for frame in _frames():
        found = frame
        if frame.f_code.co_name == "<module>":
            break
    assert found is not None
    return Place(found.f_globals.get("__name__", ""), found.f_code.co_filename, found.f_lineno)


def reloading() -> bool:
    """Whether a module is executed once more by `importlib.reload`."""
    return any(frame.f_code is reload.__code__ for frame in _frames())
