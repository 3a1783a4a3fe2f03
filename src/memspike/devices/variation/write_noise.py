"""Noise that stays with what was written until the next write."""

from typing import Any, ClassVar

import jax.numpy as jnp

from memspike.devices.base import AbstractPulseDevice, Key, Real, span
from memspike.devices.soft_bounds import SoftBounds
from memspike.devices.variation.base import AbstractVariation, Varied
from memspike.parts.param import Parameter, param, part
from memspike.parts.random import normal


class WriteNoise(AbstractVariation):
    """After every write, reads see the conductance with one fixed Gaussian offset of s.d. `level`·range.

    The hidden conductance keeps the update: the write noise of aihwkit's presets.
    """

    source: ClassVar[str] = "aihwkit write_noise_std: Rasch et al., arXiv 2104.02184 (2021)"

    device: AbstractPulseDevice = part(SoftBounds, "the device inside")
    level: Parameter = param(0.0, "1", "s.d. of the offset over the range", bounds=(0, 10))

    def start(self, g: Real) -> Real:
        """No offset."""
        return jnp.zeros_like(g)

    def written(self, before: Varied, after: Any, pulses: Real, *, key: Key) -> Varied:
        """A new offset for what was written."""
        if key is None:
            return Varied(after, jnp.where(pulses == 0, before.memory, 0.0))
        drawn = self.level * span(self) * normal(key, before.memory.shape)
        return Varied(after, jnp.where(pulses == 0, before.memory, drawn))

    def held(self, g: Real) -> Real:
        """The hidden conductance."""
        return g

    def seen(self, memory: Real, g: Real) -> Real:
        """The conductance with its offset, not below zero."""
        return jnp.maximum(g + memory, 0.0)
