"""Some of the devices of an array: tiles of it, and rows of tiles, programmed and booked by themselves."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from memspike.arrays.ledger import Ledger

Shape = tuple[int, ...]


class Block(NamedTuple):
    """A block of an array of devices of `shape`: where it starts, and how large it is."""

    shape: Shape
    start: tuple[Any, ...]
    size: Shape

    def of(self, tree: Any) -> Any:
        """What belongs to the block. What all devices share, and what is no array of devices, stays."""

        def one(x: Any) -> Any:
            n = jnp.ndim(x)
            if n < 2 or any(a not in (1, b) for a, b in zip(jnp.shape(x), self.shape[-n:], strict=True)):
                return x
            whole = jnp.broadcast_to(x, self.shape[-n:])
            return jax.lax.dynamic_slice(whole, self.start[-n:], self.size[-n:])

        return jax.tree.map(one, tree)

    def put(self, tree: Any, part: Any) -> Any:
        """`tree` with the block replaced by `part`."""
        return jax.tree.map(
            lambda x, new: jax.lax.dynamic_update_slice(x, new, self.start) if x.shape == self.shape else new,
            tree,
            part,
        )


class Send(NamedTuple):
    """Signed pulses [rows, columns] for a tile, or [columns] for one `row` of it; beyond the last row, for nothing."""

    tile: int
    pulses: Float[Array, "*rows columns"]
    row: Int[Array, ""] | None = None

    def block(self, shape: Shape) -> tuple[Float[Array, "1 rows columns"], Block]:
        """The pulses of a block of an array of `shape` [tiles, rows, columns], and that block."""
        _, rows, columns = shape
        last = 0 if self.row is None else jnp.minimum(self.row, rows - 1)
        start = tuple(jnp.asarray(k, jnp.int32) for k in (self.tile, last, 0))
        if self.row is None:
            return self.pulses[None], Block(shape, start, (1, rows, columns))
        return jnp.where(self.row < rows, self.pulses, 0.0)[None, None], Block(shape, start, (1, 1, columns))

    def where(self, shape: Shape) -> Bool[Array, "..."]:
        """Which devices of the array they go to."""
        tiles, rows, _ = shape
        here = jnp.arange(tiles, dtype=jnp.int32)[:, None, None] == self.tile
        return here if self.row is None else here & (jnp.arange(rows, dtype=jnp.int32)[None, :, None] == self.row)


def together(shape: Shape, sends: Sequence[Send], ledgers: Sequence[Ledger]) -> Ledger:
    """The ledger of an array of `shape`, given those of writes to parts of it that do not overlap."""
    whole = sum((dataclasses.replace(one, wear=None) for one in ledgers[1:]), ledgers[0])
    places = [send.where(shape) for send in sends]

    def one(*parts: Array) -> Array:
        booked = jnp.zeros(shape, parts[0].dtype)
        for here, part in zip(places, parts, strict=True):
            booked = jnp.where(here, part, booked)
        return booked

    return dataclasses.replace(whole, wear=jax.tree.map(one, *(one.worn() for one in ledgers)))
