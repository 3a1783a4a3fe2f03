"""Several tiles of one device a weight, each against its reference: slow tiles that hold it, fast ones that learn."""

from dataclasses import MISSING

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from memspike.cells.base import AbstractCell, CellState, Devices, Lines, Real, Weight, shared_range
from memspike.cells.single import midpoint
from memspike.devices.base import AbstractPulseDevice
from memspike.parts.param import Parameter, option, param, part
from memspike.parts.random import normal


class Stack(AbstractCell):
    """w = Σ_k γ^k·(G_k − R_k)/(scale·(G_max − G_min)/2): tile 0 is the slow one, the last the fastest.

    With γ = 0, the default, a read sees tile 0 alone, and the others are there for a scheme such as Tiki-Taka to learn
    on. `reference` is R in S, one number or one a device, [rows, columns] or [tiles, rows, columns]: in the middle of
    the range (`midpoint`), at the symmetry point (`at_symmetry_point`), or anywhere beside it. Weights are placed and
    pulsed on tile 0; the other tiles are placed at their references. Lines: all devices, then all references.
    """

    device: AbstractPulseDevice = part(MISSING, "the device of every tile")
    reference: Parameter = param(
        None, "S", "reference conductance", bounds=(0, 1e3), otherwise=lambda given: midpoint(given["device"])
    )
    tiles: int = option(2, "tiles of devices", bounds=(2, 1024))
    gamma: Parameter = param(0.0, "1", "γ: what a tile counts over the one before it", bounds=(0, 1))
    scale: Parameter = param(1.0, "1", "conductance difference of w = 1 over half the range", bounds=(1e-6, 1e6))

    def shares(self) -> Float[Array, " tiles"]:
        """1, γ, γ², …"""
        return jnp.cumprod(jnp.concatenate([jnp.ones(1), jnp.full(self.tiles - 1, self.gamma)]))

    def gains(self) -> Float[Array, " lines"]:
        """γ^k of the devices, −γ^k of the references."""
        return jnp.concatenate([self.shares(), -self.shares()])

    def unit(self) -> Float[Array, ""]:
        """scale·(G_max − G_min)/2."""
        return 0.5 * self.scale * shared_range(self)[1]

    def programmed(self) -> int:
        """One device a tile."""
        return self.tiles

    def conductances(self, w: Weight) -> Lines:
        """Tile 0 at w·unit above its reference, the others at theirs."""
        held = jnp.concatenate([w[None], jnp.zeros((self.tiles - 1, *w.shape), w.dtype)])
        fixed = jnp.broadcast_to(jnp.asarray(self.reference, w.dtype), held.shape)
        return self.complete(jnp.clip(fixed + held * self.unit(), *self.conductance_range()))

    def complete(self, g: Devices) -> Lines:
        """The devices and their references."""
        return jnp.concatenate([g, jnp.broadcast_to(jnp.asarray(self.reference, g.dtype), g.shape)])

    def start(self, shape: tuple[int, ...]) -> Real:
        """Nothing is counted."""
        return jnp.zeros(())

    def deal(self, pulses: Weight, counter: Real) -> tuple[Devices, Real]:
        """All pulses to tile 0."""
        return jnp.concatenate([pulses[None], jnp.zeros((self.tiles - 1, *pulses.shape), pulses.dtype)]), counter

    def read_row(
        self, state: CellState, tile: int, row: Int[Array, "*reads"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "*reads columns"]:
        """(G − R)/unit of one row of a tile at once, or of several; with a key, with the read noise of its devices.

        One normal a device read; a row beyond the last reads as the last.
        """
        moments = self.device.read_moments(state.devices)
        shape = self.device.stored(state.devices).shape
        parts = (*moments, jnp.asarray(self.reference, moments.mean.dtype))
        mean, sd, fixed = (jnp.broadcast_to(x, shape)[tile].at[row].get(mode="clip") for x in parts)
        seen = mean if key is None else mean + sd * normal(key, mean.shape, mean.dtype)
        return (seen - fixed) / self.unit()
