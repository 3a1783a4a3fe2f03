"""Figures of networks that learn: losses, outputs, spikes, conductances over time; SET pulses on PCM."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from memspike.devices.base import AbstractPulseDevice
from memspike.devices.pcm import PCM
from memspike.devices.targets import ramp
from memspike.parts.errors import InputError
from memspike.report.figures import ACCENT, MUTED, SECOND, Arrays, band, decimals, new_figure, single, whole

# read off the published figure of the mean after n pulses (released code of arXiv 2108.01804), G_max 20 µS
PUBLISHED_PULSES, PUBLISHED_MEAN = (1, 2, 4, 8, 12, 16, 20), (2.05, 3.4, 5.25, 7.2, 8.25, 8.85, 9.35)
WIDEST, POPULATION = 20e-6, 10000
# a loss so many times that of the zero-output baseline leaves the figure at its top
TOP = 20.0
BIN = 20e-3
PER_LINE = 3
History = list[dict[str, Any]]


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


def _lines(axis: Axes, history: History, key: str, scale: float, lost: float | None) -> None:
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


def _loss(axis: Axes, history: History, baseline: float | None) -> None:
    finite = [row["loss"] for row in history if np.isfinite(row["loss"]) and row["loss"] > 0]
    axis.set(xlabel="epoch", ylabel="training loss" if baseline is None else "mean squared error", yscale="log")
    reference = [] if baseline is None else [baseline]
    if finite:
        _lines(axis, history, "loss", 1.0, 1e3 * max(finite))
        top = max(finite + reference)
        if baseline is not None and top > TOP * baseline:
            top = TOP * baseline
        axis.set_ylim(0.7 * min(finite + reference), 1.4 * max(top, 1.1 * min(finite)))
    else:
        axis.text(0.5, 0.7, "no finite loss in any epoch", ha="center", transform=axis.transAxes)
        axis.set_ylim(*((0.1, 10.0) if baseline is None else (0.3 * baseline, 3 * baseline)))
        axis.set_xlim(0, max([row["epoch"] for row in history], default=1))
    if baseline is not None:
        axis.axhline(baseline, color=SECOND, lw=1.4, ls="--", label=f"zero-output baseline: {baseline:.3f}")
    decimals(axis)


def training_curves(history: History, *, baseline: float | None = None, rate: float | None = None) -> Figure:
    """What metrics.csv knows by epoch: loss (log), test accuracy and firing rate, each where it was measured.

    Every seed, their median and quartiles; a loss that is not finite ranks above all others. `baseline` is
    the mean squared error of a network whose output is zero, `rate` (Hz) the firing rate that is aimed at.
    """
    others = [("test_accuracy", "test accuracy (%)", 100.0), ("rate", "mean firing rate (Hz)", 1.0)]
    others = [one for one in others if _by_epoch(history, one[0])[2].size]
    figure, axes = new_figure(1.2 + 4.2 * (1 + len(others)), 3.4, columns=1 + len(others))
    _loss(axes[0, 0], history, baseline)
    for axis, (key, label, scale) in zip(axes[0, 1:], others, strict=True):
        _lines(axis, history, key, scale, None)
        axis.set(xlabel="epoch", ylabel=label)
        if key == "rate" and rate is not None:
            axis.axhline(rate, color=SECOND, lw=1.4, ls="--", label=f"aimed at: {rate:g} Hz")
        axis.set_ylim(bottom=0)
    for axis in axes.flat:
        axis.legend(frameon=False, fontsize=8, loc="best")
        axis.xaxis.set_major_locator(whole())
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
    shape = {"columns": columns, "rows": 2 * rows, "height_ratios": [3, 1.3] * rows, "sharex": True}
    figure, axes = new_figure(0.8 + 3.6 * columns, 3.9 * rows, **shape)
    rates = [_population_rate(one, dt) for one in z]
    top = 1.15 * max([float(r.max(initial=0.0)) for _, r in rates] + [rate or 1.0])
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
    shape = {"columns": len(names), "rows": 2, "height_ratios": [2, 1.2], "sharex": True}
    figure, axes = new_figure(1.6 + 3.5 * len(names), 5.4, **shape)
    most = max([2.0, *(float(c.max()) for c in counts.values())])
    mesh = None
    for k, name in enumerate(names):
        above, below = axes[:, k]
        seen = np.ma.masked_less(counts[name], 1)
        mesh = above.pcolormesh(edges, borders, seen, norm=LogNorm(1.0, most), cmap="viridis_r", rasterized=True)
        above.set_title(f"{name} weights", fontsize=10)
        above.tick_params(labelbottom=False)
        above.yaxis.set_major_locator(whole())
        below.stairs(counts[name][-1], edges, color=ACCENT, fill=True, alpha=0.35)
        below.stairs(counts[name][-1], edges, color=ACCENT, lw=1.2)
        below.set(yscale="log", ylim=(0.7, 2 * most), xlim=(-1.02 * far, 1.02 * far))
        below.set_title(f"after epoch {epochs[-1]:g}", fontsize=9)
    axes[0, 0].set_ylabel("epoch")
    axes[1, 0].set_ylabel("weights")
    of = "" if devices == 1 else f", mean of {devices} devices a side"
    figure.supxlabel(f"effective conductance G⁺ − G⁻{of} (µS)", fontsize=10)
    if mesh is not None:
        figure.colorbar(mesh, ax=axes[0].tolist(), label="weights")
    return figure


def fields(samples: Arrays) -> Figure:
    """The weights of every neuron as an image `fields` [neurons, side, side], with the number of its shape."""
    images, names = samples["fields"], samples["names"]
    figure, axes = new_figure(1.0 + 1.6 * len(images), 2.2, columns=len(images))
    for k, axis in enumerate(axes[0]):
        axis.imshow(images[k], cmap="viridis", vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[], title=f"{k}: shape {names[k]}" if names[k] >= 0 else f"{k}: no name")
    figure.colorbar(ScalarMappable(Normalize(0, 1), "viridis"), ax=list(axes[0]), label="weight")
    return figure


def recalls(samples: Arrays) -> Figure:
    """Weights sorted by the first pattern, and membranes [patterns, steps, neurons] after one cue of each pattern."""
    v, dt = samples["recalled"], float(samples["dt"])
    figure, axes = new_figure(3.8 + 3.2 * len(v), 3.2, columns=1 + len(v))
    order = np.argsort(-samples["pattern"][0], kind="stable")
    image = axes[0, 0].imshow(samples["w"][np.ix_(order, order)], cmap="RdBu_r", vmin=-1, vmax=1)
    axes[0, 0].set(xlabel="to neuron", ylabel="from neuron", title="weights, pattern 1 first")
    figure.colorbar(image, ax=axes[0, 0])
    t = np.arange(1, v.shape[1] + 1) * dt * 1e3
    for k, axis in enumerate(axes[0, 1:]):
        cued, pattern = samples["cued"][k] > 0, samples["pattern"][k] > 0
        kinds = ((~cued & ~pattern, MUTED, "others"), (cued, SECOND, "cued"), (~cued & pattern, ACCENT, "missing"))
        for chosen, color, label in kinds:
            lines = axis.plot(t, 1e3 * v[k][:, chosen], color=color, lw=0.9)
            lines[0].set_label(label)
        axis.set(xlabel="time (ms)", title=f"cue of pattern {k + 1}")
    axes[0, 1].set_ylabel("membrane (mV)")
    axes[0, 1].legend(frameon=False, fontsize=8)
    return figure


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
    figure, axis = single(6.4, 4.0)
    n = np.arange(1, pulses + 1)
    widest = float(device.g_max)
    population = eqx.filter_jit(ramp)
    ranges = [(widest, ACCENT, "-")] + [(WIDEST, MUTED, "--")] * (abs(widest - WIDEST) > 1e-9)
    for g_max, colour, dashes in ranges:
        ranged = eqx.tree_at(lambda d: d.g_max, device, jnp.asarray(g_max))
        stored = 1e6 * np.asarray(population(ranged, pulses, (POPULATION,), key=jax.random.key(0))[1:])
        label = f"mean ± s.d., G$_{{max}}$ = {1e6 * g_max:g} µS"
        band(axis, n, stored.mean(axis=1), stored.std(axis=1), color=colour, ls=dashes, label=label)
    axis.plot(PUBLISHED_PULSES, PUBLISHED_MEAN, "o", color=SECOND, ms=5, label="published means, 20 µS")
    axis.set(xlabel="SET pulses since RESET", ylabel="conductance (µS)", xlim=(0, pulses + 0.5))
    axis.set_ylim(bottom=0)
    axis.xaxis.set_major_locator(whole())
    axis.legend(frameon=False, fontsize=8, loc="lower right")
    return figure
