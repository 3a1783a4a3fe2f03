"""Tiki-Taka: gradients on an array A that forgets by its own asymmetry, and its rows added to the weight array C."""

from jaxtyping import PRNGKeyArray

from memspike.learning.programming import options
from memspike.learning.programming.base import Scheme
from memspike.learning.programming.stochastic_rounding import whole
from memspike.learning.programming.transfer import GradientArray, RowPulses, RowRead, Transfer, transferring
from memspike.parts.registry import SCHEMES

SOURCE = "Gokmen & Haensch, Front. Neurosci. 14: 103 (2020), doi 10.3389/fnins.2020.00103"


def straight(most: int) -> Transfer:
    """What is read goes to C at once, rounded stochastically to whole pulses, at most `most`."""

    def take(state: tuple[()], read: RowRead, *, key: PRNGKeyArray | None) -> tuple[tuple[()], RowPulses]:
        return state, whole(read.rate * read.pulses, most, key=key)

    return Transfer(lambda shape: (), take)


@SCHEMES.register(
    "tiki-taka", "gradients on an array at its symmetry point, its rows added to the weight array", SOURCE
)
@options.checked
def tiki_taka(
    fast: options.GradientGain = 1.0,
    period: options.TransferPeriod = 100.0,
    most: options.MostPulses = 10,
    noise: options.ReadNoise = 0.0,
    memory: options.GradientMemory = 0.0,
    reads: options.RowReads = 1.0,
) -> Scheme:
    """A ← A + fast·Δw by pulses; one row after the other, C ← C + (rows/reads/period)·A/fast by pulses.

    A is never erased: pulses of both signs draw it back to its symmetry point, where its reference has to be. With
    `Stack.gamma` above 0 the forward pass sees A as well. Options: `GradientArray`.
    """
    return transferring(straight(most), GradientArray(fast, period, most, noise, memory, reads))
