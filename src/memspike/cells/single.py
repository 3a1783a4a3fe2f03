"""One device against a fixed reference: one signed weight."""

from dataclasses import MISSING

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from memspike.cells.base import AbstractCell, Devices, Lines, Real, Weight, shared_range
from memspike.devices.asymmetry import symmetry_points
from memspike.devices.base import AbstractPulseDevice
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, param, part


def midpoint(device: AbstractPulseDevice) -> Float[Array, ""]:
    """The reference in S in the middle of the mean range."""
    return 0.5 * (jnp.mean(jnp.asarray(device.g_min)) + jnp.mean(jnp.asarray(device.g_max)))


def at_symmetry_point(device: AbstractPulseDevice, shape: tuple[int, ...] = ()) -> Real:
    """The conductances in S where an upward and a downward pulse are equal on average, device by device.

    `shape` is that of the devices if their parameters differ: [rows, columns]. InputError for a device without
    such a point. A reference programmed there is what zero-shifting aims at (Kim et al., arXiv 1907.10228).
    """
    g = symmetry_points(device, shape)
    if not np.isfinite(np.asarray(g)).all():
        raise InputError(
            f"{type(device).__name__} has no symmetry point inside its range for "
            f"{int((~np.isfinite(np.asarray(g))).sum())} of {np.size(g)} devices; give another reference."
        )
    return g


class SingleReference(AbstractCell):
    """A weight w is (G − G_ref)/(scale·(G_max − G_min)/2); G_ref is a resistor that takes no pulses.

    With the reference in the middle of the range (`midpoint`) w lies in [−1, 1]; with one at the symmetry point of
    the device (`at_symmetry_point`) the range of w shifts. `reference` may differ from cell to cell.
    """

    device: AbstractPulseDevice = part(MISSING, "the device of the cell")
    reference: Parameter = param(
        None, "S", "reference conductance", bounds=(0, 1e3), otherwise=lambda given: midpoint(given["device"])
    )
    scale: Parameter = param(1.0, "1", "conductance difference of w = 1 over half the range", bounds=(1e-6, 1e6))

    def gains(self) -> Float[Array, " lines"]:
        """+1 for the device, −1 for the reference."""
        return jnp.asarray([1.0, -1.0])

    def unit(self) -> Float[Array, ""]:
        """scale·(G_max − G_min)/2."""
        return 0.5 * self.scale * shared_range(self)[1]

    def programmed(self) -> int:
        """The device."""
        return 1

    def conductances(self, w: Weight) -> Lines:
        """The device at w·unit above its reference."""
        return self.complete(jnp.clip(self.reference + w * self.unit(), *self.conductance_range())[None])

    def complete(self, g: Devices) -> Lines:
        """The device and its reference."""
        return jnp.concatenate([g, jnp.broadcast_to(jnp.asarray(self.reference, g.dtype), g.shape)])

    def start(self, shape: tuple[int, ...]) -> Real:
        """Nothing is counted."""
        return jnp.zeros(())

    def deal(self, pulses: Weight, counter: Real) -> tuple[Devices, Real]:
        """All pulses to the device."""
        return pulses[None], counter
