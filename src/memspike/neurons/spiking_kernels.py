"""The kernels of `spiking_course`: the law of LIF and ALIF neurons, and its adjoint."""

import math
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.neurons.lif import ALIF, LIF
from memspike.neurons.surrogate import ArcTan, Box, FastSigmoid, Logistic, Triangular
from memspike.parts.courses import COURSE, NEURON, NUMBER, side_by_side
from memspike.parts.kernels import Kernel

if TYPE_CHECKING:
    from memspike.parts.lanes import Lanes
    from memspike.parts.writer import Place, Writer
else:
    Lanes = Place = Writer = Any

Real = Float[Array, "..."]


class Kinds(NamedTuple):
    """Whether thresholds adapt, resets are soft, spikes silence for a while, neurons differ; the pseudo-derivative."""

    adapts: bool
    soft: bool
    silent: bool
    differ: bool
    surrogate: type


def _triangular(x: Lanes, gamma: Lanes) -> Lanes:
    return gamma * (1.0 - x.at_least(-x)).at_least(0.0)


def _fast_sigmoid(x: Lanes, slope: Lanes) -> Lanes:
    share = 1.0 / (1.0 + slope * x.at_least(-x))
    return share * share


def _box(x: Lanes, width: Lanes) -> Lanes:
    inside = (0.5 * width).above(x.at_least(-x))
    return (x.nothing() + 1.0).where(inside, x.nothing())


def _logistic(x: Lanes, slope: Lanes) -> Lanes:
    from memspike.parts.lane_functions import exponential

    y = 1.0 / (1.0 + exponential(-(slope * x)))
    return slope * y * (1.0 - y)


def _arctan(x: Lanes, slope: Lanes) -> Lanes:
    u = slope * x * (0.5 * math.pi)
    return 0.5 * slope / (1.0 + u * u)


# pseudo-derivatives by their type: the name of their number, and their law
SURROGATES: dict[type, tuple[str, Callable[[Lanes, Lanes], Lanes]]] = {
    Triangular: ("gamma", _triangular),
    FastSigmoid: ("slope", _fast_sigmoid),
    Box: ("width", _box),
    Logistic: ("slope", _logistic),
    ArcTan: ("slope", _arctan),
}
# little is computed for what is moved: long tiles, so that neighbours of a step are fetched together
LONG = 2048
# α, θ, 1/θ, ρ, β, steps of silence, number of the pseudo-derivative
ALPHA, THETA, PER_THETA, RHO, BETA, SILENCE, SHAPE = range(7)
NUMBERS = 7


def kinds_of(neuron: Any) -> Kinds:
    """Of LIF or ALIF neurons."""
    differ = any(jnp.ndim(leaf) for leaf in jax.tree.leaves(neuron))
    silent, surrogate = neuron.refractory > 0, type(neuron.surrogate)
    return Kinds(isinstance(neuron, ALIF), neuron.soft, silent, differ, surrogate)


def numbers_of(neuron: Any, dt: float) -> list[Real]:
    """What the kernels need of the neurons and the step."""
    assert isinstance(neuron, LIF | ALIF)
    theta: Any = neuron.theta
    rho, beta = (jnp.exp(-dt / neuron.tau_a), neuron.beta) if isinstance(neuron, ALIF) else (0.0, 0.0)
    shape = getattr(neuron.surrogate, SURROGATES[type(neuron.surrogate)][0])
    each = [jnp.exp(-dt / neuron.tau), theta, 1 / theta, rho, beta, float(neuron.refractory), shape]
    return [jnp.asarray(x, jnp.float32) for x in each]


class Own:
    """The numbers of the neurons at a place: of all, behind one pointer, or of each, behind several."""

    def __init__(self, writer: Writer, kinds: Kinds, given: Sequence[Any], first: Any = None) -> None:
        from memspike.parts.lanes import WIDE

        self.writer, self.each = writer, list(given) if kinds.differ else None
        if self.each is not None and first is not None:
            self.each = [writer.after(x, first) for x in self.each]
        if not kinds.differ:
            self.all = {w: [writer.number(given[0], k, w) for k in range(NUMBERS)] for w in (WIDE, 1)}

    def at(self, place: Place) -> list[Lanes]:
        """Those of a place."""
        if self.each is None:
            return self.all[place.width]
        return [self.writer.load(x, place) for x in self.each]


