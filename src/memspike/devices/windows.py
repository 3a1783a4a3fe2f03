"""Windows: how ion drift slows down near a bound.

Each is written as the factor on the motion *towards* a bound at a given distance, so that no window can lock
the state at a bound. Joglekar's and Prodromakis's published windows damp both directions; here the motion
away from the nearer bound is undamped.
"""

from abc import abstractmethod
from typing import ClassVar

import jax.numpy as jnp

from memspike.devices.base import Real
from memspike.devices.part import AbstractPart
from memspike.devices.smooth import power
from memspike.parts.param import Parameter, param


class AbstractWindow(AbstractPart):
    """A factor in [0, 1] (Prodromakis: [0, j]) on the speed towards a bound."""

    @abstractmethod
    def damp(self, distance: Real) -> Real:
        """The factor at `distance` from the bound ahead, as a share of the whole way."""


class NoWindow(AbstractWindow):
    """1 everywhere: the state runs into the bound and stops."""

    source: ClassVar[str] = "Strukov et al., Nature 453: 80 (2008), doi 10.1038/nature06932"

    def damp(self, distance: Real) -> Real:
        """1."""
        return jnp.ones_like(distance)


class Joglekar(AbstractWindow):
    """f = 1 − (2x − 1)^(2p) in the half before the bound, 1 in the other half (published: in both)."""

    source: ClassVar[str] = "Joglekar & Wolf, Eur. J. Phys. 30: 661 (2009), doi 10.1088/0143-0807/30/4/001"

    p: Parameter = param(2.0, "1", "exponent; a larger one makes a sharper edge", bounds=(1, 20))

    def damp(self, distance: Real) -> Real:
        """1 − (1 − 2d)^(2p) for d < ½."""
        late = jnp.maximum(1 - 2 * distance, 0.0)
        return 1 - power(late * late, self.p)


class Biolek(AbstractWindow):
    """f = 1 − (x − stp(−i))^(2p): already a function of the distance to the bound ahead alone."""

    source: ClassVar[str] = "Biolek, Biolek & Biolkova, Radioengineering 18(2): 210 (2009)"

    p: Parameter = param(2.0, "1", "exponent; a larger one makes a sharper edge", bounds=(1, 20))

    def damp(self, distance: Real) -> Real:
        """1 − (1 − d)^(2p)."""
        done = 1 - distance
        return 1 - power(done * done, self.p)


class Prodromakis(AbstractWindow):
    """f = j·(1 − ((x − ½)² + ¾)^p) in the half before the bound, its maximum in the other (published: in both)."""

    source: ClassVar[str] = "Prodromakis et al., IEEE TED 58(9): 3099 (2011), doi 10.1109/TED.2011.2158004"

    p: Parameter = param(2.0, "1", "exponent", bounds=(1, 20))
    j: Parameter = param(1.0, "1", "scale of the window", bounds=(1e-2, 100))

    def damp(self, distance: Real) -> Real:
        """j·(1 − ((½ − d)² + ¾)^p) for d < ½."""
        late = jnp.maximum(0.5 - distance, 0.0)
        return self.j * (1 - power(late * late + 0.75, self.p))
