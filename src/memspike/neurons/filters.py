"""Synaptic current filters: what a column current becomes before it enters the membrane."""

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.devices.part import AbstractModel
from memspike.parts.param import Parameter, param
from memspike.parts.registry import FILTERS

Real = Float[Array, "..."]


class AbstractFilter(AbstractModel):
    """A linear causal filter with unit gain at zero frequency: as much charge leaves it as enters it.

    It is driven by rectangular pulses (`pulse`) or by a current that is constant over each step (`step`). `kernel` is
    its answer to the charge 1 A · `tau` at once. What amplifies a current in front of it is the layer's
    (`Layer.input_gain`).
    """

    tau: eqx.AbstractVar[Parameter]

    @property
    @abstractmethod
    def moment(self) -> float:
        """The share of a step at which `step` gives the current: 0.5 in the middle, 1 at the end."""

    @abstractmethod
    def kernel(self, t: Real) -> Real:
        """Current in A at `t` seconds after a jump of the first stage to 1 A; zero before it."""

    @abstractmethod
    def pulse(self, t: Real, width: float) -> Real:
        """Current in A at `t` seconds after the start of a current of 1 A that lasts `width` seconds; zero before."""

    @abstractmethod
    def init(self, shape: tuple[int, ...]) -> Any:
        """The state of `shape` filters without past input."""

    @abstractmethod
    def step(self, state: Any, drive: Real, dt: float) -> tuple[Any, Real]:
        """Advance by `dt` seconds under a constant `drive` in A → (state, current in A at the `moment` of the step)."""


def _phases(t: Real, width: float, tau: Parameter) -> tuple[Real, Real]:
    """Of a pulse, how long it is on and then off until `t`, in time constants."""
    return jnp.clip(t, 0, width) / tau, jnp.maximum(t - width, 0) / tau


def _second(z: Real) -> Real:
    """1 − (1 + z)·e^(−z), the second of two stages under a current of 1 A; by its series where the terms cancel."""
    small = jnp.minimum(z, 0.05)
    series = 1 / 2 - small * (1 / 3 - small * (1 / 8 - small * (1 / 30 - small * (1 / 144 - small / 840))))
    return jnp.where(z < 0.05, small * small * series, -jnp.expm1(-z) - z * jnp.exp(-z))


class AlphaState(NamedTuple):
    """The two stages of the alpha filter, both in A."""

    first: Real
    second: Real


@FILTERS.register("alpha", "two cascaded first-order stages: the alpha function (t/τ)·e^(−t/τ)")
class AlphaFilter(AbstractFilter):
    """Two equal first-order stages in cascade: a charge q gives I(t) = (q/τ)·(t/τ)·e^(−t/τ), peak q/(τ·e) at τ."""

    source: ClassVar[str] = "alpha-function synaptic current of Zhou et al., arXiv 2203.01426 and 2206.12992"
    tau: Parameter = param(1e-3, "s", "time constant of each stage", bounds=(1e-12, 1e6))

    @property
    def moment(self) -> float:
        """Mid-step."""
        return 0.5

    def kernel(self, t: Real) -> Real:
        """(t/τ)·e^(−t/τ) for t > 0."""
        z = jnp.maximum(t, 0) / self.tau
        return z * jnp.exp(-z)

    def pulse(self, t: Real, width: float) -> Real:
        """1 − (1 + a)·e^(−a) after a·τ seconds of the pulse; then both stages decay."""
        on, off = _phases(t, width, self.tau)
        return (_second(on) - off * jnp.expm1(-on)) * jnp.exp(-off)

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


def _decay(tau: Parameter, t: Real) -> Real:
    return jnp.where(t >= 0, jnp.exp(-jnp.maximum(t, 0) / tau), jnp.zeros_like(t))


def _charged(tau: Parameter, t: Real, width: float) -> Real:
    on, off = _phases(t, width, tau)
    return -jnp.expm1(-on) * jnp.exp(-off)


@FILTERS.register("exponential", "one first-order stage: e^(−t/τ)")
class ExponentialFilter(AbstractFilter):
    """One first-order stage: a charge q gives I(t) = (q/τ)·e^(−t/τ).

    The released prototype code of the MIF neuron reduces its alpha filter to this one with a gain of 1/100.
    """

    source: ClassVar[str] = "first-order synapse; what the prototype code of arXiv 2203.01426 effectively computes"
    tau: Parameter = param(1e-3, "s", "time constant", bounds=(1e-12, 1e6))

    @property
    def moment(self) -> float:
        """Mid-step."""
        return 0.5

    def kernel(self, t: Real) -> Real:
        """e^(−t/τ) for t ≥ 0."""
        return _decay(self.tau, t)

    def pulse(self, t: Real, width: float) -> Real:
        """1 − e^(−a) after a·τ seconds of the pulse; then it decays."""
        return _charged(self.tau, t, width)

    def init(self, shape: tuple[int, ...]) -> Real:
        """No current."""
        return jnp.zeros(shape)

    def step(self, state: Real, drive: Real, dt: float) -> tuple[Real, Real]:
        """Exact for a constant drive."""
        lag = state - drive
        return drive + lag * jnp.exp(-dt / self.tau), drive + lag * jnp.exp(-0.5 * dt / self.tau)


@FILTERS.register("stepped-exponential", "the same, given at the ends of steps: I ← α·I + (1 − α)·drive, α = e^(−dt/τ)")
class SteppedExponentialFilter(AbstractFilter):
    """One first-order stage whose current at the end of a step drives the neuron in that step.

    So simulators in steps have it (current-based LIF neurons, `CubaLIF` of NIR); a circuit has the mean of the step,
    which `ExponentialFilter` takes from its middle.
    """

    source: ClassVar[str] = "the synapse of a current-based LIF neuron in steps: node CubaLIF of the package nir 1.0.8"
    tau: Parameter = param(1e-3, "s", "time constant", bounds=(1e-12, 1e6))

    @property
    def moment(self) -> float:
        """The end of a step."""
        return 1.0

    def kernel(self, t: Real) -> Real:
        """e^(−t/τ) for t ≥ 0."""
        return _decay(self.tau, t)

    def pulse(self, t: Real, width: float) -> Real:
        """1 − e^(−a) after a·τ seconds of the pulse; then it decays."""
        return _charged(self.tau, t, width)

    def init(self, shape: tuple[int, ...]) -> Real:
        """No current."""
        return jnp.zeros(shape)

    def step(self, state: Real, drive: Real, dt: float) -> tuple[Real, Real]:
        """Exact for a constant drive."""
        after = drive + (state - drive) * jnp.exp(-dt / self.tau)
        return after, after
