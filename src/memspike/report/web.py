"""A figure inside a page: vectors in the page's colours, and the values that its reader may ask for."""

import base64
import html
import io
import json
import math
import re
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from memspike.report.figures import ACCENT, MUTED, SECOND

# bytes above which vectors are drawn as pixels; values of a line and of a map, lines of a panel that can be asked for
LARGEST, POINTS, CELLS, LINES = 700_000, 400, 40_000, 40
# px of the page for an inch of the figure, at which its letters can still be read
READABLE = 72
COLOURS = {ACCENT: "accent", SECOND: "second", MUTED: "muted", "#e6e9ee": "grid", "#000000": "ink"}


def png(figure: Figure) -> bytes:
    """A figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()


def _vectors(figure: Figure, name: str) -> str:
    """SVG in the page's colours, with identifiers of its own."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<style.*?</style>", "", text[text.index("<svg") :], flags=re.S)
    text = re.sub(r' (?:(?:width|height)="[\d.]+pt"|xmlns(?::xlink)?="[^"]*")', "", text, count=4)
    text = re.sub(r'<(g|image)\b([^>]*?) id="[^"]*"', r"<\1\2", text)  # names of groups, which nothing refers to
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    for colour, variable in COLOURS.items():
        text = text.replace(colour, f"var(--{variable})")
    text = re.sub(r'(<path[^>]*?style="[^"]*?)#ffffff', r"\1var(--paper)", text)
    return re.sub(r"\n\s*", " ", text)


def _pixels(figure: Figure) -> str:
    """The same as a picture in an SVG, for figures of very many lines."""
    wide, high = (72 * float(size) for size in figure.get_size_inches())
    image = base64.b64encode(png(figure)).decode()
    inside = f'<image width="{wide:g}" height="{high:g}" href="data:image/png;base64,{image}"/>'
    return f'<svg viewBox="0 0 {wide:g} {high:g}">{inside}</svg>'


def _short(values: Any) -> list[float | None]:
    """Numbers of four digits; None for what is not finite."""
    flat = np.asarray(np.ma.filled(np.ma.asarray(values, dtype=float), np.nan)).ravel().tolist()
    return [float(f"{v:.4g}") if math.isfinite(v) else None for v in flat]


def _blocks(values: np.ndarray, size: int) -> np.ndarray:
    """Means of squares of that size."""
    rows, columns = (n // size for n in values.shape)
    return values[: rows * size, : columns * size].reshape(rows, size, columns, size).mean(axis=(1, 3))


def _map(values: np.ndarray, x: Any, y: Any, label: str) -> dict[str, Any]:
    """A map of cells between edges; a large one in means of squares."""
    block = max(1, math.ceil(math.sqrt(values.size / CELLS)))
    if block > 1:
        values, x, y = _blocks(values, block), [x[0], x[-1]], [y[0], y[-1]]
    found = {"x": _short(x), "y": _short(y), "shape": values.shape, "v": _short(values), "label": label}
    return found | ({"block": block} if block > 1 else {})


def _maps(axis: Axes) -> list[dict[str, Any]]:
    found = []
    for image in axis.images:
        values, (left, right, low, high) = np.ma.asarray(image.get_array()), image.get_extent()
        if values.ndim == 2 and isinstance(image, AxesImage):
            label = image.colorbar.ax.get_ylabel() if image.colorbar else ""
            y = [low, high] if image.origin == "lower" else [high, low]
            found.append(_map(values, [left, right], y, label))
    for mesh in (one for one in axis.collections if isinstance(one, QuadMesh)):
        grid, values = np.asarray(mesh.get_coordinates()), np.ma.asarray(mesh.get_array())
        label = mesh.colorbar.ax.get_ylabel() if mesh.colorbar else ""
        if values.ndim == 2:
            found.append(_map(values, grid[0, :, 0], grid[:, 0, 1], label))
    return found


def _lines(axis: Axes) -> list[dict[str, Any]]:
    """Lines in the coordinates of the data; no caps of error bars, no lines across the whole panel."""
    found = []
    for line in axis.lines:
        x, y = np.asarray(line.get_xdata(orig=False)), np.asarray(line.get_ydata(orig=False))
        if line.get_transform() != axis.transData or line.get_marker() in ("_", "|") or not 0 < x.size == y.size:
            continue
        step, label = max(1, -(-x.size // POINTS)), str(line.get_label())
        if len(found) < LINES:
            name = "" if label.startswith("_") else label
            found.append({"label": name, "x": _short(x[::step]), "y": _short(y[::step])})
    return found


def readings(figure: Figure) -> list[dict[str, Any]]:
    """Of every panel of a figure that was drawn: its place, its axes, and the values of its lines and maps."""
    bars = {id(axis) for axis in figure.axes if axis.get_label() == "<colorbar>"}
    return [
        {
            "box": _short(axis.get_position().bounds),
            "title": axis.get_title().replace("\n", " "),
            "xlabel": axis.get_xlabel().replace("\n", " "),
            "ylabel": axis.get_ylabel().replace("\n", " "),
            "xlim": _short(axis.get_xlim()),
            "ylim": _short(axis.get_ylim()),
            "xscale": axis.get_xscale(),
            "yscale": axis.get_yscale(),
            "lines": _lines(axis),
            "images": _maps(axis),
        }
        for axis in figure.axes
        if axis.get_visible() and id(axis) not in bars and axis.axison
    ]


def inside(value: Any) -> str:
    """A value as JSON in a script element, which nothing can end early."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
    return f'<script type="application/json">{text}</script>'


def plot(figure: Figure, name: str, text: str) -> str:
    """A figure in a page, with its alternative text; without a script it is a picture."""
    drawn = _vectors(figure, name)
    if len(drawn) > LARGEST:
        drawn = _pixels(figure)
    wide = float(figure.get_size_inches()[0])
    about = f' role="img" aria-label="{html.escape(text)}"'
    size = f' width="{96 * wide:.0f}" style="--least:{READABLE * wide:.0f}px"'
    drawn = drawn.replace("<svg ", f"<svg{size}{about} ", 1)
    return (
        f'<figure class=plot id="fig-{name}" tabindex=0 aria-label="{html.escape(text)}: arrow keys read values, '
        f'n goes to the next panel, + − 0 zoom"><div class=wide>{drawn}</div>{inside(readings(figure))}</figure>'
    )
