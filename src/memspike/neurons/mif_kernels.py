"""The kernels of `mif_course`: the law of a step and its adjoint, and the loops around them."""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.devices.metastable import MetastableSwitch
from memspike.neurons.mif import MIF
from memspike.parts.courses import COURSE, NEURON, NUMBER, STEP, side_by_side
from memspike.parts.kernels import Kernel

if TYPE_CHECKING:
    from memspike.parts.lanes import Lanes
    from memspike.parts.writer import Place, Writer
else:
    Lanes = Place = Writer = Any

Real = Float[Array, "..."]


class Kinds(NamedTuple):
    """Whether there is a pulse, whether a current is held, and whether memristors move."""

    pulse: bool
    held: bool
    move: bool


class Used(NamedTuple):
    """What is wanted of a course: voltages, their middles, and the states at the end."""

    v: bool
    above_rest: bool
    end: bool


NUMBERS = 16


def numbers_of(neuron: MIF, dt: float) -> Float[Array, " numbers"]:
    """What the kernels need of the neurons and the step."""
    each: list[Any] = []
    for device, battery in ((neuron.m1, neuron.e1), (neuron.m2, neuron.e2)):
        assert isinstance(device, MetastableSwitch)
        lowest = 1 / device.r_off
        each += [device.v_on, device.v_off, 1 / device.v_scale, dt / device.tau]
        each += [1 / device.r_on - lowest, lowest, battery]
    each += [dt / neuron.capacitance, neuron.rest()]
    return jnp.stack([jnp.asarray(x, jnp.float32) for x in each])


class _Memristor:
    """A metastable switch of the kernels at the voltage `w` across it; one that does not move keeps its state."""

    def __init__(self, w: Lanes, numbers: Sequence[Lanes], move: bool) -> None:
        from memspike.parts.lane_functions import exponential

        v_on, v_off, self.rate, self.span, self.more, self.least, _ = numbers
        self.w, self.move = w, move
        if not move:
            return
        # 1/σ of both logistic functions
        self.up, self.down = 1.0 + exponential((v_on - w) * self.rate), 1.0 + exponential((w - v_off) * self.rate)

    def after(self, x: Lanes) -> Lanes:
        """The state after a step."""
        from memspike.parts.lane_functions import risen

        if not self.move:
            return x
        both = self.up + self.down
        return x + risen(both / (self.up * self.down) * self.span) * (self.down / both - x)

    def conductance(self, x: Lanes) -> Lanes:
        """In S."""
        return x * self.more + self.least

    def slopes(self, x: Lanes) -> tuple[Lanes, Lanes]:
        """Derivatives of the state after a step in the state before and in the voltage."""
        from memspike.parts.lane_functions import risen

        up, down = 1.0 / self.up, 1.0 / self.down
        rest = 1.0 / (up + down)
        gone, goal = risen((up + down) * self.span), up * rest
        up_slope, down_slope = up * (1.0 - up) * self.rate, down * (down - 1.0) * self.rate
        slope, left = up_slope + down_slope, 1.0 - gone
        return left, left * (self.span * slope) * (goal - x) + gone * (up_slope - goal * slope) * rest


def _pair(v: Lanes, numbers: Sequence[Lanes], move: bool) -> tuple[_Memristor, _Memristor]:
    first, second = numbers[:7], numbers[7:14]
    return _Memristor(v - first[6], first, move), _Memristor(v - second[6], second, move)


class _Source:
    """Where a kernel finds the currents: pointers to weights and pulse, and to what is held."""

    def __init__(self, writer: Writer, kinds: Kinds, inputs: Sequence[Any]) -> None:
        self.writer, found = writer, list(inputs)
        self.weights, self.pulse = (found.pop(0), found.pop(0)) if kinds.pulse else (None, None)
        self.held = found.pop(0) if kinds.held else None

    def weight(self, t: Any, place: Place) -> Lanes:
        """How loud the pulse is."""
        return self.writer.number(self.weights, t, place.width)

    def current(self, at: tuple[Any, Any, Any], place: Place) -> Lanes:
        """In A, at a step, in the tile that begins at `first`, whose row of all courses begins at `row`."""
        (t, first, row), writer = at, self.writer
        held = None if self.held is None else writer.load(writer.after(self.held, row), place)
        if self.pulse is None:
            assert held is not None
            return held
        pulsed = self.weight(t, place) * writer.load(writer.after(self.pulse, first), place)
        return pulsed if held is None else pulsed + held


