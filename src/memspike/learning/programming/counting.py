"""How many pulses a wanted change of a weight is worth: without memory, or saved up in a digital accumulator."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.cells.base import CellState, Weight
from memspike.cells.differential import DifferentialPair
from memspike.cells.multi import MultiDevice
from memspike.cells.write import Alternate
from memspike.learning.programming.base import Counting
from memspike.parts.errors import InputError
from memspike.parts.param import check_count, is_concrete
from memspike.parts.random import uniform

Step = Float[Array, ""] | float
# a pulse worth less than this share of the nominal one is not sent by who knows it
NEARLY_NOTHING = 0.02


def _nothing(crossbar: Crossbar, cells: CellState) -> tuple[()]:
    return ()


def _zeros(crossbar: Crossbar, cells: CellState) -> Weight:
    return jnp.zeros_like(crossbar.cell.weight(crossbar.cell.stored(cells)))


def check_step(name: str, value: Step | None) -> None:
    """InputError unless a step in weight is finite and above 0, or None."""
    if value is not None and is_concrete(value) and not 0 < float(value) < float("inf"):
        raise InputError(f"{name} is {float(value):g} in units of weight; a finite number above 0 is needed.")


def _alternates(crossbar: Crossbar) -> bool:
    cell = crossbar.cell
    return isinstance(cell, DifferentialPair | MultiDevice) and isinstance(cell.write, Alternate)


def worth_of(crossbar: Crossbar, step: Step | None, wanted: Weight) -> Step | Weight:
    """What one pulse in the direction of `wanted` is worth, a number above 0: `step`, or that of the mean cell.

    By default the devices are taken to be in the middle of their range. Where the sides of a pair take turns it is the
    mean of what a pulse is worth on either.
    """
    if step is not None:
        return step
    if _alternates(crossbar):
        return even_worth(crossbar)
    nominal = crossbar.cell.nominal_worth()
    return jnp.where(wanted < 0, -nominal.down, nominal.up)


def even_worth(crossbar: Crossbar) -> Step:
    """The mean of what a pulse up and a pulse down is worth for the mean device in mid-range: asymmetry ignored."""
    nominal = crossbar.cell.nominal_worth()
    return 0.5 * (nominal.up - nominal.down)


def sign(dead_zone: float = 0.0) -> Counting:
    """One pulse on every device of the side where the wanted change is larger than `dead_zone` (in weight)."""
    if is_concrete(dead_zone) and not 0 <= float(dead_zone) < float("inf"):
        raise InputError(f"The dead zone is {float(dead_zone):g} in units of weight; a finite number ≥ 0 is needed.")

    def count(
        state: Any, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None
    ) -> tuple[Any, Weight]:
        devices = crossbar.cell.per_side if isinstance(crossbar.cell, MultiDevice) else 1
        return state, jnp.where(jnp.abs(dw) > dead_zone, jnp.sign(dw) * devices, 0.0)

    return Counting(_nothing, count)


def stochastic(scale: Step | None = None) -> Counting:
    """One pulse with probability min(|Δw|/scale, 1); by default `scale` is the worth of a pulse: right on average."""
    check_step("The scale of the probability", scale)

    def count(
        state: Any, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None
    ) -> tuple[Any, Weight]:
        p = jnp.abs(dw) / worth_of(crossbar, scale, dw)
        u = jnp.full(dw.shape, 0.5, dw.dtype) if key is None else uniform(key, dw.shape, dw.dtype)
        return state, jnp.where(u < p, jnp.sign(dw), 0.0)

    return Counting(_nothing, count)


def rounded(step: Step | None = None) -> Counting:
    """⌊|Δw|/step⌋ pulses at once; what is below one step is lost. `step` by default the worth of a pulse."""
    check_step("The step of a pulse", step)

    def count(
        state: Any, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None
    ) -> tuple[Any, Weight]:
        # what is a whole number of steps up to rounding is that number
        return state, jnp.trunc(dw / worth_of(crossbar, step, dw) * (1 + 1e-6))

    return Counting(_nothing, count)


class Quanta(NamedTuple):
    """What is left in the accumulator and the whole quanta taken out of it, both [rows, columns]."""

    left: Weight
    quanta: Weight


def taken(accumulated: Weight, quantum: Step | Weight) -> Quanta:
    """Whole quanta out of an accumulator, towards zero: rounding down would fire on every small negative number."""
    quanta = jnp.trunc(accumulated / quantum)
    return Quanta(accumulated - quanta * quantum, quanta)


def accumulate(quantum: Step | None = None, pulses: int = 1) -> Counting:
    """Wanted changes add up in digital memory; every whole `quantum` leaves it as `pulses` pulses.

    By default a quantum is the worth of its pulses: of one pulse on one device, if `pulses` is 1.
    """
    check_step("The quantum", quantum)
    check_count("The number of pulses of a quantum", pulses)

    def count(
        state: Weight, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None
    ) -> tuple[Weight, Weight]:
        wanted = state + dw
        each = worth_of(crossbar, None, wanted) * pulses if quantum is None else quantum
        out = taken(wanted, each)
        return out.left, out.quanta * pulses

    return Counting(_zeros, count)


def accumulate_capped(quantum: float, step: float) -> Counting:
    """As `accumulate`, but with the pulse count of the released code of Demirağ et al.: ⌈|q|/step⌉, q in weight.

    No weight gets more than int(max |q|/step), taken over the whole array: pulses of one device depend on what
    happens elsewhere.
    """
    check_step("The quantum", quantum)
    check_step("The step of a pulse", step)

    def count(
        state: Weight, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None
    ) -> tuple[Weight, Weight]:
        out = taken(state + dw, quantum)
        steps = jnp.abs(out.quanta) * (quantum / step)
        return out.left, jnp.sign(out.quanta) * jnp.minimum(jnp.ceil(steps), jnp.floor(steps.max()))

    return Counting(_zeros, count)


class Believed(NamedTuple):
    """The accumulator, and the cells as their noise-free law says that they are after the pulses they got."""

    left: Weight
    cells: CellState


def expected_step(most: int = 1) -> Counting:
    """Accumulate, and spend what the next pulse is expected to be worth here, by the count of pulses so far.

    The controller carries the noise-free state of every device, which follows from the pulses it was sent: no read.
    At most `most` pulses of a weight in one update. A pulse without effect (less than 2 % of the nominal worth: a full
    device) is never sent; then no more than one nominal pulse stays in the accumulator, so that a weight which cannot
    go on turns back at once. (Where the sides take turns it is sent after all, or the turn would never pass on.)
    The belief holds for pulses that are written blind, and inside `refreshed`.
    """
    check_count("The largest number of pulses in an update", most)

    def start(crossbar: Crossbar, cells: CellState) -> Believed:
        return Believed(_zeros(crossbar, cells), cells)

    def count(
        state: Believed, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None
    ) -> tuple[Believed, Weight]:
        cell, sent = crossbar.cell, jnp.zeros_like(dw)
        left, believed = state.left + dw, state.cells
        for _ in range(most):
            now, nominal = cell.worth(believed), worth_of(crossbar, None, left)
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
