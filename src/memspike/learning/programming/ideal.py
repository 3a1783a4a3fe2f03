"""Programming without error: the upper bound of every scheme."""

from typing import Any

from jaxtyping import Array, Float, PRNGKeyArray

from memspike._registry import SCHEMES
from memspike.arrays.crossbar import Crossbar
from memspike.cells.base import Lines
from memspike.learning.programming.base import Scheme


@SCHEMES.register("ideal", "exact programming, clipped to the conductance range of the device")
def ideal() -> Scheme:
    """Each pair is set to exactly the wanted weight; the device range still clips."""

    def apply(
        state: Any, crossbar: Crossbar, lines: Lines, dw: Float[Array, "rows columns"], *, key: PRNGKeyArray
    ) -> tuple[Any, Lines]:
        return state, crossbar.cell.conductances(crossbar.cell.weight(lines) + dw)

    return Scheme(lambda crossbar, lines: (), apply)
