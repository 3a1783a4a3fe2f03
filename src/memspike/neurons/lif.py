"""Leaky integrate-and-fire neurons, plain and with an adaptive threshold, in units of the logical weight."""

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.devices.part import AbstractModel
from memspike.neurons.surrogate import AbstractSurrogate, Triangular, spike
from memspike.parts.param import Parameter, option, param, part
from memspike.parts.registry import NEURONS

Real = Float[Array, "..."]
BELLEC = "Bellec et al., Nat. Commun. 11: 3625 (2020), doi 10.1038/s41467-020-17236-y"


class SpikingState(NamedTuple):
    """Membrane v, spikes z (0 or 1), adaptation a, steps left of the refractory period; pseudo-derivative ψ."""

    v: Real
    z: Real
    a: Real
    blocked: Real
    psi: Real


class Gates(NamedTuple):
    """Derivatives inside a neuron, dimensionless: dv'/dv, d(v − A)/da, da'/da and da'/dz; a prime is the next step.

    The last three are None in a neuron without adaptation.
    """

    leak: Real
    threshold: Real | None = None
    persistence: Real | None = None
    adaptation: Real | None = None


class AbstractSpikingNeuron(AbstractModel):
    """A neuron that sends spikes; `step` takes the weighted sum of the spikes that arrive in one step.

    Membranes and thresholds are in units of the logical weight (1 = one spike through w = 1). The reset is not
    differentiated (as in e-prop); for automatic differentiation dz/dv = ψ.
    """

    @abstractmethod
    def step(self, state: SpikingState, drive: Real, dt: float) -> SpikingState:
        """One step of `dt` seconds."""

    @abstractmethod
    def gates(self, before: SpikingState, dt: float) -> Gates:
        """The derivatives inside the neuron of the step that starts at `before`, resets held fixed."""

    def init(self, shape: tuple[int, ...] = ()) -> SpikingState:
        """`shape` neurons at rest, silent."""
        zero = jnp.zeros(shape)
        return SpikingState(zero, zero, zero, zero, zero)


class _Reset(NamedTuple):
    """How a spike ends: θ subtracted or v put to 0, and how many steps the neuron then is silent."""

    soft: bool
    refractory: int

    def leak(self, alpha: Real, before: SpikingState) -> Real:
        """dv'/dv of a step that starts at `before`."""
        return jnp.broadcast_to(alpha, before.v.shape) if self.soft else alpha * (1 - before.z)

    def membrane(self, alpha: Real, theta: Parameter, before: SpikingState, drive: Real) -> Real:
        """The membrane after leak, reset and input."""
        z = jax.lax.stop_gradient(before.z)
        return alpha * before.v + drive - theta * z if self.soft else alpha * before.v * (1 - z) + drive

    def blocked(self, before: SpikingState) -> Real:
        """Steps that the refractory period still lasts, this one included."""
        if not self.refractory:
            return before.blocked
        full = jnp.asarray(float(self.refractory), before.z.dtype)
        return jnp.where(before.z > 0, full, jnp.maximum(before.blocked - 1, 0.0))


def _fire(v: Real, a: Real, blocked: Real, threshold: Real, theta: Parameter, surrogate: AbstractSurrogate) -> Any:
    """The state with the spikes of a membrane `v` above its `threshold`."""
    free = (blocked <= 0).astype(v.dtype)
    psi = free * surrogate((v - threshold) / theta)
    return SpikingState(v, free * spike(v - threshold, psi), a, blocked, psi)


@NEURONS.register("lif", "leaky integrate-and-fire, one spike a step at most", BELLEC)
class LIF(AbstractSpikingNeuron):
    """v[t+1] = α·v[t] + I[t] − θ·z[t], z = H(v − θ), α = e^(−dt/τ); or, with `soft=False`, v is put to 0 by a spike.

    For `refractory` steps after a spike the neuron cannot fire and ψ is 0. There is no factor 1 − α on the input.
    """

    source: ClassVar[str] = f"{BELLEC}; constants: released code of Demirağ et al., arXiv 2108.01804"
    tau: Parameter = param(30e-3, "s", "membrane time constant", bounds=(1e-9, 1e6))
    theta: Parameter = param(0.1, "1", "threshold θ in units of weight", bounds=(1e-9, 1e6))
    surrogate: AbstractSurrogate = part(Triangular, "pseudo-derivative ψ of a spike")
    refractory: int = option(0, "steps without spikes after a spike", bounds=(0, 1_000_000))
    soft: bool = option(True, "a spike subtracts θ; otherwise it puts v to 0")

    def step(self, state: SpikingState, drive: Real, dt: float) -> SpikingState:
        """Leak, input, reset by the last spike; then the threshold."""
        reset = _Reset(self.soft, self.refractory)
        v = reset.membrane(jnp.exp(-dt / self.tau), self.theta, state, drive)
        threshold = jnp.zeros_like(v) + self.theta
        return _fire(v, state.a, reset.blocked(state), threshold, self.theta, self.surrogate)

    def gates(self, before: SpikingState, dt: float) -> Gates:
        """Only the leak; a hard reset cuts it."""
        return Gates(_Reset(self.soft, self.refractory).leak(jnp.exp(-dt / self.tau), before))


@NEURONS.register("alif", "LIF whose threshold rises with every spike and decays slowly", BELLEC)
class ALIF(AbstractSpikingNeuron):
    """LIF with threshold A = θ + β·a, where a[t+1] = ρ·a[t] + z[t] and ρ = e^(−dt/τ_a): memory of its own activity.

    A spike lowers v by θ (soft reset) or puts it to 0. `beta` may be an array, 0 where a neuron does not adapt.
    """

    source: ClassVar[str] = BELLEC
    tau: Parameter = param(20e-3, "s", "membrane time constant", bounds=(1e-9, 1e6))
    theta: Parameter = param(0.6, "1", "resting threshold θ in units of weight", bounds=(1e-9, 1e6))
    tau_a: Parameter = param(2.0, "s", "time constant of adaptation", bounds=(1e-9, 1e6))
    beta: Parameter = param(0.07, "1", "β: rise of the threshold by a spike, in units of weight", bounds=(0, 1e6))
    surrogate: AbstractSurrogate = part(Triangular, "pseudo-derivative ψ of a spike")
    refractory: int = option(0, "steps without spikes after a spike", bounds=(0, 1_000_000))
    soft: bool = option(True, "a spike subtracts θ; otherwise it puts v to 0")

    def step(self, state: SpikingState, drive: Real, dt: float) -> SpikingState:
        """Leak, input, reset and adaptation by the last spike; then the threshold."""
        reset = _Reset(self.soft, self.refractory)
        v = reset.membrane(jnp.exp(-dt / self.tau), self.theta, state, drive)
        a = jnp.exp(-dt / self.tau_a) * state.a + state.z
        threshold = self.theta + jnp.broadcast_to(self.beta, a.shape) * a
        return _fire(v, a, reset.blocked(state), threshold, self.theta, self.surrogate)

    def gates(self, before: SpikingState, dt: float) -> Gates:
        """The leak, and the loop spike → adaptation → threshold → spike."""
        one = jnp.ones_like(before.v)
        leak = _Reset(self.soft, self.refractory).leak(jnp.exp(-dt / self.tau), before)
        return Gates(leak, -jnp.broadcast_to(self.beta, one.shape) * one, jnp.exp(-dt / self.tau_a) * one, one)
