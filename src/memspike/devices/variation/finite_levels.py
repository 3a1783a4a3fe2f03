"""Reads of a device with few levels."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from memspike.devices.base import AbstractPulseDevice, Real, span
from memspike.devices.soft_bounds import SoftBounds
from memspike.devices.variation.base import AbstractReadVariation
from memspike.parts.param import Parameter, param, part


class FiniteLevels(AbstractReadVariation):
    """Reads see the nearest of `levels` equidistant conductances; the hidden state stays continuous.

    So small pulses still add up inside, as in a filament that must cross a barrier to show a new level.
    """

    source: ClassVar[str] = (
        "definition; level counts of devices: NeuroSim user manual V3.0, doi 10.1109/TCAD.2018.2789723"
    )

    device: AbstractPulseDevice = part(SoftBounds, "the device inside")
    levels: Parameter = param(64.0, "1", "number of distinct conductances", bounds=(2, 1e6))

    def held(self, g: Real) -> Real:
        """The hidden conductance."""
        return g

    def seen(self, memory: tuple[()], g: Real) -> Real:
        """The nearest level; the gradient is that of the hidden conductance (straight through)."""
        step = span(self) / (self.levels - 1)
        nearest = self.g_min + jnp.round((g - self.g_min) / step) * step
        return g + jax.lax.stop_gradient(nearest - g)
