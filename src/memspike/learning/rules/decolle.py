"""DECOLLE: every layer has its own error from a fixed random readout; three local factors, no unrolling of time."""

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.devices.part import AbstractPart
from memspike.learning.objectives import AbstractObjective, along, smooth_l1
from memspike.learning.rules import base
from memspike.learning.rules.base import AbstractRule, Batch, Optimizer, Outer, Update, View, dense
from memspike.networks.base import AbstractNetwork
from memspike.networks.local import Local, LocalLayer, LocalNetwork, Traces
from memspike.parts.param import Parameter, option, param, part
from memspike.parts.refusals import NoReadouts
from memspike.parts.registry import RULES

Real = Float[Array, "..."]
SOURCE = "Kaiser, Mostafa & Neftci, Front. Neurosci. 14: 424 (2020), doi 10.3389/fnins.2020.00424"


class Factors(NamedTuple):
    """The three factors of a layer at every step: error at its neurons, slope of their spikes, trace of its inputs."""

    error: Float[Array, "steps *batch neurons"]
    slope: Float[Array, "steps *batch neurons"]
    trace: Float[Array, "steps *batch inputs"]


def wanted(batch: Batch, local: Local) -> Float[Array, "... outputs"]:
    """What readouts should be: numbers of every step [steps, *batch, outputs], or the same at all steps."""
    return batch.target if batch.target.ndim == local.y.ndim else batch.target[None]


class AbstractTrigger(AbstractPart):
    """What becomes of the three factors before they are multiplied."""

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


class DecolleState(NamedTuple):
    """State of the optimiser, and of all layers between segments."""

    optimizer: Any
    traces: tuple[Traces, ...]


@RULES.register("decolle", "DECOLLE: local errors of fixed random readouts times traces, layer by layer", SOURCE)
class Decolle(AbstractRule):
    """The local losses of a network: smooth-L1 of every layer's readout against the target, and a regulariser.

    L = Σ_layers mean_classes huber(Y − target), summed over the steps that count, mean over the batch;
    e_i = Σ_k G_ik·∂L/∂Y_k and ∂L/∂W_ji = e_i·ψ(U_i)·P_j. The regulariser of a layer is
    λ·mean ReLU(U + 0.01) + 0.003·λ·ReLU(0.1 − mean σ(U)), both over neurons. An update may follow a step or a whole
    trial. The change of a convolution is the sum over its positions. With `outer` a wanted change stays a sum of outer
    products, a term a step, example and position, which a scheme such as bit-lines multiplies in the array; the
    optimiser then scales the columns alone, which only sgd does.
    """

    source: ClassVar[str] = SOURCE
    segments: ClassVar[bool] = True
    keys, prepare, classes = base.two_keys, base.untouched, base.as_predicted  # pyright: ignore

    regulariser: Parameter = param(0.0, "1", "λ: price of high membranes and of silence", bounds=(0, 1e6))
    trigger: AbstractTrigger = part(Always, "what becomes of error, slope and trace before they are multiplied")
    outer: bool = option(False, "outer products that are not summed up outside the array")

    def check(self, network: AbstractNetwork, objective: AbstractObjective, batch: int) -> None:
        """Layers with a readout each."""
        if not isinstance(network, LocalNetwork):
            raise NoReadouts(type(network).__name__)

    def init(self, view: View, optimizer: Optimizer, batch: tuple[int, ...], *, key: PRNGKeyArray) -> DecolleState:
        """States of the optimiser and of all layers at rest."""
        network: Any = view.network
        return DecolleState(optimizer.init(view.weights()), network.init(batch))

    def factors(self, layer: LocalLayer, local: Local, batch: Batch) -> Factors:
        """The three factors of a layer."""
        wrong = jnp.clip(local.y - wanted(batch, local), -1.0, 1.0) / local.y.shape[-1]
        error = wrong @ layer.readout.T * along(batch.counts, local.u)
        return self.trigger(Factors(error, layer.neuron.surrogate(local.u), local.p), local.u)

    def _price(self, u: Real, counts: Real) -> Real:
        """Derivative of the regulariser with respect to every membrane."""
        n = u.shape[-1]
        high = (u > -0.01).astype(u.dtype) / n
        active = jax.nn.sigmoid(u)
        silent = (active.mean(-1, keepdims=True) < 0.1).astype(u.dtype)
        return self.regulariser * counts * (high - 0.003 * silent * active * (1 - active) / n)

    def product(self, layer: LocalLayer, local: Local, batch: Batch) -> Outer:
        """∂L/∂W of a layer, the activity of the layers before held fixed: a term a step, example and position."""
        error, slope, trace = self.factors(layer, local, batch)
        price = self._price(local.u, along(batch.counts, local.u))
        at_neuron = (error * slope + price) / local.u[0, ..., 0].size
        rows = layer.connection.averages(trace, layer.image)
        return Outer(rows.reshape(-1, rows.shape[-1]), at_neuron.reshape(-1, layer.shape[1]))

    def loss(self, local: Local, batch: Batch) -> Real:
        """Smooth-L1 of one layer, mean of the steps that count and of the batch."""
        huber = smooth_l1(local.y - wanted(batch, local))
        counts = jnp.broadcast_to(along(batch.counts, huber), huber.shape)
        return (huber * counts).sum() / jnp.maximum(counts.sum(), 1.0)

    def update(self, state: Any, view: View, batch: Batch, optimizer: Optimizer, *, key: PRNGKeyArray) -> Update:
        """A segment: some steps of a trial, or all of them."""
        network: Any = view.network
        rest = network.init(batch.x.shape[1:-1])
        begin = jax.tree.map(lambda a, b: jnp.where(batch.fresh, a, b), rest, state.traces)
        traces, done = network.advance(view.readings(), batch.x, begin, view.clock.dt, key=view.key(key))
        batch = batch._replace(counts=batch.counts.astype(batch.x.dtype))
        slope: Any = tuple(self.product(*pair, batch) for pair in zip(network.layers, done, strict=True))
        if self.outer:
            columns, inner = base.descent(optimizer, tuple(one.columns for one in slope), state.optimizer)
            change = tuple(Outer(one.rows, c) for one, c in zip(slope, columns, strict=True))
        else:
            slope = tuple(dense(one) for one in slope)
            change, inner = base.descent(optimizer, slope, state.optimizer, view.weights())
        metrics = {
            "loss": self.loss(done[-1], batch),
            "gradient_norm": optax.tree.norm(slope),
            "rate": jnp.stack([local.s.mean() for local in done]).mean() / view.clock.dt,
        }
        return Update(DecolleState(inner, traces), change, metrics)

    def run(self, state: Any, view: View, x: Any, *, key: PRNGKeyArray | None) -> Any:
        """The network on a trial."""
        return view.network.run(view.readings(), x, view.clock, key=key)


@RULES.register("decolle-outer", "the same by plain gradient descent, as outer products that arrays multiply", SOURCE)
def decolle_outer() -> Decolle:
    """`Decolle` with `outer`."""
    return Decolle(outer=True)
