"""Figures of studies, one for every kind of result with rows: accuracies, errors and writes against what was varied."""

import textwrap
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from memspike.experiments.table import columns_of
from memspike.learning.programming.accuracy import WriteGrid
from memspike.parts.errors import InputError
from memspike.report.figures import ACCENT, MUTED, SECOND, Rows, accuracies, decimals, new_figure, single, style

Result = dict[str, Any]
MARKS = {"1 s": 1, "1 min": 60, "1 h": 3600, "1 d": 86400, "1 month": 2629746, "1 y": 31556952}
# an error so many times that of the baseline leaves the figure at its top
FAR = 5.0
# methods that fit into one panel
FEW = 5
MICRO = 1e6


def by_age(result: Result) -> Figure:
    """Accuracy of aged chips against the time since programming, a line for every compensation."""
    rows = result["rows"]
    figure, axis = single(7.0, 3.6)
    for place, name in enumerate(dict.fromkeys(row["compensation"] for row in rows)):
        own = [row for row in rows if row["compensation"] == name]
        ages = np.maximum([row["age_s"] for row in own], 1e-6).tolist()
        accuracies(axis, ages, own, label=f"compensation: {name}", **style(place))
    axis.set(xscale="log", xlabel="time since programming", ylabel="test accuracy (%)", title="inference over time")
    low, high = axis.get_xlim()
    shown = {at: name for name, at in MARKS.items() if low <= at <= high}
    _ticks(axis, list(shown), list(shown.values()))
    return figure


def _ticks(axis: Axes, places: Sequence[Any], names: Sequence[str]) -> None:
    axis.set_xticks(places, names)
    axis.minorticks_off()
    axis.legend(frameon=False)


def by_wires(result: Result) -> Figure:
    """Accuracy against wire resistance: a panel for every tile size, a line for what was trained with."""
    rows = result["rows"]
    tiles, ohms = list(dict.fromkeys(row["tile"] for row in rows)), sorted({row["r_ohm"] for row in rows})
    figure, axes = new_figure(4.6 * len(tiles), 3.6, columns=len(tiles), sharey=True)
    for axis, tile in zip(axes[0], tiles, strict=True):
        for place, trained in enumerate(dict.fromkeys(row["trained"] for row in rows)):
            own = [row for row in rows if (row["tile"], row["trained"]) == (tile, trained)]
            accuracies(axis, [row["r_ohm"] for row in own], own, label=f"trained: {trained}", **style(place))
        axis.set(xscale="log", xlabel="wire resistance per segment (Ω)", title=f"tiles of {tile} × {tile} devices")
        _ticks(axis, ohms, [f"{r:g}" for r in ohms])
    axes[0, 0].set_ylabel("test accuracy (%)")
    return figure


def by_speaker(result: Result) -> Figure:
    """Accuracy for every speaker who was left out of the training, and the mean of all."""
    rows = result["rows"]
    figure, axis = single(6.0, 3.4)
    names = [row["speaker"] for row in rows]
    mean = 100 * np.asarray([row["accuracy_mean"] for row in rows])
    axis.bar(names, mean, 0.6, color=ACCENT)
    accuracies(axis, names, rows, color="black", ls="", marker="", elinewidth=1.2)
    axis.axhline(mean.mean(), color=MUTED, lw=1.2, ls="--", label=f"mean {mean.mean():.1f} %")
    axis.set(xlabel="speaker never heard in training", ylabel="test accuracy (%)", ylim=(0, 100))
    axis.legend(loc="lower right")
    return figure


def _median(axis: Axes, x: float, row: dict[str, Any], top: float, given: dict[str, Any]) -> None:
    """One row: its median with quartiles, or an empty marker at the top; and how many of its seeds diverged."""
    q1, median, q3 = (v if np.isfinite(v := float(row[f"mse_{k}"])) else 10 * top for k in ("q1", "median", "q3"))
    far = median > top
    if far:
        axis.plot(x, 0.93 * top, mfc="white", ms=6, **given)
    else:
        bars = [[max(median - q1, 0.0)], [max(q3 - median, 0.0)]]
        axis.errorbar([x], [median], bars, capsize=3, lw=1.5, ms=6, **given)
    if row.get("diverged"):
        note, place = f"{row['diverged']}/{row['seeds']}", (x, 0.93 * top if far else q1)
        axis.annotate(note, place, (0, -6), textcoords="offset points", ha="center", va="top", fontsize=7)


