"""Schemes that read devices before they write: to verify, to invert their law, or to choose one of a pair."""

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.arrays.ledger import Ledger
from memspike.arrays.sums import Tally
from memspike.arrays.trains import row_by_row
from memspike.cells.base import AbstractCell, CellState, Weight
from memspike.cells.differential import DifferentialPair
from memspike.devices.base import select
from memspike.devices.targets import Programmed, open_loop, write_verify
from memspike.learning.programming import options
from memspike.learning.programming.base import Applied, Scheme, keys_of, nothing, where_due
from memspike.learning.programming.counting import nominal_step, symmetric_step, whole
from memspike.parts.param import mean_of
from memspike.parts.random import uniform
from memspike.parts.refusals import NoPair
from memspike.parts.registry import SCHEMES

# wider than any range: devices of weights that are not due pass their first verify
ANYTHING = 1e3
PairFlags = Bool[Array, "rows columns"]


class WeightTargets(NamedTuple):
    """Digital copies: the weights that are wanted, and those that were wanted when each was last written."""

    weight: Weight
    written: Weight


def _ledger_of(
    crossbar: Crossbar, before: CellState, after: CellState, done: Programmed, where: Bool[Array, "..."]
) -> Ledger:
    """One write: all pulses up, then all down (not their difference), and RESETs of the devices `where` true.

    A verify read takes a row at once, so a row is read as often as the device of it that needs most.
    """
    up, down, resets = (
        jnp.where(where, n, 0).astype(jnp.result_type(float)) for n in (done.up, done.down, done.resets)
    )
    both = crossbar.book(before, after, up, resets) + crossbar.book(after, after, -down, jnp.zeros_like(resets))
    reads = row_by_row(jnp.where(where, done.reads, 0).astype(jnp.result_type(float)))
    return dataclasses.replace(both, writes=Tally.of(1), reads=Tally.of(reads))


@SCHEMES.register("write-verify", "weights in digital memory; devices follow by pulses and noisy reads in turn")
@options.checked
def verified(
    quantum: options.OptionalQuantum = None, tolerance: options.Tolerance = 0.02, settle: options.SettleTime = 38.6
) -> Scheme:
    """A weight is written again once what is wanted has moved by a `quantum` (weight) since it was written last.

    Its devices are then driven to the conductances of the wanted weight, each to `tolerance` of its range in reads
    `settle` seconds after the last pulse; a device that can only be RESET downwards starts anew. Accurate, at many
    pulses and reads a weight. Without a key there is no noise to verify away: the pulses that bring the mean device
    nearest are sent.

    Source: write and verify is common practice; the rule when to write, and the defaults, are choices of this library.

    InputError for a tolerance or a time that is not allowed.
    """

    def start(crossbar: Crossbar, cells: CellState) -> WeightTargets:
        w = crossbar.cell.weight(crossbar.cell.stored(cells))
        return WeightTargets(w, w)

    def apply(
        state: WeightTargets, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None
    ) -> Applied:
        cell, device, n = crossbar.cell, crossbar.cell.device, crossbar.cell.programmed()
        limit = cell.weight(cell.conductances(jnp.full_like(dw, 1e6))), cell.weight(cell.conductances(dw - 1e6))
        wanted = jnp.clip(state.weight + dw, limit[1], limit[0])
        moved = wanted - state.written
        due = jnp.abs(moved) >= nominal_step(crossbar, quantum, moved)
        where = jnp.broadcast_to(due[None], (n, *dw.shape))
        target = jnp.clip(cell.conductances(wanted)[:n], device.g_min, device.g_max)
        if key is None:
            done = open_loop(device, cells.devices, target, fresh=False, key=None)
        else:
            window = jnp.where(where, tolerance, ANYTHING)
            done = write_verify(device, cells.devices, target, tolerance=window, settle=settle, key=key)
        after = cells._replace(devices=select(where, done.state, cells.devices))
        ledger = _ledger_of(crossbar, cells, after, done, where)
        return Applied(WeightTargets(wanted, jnp.where(due, wanted, state.written)), after, ledger)

    return Scheme(start, apply)


def inverted(cell: AbstractCell, state: CellState, dw: Weight, most: int, *, key: PRNGKeyArray | None) -> Weight:
    """Whole pulses from `state` whose mean change is Δw by the noise-free law; at most `most`.

    Two neighbouring counts n and n + 1 enclose Δw; one of them is drawn so that their mean is right (without a key:
    the nearer). Found by bisection with the law itself, so for any device and cell.
    """
    now, sign = cell.weight(cell.stored(state)), jnp.sign(dw)

    def moved(n: Weight) -> Weight:
        after, _ = cell.program(state, sign * n)
        return sign * (cell.weight(cell.stored(after)) - now)

    wanted, low = jnp.abs(dw), jnp.zeros_like(dw)
    for bit in reversed(range(most.bit_length())):
        tried = low + 2.0**bit
        low = jnp.where((tried <= most) & (moved(tried) <= wanted), tried, low)
    below, above = moved(low), moved(low + 1)
    share = (wanted - below) / jnp.maximum(above - below, 1e-9 * wanted + 1e-30)
    u = jnp.full(dw.shape, 0.5, dw.dtype) if key is None else uniform(key, dw.shape, dw.dtype)
    return sign * jnp.minimum(low + (u < share).astype(dw.dtype), most)


