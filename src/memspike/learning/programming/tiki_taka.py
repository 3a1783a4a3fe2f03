"""Tiki-Taka and its kin: gradients on an array A that forgets by its own asymmetry, its rows added to the array C."""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from memspike.cells.base import Weight
from memspike.devices.rows import take
from memspike.learning.programming import options
from memspike.learning.programming.base import Scheme
from memspike.learning.programming.counting import whole
from memspike.learning.programming.transfer import (
    GradientArray,
    RowPulses,
    RowRead,
    Transfer,
    on_gradient_array,
    transferring,
)
from memspike.parts.random import uniform
from memspike.parts.registry import SCHEMES

CHOPPED = "Rasch et al., Nat. Commun. (2024), doi 10.1038/s41467-024-51221-z, arXiv 2303.04721"
# what is left in the buffer of an element that has sent a pulse
REMAINDER = 0.1
# the mean of a period is that of its last fifth: weight of one read over that of a plain mean
TAIL = 5.0


def straight(most: int) -> Transfer:
    """What is read goes to C at once, rounded stochastically to whole pulses, at most `most`."""

    def take(state: tuple[()], read: RowRead, *, key: PRNGKeyArray | None) -> tuple[tuple[()], RowPulses]:
        return state, whole(read.rate * read.pulses, most, key=key)

    return Transfer(lambda shape: (), take)


@SCHEMES.register(
    "tiki-taka",
    "gradients on an array at its symmetry point, its rows added to the weight array",
    "Gokmen & Haensch, Front. Neurosci. 14: 103 (2020), doi 10.3389/fnins.2020.00103",
)
@on_gradient_array
def tiki_taka(array: GradientArray) -> Scheme:
    """A ← A + fast·Δw by pulses; one row after the other, C ← C + (rows/reads/period)·A/fast by pulses.

    A is never erased: pulses of both signs draw it back to its symmetry point, where its reference has to be. With
    `Stack.gamma` above 0 the forward pass sees A as well. Options: `GradientArray`.
    """
    return transferring(straight(array.most), array)


class Buffered(NamedTuple):
    """The buffer H [rows, columns] in pulses of C, and the choppers ±1 [rows]."""

    buffer: Weight
    signs: Float[Array, " rows"]


def fired(buffer: RowPulses) -> tuple[RowPulses, RowPulses]:
    """The buffer of rows after every element with |H| ≥ 1 has sent one pulse, and these pulses."""
    pulses = jnp.clip(jnp.trunc(buffer), -1.0, 1.0)
    return jnp.where(pulses == 0, buffer, REMAINDER * buffer), pulses


def reads_of(chop: float) -> int:
    """Reads of a row from one turn of its chopper to the next, where it turns regularly; at least 2."""
    return max(math.ceil(1 / chop), 2)


def buffered(chop: float | None = None) -> Transfer:
    """What is read adds up in the buffer H, with the sign of the chopper; |H| ≥ 1 sends one pulse and leaves 0.1·H.

    A row's chopper turns after a read with the probability `chop`; without a key, regularly after 1/`chop` reads.
    """
    every = None if chop is None else reads_of(chop)

    def turned(read: RowRead, key: PRNGKeyArray | None) -> Bool[Array, " reads"]:
        if chop is None or every is None:
            return jnp.zeros(read.row.shape, bool)
        if key is None:
            return jnp.broadcast_to(read.sweep % every == every - 1, read.row.shape)
        return uniform(key, read.row.shape) < chop

    def take(state: Buffered, read: RowRead, *, key: PRNGKeyArray | None) -> tuple[Buffered, RowPulses]:
        state, (before, sign) = _read(state, read)
        left, pulses = fired(before + sign[:, None] * read.rate * read.pulses)
        return Buffered(*_put(state, read, (left, jnp.where(turned(read, key), -sign, sign)))), pulses

    def start(shape: tuple[int, ...]) -> Buffered:
        return Buffered(jnp.zeros(shape), jnp.ones(shape[0]))

    return Transfer(start, take, lambda state: state.signs)


def _read(state: Any, read: RowRead) -> tuple[Any, list[Array]]:
    """The state, and of each of its arrays the rows that were read: what is written comes afterwards."""
    rows, after = [], []
    for x in state:
        if x.ndim == 1:
            found, same = x.at[read.row].get(mode="clip"), x
        else:
            found, same = take(x, jnp.clip(read.row, 0, len(x) - 1).astype(jnp.int32))
        rows.append(found)
        after.append(same)
    return type(state)(*after), rows


