"""What every device took, counted where it happens: pulses up and down, RESETs, and the energy of all.

A write touches few of many counters. Pulses since a while ago are kept in 16 bits for both directions, which a kernel
moves to the full counters of a row before one of them could overflow; the counts are exact at any time. Marks are
pulses of a write that have not been counted yet.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float, Int, UInt16

from memspike.arrays.sums import FULL, Total, count_sum
from memspike.devices.base import Real
from memspike.devices.coincidences import Coincidences, pulses_of
from memspike.parts import kernels
from memspike.parts.errors import InputError
from memspike.parts.kernels import Kernel

if TYPE_CHECKING:
    from memspike.parts.lanes import Lanes, Words
    from memspike.parts.writer import Place, Writer
else:
    Lanes = Place = Words = Writer = Any

BYTE, MOST = 8, 255
Counts = Int[Array, "*chips lines rows columns"]


def whole(number: Real) -> Int[Array, "..."]:
    """Counts of pulses: a broken one counts."""
    return jnp.ceil(number).astype(jnp.int32)


class Part(NamedTuple):
    """Signed pulses of rows of an array: of those from row `first` on, all lines one below the other, `number` of them.

    Pulses [lines, rows, columns] of a whole array begin at row 0.
    """

    pulses: Float[Array, "*lines rows columns"] | Coincidences
    first: Int[Array, ""]
    number: Int[Array, ""]

    @staticmethod
    def of(pulses: Any) -> "Part":
        """The pulses of a whole array."""
        shape = pulses.shape
        rows = shape[0] * shape[1] if len(shape) == 3 else shape[0]
        return Part(pulses, jnp.int32(0), jnp.int32(rows))

    def map(self, shape: tuple[int, ...]) -> Float[Array, "*chips lines rows columns"]:
        """Signed pulses of every device of an array of that shape."""
        if jnp.ndim(self.first):
            return jax.vmap(lambda part: part.map(shape))(self)
        n = self.pulses.counts() if isinstance(self.pulses, Coincidences) else self.pulses
        if n.size == math.prod(shape):
            return n.reshape(shape)
        n, rows = n.reshape(-1, shape[-1]), jnp.arange(shape[0] * shape[1], dtype=jnp.int32)
        own = rows - self.first
        inside = (own >= 0) & (own < self.number)
        found = jnp.where(inside[:, None], n[jnp.clip(own, 0, len(n) - 1)], 0.0)
        return found.reshape(shape)


class AbstractWear(eqx.Module):
    """Pulses up and down, and RESETs, of every device [*chips, lines, rows, columns], and the energy of all in J."""

    erased: eqx.AbstractVar[Counts | None]
    energy: eqx.AbstractVar[Total]

    @property
    @abstractmethod
    def up(self) -> Counts:
        """Pulses up of every device."""

    @property
    @abstractmethod
    def down(self) -> Counts:
        """Pulses down of every device."""

    @property
    def resets(self) -> Counts:
        """Full RESETs of every device."""
        return jnp.zeros_like(self.up) if self.erased is None else self.erased


class Marks(AbstractWear):
    """Pulses of writes to an array of `shape` that are not counted yet. They add to a `Wear`, or to those of others.

    `erased` is None where nothing was RESET.
    """

    erased: Counts | None
    energy: Total
    parts: tuple[Part, ...]
    shape: tuple[int, ...] = eqx.field(static=True)

    @property
    def of_all(self) -> tuple[int, ...]:
        """The shape of the devices of all chips."""
        return (*jnp.shape(self.energy.high), *self.shape)

    def _sum(self, sign: float) -> Counts:
        none = jnp.zeros(self.of_all, jnp.int32)
        each = [whole(jnp.maximum(sign * part.map(self.shape), 0.0)) for part in self.parts]
        return sum(each[1:], each[0]) if each else none

    @property
    def up(self) -> Counts:
        """Pulses up of every device."""
        return self._sum(1.0)

    @property
    def down(self) -> Counts:
        """Pulses down of every device."""
        return self._sum(-1.0)

    def __add__(self, other: Any) -> Any:
        _check(self.of_all, other.of_all if isinstance(other, Marks) else other.up.shape)
        if isinstance(other, Wear):
            return other + self
        assert isinstance(other, Marks)
        erased = _both(self.erased, other.erased)
        return Marks(erased, self.energy + other.energy, (*self.parts, *other.parts), self.shape)


class Wear(AbstractWear):
    """Counters: full ones, those of pulses since a while ago (up in the low byte, down in the high one), and how many
    more every device of a row can take in these.

    `erased` is None where nothing was RESET: adding nothing to a large array still takes its time.
    """

    erased: Counts | None
    energy: Total
    full_up: Counts
    full_down: Counts
    recent: UInt16[Array, "*chips lines rows columns"]
    room: Int[Array, "*chips lines rows"]

    @staticmethod
    def new(shape: tuple[int, ...]) -> "Wear":
        """Of devices [lines, rows, columns] that took nothing."""
        none = jnp.zeros(shape, jnp.int32)
        room = jnp.full(shape[:-1], MOST, jnp.int32)
        return Wear(none, Total.of(0.0), none, none, jnp.zeros(shape, jnp.uint16), room)

    @property
    def up(self) -> Counts:
        """Pulses up of every device."""
        return count_sum(self.full_up, (self.recent & MOST).astype(jnp.int32))

    @property
    def down(self) -> Counts:
        """Pulses down of every device."""
        return count_sum(self.full_down, (self.recent >> BYTE).astype(jnp.int32))

    def __add__(self, other: AbstractWear) -> "Wear":
        _check(self.full_up.shape, other.of_all if isinstance(other, Marks) else other.up.shape)
        erased, energy = _both(self.erased, other.erased), self.energy + other.energy
        if isinstance(other, Marks):
            maps = self.full_up, self.full_down, self.recent, self.room
            for part in other.parts:
                maps = _counted(maps, part)
            return Wear(erased, energy, *maps)
        up, down = count_sum(self.up, other.up), count_sum(self.down, other.down)
        room = jnp.full_like(self.room, MOST)
        return Wear(erased, energy, up, down, jnp.zeros_like(self.recent), room)


def _check(ours: tuple[int, ...], theirs: tuple[int, ...]) -> None:
    if ours != theirs:
        raise InputError(
            f"Ledgers of arrays of {ours} and {theirs} devices cannot be added; [lines, rows, columns] must agree."
        )


def _both(a: Counts | None, b: Counts | None) -> Counts | None:
    return b if a is None else a if b is None else count_sum(a, b)


Maps = tuple[Any, Any, Any, Any]


def _counted(maps: Maps, part: Part) -> Maps:
    """The counters after the pulses of a part."""
    shape, single = maps[0].shape, jnp.result_type(float) == jnp.float32
    usable = len(shape) == 3 and maps[0].size > 0 and single and kernels.available()
    if not usable:
        n = part.map(shape if len(shape) == 3 else shape[-3:])
        up, down = (count_sum(x, whole(jnp.maximum(s * n, 0.0))) for x, s in zip(maps[:2], (1.0, -1.0), strict=True))
        return up, down, *maps[2:]
    pulses = tuple(part.pulses) if isinstance(part.pulses, Coincidences) else (part.pulses,)
    span = jnp.stack([part.first, part.number])
    return _by_kernel(maps, pulses, span)


@jax.custom_vjp
def _by_kernel(maps: Maps, pulses: tuple[Array, ...], span: Int[Array, "2"]) -> Maps:
    # arrays stay as they are: a change of their shape would keep XLA from counting where they are
    return _kernel(len(pulses) > 1, 3, 3)(*maps, *pulses, span)  # pyright: ignore[reportReturnType]


def _forward(maps: Maps, pulses: tuple[Array, ...], span: Array) -> tuple[Maps, tuple[Array, ...]]:
    return _by_kernel(maps, pulses, span), pulses


def _backward(pulses: tuple[Array, ...], wanted: Any) -> tuple[Any, ...]:
    """Counts have no slope."""
    return None, tuple(jnp.zeros_like(x) if jnp.issubdtype(x.dtype, jnp.inexact) else None for x in pulses), None


_by_kernel.defvjp(_forward, _backward)


@cache
def _kernel(bits: bool, rank: int, of_pulses: int) -> Callable[..., tuple[Any, ...]]:
    """(up, down, recent [*chips, lines, rows, columns], room [*chips, lines, rows], pulses, rows from where and how
    many [*chips, 2]) → the counters afterwards.

    Pulses are an array of any number of axes, or the `bits` and signs of rows and columns [*chips, …].
    """
    inputs = 6 + 3 * bits
    source = (4, rank - 2) if bits else (4, of_pulses)
    kernel = Kernel(
        f"memspike_wear_{bits:d}{rank}{of_pulses}",
        inputs,
        4,
        ((0, rank), source, (inputs - 1, rank - 2)),
        partial(_write, bits, rank),
    )

    @custom_vmap
    def run(*given: Any) -> tuple[Any, ...]:
        kinds = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in given[:4]]
        return tuple(kernels.call(kernel, given, kinds, same={k: k for k in range(4)}))

    @run.def_vmap
    def _(size: int, batched: Sequence[bool], *given: Any) -> tuple[tuple[Any, ...], tuple[bool, ...]]:
        every = [x if own else jnp.broadcast_to(x, (size, *x.shape)) for x, own in zip(given, batched, strict=True)]
        if rank > 3:  # chips of chips
            every = [x.reshape(-1, *x.shape[2:]) for x in every]
            found = run(*every)
            return tuple(x.reshape(size, -1, *x.shape[1:]) for x in found), (True,) * 4
        return _kernel(bits, 4, of_pulses + 1)(*every), (True,) * 4

    return run


def _write(
    bits: bool, rank: int, writer: Writer, inputs: Sequence[Any], outputs: Sequence[Any], lengths: tuple[Any, ...]
) -> None:
    builder, number = writer.builder, writer.whole
    columns, pulses, span = lengths[rank - 1], inputs[4:-1], inputs[-1]
    chips = lengths[0] if rank == 4 else number(1)
    rows = builder.sdiv(writer.product(lengths[: rank - 1]), chips)
    source = lengths[rank : -(rank - 2)]
    given = source[-1] if bits else builder.sdiv(writer.product(source), builder.mul(chips, columns))
    with writer.loop(number(0), chips) as chip:
        first, count = (writer.whole_at(span, builder.add(builder.mul(chip, number(2)), number(k))) for k in range(2))
        base = builder.add(builder.mul(chip, rows), first)
        with writer.loop(number(0), count) as r:
            row, own = builder.add(base, r), builder.add(builder.mul(chip, given), r)
            counters = _Row(writer, outputs, row, columns)
            n = _pulses(writer, pulses, (own, chip, columns))
            most = n.most()
            with writer.only_if(builder.icmp_signed(">", most, number(0))):
                room = writer.whole_at(outputs[3], row)
                fits = builder.icmp_signed("<=", most, room)
                with writer.only_if(builder.not_(fits)):
                    counters.moved()
                    counters.put_room(number(MOST))
                small = builder.icmp_signed("<=", most, number(MOST))
                with writer.only_if(small):
                    counters.add(n)
                    counters.put_room(builder.sub(writer.whole_at(outputs[3], row), most))
                with writer.only_if(builder.not_(small)):
                    counters.add_in_full(n)


class _Pulses(NamedTuple):
    """Of a row: the most that a device may have taken, and counts up and down at a place."""

    most: Callable[[], Any]
    at: Callable[[Place], tuple[Words, Words]]


def _pulses(writer: Writer, source: Sequence[Any], at: tuple[Any, Any, Any]) -> _Pulses:
    """Of a row, given its number, the chip and the columns."""
    from memspike.parts.lanes import WIDE
    from memspike.parts.writer import Place as Where
    from memspike.parts.writer import Variable

    signed, (row, _, columns) = pulses_of(writer, source, at), at

    def most() -> Any:
        if len(source) > 1:  # as many as the row has bits
            word = writer.load(source[0], Where(row, 1)).as_words()
            return writer.builder.zext(word.set_bits().value, row.type)
        largest = Variable(writer, writer.zero(WIDE))

        def law(place: Place) -> None:
            x = signed(place)
            largest.put(largest.get().at_least(x).at_least(-x))

        writer.rows(columns, law)
        return writer.largest(largest.get().ceiling())

    def counts(place: Place) -> tuple[Words, Words]:
        x = signed(place)
        return x.at_least(0.0).ceiling().whole(), (-x).at_least(0.0).ceiling().whole()

    return _Pulses(most, counts)


class _Row:
    """The counters of a row of devices."""

    def __init__(self, writer: Writer, outputs: Sequence[Any], row: Any, columns: Any) -> None:
        start = writer.builder.mul(row, columns)
        self.writer, self.row, self.columns = writer, row, columns
        self.full = [writer.after(x, start) for x in outputs[:2]]
        self.recent, self.room = writer.after_shorts(outputs[2], start), outputs[3]

    def put_room(self, n: Any) -> None:
        """How many more pulses fit into the recent counters."""
        self.writer.store_word(n, self.room, self.row)

    def add(self, n: _Pulses) -> None:
        """Pulses to the recent counters."""

        def law(place: Place) -> None:
            up, down = n.at(place)
            recent = self.writer.load_shorts(self.recent, place)
            self.writer.store_shorts(recent + up + (down << BYTE), self.recent, place)

        self.writer.rows(self.columns, law)

    def _full(self, each: tuple[Words, Words], place: Place) -> None:
        for x, counter in zip(each, self.full, strict=True):
            total = self.writer.load(counter, place).as_words() + x
            self.writer.store(self.writer.at_most_full(total, FULL).as_float(), counter, place)

    def add_in_full(self, n: _Pulses) -> None:
        """Pulses to the full counters."""
        self.writer.rows(self.columns, lambda place: self._full(n.at(place), place))

    def moved(self) -> None:
        """The recent ones into the full ones."""

        def law(place: Place) -> None:
            recent = self.writer.load_shorts(self.recent, place)
            self._full((recent & MOST, recent >> BYTE), place)
            self.writer.store_shorts(recent ^ recent, self.recent, place)

        self.writer.rows(self.columns, law)
