"""Figures of plasticity: the window that two waveforms make, and what networks that learned by it hold."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from memspike.devices.memristors import VTEAM
from memspike.learning.rules.waveform_stdp import Waveforms, WaveformSTDP
from memspike.neurons.driver import Driver
from memspike.report.figures import ACCENT, MUTED, SECOND, Arrays, new_figure, readable


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