def _all_numbers(writer: Writer, given: Any) -> dict[int, list[Lanes]]:
    from memspike.parts.lanes import WIDE

    return {width: [writer.number(given, k, width) for k in range(NUMBERS)] for width in (WIDE, 1)}


def _write_forward(
    kinds: Kinds, writer: Writer, inputs: Sequence[Any], outputs: Sequence[Any], shape: tuple[Any, Any]
) -> None:
    from memspike.parts.lane_functions import risen

    (*sources, given), (steps, columns), builder = inputs, shape, writer.builder
    source, numbers = _Source(writer, kinds, sources), _all_numbers(writer, given)
    states = [writer.buffer() for _ in range(3)]
    with writer.tiles(columns) as (first, count):
        _copy(writer, count, [(writer.after(x, first), state) for x, state in zip(sources[-3:], states, strict=True)])
        with writer.loop(writer.whole(0), steps) as t:
            row = builder.add(builder.mul(t, columns), first)

            def law(place: Place, at: Any = (t, first, row)) -> None:
                own = numbers[place.width]
                last, *x = (writer.load(s, place) for s in states)
                pair = _pair(last, own, kinds.move)
                x = [m.after(a) for a, m in zip(x, pair, strict=True)]
                g = [m.conductance(a) for a, m in zip(x, pair, strict=True)]
                both = g[0] + g[1]
                drive = source.current(at, place) - g[0] * pair[0].w - g[1] * pair[1].w
                v = last + risen(both * own[14]) / both * drive
                for found, state in zip((v, *x), states, strict=True):
                    writer.store(found, state, place)
                for found, out in zip((v, 0.5 * (last + v) - own[15], *x), outputs, strict=True):
                    writer.store(found, writer.after(out, at[2]), place)

            writer.each(count, law)


def _copy(writer: Writer, count: Any, pairs: Sequence[tuple[Any, Any]]) -> None:
    """The numbers of a tile from some pointers to others."""

    def law(place: Place) -> None:
        for source, target in pairs:
            writer.store(writer.load(source, place), target, place)

    writer.each(count, law)


def _add(writer: Writer, count: Any, more: Any, whole: Any) -> None:
    """The numbers of a buffer added to those of another."""
    writer.each(count, lambda place: writer.store(writer.load(more, place) + writer.load(whole, place), whole, place))


def _write_backward(
    kinds: Kinds,
    used: Used,
    writer: Writer,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    shape: tuple[Any, Any],
) -> None:
    from memspike.parts.lanes import WIDE

    *given, numbers = inputs
    here = 2 * kinds.pulse + kinds.held
    source, starts, courses = _Source(writer, kinds, given), given[here : here + 3], given[here + 3 : here + 6]
    asked = list(given[here + 6 :])
    ends = [asked.pop() for _ in range(3)][::-1] if used.end else []
    steps, columns, builder = *shape, writer.builder
    every = _all_numbers(writer, numbers)
    # adjoints of v and both states, half the adjoint of the middle of the step after, that of the pulse
    adjoints = [writer.buffer() for _ in range(5)]
    with writer.tiles(columns) as (first, count):
        writer.fill(adjoints, [writer.zero(WIDE)] * 5)
        _copy(writer, count, [(writer.after(x, first), a) for x, a in zip(ends, adjoints, strict=False)])
        with writer.loop(writer.whole(0), steps) as past:
            t = builder.sub(builder.sub(steps, writer.whole(1)), past)
            row = builder.add(builder.mul(t, columns), first)
            later, before = builder.icmp_signed(">", t, writer.whole(0)), builder.sub(row, columns)
            earlier = [
                builder.select(later, writer.after(x, before), writer.after(start, first))
                for x, start in zip(courses, starts, strict=True)
            ]

            def law(place: Place, at: Any = (t, first, row), earlier: Any = tuple(earlier)) -> None:
                own, row = every[place.width], at[2]
                of_v, *of_x, ahead, of_pulse = (writer.load(a, place) for a in adjoints)
                wanted = iter(asked)
                if used.v:
                    of_v = of_v + writer.load(writer.after(next(wanted), row), place)
                if used.above_rest:
                    half = 0.5 * writer.load(writer.after(next(wanted), row), place)
                    of_v = of_v + half + ahead
                    writer.store(half, adjoints[3], place)
                last = [writer.load(p, place) for p in earlier]
                now = [writer.load(writer.after(x, row), place) for x in courses[1:]]
                pair, current = _pair(last[0], own, kinds.move), source.current(at, place)
                current, *before = _adjoint(own, pair, (last[1:], now), current, (of_v, *of_x))
                for x, a in zip(before, adjoints, strict=False):
                    writer.store(x, a, place)
                if kinds.pulse:
                    writer.store(of_pulse + source.weight(at[0], place) * current, adjoints[4], place)
                if kinds.held:
                    writer.store(current, writer.after(outputs[int(kinds.pulse)], row), place)

            writer.each(count, law)
        found = [*adjoints[4:][: int(kinds.pulse)], *adjoints[:3]]
        there = [outputs[0]] * kinds.pulse + [*outputs[-3:]]
        # what a step before the first one would have been wanted of its middle is wanted of the start
        if used.above_rest:
            _add(writer, count, adjoints[3], adjoints[0])
        _copy(writer, count, [(x, writer.after(y, first)) for x, y in zip(found, there, strict=True)])


