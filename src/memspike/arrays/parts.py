"""Some of the devices of an array: tiles of it, and rows of tiles, programmed and booked by themselves."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from memspike.arrays.ledger import Ledger

Shape = tuple[int, ...]


class Send(NamedTuple):
    """Signed pulses [rows, columns] for a tile, or [reads, columns] for rows `row` of it: none beyond the last row."""

    tile: int
    pulses: Float[Array, "rows columns"]
    row: Int[Array, " reads"] | None = None

    def dealt(self, rows: int) -> Float[Array, "1 rows columns"]:
        """The pulses, none of them beyond the last of so many rows."""
        if self.row is None:
            return self.pulses[None]
        return jnp.where((self.row < rows)[:, None], self.pulses, 0.0)[None]

    def part(self, tree: Any, shape: Shape) -> Any:
        """The devices that they go to, of an array of `shape` [tiles, rows, columns].

        What all devices share, and what is no array of devices, stays.
        """

        def one(x: Any) -> Any:
            n = jnp.ndim(x)
            if n < 2 or any(a not in (1, b) for a, b in zip(jnp.shape(x), shape[-n:], strict=True)):
                return x
            whole = jnp.broadcast_to(x, shape[-n:])
            tile = whole[self.tile] if n == len(shape) else whole
            here = tile if self.row is None else tile.at[self.row].get(mode="clip")
            return here[None] if n == len(shape) else here

        return jax.tree.map(one, tree)

    def put(self, tree: Any, part: Any, shape: Shape) -> Any:
        """`tree` with these devices replaced by `part`."""

        def one(x: Array, new: Array) -> Array:
            if x.shape != shape:
                return new
            if self.row is None:
                return x.at[self.tile].set(new[0])
            return x.at[self.tile, self.row].set(new[0], mode="drop")

        return jax.tree.map(one, tree, part)

    def over(self, under: Array, part: Array, shape: Shape) -> Array:
        """`part` where these devices are in an array of `shape`, `under` elsewhere: a choice, no scatter.

        XLA makes a choice in the same pass as what is done with it.
        """
        here = jax.lax.broadcasted_iota(jnp.int32, shape, 0) == self.tile
        if self.row is None:
            return jnp.where(here, part, under)
        if self.row.size == 1:
            return jnp.where(here & (jax.lax.broadcasted_iota(jnp.int32, shape, 1) == self.row[0]), part, under)
        plane = jnp.zeros(shape[1:], part.dtype).at[self.row].set(part[0], mode="drop")
        reached = jnp.zeros(shape[1], bool).at[self.row].set(True, mode="drop")
        return jnp.where(here & reached[None, :, None], plane[None], under)


def together(shape: Shape, sends: Sequence[Send], ledgers: Sequence[Ledger]) -> Ledger:
    """The ledger of an array of `shape`, given those of writes to parts of it that do not overlap."""
    whole = sum((dataclasses.replace(one, wear=None) for one in ledgers[1:]), ledgers[0])

    def one(*parts: Array) -> Array:
        booked = jnp.zeros((), parts[0].dtype)
        for send, part in zip(sends, parts, strict=True):
            booked = send.over(booked, part, shape)
        return booked

    return dataclasses.replace(whole, wear=jax.tree.map(one, *(one.worn() for one in ledgers)))
