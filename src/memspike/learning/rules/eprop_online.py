"""e-prop as a chip would run it: a trace for every synapse, carried forward, and an update possible at any step."""

from typing import Any, NamedTuple, cast

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.learning.objectives import AbstractStepObjective
from memspike.networks.base import Clock, Weights
from memspike.networks.recurrent import Activity, Readings, Recurrent, fold
from memspike.neurons.analog import Analog
from memspike.neurons.lif import Gates

Real = Float[Array, "..."]


class Traces(NamedTuple):
    """Of one matrix [sources, neurons]: what v and a of the target remember of the source, and the filtered e.

    Of neurons with analog spikes `v` is what their whole state remembers, a tree.
    """

    v: Any
    a: Real
    filtered: Real


class OnlineState(NamedTuple):
    """Neurons, output y, spikes filtered like the readout, and the traces of the input and the recurrent matrix."""

    neuron: Any
    y: Float[Array, " outputs"]
    spikes: Float[Array, " neurons"]
    input: Traces
    recurrent: Traces


class Shown(NamedTuple):
    """One step of a trial: inputs that drive the neurons, inputs that enter the traces, what the error wants.

    `inside` is 0 at steps that are not the trial's own; None where all are.
    """

    x: Float[Array, "*steps inputs"]
    ahead: Float[Array, "*steps inputs"]
    wanted: Any
    inside: Float[Array, "*steps"] | None = None


class Step(NamedTuple):
    """What one step adds: to the gradient of the three matrices, and per Hz of rate error to the first two."""

    gradient: Weights
    per_hertz: tuple[Real, Real]


class OnlineEprop(eqx.Module):
    """One trial at a time (no batch), one step at a time.

    `step` gives the increment of the gradient that is due at that step; it may be applied at once, and the weights of
    the next step may be others. The firing rate of a whole trial is known at its end only: what it multiplies is kept
    apart, so that the sum over a trial is exactly the factorised gradient.

    `dt` is the time step in s.
    """

    network: Recurrent
    objective: AbstractStepObjective
    dt: float = eqx.field(static=True)

    def init(self) -> OnlineState:
        """Everything at rest."""
        inputs, neurons, outputs = self.network.sizes
        neuron = self.network.neuron.init((neurons,))
        blank = []
        for n in (inputs, neurons):
            zero = jnp.zeros((n, neurons))
            whole = jax.tree.map(lambda x: jnp.zeros((n, *x.shape), x.dtype), neuron)  # noqa: B023
            blank.append(Traces(whole if isinstance(self.network.neuron, Analog) else zero, zero, zero))
        return OnlineState(neuron, jnp.zeros(outputs), jnp.zeros(neurons), blank[0], blank[1])

    def _kappa(self) -> Real:
        return jnp.exp(-self.dt / self.network.tau_out)

    def _traces(self, traces: Traces, source: Real, psi: Real, before: Real, gate: Gates) -> Traces:
        """Traces after a step; `psi` belongs to this step, `before` to the last one. [sources, neurons]."""
        kappa, v = self._kappa(), gate.leak[None] * traces.v + source[:, None]
        if gate.threshold is None or gate.persistence is None or gate.adaptation is None:
            return Traces(v, traces.a, kappa * traces.filtered + psi[None] * v)
        spiked = before[None] * (traces.v + gate.threshold[None] * traces.a)
        a = gate.persistence[None] * traces.a + gate.adaptation[None] * spiked
        e = psi[None] * (v + gate.threshold[None] * a)
        return Traces(v, a, kappa * traces.filtered + e)

    def _analog_traces(self, neuron: Analog, traces: Traces, source: Real, last: Any, drive: Real) -> Traces:
        """The same for analog spikes: the state of a synapse's trace moves by the derivatives of the neuron's step.

        ε_ji[t+1] = ∂s'/∂s·ε_ji[t] + ∂s'/∂I·source_i, with the state s of filter, membrane and memristors of neuron j;
        e_ji = ∂z/∂s·ε_ji.
        """

        def one(trace: Any, arrives: Real) -> Any:
            moved = (trace, jnp.broadcast_to(arrives, drive.shape))
            return jax.jvp(lambda s, i: neuron.step(s, i, self.dt), (last, drive), moved)[1]

        whole = jax.vmap(one)(traces.v, source)
        return Traces(whole, traces.a, self._kappa() * traces.filtered + whole.z)

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
        network, last, kappa = self.network, state.neuron, self._kappa()
        drive = network.drive(reads, now.x, last.z, key=fold(key, 0))
        neuron: Any = network.neuron.step(last, drive, self.dt)
        y = kappa * state.y + network.output(reads, neuron.z, key=fold(key, 1))
        spikes = kappa * state.spikes + neuron.z
        error = self.objective.at(y, now.wanted)
        signal = feedback @ error
        pairs, kind = ((state.input, now.ahead), (state.recurrent, last.z)), network.neuron
        if isinstance(kind, Analog):
            traces = [self._analog_traces(kind, old, source, last, drive) for old, source in pairs]
        else:
            gate = kind.gates(last, self.dt)
            traces = [self._traces(old, source, neuron.psi, last.psi, gate) for old, source in pairs]
        slopes = (*(t.filtered * signal[None] for t in traces), spikes[:, None] * error[None])
        rated = [t.filtered if now.inside is None else t.filtered * now.inside for t in traces]
        increment = Step(cast(Weights, slopes), (rated[0], rated[1]))
        return OnlineState(neuron, y, spikes, traces[0], traces[1]), increment

    def run(
        self, readings: Readings, feedback: Real, shown: Shown, clock: Clock, *, key: PRNGKeyArray | None = None
    ) -> tuple[Activity, Step]:
        """A whole trial from rest, and the sum of its steps."""
        part = jnp.repeat(jnp.arange(len(clock.parts)), jnp.asarray(clock.parts), total_repeat_length=clock.steps)

        def body(carry: tuple[OnlineState, Step], at: Any) -> tuple[tuple[OnlineState, Step], Any]:
            now, k, t = at
            state, add = self.step(carry[0], readings.part(k), feedback, now, key=fold(key, t))
            return (state, jax.tree.map(jnp.add, carry[1], add)), (state.neuron, state.y)

        blank = [jnp.zeros(shape) for shape in self.network.shapes]
        start = (self.init(), Step(cast(Weights, tuple(blank)), (blank[0], blank[1])))
        (_, total), (states, y) = jax.lax.scan(body, start, (shown, part, jnp.arange(clock.steps)))
        return Activity(states, y, self.network.neuron.spikes(states)), total
