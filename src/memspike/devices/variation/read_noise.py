"""White noise of single reads, around any pulse device."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from memspike.devices.base import AbstractPulseDevice, Key, Moments, Pulses, Real, Seconds, clipped
from memspike.devices.step import SoftBounds
from memspike.devices.variation.wrappers import AbstractWrapper
from memspike.parts.param import Parameter, param, part
from memspike.parts.random import normal


class ReadNoise(AbstractWrapper):
    """A read with a key sees G + N(0, offset² + (slope·G)²), not below zero; what is stored is left alone."""

    source: ClassVar[str] = "definition: noise of the read circuit and relative noise of the device, independent"

    device: AbstractPulseDevice = part(SoftBounds, "the device inside")
    slope: Parameter = param(0.0, "1", "s.d. of a read that grows with G, per conductance", bounds=(0, 10))
    offset: Parameter = param(0.0, "S", "s.d. of a read at G = 0", bounds=(0, 1))

    def init(self, shape: tuple[int, ...] = (), *, key: Key = None) -> Any:
        """Fresh devices; the state is that of the device inside."""
        return self.device.init(shape, key=key)

    def program(self, state: Any, pulses: Pulses, *, key: Key = None) -> Any:
        """The device inside is programmed."""
        return self.device.program(state, pulses, key=key)

    def reset(self, state: Any, *, key: Key = None) -> Any:
        """The device inside is RESET."""
        return self.device.reset(state, key=key)

    def place(self, state: Any, g: Real, *, key: Key = None) -> Any:
        """The device inside is placed."""
        return self.device.place(state, g, key=key)

    def stored(self, state: Any) -> Real:
        """The programmed conductance in S."""
        return self.device.stored(state)

    def wait(self, state: Any, dt: Seconds) -> Any:
        """Time passes for the device inside."""
        return self.device.wait(state, dt)

    def _variance(self, g: Real) -> Real:
        return self.offset**2 + (self.slope * g) ** 2

    def conductance(self, state: Any, t: Seconds = 0.0, *, key: Key = None) -> Real:
        """What a read sees in `t` seconds, in S; with a key, one noisy read."""
        if key is None:
            return self.device.conductance(state, t)
        theirs, own = jax.random.split(key)
        g = self.device.conductance(state, t, key=theirs)
        return jnp.maximum(g + _root(self._variance(self.device.conductance(state, t))) * normal(own, g.shape), 0.0)

    def read_moments(self, state: Any, t: Seconds = 0.0) -> Moments:
        """Both noises together as a Gaussian that is clipped at 0."""
        inner, own = self.device.read_moments(state, t), self._variance(self.device.conductance(state, t))
        return clipped(inner.mean, _root(inner.sd**2 + own), 0.0, jnp.inf)


def _root(variance: Real) -> Real:
    """The square root, with slope 0 at 0."""
    return jnp.where(variance > 0, jnp.sqrt(jnp.where(variance > 0, variance, 1.0)), 0.0)
