"""Noise of every write, fresh from pulse to pulse."""

from typing import Any, ClassVar

import jax.numpy as jnp

from memspike.devices.base import AbstractPulseDevice, Key, Real, span
from memspike.devices.soft_bounds import SoftBounds
from memspike.devices.variation.base import AbstractWriteVariation, Varied
from memspike.parts.param import Parameter, param, part
from memspike.parts.random import normal


class CycleToCycle(AbstractWriteVariation):
    """Every write of n pulses misses its mean by a Gaussian error, √n times that of one pulse.

    The s.d. of one pulse is the sum of a share of the range (`up`, `down`), of the conductance above G_min
    (`proportional`) and of the mean step (`relative`). Order: update, noise, clip. The share of the range alone is
    NeuroSim's cycle-to-cycle variation; the other two are those of aihwkit's step devices.
    """

    source: ClassVar[str] = (
        "NeuroSim user manual V3.0: Chen, Peng & Yu, IEEE TCAD 37(12): 3067 (2018), doi 10.1109/TCAD.2018.2789723; "
        "aihwkit: Rasch et al., arXiv 2104.02184 (2021)"
    )

    device: AbstractPulseDevice = part(SoftBounds, "the device inside")
    up: Parameter = param(0.0, "1", "s.d. of one upward pulse over the range", bounds=(0, 10))
    down: Parameter = param(0.0, "1", "s.d. of one downward pulse over the range", bounds=(0, 10))
    proportional: Parameter = param(0.0, "1", "s.d. of one pulse over G − G_min", bounds=(0, 10))
    relative: Parameter = param(0.0, "1", "s.d. of one pulse over its mean step", bounds=(0, 1e3))

    def start(self, g: Real) -> tuple[()]:
        """Nothing is remembered."""
        return ()

    def written(self, before: Varied, after: Any, pulses: Real, *, key: Key) -> Varied:
        """The inner device displaced by the error."""
        if key is None:
            return Varied(after, ())
        old, new = self.device.stored(before.inner), self.device.stored(after)
        root = jnp.sqrt(jnp.abs(pulses))
        fixed = span(self) * jnp.where(pulses > 0, self.up, self.down) + self.proportional * (old - self.g_min)
        spread = fixed * root + self.relative * jnp.abs(new - old) / jnp.maximum(root, 1.0)
        missed = new + jnp.where(pulses == 0, 0.0, spread) * normal(key, new.shape)
        return Varied(self.device.place(after, missed), ())
