"""Tiki-Taka with a digital buffer between the tiles, with choppers or without."""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from memspike.cells.base import Weight
from memspike.learning.programming.base import Scheme
from memspike.learning.programming.transfer import FastTile, Passing, Rows, Visit, transferring
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, is_concrete
from memspike.parts.random import uniform
from memspike.parts.registry import SCHEMES

SOURCE = "Gokmen, Front. Artif. Intell. 4: 699148 (2021), doi 10.3389/frai.2021.699148"
# what is left in the buffer of an element that has sent a pulse
KEPT = 0.1


class Buffered(NamedTuple):
    """The buffer H [rows, columns] in pulses of the slow tile, and the choppers ±1 [rows]."""

    buffer: Weight
    signs: Float[Array, " rows"]


def fired(buffer: Rows) -> tuple[Rows, Rows]:
    """The buffer of rows after every element with |H| ≥ 1 has sent one pulse, and these pulses."""
    pulses = jnp.clip(jnp.trunc(buffer), -1.0, 1.0)
    return jnp.where(pulses == 0, buffer, KEPT * buffer), pulses


def reads_of(chop: float) -> int:
    """Reads of a row from one turn of its chopper to the next, where it turns regularly; at least 2."""
    if is_concrete(chop) and not 0 < chop <= 1:
        raise InputError(f"chop, the share of reads that turn a chopper, is {chop:g}; above 0 and up to 1 is needed.")
    return max(math.ceil(1 / chop), 2)


def buffered(chop: float | None = None) -> Passing:
    """What is read adds up in the buffer H, with the sign of the chopper; |H| ≥ 1 sends one pulse and leaves 0.1·H.

    A row's chopper turns after a read with the probability `chop`; without a key, regularly after 1/`chop` reads.
    """
    every = None if chop is None else reads_of(chop)

    def turned(visit: Visit, key: PRNGKeyArray | None) -> Bool[Array, " reads"]:
        if chop is None or every is None:
            return jnp.zeros(visit.row.shape, bool)
        if key is None:
            return jnp.broadcast_to(visit.sweep % every == every - 1, visit.row.shape)
        return uniform(key, visit.row.shape) < chop

    def take(state: Buffered, visit: Visit, *, key: PRNGKeyArray | None) -> tuple[Buffered, Rows]:
        sign = state.signs.at[visit.row].get(mode="clip")
        held = state.buffer.at[visit.row].get(mode="clip")
        left, pulses = fired(held + sign[:, None] * visit.rate * visit.pulses)
        after = jnp.where(turned(visit, key), -sign, sign)
        return Buffered(
            state.buffer.at[visit.row].set(left, mode="drop"), state.signs.at[visit.row].set(after, mode="drop")
        ), pulses

    def start(shape: tuple[int, ...]) -> Buffered:
        return Buffered(jnp.zeros(shape), jnp.ones(shape[0]))

    return Passing(start, take, lambda state: state.signs)


@SCHEMES.register("tiki-taka-2", "Tiki-Taka with a digital buffer that filters what is read from the fast tile", SOURCE)
def tiki_taka_2(
    fast: Parameter = 1.0,
    period: Parameter = 100.0,
    most: int = 10,
    noise: float = 0.0,
    memory: float = 0.0,
    reads: float = 1.0,
) -> Scheme:
    """A ← A + fast·Δw; of one row after the other H ← H + (rows/reads/period)·A/(fast·δ); |H| ≥ 1 is a pulse on C.

    The reference of A has to be at its symmetry point. Options: `FastTile`.
    """
    return transferring(buffered(), FastTile(fast, period, most, noise, memory, reads))
