"""AGAD: analog gradient accumulation with a reference that is learned on the fly."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.cells.base import Weight
from memspike.learning.programming import options
from memspike.learning.programming.base import Scheme
from memspike.learning.programming.tiki_taka_2 import CHOPPED, fired, reads_of
from memspike.learning.programming.transfer import GradientArray, RowPulses, RowRead, Transfer, transferring
from memspike.parts.registry import SCHEMES

# the mean of a period is that of its last fifth: weight of one read over that of a plain mean
TAIL = 5.0


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
        held, mean, past, sign = (x.at[read.row].get(mode="clip") for x in state)
        sample = read.sweep % every
        past = jnp.where((sample == 0) & (read.sweep > 0), mean, past)
        left, pulses = fired(held + sign[:, None] * read.rate * (read.pulses - past))
        new = left, (1 - weight) * mean + weight * read.pulses, past, jnp.where(sample == every - 1, -sign, sign)
        after = AdaptiveReference(*(x.at[read.row].set(y, mode="drop") for x, y in zip(state, new, strict=True)))
        return after, jnp.where(read.sweep > every, pulses, 0.0)

    def start(shape: tuple[int, ...]) -> AdaptiveReference:
        none = jnp.zeros(shape)
        return AdaptiveReference(none, none, none, jnp.ones(shape[0]))

    return Transfer(start, take, lambda state: state.signs)


@SCHEMES.register("agad", "chopped Tiki-Taka that learns the reference of the gradient array: no calibration", CHOPPED)
@options.checked
def agad(
    fast: options.GradientGain = 1.0,
    period: options.TransferPeriod = 100.0,
    chop: options.ChopRate = 0.05,
    most: options.MostPulses = 10,
    noise: options.ReadNoise = 0.0,
    memory: options.GradientMemory = 0.0,
    reads: options.RowReads = 1.0,
) -> Scheme:
    """`chopped_tiki_taka` with regular turns, whose readings are taken from where the row was at the last turn.

    Options: `GradientArray`.
    """
    return transferring(adaptive_reference(chop), GradientArray(fast, period, most, noise, memory, reads))
