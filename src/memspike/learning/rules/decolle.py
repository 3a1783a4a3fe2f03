"""DECOLLE: every layer has its own error from a fixed random readout; three local factors, no unrolling of time."""

from abc import abstractmethod
from typing import Any, NamedTuple, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from memspike.learning.outer import Outer, dense
from memspike.learning.rules.base import Rule
from memspike.networks.base import Weights
from memspike.networks.local import Local, LocalNetwork, Traces
from memspike.networks.recurrent import Reading
from memspike.parts.param import Parameter, check_bounds, param

Real = Float[Array, "..."]
SOURCE = "Kaiser, Mostafa & Neftci, Front. Neurosci. 14: 424 (2020), doi 10.3389/fnins.2020.00424"


class Segment(NamedTuple):
    """Some steps of a trial: inputs, one-hot target [*batch, classes], and which of the steps count.

    `fresh` puts the layers to rest first. `readings` are what reads of the crossbars see; without them the rule's
    weights are taken as exact.
    """

    x: Float[Array, "steps *batch inputs"]
    target: Float[Array, "*batch classes"]
    counts: Float[Array, " steps"]
    fresh: Bool[Array, ""]
    readings: tuple[Reading, ...] | None = None


class Factors(NamedTuple):
    """The three factors of a layer at every step: error at its neurons, slope of their spikes, trace of its rows."""

    error: Float[Array, "steps *batch columns"]
    slope: Float[Array, "steps *batch columns"]
    trace: Float[Array, "steps *batch rows"]


class AbstractTrigger(eqx.Module):
    """What becomes of the three factors before they are multiplied."""

    def __check_init__(self) -> None:
        check_bounds(self)

    @abstractmethod
    def __call__(self, factors: Factors, u: Real) -> Factors:
        """The factors that a synapse sees; `u` are the membranes."""


class Always(AbstractTrigger):
    """The factors as they are."""

    def __call__(self, factors: Factors, u: Real) -> Factors:
        """Unchanged."""
        return factors


class ErrorTriggered(AbstractTrigger):
    """Whole multiples of θ of the error, where the membrane is in a window, on rows whose trace is above a cutoff.

    E = sign(e)·⌊|e|/θ⌋·θ; the slope becomes 1 for low < U < high, the trace 1 where P > cutoff. Updates become rare.
    Source: Payvand, Fouda, Kurdahi, Eltawil & Neftci, arXiv 1910.06152.
    """

    theta: Parameter = param(0.01, "1", "θ: error that is one event", bounds=(1e-12, 1e6))
    low: Parameter = param(-0.5, "1", "lower end of the window of the membrane", bounds=(-1e6, 1e6))
    high: Parameter = param(0.5, "1", "upper end of the window of the membrane", bounds=(-1e6, 1e6))
    cutoff: Parameter = param(0.0, "1", "trace above which a row takes part", bounds=(0, 1e6))

    def __call__(self, factors: Factors, u: Real) -> Factors:
        """Events."""
        error = jnp.sign(factors.error) * jnp.floor(jnp.abs(factors.error) / self.theta) * self.theta
        inside = ((u > self.low) & (u < self.high)).astype(u.dtype)
        return Factors(error, inside, (factors.trace > self.cutoff).astype(u.dtype))


