"""Pictures of the asymmetry studies: accuracy and writes under every way around asymmetric updates."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memspike.report.figures import ACCENT, MUTED, SECOND, new_figure

Rows = list[dict[str, Any]]
COLOURS = (SECOND, "#c9a227", "#8a5bb5", "#3ba6b8", "#2a9d5c", "#b0477a", "#7a5c3a", "#5f6b2d", ACCENT, "#1d7f8c")
MARKERS = "osD^vP*Xph"


def _schemes(rows: Rows) -> list[str]:
    return list(dict.fromkeys(row["scheme"] for row in rows if row["scheme"] != "ideal"))


def _style(place: int) -> dict[str, Any]:
    turn = place // len(COLOURS)  # the same colour again with another marker
    return {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[(place + 3 * turn) % len(MARKERS)]}


def _ideal(axis: Axes, rows: Rows) -> None:
    axis.axhline(100 * rows[0]["ideal_accuracy"], color=MUTED, lw=1, ls="--", label="ideal device")
    axis.set_ylim(top=101)


def against_labels(rows: Rows) -> Figure:
    """Test accuracy and pulses of a weight against the nonlinearity label: asymmetric left, symmetric right."""
    swept = [row for row in rows if row["nl_up"] is not None and row["scheme"] != "ideal"]
    kinds = {
        "asymmetric: labels NL and −NL": [r for r in swept if r["nl_down"] == -r["nl_up"]],
        "symmetric nonlinearity: NL and NL": [r for r in swept if r["nl_down"] == r["nl_up"]],
    }
    figure, axes = new_figure(11.5, 7.4, columns=2, rows=2)
    for column, (title, kind) in enumerate(kinds.items()):
        above, below = axes[:, column]
        for place, name in enumerate(_schemes(rows)):
            own = sorted((r for r in kind if r["scheme"] == name), key=lambda r: r["nl_up"])
            x, style = [r["nl_up"] for r in own], _style(place)
            mean, sd = (100 * np.asarray([r[k] for r in own]) for k in ("accuracy_mean", "accuracy_sd"))
            above.errorbar(x, mean, sd, ms=4, lw=1.3, elinewidth=0.8, label=name, **style)
            below.plot(x, [max(r["pulses_per_weight"], 1e-3) for r in own], ms=4, lw=1.3, **style)
        _ideal(above, rows)
        above.set(title=title, ylabel="test accuracy (%), mean ± s.d.")
        below.set(yscale="log", xlabel="nonlinearity label NL", ylabel="pulses of a weight")
    axes[0, 1].legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def by_device(rows: Rows) -> Figure:
    """Test accuracy of every device under every way around asymmetry; below it the pulses of a weight."""
    own = [row for row in rows if row["scheme"] != "ideal"]
    names, schemes = list(dict.fromkeys(row["device"] for row in own)), _schemes(rows)
    figure, axes = new_figure(3.0 + 1.3 * len(names), 7.0, rows=2)
    above, below = axes[:, 0]
    for place, scheme in enumerate(schemes):
        picked = [row for row in own if row["scheme"] == scheme]
        x = np.asarray([names.index(row["device"]) for row in picked]) + (place + 0.5) / len(schemes) * 0.8 - 0.4
        mean, sd = (100 * np.asarray([r[k] for r in picked]) for k in ("accuracy_mean", "accuracy_sd"))
        style = _style(place)
        above.errorbar(x, mean, sd, ls="none", ms=5, elinewidth=0.9, label=scheme, **style)
        below.plot(x, [max(r["pulses_per_weight"], 1e-3) for r in picked], ls="none", ms=5, **style)
    _ideal(above, rows)
    above.set(ylabel="test accuracy (%), mean ± s.d.", xticks=range(len(names)), xticklabels=names)
    below.set(yscale="log", ylabel="pulses of a weight", xticks=range(len(names)), xticklabels=names)
    for axis in (above, below):
        for k in range(1, len(names)):
            axis.axvline(k - 0.5, color=MUTED, lw=0.5, alpha=0.5)
    above.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


STUDIES = {
    "asymmetry-study": ("Accuracy against nonlinearity", against_labels),
    "asymmetry-devices": ("Accuracy by device", by_device),
}
