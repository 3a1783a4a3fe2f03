"""One device against a fixed reference at a share of its range: weights without a sign, or with few below zero."""

from dataclasses import MISSING

import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.cells.base import AbstractCell, Devices, Lines, Real, Weight, shared_range
from memspike.devices.base import AbstractPulseDevice
from memspike.parts.param import Parameter, param, part


class RangeReference(AbstractCell):
    """A weight w is (G − G_ref)/(G_max − G_min) with G_ref = G_min + share·(G_max − G_min): w in [−share, 1 − share].

    With the share 0 weights lie in [0, 1]. The reference takes no pulses, and is that of the mean range for every cell.
    """

    device: AbstractPulseDevice = part(MISSING, "the device of the cell")
    share: Parameter = param(0.0, "1", "where the reference lies in the range of the device", bounds=(0, 1))

    def reference(self) -> Float[Array, ""]:
        """G_ref in S."""
        low, width = shared_range(self)
        return low + self.share * width

    def gains(self) -> Float[Array, " lines"]:
        """+1 for the device, −1 for the reference."""
        return jnp.asarray([1.0, -1.0])

    def unit(self) -> Float[Array, ""]:
        """G_max − G_min."""
        return shared_range(self)[1]

    def programmed(self) -> int:
        """The device."""
        return 1

    def conductances(self, w: Weight) -> Lines:
        """The device at w·unit above its reference."""
        return self.complete(self.clip((self.reference() + w * self.unit())[None]))

    def complete(self, g: Devices) -> Lines:
        """The device and its reference."""
        return jnp.concatenate([g, jnp.broadcast_to(self.reference().astype(g.dtype), g.shape)])

    def start(self, shape: tuple[int, ...]) -> Real:
        """Nothing is counted."""
        return jnp.zeros(())

    def deal(self, pulses: Weight, counter: Real) -> tuple[Devices, Real]:
        """All pulses to the device."""
        return pulses[None], counter
