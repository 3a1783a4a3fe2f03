"""Dead cells."""

from typing import ClassVar

import jax.numpy as jnp

from memspike.devices.base import AbstractPulseDevice, Real
from memspike.devices.soft_bounds import SoftBounds
from memspike.devices.variation.base import AbstractReadVariation
from memspike.parts.param import Parameter, param, part


class StuckCells(AbstractReadVariation):
    """Cells that no pulse moves: `fault` −1 is stuck at G_min, +1 at G_max, 0 works."""

    source: ClassVar[str] = (
        "definition; measured shares of dead cells: Gong et al., IEDM 2022, IEEE 10019569 (aihwkit ReRamArray presets)"
    )

    device: AbstractPulseDevice = part(SoftBounds, "the device inside")
    fault: Parameter = param(0.0, "1", "−1 stuck at G_min, 0 works, +1 stuck at G_max", bounds=(-1, 1))

    def held(self, g: Real) -> Real:
        """The bound where the cell is stuck."""
        return jnp.where(self.fault > 0.5, self.g_max, jnp.where(self.fault < -0.5, self.g_min, g))

    def seen(self, memory: tuple[()], g: Real) -> Real:
        """The bound where the cell is stuck: no drift, no noise."""
        return self.held(g)
