"""All steps of MIF neurons at once, and their gradient, by kernels for the processor.

A neuron that is driven by currents known beforehand needs nobody else: its time loop runs in registers, sixteen neurons
beside each other, where a loop over arrays sends every state through memory in every step. The equations are those of
`staggered_exponential` and their adjoint; derivatives are taken with respect to the currents. Where a parameter of the
neuron or the course of a pulse is differentiated, or neurons differ, the loop over arrays does it (`stepped`).
"""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float

from memspike.devices.metastable import MetastableSwitch
from memspike.neurons.mif import MIF, MIFState, frozen_memristors, staggered_exponential
from memspike.parts import kernels
from memspike.parts.kernels import Kernel

if TYPE_CHECKING:
    from memspike.parts.lanes import Lanes, Place, Writer
else:
    Lanes = Place = Writer = Any

Real = Float[Array, "..."]


class Injected(NamedTuple):
    """Currents in A in the middle of every step: the sum of `weights`[t]·`pulse` and `held`[t], of what is there."""

    weights: Float[Array, " steps"] | None
    pulse: Float[Array, "*batch"] | None
    held: Float[Array, "steps *batch"] | None

    def whole(self) -> Float[Array, "steps *batch"]:
        """The sum."""
        if self.weights is None or self.pulse is None:
            assert self.held is not None
            return self.held
        each = jnp.tensordot(self.weights, self.pulse, axes=0)
        return each if self.held is None else each + self.held


class Courses(NamedTuple):
    """Membranes in V [steps, *batch]: at the ends of steps, and in their middles above rest."""

    v: Float[Array, "steps *batch"]
    above_rest: Float[Array, "steps *batch"]


def fits(neuron: Any, like: Real) -> bool:
    """Whether there is a kernel for these neurons in this process, for currents of this type."""
    known = isinstance(neuron, MIF) and neuron.integrator in (staggered_exponential, frozen_memristors)
    if not known or like.dtype != jnp.float32 or like.size == 0 or not kernels.available():
        return False
    switches = all(isinstance(device, MetastableSwitch) for device in (neuron.m1, neuron.m2))
    return switches and all(jnp.ndim(leaf) == 0 for leaf in jax.tree.leaves(neuron))


def stepped(neuron: MIF, injected: Injected, dt: float) -> Courses:
    """The membranes from rest on in steps of `dt` seconds; by a loop over arrays."""
    currents = injected.whole()

    @jax.checkpoint
    def one(state: MIFState, current: Real) -> tuple[MIFState, Courses]:
        after, v = neuron.step(state, current, dt)
        return after, Courses(v, 0.5 * (state.v + v) - neuron.rest())

    return jax.lax.scan(one, neuron.init(currents.shape[1:]), currents)[1]


def course(neuron: MIF, injected: Injected, dt: float) -> Courses:
    """As `stepped`, by the kernels; `neuron` has to fit."""
    return _course(dt, neuron, injected)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _course(dt: float, neuron: MIF, injected: Injected) -> Courses:
    return Courses(*_forward_kernel(_kinds(neuron, injected))(*_there(injected), _numbers(neuron, dt))[:2])


def _forward(dt: float, neuron: Any, injected: Any) -> tuple[Courses, Any]:
    given = jax.tree.map(lambda x: x.value, (neuron, injected), is_leaf=_primal)
    if any(leaf.perturbed for leaf in jax.tree.leaves((neuron, injected.weights), is_leaf=_primal)):
        return jax.vjp(lambda *a: stepped(*a, dt), *given)
    numbers = _numbers(given[0], dt)
    v, above, *x = _forward_kernel(_kinds(*given))(*_there(given[1]), numbers)
    return Courses(v, above), (given, numbers, (v, *x))


def _backward(dt: float, kept: Any, wanted: Courses) -> tuple[Any, Any]:
    if callable(kept):
        return kept(jax.tree.map(_array, wanted, is_leaf=_symbolic))
    (neuron, injected), numbers, courses = kept
    used = tuple(not _symbolic(w) for w in wanted)
    asked = [w for w, own in zip(wanted, used, strict=True) if own]
    found = iter(_backward_kernel(_kinds(neuron, injected), used)(*_there(injected), *courses, *asked, numbers))
    pulse, held = (None if x is None else next(found) for x in injected[1:])
    weights = None if injected.weights is None else jnp.zeros_like(injected.weights)
    return jax.tree.map(jnp.zeros_like, neuron), Injected(weights, pulse, held)


