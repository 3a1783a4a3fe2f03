"""Tiki-Taka: gradients on a fast tile that forgets by its own asymmetry, and rows of it added to the slow one."""

from jaxtyping import PRNGKeyArray

from memspike.learning.programming.base import Scheme
from memspike.learning.programming.stochastic_rounding import whole
from memspike.learning.programming.transfer import FastTile, Passing, Rows, Visit, transferring
from memspike.parts.param import Parameter
from memspike.parts.registry import SCHEMES

SOURCE = "Gokmen & Haensch, Front. Neurosci. 14: 103 (2020), doi 10.3389/fnins.2020.00103"


def straight(most: int) -> Passing:
    """What is read goes to the slow tile at once, rounded stochastically to whole pulses, at most `most`."""

    def take(state: tuple[()], visit: Visit, *, key: PRNGKeyArray | None) -> tuple[tuple[()], Rows]:
        return state, whole(visit.rate * visit.pulses, most, key=key)

    return Passing(lambda shape: (), take)


@SCHEMES.register("tiki-taka", "gradients on a fast tile at its symmetry point, its rows added to the slow one", SOURCE)
def tiki_taka(
    fast: Parameter = 1.0,
    period: Parameter = 100.0,
    most: int = 10,
    noise: float = 0.0,
    memory: float = 0.0,
    reads: float = 1.0,
) -> Scheme:
    """A ← A + fast·Δw by pulses; one row after the other, C ← C + (rows/reads/period)·A/fast by pulses.

    A is never erased: pulses of both signs draw it back to its symmetry point, where its reference has to be. With
    `Stack.gamma` above 0 the forward pass sees A as well. Options: `FastTile`.
    """
    return transferring(straight(most), FastTile(fast, period, most, noise, memory, reads))
