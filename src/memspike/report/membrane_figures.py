"""Figures of a classifier trained through the equations of its neurons: membranes, conductances, confusion."""

import re

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memspike.neurons.driver import SpikeObserver
from memspike.report.figures import ACCENT, MUTED, SECOND, Arrays, new_figure, single

NEURONS = 60


def confusion(matrix: Int[np.ndarray, "classes classes"]) -> Figure:
    """Counts of true (rows) against predicted class (columns); the diagonal is left uncoloured."""
    figure, axis = single(5.2, 4.6)
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


def waveforms(samples: Arrays, *, frames: bool = False, number: int | None = None) -> Figure:
    """For each of `number` samples the input, then hidden and output membranes; of the outputs the winner is coloured.

    Inputs are images, or, as `frames`, spectrograms.
    """
    traces, dt = _traces(samples), float(samples["dt"])
    n = len(samples["images"]) if number is None else number
    figure, axes = new_figure(3 + 3.4 * len(traces), 2.3 * n, columns=1 + len(traces), rows=n)
    for i in range(n):
        won = samples["predicted"][i]
        _draw_input(axes[i, 0], samples["images"][i], frames)
        axes[i, 0].set_title(f"true {samples['labels'][i]}, predicted {won}", fontsize=9)
        for axis, trace, name in zip(axes[i, 1:], traces, _layer_names(len(traces)), strict=True):
            t, v = np.arange(1, len(trace) + 1) * dt * 1e3, trace[:, i] * 1e3
            if trace is traces[-1]:
                axis.plot(t, v, color=MUTED, lw=0.8)
                axis.plot(t, v[:, won], color=ACCENT, lw=2)
            else:
                axis.plot(t, v[:, :NEURONS], lw=0.6, alpha=0.7)
            axis.set(ylabel="membrane (mV)", title="" if i else name, xlabel="time (ms)" if i == n - 1 else "")
    return figure


def rasters(samples: Arrays) -> Figure:
    """Membranes of every layer as colour over time for the first image; crossings of 30 mV as dots."""
    traces, dt = _traces(samples), float(samples["dt"])
    figure, axes = new_figure(4.2 * len(traces), 3.6, columns=len(traces))
    observer = SpikeObserver()
    for k, (trace, name) in enumerate(zip(traces, _layer_names(len(traces)), strict=True)):
        axis, v = axes[0, k], trace[:, 0, :]
        above = 1e3 * (v.T - samples["rest"][k])
        swing = max(float(np.abs(above).max()), 1.0)
        extent = (0.0, len(v) * dt * 1e3, -0.5, v.shape[1] - 0.5)
        limits = {"vmin": -swing, "vmax": swing}
        image = axis.imshow(above, aspect="auto", origin="lower", extent=extent, cmap="RdBu_r", **limits)
        step, neuron = np.nonzero(np.asarray(observer.crossings(jnp.asarray(v))))
        axis.plot((step + 0.5) * dt * 1e3, neuron, "k.", ms=2 if v.shape[1] > 40 else 5)
        axis.set(xlabel="time (ms)", ylabel="neuron", title=f"{name}, {len(step)} crossings of 30 mV")
        figure.colorbar(image, ax=axis, label="membrane − rest (mV)")
    return figure


def conductances(samples: Arrays) -> Figure:
    """Histograms of both devices of the pairs, a panel for every layer."""
    layers = sum(re.fullmatch(r"g_\d+", name) is not None for name in samples)
    figure, axes = new_figure(4.2 * layers, 3.0, columns=layers)
    for k, name in enumerate(_layer_names(layers)):
        axis = axes[0, k]
        both = [half.ravel() for half in np.split(samples[f"g_{k}"] * 1e6, 2)]
        bins = np.linspace(min(b.min() for b in both), max(b.max() for b in both), 46)
        for values, color, label in zip(both, (ACCENT, SECOND), ("G⁺", "G⁻"), strict=True):
            axis.hist(values, bins, histtype="step", color=color, label=label, lw=1.4)
        axis.set(xlabel="conductance (µS)", ylabel="devices", yscale="log", title=name)
        axis.legend(frameon=False)
    return figure