def _primal(x: Any) -> bool:
    return isinstance(x, jax.custom_derivatives.CustomVJPPrimal)


def _symbolic(x: Any) -> bool:
    return isinstance(x, jax.custom_derivatives.SymbolicZero)


def _array(x: Any) -> Any:
    return jnp.zeros(x.shape, x.dtype) if _symbolic(x) else x


_course.defvjp(_forward, _backward, symbolic_zeros=True)


class _Kinds(NamedTuple):
    """Whether there is a pulse, whether a current is held, and whether memristors move."""

    pulse: bool
    held: bool
    move: bool


def _kinds(neuron: MIF, injected: Injected) -> _Kinds:
    return _Kinds(injected.pulse is not None, injected.held is not None, neuron.integrator is not frozen_memristors)


def _there(injected: Injected) -> list[Real]:
    return [x for x in injected if x is not None]


NUMBERS = 18


def _numbers(neuron: MIF, dt: float) -> Float[Array, " numbers"]:
    """What the kernels need of the neurons and the step."""
    each: list[Any] = []
    for device, battery in ((neuron.m1, neuron.e1), (neuron.m2, neuron.e2)):
        assert isinstance(device, MetastableSwitch)
        lowest = 1 / device.r_off
        each += [device.v_on, device.v_off, 1 / device.v_scale, dt / device.tau]
        each += [1 / device.r_on - lowest, lowest, battery]
    each += [dt / neuron.capacitance, *jax.tree.leaves(neuron.init())]
    return jnp.stack([jnp.asarray(x, jnp.float32) for x in each])


# what an array of a kernel is: a number for all, one a step, one a neuron, one a step and neuron
NUMBER, STEP, NEURON, COURSE = range(4)


def _side_by_side(kernel: Kernel, inputs: Sequence[int], outputs: Sequence[int]) -> Callable[..., tuple[Real, ...]]:
    """The kernel for neurons of any shape; `vmap` puts more of them beside each other."""

    @custom_vmap
    def run(*given: Real) -> tuple[Real, ...]:
        of = dict(zip(inputs, given, strict=True))
        shape = of[COURSE].shape if COURSE in of else (*of[STEP].shape, *of[NEURON].shape)
        steps, columns = shape[0], int(np.prod(shape[1:]))
        flat = {NEURON: (columns,), COURSE: (steps, columns)}
        found = kernels.call(
            kernel,
            [x.reshape(flat.get(kind, x.shape)) for kind, x in zip(inputs, given, strict=True)],
            [flat[kind] for kind in outputs],
        )
        return tuple(x.reshape(shape[kind == NEURON :]) for kind, x in zip(outputs, found, strict=True))

    @run.def_vmap
    def _(size: int, batched: Sequence[bool], *given: Real) -> tuple[tuple[Real, ...], tuple[bool, ...]]:
        whole = [x if own else jnp.broadcast_to(x, (size, *x.shape)) for x, own in zip(given, batched, strict=True)]
        done = (True,) * len(outputs)
        if any(own for own, kind in zip(batched, inputs, strict=True) if kind < NEURON):
            return jax.lax.map(lambda each: run(*each), tuple(whole)), done
        beside = [
            one if kind < NEURON else jnp.moveaxis(x, 0, kind == COURSE)
            for kind, one, x in zip(inputs, given, whole, strict=True)
        ]
        return tuple(jnp.moveaxis(x, int(k == COURSE), 0) for k, x in zip(outputs, run(*beside), strict=True)), done

    return run


