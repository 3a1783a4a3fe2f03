"""Figures of a run, drawn from its files."""

import re
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memspike.neurons.observer import SpikeObserver
from memspike.parts import units

ACCENT, SECOND, MUTED = "#0b5cad", "#c8501e", "#8a8f98"
Arrays = dict[str, np.ndarray]


def readable(values: Any, unit: str) -> tuple[Float[np.ndarray, "..."], str]:
    """Values with the prefix that keeps their numbers short."""
    values = np.asarray(values, dtype=float)
    scale, prefixed = units.scaled(float(np.nanmax(np.abs(values))), unit)
    return values / scale, prefixed


def new_figure(width: float, height: float, columns: int = 1, rows: int = 1) -> tuple[Figure, Any]:
    """A figure with a grid of axes, always two-dimensional, without the upper and right frame."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _milliseconds(steps: int, dt: float) -> Float[np.ndarray, " steps"]:
    return np.arange(1, steps + 1) * dt * 1e3


def curves(history: list[dict[str, float]]) -> Figure:
    """Training loss and test accuracy by epoch: one line a seed, the mean on top."""
    figure, axes = new_figure(9.0, 3.2, columns=2)
    epochs = sorted({int(row["epoch"]) for row in history})
    for axis, key, label, scale in (
        (axes[0, 0], "loss", "training loss", 1.0),
        (axes[0, 1], "test_accuracy", "test accuracy (%)", 100.0),
    ):
        table = np.array([[row[key] * scale for row in history if int(row["epoch"]) == e] for e in epochs])
        axis.plot(epochs, table, color=MUTED, lw=0.8, alpha=0.7)
        axis.plot(epochs, table.mean(axis=1), color=ACCENT, lw=2, label=f"mean of {table.shape[1]}")
        axis.set(xlabel="epoch", ylabel=label)
        axis.legend(frameon=False)
    axes[0, 0].set_yscale("log")
    return figure


def confusion(matrix: Int[np.ndarray, "classes classes"]) -> Figure:
    """Counts of true (rows) against predicted class (columns); the diagonal is left uncoloured."""
    figure, axes = new_figure(5.2, 4.6)
    axis: Axes = axes[0, 0]
    errors = matrix.astype(float)
    np.fill_diagonal(errors, np.nan)
    image = axis.imshow(errors, cmap="OrRd", vmin=0)
    for (i, j), count in np.ndenumerate(matrix):
        if count:
            dark = i != j and count > 0.6 * np.nanmax(errors)
            axis.text(j, i, str(count), ha="center", va="center", fontsize=8, color="white" if dark else "black")
    ticks = range(len(matrix))
    axis.set(xlabel="predicted class", ylabel="true class", xticks=ticks, yticks=ticks)
    axis.spines[:].set_visible(False)
    figure.colorbar(image, ax=axis, label="errors")
    return figure


def _layer_names(count: int) -> list[str]:
    return [f"hidden layer {k + 1}" for k in range(count - 1)] + ["output layer"]


def _traces(samples: Arrays) -> list[Float[np.ndarray, "steps images neurons"]]:
    return [samples[f"trace_{k}"] for k in range(sum(name.startswith("trace_") for name in samples))]


def _draw_input(axis: Axes, image: UInt8[np.ndarray, "height width"], frames: bool) -> None:
    """An image as it is, or a spectrogram with time to the right and the low channels below."""
    if not frames:
        axis.imshow(image, cmap="gray_r")
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        return
    axis.imshow(image.T, cmap="gray_r", origin="lower", aspect="auto")
    axis.set(xlabel="frame", ylabel="channel")


def waveforms(samples: Arrays, frames: bool = False) -> Figure:
    """For each sample input: the image, or the spectrogram heard frame by frame, then hidden and output membranes."""
    traces = _traces(samples)
    n = len(samples["images"])
    figure, axes = new_figure(3 + 3.4 * len(traces), 2.3 * n, columns=1 + len(traces), rows=n)
    dt = float(samples["dt"])
    for i in range(n):
        _draw_input(axes[i, 0], samples["images"][i], frames)
        axes[i, 0].set_title(f"true {samples['labels'][i]}, predicted {samples['predicted'][i]}", fontsize=9)
        for k, (trace, name) in enumerate(zip(traces, _layer_names(len(traces)), strict=True)):
            axis = axes[i, 1 + k]
            t = _milliseconds(len(trace), dt)
            if k == len(traces) - 1:
                for c in range(trace.shape[-1]):
                    won = c == samples["predicted"][i]
                    axis.plot(t, trace[:, i, c] * 1e3, color=ACCENT if won else MUTED, lw=2 if won else 0.8)
            else:
                axis.plot(t, trace[:, i, :60] * 1e3, lw=0.6, alpha=0.7)
            axis.set(ylabel="membrane (mV)", title=name if i == 0 else "")
            if i == n - 1:
                axis.set_xlabel("time (ms)")
    return figure


def rasters(samples: Arrays) -> Figure:
    """Membranes of every layer as colour over time for the first image; crossings of 30 mV as dots."""
    traces = _traces(samples)
    figure, axes = new_figure(4.2 * len(traces), 3.6, columns=len(traces))
    dt = float(samples["dt"])
    observer = SpikeObserver()
    for k, (trace, name) in enumerate(zip(traces, _layer_names(len(traces)), strict=True)):
        axis, v = axes[0, k], trace[:, 0, :]
        swing = max(float(np.abs(v - samples["rest"][k]).max()) * 1e3, 1.0)
        extent = (0.0, len(v) * dt * 1e3, -0.5, v.shape[1] - 0.5)
        image = axis.imshow(
            (v.T - samples["rest"][k]) * 1e3,
            aspect="auto",
            origin="lower",
            extent=extent,
            cmap="RdBu_r",
            vmin=-swing,
            vmax=swing,
        )
        step, neuron = np.nonzero(np.asarray(observer.crossings(jnp.asarray(v))))
        axis.plot((step + 0.5) * dt * 1e3, neuron, "k.", ms=2 if v.shape[1] > 40 else 5)
        axis.set(xlabel="time (ms)", ylabel="neuron", title=f"{name}, {len(step)} crossings of 30 mV")
        figure.colorbar(image, ax=axis, label="membrane − rest (mV)")
    return figure


def conductances(samples: Arrays) -> Figure:
    """Histograms of both devices of the pairs, a panel a layer."""
    layers = sum(re.fullmatch(r"g_\d+", name) is not None for name in samples)
    figure, axes = new_figure(4.2 * layers, 3.0, columns=layers)
    for k in range(layers):
        axis = axes[0, k]
        lines = samples[f"g_{k}"] * 1e6
        both = [half.ravel() for half in np.split(lines, 2)]
        bins = np.linspace(min(b.min() for b in both), max(b.max() for b in both), 46)
        for values, color, label in zip(both, (ACCENT, SECOND), ("G⁺", "G⁻"), strict=True):
            axis.hist(values, bins, histtype="step", color=color, label=label, lw=1.4)
        axis.set(xlabel="conductance (µS)", ylabel="devices", yscale="log", title=_layer_names(layers)[k])
        axis.legend(frameon=False)
    return figure


def over_time(rows: list[dict[str, Any]]) -> Figure:
    """Accuracy of aged chips against the time since programming: mean and s.d. of the chips, a line a compensation."""
    figure, axes = new_figure(7.0, 3.6)
    axis = axes[0, 0]
    for name, colour in zip(dict.fromkeys(r["compensation"] for r in rows), (MUTED, ACCENT, SECOND), strict=False):
        own = [r for r in rows if r["compensation"] == name]
        ages = np.maximum([r["age_s"] for r in own], 1e-6)
        mean, sd = (100 * np.array([r[f"accuracy_{k}"] for r in own]) for k in ("mean", "sd"))
        label = "without compensation" if name == "none" else f"compensation: {name}"
        axis.errorbar(ages, mean, sd, color=colour, label=label, lw=1.8, capsize=3, marker="o", ms=4)
    axis.set(xscale="log", xlabel="time since programming", ylabel="test accuracy (%)", title="inference over time")
    marks = {"1 s": 1, "1 min": 60, "1 h": 3600, "1 d": 86400, "1 month": 2629746, "1 y": 31556952}
    low, high = axis.get_xlim()
    shown = {name: at for name, at in marks.items() if low <= at <= high}
    axis.set_xticks(list(shown.values()), list(shown))
    axis.minorticks_off()
    axis.legend(frameon=False)
    return figure


def wire_study(rows: list[dict[str, Any]]) -> Figure:
    """Accuracy against wire resistance: a panel a tile size, trained with the wires and with ideal ones."""
    tiles = list(dict.fromkeys(r["tile"] for r in rows))
    figure, axes = new_figure(4.6 * len(tiles), 3.6, columns=len(tiles))
    for axis, tile in zip(axes[0], tiles, strict=True):
        for trained, colour in (("ideal wires", SECOND), ("with its wires", ACCENT)):
            own = [r for r in rows if r["tile"] == tile and r["trained"] == trained]
            ohms = [r["r_ohm"] for r in own]
            mean, sd = (100 * np.array([r[f"accuracy_{k}"] for r in own]) for k in ("mean", "sd"))
            label = f"trained {'with' if trained != 'ideal wires' else 'without'} the wires"
            axis.errorbar(ohms, mean, sd, color=colour, label=label, lw=1.8, capsize=3, marker="o", ms=4)
        axis.set(xscale="log", xlabel="wire resistance per segment (Ω)", ylabel="test accuracy (%)")
        axis.set(title=f"tiles of {tile} × {tile} devices")
        ohms = sorted({r["r_ohm"] for r in rows})
        axis.set_xticks(ohms, [f"{r:g}" for r in ohms])
        axis.minorticks_off()
        axis.legend(frameon=False)
    low = min(axis.get_ylim()[0] for axis in axes[0])
    for axis in axes[0]:
        axis.set_ylim(low, max(a.get_ylim()[1] for a in axes[0]))
    return figure


def speakers(rows: list[dict[str, Any]]) -> Figure:
    """Accuracy for each speaker who was left out of the training: mean and s.d. of the seeds, and the mean of all."""
    figure, axes = new_figure(6.0, 3.4)
    axis = axes[0, 0]
    mean, sd = (100 * np.array([r[f"accuracy_{k}"] for r in rows]) for k in ("mean", "sd"))
    axis.bar([r["speaker"] for r in rows], mean, 0.6, yerr=sd, color=ACCENT, capsize=3)
    axis.axhline(mean.mean(), color=MUTED, lw=1.2, ls="--", label=f"mean {mean.mean():.1f} %")
    axis.set(xlabel="speaker never heard in training", ylabel="test accuracy (%)", ylim=(0, 100))
    axis.legend(frameon=False, loc="lower right")
    return figure


# experiment → title and drawing of its rows
STUDIES = {
    "wire-study": ("Accuracy against wire resistance", wire_study),
    "memprop-spoken-speakers": ("Accuracy for a new speaker", speakers),
}


def overview(samples: Arrays, accuracy: float) -> Figure:
    """One row that shows a trained network at work: image, hidden membranes, outputs."""
    traces = _traces(samples)
    figure, axes = new_figure(10.5, 2.9, columns=3)
    dt = float(samples["dt"])
    t = _milliseconds(len(traces[0]), dt)
    axes[0, 0].imshow(samples["images"][0], cmap="gray_r")
    axes[0, 0].set(xticks=[], yticks=[], title="input: row pulses")
    axes[0, 0].spines[:].set_visible(False)
    axes[0, 1].plot(t, traces[0][:, 0, :60] * 1e3, lw=0.7, alpha=0.8)
    axes[0, 1].set(xlabel="time (ms)", ylabel="membrane (mV)", title="hidden MIF neurons")
    won = int(samples["predicted"][0])
    for c in range(traces[-1].shape[-1]):
        style = {"color": ACCENT, "lw": 2.2, "label": f"class {c}"} if c == won else {"color": MUTED, "lw": 0.9}
        axes[0, 2].plot(t, traces[-1][:, 0, c] * 1e3, **style)
    axes[0, 2].set(xlabel="time (ms)", ylabel="membrane (mV)", title=f"output MIF neurons, {accuracy:.1%} correct")
    axes[0, 2].legend(frameon=False)
    return figure
