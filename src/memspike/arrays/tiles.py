"""A large matrix on many arrays of limited size."""

from dataclasses import MISSING

import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.devices.part import AbstractPart
from memspike.parts.errors import InputError
from memspike.parts.param import option

Blocks = Float[Array, "down across tile_rows tile_columns"]


class Tiles(AbstractPart):
    """At most `rows` × `columns` devices share wires; the matrix is cut into equal tiles of no more than that.

    Where it does not divide evenly the last tiles are smaller: their missing rows lie far from the sense end and
    their missing columns far from the drivers, where an absent device changes nothing. Partial sums of tiles below
    each other are added behind their converters, or with `analog` as currents in front of one.
    """

    rows: int = option(MISSING, "rows of a tile at the most", bounds=(1, 1_000_000_000))
    columns: int = option(MISSING, "columns of devices of a tile at the most", bounds=(1, 1_000_000_000))
    analog: bool = option(False, "partial sums are added as currents, in front of one converter")

    def check(self, shape: tuple[int, ...], lines: int = 1) -> None:
        """InputError if a tile is larger than a matrix of `shape` physical devices, or narrower than a cell."""
        if self.rows > shape[0] or self.columns > shape[1]:
            raise InputError(
                f"A tile of {self.rows} × {self.columns} devices is larger than the array of {shape[0]} × {shape[1]}; "
                "tiles must fit into it."
            )
        self.check_lines(lines)

    def check_lines(self, lines: int) -> None:
        """InputError if a tile is narrower than a cell with so many lines."""
        if self.columns < lines:
            raise InputError(f"Tiles.columns is {self.columns}; a cell with {lines} lines does not fit.")

    def within(self, shape: tuple[int, ...]) -> "Tiles":
        """These tiles, cut to a matrix of `shape` physical devices."""
        return Tiles(min(self.rows, shape[0]), min(self.columns, shape[1]), self.analog)

    def count(self, shape: tuple[int, ...], lines: int = 1) -> tuple[int, int]:
        """How many tiles lie below and beside each other; the `lines` of a cell are never parted."""
        return -(-shape[0] // self.rows), -(-(shape[1] // lines) // (self.columns // lines))

    def size(self, shape: tuple[int, ...], lines: int = 1) -> tuple[int, int]:
        """Rows and columns of a tile of a matrix of `shape` devices."""
        down, across = self.count(shape, lines)
        return -(-shape[0] // down), -(-(shape[1] // lines) // across) * lines

    def split(self, g: Float[Array, "rows columns"], lines: int = 1) -> Blocks:
        """The tiles of a matrix, absent devices at 0."""
        (down, across), (rows, columns) = self.count(g.shape, lines), self.size(g.shape, lines)
        missing = (down * rows - g.shape[0], across * columns - g.shape[1])
        padded = jnp.pad(g, ((0, 0), (0, missing[1])))
        # absent rows go to the top of the last tile: the end that is far from its sense nodes
        whole = (down - 1) * rows
        padded = jnp.concatenate([padded[:whole], jnp.pad(padded[whole:], ((missing[0], 0), (0, 0)))])
        return jnp.swapaxes(padded.reshape(down, rows, across, columns), 1, 2)

    def join(self, blocks: Blocks, shape: tuple[int, ...]) -> Float[Array, "rows columns"]:
        """The matrix of `shape` back from its tiles."""
        down, across, rows, columns = blocks.shape
        padded = jnp.swapaxes(blocks, 1, 2).reshape(down * rows, across * columns)
        whole, missing = (down - 1) * rows, down * rows - shape[0]
        return jnp.concatenate([padded[:whole], padded[whole + missing :]])[:, : shape[1]]
