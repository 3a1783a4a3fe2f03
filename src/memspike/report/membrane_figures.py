"""Figures of memristive neurons: membranes and networks of them, single spikes, and the window of two waveforms."""

import math
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memspike.devices.memristors import VTEAM
from memspike.learning.rules.waveform_stdp import Waveforms, WaveformSTDP
from memspike.neurons.driver import Driver, SpikeObserver
from memspike.neurons.filters import AlphaFilter
from memspike.neurons.mif import MIF, MIFState
from memspike.report.figures import ACCENT, MUTED, SECOND, Arrays, new_figure, readable, single
from memspike.report.samples import class_name

NEURONS = 60
# on coloured ground, where the page's colour of letters does not count
DARK = "#111111"


def confusion(matrix: Int[np.ndarray, "classes _"]) -> Figure:
    """Counts of true (rows) against predicted class (columns); the diagonal is left uncoloured.

    A column more than there are rows counts examples without a class.
    """
    figure, axis = single(5.2, 4.6)
    errors = matrix.astype(float)
    np.fill_diagonal(errors, np.nan)
    image = axis.imshow(errors, cmap="OrRd", vmin=0)
    for (i, j), count in np.ndenumerate(matrix):
        if count:
            on_colour = "white" if count > 0.6 * np.nanmax(errors) else DARK
            axis.text(j, i, str(count), ha="center", va="center", fontsize=8, color="black" if i == j else on_colour)
    ticks, across = range(len(matrix)), range(matrix.shape[1])
    names = [str(k) if k < len(matrix) else "none" for k in across]
    axis.set(xlabel="predicted class", ylabel="true class", xticks=across, yticks=ticks, xticklabels=names)
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
        won = int(samples["predicted"][i])
        _draw_input(axes[i, 0], samples["images"][i], frames)
        axes[i, 0].set_title(f"true {samples['labels'][i]}, predicted {class_name(won)}", fontsize=9)
        for axis, trace, name in zip(axes[i, 1:], traces, _layer_names(len(traces)), strict=True):
            t, v = np.arange(1, len(trace) + 1) * dt * 1e3, trace[:, i] * 1e3
            if trace is traces[-1]:
                axis.plot(t, v, color=MUTED, lw=0.8)
                if won >= 0:
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
        axis.plot((step + 0.5) * dt * 1e3, neuron, ".", color=DARK, ms=2 if v.shape[1] > 40 else 5)
        axis.set(xlabel="time (ms)", ylabel="neuron", title=f"{name}, {len(step)} crossings of 30 mV")
        figure.colorbar(image, ax=axis, label="membrane − rest (mV)")
    return figure


def conductances(samples: Arrays) -> Figure:
    """Histograms of the devices of both sides, a panel for every crossbar."""
    layers = sum(re.fullmatch(r"g_\d+", name) is not None for name in samples)
    figure, axes = new_figure(4.2 * layers, 3.0, columns=layers)
    recurrent = layers > len(_traces(samples))
    for k, name in enumerate(_matrices(samples, layers) if recurrent else _layer_names(layers)):
        axis = axes[0, k]
        sides = _devices(samples, k)
        bins = np.linspace(min(b.min() for b in sides.values()), max(b.max() for b in sides.values()), 46)
        for (label, values), color in zip(sides.items(), (ACCENT, SECOND, MUTED), strict=False):
            axis.hist(values.ravel(), bins, histtype="step", color=color, label=label, lw=1.4)
        axis.set(xlabel="conductance (µS)", ylabel="devices", yscale="log", title=name)
        axis.legend(frameon=False)
    return figure


def _matrices(samples: Arrays, count: int) -> list[str]:
    """The names of the matrices; of older runs those of layers."""
    named = samples.get("matrices", samples.get("names"))
    return _layer_names(count) if named is None else named.tolist()


