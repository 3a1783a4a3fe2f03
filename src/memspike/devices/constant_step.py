"""The ideal device: the same step everywhere."""

from typing import ClassVar

import jax.numpy as jnp

from memspike.devices.base import Real
from memspike.devices.step import AbstractStepDevice
from memspike.parts.param import Parameter, param


class ConstantStep(AbstractStepDevice):
    """g' = g + n/P: linear, symmetric if both pulse counts are equal; hard bounds.

    Valid as the ideal reference, and for devices far from their bounds.
    """

    source: ClassVar[str] = "Gokmen & Vlasov, Front. Neurosci. 10: 333 (2016), doi 10.3389/fnins.2016.00333"

    g_min: Parameter = param(0.1e-6, "S", "lowest conductance", bounds=(0, 1e3))
    g_max: Parameter = param(5e-6, "S", "highest conductance", bounds=(0, 1e3))
    pulses_up: Parameter = param(64.0, "1", "pulses of a full upward sweep", bounds=(0.1, 1e9))
    pulses_down: Parameter = param(64.0, "1", "pulses of a full downward sweep", bounds=(0.1, 1e9))

    def response(self, share: Real, pulses: Real) -> Real:
        """A shift in proportion to the count."""
        per_pulse = jnp.where(pulses > 0, 1 / self.pulses_up, 1 / self.pulses_down)
        return share + pulses * per_pulse