class _Memristor:
    """A metastable switch of the kernels at the voltage `w` across it; one that does not move keeps its state."""

    def __init__(self, w: Lanes, numbers: Sequence[Lanes], move: bool) -> None:
        from memspike.parts.lanes import exponential

        v_on, v_off, self.rate, self.span, self.more, self.least, _ = numbers
        self.w, self.move = w, move
        if not move:
            return
        # 1/σ of both logistic functions
        self.up, self.down = 1.0 + exponential((v_on - w) * self.rate), 1.0 + exponential((w - v_off) * self.rate)

    def after(self, x: Lanes) -> Lanes:
        """The state after a step."""
        from memspike.parts.lanes import risen

        if not self.move:
            return x
        both = self.up + self.down
        return x + risen(both / (self.up * self.down) * self.span) * (self.down / both - x)

    def conductance(self, x: Lanes) -> Lanes:
        """In S."""
        return x * self.more + self.least

    def slopes(self, x: Lanes) -> tuple[Lanes, Lanes]:
        """Derivatives of the state after a step in the state before and in the voltage."""
        from memspike.parts.lanes import risen

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

    def __init__(self, writer: Writer, kinds: _Kinds, inputs: Sequence[Any]) -> None:
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
    kinds: _Kinds, writer: Writer, inputs: Sequence[Any], outputs: Sequence[Any], shape: tuple[Any, Any]
) -> None:
    from memspike.parts.lanes import WIDE, risen

    (*sources, given), (steps, columns), builder = inputs, shape, writer.builder
    source, numbers = _Source(writer, kinds, sources), _all_numbers(writer, given)
    states = [writer.buffer() for _ in range(3)]
    with writer.tiles(columns) as (first, count):
        writer.fill(states, numbers[WIDE][15:])
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


def _write_backward(
    kinds: _Kinds,
    used: tuple[bool, bool],
    writer: Writer,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    shape: tuple[Any, Any],
) -> None:
    from memspike.parts.lanes import WIDE

    *given, numbers = inputs
    here = 2 * kinds.pulse + kinds.held
    source, courses, asked = _Source(writer, kinds, given), given[here : here + 3], given[here + 3 :]
    steps, columns, builder = *shape, writer.builder
    every = _all_numbers(writer, numbers)
    # adjoints of v and both states, half the adjoint of the middle of the step after, that of the pulse
    starts, adjoints = [writer.buffer() for _ in range(3)], [writer.buffer() for _ in range(5)]
    writer.fill(starts, every[WIDE][15:])
    with writer.tiles(columns) as (first, count):
        writer.fill(adjoints, [writer.zero(WIDE)] * 5)
        with writer.loop(writer.whole(0), steps) as past:
            t = builder.sub(builder.sub(steps, writer.whole(1)), past)
            row = builder.add(builder.mul(t, columns), first)
            later, before = builder.icmp_signed(">", t, writer.whole(0)), builder.sub(row, columns)
            earlier = [
                builder.select(later, writer.after(x, before), start) for x, start in zip(courses, starts, strict=True)
            ]

            def law(place: Place, at: Any = (t, first, row), earlier: Any = tuple(earlier)) -> None:
                own, row = every[place.width], at[2]
                of_v, *of_x, ahead, of_pulse = (writer.load(a, place) for a in adjoints)
                wanted = iter(asked)
                if used[0]:
                    of_v = of_v + writer.load(writer.after(next(wanted), row), place)
                if used[1]:
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
                    writer.store(current, writer.after(outputs[-1], row), place)

            writer.each(count, law)
        if kinds.pulse:
            there = writer.after(outputs[0], first)
            writer.each(count, lambda place: writer.store(writer.load(adjoints[4], place), there, place))


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
    from memspike.parts.lanes import risen

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


@cache
def _forward_kernel(kinds: _Kinds) -> Callable[..., tuple[Real, ...]]:
    """(currents, numbers) → the courses of v, its middle above rest, and both states."""
    inputs = [*(STEP, NEURON) * kinds.pulse, *(COURSE,) * kinds.held, NUMBER]
    name = "memspike_mif_" + "".join(f"{one:d}" for one in kinds)
    kernel = Kernel(name, len(inputs), 4, len(inputs), partial(_write_forward, kinds))
    return _side_by_side(kernel, inputs, [COURSE] * 4)


@cache
def _backward_kernel(kinds: _Kinds, used: tuple[bool, bool]) -> Callable[..., tuple[Real, ...]]:
    """(currents, courses of v and both states, adjoints that are not zero, numbers) → adjoints of pulse and held."""
    here = [*(STEP, NEURON) * kinds.pulse, *(COURSE,) * kinds.held]
    inputs = [*here, *(COURSE,) * (3 + sum(used)), NUMBER]
    outputs = [*(NEURON,) * kinds.pulse, *(COURSE,) * kinds.held]
    name = "memspike_mif_adjoint_" + "".join(f"{one:d}" for one in (*kinds, *used))
    kernel = Kernel(name, len(inputs), len(outputs), len(here), partial(_write_backward, kinds, used))
    return _side_by_side(kernel, inputs, outputs)
