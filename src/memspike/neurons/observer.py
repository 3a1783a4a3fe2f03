"""A threshold that watches a membrane: for metrics only, never inside a network."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from memspike.devices.part import AbstractPart
from memspike.parts.param import Parameter, param


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
        """Spikes of each neuron over all steps."""
        return self.crossings(v).sum(0)
