"""Figures of networks that learn online: errors, outputs, spikes, conductances over time, schemes side by side."""

import textwrap
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from memspike.devices.base import AbstractPulseDevice
from memspike.devices.pcm import PCM
from memspike.devices.targets import ramp
from memspike.parts.errors import InputError
from memspike.report.figures import ACCENT, MUTED, SECOND, Arrays, new_figure

COLOURS = (ACCENT, SECOND, "#2a9d5c", "#8a5bb5", "#c9a227", "#3ba6b8", "#b0477a", MUTED)
MARKERS = "osD^vP*X"
# read off the published figure of the mean after n pulses (released code of arXiv 2108.01804), G_max 20 µS
PUBLISHED_PULSES, PUBLISHED_MEAN = (1, 2, 4, 8, 12, 16, 20), (2.05, 3.4, 5.25, 7.2, 8.25, 8.85, 9.35)
WIDEST, POPULATION = 20e-6, 10000
# what is above so many times the silent network leaves the figure at its top: losses by epoch, errors of schemes
TOP, FAR = 20.0, 5.0
BIN = 20e-3
PER_LINE = 3
History = list[dict[str, Any]]


def _whole() -> MaxNLocator:
    return MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10])


def _by_epoch(history: History, key: str) -> tuple[list[int], list[int], Float[np.ndarray, "epochs seeds"]]:
    """Epochs, seeds, and a column of the history [epochs, seeds] without the epochs at which nobody measured it."""
    found = {(int(row["epoch"]), int(row["seed"])): row.get(key, np.nan) for row in history}
    epochs, seeds = sorted({e for e, _ in found}), sorted({s for _, s in found})
    values = np.array([[found.get((e, s), np.nan) for s in seeds] for e in epochs], dtype=float).reshape(-1, len(seeds))
    measured = np.any(np.isfinite(values), axis=1)
    if key == "loss":
        # an epoch at which every loss is lost is a gap, not something that was not measured
        return epochs, seeds, values
    return [e for e, known in zip(epochs, measured, strict=True) if known], seeds, values[measured]


def _lines(axis: Axes, history: History, key: str, scale: float, lost: float | None) -> Float[np.ndarray, "e s"]:
    """Every seed thin, the median thick, the quartiles as a band; `lost` stands for what is not finite."""
    epochs, seeds, table = _by_epoch(history, key)
    table = table * scale
    few = "." if len(epochs) < 30 else ""
    axis.plot(epochs, table, color=MUTED, lw=0.8, alpha=0.7, marker=few, ms=3)
    ranked = table if lost is None else np.where(np.isfinite(table), table, lost)
    known = np.any(np.isfinite(ranked), axis=1)
    low, middle, high = np.nanquantile(ranked[known], (0.25, 0.5, 0.75), axis=1)
    shown = np.asarray(epochs)[known]
    several = len(seeds) > 1
    if several:
        axis.fill_between(shown, low, high, color=ACCENT, alpha=0.18, lw=0, label="quartiles")
    label = f"median of {len(seeds)} seeds" if several else f"seed {seeds[0]}"
    axis.plot(shown, middle, color=ACCENT, lw=2, marker=few, ms=5, label=label)
    return table


def _decimals(axis: Axes) -> None:
    """Ticks of a short logarithmic axis as decimal numbers."""
    low, high = axis.get_ylim()
    if high < 300 * low:
        axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0) if high < 20 * low else (1.0, 2.0, 5.0)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_locator(NullLocator())


def _loss(axis: Axes, history: History, silent: float | None) -> None:
    finite = [row["loss"] for row in history if np.isfinite(row["loss"]) and row["loss"] > 0]
    axis.set(xlabel="epoch", ylabel="training loss" if silent is None else "mean squared error", yscale="log")
    reference = [] if silent is None else [silent]
    if finite:
        _lines(axis, history, "loss", 1.0, 1e3 * max(finite))
        top = max(finite + reference)
        if silent is not None and top > TOP * silent:
            top = TOP * silent
        axis.set_ylim(0.7 * min(finite + reference), 1.4 * max(top, 1.1 * min(finite)))
    else:
        axis.text(0.5, 0.7, "no finite loss in any epoch", ha="center", transform=axis.transAxes)
        axis.set_ylim(*((0.1, 10.0) if silent is None else (0.3 * silent, 3 * silent)))
        axis.set_xlim(0, max([row["epoch"] for row in history], default=1))
    if silent is not None:
        axis.axhline(silent, color=SECOND, lw=1.4, ls="--", label=f"silent network: {silent:.3f}")
    _decimals(axis)


