"""Pulses on soft-bound devices by a kernel for the processor: only devices that get a pulse are computed.

A pulsed update leaves most devices alone. The kernel packs those that get pulses, sixteen beside each other, moves them
by the law of `SoftBounds` with the noise of `CycleToCycle`, and adds up what a ledger needs on the way. The numbers are
those of the law in JAX, noise included: random numbers of an array belong to its elements.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float

from memspike.devices.base import AbstractPulseDevice, Key, span
from memspike.devices.step import SoftBounds
from memspike.devices.variation.wrappers import CycleToCycle, Varied
from memspike.parts import kernels
from memspike.parts.kernels import Kernel
from memspike.parts.random import written_out

if TYPE_CHECKING:
    from memspike.parts.lanes import Lanes, Words, Writer
else:
    Lanes = Words = Writer = Any

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


def fits(device: AbstractPulseDevice, state: Any, pulses: Real) -> bool:
    """Whether there is a kernel for these devices in this process."""
    inner = device.device if isinstance(device, CycleToCycle) else device
    if not isinstance(inner, SoftBounds) or pulses.dtype != jnp.float32 or pulses.ndim != 3 or pulses.size == 0:
        return False
    g = state.inner if isinstance(state, Varied) else state
    if g.shape != pulses.shape or g.dtype != jnp.float32 or not kernels.available():
        return False
    shapes = {jnp.shape(leaf) for leaf in jax.tree.leaves(device)}
    return all(len(one) <= 3 and jnp.broadcast_shapes(one, g.shape) == g.shape for one in shapes)


def plain(device: AbstractPulseDevice, state: Any, pulses: Cells, *, key: Key) -> Moved:
    """The same by the law in JAX."""
    after = device.program(state, pulses, key=key)
    g = 0.5 * (device.stored(state) + device.stored(after))
    each = jnp.stack([jnp.maximum(pulses, 0.0), jnp.maximum(-pulses, 0.0)])
    return Moved(after, Taken(each.sum((1, 2, 3)), (each * g[None]).sum((1, 2, 3)), each.max((1, 3))))


def moved(device: AbstractPulseDevice, state: Any, pulses: Cells, *, key: Key) -> Moved:
    """The state after signed `pulses` on devices that fit, and the sums of a ledger; with a key, with noise."""
    own = None
    if key is not None and isinstance(device, CycleToCycle):
        if not written_out(key, pulses.shape, pulses.dtype):
            return plain(device, state, pulses, key=key)
        own = jax.random.key_data(jax.random.split(key)[0])
    return _moved(device, state, pulses, key, own)


@jax.custom_vjp
def _moved(device: AbstractPulseDevice, state: Any, pulses: Cells, key: Any, words: Any) -> Moved:
    noisy = words is not None
    g = state.inner if isinstance(state, Varied) else state
    words = jnp.zeros(2, jnp.uint32) if words is None else words
    numbers = _numbers(device)
    every = tuple(k for k, x in enumerate(numbers) if x.ndim)
    shared = jnp.stack([jnp.zeros((), x.dtype) if x.ndim else x for x in numbers])
    own = [jnp.broadcast_to(numbers[k], g.shape) for k in every]
    found, sums = _kernel(noisy, every)(g, pulses, *own, words, shared)
    sums = sums.reshape(*g.shape[:-1], 6, 16)
    totals = sums[..., :4, :].sum((0, 1, 3))
    longest = sums[..., 4:, :].max((0, 3)).T
    after = state._replace(inner=found) if isinstance(state, Varied) else found
    return Moved(after, Taken(totals[:2], totals[2:], longest))


def _forward(device: Any, state: Any, pulses: Any, key: Any, words: Any) -> tuple[Moved, Any]:
    return jax.vjp(lambda *a: plain(*a, key=key), device, state, pulses)


def _backward(back: Any, wanted: Any) -> tuple[Any, ...]:
    return (*back(wanted), None, None)


_moved.defvjp(_forward, _backward)

NUMBERS = 14


def _numbers(device: AbstractPulseDevice) -> list[Real]:
    """What the kernel needs of a device: range, both directions of the law, and the noise; of all, or of each."""
    law = device.device if isinstance(device, CycleToCycle) else device
    assert isinstance(law, SoftBounds)
    noise = (0, 0, 0, 0)
    if isinstance(device, CycleToCycle):
        noise = device.up, device.down, device.proportional, device.relative
    each = [law.g_min, span(law), *law.constants(True), *law.constants(False), *noise]
    return [jnp.asarray(x).astype(jnp.float32) for x in each]


@cache
def _kernel(noisy: bool, every: tuple[int, ...]) -> Callable[..., tuple[Real, Real]]:
    """(conductances, pulses, those numbers that every device has its own of, two words, numbers) → conductances, and
    six sums a row in sixteen parts.
    """
    name = "_".join(("memspike_soft_bounds", f"{noisy:d}", *map(str, every)))
    kernel = Kernel(name, 4 + len(every), 2, 0, partial(_write, noisy, every))

    @custom_vmap
    def run(*given: Any) -> tuple[Real, Real]:
        (g, *_), (words, numbers) = given, given[-2:]
        rows, columns = g.size // g.shape[-1], g.shape[-1]
        flat = [x.reshape(rows, columns) for x in given[:-2]]
        found, sums = kernels.call(kernel, (*flat, words, numbers), [(rows, columns), (rows, 96)])
        return found.reshape(g.shape), sums

    @run.def_vmap
    def _(size: int, batched: Sequence[bool], *given: Any) -> tuple[tuple[Real, Real], tuple[bool, bool]]:
        whole = [x if own else jnp.broadcast_to(x, (size, *x.shape)) for x, own in zip(given, batched, strict=True)]
        return jax.lax.map(lambda each: run(*each), tuple(whole)), (True, True)

    return run


def _after(g: Lanes, n: Lanes, element: Words, key: Sequence[Words] | None, own: Sequence[Lanes]) -> Lanes:
    """Conductances after n pulses each, as `CycleToCycle` around `SoftBounds` has them."""
    from memspike.parts.lane_draws import normal
    from memspike.parts.lanes import risen, root

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


def _write(
    noisy: bool,
    every: tuple[int, ...],
    writer: Writer,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    shape: tuple[Any, Any],
) -> None:
    from memspike.parts.lanes import WIDE, Place

    (conductances, pulses, *own, words, given), (rows, columns), builder = inputs, shape, writer.builder
    numbers = [writer.number(given, k, WIDE) for k in range(NUMBERS)]
    key = [writer.number(words, k, WIDE).as_words() for k in range(2)] if noisy else None
    # of the devices of a tile that get pulses: conductance and count, number of the element, conductance afterwards,
    # and their own numbers
    packed = [writer.buffer(WIDE) for _ in range(4 + len(every))]
    sums = writer.buffer()
    none, nowhere = writer.zero(WIDE), writer.whole(0)

    with writer.loop(nowhere, rows) as row:
        start = builder.mul(row, columns)
        here, count, there = (writer.after(x, start) for x in (conductances, pulses, outputs[0]))
        writer.fill([sums], [none])
        with writer.tiles(columns) as (first, size):
            last = builder.add(first, size)

            def lanes_of(k: Any, last: Any = last, here: Any = here, count: Any = count) -> tuple[Any, ...]:
                inside, place = writer.below(writer.words(WIDE, k), last), Place(k, WIDE)
                n = writer.load_where(inside, count, place)
                hit = builder.fcmp_unordered("!=", n.value, none.value)
                return inside, place, hit, n, writer.load_where(inside, here, place)

            with writer.running(first, last, WIDE) as (k, found, after):
                inside, place, hit, n, g = lanes_of(k)
                element = writer.words(WIDE, builder.add(start, k)).as_float()
                for x, buffer in zip((g, n, element), packed, strict=False):
                    writer.pack(hit, x, buffer, found)
                for x, buffer in zip(own, packed[4:], strict=True):
                    writer.pack(hit, writer.load_where(inside, writer.after(x, start), place), buffer, found)
                after(builder.add(found, writer.count(hit)))
            total = writer.last
            # the rest of the last sixteen gets no pulse; what it is is of no matter, if it is a number
            for buffer in (*packed[:2], *packed[4:]):
                writer.store(none + 1.0, buffer, Place(total, WIDE))
            writer.store(none, packed[1], Place(total, WIDE))

            with writer.loop(nowhere, total, WIDE) as i:
                place = Place(i, WIDE)
                g, n, element = (writer.load(buffer, place) for buffer in packed[:3])
                here_too = {k: writer.load(buffer, place) for k, buffer in zip(every, packed[4:], strict=True)}
                each = [here_too.get(k, x) for k, x in enumerate(numbers)]
                new = _after(g, n, element.as_words(), key, each)
                writer.store(new, packed[3], place)
                trains = (n.at_least(0.0), (-n).at_least(0.0))
                mean = 0.5 * (g + new)
                for j, x in enumerate((*trains, *(t * mean for t in trains))):
                    old = Place(writer.whole(j * WIDE), WIDE)
                    writer.store(writer.load(sums, old) + x, sums, old)
                for j, x in enumerate(trains, start=4):
                    old = Place(writer.whole(j * WIDE), WIDE)
                    writer.store(writer.load(sums, old).at_least(x), sums, old)

            with writer.running(first, last, WIDE) as (k, found, after):
                inside, place, hit, _, g = lanes_of(k)
                writer.store_where(inside, writer.unpack(hit, g, packed[3], found), there, place)
                after(builder.add(found, writer.count(hit)))
        for j in range(6):
            place = Place(writer.whole(j * WIDE), WIDE)
            writer.store(writer.load(sums, place), writer.after(outputs[1], builder.mul(row, writer.whole(96))), place)