def by_scheme(result: Result) -> Figure:
    """Median error of the seeds, quartiles as bars: a group for the first text column, a marker for the second.

    A median far above the zero-output baseline or not finite stands at the upper edge as an empty marker.
    """
    rows, baseline = result["rows"], result["mse_zero_output"]
    first, *more = [column.key for column in columns_of(result["columns"]) if column.form == "text"][:2]
    conditions = list(dict.fromkeys(row[more[0]] for row in rows)) if more else [""]
    groups = {name: [row for row in rows if row[first] == name] for name in dict.fromkeys(row[first] for row in rows)}
    figure, axis = single(max(7.0, 2.4 + 1.15 * len(groups)), 4.4)
    values = [float(row[key]) for row in rows for key in ("mse_median", "mse_q1", "mse_q3")]
    finite = [baseline, *(v for v in values if np.isfinite(v) and v > 0)]
    low, top = 0.7 * min(finite), min(1.6 * max(finite), FAR * baseline)
    axis.axhline(baseline, color=SECOND, lw=1.4, ls="--", label=f"zero-output baseline: {baseline:.3f}", zorder=0)
    step = 0.75 / len(conditions)
    for group, own in enumerate(groups.values()):
        if group:
            axis.axvline(group - 0.5, color="#e6e9ee", lw=0.8, zorder=0)
        for k, row in enumerate(own):
            given = style(conditions.index(row[more[0]]) if more else 0) | {"ls": ""}
            _median(axis, group + step * (k - (len(own) - 1) / 2), row, top, given)
    for k, condition in enumerate(conditions):
        axis.plot([], [], label=condition or "median and quartiles", ls="", **style(k))
    if any(not float(row["mse_median"]) <= top for row in rows):
        axis.plot([], [], "o", color=MUTED, mfc="white", label="empty: median above the figure")
    if any(row.get("diverged") for row in rows):
        axis.plot([], [], ls="", label="k/n: k of n seeds diverged")
    wrap = partial(textwrap.fill, width=15, break_on_hyphens=False)
    axis.set_xticks(range(len(groups)), [",\n".join(map(wrap, name.split(", "))) for name in groups], fontsize=8)
    axis.set(yscale="log", ylim=(low, 1.25 * top), xlim=(-0.5, len(groups) - 0.5), ylabel="mean squared error")
    decimals(axis)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure


def by_reference(result: Result) -> Figure:
    """Left: error against updates with the worst references; right: error at the end against that of the references."""
    figure, axes = new_figure(10.0, 4.2, columns=2)
    left, right = axes[0]
    for k, (name, curves) in enumerate(result["curves"].items()):
        rows = [row for row in result["rows"] if row["scheme"] == name]
        offsets, errors = [100 * row["offset"] for row in rows], [row["error"] for row in rows]
        left.plot(result["updates"], curves[int(np.argmax(offsets))], color=style(k)["color"], lw=1.6)
        spread = [row.get("error_sd", 0.0) for row in rows]
        right.errorbar(offsets, errors, spread, label=name, capsize=3, lw=1.4, ms=5, **style(k))
    most = 100 * max(row["offset"] for row in result["rows"])
    left.set_title(f"references off by {most:g} % of the range (s.d.)", fontsize=10)
    left.set(xlabel="updates", ylabel="r.m.s. error of the weights", xlim=(0, result["updates"][-1]))
    right.set_title("in the last tenth of the updates", fontsize=10)
    right.set(xlabel="references off their symmetry points by (s.d., % of the range)")
    top = 1.05 * max(max(curve) for curves in result["curves"].values() for curve in curves)
    for axis in (left, right):
        axis.set_ylim(0, top)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure


def _methods(result: Result) -> tuple[Rows, dict[str, list[str]]]:
    """The rows of the methods, without that of the ideal device, and the methods of every family that are there."""
    rows = [row for row in result["rows"] if any(row["scheme"] in names for names in result["families"].values())]
    present = dict.fromkeys(row["scheme"] for row in rows)
    families = {title: [name for name in names if name in present] for title, names in result["families"].items()}
    return rows, {title: names for title, names in families.items() if names}


def _pulses(rows: Rows) -> list[float]:
    return [max(row["pulses_per_weight"], 1e-3) for row in rows]


def _ideal(axis: Axes, result: Result) -> None:
    axis.axhline(100 * result["ideal_accuracy"], color=MUTED, lw=1, ls="--", label="ideal device")
    axis.set_ylim(top=101)


def _lines(above: Axes, below: Axes, rows: Rows, names: list[str], baseline: str) -> None:
    """Accuracy above and pulses below of some methods against the label; the baseline stays in grey."""
    for place, name in enumerate(dict.fromkeys([baseline, *names])):
        own = sorted((row for row in rows if row["scheme"] == name), key=lambda row: row["nl_up"])
        if own:
            x = [row["nl_up"] for row in own]
            given: dict[str, Any] = {"color": MUTED, "marker": "."} if name == baseline else style(place)
            accuracies(above, x, own, lw=1.3, capsize=0, elinewidth=0.8, label=name, **given)
            below.plot(x, _pulses(own), ms=4, lw=1.3, **given)