def stepped(kinds: Kinds, own: Sequence[Lanes], before: dict[str, Lanes], drive: Lanes) -> dict[str, Lanes]:
    """The state after a step of neurons that were `before`, with ψ."""
    v, z = before["v"], before["z"]
    kept = own[ALPHA] * v
    after = {"v": kept + drive - own[THETA] * z if kinds.soft else kept * (1.0 - z) + drive}
    threshold = own[THETA]
    if kinds.adapts:
        after["a"] = own[RHO] * before["a"] + z
        threshold = threshold + own[BETA] * after["a"]
    above = after["v"] - threshold
    psi = SURROGATES[kinds.surrogate][1](above * own[PER_THETA], own[SHAPE])
    none = above.nothing()
    spikes = (none + 1.0).where(above.above(0.0), none)
    if kinds.silent:
        left = own[SILENCE].where(z.above(0.0), (before["blocked"] - 1.0).at_least(0.0))
        silenced = left.above(0.0)
        after["blocked"] = left
        psi, spikes = none.where(silenced, psi), none.where(silenced, spikes)
    return {**after, "z": spikes, "psi": psi}


def names_of(kinds: Kinds) -> tuple[str, ...]:
    """What the state of such neurons consists of."""
    return ("v", "z", *("a",) * kinds.adapts, *("blocked",) * kinds.silent)


def _write_backward(
    kinds: Kinds, writer: Writer, inputs: Sequence[Any], outputs: Sequence[Any], lengths: tuple[Any, ...]
) -> None:
    """Adjoints of the drive, given ψ, spikes and the adjoints of spikes."""
    from memspike.parts.lanes import WIDE

    writer.tile = LONG
    (psi, spikes, wanted, *given), (steps, columns), builder = inputs, lengths, writer.builder
    # adjoints of v and a of the step after, as it began, and that of a spike by way of a
    adjoints = [writer.buffer() for _ in range(1 + 2 * kinds.adapts)]
    with writer.tiles(columns) as (first, count):
        own = Own(writer, kinds, given, first)
        writer.fill(adjoints, [writer.zero(WIDE)] * len(adjoints))
        with writer.loop(writer.whole(0), steps) as past:
            t = builder.sub(builder.sub(steps, writer.whole(1)), past)
            row = builder.add(builder.mul(t, columns), first)
            # before the first step no neuron has spiked; what is said of it is of no matter
            later, earlier = builder.icmp_signed(">", t, writer.whole(0)), builder.sub(row, columns)
            before = writer.after(spikes, builder.select(later, earlier, row))
            slope, asked, out = (writer.after(x, row) for x in (psi, wanted, outputs[0]))

            def law(place: Place, own: Own = own, at: Any = (before, slope, asked, out)) -> None:
                numbers, (before, slope, asked, out) = own.at(place), at
                of_z = writer.load(asked, place)
                if kinds.adapts:
                    of_z = of_z + writer.load(adjoints[2], place)
                at_threshold = writer.load(slope, place) * of_z
                of_v = at_threshold + writer.load(adjoints[0], place)
                writer.store(of_v, out, place)
                kept = numbers[ALPHA] if kinds.soft else numbers[ALPHA] * (1.0 - writer.load(before, place))
                writer.store(kept * of_v, adjoints[0], place)
                if kinds.adapts:
                    of_a = writer.load(adjoints[1], place) - numbers[BETA] * at_threshold
                    writer.store(numbers[RHO] * of_a, adjoints[1], place)
                    writer.store(of_a, adjoints[2], place)

            writer.each(count, law)


def label_of(kinds: Kinds) -> str:
    """What tells their kernels apart."""
    return "".join(f"{one:d}" for one in kinds[:4]) + f"_{kinds.surrogate.__name__}"


@cache
def backward_kernel(kinds: Kinds) -> Callable[..., tuple[Real, ...]]:
    """(ψ, z, adjoints of z, numbers) → adjoints of the drive, from rest on."""
    inputs = [COURSE, COURSE, COURSE, *([NEURON] * NUMBERS if kinds.differ else [NUMBER])]
    kernel = Kernel(f"memspike_lif_adjoint_{label_of(kinds)}", len(inputs), 1, 0, partial(_write_backward, kinds))
    return side_by_side(kernel, inputs, [COURSE], little=True)
