"""Pulses on soft-bound devices by a kernel for the processor: only devices that get a pulse are computed.

A pulsed update leaves most devices alone. The kernel packs those that get pulses, sixteen beside each other, moves them
by the law of `SoftBounds` with the noise of `CycleToCycle`, and adds up what a ledger needs on the way. The numbers are
those of the law in JAX, noise included: random numbers of an array belong to its elements.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float, Int

from memspike.devices.base import AbstractPulseDevice, Key
from memspike.devices.base import span as width_of
from memspike.devices.coincidences import Coincidences, pulses_of
from memspike.devices.step import SoftBounds
from memspike.devices.variation.wrappers import CycleToCycle, Varied
from memspike.parts import kernels
from memspike.parts.kernels import Kernel
from memspike.parts.random import written_out

if TYPE_CHECKING:
    from memspike.parts.lanes import Lanes, Words
    from memspike.parts.writer import Place, Writer
else:
    Lanes = Place = Words = Writer = Any

Real = Float[Array, "..."]
Cells = Float[Array, "devices rows columns"]


class Taken(NamedTuple):
    """Sums over pulses up and, negative counts, down: their number, number · mean conductance in S, and the longest
    train of every row.
    """

    number: Float[Array, "2"]
    charge: Float[Array, "2"]
    longest: Float[Array, "2 rows"]


class Moved(NamedTuple):
    """The state after pulses, and what they were."""

    state: Any
    taken: Taken


def fits(device: AbstractPulseDevice, state: Any, pulses: Real | Coincidences) -> bool:
    """Whether there is a kernel for these devices in this process."""
    whole = isinstance(pulses, Coincidences) or (pulses.dtype == jnp.float32 and pulses.ndim == 3)
    g = state.inner if isinstance(state, Varied) else state
    return whole and known(device, g) and math.prod(pulses.shape) == g.size


def known(device: AbstractPulseDevice, g: Any) -> bool:
    """Whether there is a kernel for such devices with conductances [lines, rows, columns]."""
    inner = device.device if isinstance(device, CycleToCycle) else device
    if not isinstance(inner, SoftBounds) or not isinstance(g, jax.Array) or g.ndim != 3 or g.size == 0:
        return False
    if g.dtype != jnp.float32 or not kernels.available():
        return False
    shapes = {jnp.shape(leaf) for leaf in jax.tree.leaves(device)}
    return all(len(one) <= 3 and jnp.broadcast_shapes(one, g.shape) == g.shape for one in shapes)


def plain(device: AbstractPulseDevice, state: Any, pulses: Cells, *, key: Key) -> Moved:
    """The same by the law in JAX."""
    after = device.program(state, pulses, key=key)
    g = 0.5 * (device.stored(state) + device.stored(after))
    each = jnp.stack([jnp.maximum(pulses, 0.0), jnp.maximum(-pulses, 0.0)])
    return Moved(after, Taken(each.sum((1, 2, 3)), (each * g[None]).sum((1, 2, 3)), each.max((1, 3))))


def moved(device: AbstractPulseDevice, state: Any, pulses: Cells | Coincidences, *, key: Key) -> Moved:
    """The state after signed `pulses` on devices that fit, and the sums of a ledger; with a key, with noise."""
    own = None
    if key is not None and isinstance(device, CycleToCycle):
        if not written_out(key, pulses.shape, np.dtype(np.float32)):
            return plain(device, state, _map(pulses), key=key)
        own = jax.random.key_data(jax.random.split(key)[0])
    return _moved(device, state, pulses, key, own)


def _map(pulses: Cells | Coincidences) -> Cells:
    """Pulses of every device [lines, rows, columns]."""
    return pulses.counts()[None] if isinstance(pulses, Coincidences) else pulses


@jax.custom_vjp
def _moved(device: AbstractPulseDevice, state: Any, pulses: Any, key: Any, words: Any) -> Moved:
    rows = math.prod(pulses.shape[:-1])
    return _run(device, state, pulses, jnp.asarray([0, rows], jnp.int32), words)


def _run(device: AbstractPulseDevice, state: Any, pulses: Any, span: Int[Array, "2"], words: Any) -> Moved:
    """Pulses on rows of devices, as many as `span` says from where it says on."""
    noisy = words is not None
    g = state.inner if isinstance(state, Varied) else state
    words = jnp.zeros(2, jnp.uint32) if words is None else words
    numbers = _numbers(device)
    every = tuple(k for k, x in enumerate(numbers) if x.ndim)
    shared = jnp.stack([jnp.zeros((), x.dtype) if x.ndim else x for x in numbers])
    own = [jnp.broadcast_to(numbers[k], g.shape) for k in every]
    bits = isinstance(pulses, Coincidences)
    source = tuple(pulses) if bits else (pulses,)
    kernel = _kernel(Form(noisy, every, bits, 3, 1 if bits else pulses.ndim))
    found, sums = kernel(g, *source, *own, span, words, shared)
    sums = sums.reshape(*pulses.shape[:-1], 6, 16)
    totals = sums[..., :4, :].sum((*range(sums.ndim - 2), -1))
    longest = sums[..., 4:, :].max(-1)
    longest = longest if longest.ndim == 2 else longest.max(0)
    after = state._replace(inner=found) if isinstance(state, Varied) else found
    return Moved(after, Taken(totals[:2], totals[2:], longest.T))


def _forward(device: Any, state: Any, pulses: Any, key: Any, words: Any) -> tuple[Moved, Any]:
    moved, back = jax.vjp(lambda *a: plain(*a, key=key), device, state, _map(pulses))
    return moved, (back, pulses)


def _backward(kept: Any, wanted: Any) -> tuple[Any, ...]:
    (back, pulses) = kept
    *found, of_pulses = back(wanted)
    if isinstance(pulses, Coincidences):  # bits have no slope
        signs = (jnp.zeros_like(x) for x in pulses[2:])
        return (*found, Coincidences(None, None, *signs), None, None)  # pyright: ignore[reportArgumentType]
    return (*found, of_pulses, None, None)


_moved.defvjp(_forward, _backward)


def moved_at(device: AbstractPulseDevice, state: Any, pulses: Any, span: Int[Array, "2"], *, key: Key) -> Moved | None:
    """Pulses on some rows of devices that fit: as `moved` of these rows by themselves, where they are.

    `span` is the first of the rows, all tiles one below the other, and how many of those that are given are meant.
    There is no gradient. None for a key of another generator.
    """
    own = None
    if key is not None and isinstance(device, CycleToCycle):
        if not written_out(key, pulses.shape, np.dtype(np.float32)):
            return None
        own = jax.random.key_data(jax.random.split(key)[0])
    return _run(device, state, pulses, span, own)


NUMBERS = 14


def _numbers(device: AbstractPulseDevice) -> list[Real]:
    """What the kernel needs of a device: range, both directions of the law, and the noise; of all, or of each."""
    law = device.device if isinstance(device, CycleToCycle) else device
    assert isinstance(law, SoftBounds)
    noise = (0, 0, 0, 0)
    if isinstance(device, CycleToCycle):
        noise = device.up, device.down, device.proportional, device.relative
    each = [law.g_min, width_of(law), *law.constants(True), *law.constants(False), *noise]
    return [jnp.asarray(x).astype(jnp.float32) for x in each]


class Form(NamedTuple):
    """Whether pulses are noisy, which numbers every device has its own of, whether pulses come as bits, and how many
    axes conductances and pulses have.
    """

    noisy: bool
    every: tuple[int, ...]
    bits: bool
    rank: int
    of_pulses: int


@cache
def _kernel(form: Form) -> Callable[..., tuple[Real, Real]]:
    """(conductances [*chips, lines, rows, columns], pulses, those numbers that every device has its own of, rows from
    where and how many [*chips, 2], two words, numbers) → conductances, and six sums a row in sixteen parts.

    Pulses are an array of any number of axes, or bits and signs of rows and columns [*chips, …].
    """
    source = 4 if form.bits else 1
    inputs, rank = 4 + source + len(form.every), form.rank
    name = "_".join(
        ("memspike_soft_bounds", f"{form.noisy:d}{form.bits:d}{form.rank}{form.of_pulses}", *map(str, form.every))
    )
    like = ((0, rank), (1, form.of_pulses), (inputs - 3, rank - 2))
    kernel = Kernel(name, inputs, 2, like, partial(_write, form))

    @custom_vmap
    def run(*given: Any) -> tuple[Real, Real]:
        g, pulses = given[:2]
        chips = g.shape[: rank - 3]
        rows = math.prod(pulses.shape[rank - 3 :]) // (1 if form.bits else g.shape[-1])
        found = kernels.call(kernel, given, [g.shape, (*chips, rows, 96)], same={0: 0})
        return found[0], found[1]

    @run.def_vmap
    def _(size: int, batched: Sequence[bool], *given: Any) -> tuple[tuple[Real, Real], tuple[bool, bool]]:
        every = [x if own else jnp.broadcast_to(x, (size, *x.shape)) for x, own in zip(given, batched, strict=True)]
        if rank > 3:  # chips of chips
            found = run(*(x.reshape(-1, *x.shape[2:]) for x in every))
            return tuple(x.reshape(size, -1, *x.shape[1:]) for x in found), (True, True)  # pyright: ignore
        return _kernel(form._replace(rank=4, of_pulses=form.of_pulses + 1))(*every), (True, True)

    return run


def _after(g: Lanes, n: Lanes, element: Words, key: Sequence[Words] | None, own: Sequence[Lanes]) -> Lanes:
    """Conductances after n pulses each, as `CycleToCycle` around `SoftBounds` has them."""
    from memspike.parts.lane_draws import normal
    from memspike.parts.lane_functions import risen, root

    g_min, whole, noise = own[0], own[1], own[10:]
    up = n.above(0.0)
    slope, per_pulse, end, straight = (a.where(up, b) for a, b in zip(own[2:6], own[6:10], strict=True))
    share, u = (g - g_min) / whole, n * per_pulse
    grown = -risen(-(u * slope).at_most(30.0))
    curved = share * (1.0 + grown) + grown * end
    free = (share + u).where(straight.above(0.5), curved)
    new = g_min + whole * free.at_least(0.0).at_most(1.0)
    if key is None:
        return new
    number = n.at_least(-n)
    many, change = root(number), new - g
    spread = (noise[0].where(up, noise[1]) * whole + noise[2] * (g - g_min)) * many
    spread = spread + noise[3] * change.at_least(-change) / many.at_least(1.0)
    return (new + spread * normal(key, element)).at_least(g_min).at_most(g_min + whole)


def _write(form: Form, writer: Writer, inputs: Sequence[Any], outputs: Sequence[Any], lengths: tuple[Any, ...]) -> None:
    from memspike.parts.lanes import WIDE
    from memspike.parts.writer import Place

    builder, whole = writer.builder, writer.whole
    source, rank = 4 if form.bits else 1, form.rank
    columns, (span, words, given) = lengths[rank - 1], inputs[-3:]
    of_source = lengths[rank : rank + form.of_pulses]
    chips = lengths[0] if rank == 4 else whole(1)
    rows = builder.sdiv(writer.product(lengths[: rank - 1]), chips)
    sent = of_source[-1] if form.bits else builder.sdiv(writer.product(of_source), builder.mul(chips, columns))
    room = _Room(writer, form)
    with writer.loop(whole(0), chips) as chip:
        first, count = (writer.whole_at(span, builder.add(builder.mul(chip, whole(2)), whole(k))) for k in range(2))
        numbers = [
            writer.number(writer.after(given, builder.mul(chip, whole(NUMBERS))), k, WIDE) for k in range(NUMBERS)
        ]
        two = writer.after(words, builder.mul(chip, whole(2)))
        key = [writer.number(two, k, WIDE).as_words() for k in range(2)] if form.noisy else None
        with writer.loop(whole(0), sent) as r:
            writer.fill([room.sums], [writer.zero(WIDE)])
            own = builder.add(builder.mul(chip, sent), r)
            with writer.only_if(builder.icmp_signed("<", r, count)):
                start = builder.mul(builder.add(builder.mul(chip, rows), builder.add(first, r)), columns)
                pulses = pulses_of(writer, inputs[1 : 1 + source], (own, chip, columns))
                arrays = [writer.after(x, start) for x in inputs[1 + source : -3]]
                row = _Row(writer.after(outputs[0], start), pulses, arrays, builder.mul(r, columns))
                with writer.tiles(columns) as (begin, size):
                    room.tile(row, (begin, size), numbers, key)
            for j in range(6):
                place = Place(whole(j * WIDE), WIDE)
                there = writer.after(outputs[1], builder.mul(own, whole(96)))
                writer.store(writer.load(room.sums, place), there, place)


class _Row(NamedTuple):
    """Of a row: its conductances, its pulses at a place, numbers that its devices have their own of, and the number
    of its first element among those that draw noise.
    """

    g: Any
    pulses: Callable[[Place], Lanes]
    own: Sequence[Any]
    element: Any


class _Room:
    """Room for the devices of a tile that get pulses, and what becomes of a tile.

    Of the devices that get pulses there are conductance and count, number of the element, conductance afterwards, and
    numbers of their own.
    """

    def __init__(self, writer: Writer, form: Form) -> None:
        from memspike.parts.lanes import WIDE

        self.writer, self.form = writer, form
        self.packed = [writer.buffer(WIDE) for _ in range(4 + len(form.every))]
        self.sums = writer.buffer()

    def _places(self, row: _Row, last: Any, k: Any) -> tuple[Place, Any, Lanes]:
        """Sixteen devices, which of them get pulses, and how many."""
        from memspike.parts.lanes import WIDE
        from memspike.parts.writer import Place

        writer = self.writer
        place = Place(k, WIDE, writer.below(writer.words(WIDE, k), last))
        n = row.pulses(place)
        return place, writer.builder.fcmp_unordered("!=", n.value, writer.zero(WIDE).value), n

    def tile(self, row: _Row, where: tuple[Any, Any], numbers: Sequence[Lanes], key: Any) -> None:
        """The devices of a tile: packed, or where most of them get pulses as they are."""
        from memspike.parts.lanes import WIDE

        (begin, size), writer, builder = where, self.writer, self.writer.builder
        last = builder.add(begin, size)
        with writer.running(begin, last, WIDE) as (k, found, after):
            hit = self._places(row, last, k)[1]
            after(builder.add(found, writer.count(hit)))
        total = writer.last
        many = builder.icmp_signed(">", builder.mul(total, writer.whole(2)), size)
        with writer.only_if(many):
            self._as_they_are(row, (begin, last), numbers, key)
        few = builder.and_(builder.not_(many), builder.icmp_signed(">", total, writer.whole(0)))
        with writer.only_if(few):
            self._packed(row, (begin, last), numbers, key)

    def _added(self, n: Lanes, g: Lanes, new: Lanes) -> None:
        """The sums of a ledger after these pulses."""
        from memspike.parts.lanes import WIDE
        from memspike.parts.writer import Place

        writer, mean = self.writer, 0.5 * (g + new)
        trains = (n.at_least(0.0), (-n).at_least(0.0))
        each = [*trains, *(t * mean for t in trains), *trains]
        for j, x in enumerate(each):
            old = Place(writer.whole(j * WIDE), WIDE)
            before = writer.load(self.sums, old)
            writer.store(before + x if j < 4 else before.at_least(x), self.sums, old)

    def _as_they_are(self, row: _Row, ends: tuple[Any, Any], numbers: Sequence[Lanes], key: Any) -> None:
        from memspike.parts.lanes import WIDE

        writer = self.writer
        with writer.loop(*ends, WIDE) as k:
            place, hit, n = self._places(row, ends[1], k)
            g = writer.load(row.g, place)
            here = {i: writer.load(x, place) for i, x in zip(self.form.every, row.own, strict=True)}
            each = [here.get(i, x) for i, x in enumerate(numbers)]
            element = writer.words(WIDE, writer.builder.add(row.element, k))
            new = _after(g, n, element, key, each).where(hit, g)
            writer.store(new, row.g, place)
            self._added(n, g, new)

    def _packed(self, row: _Row, ends: tuple[Any, Any], numbers: Sequence[Lanes], key: Any) -> None:
        from memspike.parts.lanes import WIDE
        from memspike.parts.writer import Place

        writer, builder, packed, none = self.writer, self.writer.builder, self.packed, self.writer.zero(WIDE)
        with writer.running(*ends, WIDE) as (k, found, after):
            place, hit, n = self._places(row, ends[1], k)
            element = writer.words(WIDE, builder.add(row.element, k)).as_float()
            for x, buffer in zip((writer.load(row.g, place), n, element), packed, strict=False):
                writer.pack(hit, x, buffer, found)
            for x, buffer in zip(row.own, packed[4:], strict=True):
                writer.pack(hit, writer.load(x, place), buffer, found)
            after(builder.add(found, writer.count(hit)))
        total = writer.last
        # the rest of the last sixteen gets no pulse; what it is is of no matter, if it is a number
        for buffer in (*packed[:2], *packed[4:]):
            writer.store(none + 1.0, buffer, Place(total, WIDE))
        writer.store(none, packed[1], Place(total, WIDE))
        with writer.loop(writer.whole(0), total, WIDE) as i:
            place = Place(i, WIDE)
            g, n, element = (writer.load(buffer, place) for buffer in packed[:3])
            here = {k: writer.load(buffer, place) for k, buffer in zip(self.form.every, packed[4:], strict=True)}
            each = [here.get(k, x) for k, x in enumerate(numbers)]
            new = _after(g, n, element.as_words(), key, each)
            writer.store(new, packed[3], place)
            self._added(n, g, new)
        with writer.running(*ends, WIDE) as (k, found, after):
            place, hit, _ = self._places(row, ends[1], k)
            g = writer.load(row.g, place)
            writer.store(writer.unpack(hit, g, packed[3], found), row.g, place)
            after(builder.add(found, writer.count(hit)))
