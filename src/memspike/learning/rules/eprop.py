"""e-prop: gradients of spiking networks from local traces and a broadcast error, other neurons held fixed."""

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.ledger import Ledger
from memspike.devices.part import AbstractPart
from memspike.learning.objectives import AbstractObjective, AbstractStepObjective, every_step, mean_of
from memspike.learning.rules import base, eprop_layers
from memspike.learning.rules.base import AbstractRule, Batch, Optimizer, Update, View
from memspike.learning.rules.eprop_online import OnlineEprop, Shown
from memspike.networks.base import AbstractNetwork, Cells, Weights
from memspike.networks.feedforward import Feedforward
from memspike.networks.recurrent import Activity, Readings, Recurrent, lowpass
from memspike.neurons import spiking_course
from memspike.neurons.analog import Analog
from memspike.neurons.lif import SpikingState
from memspike.parts.param import Parameter, option, param, part
from memspike.parts.refusals import (
    NoOutputWeights,
    NoRecurrence,
    NoStepError,
    NoTracePerSynapse,
    OneTrial,
)
from memspike.parts.registry import RULES

Real = Float[Array, "..."]
Feedback = Float[Array, "neurons outputs"]
Within = Callable[[Real], Real]
SOURCE = "Bellec et al., Nat. Commun. 11: 3625 (2020), doi 10.1038/s41467-020-17236-y"


class AbstractFeedback(AbstractPart):
    """B [neurons, outputs], and what becomes of the random weights that a chip starts with.

    Of several layers each has a B of its own; `symmetric` feedback goes through the matrices of all layers behind.
    """

    @abstractmethod
    def weights(self, stored: Feedback, output: Feedback, /) -> Feedback:
        """B, given the output weights of now."""

    @abstractmethod
    def after(self, stored: Feedback, change: Feedback, /) -> Feedback:
        """What is stored after the wanted `change` of the output weights."""

    @abstractmethod
    def signals(self, found: eprop_layers.Ran, stored: tuple[Real, ...], credit: Real, /) -> tuple[Real, ...]:
        """Learning signals of all hidden layers of a feed-forward network for the credit of its outputs."""


def _stored(self: AbstractFeedback, stored: Feedback, other: Feedback, /) -> Feedback:
    """What is stored, unchanged."""
    return stored


def _by_stored(
    self: AbstractFeedback, found: eprop_layers.Ran, stored: tuple[Real, ...], credit: Real, /
) -> tuple[Real, ...]:
    """By what is stored."""
    return eprop_layers.through_stored(found, credit, stored)


class Symmetric(AbstractFeedback):
    """B = W_out; what is stored is never used."""

    after = _stored

    def weights(self, stored: Feedback, output: Feedback, /) -> Feedback:
        """The output weights."""
        return output

    def signals(self, found: eprop_layers.Ran, stored: tuple[Real, ...], credit: Real, /) -> tuple[Real, ...]:
        """Through the matrices."""
        return eprop_layers.through_matrices(found, credit)


class Random(AbstractFeedback):
    """B fixed, random, drawn once."""

    weights, after, signals = _stored, _stored, _by_stored


class Adaptive(AbstractFeedback):
    """B starts random and takes the wanted changes of the output weights, with a decay: it aligns with W_out."""

    weights, signals = _stored, _by_stored

    decay: Parameter = param(1e-3, "1", "share of B lost in every update", bounds=(0, 1))

    def after(self, stored: Feedback, change: Feedback, /) -> Feedback:
        """Decayed, and moved like the output weights."""
        return (1 - self.decay) * stored + change


class EpropState(NamedTuple):
    """State of the optimiser and stored feedback weights, of layers a tuple."""

    optimizer: Any
    feedback: Any


