"""e-prop as a chip would run it: a trace for every synapse, carried forward, and an update possible at any step."""

from typing import Any, NamedTuple, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.learning.rules.base import Rule
from memspike.learning.rules.eprop import Eprop, Trial, rule_of
from memspike.networks.base import Weights
from memspike.networks.recurrent import Activity, Readings, fold
from memspike.neurons.lif import Gates, SpikingState

Real = Float[Array, "..."]


class Traces(NamedTuple):
    """Of one matrix [sources, neurons]: what v and a of the target remember of the source, and the filtered e."""

    v: Real
    a: Real
    filtered: Real


class OnlineState(NamedTuple):
    """Neurons, output y, spikes filtered like the readout, and the traces of the input and the recurrent matrix."""

    neuron: SpikingState
    y: Float[Array, " outputs"]
    spikes: Float[Array, " neurons"]
    input: Traces
    recurrent: Traces


class Shown(NamedTuple):
    """One step of a trial: inputs that drive the neurons, inputs that enter the traces, and what the error wants."""

    x: Float[Array, "*steps inputs"]
    ahead: Float[Array, "*steps inputs"]
    wanted: Any


class Step(NamedTuple):
    """What one step adds: to the gradient of the three matrices, and per Hz of rate error to the first two."""

    gradient: Weights
    per_hertz: tuple[Real, Real]


class OnlineEprop(eqx.Module):
    """One trial at a time (no batch), one step at a time.

    `step` gives the increment of the gradient that is due at that step; it may be applied at once, and the weights of
    the next step may be others. The firing rate of a whole trial is known at its end only: what it multiplies is kept
    apart, so that the sum over a trial is exactly the factorised gradient.
    """

    problem: Eprop

    def init(self) -> OnlineState:
        """Everything at rest."""
        network = self.problem.network
        inputs, neurons, outputs = network.sizes
        blank = [Traces(*(jnp.zeros((n, neurons)) for _ in range(3))) for n in (inputs, neurons)]
        return OnlineState(network.neuron.init((neurons,)), jnp.zeros(outputs), jnp.zeros(neurons), blank[0], blank[1])

    def _traces(self, traces: Traces, source: Real, psi: Real, before: Real, gate: Gates) -> Traces:
        """Traces after a step; `psi` belongs to this step, `before` to the last one. [sources, neurons]."""
        kappa = jnp.exp(-self.problem.clock.dt / self.problem.network.tau_out)
        if gate.threshold is None or gate.persistence is None or gate.adaptation is None:
            v = gate.leak[None] * traces.v + source[:, None]
            return Traces(v, traces.a, kappa * traces.filtered + psi[None] * v)
        spiked = before[None] * (traces.v + gate.threshold[None] * traces.a)
        v = gate.leak[None] * traces.v + source[:, None]
        a = gate.persistence[None] * traces.a + gate.adaptation[None] * spiked
        e = psi[None] * (v + gate.threshold[None] * a)
        return Traces(v, a, kappa * traces.filtered + e)

    def step(
        self,
        state: OnlineState,
        reads: Readings,
        feedback: Float[Array, "neurons outputs"],
        now: Shown,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[OnlineState, Step]:
        """One step with what reads see at this step ([rows, columns] each); with a key, with their noise."""
        problem, network = self.problem, self.problem.network
        dt, last = problem.clock.dt, state.neuron
        kappa = jnp.exp(-dt / network.tau_out)
        gate = network.neuron.gates(last, dt)
        neuron = network.neuron.step(last, network.drive(reads, now.x, last.z, key=fold(key, 0)), dt)
        y = kappa * state.y + network.output(reads, neuron.z, key=fold(key, 1))
        spikes = kappa * state.spikes + neuron.z
        error = problem.error.at(y, now.wanted)
        signal = feedback @ error
        traces = [
            self._traces(old, source, neuron.psi, last.psi, gate)
            for old, source in ((state.input, now.ahead), (state.recurrent, last.z))
        ]
        slopes = (*(t.filtered * signal[None] for t in traces), spikes[:, None] * error[None])
        increment = Step(cast(Weights, slopes), (traces[0].filtered, traces[1].filtered))
        return OnlineState(neuron, y, spikes, traces[0], traces[1]), increment

    def gradient(
        self, readings: Readings, feedback: Real, trial: Trial, *, key: PRNGKeyArray | None = None
    ) -> tuple[Activity, Weights]:
        """The sum over a trial: the same numbers as the factorised form, to rounding."""
        problem = self.problem
        clock = problem.clock_of(readings)
        part = jnp.repeat(jnp.arange(len(clock.parts)), jnp.asarray(clock.parts), total_repeat_length=clock.steps)
        shown = Shown(trial.x, problem.leading(trial.x), problem.error.stepwise(trial.target, clock.steps))

        def body(carry: tuple[OnlineState, Step], at: Any) -> tuple[tuple[OnlineState, Step], Any]:
            now, k, t = at
            state, add = self.step(carry[0], readings.part(k), feedback, now, key=None if key is None else fold(key, t))
            return (state, jax.tree.map(jnp.add, carry[1], add)), (state.neuron, state.y)

        blank = [jnp.zeros(shape) for shape in problem.network.shapes]
        start = (self.init(), Step(cast(Weights, tuple(blank)), (blank[0], blank[1])))
        (_, total), (states, y) = jax.lax.scan(body, start, (shown, part, jnp.arange(clock.steps)))
        activity = Activity(states, y)
        off = problem.rate_weight * (activity.rate(clock.dt) - problem.rate)
        found = [total.gradient[k] + total.per_hertz[k] * off[None] for k in (0, 1)]
        slopes = (found[0], found[1] * problem.network.others(), total.gradient[2])
        return activity, cast(Weights, tuple(jnp.clip(g, -problem.clip, problem.clip) for g in slopes))


def eprop_online(problem: Eprop, optimizer: optax.GradientTransformation) -> Rule:
    """The rule `eprop` in the form that keeps no record of the trial; one trial a batch."""
    online = OnlineEprop(problem)

    def gradient(weights: Weights, feedback: Real, trial: Trial, key: PRNGKeyArray | None) -> tuple[Activity, Weights]:
        return online.gradient(problem.readings(weights, trial), feedback, trial, key=key)

    return rule_of(problem, optimizer, gradient)
