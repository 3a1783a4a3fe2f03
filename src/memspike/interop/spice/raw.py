"""The raw file of ngspice: a text header, then float64 row by row."""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from memspike.parts.errors import RunError


class Plot(NamedTuple):
    """One analysis of a raw file: its name, and every vector under the name that ngspice gives it, in small letters."""

    name: str
    vectors: dict[str, Float[np.ndarray, " points"]]

    def of(self, name: str) -> Float[np.ndarray, " points"]:
        """A vector; RunError with its name where the simulator has not written it."""
        if name not in self.vectors:
            raise RunError(f"The simulator has written no {name}; it has {len(self.vectors)} vectors.")
        return self.vectors[name]

    def at(self, name: str, times: Float[np.ndarray, " times"]) -> Float[np.ndarray, " times"]:
        """A vector at other times in s, linear between the rows: they are where the simulator chose, the first one
        not at 0.
        """
        return np.interp(times, self.of("time"), self.of(name))


def _field(header: str, name: str) -> str:
    found = re.search(rf"^{name}:\s*(.*)$", header, flags=re.M)
    if found is None:
        raise RunError(f"The raw file of the simulator has no line '{name}:'.")
    return found[1].strip()


def read_raw(path: Path) -> list[Plot]:
    """All plots of a binary raw file; complex vectors give their real part.

    RunError for a file that is no such file, or ends too early.
    """
    content, plots, place = path.read_bytes(), [], 0
    while content[place:].strip(b"\n\0 "):
        mark = content.find(b"Binary:\n", place)
        if mark < 0:
            raise RunError(f"{path.name} is no binary raw file of ngspice.")
        header = content[place:mark].decode("utf-8", errors="replace")
        count, points = int(_field(header, "No. Variables")), int(_field(header, "No. Points"))
        width = 2 if "complex" in _field(header, "Flags") else 1
        names = re.findall(r"^\s+\d+\s+(\S+)\s+\S+.*$", header.split("Variables:", 2)[-1], flags=re.M)
        begin, size = mark + len(b"Binary:\n"), 8 * width * count * points
        if len(names) != count or len(content) < begin + size:
            raise RunError(f"{path.name} ends before its {points} points of {count} vectors.")
        table = np.frombuffer(content, "<f8", width * count * points, begin).reshape(points, count, width)[..., 0]
        plots.append(Plot(_field(header, "Plotname"), {n.lower(): table[:, k] for k, n in enumerate(names)}))
        place = begin + size
    if not plots:
        raise RunError(f"{path.name} is empty.")
    return plots