@RULES.register("eprop", "e-prop, traces summed up in one product of matrices a trial", SOURCE)
class Eprop(AbstractRule):
    """The learning signal of neuron j is L_j[t] = Σ_k B_jk·dE/dy_k[t] + c_reg·(f_j − f₀), with the firing rate f_j of
    the whole trial; it multiplies the eligibility trace of every synapse, filtered like the readout.

    Every layer of a feed-forward network has a learning signal of its own, L_j[t] = Σ_k B_jk·c_k[t], where c_k is the
    error of output k carried back through its own neuron: the same in a network with one hidden layer. Other layers are
    held fixed, as other neurons are; the change of a convolution is the sum over its positions. Rates are those of
    neurons that spike, and their term is not filtered by the outputs.

    In the `reference_order`, that of the released code of Demirağ et al. (arXiv 2108.01804), input traces are a step
    ahead of the neurons and both sides of every self-connection are RESET before every trial. `online` keeps a trace
    for every synapse instead of one product of matrices: the same numbers to rounding, one trial a batch.
    """

    source: ClassVar[str] = SOURCE
    keys, classes = base.last_two_of_three, base.as_predicted  # pyright: ignore

    feedback: AbstractFeedback = part(Random, "weights B that carry the error back")
    feedback_gain: float = option(0.1, "random feedback has s.d. gain·√(2/neurons)", bounds=(0, 1e6))
    rate_weight: Parameter = param(1e-4, "1", "c_reg: learning signal per Hz away from the rate", bounds=(0, 1e6))
    target_rate: Parameter = param(12.0, "Hz", "firing rate f₀ that is aimed at", bounds=(0, 1e6))
    clip: Parameter = param(100.0, "1", "largest size of an element of the gradient", bounds=(1e-12, 1e12))
    reference_order: bool = option(False, "order of operations of the released code: early traces, RESET loops")
    online: bool = option(False, "a trace for every synapse, step by step")

    def check(self, network: AbstractNetwork, objective: AbstractObjective, batch: int) -> None:
        """A recurrent network or layers, and an error at every step."""
        if not isinstance(network, Recurrent | Feedforward):
            raise NoRecurrence(type(network).__name__)
        if not isinstance(objective, AbstractStepObjective):
            raise NoStepError(type(objective).__name__)
        if self.online and batch > 1:
            raise OneTrial(batch, "eprop-online shows", "set it to 1, or learning.rule=eprop")
        if isinstance(network, Recurrent):
            return
        if self.online or self.reference_order:
            raise NoTracePerSynapse("online" if self.online else "reference_order")
        alone = len(network.layers) == 2 and network.sources(1) == (0,) and network.layers[1].recurrent is None
        if isinstance(self.feedback, Adaptive) and not alone:
            raise NoOutputWeights()

    def init(self, view: View, optimizer: Optimizer, batch: tuple[int, ...], *, key: PRNGKeyArray) -> EpropState:
        """States of the optimiser and of the feedback, drawn with the third of three keys."""
        own, network, inner = jax.random.split(key, 3)[2], view.network, optimizer.init(view.weights())
        if isinstance(network, Recurrent):
            return EpropState(inner, self._drawn(*network.shapes[2], key=own))
        layers: Any = network.layers  # pyright: ignore[reportAttributeAccessIssue]
        counts = [math.prod(layer.map) for layer in layers]
        keys = jax.random.split(own, len(counts))
        pairs = zip(counts[:-1], keys, strict=False)
        return EpropState(inner, tuple(self._drawn(n, counts[-1], key=k) for n, k in pairs))

    def _drawn(self, neurons: int, outputs: int, *, key: PRNGKeyArray) -> Feedback:
        """Random feedback of a layer."""
        return self.feedback_gain * (2 / neurons) ** 0.5 * jax.random.normal(key, (neurons, outputs))

    def prepare(self, view: View, *, key: PRNGKeyArray) -> tuple[Cells, tuple[Ledger | None, ...]]:
        """In the reference order both sides of every self-connection are RESET."""
        if not self.reference_order or view.digital:
            return base.untouched(view)
        crossbar, cells = view.network.crossbars[1], view.cells
        own = jnp.eye(view.network.shapes[1][0])[None] > 0
        where = jnp.broadcast_to(own, (crossbar.cell.programmed(), *own.shape[1:]))
        after, ledger = crossbar.erase(cells[1], where, key=jax.random.split(key, 3)[0])
        return (cells[0], after, cells[2]), (None, ledger, None)

    def update(self, state: Any, view: View, batch: Batch, optimizer: Optimizer, *, key: PRNGKeyArray) -> Update:
        """One trial, or the mean of a batch of them."""
        if isinstance(view.network, Feedforward):
            return self._of_layers(state, view, batch, optimizer, key=key)
        weights = view.weights()
        feedback = self.feedback.weights(state.feedback, weights[2])
        batch = batch._replace(x=self._late(batch.x))
        if self.online:
            activity, slopes = self.online_gradient(view, view.readings(), batch, feedback, key=view.key(key))
        else:
            activity, within = ran(view, batch.x, key=view.key(key))
            slopes = self.gradient(view, activity, batch, feedback, within)
        change, inner = base.descent(optimizer, slopes, state.optimizer, weights)
        metrics = {
            "loss": view.objective.loss(activity.y, batch.target, batch.own).mean(),
            "gradient_norm": optax.tree.norm(slopes),
            "rate": self._rate(view, activity, batch).mean(),
        }
        return Update(EpropState(inner, self.feedback.after(state.feedback, change[2])), change, metrics)

    def _of_layers(self, state: Any, view: View, batch: Batch, optimizer: Optimizer, *, key: PRNGKeyArray) -> Update:
        """The same for a feed-forward network."""
        objective: Any = view.objective
        found = eprop_layers.ran(view, batch.x, key=view.key(key))
        output = found.activity.output
        rates, count = found.rates(view.clock.dt, batch.own), output[0].size // output.shape[-1]

        def signals(credit: Real) -> tuple[Real, ...]:
            own = list(self.feedback.signals(found, state.feedback, credit))
            for k, rate in rates.items():
                off = self.rate_weight * (rate - self.target_rate) / (count * found.network.layers[k].spike_voltage)
                inside = batch.inside(own[k])
                own[k] = own[k] + (off[None] if inside is None else off[None] * inside)
            return tuple(own)

        slopes = eprop_layers.gradient(found, objective.signal(output, batch.target, batch.own), signals)
        slopes = tuple(jnp.clip(g, -self.clip, self.clip) for g in slopes)
        change, inner = base.descent(optimizer, slopes, state.optimizer, view.weights())
        loss = objective.loss(output, batch.target, batch.own).mean()
        metrics = {"loss": loss, "gradient_norm": optax.tree.norm(slopes)}
        if rates:
            metrics["rate"] = jnp.stack([rate.mean() for rate in rates.values()]).mean()
        after = state.feedback
        if isinstance(self.feedback, Adaptive):  # of one hidden layer, whose rows are the first of the outputs
            after = tuple(self.feedback.after(b, change[-1][: len(b)]) for b in after)
        return Update(EpropState(inner, after), change, metrics)

    def run(self, state: Any, view: View, x: Any, *, key: PRNGKeyArray | None) -> Any:
        """The network on a trial."""
        return view.network.run(view.readings(), self._late(x), view.clock, key=key)

    def _late(self, x: Any) -> Any:
        """The inputs that drive the neurons."""
        return jnp.concatenate([jnp.zeros_like(x[:1]), x[:-1]]) if self.reference_order else x

    def _ahead(self, x: Real) -> Real:
        """The inputs that enter the traces, given those that drive the neurons."""
        return jnp.concatenate([x[1:], jnp.zeros_like(x[:1])]) if self.reference_order else x

    def _rate(self, view: View, activity: Activity, batch: Batch) -> Real:
        """Firing rates in Hz, over the steps of every trial's own."""
        if batch.own is None:
            return activity.rate(view.clock.dt)
        return mean_of(every_step(view.objective, len(activity.z), batch.own), activity.z) / view.clock.dt

    def _off_rate(self, view: View, activity: Activity, batch: Batch) -> Real:
        """The learning signal of rates away from the target."""
        return self.rate_weight * (self._rate(view, activity, batch) - self.target_rate)

    def _slopes(self, network: Any, first: Real, recurrent: Real, output: Real) -> Weights:
        """Without self-connections, no element larger than `clip`."""
        found = (first, recurrent * network.others(), output)
        return cast(Weights, tuple(jnp.clip(g, -self.clip, self.clip) for g in found))

    def gradient(
        self, view: View, activity: Activity, batch: Batch, feedback: Real, within: Within | None = None
    ) -> Weights:
        """Of all three matrices, in one product of matrices each, for what the network did; mean over the batch.

        The sum over time of L times the filtered trace is the same as a sum over z times the learning signal carried
        backwards through readout and neuron: no state per synapse. Equal to the online form to rounding. `within`
        carries it back inside neurons with analog spikes (`ran`).
        """
        network: Any = view.network
        objective: Any = view.objective
        error = objective.signal(activity.y, batch.target, batch.own)
        off, inside = self._off_rate(view, activity, batch)[None], batch.inside(activity.y)
        signal = error @ feedback.T + (off if inside is None else off * inside)
        kappa = jnp.exp(-view.clock.dt / network.tau_out)
        signal = lowpass(signal, kappa, reverse=True)
        credit = within(signal) if within else _within(network, activity.state, signal, view.clock.dt)
        z, x = activity.state.z, self._ahead(batch.x)
        before = jnp.concatenate([jnp.zeros_like(z[:1]), z[:-1]])
        count = credit.size // (credit.shape[0] * credit.shape[-1])
        output = _outer(z, lowpass(error, kappa, reverse=True)) / count
        return self._slopes(network, _outer(x, credit) / count, _outer(before, credit) / count, output)

    def online_gradient(
        self, view: View, readings: Readings, batch: Batch, feedback: Real, *, key: PRNGKeyArray | None = None
    ) -> tuple[Activity, Weights]:
        """One trial, and its gradient step by step: the same numbers to rounding."""
        objective: Any = view.objective
        online = OnlineEprop(cast(Recurrent, view.network), objective, view.clock.dt)
        wanted = objective.stepwise(batch.target, view.clock.steps, batch.own)
        shown = Shown(batch.x, self._ahead(batch.x), wanted, batch.inside(batch.x[:, 0]))
        activity, total = online.run(readings, feedback, shown, view.clock, key=key)
        off = self._off_rate(view, activity, batch)
        found = [total.gradient[k] + total.per_hertz[k] * off[None] for k in (0, 1)]
        return activity, self._slopes(view.network, found[0], found[1], total.gradient[2])


