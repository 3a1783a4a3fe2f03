"""AGAD: analog gradient accumulation with a reference that is learned on the fly."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.cells.base import Weight
from memspike.learning.programming.base import Scheme
from memspike.learning.programming.chopped_tiki_taka import SOURCE
from memspike.learning.programming.tiki_taka_2 import fired, reads_of
from memspike.learning.programming.transfer import FastTile, Passing, Rows, Visit, transferring
from memspike.parts.param import Parameter
from memspike.parts.registry import SCHEMES

# the mean of a period is that of its last fifth: weight of one read over that of a plain mean
TAIL = 5.0


class Adaptive(NamedTuple):
    """Buffer H, running mean of the readings and its value at the last turn [rows, columns]; choppers ±1 [rows]."""

    buffer: Weight
    mean: Weight
    past: Weight
    signs: Float[Array, " rows"]


def adaptive(chop: float) -> Passing:
    """Readings count from their running mean at the last turn of the chopper, which turns every 1/`chop` reads.

    Nothing is sent in the first period: a reference has to be known first.
    """
    every = reads_of(chop)
    weight = min(TAIL / every, 1.0)

    def take(state: Adaptive, visit: Visit, *, key: PRNGKeyArray | None) -> tuple[Adaptive, Rows]:
        held, mean, past, sign = (x.at[visit.row].get(mode="clip") for x in state)
        sample = visit.sweep % every
        past = jnp.where((sample == 0) & (visit.sweep > 0), mean, past)
        left, pulses = fired(held + sign[:, None] * visit.rate * (visit.pulses - past))
        new = left, (1 - weight) * mean + weight * visit.pulses, past, jnp.where(sample == every - 1, -sign, sign)
        after = Adaptive(*(x.at[visit.row].set(y, mode="drop") for x, y in zip(state, new, strict=True)))
        return after, jnp.where(visit.sweep > every, pulses, 0.0)

    def start(shape: tuple[int, ...]) -> Adaptive:
        none = jnp.zeros(shape)
        return Adaptive(none, none, none, jnp.ones(shape[0]))

    return Passing(start, take, lambda state: state.signs)


@SCHEMES.register("agad", "chopped Tiki-Taka that learns the reference of the fast tile: no calibration", SOURCE)
def agad(
    fast: Parameter = 1.0,
    period: Parameter = 100.0,
    chop: float = 0.05,
    most: int = 10,
    noise: float = 0.0,
    memory: float = 0.0,
    reads: float = 1.0,
) -> Scheme:
    """`chopped_tiki_taka` with regular turns, whose readings are taken from where the row was at the last turn.

    Options: `FastTile`.
    """
    return transferring(adaptive(chop), FastTile(fast, period, most, noise, memory, reads))
