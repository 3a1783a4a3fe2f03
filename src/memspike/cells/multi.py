"""Several devices a side that take turns: one signed weight with smaller steps and averaged noise."""

from abc import abstractmethod
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.cells.base import AbstractCell, Devices, Lines, Real, Weight, shared_range
from memspike.cells.differential import on_sides
from memspike.cells.write import AbstractWrite, OneSided
from memspike.devices.base import AbstractPulseDevice
from memspike.devices.part import AbstractPart
from memspike.devices.pcm import PCM
from memspike.parts.param import Parameter, option, param, part


class AbstractArbitration(AbstractPart):
    """Where the counter stands that says which device is next. Counts stay exact to 2²⁴ (they run modulo N)."""

    @abstractmethod
    def start(self, shape: tuple[int, ...]) -> Real:
        """The counter of a fresh matrix."""

    @abstractmethod
    def position(self, counter: Real, shape: tuple[int, ...]) -> Real:
        """The index of the next device, [sides, rows, columns]."""

    @abstractmethod
    def after(self, counter: Real, pulses: Float[Array, "sides rows columns"], n: int) -> Real:
        """The counter after `pulses` of either sign went to each side."""


class PerSynapse(AbstractArbitration):
    """Every side of every cell has its own counter, moved on by its own pulses."""

    def start(self, shape: tuple[int, ...]) -> Real:
        """Zeros [sides, rows, columns]."""
        return jnp.zeros((2, *shape))

    def position(self, counter: Real, shape: tuple[int, ...]) -> Real:
        """The counter itself."""
        return counter

    def after(self, counter: Real, pulses: Float[Array, "sides rows columns"], n: int) -> Real:
        """Moved on by the number of pulses."""
        return jnp.mod(counter + jnp.abs(pulses), n)


class GlobalCounter(AbstractArbitration):
    """One counter for the whole array, moved on by a fixed amount at every update: no memory per synapse."""

    increment: int = option(1, "what an update adds to the counter", bounds=(1, 2**24))

    def start(self, shape: tuple[int, ...]) -> Real:
        """One zero."""
        return jnp.zeros(())

    def position(self, counter: Real, shape: tuple[int, ...]) -> Real:
        """The same for all."""
        return jnp.broadcast_to(counter, shape)

    def after(self, counter: Real, pulses: Float[Array, "sides rows columns"], n: int) -> Real:
        """Moved on by `increment`."""
        return jnp.mod(counter + self.increment, n)


class MultiDevice(AbstractCell):
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

    def gains(self) -> Float[Array, " lines"]:
        """N times +1, then N times −1."""
        return jnp.repeat(jnp.asarray([1.0, -1.0]), self.per_side)

    def unit(self) -> Float[Array, ""]:
        """scale·N·(G_max − G_min)."""
        return self.scale * self.per_side * shared_range(self)[1]

    def programmed(self) -> int:
        """All of them."""
        return 2 * self.per_side

    def conductances(self, w: Weight) -> Lines:
        """All devices of a side share its conductance equally."""
        low, width = shared_range(self)
        return low + width * jnp.repeat(jnp.stack(on_sides(w, self.scale)), self.per_side, axis=0)

    def complete(self, g: Devices) -> Lines:
        """`g` itself."""
        return g

    def start(self, shape: tuple[int, ...]) -> tuple[Real, Real]:
        """Updates that each weight has had, and the counter of the arbitration."""
        return jnp.zeros(shape), self.arbitration.start(shape)

    def deal(self, pulses: Weight, counter: tuple[Real, Real]) -> tuple[Devices, tuple[Real, Real]]:
        """The pulses of each side dealt to its devices in turn."""
        turn, place = counter
        sides, n = jnp.stack(self.write.sides(pulses, turn)), self.per_side
        # device k stands (k − position) mod n places behind the next one, and each full round gives it a pulse
        k = jnp.arange(n, dtype=pulses.dtype)[:, None, None, None]
        behind = jnp.mod(k - self.arbitration.position(place, sides.shape)[None], n)
        dealt = jnp.maximum(jnp.floor((jnp.abs(sides)[None] + (n - 1) - behind) / n), 0.0) * jnp.sign(sides)[None]
        lines = jnp.swapaxes(dealt, 0, 1).reshape(2 * n, *pulses.shape)
        return lines, (turn + (pulses != 0).astype(turn.dtype), self.arbitration.after(place, sides, n))
