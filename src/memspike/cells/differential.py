"""Two devices whose conductances are subtracted: one signed weight."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.cells.base import AbstractCell, Devices, Lines, Real, Weight, shared_range
from memspike.cells.write import AbstractWrite, OneSided
from memspike.devices.base import AbstractPulseDevice
from memspike.devices.step import ConstantStep
from memspike.parts.param import Parameter, option, param, part


def _range() -> ConstantStep:
    return ConstantStep(g_min=10e-6, g_max=100e-6)


def on_sides(w: Weight, scale: Parameter) -> tuple[Weight, Weight]:
    """Shares of the range, in [0, 1], of the positive and the negative side; the idle side is at 0."""
    share = jnp.clip(w * scale, -1, 1)
    plus = jnp.maximum(share, 0)
    return plus, plus - share


class DifferentialPair(AbstractCell):
    """A weight w in [−1, 1] is (G⁺ − G⁻)/(scale·(G_max − G_min)); the idle device of a pair stays at G_min.

    A `balanced` pair is placed around the middle of the range instead, at ±w/2: for writes that lower devices, too.
    `write` says which device takes a pulse. The default device is linear between 10 and 100 µS, a
    reconstruction of the upper-resistance end of the RRAM range.
    """

    device: AbstractPulseDevice = part(_range, "both devices of the pair")
    write: AbstractWrite = part(OneSided, "which device takes a pulse")
    scale: Parameter = param(1.0, "1", "conductance difference of w = 1 over the range of a device", bounds=(1e-6, 1e6))
    balanced: bool = option(False, "weights are placed around the middle of the range, at ±w/2")

    def gains(self) -> Float[Array, " lines"]:
        """+1 and −1."""
        return jnp.asarray([1.0, -1.0])

    def unit(self) -> Float[Array, ""]:
        """scale·(G_max − G_min)."""
        return self.scale * shared_range(self)[1]

    def programmed(self) -> int:
        """Both."""
        return 2

    def conductances(self, w: Weight) -> Lines:
        """One device of each pair carries |w|, the other stays at G_min; both share it in a balanced pair."""
        low, width = shared_range(self)
        if self.balanced:
            half = 0.5 * jnp.clip(w * self.scale, -1, 1)
            return low + width * jnp.stack([0.5 + half, 0.5 - half])
        return low + width * jnp.stack(on_sides(w, self.scale))

    def complete(self, g: Devices) -> Lines:
        """`g` itself."""
        return g

    def start(self, shape: tuple[int, ...]) -> Real:
        """Updates that each weight has had."""
        return jnp.zeros(shape)

    def deal(self, pulses: Weight, counter: Real) -> tuple[Devices, Real]:
        """What `write` says."""
        return jnp.stack(self.write.sides(pulses, counter)), counter + (pulses != 0).astype(counter.dtype)