def training_curves(history: History, *, silent: float | None = None, rate: float | None = None) -> Figure:
    """What metrics.csv knows by epoch: loss (log), test accuracy and firing rate, each where it was measured.

    Every seed, their median and quartiles; a loss that is not finite ranks above all others. `silent` is the mean
    squared error of a network without spikes, `rate` (Hz) the firing rate that is aimed at.
    """
    columns = set().union(*(row.keys() for row in history))
    accuracy = next((key for key in ("accuracy", "test_accuracy") if key in columns), "accuracy")
    others = [(accuracy, "test accuracy (%)", 100.0), ("rate", "mean firing rate (Hz)", 1.0)]
    others = [one for one in others if _by_epoch(history, one[0])[2].size]
    figure, axes = new_figure(1.2 + 4.2 * (1 + len(others)), 3.4, columns=1 + len(others))
    _loss(axes[0, 0], history, silent)
    for axis, (key, label, scale) in zip(axes[0, 1:], others, strict=True):
        _lines(axis, history, key, scale, None)
        axis.set(xlabel="epoch", ylabel=label)
        if key == "rate" and rate is not None:
            axis.axhline(rate, color=SECOND, lw=1.4, ls="--", label=f"aimed at: {rate:g} Hz")
        axis.set_ylim(bottom=0)
    for axis in axes.flat:
        axis.legend(frameon=False, fontsize=8, loc="best")
        axis.xaxis.set_major_locator(_whole())
    return figure


