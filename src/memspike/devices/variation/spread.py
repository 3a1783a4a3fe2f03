"""How a parameter scatters from device to device."""

import math
from abc import abstractmethod
from dataclasses import MISSING

import jax.numpy as jnp

from memspike.devices import labels
from memspike.devices.base import Real
from memspike.devices.part import AbstractPart
from memspike.parts.param import option


class AbstractSpread(AbstractPart):
    """How the values of one parameter scatter from device to device."""

    @abstractmethod
    def draw(self, nominal: Real, xi: Real, uniform: Real) -> Real:
        """Values for standard normal numbers `xi` and uniform numbers in [0, 1)."""


class Relative(AbstractSpread):
    """Gaussian, s.d. as a share of the nominal value."""

    sd: float = option(MISSING, "s.d. as a share of the nominal value", bounds=(0, math.inf))

    def draw(self, nominal: Real, xi: Real, uniform: Real) -> Real:
        """nominal·(1 + sd·ξ)."""
        return nominal * (1 + self.sd * xi)


class Absolute(AbstractSpread):
    """Gaussian, s.d. in the unit of the parameter."""

    sd: float = option(MISSING, "s.d. in the unit of the parameter", bounds=(0, math.inf))

    def draw(self, nominal: Real, xi: Real, uniform: Real) -> Real:
        """nominal + sd·ξ."""
        return nominal + self.sd * xi


class LogNormal(AbstractSpread):
    """Log-normal around the nominal value as median; `sd` is that of the natural logarithm."""

    sd: float = option(MISSING, "s.d. of the natural logarithm", bounds=(0, math.inf))

    def draw(self, nominal: Real, xi: Real, uniform: Real) -> Real:
        """nominal·e^(sd·ξ)."""
        return nominal * jnp.exp(self.sd * xi)


class OfLabel(AbstractSpread):
    """Gaussian in units of the nonlinearity label, for a curvature: NeuroSim's device-to-device variation."""

    sd: float = option(MISSING, "s.d. in units of the label", bounds=(0, math.inf))

    def draw(self, nominal: Real, xi: Real, uniform: Real) -> Real:
        """The curvature of the label displaced by sd·ξ."""
        return jnp.asarray(labels.curvature(labels.label(nominal) + self.sd * xi), nominal.dtype)


class AnyOf(AbstractSpread):
    """One of `count` measured devices, all equally likely: for `Tabular.which`."""

    count: int = option(MISSING, "number of measured devices", bounds=(1, 1_000_000))

    def draw(self, nominal: Real, xi: Real, uniform: Real) -> Real:
        """A whole number from 0 to count − 1."""
        return jnp.floor(uniform * self.count)