def _adjoint(
    own: Sequence[Lanes],
    pair: tuple[_Memristor, _Memristor],
    states: tuple[Sequence[Lanes], Sequence[Lanes]],
    current: Lanes,
    wanted: Sequence[Lanes],
) -> tuple[Lanes, ...]:
    """Adjoints of the current of a step and of v and both states before it, given those after it.

    `states` are those of the memristors before and after it.
    """
    from memspike.parts.lane_functions import risen

    (last, now), (of_v, *of_x) = states, wanted
    g = [m.conductance(a) for m, a in zip(pair, now, strict=True)]
    both = g[0] + g[1]
    share = risen(both * own[14])
    gain, left = share / both, 1.0 - share
    by_both = (own[14] * left - gain) / both * (current - g[0] * pair[0].w - g[1] * pair[1].w)
    back, of_last = of_v * left, []
    for m, a, of_a in zip(pair, last, of_x, strict=True):
        if not m.move:
            of_last.append(of_a)
            continue
        whole = of_a + of_v * m.more * (by_both - gain * m.w)
        by_state, by_v = m.slopes(a)
        of_last.append(whole * by_state)
        back = back + whole * by_v
    return of_v * gain, back, *of_last


def _sources(kinds: Kinds) -> list[int]:
    return [*(STEP, NEURON) * kinds.pulse, *(COURSE,) * kinds.held]


@cache
def forward_kernel(kinds: Kinds) -> Callable[..., tuple[Real, ...]]:
    """(currents, v and both states at the start, numbers) → the courses of v, its middle above rest, both states."""
    inputs = [*_sources(kinds), *(NEURON,) * 3, NUMBER]
    name = "memspike_mif_" + "".join(f"{one:d}" for one in kinds)
    kernel = Kernel(name, len(inputs), 4, len(inputs), partial(_write_forward, kinds))
    return side_by_side(kernel, inputs, [COURSE] * 4)


@cache
def backward_kernel(kinds: Kinds, used: Used) -> Callable[..., tuple[Real, ...]]:
    """(currents, start, courses of v and both states, adjoints that are not zero, numbers) → adjoints of pulse, held
    and start.
    """
    here = [*_sources(kinds), *(NEURON,) * 3]
    inputs = [*here, *(COURSE,) * (3 + used.v + used.above_rest), *(NEURON,) * 3 * used.end, NUMBER]
    outputs = [*(NEURON,) * kinds.pulse, *(COURSE,) * kinds.held, *(NEURON,) * 3]
    name = "memspike_mif_adjoint_" + "".join(f"{one:d}" for one in (*kinds, *used))
    kernel = Kernel(name, len(inputs), len(outputs), len(here), partial(_write_backward, kinds, used))
    return side_by_side(kernel, inputs, outputs)
