"""e-prop: gradients of a recurrent spiking network from local traces and a broadcast error, without unrolling time."""

from abc import abstractmethod
from typing import Any, NamedTuple, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.learning.objectives import AbstractStepObjective, SquaredError
from memspike.learning.rules.base import Rule
from memspike.networks.base import Weights
from memspike.networks.recurrent import Activity, Readings, Recurrent, lowpass
from memspike.networks.timeline import Clock
from memspike.neurons.lif import SpikingState
from memspike.parts.param import Parameter, check_bounds, param

Real = Float[Array, "..."]
SOURCE = "Bellec et al., Nat. Commun. 11: 3625 (2020), doi 10.1038/s41467-020-17236-y"


class Trial(NamedTuple):
    """What the network is shown: inputs [steps, *batch, inputs] and targets, as the error of the rule wants them.

    `readings` are what reads of the crossbars see; without them the rule's weights are taken as exact.
    """

    x: Float[Array, "steps *batch inputs"]
    target: Float[Array, "..."]
    readings: Readings | None = None


class AbstractFeedback(eqx.Module):
    """The weights B [neurons, outputs] through which the error reaches the neurons."""

    def __check_init__(self) -> None:
        check_bounds(self)

    @abstractmethod
    def init(self, output: Float[Array, "neurons outputs"]) -> Real:
        """What the rule stores, given the output weights at the start."""

    @abstractmethod
    def weights(self, stored: Real, output: Float[Array, "neurons outputs"]) -> Float[Array, "neurons outputs"]:
        """B, given the output weights of now."""

    @abstractmethod
    def after(self, stored: Real, change: Float[Array, "neurons outputs"]) -> Real:
        """What is stored after the wanted `change` of the output weights."""


class Symmetric(AbstractFeedback):
    """B = W_out."""

    def init(self, output: Real) -> Real:
        """Nothing."""
        return jnp.zeros((0,))

    def weights(self, stored: Real, output: Real) -> Real:
        """The output weights."""
        return output

    def after(self, stored: Real, change: Real) -> Real:
        """Nothing."""
        return stored


class Broadcast(AbstractFeedback):
    """B fixed, random, drawn once: `values` [neurons, outputs]."""

    values: Float[Array, "*lead neurons outputs"]

    def init(self, output: Real) -> Real:
        """`values`."""
        return self.values

    def weights(self, stored: Real, output: Real) -> Real:
        """What is stored."""
        return stored

    def after(self, stored: Real, change: Real) -> Real:
        """Unchanged."""
        return stored


class Adaptive(AbstractFeedback):
    """B starts at `values` and takes the wanted changes of the output weights, with a decay: it aligns with W_out."""

    values: Float[Array, "*lead neurons outputs"]
    decay: Parameter = param(1e-3, "1", "share of B lost in every update", bounds=(0, 1))

    def init(self, output: Real) -> Real:
        """`values`."""
        return self.values

    def weights(self, stored: Real, output: Real) -> Real:
        """What is stored."""
        return stored

    def after(self, stored: Real, change: Real) -> Real:
        """Decayed, and moved like the output weights."""
        return (1 - self.decay) * stored + change


