"""The figure of a spiking neuron: membrane and memristor states under alpha-shaped current."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from memspike.neurons.filters import AlphaFilter
from memspike.neurons.mif import MIF, MIFState
from memspike.report.figures import MUTED, new_figure


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
