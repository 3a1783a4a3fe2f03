"""Making a chip: device-to-device spread on any parameter, and cells that are dead from the start."""

import math
import zlib
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import MISSING
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from memspike.devices import labels
from memspike.devices.base import AbstractPulseDevice, Real, at
from memspike.devices.part import AbstractPart
from memspike.devices.variation.wrappers import StuckCells
from memspike.parts.errors import InputError, unknown
from memspike.parts.param import ParamInfo, option, parameters


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


class Weibull(AbstractSpread):
    """Weibull around the nominal value as median: life times whose rate of failure grows (`shape` > 1) or falls."""

    shape: float = option(MISSING, "Weibull shape", bounds=(0.01, 1000))

    def draw(self, nominal: Real, xi: Real, uniform: Real) -> Real:
        """nominal·(−log₂(1 − u))^(1/shape)."""
        return nominal * (-jnp.log2(1 - uniform)) ** (1 / self.shape)


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


def _set(module: Any, path: str, value: Real) -> Any:
    return eqx.tree_at(lambda m: at(m, path), module, value)


def _keep_order(module: Any, nominal: Mapping[str, ParamInfo]) -> Any:
    """g_max at least 1 % of the nominal range above g_min wherever a spread has crossed them."""
    for p in list(parameters(module)):
        low = p.path.removesuffix("g_max") + "g_min"
        if p.path.endswith("g_max") and low in nominal:
            floor = {q.path: q.value for q in parameters(module)}[low]
            least = floor + 0.01 * (nominal[p.path].value - nominal[low].value)
            module = _set(module, p.path, jnp.maximum(p.value, least))
    return module


def fabricate(
    module: Any,
    spread: Mapping[str, AbstractSpread | float] | None = None,
    *,
    shape: tuple[int, ...] = (),
    stuck: float | tuple[float, float] = 0.0,
    key: PRNGKeyArray,
) -> Any:
    """The device (or neuron, or array) as one chip has it: parameters of `shape`, drawn once.

    `spread` maps dotted parameter paths ("g_max", "device.curvature_up") to a spread; a number is a
    `Relative` one. Several paths separated by blanks vary together ("step_up step_down"), a minus after a path turns
    it round ("step_up step_down-"); a parameter with several spreads has them one after another. Values are kept
    inside the bounds of the parameter, and g_max at least 1 % of the nominal range above g_min.
    `stuck` is the probability of a dead cell, half at G_min and half at G_max, or one probability each; such
    devices come back inside `StuckCells`. The same key gives the same chip, and a parameter keeps its values
    when another one is added. InputError for an unknown path.
    """
    known = {p.path: p for p in parameters(module)}
    for paths, how in (spread or {}).items():
        how = how if isinstance(how, AbstractSpread) else Relative(float(how))
        normal, uniform = jax.random.split(jax.random.fold_in(key, zlib.crc32(paths.encode())))
        for signed in paths.split():
            path = signed.removesuffix("-")
            if path not in known:
                raise unknown(f"parameter of {type(module).__name__}", path, known)
            present = at(module, path)
            nominal = jnp.broadcast_to(present, shape or jnp.shape(present))
            xi = jax.random.normal(normal, nominal.shape) * (1 if path == signed else -1)
            drawn = how.draw(nominal, xi, jax.random.uniform(uniform, nominal.shape))
            module = _set(module, path, jnp.clip(drawn, *known[path].bounds).astype(nominal.dtype))
    module = _keep_order(module, known)
    below, above = (0.5 * stuck, 0.5 * stuck) if isinstance(stuck, int | float) else stuck
    if not (below >= 0 and above >= 0 and below + above <= 1):
        raise InputError(f"stuck is {stuck}; allowed: a probability from 0 to 1, or one each for G_min and G_max.")
    if below + above == 0:
        return module
    if not isinstance(module, AbstractPulseDevice):
        raise InputError(f"stuck cells are for pulse devices; this is a {type(module).__name__}.")
    u = jax.random.uniform(jax.random.fold_in(key, zlib.crc32(b"stuck")), shape)
    return StuckCells(module, fault=(u < below + above).astype(u.dtype) - 2 * (u < below).astype(u.dtype))
