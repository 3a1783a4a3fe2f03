"""From spike times to the membranes of neurons that are made to spike at them, and from membranes to spikes."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from memspike.devices.part import AbstractPart
from memspike.neurons.base import AbstractNeuron
from memspike.neurons.filters import AlphaFilter
from memspike.neurons.mif import MIF
from memspike.parts.param import Parameter, param, part


class Driver(AbstractPart):
    """Every spike injects one alpha-shaped current of `peak` A into the neuron of its line.

    With the defaults a spike of the published MIF neuron rises 102 mV above rest within 60 µs, is over after 0.44 ms,
    and undershoots by 9 mV with a recovery of some 3 ms. Values of the current: a reconstruction.
    """

    neuron: AbstractNeuron = part(MIF, "the neuron that is made to spike")
    filter: AlphaFilter = part(lambda: AlphaFilter(tau=0.1e-3), "shape of the current of one spike")
    peak: Parameter = param(5e-6, "A", "peak of the current of one spike", bounds=(0, 1))

    def current(self, spikes: Float[Array, "steps lines"], dt: float) -> Float[Array, "steps lines"]:
        """Injected currents in A in the middle of every step, for spikes (0 or 1) at the starts of steps."""
        steps = jnp.arange(spikes.shape[0], dtype=spikes.dtype)
        since = (steps[:, None] - steps[None, :] + 0.5) * dt
        return self.peak * math.e * self.filter.kernel(since) @ spikes

    def __call__(self, spikes: Float[Array, "steps lines"], dt: float) -> Float[Array, "steps lines"]:
        """Membrane voltages in V at the end of every step, from rest."""
        start = self.neuron.init(spikes.shape[1:])
        return jax.lax.scan(lambda s, i: self.neuron.step(s, i, dt), start, self.current(spikes, dt))[1]


class SpikeObserver(AbstractPart):
    """Counts upward crossings of `threshold` by a membrane voltage.

    The membrane itself is the output of a MIF neuron; this is a Heaviside observer without reset, as in
    the released binary-spike variant, and has no gradient.
    """

    threshold: Parameter = param(30e-3, "V", "voltage above which a spike is counted", bounds=(-10, 10))

    def crossings(self, v: Float[Array, "steps *shape"]) -> Bool[Array, "steps *shape"]:
        """True at the steps where `v` in V rises through the threshold; a start above it counts."""
        above = v > self.threshold
        before = jnp.concatenate([jnp.zeros_like(above[:1]), above[:-1]])
        return above & ~before

    def count(self, v: Float[Array, "steps *shape"]) -> Int[Array, "*shape"]:
        """Spikes of each neuron over all steps of its membrane `v` in V."""
        return self.crossings(v).sum(0)