def by_label(result: Result) -> Figure:
    """Test accuracy and pulses of a weight against the nonlinearity label, a column for every family of methods.

    Upper half: asymmetric labels, lower half: symmetric ones, where there are both.
    """
    swept, families = _methods(result)
    kinds = {
        f"NL and {'−' if sign < 0 else ''}NL": [row for row in swept if row["nl_down"] == sign * row["nl_up"]]
        for sign in (-1, 1)
    }
    kinds = {name: rows for name, rows in kinds.items() if any(row["nl_up"] for row in rows)} or kinds
    if sum(map(len, families.values())) <= FEW:
        families = {"": list(dict.fromkeys(row["scheme"] for row in swept))}
    figure, axes = new_figure(1.5 + 3.2 * len(families), 5.2 * len(kinds), columns=len(families), rows=2 * len(kinds))
    lowest, sent = 100 * min(row["accuracy_mean"] for row in swept) - 3, _pulses(swept)
    for place, (name, rows) in enumerate(kinds.items()):
        for column, (title, names) in enumerate(families.items()):
            above, below = axes[2 * place : 2 * place + 2, column]
            _lines(above, below, rows, names, result["baseline"])
            _ideal(above, result)
            above.set(ylim=(lowest, 101), title=f"{title}\nlabels {name}" if title else f"labels {name}")
            below.set(yscale="log", xlabel="nonlinearity label NL", ylim=(min(sent) / 1.5, max(sent) * 1.5))
            if place == len(kinds) - 1:  # symmetric labels leave room
                above.legend(frameon=False, fontsize=7, loc="best")
        axes[2 * place, 0].set_ylabel("test accuracy (%), mean ± s.d.")
        axes[2 * place + 1, 0].set_ylabel("pulses of a weight")
    return figure


def by_device(result: Result) -> Figure:
    """Test accuracy of every device under every method against asymmetry; below it the pulses of a weight."""
    own, _ = _methods(result)
    names, schemes = (list(dict.fromkeys(row[key] for row in own)) for key in ("device", "scheme"))
    figure, axes = new_figure(3.0 + 1.3 * len(names), 7.0, rows=2)
    above, below = axes[:, 0]
    for place, scheme in enumerate(schemes):
        picked = [row for row in own if row["scheme"] == scheme]
        shift = (place + 0.5) / len(schemes) * 0.8 - 0.4
        x = [names.index(row["device"]) + shift for row in picked]
        accuracies(above, x, picked, ls="none", ms=5, capsize=0, elinewidth=0.9, label=scheme, **style(place))
        below.plot(x, _pulses(picked), ls="none", ms=5, **style(place))
    _ideal(above, result)
    above.set(ylabel="test accuracy (%), mean ± s.d.", xticks=range(len(names)), xticklabels=names)
    below.set(yscale="log", ylabel="pulses of a weight", xticks=range(len(names)), xticklabels=names)
    for axis in (above, below):
        for k in range(1, len(names)):
            axis.axvline(k - 0.5, color=MUTED, lw=0.5, alpha=0.5)
    above.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def write_figure(grids: Mapping[str, WriteGrid]) -> Figure:
    """One column a writer: the mean reached against the target, a line for each source; below it the s.d. as a map.

    All columns share their scales. InputError without any grid.
    """
    if not grids:
        raise InputError("No write grid was given; at least one is needed.")
    figure, axes = new_figure(1.2 + 3.2 * len(grids), 6.4, columns=len(grids), rows=2)
    source = MICRO * np.concatenate([np.asarray(g.source) for g in grids.values()])
    target = MICRO * np.concatenate([np.asarray(g.target) for g in grids.values()])
    reached = MICRO * np.concatenate([np.asarray(g.mean).ravel() for g in grids.values()])
    by_source = Normalize(float(source.min()), float(source.max()))
    by_sd = Normalize(0.0, MICRO * max(float(np.asarray(g.sd).max()) for g in grids.values()))
    colours, image = colormaps["viridis"], None
    low, high = (float(end(np.concatenate([target, reached]))) for end in (np.min, np.max))
    margin = 0.03 * (high - low)
    for k, (name, grid) in enumerate(grids.items()):
        s, t, mean, sd = (MICRO * np.asarray(x, dtype=float) for x in grid)
        above, below = axes[0, k], axes[1, k]
        for one, line in zip(s, mean, strict=True):
            above.plot(t, line, color=colours(by_source(one)), lw=1.1)
        above.plot(t, t, color="black", lw=1.4, ls="--", label="target")
        above.plot(t, mean.mean(0), color=MUTED, lw=2.4, label="mean over sources")
        above.set(xlabel="target (µS)", ylim=(low - margin, high + margin), aspect="equal")
        above.set_title(f"{name}: error {MICRO**2 * float(grid.error):.2f} µS²", fontsize=11)
        half = 0.5 * (t[1] - t[0]), 0.5 * (s[1] - s[0])
        edges = (t[0] - half[0], t[-1] + half[0], s[0] - half[1], s[-1] + half[1])
        image = below.imshow(sd, origin="lower", extent=edges, norm=by_sd, cmap="magma_r", aspect="equal")
        below.set(xlabel="target (µS)")
        below.set_title(f"s.d.: {sd.mean():.2f} µS on average", fontsize=11)
        below.spines[:].set_visible(False)
    axes[0, 0].set_ylabel("mean reached (µS)")
    axes[1, 0].set_ylabel("source (µS)")
    axes[0, 0].legend(frameon=False, fontsize=8, loc="upper left")
    figure.colorbar(ScalarMappable(by_source, colours), ax=axes[0, -1], label="source (µS)")
    if image is not None:
        figure.colorbar(image, ax=axes[1, -1], label="s.d. of what is reached (µS)")
    return figure