@RULES.register("eprop-online", "e-prop with a trace for every synapse, step by step", SOURCE)
def eprop_online() -> Eprop:
    """`Eprop` with `online`."""
    return Eprop(online=True)


def ran(view: View, x: Real, *, key: PRNGKeyArray | None = None) -> tuple[Activity, Within]:
    """A trial, and what carries signals at what neurons send back to what drives them, inside every neuron.

    For analog spikes that is the derivative of the neuron's own steps, whatever its devices, with all that arrives from
    other neurons held fixed.
    """
    network: Any = view.network
    readings, dt = view.readings(), view.clock.dt
    if not isinstance(network.neuron, Analog):
        activity = network.run(readings, x, view.clock, key=key)
        return activity, lambda signal: _within(network, activity.state, signal, dt)

    def sent(injected: Real) -> tuple[Real, Activity]:
        activity = network.run(readings, x, view.clock, fixed=True, injected=injected, key=key)
        return activity.state.z, activity

    none = jnp.zeros((*x.shape[:-1], network.sizes[1]), x.dtype)
    _, back, activity = jax.vjp(sent, none, has_aux=True)
    return activity, lambda signal: back(signal)[0]


def _within(network: Any, states: SpikingState, signal: Real, dt: float) -> Real:
    """dE/d(drive): signals at spikes carried backwards inside every neuron, from the last step to the first."""
    if spiking_course.fits(network.neuron, signal):
        return spiking_course.credit(network.neuron, states, signal, dt)
    start = network.neuron.init(states.v.shape[1:])
    before = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b[:-1]]), start, states)
    gates = jax.vmap(lambda s: network.neuron.gates(s, dt))(before)

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
    a, b = a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])
    return spiking_course.products(a, b) if spiking_course.usable(a) else a.T @ b
