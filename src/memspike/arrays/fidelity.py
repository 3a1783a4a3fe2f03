"""How faithfully wires are simulated: not at all, or exactly."""

from abc import abstractmethod

import jax.numpy as jnp

from memspike.arrays.estimate import estimate
from memspike.arrays.wires import Cells, Segments, transfer
from memspike.devices.part import AbstractPart
from memspike.parts.param import Parameter, option, param


class AbstractWires(AbstractPart):
    """The wires of one array: conductances of its devices → what it does to row voltages, both [rows, columns] in S."""

    @abstractmethod
    def transfer(self, g: Cells, tolerance: float | None = None) -> Cells:
        """The matrix T with output currents = row voltages @ T, exact, or to `tolerance` of the drops."""

    @abstractmethod
    def estimate(self, g: Cells) -> Cells:
        """T without the coupling of columns through the row wires: cheap, close, and smooth in g."""


class Ideal(AbstractWires):
    """Wires without resistance."""

    def transfer(self, g: Cells, tolerance: float | None = None) -> Cells:
        """`g` itself."""
        return g

    def estimate(self, g: Cells) -> Cells:
        """`g` itself."""
        return g


class Resistive(AbstractWires):
    """Wires of `r_row` and `r_column` Ω per segment, `r_driver` and `r_sense` Ω at their ends.

    Rows are driven at the left, from both ends with `two_sided`; columns are sensed at virtual ground at the bottom.
    """

    r_row: Parameter = param(1.0, "Ω", "resistance of a row segment", bounds=(0, 1e9))
    r_column: Parameter = param(1.0, "Ω", "resistance of a column segment", bounds=(0, 1e9))
    r_driver: Parameter = param(1.0, "Ω", "resistance between a driver and the first device", bounds=(0, 1e9))
    r_sense: Parameter = param(1.0, "Ω", "resistance between the last device and the sense node", bounds=(0, 1e9))
    two_sided: bool = option(False, "rows are driven from both ends")

    def _segments(self, dtype: jnp.dtype) -> tuple[Segments, Segments]:
        values = (self.r_row, self.r_driver, self.r_column, self.r_sense)
        a, b, c, d = (jnp.asarray(x, dtype) for x in values)
        return Segments(a, b), Segments(c, d)

    def transfer(self, g: Cells, tolerance: float | None = None) -> Cells:
        """The solution of the nodal equations."""
        return transfer(g, *self._segments(g.dtype), two_sided=self.two_sided, tolerance=tolerance)

    def estimate(self, g: Cells) -> Cells:
        """Every row wire solved against grounded columns, every column wire against grounded rows."""
        return estimate(g, *self._segments(g.dtype), two_sided=self.two_sided)
