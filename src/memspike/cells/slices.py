"""Bit slices: a weight written in digits, each digit on a pair of devices of its own."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.cells.base import AbstractCell, Devices, Lines, Real, Weight, shared_range
from memspike.cells.differential import on_sides
from memspike.devices.base import AbstractPulseDevice
from memspike.devices.step import ConstantStep
from memspike.parts.param import Parameter, option, param, part


class BitSliced(AbstractCell):
    """|w| in `digits` digits to the base `base`; digit k counts base^(−k), each on a differential pair.

    w = Σ_k base^(−k)·(G⁺_k − G⁻_k)/unit. `conductances` rounds |w| to the nearest of base^digits levels (straight
    through: its gradient is that of an unrounded weight). A pulse on the weight is one of the last digit; so many
    of them that a higher digit moves by a whole pulse go there. Lines run G⁺ of all digits, most significant first,
    then G⁻.
    """

    device: AbstractPulseDevice = part(ConstantStep, "all devices of the cell")
    digits: int = option(2, "digits of |w|", bounds=(1, 24))
    base: int = option(4, "base of a digit", bounds=(2, 2**24))
    scale: Parameter = param(1.0, "1", "conductance difference of w = 1 over the range of a side", bounds=(1e-6, 1e6))

    def _weights(self) -> Float[Array, " digits"]:
        return jnp.asarray([float(self.base) ** -k for k in range(self.digits)])

    def gains(self) -> Float[Array, " lines"]:
        """±base^(−k)."""
        return jnp.concatenate([self._weights(), -self._weights()])

    def unit(self) -> Float[Array, ""]:
        """scale·(G_max − G_min)·Σ_k base^(−k)."""
        return self.scale * shared_range(self)[1] * self._weights().sum()

    def programmed(self) -> int:
        """All lines."""
        return 2 * self.digits

    def conductances(self, w: Weight) -> Lines:
        """The digits of |w| on the side of its sign."""
        low, width = shared_range(self)
        sides = jnp.stack(on_sides(w, self.scale))
        left = jnp.round(sides * (self.base**self.digits - 1))
        digits = []
        for k in reversed(range(self.digits)):
            digit = jnp.floor(left / self.base**k)
            left = left - digit * self.base**k
            digits.append(digit / (self.base - 1))
        # the same share on every digit is the weight itself: an exact carrier of its gradient
        even = jnp.broadcast_to(sides[:, None], (2, self.digits, *w.shape))
        shares = even + jax.lax.stop_gradient(jnp.stack(digits, axis=1) - even)
        return low + width * shares.reshape(2 * self.digits, *w.shape)

    def complete(self, g: Devices) -> Lines:
        """`g` itself."""
        return g

    def start(self, shape: tuple[int, ...]) -> Real:
        """Nothing is counted."""
        return jnp.zeros(())

    def deal(self, pulses: Weight, counter: Real) -> tuple[Devices, Real]:
        """Whole pulses of higher digits first; upwards to G⁺, downwards to G⁻."""
        left, digits = jnp.abs(pulses), []
        for k in reversed(range(self.digits)):
            digit = jnp.floor(left / self.base**k)
            left = left - digit * self.base**k
            digits.append(digit)
        dealt = jnp.stack(digits)
        return jnp.concatenate([jnp.where(pulses > 0, dealt, 0.0), jnp.where(pulses < 0, dealt, 0.0)]), counter
