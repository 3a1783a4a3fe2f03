"""The leaky integrate-and-fire neuron of DECOLLE: traces of its inputs, refractoriness instead of a reset."""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.neurons.surrogate import AbstractSurrogate, FastSigmoid, spike
from memspike.parts.param import Parameter, check_bounds, param, part
from memspike.parts.registry import NEURONS

Real = Float[Array, "..."]


class TraceGates(NamedTuple):
    """Decays e^(−dt/τ) in a step of membrane (α), synapse (β) and refractoriness (ρ)."""

    alpha: Real
    beta: Real
    rho: Real


@NEURONS.register(
    "trace-lif",
    "leaky integrate-and-fire of DECOLLE: two traces a row, refractoriness, no reset",
    "Kaiser, Mostafa & Neftci, Front. Neurosci. 14: 424 (2020), doi 10.3389/fnins.2020.00424",
)
class TraceLIF(eqx.Module):
    """U = W·P + R, spike S = H(U); all synapses of an input share the traces Q and P, so a crossbar holds W alone.

    Q[t+1] = β·Q[t] + (1 − β)·gain·x[t], P[t+1] = α·P[t] + (1 − α)·Q[t] (the old Q), R[t+1] = ρ·R[t] − (1 − ρ)·w·S[t],
    with α, β, ρ = e^(−dt/τ) of membrane, synapse and refractoriness.
    """

    source: ClassVar[str] = (
        "Kaiser, Mostafa & Neftci, Front. Neurosci. 14: 424 (2020), doi 10.3389/fnins.2020.00424, and its released code"
    )
    surrogate: AbstractSurrogate = part(FastSigmoid, "pseudo-derivative of a spike")
    tau: Parameter = param(32.8e-3, "s", "time constant of the membrane", bounds=(1e-9, 1e6))
    tau_syn: Parameter = param(12.0e-3, "s", "time constant of the synapses", bounds=(1e-9, 1e6))
    tau_ref: Parameter = param(2.3e-3, "s", "time constant of refractoriness", bounds=(1e-9, 1e6))
    refractory: Parameter = param(1.0, "1", "w: strength of refractoriness", bounds=(0, 1e6))
    gain: Parameter = param(1.0, "1", "charge of an input spike", bounds=(0, 1e6))

    def __check_init__(self) -> None:
        check_bounds(self)

    def gates(self, dt: float) -> TraceGates:
        """The decays in a step of `dt` seconds."""
        return TraceGates(*(jnp.exp(-dt / tau) for tau in (self.tau, self.tau_syn, self.tau_ref)))

    def traces(self, x: Real, start: tuple[Real, Real], dt: float) -> tuple[tuple[Real, Real], Real]:
        """Q and P after input spikes x [steps, *batch, rows], and P at every step."""
        alpha, beta, _ = self.gates(dt)

        def traced(carry: tuple[Real, Real], now: Real) -> tuple[tuple[Real, Real], Real]:
            q, p = carry
            p = alpha * p + (1 - alpha) * q
            return (beta * q + (1 - beta) * self.gain * now, p), p

        return jax.lax.scan(traced, start, x)

    def fire(self, drive: Real, start: tuple[Real, Real], dt: float) -> tuple[tuple[Real, Real], tuple[Real, Real]]:
        """R and S after a drive W·P [steps, *batch, columns]; membranes and spikes at every step.

        For automatic differentiation a spike has the slope of the surrogate; refractoriness is held fixed.
        """
        rho = self.gates(dt).rho

        def fired(carry: tuple[Real, Real], now: Real) -> tuple[tuple[Real, Real], tuple[Real, Real]]:
            r, s = carry
            r = rho * r - (1 - rho) * self.refractory * jax.lax.stop_gradient(s)
            u = now + r
            s = spike(u, self.surrogate(u))
            return (r, s), (u, s)

        return jax.lax.scan(fired, start, drive)