def _put(state: tuple[Array, ...], read: RowRead, rows: tuple[Array, ...]) -> list[Array]:
    """The arrays of a state with these rows in place of those that were read."""
    return [x.at[read.row].set(y, mode="drop") for x, y in zip(state, rows, strict=True)]


@SCHEMES.register(
    "tiki-taka-2",
    "Tiki-Taka with a digital buffer that filters what is read from the gradient array",
    "Gokmen, Front. Artif. Intell. 4: 699148 (2021), doi 10.3389/frai.2021.699148",
)
@on_gradient_array
def tiki_taka_2(array: GradientArray) -> Scheme:
    """A ← A + fast·Δw; of one row after the other H ← H + (rows/reads/period)·A/(fast·δ); |H| ≥ 1 is a pulse on C.

    The reference of A has to be at its symmetry point. Options: `GradientArray`.
    """
    return transferring(buffered(), array)


@SCHEMES.register("chopped-tiki-taka", "tiki-taka-2 with choppers: an error of the reference averages out", CHOPPED)
@on_gradient_array
def chopped_tiki_taka(array: GradientArray, chop: options.ChopRate = 0.05) -> Scheme:
    """`tiki_taka_2` with gradients and readings of a row multiplied by ±1, which turns with a probability of `chop`.

    An offset of the reference comes into the buffer with both signs in turn. Options: `GradientArray`.
    """
    return transferring(buffered(chop), array)


class AdaptiveReference(NamedTuple):
    """Buffer H, running mean of the readings and its value at the last turn [rows, columns]; choppers ±1 [rows]."""

    buffer: Weight
    mean: Weight
    past: Weight
    signs: Float[Array, " rows"]


def adaptive_reference(chop: float) -> Transfer:
    """Readings count from their running mean at the last turn of the chopper, which turns every 1/`chop` reads.

    Nothing is sent in the first period: a reference has to be known first.
    """
    every = reads_of(chop)
    weight = min(TAIL / every, 1.0)

    def take(
        state: AdaptiveReference, read: RowRead, *, key: PRNGKeyArray | None
    ) -> tuple[AdaptiveReference, RowPulses]:
        state, (before, mean, past, sign) = _read(state, read)
        sample = read.sweep % every
        past = jnp.where((sample == 0) & (read.sweep > 0), mean, past)
        left, pulses = fired(before + sign[:, None] * read.rate * (read.pulses - past))
        new = left, (1 - weight) * mean + weight * read.pulses, past, jnp.where(sample == every - 1, -sign, sign)
        return AdaptiveReference(*_put(state, read, new)), jnp.where(read.sweep > every, pulses, 0.0)

    def start(shape: tuple[int, ...]) -> AdaptiveReference:
        none = jnp.zeros(shape)
        return AdaptiveReference(none, none, none, jnp.ones(shape[0]))

    return Transfer(start, take, lambda state: state.signs)


@SCHEMES.register("agad", "chopped Tiki-Taka that learns the reference of the gradient array: no calibration", CHOPPED)
@on_gradient_array
def agad(array: GradientArray, chop: options.ChopRate = 0.05) -> Scheme:
    """`chopped_tiki_taka` with regular turns, whose readings are taken from where the row was at the last turn.

    Options: `GradientArray`.
    """
    return transferring(adaptive_reference(chop), array)


@options.checked
def residual(array: GradientArray, slower: options.Slowdown = 4) -> Scheme:
    """Gradients go to the last tile of a `Stack`; a row of every tile is read in turn and added to the tile before it.

    `array` says how the last tile is written and read; each one before it is read at intervals, and added with a
    period, that are `slower` times as long. Whole pulses by stochastic rounding. Nothing is subtracted from a tile
    that was read: with `Stack.gamma` above 0 the forward pass sees all tiles, and the gradient takes back what is there
    twice. With two tiles it is Tiki-Taka.
    """
    return transferring(straight(array.most), array, slower)


@SCHEMES.register(
    "residual-tiles",
    "a weight as a geometric sum of tiles, each learning the residual of those before it",
    "Li et al., arXiv 2510.02516 (2025): the sum of tiles and their timescales; the rest is a reconstruction",
)
@on_gradient_array
def residual_tiles(array: GradientArray, slower: options.Slowdown = 4) -> Scheme:
    """`residual` with the options of the last tile (`GradientArray`), on a `Stack` of any number of tiles."""
    return residual(array, slower)
