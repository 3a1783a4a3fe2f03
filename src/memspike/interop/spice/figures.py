"""Traces of the library and of the simulator over each other, and their difference."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from memspike.parts.atomic import write_bytes
from memspike.report.figures import ACCENT, MUTED, SECOND, new_figure, readable

MOST = 4


class Overlay(NamedTuple):
    """One panel: times in s, traces [times, lines] of both in `unit`; the line `strong` stands out (None: all)."""

    times: Float[np.ndarray, " times"]
    ours: Float[np.ndarray, "times lines"]
    theirs: Float[np.ndarray, "times lines"]
    unit: str
    what: str
    title: str
    strong: int | None = None


def overlay_figure(panels: list[Overlay], simulator: str) -> Figure:
    """The first panels: the library as lines, the simulator dashed over them, and below the difference of both."""
    panels = panels[:MOST]
    figure, axes = new_figure(1 + 3.6 * len(panels), 4.6, columns=len(panels), rows=2, sharex="col")
    for k, one in enumerate(panels):
        above, below = axes[0, k], axes[1, k]
        scale, unit = readable([max(float(np.abs(one.ours).max()), 1e-30)], one.unit)
        factor = float(scale[0]) / max(float(np.abs(one.ours).max()), 1e-30)
        times, second = readable(one.times, "s")
        chosen = range(one.ours.shape[1])
        for j in chosen:
            weak = one.strong is not None and j != one.strong
            color = MUTED if weak else ACCENT
            label = {"label": "memspike"} if not weak and j == (one.strong or 0) else {}
            above.plot(times, one.ours[:, j] * factor, color=color, lw=0.8 if weak else 2.0, **label)
        for j in chosen:
            weak = one.strong is not None and j != one.strong
            label = {"label": simulator} if not weak and j == (one.strong or 0) else {}
            above.plot(times, one.theirs[:, j] * factor, color=SECOND, lw=0.5 if weak else 1.0, ls="--", **label)
        apart, small = (
            readable(one.theirs - one.ours + 0.0, one.unit)
            if np.any(one.theirs != one.ours)
            else (one.ours * 0, one.unit)
        )
        below.plot(times, apart, color=MUTED, lw=0.7)
        above.set(ylabel=f"{one.what} ({unit})", title=one.title)
        below.set(xlabel=f"time ({second})", ylabel=f"difference ({small})")
        above.legend(frameon=False, fontsize=8)
    return figure


def write_overlay(figure: Figure, folder: Path, name: str = "overlay") -> list[Path]:
    """The figure as NAME.png and NAME.svg in a folder → both files."""
    files = []
    for form in ("png", "svg"):
        buffer, undated = io.BytesIO(), None if form == "png" else {"Date": None}
        figure.savefig(buffer, format=form, dpi=150, metadata=undated)
        write_bytes(folder / f"{name}.{form}", buffer.getvalue())
        files.append(folder / f"{name}.{form}")
    return files
