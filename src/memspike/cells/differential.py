"""Cells of two sides whose conductances are subtracted: a pair, several devices a side, and bit slices.

And which side takes a pulse, and which device of it.
"""

from abc import abstractmethod
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.cells.base import AbstractCell, Devices, Lines, Real, Weight, shared_range, uncounted
from memspike.devices.base import AbstractPulseDevice
from memspike.devices.part import AbstractPart
from memspike.devices.pcm import PCM
from memspike.devices.step import ConstantStep
from memspike.parts.param import Parameter, option, param, part


class AbstractTwoSided(AbstractCell):
    """As many devices for the positive as for the negative side; lines run G⁺, then G⁻."""

    @abstractmethod
    def shares(self) -> Float[Array, " side"]:
        """How each line of a side counts."""

    def gains(self) -> Float[Array, " lines"]:
        """The shares, first above and then below 0."""
        return jnp.concatenate([self.shares(), -self.shares()])

    def programmed(self) -> int:
        """All lines."""
        return 2 * self.shares().shape[0]

    def complete(self, g: Devices) -> Lines:
        """`g` itself."""
        return g


def on_sides(w: Weight, scale: Parameter) -> tuple[Weight, Weight]:
    """Shares of the range, in [0, 1], of the positive and the negative side; the idle side is at 0."""
    share = jnp.clip(w * scale, -1, 1)
    plus = jnp.maximum(share, 0)
    return plus, plus - share


class AbstractWrite(AbstractPart):
    """Signed pulses on a weight → signed pulses on its two sides; a pulse up on the weight raises G⁺ or lowers G⁻."""

    @abstractmethod
    def sides(self, pulses: Real, turn: Real) -> tuple[Real, Real]:
        """Signed pulses of the positive and the negative side; `turn` counts the updates that each weight has had."""


class OneSided(AbstractWrite):
    """Upwards pulses potentiate G⁺, downwards ones potentiate G⁻: no device is ever depressed, so pairs fill up."""

    def sides(self, pulses: Real, turn: Real) -> tuple[Real, Real]:
        """(n, 0) or (0, |n|)."""
        return jnp.maximum(pulses, 0.0), jnp.maximum(-pulses, 0.0)


class BothSides(AbstractWrite):
    """Push–pull: every pulse goes to both devices with opposite sign."""

    def sides(self, pulses: Real, turn: Real) -> tuple[Real, Real]:
        """(n, −n)."""
        return pulses, -pulses


class Alternate(AbstractWrite):
    """Updates of a weight go to G⁺ and to G⁻ in turn, with opposite sign: half the writes of push–pull."""

    def sides(self, pulses: Real, turn: Real) -> tuple[Real, Real]:
        """(n, 0) at even turns, (0, −n) at odd ones."""
        odd = jnp.mod(turn, 2.0) >= 1.0
        return jnp.where(odd, 0.0, pulses), jnp.where(odd, -pulses, 0.0)


class DifferentialPair(AbstractTwoSided):
    """A weight w in [−1, 1] is (G⁺ − G⁻)/(scale·(G_max − G_min)); the idle device of a pair stays at G_min.

    A `balanced` pair is placed around the middle of the range instead, at ±w/2: for writes that lower devices, too.
    `write` says which device takes a pulse. The default device is linear between 10 and 100 µS, a
    reconstruction of the upper-resistance end of the RRAM range.
    """

    device: AbstractPulseDevice = part(lambda: ConstantStep(g_min=10e-6, g_max=100e-6), "both devices of the pair")
    write: AbstractWrite = part(OneSided, "which device takes a pulse")
    scale: Parameter = param(1.0, "1", "conductance difference of w = 1 over the range of a device", bounds=(1e-6, 1e6))
    balanced: bool = option(False, "weights are placed around the middle of the range, at ±w/2")

    def shares(self) -> Float[Array, " side"]:
        """1."""
        return jnp.ones(1)

    def unit(self) -> Float[Array, ""]:
        """scale·(G_max − G_min)."""
        return self.scale * shared_range(self)[1]

    def conductances(self, w: Weight) -> Lines:
        """One device of each pair carries |w|, the other stays at G_min; both share it in a balanced pair."""
        low, width = shared_range(self)
        if self.balanced:
            half = 0.5 * jnp.clip(w * self.scale, -1, 1)
            return low + width * jnp.stack([0.5 + half, 0.5 - half])
        return low + width * jnp.stack(on_sides(w, self.scale))

    def start(self, shape: tuple[int, ...]) -> Real:
        """Updates that each weight has had."""
        return jnp.zeros(shape)

    def deal(self, pulses: Weight, counter: Real) -> tuple[Devices, Real]:
        """What `write` says."""
        return jnp.stack(self.write.sides(pulses, counter)), counter + (pulses != 0).astype(counter.dtype)


class AbstractArbitration(AbstractPart):
    """Where the counter stands that says which device is next. Counts stay exact to 2²⁴ (they run modulo N)."""

    @abstractmethod
    def start(self, shape: tuple[int, ...]) -> Real:
        """The counter of a fresh matrix, for all or [sides, rows, columns]: the index of the next device."""

    @abstractmethod
    def after(self, counter: Real, pulses: Float[Array, "sides rows columns"], n: int) -> Real:
        """The counter after `pulses` of either sign went to each side."""


class PerSynapse(AbstractArbitration):
    """Every side of every cell has its own counter, moved on by its own pulses."""

    def start(self, shape: tuple[int, ...]) -> Real:
        """Zeros [sides, rows, columns]."""
        return jnp.zeros((2, *shape))

    def after(self, counter: Real, pulses: Float[Array, "sides rows columns"], n: int) -> Real:
        """Moved on by the number of pulses."""
        return jnp.mod(counter + jnp.abs(pulses), n)


