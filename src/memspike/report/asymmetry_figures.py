"""Pictures of the asymmetry studies: accuracy and writes under every way around asymmetric updates."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memspike.experiments.compensations import COMPENSATIONS
from memspike.report.figures import ACCENT, MUTED, SECOND, new_figure

Rows = list[dict[str, Any]]
COLOURS = (SECOND, "#c9a227", "#8a5bb5", "#3ba6b8", "#2a9d5c", "#b0477a", "#7a5c3a", "#5f6b2d", ACCENT, "#1d7f8c")
MARKERS = "osD^vP*Xph"
FEW = 5
# what a way needs begins with → its family in figures
FAMILIES = {
    "nothing": "one device",
    "calibration": "one device",
    "two devices": "two devices",
    "digital memory": "digital memory or reads",
    "reads": "digital memory or reads",
    "two tiles": "fast tiles",
}


def _schemes(rows: Rows) -> list[str]:
    return list(dict.fromkeys(row["scheme"] for row in rows if row["scheme"] != "ideal"))


def _style(place: int) -> dict[str, Any]:
    turn = place // len(COLOURS)  # the same colour again with another marker
    return {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[(place + 3 * turn) % len(MARKERS)]}


def _ideal(axis: Axes, rows: Rows) -> None:
    axis.axhline(100 * rows[0]["ideal_accuracy"], color=MUTED, lw=1, ls="--", label="ideal device")
    axis.set_ylim(top=101)


def _families(schemes: list[str]) -> dict[str, list[str]]:
    """Ways by what they need; all in one family if they are few."""
    if len(schemes) <= FEW:
        return {"": schemes}
    found: dict[str, list[str]] = {title: [] for title in FAMILIES.values()}
    for name in schemes:
        needs = COMPENSATIONS[name].needs
        found[next(title for start, title in FAMILIES.items() if needs.startswith(start))].append(name)
    return {title: names for title, names in found.items() if names}


def _lines(above: Axes, below: Axes, rows: Rows, names: list[str]) -> None:
    """Accuracy above and pulses below of some ways against the label; what is done without any stays in grey."""
    for place, name in enumerate(dict.fromkeys(["none", *names])):
        own = sorted((r for r in rows if r["scheme"] == name), key=lambda r: r["nl_up"])
        if not own:
            continue
        x = [r["nl_up"] for r in own]
        style: dict[str, Any] = {"color": MUTED, "marker": "."} if name == "none" else _style(place)
        mean, sd = (100 * np.asarray([r[k] for r in own]) for k in ("accuracy_mean", "accuracy_sd"))
        above.errorbar(x, mean, sd, ms=4, lw=1.3, elinewidth=0.8, label=name, **style)
        below.plot(x, [max(r["pulses_per_weight"], 1e-3) for r in own], ms=4, lw=1.3, **style)


def against_labels(rows: Rows) -> Figure:
    """Test accuracy and pulses of a weight against the nonlinearity label, a column for every family of ways.

    Upper half: asymmetric labels, lower half: symmetric ones, where there are both.
    """
    swept = [row for row in rows if row["nl_up"] is not None and row["scheme"] != "ideal"]
    kinds = {"NL and −NL": [r for r in swept if r["nl_down"] == -r["nl_up"]]}
    kinds["NL and NL"] = [r for r in swept if r["nl_down"] == r["nl_up"]]
    kinds = {name: kind for name, kind in kinds.items() if any(row["nl_up"] for row in kind)} or kinds
    families = _families(_schemes(rows))
    figure, axes = new_figure(1.5 + 3.2 * len(families), 5.2 * len(kinds), columns=len(families), rows=2 * len(kinds))
    lowest = 100 * min(row["accuracy_mean"] for row in swept) - 3
    sent = [max(row["pulses_per_weight"], 1e-3) for row in swept]
    pulses = (min(sent) / 1.5, max(sent) * 1.5)
    for place, (name, kind) in enumerate(kinds.items()):
        for column, (title, names) in enumerate(families.items()):
            above, below = axes[2 * place : 2 * place + 2, column]
            _lines(above, below, kind, names)
            _ideal(above, rows)
            above.set(ylim=(lowest, 101), title=f"{title}\nlabels {name}" if title else f"labels {name}")
            below.set(yscale="log", xlabel="nonlinearity label NL", ylim=pulses)
            if place == len(kinds) - 1:  # symmetric labels leave room
                above.legend(frameon=False, fontsize=7, loc="best")
        axes[2 * place, 0].set_ylabel("test accuracy (%), mean ± s.d.")
        axes[2 * place + 1, 0].set_ylabel("pulses of a weight")
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