@SCHEMES.register("cancel-with-read", "every update reads all devices and inverts the law of the mean device")
@options.checked
def cancelled(most: options.MostPulses = 8) -> Scheme:
    """The upper baseline with hardware: a (noisy) read of all devices before every update, then `inverted`.

    The controller inverts the law of the mean device: spread from device to device is not known to it. Reads
    go to the ledger, row by row.

    Source: a baseline of this library, no published circuit.
    """

    def apply(state: tuple, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None) -> Applied:
        cell, n = crossbar.cell, crossbar.cell.programmed()
        keys = keys_of(key, 3)
        g = cell.read(cells, key=keys[0])[:n]
        nominal = eqx.tree_at(lambda c: c.device, cell, mean_of(cell.device))
        believed = cells._replace(devices=nominal.device.place(cells.devices, g))
        pulses = inverted(nominal, believed, dw, most, key=keys[1])
        after, ledger = crossbar.write(cells, pulses, key=keys[2])
        return Applied(state, after, dataclasses.replace(ledger, reads=Tally.of(dw.shape[0])))

    return Scheme(nothing, apply)


class Sensed(NamedTuple):
    """For pulses up and down on a weight, whether they go to G⁺; and how many updates there were."""

    up_on_plus: PairFlags
    down_on_plus: PairFlags
    updates: Int[Array, ""]


@SCHEMES.register(
    "conditional-reverse",
    "pairs; rare coarse reads say which of the two devices answers to the next pulses like the nominal one",
    "in the spirit of CRUS, Lee et al., arXiv 2111.07113, of which only the abstract is known here",
)
@options.checked
def conditional_reverse(
    every: options.UpdateInterval = 100, levels: options.Levels = 4, most: options.OptionalMostPulses = None
) -> Scheme:
    """Stochastic rounding on a `DifferentialPair`; a pulse up raises G⁺, or lowers G⁻, whichever is the better.

    Every `every` updates all devices are sensed to one of `levels` levels. From its level and the law of the mean
    device the controller knows what a pulse would give on either device, and takes for each direction the one that
    is nearer to `symmetric_step` until it senses again. A reconstruction. InputError for other
    cells.
    """

    def sensed(crossbar: Crossbar, cells: CellState, *, key: PRNGKeyArray | None) -> tuple[PairFlags, PairFlags]:
        cell = crossbar.cell
        low, high = cell.conductance_range()
        share = (cell.read(cells, key=key)[:2] - low) / (high - low)
        centre = (jnp.clip(jnp.floor(share * levels), 0, levels - 1) + 0.5) / levels
        device = mean_of(cell.device)
        state = device.place(cells.devices, low + centre * (high - low))
        now = device.stored(state)
        up, down = (sign * (device.stored(device.program(state, sign)) - now) for sign in (1, -1))
        step = symmetric_step(crossbar) * cell.unit()
        error_up, error_down = jnp.abs(up - step), jnp.abs(down - step)
        return error_up[0] <= error_down[1], error_down[0] <= error_up[1]

    def start(crossbar: Crossbar, cells: CellState) -> Sensed:
        if not isinstance(crossbar.cell, DifferentialPair):
            raise NoPair("conditional-reverse", type(crossbar.cell).__name__)
        return Sensed(*sensed(crossbar, cells, key=None), jnp.int32(0))

    def apply(state: Sensed, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None) -> Applied:
        keys = keys_of(key, 3)
        due = state.updates % every == 0
        old = state.up_on_plus, state.down_on_plus
        first, second = where_due(due, lambda _: sensed(crossbar, cells, key=keys[0]), old)
        pulses = whole(dw / symmetric_step(crossbar), most, key=keys[1])
        on_plus = jnp.where(pulses > 0, first, second)
        arbitrated = jnp.stack([jnp.where(on_plus, pulses, 0.0), jnp.where(on_plus, 0.0, -pulses)])
        after, ledger = crossbar.pulse(cells, arbitrated, key=keys[2])
        ledger = dataclasses.replace(ledger, reads=Tally.of(jnp.where(due, dw.shape[0], 0)))
        return Applied(Sensed(first, second, state.updates + 1), after, ledger)

    return Scheme(start, apply)