class Decolle(eqx.Module):
    """The local losses of a network: smooth-L1 of every layer's readout against the target, and a regulariser.

    L = Σ_layers mean_classes huber(Y − target), summed over the steps that count, mean over the batch;
    e_i = Σ_k G_ik·∂L/∂Y_k and ∂L/∂W_ji = e_i·ψ(U_i)·P_j. The regulariser of a layer is
    λ·mean ReLU(U + 0.01) + 0.003·λ·ReLU(0.1 − mean σ(U)), both over neurons.
    """

    network: LocalNetwork
    dt: float = eqx.field(static=True, default=1e-3)
    regulariser: Parameter = param(0.0, "1", "λ: price of high membranes and of silence", bounds=(0, 1e6))
    trigger: AbstractTrigger = eqx.field(default_factory=Always)

    def __check_init__(self) -> None:
        check_bounds(self)

    def run(
        self, weights: Weights, segment: Segment, start: tuple[Traces, ...], *, key: PRNGKeyArray | None = None
    ) -> tuple[tuple[Traces, ...], tuple[Local, ...]]:
        """The network on a segment."""
        rest = self.network.init(segment.x.shape[1:-1])
        begin = jax.tree.map(lambda a, b: jnp.where(segment.fresh, a, b), rest, start)
        readings = self.network.ideal(weights) if segment.readings is None else segment.readings
        return self.network.advance(readings, segment.x, begin, self.dt, key=key)

    def factors(self, local: Local, layer: int, segment: Segment) -> Factors:
        """The three factors of a layer."""
        own = self.network.layers[layer]
        counts = segment.counts.reshape(-1, *[1] * (local.u.ndim - 1))
        wrong = jnp.clip(local.y - segment.target[None], -1.0, 1.0) / local.y.shape[-1]
        error = wrong @ own.readout.T * counts
        return self.trigger(Factors(error, own.neuron.surrogate(local.u), local.p), local.u)

    def _price(self, u: Real, counts: Real) -> Real:
        """Derivative of the regulariser with respect to every membrane."""
        n = u.shape[-1]
        high = (u > -0.01).astype(u.dtype) / n
        active = jax.nn.sigmoid(u)
        silent = (active.mean(-1, keepdims=True) < 0.1).astype(u.dtype)
        return self.regulariser * counts * (high - 0.003 * silent * active * (1 - active) / n)

    def products(self, locals_: tuple[Local, ...], segment: Segment) -> tuple[Outer, ...]:
        """∂L/∂W of every layer, the activity of the layers before held fixed: a term a step and example."""
        found = []
        for k, local in enumerate(locals_):
            error, slope, trace = self.factors(local, k, segment)
            counts = segment.counts.reshape(-1, *[1] * (local.u.ndim - 1))
            at_neuron = (error * slope + self._price(local.u, counts)) / local.u[0, ..., 0].size
            found.append(Outer(trace.reshape(-1, trace.shape[-1]), at_neuron.reshape(-1, at_neuron.shape[-1])))
        return tuple(found)

    def gradient(self, locals_: tuple[Local, ...], segment: Segment) -> Weights:
        """The same as matrices [rows, columns]."""
        return tuple(dense(product) for product in self.products(locals_, segment))

    def loss(self, local: Local, segment: Segment) -> Real:
        """Smooth-L1 of one layer, mean of the steps that count and of the batch."""
        off = jnp.abs(local.y - segment.target[None])
        huber = jnp.where(off < 1, 0.5 * off * off, off - 0.5).mean(-1)
        counts = segment.counts.reshape(-1, *[1] * (huber.ndim - 1))
        return (huber * counts).sum() / jnp.maximum(counts.sum() * huber[0].size, 1.0)


class DecolleState(NamedTuple):
    """State of the optimiser, and of all layers between segments."""

    optimizer: Any
    traces: tuple[Traces, ...]


def decolle(problem: Decolle, optimizer: optax.GradientTransformation, batch: tuple[int, ...] = ()) -> Rule:
    """Rule of a `Decolle` problem whose batches are `Segment`s: an update a segment, be it a step or a whole trial."""

    def wanted(done: tuple[Local, ...], batch: Segment, state: Any, weights: Weights) -> tuple[Any, Any, Any]:
        slope = problem.gradient(done, batch)
        change, inner = optimizer.update(slope, state, weights)
        return slope, change, inner

    return _rule(problem, optimizer, batch, wanted)


def decolle_outer(problem: Decolle, optimizer: optax.GradientTransformation, batch: tuple[int, ...] = ()) -> Rule:
    """As `decolle`, but a wanted change is an `Outer` [steps·examples terms]: nothing is summed up outside the array.

    `optimizer` has to be linear and without memory of gradients, as `optax.sgd` with any schedule: it scales the
    columns alone.
    """

    def wanted(done: tuple[Local, ...], batch: Segment, state: Any, weights: Weights) -> tuple[Any, Any, Any]:
        slope = problem.products(done, batch)
        columns, inner = optimizer.update(tuple(product.columns for product in slope), state)
        return slope, tuple(Outer(p.rows, c) for p, c in zip(slope, cast(Weights, columns), strict=True)), inner

    return _rule(problem, optimizer, batch, wanted)


def _rule(problem: Decolle, optimizer: optax.GradientTransformation, batch: tuple[int, ...], wanted: Any) -> Rule:
    def init(weights: Weights) -> DecolleState:
        return DecolleState(optimizer.init(weights), problem.network.init(batch))

    def update(
        state: DecolleState, weights: Weights, batch: Segment, *, key: PRNGKeyArray | None
    ) -> tuple[DecolleState, Any, dict]:
        traces, done = problem.run(weights, batch, state.traces, key=key)
        with jax.numpy_dtype_promotion("standard"):  # optimisers mix step counts and floats
            slope, change, inner = wanted(done, batch, state.optimizer, weights)
        return DecolleState(inner, traces), change, _metrics(problem, done, batch, slope)

    return Rule(init, update)


def _metrics(problem: Decolle, done: tuple[Local, ...], batch: Segment, slope: Any) -> dict[str, Real]:
    return {
        "loss": problem.loss(done[-1], batch),
        "gradient_norm": optax.tree.norm(slope),
        "rate": jnp.stack([local.s.mean() for local in done]).mean() / problem.dt,
    }