class Eprop(eqx.Module):
    """Everything that e-prop needs besides weights: network, clock, error, feedback and its constants.

    The learning signal of neuron j is L_j[t] = Σ_k B_jk·dE/dy_k[t] + c_reg·(f_j − f₀), with the firing rate f_j of the
    whole trial; it multiplies the eligibility trace of every synapse, filtered like the readout. `lead` is by how many
    steps the input traces are ahead of what the neurons got (0; the released code of Demirağ et al. has 1).
    """

    network: Recurrent
    clock: Clock = eqx.field(static=True)
    error: AbstractStepObjective = eqx.field(default_factory=SquaredError)
    feedback: AbstractFeedback = eqx.field(default_factory=Symmetric)
    rate_weight: Parameter = param(1e-4, "1", "c_reg: learning signal per Hz away from the rate", bounds=(0, 1e6))
    rate: Parameter = param(12.0, "Hz", "firing rate f₀ that is aimed at", bounds=(0, 1e6))
    clip: Parameter = param(100.0, "1", "largest size of an element of the gradient", bounds=(1e-12, 1e12))
    lead: int = eqx.field(static=True, default=0)

    def __check_init__(self) -> None:
        check_bounds(self)

    def readings(self, weights: Weights, trial: Trial) -> Readings:
        """What the network reads in a trial."""
        return self.network.ideal(weights) if trial.readings is None else trial.readings

    def clock_of(self, readings: Readings) -> Clock:
        """The clock of a run with `readings`: exact weights have one part."""
        whole = readings.input.mean.shape[0] == 1
        return Clock(self.clock.dt, (self.clock.steps,)) if whole else self.clock

    def run(self, weights: Weights, trial: Trial, *, key: PRNGKeyArray | None = None) -> Activity:
        """The network on a trial."""
        readings = self.readings(weights, trial)
        return self.network.run(readings, trial.x, self.clock_of(readings), key=key)

    def signals(self, activity: Activity, feedback: Real, trial: Trial) -> tuple[Real, Real]:
        """Output errors [steps, *batch, outputs] and learning signals [steps, *batch, neurons]."""
        error = self.error.signal(activity.y, trial.target)
        rates = self.rate_weight * (activity.rate(self.clock.dt) - self.rate)
        return error, error @ feedback.T + rates[None]

    def gradient(self, activity: Activity, feedback: Real, trial: Trial) -> Weights:
        """The e-prop gradient of all three matrices, in one product of matrices each; mean over the batch.

        The sum over time of L times the filtered trace is the same as a sum over z times the learning signal carried
        backwards through readout and neuron: no state per synapse. Equal to the online form to rounding.
        """
        error, signal = self.signals(activity, feedback, trial)
        kappa = jnp.exp(-self.clock.dt / self.network.tau_out)
        credit = self._within(activity.state, lowpass(signal, kappa, reverse=True))
        z, x = activity.z, self.leading(trial.x)
        before = jnp.concatenate([jnp.zeros_like(z[:1]), z[:-1]])
        pairs = ((x, credit), (before, credit), (z, lowpass(error, kappa, reverse=True)))
        count = credit.size // (credit.shape[0] * credit.shape[-1])
        found = [_outer(a, b) / count for a, b in pairs]
        found[1] = found[1] * self.network.others()
        return cast(Weights, tuple(jnp.clip(g, -self.clip, self.clip) for g in found))

    def leading(self, x: Real) -> Real:
        """The inputs that enter the traces."""
        if not self.lead:
            return x
        return jnp.concatenate([x[self.lead :], jnp.zeros_like(x[: self.lead])])

    def _within(self, states: SpikingState, signal: Real) -> Real:
        """dE/d(drive): signals at spikes carried backwards inside every neuron, from the last step to the first."""
        start = self.network.neuron.init(states.v.shape[1:])
        before = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b[:-1]]), start, states)
        gates = jax.vmap(lambda s: self.network.neuron.gates(s, self.clock.dt))(before)

        def body(carry: tuple[Real, Real], now: Any) -> tuple[tuple[Real, Real], Real]:
            # v_next = leak(t+1)·dE/dv(t+1) and a_next = dE/da(t+1) by way of a(t+1) = persistence·a(t) + z(t)
            v_next, a_next = carry
            psi, at_spike, gate = now
            if gate.adaptation is None:
                v = psi * at_spike + v_next
                return (gate.leak * v, a_next), v
            at_threshold = psi * (at_spike + gate.adaptation * a_next)
            v = at_threshold + v_next
            a = gate.threshold * at_threshold + gate.persistence * a_next
            return (gate.leak * v, a), v

        zero = jnp.zeros_like(signal[0])
        return jax.lax.scan(body, (zero, zero), (states.psi, signal, gates), reverse=True)[1]


def _outer(a: Real, b: Real) -> Real:
    """Σ over steps and batch of a ⊗ b."""
    return a.reshape(-1, a.shape[-1]).T @ b.reshape(-1, b.shape[-1])


class EpropState(NamedTuple):
    """State of the optimiser and stored feedback weights."""

    optimizer: Any
    feedback: Real


def rule_of(problem: Eprop, optimizer: optax.GradientTransformation, gradient: Any) -> Rule:
    """The rule with a way to get activity and gradient: `gradient(weights, feedback, trial, key)`."""

    def init(weights: Weights) -> EpropState:
        return EpropState(optimizer.init(weights), problem.feedback.init(weights[2]))

    def update(
        state: EpropState, weights: Weights, batch: Trial, *, key: PRNGKeyArray | None
    ) -> tuple[EpropState, Weights, dict]:
        feedback = problem.feedback.weights(state.feedback, weights[2])
        activity, slope = gradient(weights, feedback, batch, key)
        with jax.numpy_dtype_promotion("standard"):  # optimisers mix step counts and floats
            change, inner = optimizer.update(slope, state.optimizer, weights)
        change = cast(Weights, change)
        metrics = {
            "loss": problem.error.loss(activity.y, batch.target).mean(),
            "gradient_norm": optax.tree.norm(slope),
            "rate": activity.rate(problem.clock.dt).mean(),
        }
        return EpropState(inner, problem.feedback.after(state.feedback, change[2])), change, metrics

    return Rule(init, update)


def eprop(problem: Eprop, optimizer: optax.GradientTransformation) -> Rule:
    """Rule of an `Eprop` problem whose batches are `Trial`s; an optax optimiser scales the step."""

    def gradient(weights: Weights, feedback: Real, trial: Trial, key: PRNGKeyArray | None) -> tuple[Activity, Weights]:
        activity = problem.run(weights, trial, key=key)
        return activity, problem.gradient(activity, feedback, trial)

    return rule_of(problem, optimizer, gradient)
