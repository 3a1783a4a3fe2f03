"""Spike-timing-dependent plasticity: pairs and triplets of spikes, with hard or soft bounds of the weights."""

from abc import abstractmethod
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.learning.rules.base import Rule
from memspike.networks.base import Weights
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, check_bounds, is_concrete, option, param

Real = Float[Array, "..."]
SOURCE = (
    "Pfister & Gerstner, J. Neurosci. 26: 9673 (2006), doi 10.1523/JNEUROSCI.1425-06.2006 (triplets, of which pairs "
    "are a case); Gütig et al., J. Neurosci. 23: 3697 (2003), doi 10.1523/JNEUROSCI.23-09-03697.2003 (bounds)"
)


class Trains(NamedTuple):
    """Spikes, 0 or 1, of the rows and of the columns of one matrix, step by step."""

    pre: Float[Array, "steps rows"]
    post: Float[Array, "steps columns"]


class AbstractDependence(eqx.Module):
    """How the size of a change depends on the weight."""

    def __check_init__(self) -> None:
        check_bounds(self)

    @abstractmethod
    def factors(self, share: Real) -> tuple[Real, Real]:
        """Factors ≥ 0 of potentiation and of depression for a weight at `share` in [0, 1] of its range."""


class Additive(AbstractDependence):
    """Changes do not depend on the weight; only the bounds stop it."""

    def factors(self, share: Real) -> tuple[Real, Real]:
        """1 and 1."""
        return jnp.ones_like(share), jnp.ones_like(share)


class Multiplicative(AbstractDependence):
    """(1 − u)^µ and u^µ for a weight at the share u of its range: µ → 0 is additive, 1 fully multiplicative."""

    mu: Parameter = param(1.0, "1", "power µ of the distance to the bound ahead", bounds=(1e-6, 10))

    def factors(self, share: Real) -> tuple[Real, Real]:
        """The powers of the distances to the upper and the lower bound."""
        return (1 - share) ** self.mu, share**self.mu


class Timing(eqx.Module):
    """A post spike potentiates by r₁·(A₂⁺ + A₃⁺·o₂), a pre spike depresses by o₁·(A₂⁻ + A₃⁻·r₂).

    r₁, r₂ are traces of the pre spikes (τ₊, τ_x), o₁, o₂ of the post spikes (τ₋, τ_y), all as they are just before
    the spike; two spikes in one step do not see each other. A spike adds 1 to a trace (all pairs count), or with
    `nearest` sets it to 1 (only the last spike counts). Without the A₃, which is the default, it is the pair rule.
    All constants are examples of the usual size, no fit to a measurement: a reconstruction.
    """

    plus: Parameter = param(1e-2, "1", "A₂⁺: potentiation by a pair, in units of weight", bounds=(0, 1e3))
    minus: Parameter = param(1e-2, "1", "A₂⁻: depression by a pair, in units of weight", bounds=(0, 1e3))
    triplet_plus: Parameter = param(0.0, "1", "A₃⁺: more of it by an earlier post spike", bounds=(0, 1e3))
    triplet_minus: Parameter = param(0.0, "1", "A₃⁻: more depression by an earlier pre spike", bounds=(0, 1e3))
    tau_plus: Parameter = param(20e-3, "s", "τ₊: memory of a pre spike, for potentiation", bounds=(1e-9, 1e6))
    tau_minus: Parameter = param(20e-3, "s", "τ₋: memory of a post spike, for depression", bounds=(1e-9, 1e6))
    tau_x: Parameter = param(100e-3, "s", "τ_x: memory of an earlier pre spike", bounds=(1e-9, 1e6))
    tau_y: Parameter = param(100e-3, "s", "τ_y: memory of an earlier post spike", bounds=(1e-9, 1e6))
    nearest: bool = option(False, "only the last spike of a train counts")

    def __check_init__(self) -> None:
        check_bounds(self)

    def before(self, spikes: Real, start: Real, tau: Parameter, dt: Parameter) -> tuple[Real, Real]:
        """Of one trace the value after the last step, and those just before the spikes of every step."""
        decay = jnp.exp(-jnp.asarray(dt) / tau)

        def step(trace: Real, z: Real) -> tuple[Real, Real]:
            trace = decay * trace
            return jnp.where(z > 0, z if self.nearest else trace + z, trace), trace

        return jax.lax.scan(step, start, spikes)

    def changes(self, trains: Trains, traces: "Traces", dt: Parameter) -> tuple["Traces", Real, Real]:
        """Traces after the trains, and potentiation and depression [rows, columns], both ≥ 0: two products of matrices.

        A weight is taken to be constant in the meantime, so that the sum over pairs is Σ_t of outer products.
        """
        pre, post = trains
        r1, fast_pre = self.before(pre, traces.r1, self.tau_plus, dt)
        r2, slow_pre = self.before(pre, traces.r2, self.tau_x, dt)
        o1, fast_post = self.before(post, traces.o1, self.tau_minus, dt)
        o2, slow_post = self.before(post, traces.o2, self.tau_y, dt)
        up = fast_pre.T @ (post * (self.plus + self.triplet_plus * slow_post))
        down = (pre * (self.minus + self.triplet_minus * slow_pre)).T @ fast_post
        return Traces(r1, r2, o1, o2), up, down


