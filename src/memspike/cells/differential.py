"""Two devices whose conductances are subtracted: one signed weight."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from memspike._errors import InputError
from memspike._param import Parameter, check_bounds, is_concrete, param

Real = Float[Array, "..."]


class Pair(NamedTuple):
    """Conductances in S of the positive and the negative device, of equal shape."""

    plus: Real
    minus: Real


class DifferentialPair(eqx.Module):
    """A weight w in [−1, 1] is (G⁺ − G⁻)/(G_max − G_min); the idle device of a pair stays at G_min.

    The scale is fixed by the device range alone: |w| = 1 is one device at G_max, the other at G_min.
    The default range is a reconstruction (upper-resistance end of the RRAM range).
    """

    g_min: Parameter = param(10e-6, "S", "lowest programmable conductance", bounds=(0, 1e3))
    g_max: Parameter = param(100e-6, "S", "highest programmable conductance", bounds=(0, 1e3))

    def __check_init__(self) -> None:
        check_bounds(self)
        if not (is_concrete(self.g_min) and is_concrete(self.g_max)):
            return
        low, high = np.max(np.asarray(self.g_min)), np.min(np.asarray(self.g_max))
        if low >= high:
            raise InputError(
                f"The conductance range is reversed or empty: g_min is {low:g} S and g_max is {high:g} S; "
                "g_min must be below g_max."
            )

    @property
    def span(self) -> Parameter:
        """G_max − G_min in S: the conductance difference of w = 1."""
        return self.g_max - self.g_min

    def conductances(self, w: Real) -> Pair:
        """The pair that stands for `w`, clipped to the device range."""
        w = jnp.clip(w, -1, 1)
        rise = jnp.maximum(w, 0) * self.span
        return Pair(self.g_min + rise, self.g_min + rise - w * self.span)

    def weight(self, pair: Pair) -> Real:
        """The logical weight that a pair stands for."""
        return (pair.plus - pair.minus) / self.span

    def clip(self, pair: Pair) -> Pair:
        """The pair with both conductances inside the device range."""
        return Pair(*(jnp.clip(g, self.g_min, self.g_max) for g in pair))
