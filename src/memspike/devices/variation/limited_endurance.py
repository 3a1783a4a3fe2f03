"""Devices that wear out."""

from typing import Any, ClassVar

import jax.numpy as jnp

from memspike.devices.base import AbstractPulseDevice, Key, Real, select
from memspike.devices.soft_bounds import SoftBounds
from memspike.devices.variation.base import AbstractWriteVariation, Varied
from memspike.parts.param import Parameter, param, part


class LimitedEndurance(AbstractWriteVariation):
    """A device answers to `endurance` pulses in its life and then stays where it is."""

    source: ClassVar[str] = (
        "definition; endurance differs by orders of magnitude between devices, see Yu, doi 10.1109/JPROC.2018.2790840"
    )

    device: AbstractPulseDevice = part(SoftBounds, "the device inside")
    endurance: Parameter = param(1e6, "1", "pulses until the device stops to answer", bounds=(0, 1e18))

    def start(self, g: Real) -> Real:
        """No pulse used."""
        return jnp.zeros_like(g)

    def written(self, before: Varied, after: Any, pulses: Real, *, key: Key) -> Varied:
        """The device as it was once its pulses are used up."""
        alive = before.memory < self.endurance
        return Varied(select(alive, after, before.inner), before.memory + jnp.abs(pulses))
