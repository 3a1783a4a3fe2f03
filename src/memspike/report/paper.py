"""Figures of a run for a paper: a format, a width, letters and lines of a fitting size."""

import io
import re
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.text import Text

from memspike.parts.atomic import write_bytes
from memspike.parts.errors import InputError, unknown
from memspike.report.figures import Page, drawn_for
from memspike.report.kinds import PAGES
from memspike.report.page import read_run

FORMATS = ("svg", "pdf", "png")
UNITS = {"mm": 1 / 25.4, "cm": 1 / 2.54, "in": 1.0, "pt": 1 / 72}
# in inches
NARROWEST, WIDEST = 1.0, 24.0
# the width of a letter over its size
LETTER = 0.6
# the size of letters that figures are drawn with where nothing else is said
USUAL = 10.0


class Style(NamedTuple):
    """Letters in pt, the smallest of them, lines by which theirs are multiplied, least panel in inches, pixels an inch.

    `settings` are those of matplotlib.
    """

    letters: float
    least: float
    lines: float
    panel: float
    dpi: int
    settings: Any


# type 42 keeps the letters of a PDF as letters; an SVG keeps them as text that can be edited
COMMON = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "memspike"}
THIN = {"axes.linewidth": 0.5, "xtick.major.width": 0.5, "ytick.major.width": 0.5, "xtick.minor.width": 0.4}
THIN |= {"ytick.minor.width": 0.4, "xtick.major.size": 2.5, "ytick.major.size": 2.5, "axes.titlepad": 3.0}
STYLES = {
    "paper": Style(7.0, 5.5, 0.65, 2.4, 600, COMMON | THIN),
    "screen": Style(10.0, 8.0, 1.0, 3.4, 150, COMMON),
}


def width_of(text: str) -> float:
    """A width such as 85mm in inches. InputError without a unit, or for a width that no page has."""
    match = re.fullmatch(r"\s*(\d+(?:[.]\d*)?|[.]\d+)\s*([a-z]*)\s*", text)
    if not match:
        raise InputError(f"--width is '{text}', which is not a width; write it as 85mm.")
    number, unit = float(match[1]), match[2]
    if unit not in UNITS:
        given = f"has the unit '{unit}'" if unit else "has no unit"
        raise InputError(f"--width is '{text}', which {given}; allowed: {', '.join(UNITS)}, as in 85mm.")
    inches = number * UNITS[unit]
    if not NARROWEST <= inches <= WIDEST:
        raise InputError(f"--width is '{text}'; allowed: {25.4 * NARROWEST:g}mm to {25.4 * WIDEST:g}mm.")
    return inches


def _sized(figure: Figure, style: Style) -> None:
    """Letters and lines of a figure in the sizes of the style, and titles no wider than their panels."""
    for text in figure.findobj(Text):
        if isinstance(text, Text):
            text.set_fontsize(max(style.least, float(text.get_fontsize()) * style.letters / USUAL))
    for axis in figure.axes:
        for line in axis.lines:
            line.set_linewidth(line.get_linewidth() * style.lines)
            line.set_markersize(line.get_markersize() * style.lines)
        for patch in axis.patches:
            patch.set_linewidth(patch.get_linewidth() * style.lines)
    figure.draw_without_rendering()
    for axis in figure.axes:
        room = 1.15 * axis.get_position().width * float(figure.get_size_inches()[0])
        letters = max(8, int(room * 72 / (LETTER * float(axis.title.get_fontsize()))))
        axis.title.set_text("\n".join(textwrap.fill(part, letters) for part in axis.get_title().split("\n")))


def _content(figure: Figure, form: str, dpi: int) -> bytes:
    buffer = io.BytesIO()
    undated: Any = None if form == "png" else {"Date" if form == "svg" else "CreationDate": None}
    figure.savefig(buffer, format=form, dpi=dpi, metadata=undated)
    return buffer.getvalue()


def write_figures(
    folder: Path, out: Path, *, form: str = "pdf", width: float = 85 / 25.4, style: str = "paper"
) -> list[Path]:
    """Write every figure of a finished run into the folder `out` → their files; `width` in inches.

    InputError for a run that is not finished, has no figures, or an unknown format or style.
    """
    if form not in FORMATS:
        raise unknown("format", form, FORMATS)
    if style not in STYLES:
        raise unknown("style", style, STYLES)
    run, chosen = read_run(folder), STYLES[style]
    files: dict[Path, bytes] = {}
    with mpl.rc_context(chosen.settings), drawn_for(Page(width, chosen.letters, chosen.panel)):
        for name, (_, figure) in PAGES[run["result"]["kind"]].figures(run).items():
            _sized(figure, chosen)
            files[out / f"{name}.{form}"] = _content(figure, form, chosen.dpi)
    if not files:
        raise InputError(f"A run of the kind {run['result']['kind']} has no figures.")
    for path, content in files.items():
        write_bytes(path, content)
    return list(files)
