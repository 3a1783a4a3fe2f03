"""Pseudo-derivatives of a spike: what stands in for the slope of a step where a rule needs one."""

from abc import abstractmethod
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.devices.part import AbstractModel
from memspike.parts.param import Parameter, param
from memspike.parts.registry import SURROGATES

Real = Float[Array, "..."]


class AbstractSurrogate(AbstractModel):
    """The pseudo-derivative ψ(x) of the step H(x), x = (v − threshold)/θ being the normalised distance to it."""

    @abstractmethod
    def __call__(self, x: Real) -> Real:
        """ψ(x), dimensionless, largest at x = 0."""


@SURROGATES.register("triangular", "γ·max(0, 1 − |x|): piecewise linear", "Bellec et al. 2020")
class Triangular(AbstractSurrogate):
    """γ·max(0, 1 − |x|). Bellec's own text has γ/θ; the factor 1/θ belongs to the learning rate here."""

    source: ClassVar[str] = "Bellec et al., Nat. Commun. 11: 3625 (2020), doi 10.1038/s41467-020-17236-y"
    gamma: Parameter = param(0.3, "1", "height γ (dampening)", bounds=(0, 100))

    def __call__(self, x: Real) -> Real:
        """The triangle."""
        return self.gamma * jnp.maximum(0.0, 1 - jnp.abs(x))


@SURROGATES.register("fast-sigmoid", "1/(1 + s·|x|)²", "Zenke & Ganguli 2018")
class FastSigmoid(AbstractSurrogate):
    """1/(1 + s·|x|)²: never zero, so that silent neurons can be reached."""

    source: ClassVar[str] = "Zenke & Ganguli, Neural Comput. 30: 1514 (2018), doi 10.1162/neco_a_01086"
    slope: Parameter = param(10.0, "1", "s", bounds=(1e-3, 1e4))

    def __call__(self, x: Real) -> Real:
        """The squared hyperbola."""
        return 1 / jnp.square(1 + self.slope * jnp.abs(x))


@SURROGATES.register("box", "1 within half a width of the threshold, else 0", "Kaiser, Mostafa & Neftci 2020")
class Box(AbstractSurrogate):
    """1 for |x| < width/2."""

    source: ClassVar[str] = "Kaiser, Mostafa & Neftci, Front. Neurosci. 14: 424 (2020), doi 10.3389/fnins.2020.00424"
    width: Parameter = param(1.0, "1", "width of the box", bounds=(1e-3, 1e3))

    def __call__(self, x: Real) -> Real:
        """The box."""
        return (jnp.abs(x) < 0.5 * self.width).astype(x.dtype)


@SURROGATES.register("logistic", "s·σ(s·x)·(1 − σ(s·x)): slope of a logistic function")
class Logistic(AbstractSurrogate):
    """The derivative of the logistic function of s·x."""

    source: ClassVar[str] = "the derivative of the logistic function; common in surrogate-gradient learning"
    slope: Parameter = param(4.0, "1", "s", bounds=(1e-3, 1e4))

    def __call__(self, x: Real) -> Real:
        """The bell of the logistic function."""
        y = jax.nn.sigmoid(self.slope * x)
        return self.slope * y * (1 - y)


@SURROGATES.register("arctan", "1/(1 + (π·s·x/2)²)·s/2: slope of an arctangent")
class ArcTan(AbstractSurrogate):
    """The derivative of arctan(π·s·x/2)/π."""

    source: ClassVar[str] = "Fang et al., ICCV 2021, arXiv 2007.05785 (parametric LIF neuron)"
    slope: Parameter = param(2.0, "1", "s", bounds=(1e-3, 1e4))

    def __call__(self, x: Real) -> Real:
        """The Lorentzian."""
        return 0.5 * self.slope / (1 + jnp.square(0.5 * jnp.pi * self.slope * x))


@jax.custom_jvp
def spike(x: Real, psi: Real) -> Real:
    """1 where x > 0, else 0; automatic differentiation sees the slope `psi`."""
    return (x > 0).astype(x.dtype)


@spike.defjvp
def _spike_jvp(primals: tuple[Real, Real], tangents: tuple[Real, Real]) -> tuple[Real, Real]:
    x, psi = primals
    return spike(x, psi), psi * tangents[0]