def _devices(samples: Arrays, k: int) -> dict[str, Float[np.ndarray, "devices rows columns"]]:
    """Conductances in µS of a matrix by side."""
    g = samples[f"g_{k}"] * 1e6
    gains = samples.get(f"gains_{k}", np.repeat([1.0, -1.0], len(g) // 2))
    alone = (gains > 0).all()
    named = {"G" if alone else "G⁺": gains > 0, "G⁻": gains < 0, "G of no share": gains == 0}
    return {side: g[own] for side, own in named.items() if own.any()}


def _sides(samples: Arrays, k: int) -> dict[str, Float[np.ndarray, "rows columns"]]:
    """The mean of the devices of a side in µS."""
    return {side: g.mean(axis=0) for side, g in _devices(samples, k).items()}


def maps(samples: Arrays) -> Figure:
    """The devices of every matrix as maps, those above and those below 0 apart; of several devices a side the mean."""
    count = sum(re.fullmatch(r"g_\d+", name) is not None for name in samples)
    every = [_sides(samples, k) for k in range(count)]
    rows = max(len(sides) for sides in every)
    figure, axes = new_figure(0.6 + 4.0 * count, 0.2 + 2.7 * rows, columns=count, rows=rows)
    titles = _matrices(samples, count)
    for k, sides in enumerate(every):
        low, high = min(float(g.min()) for g in sides.values()), max(float(g.max()) for g in sides.values())
        for axis in axes[len(sides) :, k]:
            axis.set_axis_off()
        for axis, (side, g) in zip(axes[:, k], sides.items(), strict=False):
            image = axis.imshow(g, aspect="auto", cmap="viridis", vmin=low, vmax=high, interpolation="nearest")
            axis.set(xlabel="column", ylabel="row", title=f"{titles[k]}: {side}")
            axis.spines[:].set_visible(False)
            figure.colorbar(image, ax=axis, label="conductance (µS)")
    return figure


def alpha_response(
    neuron: MIF, peak: float, *, duration: float = 10e-3, dt: float = 10e-6, tau: float = 1e-3
) -> tuple[Float[Array, " steps"], MIFState]:
    """Times in s and the states at the ends of all steps of a neuron at rest under one alpha-shaped
    current of `peak` A and time constant `tau` s.
    """
    steps = round(duration / dt)
    middles = (jnp.arange(steps, dtype=jnp.result_type(float)) + 0.5) * dt
    current = peak * math.e * AlphaFilter(tau=tau).kernel(middles)

    def body(state: MIFState, i: Array) -> tuple[MIFState, MIFState]:
        state, _ = neuron.step(state, i, dt)
        return state, state

    return middles + 0.5 * dt, jax.lax.scan(body, neuron.init(), current)[1]


def spike_figure(neuron: MIF, scale: float = 1.0) -> Figure:
    """Spikes of a neuron for alpha currents of 2, 5, 10 and 20 µA over `scale`, and its memristor M1."""
    figure, axes = new_figure(10.5, 3.2, columns=2)
    left, right = axes[0]
    for peak, shade in zip((2e-6, 5e-6, 10e-6, 20e-6), (0.35, 0.55, 0.75, 1.0), strict=True):
        t, states = alpha_response(neuron, peak / scale)
        color = (0.04, 0.36, 0.68, shade)
        left.plot(np.asarray(t) * 1e3, np.asarray(states.v) * 1e3, color=color, label=f"{peak * 1e6 / scale:g} µA peak")
        right.plot(np.asarray(t) * 1e3, np.asarray(states.x1), color=color)
    left.axhline(float(neuron.rest()) * 1e3, color=MUTED, lw=0.8, ls=":")
    left.set(xlabel="time (ms)", ylabel="membrane (mV)", title="one MIF neuron: spike, undershoot, rest")
    left.legend(frameon=False)
    right.set(xlabel="time (ms)", ylabel="state x₁ of memristor M1", title="the memristor that makes the spike")
    return figure


def stdp_window(
    plasticity: WaveformSTDP, driver: Driver, lags: Float[np.ndarray, " lags"], w: float = 0.5
) -> Float[Array, " lags"]:
    """Δw of a synapse at the weight `w` by one pair of spikes, the post spike `lags` seconds after the pre spike."""
    dt, reach = float(plasticity.dt), float(np.abs(lags).max())
    steps = round((reach * 2 + 10e-3) / dt)
    first = round((reach + 1e-3) / dt)
    pre = jnp.zeros((steps, 1)).at[first].set(1.0)
    post = jnp.zeros((steps, len(lags))).at[first + np.round(lags / dt).astype(int), np.arange(len(lags))].set(1.0)

    @jax.jit
    def run() -> Array:
        waves = Waveforms(driver(pre, dt), driver(post, dt))
        return plasticity.change(jnp.full((1, len(lags)), w), waves)[0]

    return run()


def window_figure(plasticity: WaveformSTDP, driver: Driver, lag: float = 1e-3) -> Figure:
    """Voltage across the synapse for one pair of spikes in either order, and the window of all pairs.

    The thresholds of a VTEAM are drawn.
    """
    dt = float(plasticity.dt)
    lags = np.arange(-8e-3, 8e-3 + dt / 2, max(dt, 0.1e-3))
    figure, axes = new_figure(10.5, 3.4, columns=3)
    steps, first = round(8e-3 / dt), round(1e-3 / dt)
    spikes = jnp.zeros((steps, 2)).at[first, 0].set(1.0).at[first + round(lag / dt), 1].set(1.0)
    v = np.asarray(driver(spikes, dt), dtype=float) * 1e3
    t = np.arange(1, steps + 1) * dt * 1e3 - 1
    axes[0, 0].plot(t, v[:, 0], color=ACCENT, label="pre")
    axes[0, 0].plot(t, v[:, 1], color=SECOND, label="post")
    axes[0, 0].set(xlabel="time (ms)", ylabel="membrane (mV)", title="two MIF neurons")
    across = float(plasticity.gain) * (v[:, 0] - v[:, 1])
    axes[0, 1].plot(t, across, color=ACCENT, label="pre before post")
    axes[0, 1].plot(t, -across, color=SECOND, lw=1, ls="--", label="post before pre")
    for threshold in thresholds(plasticity):
        axes[0, 1].axhline(threshold * 1e3, color=MUTED, lw=0.8, ls=":")
    axes[0, 1].set(xlabel="time (ms)", ylabel="voltage across the synapse (mV)", title="against its thresholds")
    change = np.asarray(stdp_window(plasticity, driver, lags))
    g, unit = readable(change * float(plasticity.cell.unit()), "S")
    axes[0, 2].fill_between(lags * 1e3, g, where=g > 0, color=ACCENT, alpha=0.25, lw=0)
    axes[0, 2].fill_between(lags * 1e3, g, where=g < 0, color=SECOND, alpha=0.25, lw=0)
    axes[0, 2].plot(lags * 1e3, g, color="black", lw=1.2)
    axes[0, 2].axhline(0, color=MUTED, lw=0.8)
    axes[0, 2].set(xlabel="post − pre (ms)", ylabel=f"change of conductance ({unit})", title="the window that emerges")
    for axis in axes[0, :2]:
        axis.legend(frameon=False, fontsize=8)
    return figure


def thresholds(plasticity: WaveformSTDP) -> tuple[float, ...]:
    """The voltages in V beyond which the device of a synapse moves, if it is a VTEAM."""
    law: Any = plasticity.cell.device
    return (float(law.device.v_on), float(law.device.v_off)) if isinstance(law.device, VTEAM) else ()
