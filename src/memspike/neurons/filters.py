"""Synaptic current filters: what a column current becomes before it enters the membrane."""

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.devices.part import AbstractModel
from memspike.parts.param import Parameter, param
from memspike.parts.registry import FILTERS

Real = Float[Array, "..."]


class AbstractFilter(AbstractModel):
    """A linear causal filter with unit gain at zero frequency.

    It is driven either by events (`kernel`: response to a jump of 1 A of the first stage at t = 0) or
    by a current that is constant over each step (`step`).
    """

    @abstractmethod
    def kernel(self, t: Real) -> Real:
        """Current in A at `t` seconds after an event of 1 A; zero before it."""

    @abstractmethod
    def init(self, shape: tuple[int, ...]) -> Any:
        """The state of `shape` filters without past input."""

    @abstractmethod
    def step(self, state: Any, drive: Real, dt: float) -> tuple[Any, Real]:
        """Advance by `dt` seconds under a constant `drive` in A → (state, current in A at mid-step)."""


class AlphaState(NamedTuple):
    """The two stages of the alpha filter, both in A."""

    first: Real
    second: Real


@FILTERS.register("alpha", "two cascaded first-order stages: the alpha function (t/τ)·e^(−t/τ)")
class AlphaFilter(AbstractFilter):
    """Two equal first-order stages in cascade: an event a₀ gives I(t) = a₀·(t/τ)·e^(−t/τ), peak a₀/e at τ."""

    source: ClassVar[str] = "alpha-function synaptic current of Zhou et al., arXiv 2203.01426 and 2206.12992"
    tau: Parameter = param(1e-3, "s", "time constant of each stage", bounds=(1e-12, 1e6))

    def kernel(self, t: Real) -> Real:
        """(t/τ)·e^(−t/τ) for t > 0."""
        z = jnp.maximum(t, 0) / self.tau
        return z * jnp.exp(-z)

    def init(self, shape: tuple[int, ...]) -> AlphaState:
        """Both stages at zero."""
        return AlphaState(jnp.zeros(shape), jnp.zeros(shape))

    def _advance(self, state: AlphaState, drive: Real, dt: float) -> AlphaState:
        z = dt / self.tau
        decay = jnp.exp(-z)
        first, second = state.first - drive, state.second - drive
        return AlphaState(drive + first * decay, drive + (second + first * z) * decay)

    def step(self, state: AlphaState, drive: Real, dt: float) -> tuple[AlphaState, Real]:
        """Exact for a constant drive."""
        return self._advance(state, drive, dt), self._advance(state, drive, 0.5 * dt).second


@FILTERS.register("exponential", "one first-order stage: e^(−t/τ)")
class ExponentialFilter(AbstractFilter):
    """One first-order stage: an event a₀ gives I(t) = a₀·e^(−t/τ).

    The released prototype code of the MIF neuron reduces its alpha filter to this one with a gain of 1/100.
    """

    source: ClassVar[str] = "first-order synapse; what the prototype code of arXiv 2203.01426 effectively computes"
    tau: Parameter = param(1e-3, "s", "time constant", bounds=(1e-12, 1e6))

    def kernel(self, t: Real) -> Real:
        """e^(−t/τ) for t ≥ 0."""
        return jnp.where(t >= 0, jnp.exp(-jnp.maximum(t, 0) / self.tau), jnp.zeros_like(t))

    def init(self, shape: tuple[int, ...]) -> Real:
        """No current."""
        return jnp.zeros(shape)

    def step(self, state: Real, drive: Real, dt: float) -> tuple[Real, Real]:
        """Exact for a constant drive."""
        lag = state - drive
        return drive + lag * jnp.exp(-dt / self.tau), drive + lag * jnp.exp(-0.5 * dt / self.tau)
