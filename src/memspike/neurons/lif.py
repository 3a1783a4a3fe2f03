"""Leaky integrate-and-fire neurons: plain, with an adaptive threshold, with traces; in units of the logical weight."""

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.devices.part import AbstractModel
from memspike.neurons.surrogate import AbstractSurrogate, FastSigmoid, Triangular, spike
from memspike.parts.param import Parameter, option, param, part
from memspike.parts.registry import NEURONS

Real = Float[Array, "..."]
BELLEC = "Bellec et al., Nat. Commun. 11: 3625 (2020), doi 10.1038/s41467-020-17236-y"
KAISER = "Kaiser, Mostafa & Neftci, Front. Neurosci. 14: 424 (2020), doi 10.3389/fnins.2020.00424"


class SpikingState(NamedTuple):
    """Membrane v in units of weight, spikes z (0 or 1), adaptation a, steps of the refractory period left; slope ψ."""

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

    def spikes(self, states: SpikingState) -> Real:
        """Spikes, 0 or 1."""
        return states.z

    def height(self, states: SpikingState) -> Real:
        """By which the first of several spikes in a step is told: the membrane."""
        return states.v

    def inhibited(self, state: SpikingState, z: Real, left: Real) -> SpikingState:
        """The state once `z` are the only spikes and all neurons are silenced for `left` more steps, 0 for none.

        A spike of any neuron puts all membranes to 0.
        """
        return state._replace(z=z, v=jnp.where(z.sum() > 0, 0.0, state.v))

    def init(self, shape: tuple[int, ...] = ()) -> SpikingState:
        """`shape` neurons at rest, silent."""
        zero = jnp.zeros(shape)
        return SpikingState(zero, zero, zero, zero, zero)


# what LIF and ALIF share: a spike subtracts θ or puts v to 0 (`soft`), and silences the neuron for some steps


def _leak(neuron: Any, before: SpikingState, dt: float) -> Real:
    """dv'/dv of a step that starts at `before`."""
    alpha = jnp.exp(-dt / neuron.tau)
    return jnp.broadcast_to(alpha, before.v.shape) if neuron.soft else alpha * (1 - before.z)


def _advanced(neuron: Any, before: SpikingState, drive: Real, dt: float) -> Real:
    """The membrane after leak, reset by the last spike and input."""
    alpha, z = jnp.exp(-dt / neuron.tau), jax.lax.stop_gradient(before.z)
    return alpha * before.v + drive - neuron.theta * z if neuron.soft else alpha * before.v * (1 - z) + drive


def _fire(neuron: Any, before: SpikingState, v: Real, a: Real, threshold: Real) -> SpikingState:
    """The state with the spikes of a membrane `v` above its `threshold`."""
    blocked = before.blocked  # steps that the refractory period still lasts, this one included
    if neuron.refractory:
        full = jnp.asarray(float(neuron.refractory), before.z.dtype)
        blocked = jnp.where(before.z > 0, full, jnp.maximum(blocked - 1, 0.0))
    free = (blocked <= 0).astype(v.dtype)
    psi = free * neuron.surrogate((v - threshold) / neuron.theta)
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
        v = _advanced(self, state, drive, dt)
        return _fire(self, state, v, state.a, jnp.zeros_like(v) + self.theta)

    def gates(self, before: SpikingState, dt: float) -> Gates:
        """Only the leak; a hard reset cuts it."""
        return Gates(_leak(self, before, dt))


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
        v = _advanced(self, state, drive, dt)
        a = jnp.exp(-dt / self.tau_a) * state.a + state.z
        return _fire(self, state, v, a, self.theta + jnp.broadcast_to(self.beta, a.shape) * a)

    def gates(self, before: SpikingState, dt: float) -> Gates:
        """The leak, and the loop spike → adaptation → threshold → spike."""
        one, leak = jnp.ones_like(before.v), _leak(self, before, dt)
        return Gates(leak, -jnp.broadcast_to(self.beta, one.shape) * one, jnp.exp(-dt / self.tau_a) * one, one)


@NEURONS.register(
    "trace-lif",
    "leaky integrate-and-fire of DECOLLE: two traces a row, refractoriness, no reset",
    KAISER,
)
class TraceLIF(AbstractModel):
    """U = W·P + R, spike S = H(U); all synapses of an input share the traces Q and P, so a crossbar holds W alone.

    Q[t+1] = β·Q[t] + (1 − β)·gain·x[t], P[t+1] = α·P[t] + (1 − α)·Q[t] (the old Q), R[t+1] = ρ·R[t] − (1 − ρ)·w·S[t],
    with α, β, ρ = e^(−dt/τ) of membrane, synapse and refractoriness.
    """

    source: ClassVar[str] = f"{KAISER}, and its released code"
    surrogate: AbstractSurrogate = part(FastSigmoid, "pseudo-derivative of a spike")
    tau: Parameter = param(32.8e-3, "s", "time constant of the membrane", bounds=(1e-9, 1e6))
    tau_syn: Parameter = param(12.0e-3, "s", "time constant of the synapses", bounds=(1e-9, 1e6))
    tau_ref: Parameter = param(2.3e-3, "s", "time constant of refractoriness", bounds=(1e-9, 1e6))
    refractory: Parameter = param(1.0, "1", "w: strength of refractoriness", bounds=(0, 1e6))
    gain: Parameter = param(1.0, "1", "charge of an input spike", bounds=(0, 1e6))

    def traces(self, x: Real, start: tuple[Real, Real], dt: float) -> tuple[tuple[Real, Real], Real]:
        """Q and P after input spikes x [steps, *batch, rows], and P at every step of `dt` seconds."""
        alpha, beta = jnp.exp(-dt / self.tau), jnp.exp(-dt / self.tau_syn)

        def traced(carry: tuple[Real, Real], now: Real) -> tuple[tuple[Real, Real], Real]:
            q, p = carry
            p = alpha * p + (1 - alpha) * q
            return (beta * q + (1 - beta) * self.gain * now, p), p

        return jax.lax.scan(traced, start, x)

    def fire(self, drive: Real, start: tuple[Real, Real], dt: float) -> tuple[tuple[Real, Real], tuple[Real, Real]]:
        """R and S after a drive W·P [steps, *batch, columns]; membranes and spikes at every step of `dt` seconds.

        For automatic differentiation a spike has the slope of the surrogate; refractoriness is held fixed.
        """
        rho = jnp.exp(-dt / self.tau_ref)

        def fired(carry: tuple[Real, Real], now: Real) -> tuple[tuple[Real, Real], tuple[Real, Real]]:
            r, s = carry
            r = rho * r - (1 - rho) * self.refractory * jax.lax.stop_gradient(s)
            u = now + r
            s = spike(u, self.surrogate(u))
            return (r, s), (u, s)

        return jax.lax.scan(fired, start, drive)