class Traces(NamedTuple):
    """What rows (r) and columns (o) remember of their spikes: the fast and the slow trace of each."""

    r1: Float[Array, " rows"]
    r2: Float[Array, " rows"]
    o1: Float[Array, " columns"]
    o2: Float[Array, " columns"]


class STDP(eqx.Module):
    """Everything that spike-timing-dependent plasticity needs: timing, weight dependence, bounds, and the time step."""

    timing: Timing = eqx.field(default_factory=Timing)
    dependence: AbstractDependence = eqx.field(default_factory=Additive)
    low: Parameter = param(0.0, "1", "lowest weight", bounds=(-1e6, 1e6))
    high: Parameter = param(1.0, "1", "highest weight", bounds=(-1e6, 1e6))
    dt: Parameter = param(1e-3, "s", "time step of the trains", bounds=(1e-12, 1e3))

    def __check_init__(self) -> None:
        check_bounds(self)
        if is_concrete(self.low) and is_concrete(self.high) and not float(self.low) < float(self.high):
            raise InputError(
                f"The bounds of STDP are {float(self.low):g} and {float(self.high):g}; low must be below high."
            )

    def change(self, w: Real, trains: Trains, traces: Traces) -> tuple[Traces, Real]:
        """Traces after the trains, and the wanted Δw [rows, columns], which never leads beyond a bound."""
        traces, up, down = self.timing.changes(trains, traces, self.dt)
        share = jnp.clip((w - self.low) / (self.high - self.low), 0.0, 1.0)
        more, less = self.dependence.factors(share)
        return traces, jnp.clip(w + more * up - less * down, self.low, self.high) - w


def stdp(plasticity: STDP | None = None) -> Rule:
    """Local rule whose batches hold `Trains` for every matrix, one episode after the other.

    The state holds the traces, so that a train may be cut anywhere; `init` gives those after a long silence. A weight
    counts as it is at the start of an update.
    """
    law = STDP() if plasticity is None else plasticity

    def init(weights: Weights) -> tuple[Traces, ...]:
        return tuple(
            Traces(*(jnp.zeros(n, w.dtype) for n in (w.shape[0], w.shape[0], w.shape[1], w.shape[1]))) for w in weights
        )

    def update(
        state: tuple[Traces, ...], weights: Weights, batch: tuple[Trains, ...], *, key: PRNGKeyArray | None = None
    ) -> tuple[Any, Weights, dict]:
        done = [law.change(w, t, s) for w, t, s in zip(weights, batch, state, strict=True)]
        change = tuple(dw for _, dw in done)
        size = sum(jnp.abs(dw).sum() for dw in change) / sum(w.size for w in weights)
        return tuple(s for s, _ in done), change, {"change": size}

    return Rule(init, update)
