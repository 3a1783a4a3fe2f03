"""Kernels of recurrent spiking networks: only rows that are driven are added up, and only spikes are multiplied."""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from jaxtyping import Array, Float

from memspike.neurons.spiking_kernels import LONG, NUMBERS, Kinds, Own, label_of, names_of, stepped
from memspike.parts import kernels
from memspike.parts.courses import COURSE, NUMBER, one_by_one, side_by_side
from memspike.parts.kernels import Kernel

if TYPE_CHECKING:
    from memspike.parts.writer import Place, Writer
else:
    Place = Writer = Any

Real = Float[Array, "..."]


def _found(writer: Writer, here: Any, length: Any, room: tuple[Any, Any]) -> Any:
    """Puts the numbers that are not 0, and their places, one after the other in a room: how many there are."""
    from memspike.parts.lanes import WIDE
    from memspike.parts.writer import Place

    builder, none = writer.builder, writer.zero(WIDE)
    with writer.running(writer.whole(0), length, WIDE) as (k, found, after):
        words = writer.words(WIDE, k)
        x = writer.load(here, Place(k, WIDE, writer.below(words, length)))
        there = builder.fcmp_unordered("!=", x.value, none.value)
        writer.pack(there, words.as_float(), room[0], found)
        writer.pack(there, x, room[1], found)
        after(builder.add(found, writer.count(there)))
    return writer.last


def _gathered(
    writer: Writer, sources: tuple[Any, Any], matrices: Sequence[Any], targets: Sequence[Any], room: tuple[Any, Any]
) -> None:
    """Adds to rows what sources bring by matrices: x to the first target, x² to the second."""
    from memspike.parts.lanes import TILE
    from memspike.parts.writer import Variable

    (here, length), columns, builder = sources, matrices[-1], writer.builder
    with writer.loop(writer.whole(0), length, TILE) as first:
        left = builder.sub(length, first)
        full = builder.icmp_signed(">", left, writer.whole(TILE))
        count = _found(writer, writer.after(here, first), builder.select(full, writer.whole(TILE), left), room)

        def law(place: Place, first: Any = first, count: Any = count) -> None:
            sums = [Variable(writer, writer.zero(place.width)) for _ in targets]
            for one, target in zip(sums, targets, strict=True):
                one.put(writer.load(target, place))
            with writer.loop(writer.whole(0), count) as k:
                row = builder.mul(builder.add(first, writer.whole_at(room[0], k)), columns)
                x = writer.number(room[1], k, place.width)
                for one, matrix, size in zip(sums, matrices[:-1], (x, x * x), strict=False):
                    one.put(one.get() + size * writer.load(writer.after(matrix, row), place))
            for one, target in zip(sums, targets, strict=True):
                writer.store(one.get(), target, place)

        writer.rows(columns, law)


def _write_recurrent(
    kinds: Kinds, noisy: bool, writer: Writer, inputs: Sequence[Any], outputs: Sequence[Any], lengths: tuple[Any, ...]
) -> None:
    from memspike.parts.lane_draws import normal
    from memspike.parts.lane_functions import root
    from memspike.parts.lanes import WIDE

    builder, names, given = writer.builder, names_of(kinds), list(inputs)
    x, parts, of_input, of_spikes = (given.pop(0) for _ in range(4))
    variances = [given.pop(0) for _ in range(2)] if noisy else []
    starts = [given.pop(0) for _ in names]
    key = [writer.number(given[0], k, WIDE).as_words() for k in range(2)] if noisy else None
    own = Own(writer, kinds, given[int(noisy) :])
    steps, width, _, x_width, _, neurons = lengths
    trials = builder.sdiv(width, neurons)
    rows = builder.sdiv(x_width, trials)
    room = writer.buffer(WIDE), writer.buffer(WIDE)
    there = dict(zip((*names, "psi"), outputs, strict=True))
    with writer.loop(writer.whole(0), steps) as t, writer.loop(writer.whole(0), trials) as b:
        first = builder.mul(b, neurons)
        at = builder.add(builder.mul(t, width), first)
        now = {name: writer.after(pointer, at) for name, pointer in there.items()}
        later, earlier = builder.icmp_signed(">", t, writer.whole(0)), builder.sub(at, width)
        before = {
            name: builder.select(later, writer.after(there[name], earlier), writer.after(start, first))
            for name, start in zip(names, starts, strict=True)
        }
        targets = [now["v"], now["psi"]][: 1 + noisy]

        def blank(place: Place, targets: Any = tuple(targets)) -> None:
            for target in targets:
                writer.store(writer.zero(place.width), target, place)

        writer.rows(neurons, blank)
        number = writer.whole_at(parts, t)
        driven = writer.after(x, builder.add(builder.mul(t, x_width), builder.mul(b, rows)))
        each = ((driven, rows, of_input, 0), (before["z"], neurons, of_spikes, 1))
        for pointer, length, means, k in each:
            mean = writer.after(means, builder.mul(number, builder.mul(length, neurons)))
            _gathered(writer, (pointer, length), [mean, *variances[k : k + 1], neurons], targets, room)

        def law(place: Place, now: Any = now, before: Any = before, at: Any = at) -> None:
            drive = writer.load(now["v"], place)
            if key is not None:
                element = writer.words(WIDE, builder.add(at, place.index))
                drive = drive + root(writer.load(now["psi"], place)) * normal(key, element)
            old = {name: writer.load(pointer, place) for name, pointer in before.items()}
            for name, found in stepped(kinds, own.at(place), old, drive).items():
                writer.store(found, now[name], place)

        writer.rows(neurons, law)


