"""A large matrix on many arrays of limited size; tiles, and rows of them, programmed and booked by themselves."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from memspike.arrays.ledger import Ledger
from memspike.arrays.wear import Marks, Part
from memspike.devices import pulse_course
from memspike.devices import rows as device_rows
from memspike.devices.base import Key
from memspike.devices.coincidences import Coincidences, counted
from memspike.devices.part import AbstractPart
from memspike.devices.pulse_course import Moved
from memspike.devices.variation.wrappers import Varied
from memspike.parts import kernels
from memspike.parts.errors import InputError
from memspike.parts.param import option

Blocks = Float[Array, "down across tile_rows tile_columns"]
Shape = tuple[int, ...]


class Tiles(AbstractPart):
    """At most `rows` × `columns` devices share wires; the matrix is cut into equal tiles of no more than that.

    Where it does not divide evenly the last tiles are smaller: their missing rows lie far from the sense end and
    their missing columns far from the drivers, where an absent device changes nothing. Partial sums of tiles below
    each other are added behind their converters, or with `analog` as currents in front of one.
    """

    rows: int = option(dataclasses.MISSING, "rows of a tile at the most", bounds=(1, 1_000_000_000))
    columns: int = option(dataclasses.MISSING, "columns of devices of a tile at the most", bounds=(1, 1_000_000_000))
    analog: bool = option(False, "partial sums are added as currents, in front of one converter")

    def check(self, shape: Shape, lines: int = 1) -> None:
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

    def within(self, shape: Shape) -> "Tiles":
        """These tiles, cut to a matrix of `shape` physical devices."""
        return Tiles(min(self.rows, shape[0]), min(self.columns, shape[1]), self.analog)

    def count(self, shape: Shape, lines: int = 1) -> tuple[int, int]:
        """How many tiles lie below and beside each other; the `lines` of a cell are never parted."""
        return -(-shape[0] // self.rows), -(-(shape[1] // lines) // (self.columns // lines))

    def size(self, shape: Shape, lines: int = 1) -> tuple[int, int]:
        """Rows and columns of a tile of a matrix of `shape` devices."""
        down, across = self.count(shape, lines)
        return -(-shape[0] // down), -(-(shape[1] // lines) // across) * lines

    def split(self, g: Float[Array, "rows columns"], lines: int = 1) -> Blocks:
        """The tiles [down, across, rows, columns] of a matrix of conductances in S, absent devices at 0."""
        (down, across), (rows, columns) = self.count(g.shape, lines), self.size(g.shape, lines)
        missing = (down * rows - g.shape[0], across * columns - g.shape[1])
        padded = jnp.pad(g, ((0, 0), (0, missing[1])))
        # absent rows go to the top of the last tile: the end that is far from its sense nodes
        whole = (down - 1) * rows
        padded = jnp.concatenate([padded[:whole], jnp.pad(padded[whole:], ((missing[0], 0), (0, 0)))])
        return jnp.swapaxes(padded.reshape(down, rows, across, columns), 1, 2)

    def join(self, blocks: Blocks, shape: Shape) -> Float[Array, "rows columns"]:
        """The matrix of `shape` back from its tiles."""
        down, across, rows, columns = blocks.shape
        padded = jnp.swapaxes(blocks, 1, 2).reshape(down * rows, across * columns)
        whole, missing = (down - 1) * rows, down * rows - shape[0]
        return jnp.concatenate([padded[:whole], padded[whole + missing :]])[:, : shape[1]]


class Send(NamedTuple):
    """Signed pulses [rows, columns] for a tile, or [reads, columns] for rows `row` of it: none beyond the last row."""

    tile: int
    pulses: Float[Array, "rows columns"] | Coincidences
    row: Int[Array, " reads"] | None = None

    @property
    def alone(self) -> bool:
        """Whether they go to a whole tile, or to one row."""
        return self.row is None or self.row.size == 1

    def given(self) -> Any:
        """The pulses of one tile."""
        return self.pulses if isinstance(self.pulses, Coincidences) else self.pulses[None]

    def span(self, rows: int) -> Int[Array, "2"]:
        """The first of the rows that they go to, tiles of so many rows one below the other, and how many there are."""
        if self.row is None:
            return jnp.asarray([self.tile * rows, rows], jnp.int32)
        row = self.row[0].astype(jnp.int32)
        return jnp.stack([self.tile * rows + row, (row < rows).astype(jnp.int32)])

    def moved(self, device: Any, state: Any, shape: Shape, *, key: Key) -> Moved | None:
        """The devices of an array of `shape` after the pulses, where there is a kernel that moves them in place."""
        g = state.inner if isinstance(state, Varied) else state
        if not isinstance(g, jax.Array) or g.shape != shape or not pulse_course.known(device, g):
            return None
        return pulse_course.moved_at(device, state, self.given(), self.span(shape[1]), key=key)

    def dealt(self, rows: int) -> Float[Array, "1 rows columns"]:
        """The pulses, none of them beyond the last of so many rows."""
        pulses = counted(self.pulses)
        if self.row is None:
            return pulses[None]
        return jnp.where((self.row < rows)[:, None], pulses, 0.0)[None]

    def part(self, tree: Any, shape: Shape) -> Any:
        """The devices that they go to, of an array of `shape` (`devices.rows.part_of`)."""
        return device_rows.part_of(tree, shape, self.tile, self.row)

    def put(self, tree: Any, part: Any, shape: Shape) -> Any:
        """`tree` with these devices replaced by `part`."""

        def one(x: Array, new: Array) -> Array:
            if x.shape != shape:
                return new
            if self.row is None:
                return x.at[self.tile].set(new[0])
            return x.at[self.tile, self.row].set(new[0], mode="drop")

        return jax.tree.map(one, tree, part)

    def booked(self, part: Part, shape: Shape) -> list[Part]:
        """The pulses of a part of these devices, in an array of `shape`: of a tile, or row by row."""
        first, rows = self.tile * shape[1], shape[1]
        if self.alone:
            return [Part(part.pulses, *self.span(rows))]
        assert self.row is not None
        pulses: Any = part.pulses
        each = [(pulses[:, k : k + 1], self.row[k].astype(jnp.int32)) for k in range(self.row.size)]
        return [Part(n, first + row, (row < rows).astype(jnp.int32)) for n, row in each]

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
    total = sum((dataclasses.replace(one, wear=None) for one in ledgers[1:]), ledgers[0])
    wear: list[Any] = [each.worn() for each in ledgers]
    energy: Any = sum((each.energy for each in wear[1:]), wear[0].energy)
    resets = [each.erased for each in wear]
    erased = None if resets[0] is None else _laid(shape, sends, resets)
    pairs = list(zip(sends, wear, strict=True))
    if kernels.available():
        parts = tuple(x for send, marks in pairs for part in marks.parts for x in send.booked(part, shape))
    else:
        each = [send.dealt(shape[1]) for send in sends]
        parts = (Part.of(_laid(shape, sends, each)),)
    return dataclasses.replace(total, wear=Marks(erased, energy, parts, shape))


def _laid(shape: Shape, sends: Sequence[Send], parts: Sequence[Array]) -> Array:
    """An array of `shape` of what belongs to the devices of every send, 0 elsewhere."""
    found = jnp.zeros((), parts[0].dtype)
    for send, part in zip(sends, parts, strict=True):
        found = send.over(found, part, shape)
    return found
