"""The folder of a fit of any kind: device.toml where there is a device, fit.json, figures and fit.html."""

import html
import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from memspike.devices import description
from memspike.fitting.kinds import Outcome, Plot
from memspike.fitting.table import Estimate
from memspike.parts import units
from memspike.parts.atomic import write_bytes, write_text
from memspike.report.figures import ACCENT, MUTED, SECOND, single
from memspike.report.page import document, section, table
from memspike.report.web import plot, png

STYLES = {
    "points": {"ls": "", "marker": "o", "ms": 3, "alpha": 0.6},
    "line": {"lw": 1.6},
    "faint": {"lw": 0.6, "alpha": 0.5},
}


def draw(curves: Plot) -> Figure:
    """A plot as a figure: measured points in grey, lines in colours."""
    figure, axis = single(6.8, 4.0)
    colours = {"points": [MUTED, SECOND, "black"], "line": [ACCENT, SECOND, "black"], "faint": [MUTED]}
    used = dict.fromkeys(colours, 0)
    for curve in curves.curves:
        own = colours[curve.style]
        axis.plot(curve.x, curve.y, color=own[used[curve.style] % len(own)], label=curve.label, **STYLES[curve.style])
        used[curve.style] += 1
    axis.set(xlabel=curves.x, ylabel=curves.y)
    axis.set_title(curves.title, fontsize=10)
    for name, scale in (("x", axis.set_xscale), ("y", axis.set_yscale)):
        if name in curves.log:
            scale("log")
    if any(curve.label for curve in curves.curves):
        axis.legend(frameon=False, fontsize=9)
    return figure


def _row(e: Estimate) -> tuple[str, str, str, str]:
    interval = f"{units.show(e.low, e.unit)} to {units.show(e.high, e.unit)}"
    return e.name, units.show(e.value, e.unit), interval, "" if e.determined else "not determined by these data"


def write_outcome(result: Outcome, folder: Path) -> Path:
    """Write device.toml (if there is a device), fit.json, figures/*.png and fit.html; → the page, which opens offline.

    Everything is drawn before the first file is written; every file is whole or not there.
    """
    plots, facts = result.figures(), result.summary()
    figures = {name: draw(curves) for name, curves in plots.items()}
    images = {name: png(figure) for name, figure in figures.items()}
    notes = "".join(f"<p class=note>{html.escape(line)}</p>" for line in result.warnings)
    parts = [f"<p class=big>{html.escape(result.headline)}</p>", notes]
    parts += [section(plots[name].title, plot(figure, name, plots[name].title)) for name, figure in figures.items()]
    parts.append(section("Parameters", table(("parameter", "value", "95 % interval", ""), map(_row, result.estimates))))
    tried = facts.get("candidates")
    if tried and len(tried) > 1:
        rows = sorted(((name, f"{one['bic']:.1f}", f"{one['rms']:.2%}") for name, one in tried.items()), key=_bic)
        parts.append(section("Choice of the law", table(("law", "BIC (lower is better)", "rms of the largest"), rows)))
    summary = json.dumps(facts, indent=2, ensure_ascii=False, default=lambda x: np.asarray(x).tolist())
    page = document("memspike fit", "fitted device", parts)
    if result.device is not None:
        description.write(result.device, folder / "device.toml", result.spread, result.example)
    return write_pages(folder, page, summary, images)


def write_pages(folder: Path, page: str, summary: str, images: dict[str, bytes]) -> Path:
    """Write fit.json, figures/*.png and fit.html; → the page."""
    write_text(folder / "fit.json", summary + "\n")
    for name, image in images.items():
        write_bytes(folder / "figures" / f"{name}.png", image)
    write_text(folder / "fit.html", page)
    return folder / "fit.html"


def _bic(row: tuple[str, str, str]) -> float:
    return float(row[1])