@cache
def recurrent_kernel(kinds: Kinds, noisy: bool) -> Callable[..., tuple[Real, ...]]:
    """(x [steps, trials, rows], part of every step, matrices, start [trials, neurons], words of a key, numbers) →
    courses of the state and of ψ [steps, trials, neurons].

    Without noise there are no variances and no key.
    """
    names = names_of(kinds)
    inputs = 4 + 3 * noisy + len(names) + (NUMBERS if kinds.differ else 1)
    name, outputs = f"memspike_lif_recurrent_{noisy:d}{label_of(kinds)}", len(names) + 1
    body = partial(_write_recurrent, kinds, noisy)
    kernel = Kernel(name, inputs, outputs, (inputs, 0, 3), body)

    def part(x: Real, *given: Any) -> tuple[Real, ...]:
        steps, trials, rows = x.shape
        neurons, whole = given[1].shape[-1], list(given)
        whole[1], whole[2] = (m.reshape(-1, neurons) for m in given[1:3])
        flat = [(steps, trials * neurons)] * outputs
        found = kernels.call(kernel, [x.reshape(steps, trials * rows), *whole], flat)
        return tuple(one.reshape(steps, trials, neurons) for one in found)

    return one_by_one(part)


def _write_outer(writer: Writer, inputs: Sequence[Any], outputs: Sequence[Any], lengths: tuple[Any, ...]) -> None:
    from memspike.parts.lanes import WIDE
    from memspike.parts.writer import Place

    (a, b), (count, rows, _, columns), builder, none = inputs, lengths, writer.builder, writer.zero(WIDE)
    with writer.loop(writer.whole(0), rows) as i:
        there = writer.after(outputs[0], builder.mul(i, columns))
        writer.rows(columns, lambda place: writer.store(writer.zero(place.width), there, place))
    with writer.loop(writer.whole(0), count) as m:
        first, second = (writer.after(x, builder.mul(m, n)) for x, n in ((a, rows), (b, columns)))
        with writer.loop(writer.whole(0), rows, WIDE) as k:
            x = writer.load(first, Place(k, WIDE, writer.below(writer.words(WIDE, k), rows)))
            with writer.set_lanes(builder.fcmp_unordered("!=", x.value, none.value)) as lane:
                i = builder.add(k, lane)
                here, size = writer.after(outputs[0], builder.mul(i, columns)), writer.number(first, i, WIDE)

                def law(place: Place, here: Any = here, size: Any = size, second: Any = second) -> None:
                    writer.store(writer.load(here, place) + size * writer.load(second, place), here, place)

                writer.rows(columns, law)


@cache
def outer_kernel() -> Callable[..., Real]:
    """(a [terms, rows], b [terms, columns]) → Σ of a ⊗ b; what is 0 in a costs nothing."""
    kernel = Kernel("memspike_outer", 2, 1, (0, 1), _write_outer)
    return one_by_one(lambda a, b: kernels.call(kernel, (a, b), [(a.shape[-1], b.shape[-1])])[0])


def _write_lowpass(
    reverse: bool, writer: Writer, inputs: Sequence[Any], outputs: Sequence[Any], lengths: tuple[Any, ...]
) -> None:
    from memspike.parts.lanes import WIDE

    (x, given), (steps, columns), builder = inputs, lengths, writer.builder
    writer.tile = LONG
    factor = {width: writer.number(given, 0, width) for width in (WIDE, 1)}
    state = writer.buffer()
    with writer.tiles(columns) as (first, count):
        writer.fill([state], [writer.zero(WIDE)])
        with writer.loop(writer.whole(0), steps) as past:
            t = builder.sub(builder.sub(steps, writer.whole(1)), past) if reverse else past
            row = builder.add(builder.mul(t, columns), first)
            here, there = writer.after(x, row), writer.after(outputs[0], row)

            def law(place: Place, here: Any = here, there: Any = there) -> None:
                y = factor[place.width] * writer.load(state, place) + writer.load(here, place)
                writer.store(y, state, place)
                writer.store(y, there, place)

            writer.each(count, law)


@cache
def lowpass_kernel(reverse: bool) -> Callable[..., tuple[Real, ...]]:
    """(x, a factor) → y[t] = factor·y[t − 1] + x[t], or from the last step to the first."""
    kernel = Kernel(f"memspike_lowpass_{reverse:d}", 2, 1, 0, partial(_write_lowpass, reverse))
    return side_by_side(kernel, [COURSE, NUMBER], [COURSE], little=True)
