"""Chopped Tiki-Taka: signs that turn now and then take a constant error of the reference out of the buffer."""

from memspike.learning.programming.base import Scheme
from memspike.learning.programming.tiki_taka_2 import buffered
from memspike.learning.programming.transfer import FastTile, transferring
from memspike.parts.param import Parameter
from memspike.parts.registry import SCHEMES

SOURCE = "Rasch et al., Nat. Commun. (2024), doi 10.1038/s41467-024-51221-z, arXiv 2303.04721"


@SCHEMES.register("chopped-tiki-taka", "tiki-taka-2 with choppers: an error of the reference averages out", SOURCE)
def chopped_tiki_taka(
    fast: Parameter = 1.0,
    period: Parameter = 100.0,
    chop: float = 0.05,
    most: int = 10,
    noise: float = 0.0,
    memory: float = 0.0,
    reads: float = 1.0,
) -> Scheme:
    """`tiki_taka_2` with gradients and readings of a row multiplied by ±1, which turns with a probability of `chop`.

    An offset of the reference comes into the buffer with both signs in turn. Options: `FastTile`.
    """
    return transferring(buffered(chop), FastTile(fast, period, most, noise, memory, reads))