class GlobalCounter(AbstractArbitration):
    """One counter for the whole array, moved on by a fixed amount at every update: no memory per synapse."""

    increment: int = option(1, "what an update adds to the counter", bounds=(1, 2**24))

    def start(self, shape: tuple[int, ...]) -> Real:
        """One zero."""
        return jnp.zeros(())

    def after(self, counter: Real, pulses: Float[Array, "sides rows columns"], n: int) -> Real:
        """Moved on by `increment`."""
        return jnp.mod(counter + self.increment, n)


class MultiDevice(AbstractTwoSided):
    """N devices a side, summed; w in [−1, 1] is (ΣG⁺ − ΣG⁻)/(scale·N·(G_max − G_min)).

    Pulses on a side go to its devices in turn (cyclic arbitration), so n pulses give each device n/N of them and
    one pulse is worth 1/N of what it is in a pair.
    """

    source: ClassVar[str] = "Boybat et al., Nat. Commun. 9: 2514 (2018), doi 10.1038/s41467-018-04933-y"

    device: AbstractPulseDevice = part(PCM, "all devices of the cell")
    per_side: int = option(4, "devices N a side", bounds=(1, 1024))
    write: AbstractWrite = part(OneSided, "which side takes a pulse")
    arbitration: AbstractArbitration = part(PerSynapse, "which device of a side is next")
    scale: Parameter = param(1.0, "1", "conductance difference of w = 1 over the range of a side", bounds=(1e-6, 1e6))

    def shares(self) -> Float[Array, " side"]:
        """N times 1."""
        return jnp.ones(self.per_side)

    def unit(self) -> Float[Array, ""]:
        """scale·N·(G_max − G_min)."""
        return self.scale * self.per_side * shared_range(self)[1]

    def conductances(self, w: Weight) -> Lines:
        """All devices of a side share its conductance equally."""
        low, width = shared_range(self)
        return low + width * jnp.repeat(jnp.stack(on_sides(w, self.scale)), self.per_side, axis=0)

    def start(self, shape: tuple[int, ...]) -> tuple[Real, Real]:
        """Updates that each weight has had, and the counter of the arbitration."""
        return jnp.zeros(shape), self.arbitration.start(shape)

    def deal(self, pulses: Weight, counter: tuple[Real, Real]) -> tuple[Devices, tuple[Real, Real]]:
        """The pulses of each side dealt to its devices in turn."""
        turn, place = counter
        sides, n = jnp.stack(self.write.sides(pulses, turn)), self.per_side
        # device k stands (k − position) mod n places behind the next one, and each full round gives it a pulse
        k = jnp.arange(n, dtype=pulses.dtype)[:, None, None, None]
        behind = jnp.mod(k - jnp.broadcast_to(place, sides.shape)[None], n)
        dealt = jnp.maximum(jnp.floor((jnp.abs(sides)[None] + (n - 1) - behind) / n), 0.0) * jnp.sign(sides)[None]
        lines = jnp.swapaxes(dealt, 0, 1).reshape(2 * n, *pulses.shape)
        return lines, (turn + (pulses != 0).astype(turn.dtype), self.arbitration.after(place, sides, n))


class BitSliced(AbstractTwoSided):
    """|w| in `digits` digits to the base `base`; digit k counts base^(−k), each on a differential pair.

    w = Σ_k base^(−k)·(G⁺_k − G⁻_k)/unit. `conductances` rounds |w| to the nearest of base^digits levels (straight
    through: its gradient is that of an unrounded weight). A pulse on the weight is one of the last digit; so many
    of them that a higher digit moves by a whole pulse go there. Lines run G⁺ of all digits, most significant first,
    then G⁻.
    """

    start = uncounted

    device: AbstractPulseDevice = part(ConstantStep, "all devices of the cell")
    digits: int = option(2, "digits of |w|", bounds=(1, 24))
    base: int = option(4, "base of a digit", bounds=(2, 2**24))
    scale: Parameter = param(1.0, "1", "conductance difference of w = 1 over the range of a side", bounds=(1e-6, 1e6))

    def shares(self) -> Float[Array, " side"]:
        """base^(−k)."""
        return jnp.asarray([float(self.base) ** -k for k in range(self.digits)])

    def unit(self) -> Float[Array, ""]:
        """scale·(G_max − G_min)·Σ_k base^(−k)."""
        return self.scale * shared_range(self)[1] * self.shares().sum()

    def _digits(self, left: Real) -> list[Real]:
        """The digits of whole numbers, the most significant first; what is beyond all digits counts in it."""
        digits = []
        for k in reversed(range(self.digits)):
            digits.append(jnp.floor(left / self.base**k))
            left = left - digits[-1] * self.base**k
        return digits

    def conductances(self, w: Weight) -> Lines:
        """The digits of |w| on the side of its sign."""
        low, width = shared_range(self)
        sides = jnp.stack(on_sides(w, self.scale))
        digits = self._digits(jnp.round(sides * (self.base**self.digits - 1)))
        # the same share on every digit is the weight itself: an exact carrier of its gradient
        even = jnp.broadcast_to(sides[:, None], (2, self.digits, *w.shape))
        shares = even + jax.lax.stop_gradient(jnp.stack([digit / (self.base - 1) for digit in digits], axis=1) - even)
        return low + width * shares.reshape(2 * self.digits, *w.shape)

    def deal(self, pulses: Weight, counter: Real) -> tuple[Devices, Real]:
        """Whole pulses of higher digits first; upwards to G⁺, downwards to G⁻."""
        dealt = jnp.stack(self._digits(jnp.abs(pulses)))
        return jnp.concatenate([jnp.where(pulses > 0, dealt, 0.0), jnp.where(pulses < 0, dealt, 0.0)]), counter
