"""What all figures share: colours, axes, units, error bars."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from memspike.parts import units

ACCENT, SECOND, MUTED = "#0b5cad", "#c8501e", "#8a8f98"
COLOURS = (ACCENT, SECOND, "#2a9d5c", "#8a5bb5", "#c9a227", "#3ba6b8", "#b0477a", "#7a5c3a", "#5f6b2d", "#1d7f8c")
MARKERS = "osD^vP*Xph"
Arrays = dict[str, np.ndarray]
Rows = Sequence[dict[str, Any]]


def readable(values: Any, unit: str) -> tuple[Float[np.ndarray, "..."], str]:
    """Values with the prefix that keeps their numbers short."""
    values = np.asarray(values, dtype=float)
    scale, prefixed = units.scaled(float(np.nanmax(np.abs(values))), unit)
    return values / scale, prefixed


class Page(NamedTuple):
    """What figures are drawn for: width in inches, size of its letters in pt, least width of a panel in inches."""

    width: float
    letters: float
    panel: float


_page: ContextVar[Page | None] = ContextVar("page", default=None)


@contextmanager
def drawn_for(page: Page) -> Iterator[None]:
    """Inside it, figures are as wide as the page; panels side by side that would be too narrow go on below."""
    token = _page.set(page)
    try:
        yield
    finally:
        _page.reset(token)


def _placed(figure: Figure, columns: int, beside: int, more: dict[str, Any]) -> Any:
    """Axes [1, columns] of one row of panels, `beside` of them next to each other."""
    axes = figure.subplots(-(-columns // beside), beside, squeeze=False, **more)
    for axis in axes.flat[columns:]:
        axis.remove()
    return axes.reshape(1, -1)[:, :columns]


def new_figure(width: float, height: float, columns: int = 1, rows: int = 1, **more: Any) -> tuple[Figure, Any]:
    """A figure with a grid of axes, always two-dimensional, without the upper and right frame."""
    page = _page.get()
    beside = columns
    if page is not None:
        if rows == 1:
            beside = max(1, min(columns, int(page.width / page.panel)))
        # panels keep their shape, unless letters would take their room
        deep = rows * -(-columns // beside)
        panel = max(height / rows * page.width / width * columns / beside, 0.5 * page.panel)
        width, height = page.width, deep * min(panel, 1.2 * page.width)
    figure = Figure(figsize=(width, height), layout="constrained")
    if beside < columns:
        axes = _placed(figure, columns, beside, more)
    else:
        axes = figure.subplots(rows, columns, squeeze=False, **more)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def single(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure with one axis."""
    figure, axes = new_figure(width, height)
    return figure, axes[0, 0]


def style(place: int) -> dict[str, Any]:
    """Colour and marker of the line with that number; a colour comes again with another marker."""
    turn = place // len(COLOURS)
    return {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[(place + 3 * turn) % len(MARKERS)]}


def accuracies(axis: Axes, x: Sequence[Any], rows: Rows, **more: Any) -> None:
    """Accuracy of every row in percent, mean ± s.d., at the places `x`."""
    mean, sd = (100 * np.asarray([row[f"accuracy_{k}"] for row in rows]) for k in ("mean", "sd"))
    axis.errorbar(x, mean, sd, **({"lw": 1.8, "capsize": 3, "marker": "o", "ms": 4} | more))


def band(axis: Axes, x: Any, mean: Any, sd: Any, **line: Any) -> None:
    """A line with a band of ± s.d."""
    given: dict[str, Any] = {"lw": 2} | line
    (drawn,) = axis.plot(x, mean, **given)
    axis.fill_between(x, mean - sd, mean + sd, color=drawn.get_color(), alpha=0.16, lw=0)


def mark(axis: Axes, x: Any, text: str, *, line: bool = True) -> None:
    """A text above the axis and, by default, a dotted line below it."""
    if line:
        axis.axvline(x, color=MUTED, lw=0.8, ls=":")
    axis.text(x, 1.0, text, transform=axis.get_xaxis_transform(), va="bottom", ha="center", fontsize=8)


def whole() -> MaxNLocator:
    """Ticks at whole numbers."""
    return MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10])


def decimals(axis: Axes) -> None:
    """Ticks of a short logarithmic axis as decimal numbers."""
    low, high = axis.get_ylim()
    if high < 300 * low:
        axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0) if high < 20 * low else (1.0, 2.0, 5.0)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_locator(NullLocator())
