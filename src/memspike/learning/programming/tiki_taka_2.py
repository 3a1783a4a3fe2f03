"""Tiki-Taka with a digital buffer between the arrays, with choppers or without."""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from memspike.cells.base import Weight
from memspike.learning.programming import options
from memspike.learning.programming.base import Scheme
from memspike.learning.programming.transfer import GradientArray, RowPulses, RowRead, Transfer, transferring
from memspike.parts.random import uniform
from memspike.parts.registry import SCHEMES

SOURCE = "Gokmen, Front. Artif. Intell. 4: 699148 (2021), doi 10.3389/frai.2021.699148"
CHOPPED = "Rasch et al., Nat. Commun. (2024), doi 10.1038/s41467-024-51221-z, arXiv 2303.04721"
# what is left in the buffer of an element that has sent a pulse
REMAINDER = 0.1


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
        sign = state.signs.at[read.row].get(mode="clip")
        held = state.buffer.at[read.row].get(mode="clip")
        left, pulses = fired(held + sign[:, None] * read.rate * read.pulses)
        after = jnp.where(turned(read, key), -sign, sign)
        return Buffered(
            state.buffer.at[read.row].set(left, mode="drop"), state.signs.at[read.row].set(after, mode="drop")
        ), pulses

    def start(shape: tuple[int, ...]) -> Buffered:
        return Buffered(jnp.zeros(shape), jnp.ones(shape[0]))

    return Transfer(start, take, lambda state: state.signs)


@SCHEMES.register(
    "tiki-taka-2", "Tiki-Taka with a digital buffer that filters what is read from the gradient array", SOURCE
)
@options.checked
def tiki_taka_2(
    fast: options.GradientGain = 1.0,
    period: options.TransferPeriod = 100.0,
    most: options.MostPulses = 10,
    noise: options.ReadNoise = 0.0,
    memory: options.GradientMemory = 0.0,
    reads: options.RowReads = 1.0,
) -> Scheme:
    """A ← A + fast·Δw; of one row after the other H ← H + (rows/reads/period)·A/(fast·δ); |H| ≥ 1 is a pulse on C.

    The reference of A has to be at its symmetry point. Options: `GradientArray`.
    """
    return transferring(buffered(), GradientArray(fast, period, most, noise, memory, reads))


@SCHEMES.register("chopped-tiki-taka", "tiki-taka-2 with choppers: an error of the reference averages out", CHOPPED)
@options.checked
def chopped_tiki_taka(
    fast: options.GradientGain = 1.0,
    period: options.TransferPeriod = 100.0,
    chop: options.ChopRate = 0.05,
    most: options.MostPulses = 10,
    noise: options.ReadNoise = 0.0,
    memory: options.GradientMemory = 0.0,
    reads: options.RowReads = 1.0,
) -> Scheme:
    """`tiki_taka_2` with gradients and readings of a row multiplied by ±1, which turns with a probability of `chop`.

    An offset of the reference comes into the buffer with both signs in turn. Options: `GradientArray`.
    """
    return transferring(buffered(chop), GradientArray(fast, period, most, noise, memory, reads))
