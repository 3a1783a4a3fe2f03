"""Neurons with analog spikes in a network that counts in weights: a filter before them, a buffer behind them."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.devices.part import AbstractPart
from memspike.neurons.base import AbstractNeuron
from memspike.neurons.filters import AbstractFilter, ExponentialFilter
from memspike.neurons.mif import MIF
from memspike.parts.param import Parameter, param, part

Real = Float[Array, "..."]


class AnalogState(NamedTuple):
    """States of filter and neuron, what the neuron sends, and whether its membrane has just crossed the threshold."""

    filter: Any
    neuron: Any
    z: Real
    crossed: Real


class Analog(AbstractPart):
    """A membrane that drives rows by its own voltage: it sends z = (v − rest)/voltage, of either sign.

    A drive of 1 is the column current of a row at `voltage` through a weight of 1. Nothing compares v with a threshold;
    `threshold` only counts spikes.
    """

    neuron: AbstractNeuron = part(MIF, "the neuron")
    filter: AbstractFilter = part(lambda: ExponentialFilter(tau=0.1e-3), "filter of the column currents")
    current: Parameter = param(20e-6, "A", "column current of a drive of 1", bounds=(0, 1e3))
    voltage: Parameter = param(0.2, "V", "row voltage of z = 1", bounds=(1e-6, 1e3))
    threshold: Parameter = param(30e-3, "V", "membrane voltage above which a spike is counted", bounds=(-10, 10))

    def init(self, shape: tuple[int, ...] = ()) -> AnalogState:
        """`shape` neurons at rest, silent."""
        zero = jnp.zeros(shape)
        return AnalogState(self.filter.init(shape), self.neuron.init(shape), zero, zero)

    def step(self, state: AnalogState, drive: Real, dt: float) -> AnalogState:
        """One step of `dt` seconds under a drive in units of weight."""
        before = self.neuron.voltage(state.neuron)
        filter, current = self.filter.step(state.filter, self.current * drive, dt)
        neuron, v = self.neuron.step(state.neuron, current, dt)
        crossed = (v > self.threshold) & ~(before > self.threshold)
        return AnalogState(filter, neuron, (v - self.neuron.rest()) / self.voltage, crossed.astype(v.dtype))

    def spikes(self, states: AnalogState) -> Real:
        """Upward crossings, 0 or 1."""
        return states.crossed

    def height(self, states: AnalogState) -> Real:
        """By which the first of several spikes in a step is told: the membrane above rest."""
        return states.z

    def inhibited(self, state: AnalogState, z: Real, left: Real) -> AnalogState:
        """The state once all neurons are silenced for `left` more steps, 0 for none: held at rest, filters empty."""
        rest = self.init(z.shape)
        return jax.tree.map(lambda a, b: jnp.where(left > 0, jnp.broadcast_to(a, b.shape), b), rest, state)
