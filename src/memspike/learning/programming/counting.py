"""From a wanted change of a weight to a number of pulses: without memory, or out of a digital accumulator."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.cells.base import CellState, Real, Weight, typical
from memspike.cells.differential import Alternate, DifferentialPair, MultiDevice
from memspike.learning.programming import options
from memspike.learning.programming.base import Counting, memoryless
from memspike.parts.random import uniform

# a pulse whose step is less than this share of the nominal one is not sent by who knows it
NEARLY_NOTHING = 0.02


def stochastic_rounding(wanted: Real, *, key: PRNGKeyArray) -> Real:
    """A whole number whose mean is `wanted`: ⌊f + u⌋ with u uniform in [0, 1)."""
    return jnp.floor(wanted + uniform(key, wanted.shape, wanted.dtype))


def whole(wanted: Real, most: int | None, *, key: PRNGKeyArray | None) -> Real:
    """`wanted` pulses rounded stochastically (without a key: to the nearest), and then cut to ±`most`."""
    number = jnp.round(wanted) if key is None else stochastic_rounding(wanted, key=key)
    return number if most is None else jnp.clip(number, -most, most)


def zero_weights(crossbar: Crossbar, cells: CellState) -> Weight:
    """Zeros [rows, columns]: an empty accumulator."""
    return jnp.zeros_like(crossbar.cell.weight(crossbar.cell.stored(cells)))


def _alternates(crossbar: Crossbar) -> bool:
    cell = crossbar.cell
    return isinstance(cell, DifferentialPair | MultiDevice) and isinstance(cell.write, Alternate)


def nominal_step(crossbar: Crossbar, step: options.WeightStep | None, wanted: Weight) -> options.WeightStep | Weight:
    """The weight step of one pulse in the direction of `wanted`, above 0: `step`, or the mean cell's in mid-range.

    Where the sides of a pair take turns it is the mean of the steps on either.
    """
    if step is not None:
        return step
    if _alternates(crossbar):
        return symmetric_step(crossbar)
    nominal = crossbar.cell.nominal_worth()
    return jnp.where(wanted < 0, -nominal.down, nominal.up)


def symmetric_step(crossbar: Crossbar) -> options.WeightStep:
    """The mean weight step of a pulse up and a pulse down of the mean device in mid-range: asymmetry ignored."""
    nominal = crossbar.cell.nominal_worth()
    return 0.5 * (nominal.up - nominal.down)


@options.checked
def sign(dead_zone: options.DeadZone = 0.0) -> Counting:
    """One pulse on every device of the side where the wanted change is larger than `dead_zone`."""

    def pulses(crossbar: Crossbar, dw: Weight, *, key: PRNGKeyArray | None) -> Weight:
        devices = crossbar.cell.per_side if isinstance(crossbar.cell, MultiDevice) else 1
        return jnp.where(jnp.abs(dw) > dead_zone, jnp.sign(dw) * devices, 0.0)

    return memoryless(pulses)


@options.checked
def stochastic(scale: options.Scale = None) -> Counting:
    """One pulse with probability min(|Δw|/scale, 1); `scale` is by default `nominal_step`: right on average."""

    def pulses(crossbar: Crossbar, dw: Weight, *, key: PRNGKeyArray | None) -> Weight:
        p = jnp.abs(dw) / nominal_step(crossbar, scale, dw)
        u = jnp.full(dw.shape, 0.5, dw.dtype) if key is None else uniform(key, dw.shape, dw.dtype)
        return jnp.where(u < p, jnp.sign(dw), 0.0)

    return memoryless(pulses)


@options.checked
def rounded(step: options.OptionalPulseStep = None) -> Counting:
    """⌊|Δw|/step⌋ pulses at once; what is below one step is lost. `step` is by default `nominal_step`."""

    def pulses(crossbar: Crossbar, dw: Weight, *, key: PRNGKeyArray | None) -> Weight:
        # what is a whole number of steps up to rounding is that number
        return jnp.trunc(dw / nominal_step(crossbar, step, dw) * (1 + 1e-6))

    return memoryless(pulses)


@options.checked
def stochastically_rounded(step: options.OptionalPulseStep = None, most: options.OptionalMostPulses = None) -> Counting:
    """⌊Δw/step + u⌋ pulses with u uniform in [0, 1): the mean is Δw/step. At most `most` at once, which biases.

    `step` is by default `symmetric_step`, the same in both directions: nothing is done about asymmetry (`sign_gain`
    counts each direction by its own step). Without a key it is the nearest whole number.
    """

    def pulses(crossbar: Crossbar, dw: Weight, *, key: PRNGKeyArray | None) -> Weight:
        return whole(dw / (symmetric_step(crossbar) if step is None else step), most, key=key)

    return memoryless(pulses)


@options.checked
def sign_gain(most: options.OptionalMostPulses = None) -> Counting:
    """Stochastic rounding of Δw over the weight step of a pulse in that direction, of the mean device in mid-range.

    Two constants an array; mid-range becomes the point where pulses of both signs cancel on average.

    Source: a method of this library.
    """

    def pulses(crossbar: Crossbar, dw: Weight, *, key: PRNGKeyArray | None) -> Weight:
        return whole(dw / nominal_step(crossbar, None, dw), most, key=key)

    return memoryless(pulses)


@options.checked
def running_gain(most: options.OptionalMostPulses = None) -> Counting:
    """As `sign_gain`, at the running mean of the array in place of mid-range.

    The controller carries one mean device, which gets the mean number of pulses up and down of every update, and
    takes the expected weight step from it: what a mean-field of the array says, without a read. A step below 2 % of
    the nominal one counts as 2 %.

    Source: a method of this library.
    """

    def start(crossbar: Crossbar, cells: CellState) -> CellState:
        return typical(crossbar.cell)[1]

    def count(
        state: CellState, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None
    ) -> tuple[CellState, Weight]:
        cell, _ = typical(crossbar.cell)
        now, least = cell.worth(state), NEARLY_NOTHING * jnp.asarray(nominal_step(crossbar, None, dw))
        here = jnp.where(dw < 0, -now.down[0, 0], now.up[0, 0])
        pulses = whole(dw / jnp.maximum(here, least), most, key=key)
        for sign in (1, -1):
            mean = sign * jnp.maximum(sign * pulses, 0.0).mean()
            state, _ = cell.program(state, jnp.full((1, 1), mean, dw.dtype))
        return state, pulses

    return Counting(start, count)


def taken(accumulated: Weight, quantum: options.WeightStep | Weight) -> tuple[Weight, Weight]:
    """What is left in an accumulator, and the whole quanta taken out of it, both [rows, columns].

    They are rounded towards zero: rounding down would fire on every small negative number.
    """
    quanta = jnp.trunc(accumulated / quantum)
    return accumulated - quanta * quantum, quanta


@options.checked
def accumulate(quantum: options.OptionalQuantum = None, pulses: options.QuantumPulses = 1) -> Counting:
    """Wanted changes add up in digital memory; every whole `quantum` leaves it as `pulses` pulses.

    By default a quantum is `pulses` times the `nominal_step`: of one pulse on one device, if `pulses` is 1.
    """

    def count(
        state: Weight, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None
    ) -> tuple[Weight, Weight]:
        wanted = state + dw
        each = nominal_step(crossbar, None, wanted) * pulses if quantum is None else quantum
        left, quanta = taken(wanted, each)
        return left, quanta * pulses

    return Counting(zero_weights, count)


@options.checked
def accumulate_capped(quantum: options.Quantum = 0.125, step: options.PulseStep = 0.75 / 11.82503) -> Counting:
    """As `accumulate`, but with the pulse count of the released code of Demirağ et al.: ⌈|q|/step⌉, q in weight.

    No weight gets more than int(max |q|/step), taken over the whole array: pulses of one device depend on what
    happens elsewhere.
    """

    def count(
        state: Weight, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None
    ) -> tuple[Weight, Weight]:
        left, quanta = taken(state + dw, quantum)
        steps = jnp.abs(quanta) * (quantum / step)
        return left, jnp.sign(quanta) * jnp.minimum(jnp.ceil(steps), jnp.floor(steps.max()))

    return Counting(zero_weights, count)


class Believed(NamedTuple):
    """The accumulator, and the cells as their noise-free law says that they are after the pulses they got."""

    left: Weight
    cells: CellState


@options.checked
def expected_step(most: options.MostPulses = 1) -> Counting:
    """Accumulate, and spend the expected weight step of the next pulse here, by the count of pulses so far.

    The controller carries the noise-free state of every device, which follows from the pulses it was sent: no read.
    At most `most` pulses of a weight in one update. A pulse without effect (less than 2 % of the nominal step: a full
    device) is never sent; then no more than one nominal step stays in the accumulator, so that a weight which cannot
    go on turns back at once. (Where the sides take turns it is sent after all, or the turn would never pass on.)
    The belief holds for pulses that are written blind, and inside `refreshed`.

    Source: a method of this library.
    """

    def start(crossbar: Crossbar, cells: CellState) -> Believed:
        return Believed(zero_weights(crossbar, cells), cells)

    def count(
        state: Believed, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None
    ) -> tuple[Believed, Weight]:
        cell, sent = crossbar.cell, jnp.zeros_like(dw)
        left, believed = state.left + dw, state.cells
        for _ in range(most):
            now, nominal = cell.worth(believed), nominal_step(crossbar, None, left)
            step = jnp.where(left > 0, now.up, -now.down)
            useful = step > NEARLY_NOTHING * nominal
            enough = useful & (jnp.abs(left) >= step)
            if _alternates(crossbar):
                enough = enough | (jnp.abs(left) >= nominal)
            pulse = jnp.where(enough, jnp.sign(left), 0.0)
            believed, _ = cell.program(believed, pulse)
            left = jnp.where(useful, left - pulse * step, jnp.clip(left - pulse * step, -nominal, nominal))
            sent = sent + pulse
        return Believed(left, believed), sent

    return Counting(start, count)
