"""Which side of a pair takes the pulses of a weight."""

from abc import abstractmethod
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.devices.part import AbstractPart

Real = Float[Array, "..."]


class Sides(NamedTuple):
    """Signed pulses of the positive and of the negative side."""

    plus: Real
    minus: Real


class AbstractWrite(AbstractPart):
    """Signed pulses on a weight → signed pulses on its two sides; a pulse up on the weight raises G⁺ or lowers G⁻."""

    @abstractmethod
    def sides(self, pulses: Real, turn: Real) -> Sides:
        """The pulses of both sides; `turn` counts the updates that each weight has had."""


class OneSided(AbstractWrite):
    """Upwards pulses potentiate G⁺, downwards ones potentiate G⁻: no device is ever depressed, so pairs fill up."""

    def sides(self, pulses: Real, turn: Real) -> Sides:
        """(n, 0) or (0, |n|)."""
        return Sides(jnp.maximum(pulses, 0.0), jnp.maximum(-pulses, 0.0))


class BothSides(AbstractWrite):
    """Push–pull: every pulse goes to both devices with opposite sign."""

    def sides(self, pulses: Real, turn: Real) -> Sides:
        """(n, −n)."""
        return Sides(pulses, -pulses)


class Alternate(AbstractWrite):
    """Updates of a weight go to G⁺ and to G⁻ in turn, with opposite sign: half the writes of push–pull."""

    def sides(self, pulses: Real, turn: Real) -> Sides:
        """(n, 0) at even turns, (0, −n) at odd ones."""
        odd = jnp.mod(turn, 2.0) >= 1.0
        return Sides(jnp.where(odd, 0.0, pulses), jnp.where(odd, -pulses, 0.0))