def _grid(count: int) -> tuple[int, int]:
    """Columns and rows of so many panels."""
    columns = min(PER_LINE, count)
    return columns, -(-count // columns)


def targets_and_outputs(samples: Arrays) -> Figure:
    """Outputs and targets [patterns, steps, outputs] over time, a panel a pattern with its mean squared error."""
    y, target = samples["y"].astype(float), samples["target"].astype(float)
    columns, rows = _grid(len(y))
    figure, axes = new_figure(0.8 + 3.6 * columns, 0.5 + 2.3 * rows, columns=columns, rows=rows)
    t = 1e3 * float(samples["dt"]) * np.arange(1, y.shape[1] + 1)
    swing = 1.1 * max(float(np.abs(target).max()), 1e-9)
    for axis in axes.flat[len(y) :]:
        axis.set_visible(False)
    for k, axis in enumerate(axes.flat[: len(y)]):
        wanted = axis.plot(t, target[k], color=SECOND, lw=1.6, ls="--")
        reached = axis.plot(t, y[k], color=ACCENT, lw=1.4)
        known = bool(np.isfinite(y[k]).all())
        far = 1.1 * float(np.abs(y[k][np.isfinite(y[k])]).max(initial=0.0))
        limit = min(max(swing, far), 4 * swing)
        error = f"error {np.square(y[k] - target[k]).mean():.3g}" if known else "output not finite"
        axis.set_title(f"pattern {k + 1}: {error}", fontsize=10)
        axis.set(xlabel="time (ms)", ylim=(-limit, limit))
        if k % columns == 0:
            axis.set_ylabel("output")
        if k == 0:
            wanted[0].set_label("target")
            reached[0].set_label("output of the trained network")
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def _population_rate(z: UInt8[np.ndarray, "steps neurons"], dt: float) -> tuple[np.ndarray, np.ndarray]:
    """Centres of bins in ms and the mean rate of a neuron in each, in Hz."""
    steps = max(1, min(round(BIN / dt), len(z)))
    bins = len(z) // steps
    counts = z[: bins * steps].reshape(bins, steps, -1).mean(axis=(1, 2)) / dt
    return 1e3 * dt * steps * (np.arange(bins) + 0.5), counts


def spike_rasters(samples: Arrays, rate: float | None = None) -> Figure:
    """Spikes z [patterns, steps, neurons] as dots and, below, the mean rate of the population in bins of 20 ms.

    `rate` (Hz) is the firing rate that is aimed at.
    """
    z, dt = samples["z"], float(samples["dt"])
    columns, rows = _grid(len(z))
    figure = Figure(figsize=(0.8 + 3.6 * columns, 3.9 * rows), layout="constrained")
    axes = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=[3, 1.3] * rows, sharex=True)
    rates = [_population_rate(one, dt) for one in z]
    top = 1.15 * max([float(r.max(initial=0.0)) for _, r in rates] + [rate or 1.0])
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
    for k in range(columns * rows):
        dots, below = axes[2 * (k // columns), k % columns], axes[2 * (k // columns) + 1, k % columns]
        if k >= len(z):
            dots.set_visible(False)
            below.set_visible(False)
            continue
        step, neuron = np.nonzero(z[k])
        dots.plot(1e3 * dt * (step + 1), neuron, ".", color="black", ms=2.6 if z.shape[2] > 40 else 5, mew=0)
        dots.set_title(f"pattern {k + 1}: {z[k].mean() / dt:.1f} Hz on average", fontsize=10)
        dots.set(ylim=(-1, z.shape[2]), xlim=(0, 1e3 * dt * z.shape[1]))
        if not len(step):
            dots.text(0.5, 0.5, "no spikes", ha="center", transform=dots.transAxes, color=MUTED)
        below.plot(*rates[k], color=ACCENT, lw=1.2, drawstyle="steps-mid")
        below.set(ylim=(0, top), xlabel="time (ms)")
        below.tick_params(labelbottom=True)
        if rate is not None:
            below.axhline(rate, color=SECOND, lw=1.2, ls="--", label=f"aimed at: {rate:g} Hz" if k == 0 else None)
        if k % columns == 0:
            dots.set_ylabel("neuron")
            below.set_ylabel("rate (Hz)")
    if rate is not None:
        figure.legend(loc="outside lower center", frameon=False, fontsize=9)
    return figure


def conductances_over_time(snapshots: Arrays, devices: int = 1) -> Figure:
    """Histograms of the effective conductances of every crossbar by epoch, and below the last of them.

    The effective conductance of a weight is G⁺ − G⁻, where each is the mean of its `devices` a side.
    """
    edges, epochs = 1e6 * snapshots["edges"], snapshots["epochs"].astype(float)
    names = [name for name in snapshots if name not in ("edges", "epochs")]
    counts = {name: snapshots[name].astype(float) for name in names}
    middle = (epochs[1:] + epochs[:-1]) / 2
    lower = max(0.0, epochs[0] - (epochs[1] - epochs[0] if len(epochs) > 1 else 1.0))
    borders = np.concatenate([[lower], middle, [epochs[-1]]])
    used = np.nonzero(np.concatenate(list(counts.values())).sum(axis=0))[0]
    far = max(abs(edges[used[0]]), abs(edges[used[-1] + 1])) if len(used) else float(edges[-1])
    figure = Figure(figsize=(1.6 + 3.5 * len(names), 5.4), layout="constrained")
    axes = figure.subplots(2, len(names), squeeze=False, height_ratios=[2, 1.2], sharex=True)
    most = max([2.0, *(float(c.max()) for c in counts.values())])
    mesh = None
    for k, name in enumerate(names):
        above, below = axes[:, k]
        seen = np.ma.masked_less(counts[name], 1)
        mesh = above.pcolormesh(edges, borders, seen, norm=LogNorm(1.0, most), cmap="viridis_r", rasterized=True)
        above.set_title(f"{name} weights", fontsize=10)
        above.tick_params(labelbottom=False)
        above.yaxis.set_major_locator(_whole())
        below.stairs(counts[name][-1], edges, color=ACCENT, fill=True, alpha=0.35)
        below.stairs(counts[name][-1], edges, color=ACCENT, lw=1.2)
        below.set(yscale="log", ylim=(0.7, 2 * most), xlim=(-1.02 * far, 1.02 * far))
        below.set_title(f"after epoch {epochs[-1]:g}", fontsize=9)
        for axis in (above, below):
            axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylabel("epoch")
    axes[1, 0].set_ylabel("weights")
    of = "" if devices == 1 else f", mean of {devices} devices a side"
    figure.supxlabel(f"effective conductance G⁺ − G⁻{of} (µS)", fontsize=10)
    if mesh is not None:
        figure.colorbar(mesh, ax=axes[0].tolist(), label="weights")
    return figure


def _wrapped(name: str) -> str:
    lines = [textwrap.fill(part, 15, break_on_hyphens=False) for part in name.split(", ")]
    return ",\n".join(lines)


def _style(place: int) -> dict[str, Any]:
    return {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[place % len(MARKERS)], "ls": ""}


def _median(axis: Axes, x: float, row: dict[str, Any], top: float, style: dict[str, Any]) -> None:
    """One row: its median with quartiles, or an empty marker at the top; and how many of its seeds ran away."""
    q1, median, q3 = (v if np.isfinite(v := float(row[f"mse_{k}"])) else 10 * top for k in ("q1", "median", "q3"))
    if median > top:
        axis.plot(x, 0.93 * top, mfc="white", ms=6, **style)
    else:
        bars = [[max(median - q1, 0.0)], [max(q3 - median, 0.0)]]
        axis.errorbar([x], [median], bars, capsize=3, lw=1.5, ms=6, **style)
    if row.get("diverged"):
        seeds = f"/{int(row['seeds'])}" if "seeds" in row else ""
        place = (x, 0.93 * top if median > top else q1)
        note = f"{int(row['diverged'])}{seeds}"
        axis.annotate(note, place, (0, -6), textcoords="offset points", ha="center", va="top", fontsize=7)


def schemes(result: dict[str, Any]) -> Figure:
    """Median error of the seeds, quartiles as bars: a group a scheme, a marker a condition; and the silent network.

    `result` has `rows` with scheme and condition, or effect, and with mse_median, mse_q1, mse_q3 and, where seeds ran
    away, diverged and seeds. A median far above the silent network or not finite stands at the upper edge as an empty
    marker.
    """
    rows = [{"scheme": r.get("effect"), "condition": "full"} | r for r in result["rows"]]
    silent = result.get("mse_silent")
    groups = {s: [r for r in rows if r["scheme"] == s] for s in dict.fromkeys(r["scheme"] for r in rows)}
    conditions = list(dict.fromkeys(r["condition"] for r in rows))
    figure, axes = new_figure(max(7.0, 2.4 + 1.15 * len(groups)), 4.4)
    axis: Axes = axes[0, 0]
    values = [float(r[k]) for r in rows for k in ("mse_median", "mse_q1", "mse_q3")]
    finite = [v for v in values if np.isfinite(v) and v > 0] + ([silent] if silent else [])
    low, top = 0.7 * min(finite, default=0.1), 1.6 * max(finite, default=1.0)
    if silent:
        top = min(top, FAR * silent)
        axis.axhline(silent, color=SECOND, lw=1.4, ls="--", label=f"silent network: {silent:.3f}", zorder=0)
    step = 0.75 / len(conditions)
    for group, own in enumerate(groups.values()):
        if group:
            axis.axvline(group - 0.5, color="#e6e9ee", lw=0.8, zorder=0)
        for k, row in enumerate(own):
            x = group + step * (k - (len(own) - 1) / 2)
            _median(axis, x, row, top, _style(conditions.index(row["condition"])))
    for k, condition in enumerate(conditions):
        axis.plot([], [], label=condition, **_style(k))
    if any(not float(r["mse_median"]) <= top for r in rows):
        axis.plot([], [], "o", color=MUTED, mfc="white", label="empty: median above the figure")
    if any(r.get("diverged") for r in rows):
        axis.plot([], [], ls="", label="k/n: k of n seeds ran away")
    axis.set_xticks(range(len(groups)), [_wrapped(name) for name in groups], fontsize=8)
    axis.set(yscale="log", ylim=(low, 1.25 * top), xlim=(-0.5, len(groups) - 0.5), ylabel="mean squared error")
    _decimals(axis)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure


def tiles(result: dict[str, Any]) -> Figure:
    """Left: error against updates with the worst references; right: error at the end against that of the references.

    `result` has `rows` with scheme, offset, error and, of several seeds, error_sd; `updates`; and `curves`: for every
    scheme one a row.
    """
    figure, axes = new_figure(10.0, 4.2, columns=2)
    left, right = axes[0]
    for k, (name, curves) in enumerate(result["curves"].items()):
        rows = [row for row in result["rows"] if row["scheme"] == name]
        offsets, errors = [100 * row["offset"] for row in rows], [row["error"] for row in rows]
        left.plot(result["updates"], curves[int(np.argmax(offsets))], color=COLOURS[k % len(COLOURS)], lw=1.6)
        spread = [row.get("error_sd", 0.0) for row in rows]
        right.errorbar(offsets, errors, spread, label=name, capsize=3, lw=1.4, ms=5, **_style(k) | {"ls": "-"})
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


# experiment → title and drawing of its result
STUDIES = {
    "tiki-taka-regression": ("Error of every scheme with wrong references", tiles),
    "pcm-eprop-table": ("Error of every scheme", schemes),
    "pcm-eprop-effects": ("Error under every effect", schemes),
    "pcm-eprop-life": ("Error on the last patterns", schemes),
}


def cumulative_curve(device: AbstractPulseDevice | None = None, pulses: int = 20) -> Figure:
    """Mean ± s.d. of the conductance after n SET pulses since a RESET, for phase-change memory (default `PCM()`).

    The device as it is and, where its G_max is another, with the 20 µS of the published figure, whose means (released
    code of Demirağ et al., arXiv 2108.01804) stand beside it. InputError for a device of another kind or with
    parameters for many devices, or without a pulse.
    """
    device = PCM() if device is None else device
    if not isinstance(device, PCM):
        raise InputError(
            f"A cumulative curve of SET pulses is drawn for the model PCM; {type(device).__name__} was given."
        )
    if any(np.size(leaf) > 1 for leaf in jax.tree.leaves(device)):
        raise InputError("cumulative_curve draws one device; this one has parameters for many. Take one of them first.")
    if pulses < 1:
        raise InputError(f"pulses is {pulses}; at least 1 is needed.")
    figure, axes = new_figure(6.4, 4.0)
    axis, n = axes[0, 0], np.arange(1, pulses + 1)
    widest = float(device.g_max)
    population = eqx.filter_jit(ramp)
    ranges = [(widest, ACCENT, "-")] + [(WIDEST, MUTED, "--")] * (abs(widest - WIDEST) > 1e-9)
    for g_max, colour, dashes in ranges:
        ranged = eqx.tree_at(lambda d: d.g_max, device, jnp.asarray(g_max))
        stored = 1e6 * np.asarray(population(ranged, pulses, (POPULATION,), key=jax.random.key(0))[1:])
        mean, sd = stored.mean(axis=1), stored.std(axis=1)
        axis.plot(n, mean, color=colour, lw=2, ls=dashes, label=f"mean, G$_{{max}}$ = {1e6 * g_max:g} µS")
        axis.fill_between(n, mean - sd, mean + sd, color=colour, alpha=0.15, lw=0, label="± s.d.")
    axis.plot(PUBLISHED_PULSES, PUBLISHED_MEAN, "o", color=SECOND, ms=5, label="published means, 20 µS")
    axis.set(xlabel="SET pulses since RESET", ylabel="conductance (µS)", xlim=(0, pulses + 0.5))
    axis.set_ylim(bottom=0)
    axis.xaxis.set_major_locator(_whole())
    axis.legend(frameon=False, fontsize=8, loc="lower right")
    return figure
