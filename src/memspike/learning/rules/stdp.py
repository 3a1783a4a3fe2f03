"""Spike-timing-dependent plasticity: pairs and triplets of spikes, with hard or soft bounds of the weights."""

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.devices.part import AbstractPart
from memspike.learning.objectives import AbstractObjective
from memspike.learning.rules import base
from memspike.learning.rules.base import AbstractRule, Batch, Optimizer, Update, View
from memspike.networks.base import AbstractNetwork
from memspike.networks.populations import Competitive, Episode
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, is_concrete, option, param, part
from memspike.parts.refusals import NoWinners, OneTrial, ReadOnce
from memspike.parts.registry import RULES

Real = Float[Array, "..."]
SOURCE = (
    "Pfister & Gerstner, J. Neurosci. 26: 9673 (2006), doi 10.1523/JNEUROSCI.1425-06.2006 (triplets, of which pairs "
    "are a case); Gütig et al., J. Neurosci. 23: 3697 (2003), doi 10.1523/JNEUROSCI.23-09-03697.2003 (bounds)"
)
# share of its votes that a neuron keeps in a presentation: some 50 count
MEMORY = 0.98


class Trains(NamedTuple):
    """Spikes, 0 or 1, of the rows and of the columns of one matrix, step by step."""

    pre: Float[Array, "steps rows"]
    post: Float[Array, "steps columns"]


class AbstractDependence(AbstractPart):
    """How the size of a change depends on the weight."""

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


class Timing(AbstractPart):
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

    def before(self, spikes: Real, start: Real, tau: Parameter, dt: Parameter) -> tuple[Real, Real]:
        """Of one trace the value after the last step, and those before the spikes of every step; `tau` and `dt` in
        s.
        """
        decay = jnp.exp(-jnp.asarray(dt) / tau)

        def step(trace: Real, z: Real) -> tuple[Real, Real]:
            trace = decay * trace
            return jnp.where(z > 0, z if self.nearest else trace + z, trace), trace

        return jax.lax.scan(step, start, spikes)

    def changes(self, trains: Trains, traces: "Traces", dt: Parameter) -> tuple["Traces", Real, Real]:
        """Traces after the trains, and potentiation and depression [rows, columns], both ≥ 0: two products of matrices.

        A weight is taken to be constant in the meantime, so that the sum over pairs is Σ_t of outer products.

        `dt` is in s.
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


class STDP(AbstractPart):
    """Everything that spike-timing-dependent plasticity needs: timing, weight dependence, bounds, and the time step.

    InputError where `low` is not below `high`.
    """

    timing: Timing = part(Timing, "constants of pairs and triplets")
    dependence: AbstractDependence = part(Additive, "how a change depends on the weight")
    low: Parameter = param(0.0, "1", "lowest weight", bounds=(-1e6, 1e6))
    high: Parameter = param(1.0, "1", "highest weight", bounds=(-1e6, 1e6))
    dt: Parameter = param(1e-3, "s", "time step of the trains", bounds=(1e-12, 1e3))

    def __check_init__(self) -> None:
        if is_concrete(self.low) and is_concrete(self.high) and not float(self.low) < float(self.high):
            raise InputError(
                f"The bounds of STDP are {float(self.low):g} and {float(self.high):g}; low must be below high."
            )

    def init(self, w: Real) -> Traces:
        """The traces of a matrix [rows, columns] after a long silence."""
        rows, columns = (jnp.zeros(n, w.dtype) for n in w.shape)
        return Traces(rows, rows, columns, columns)

    def change(self, w: Real, trains: Trains, traces: Traces) -> tuple[Traces, Real]:
        """Traces after the trains, and the wanted Δw [rows, columns], which never leads beyond a bound.

        A train may be cut anywhere; the weight counts as it is at the start.
        """
        traces, up, down = self.timing.changes(trains, traces, self.dt)
        share = jnp.clip((w - self.low) / (self.high - self.low), 0.0, 1.0)
        more, less = self.dependence.factors(share)
        return traces, jnp.clip(w + more * up - less * down, self.low, self.high) - w


class Learned(NamedTuple):
    """What a chip carries besides its devices: adaptation of the neurons, and which classes made each win lately.

    The votes only name the neurons after training; nothing in learning sees them.
    """

    adaptation: Float[Array, " neurons"]
    votes: Float[Array, "neurons classes"]

    def names(self) -> Array:
        """The class of every neuron, −1 for one that never won."""
        return jnp.where(self.votes.max(-1) > 0, self.votes.argmax(-1), -1)

    def named(self, winner: Array) -> Array:
        """The classes of neurons by their numbers; −1 for −1."""
        return jnp.where(winner >= 0, self.names()[jnp.maximum(winner, 0)], -1)


def check_alone(network: AbstractNetwork, batch: int, what: str, *others: type) -> None:
    """InputError unless a winner-take-all layer, or one of the `others`, is shown one thing at a time."""
    if not isinstance(network, (Competitive, *others)):
        raise NoWinners(what, type(network).__name__)
    if batch > 1:
        raise OneTrial(batch, "plasticity learns from", "set it to 1")


def begin(self: AbstractRule, view: View, optimizer: Optimizer, batch: tuple[int, ...], *, key: PRNGKeyArray) -> Any:
    """No adaptation, no votes; nothing in a network without winners. InputError for several reads in a trial."""
    if len(view.clock.parts) > 1:
        raise ReadOnce(len(view.clock.parts))
    if not isinstance(view.network, Competitive):
        return ()
    neurons = view.network.shape[1]
    return Learned(jnp.zeros(neurons), jnp.zeros((neurons, view.network.classes)))


@staticmethod
def named(state: Any, predicted: Array) -> Array:
    """The classes by which the winners are named."""
    return state.named(predicted)


def watched(state: Learned, view: View, x: Real, key: PRNGKeyArray | None) -> Episode:
    """What the layer makes of a presentation [steps, rows], or of several [steps, batch, rows], each by itself."""
    network: Any = view.network
    readings, dt = view.readings(), view.clock.dt

    def one(x: Real, key: PRNGKeyArray | None) -> Episode:
        return network.present(readings, x, state.adaptation, dt, key=key)

    if x.ndim == 2:
        return one(x, key)
    keys = None if key is None else jax.random.split(key, x.shape[1])
    return jax.vmap(one, (1, None if keys is None else 0), Episode(1, 0, 1))(x, keys)  # pyright: ignore[reportArgumentType]


def late(z: Real, delay: float, dt: float) -> Real:
    """Spikes as they arrive back at the synapses, `delay` seconds later."""
    late = round(delay / dt)
    return jnp.concatenate([jnp.zeros_like(z[:late]), z[: z.shape[0] - late]])


def voted(state: Learned, view: View, seen: Episode, trains: Trains, target: Real) -> tuple[Learned, dict[str, Array]]:
    """Votes and adaptation after a presentation of a class (`target`: a 1 at its place, or probabilities).

    `loss` is the mean square of the winner's weights less what rows did before its spike came back: 1 for those that
    spiked, 0 for the others. Without a winner it is 1.
    """
    fired, (w,) = seen.z.sum(0), view.weights()
    votes = MEMORY * state.votes + fired[:, None] * target[None]
    before = jnp.cumsum(trains.post.sum(-1)) == 0
    shown = jnp.where(before[:, None], trains.pre, 0.0).max(0)
    off = jnp.square(w - shown[:, None]).mean(0)
    loss = jnp.where(fired.sum() > 0, (off * fired).sum() / fired.sum(), 1.0)
    return Learned(seen.adaptation, votes), {"loss": loss, "spikes": fired.sum()}


@RULES.register(
    "stdp", "spike-timing-dependent plasticity by pairs or triplets of spikes, additive or soft-bound", SOURCE
)
class STDPRule(AbstractRule):
    """`STDP` between row spikes and the column spikes that come back `delay` seconds later; weights in [0, 1]."""

    source: ClassVar[str] = SOURCE
    keys, prepare, init, classes = base.two_keys, base.untouched, begin, named  # pyright: ignore

    timing: Timing = part(Timing, "constants of pairs and triplets")
    dependence: AbstractDependence = part(Additive, "how a change depends on the weight")
    delay: float = option(5e-3, "from a spike of a neuron to its arrival at the synapses", unit="s", bounds=(0, 1e6))

    def check(self, network: AbstractNetwork, objective: AbstractObjective, batch: int) -> None:
        """A winner-take-all layer that is shown one thing at a time."""
        check_alone(network, batch, "STDP")

    def update(self, state: Any, view: View, batch: Batch, optimizer: Optimizer, *, key: PRNGKeyArray) -> Update:
        """A presentation; traces start after a long silence. The target goes into the votes alone."""
        seen, (w,), dt = watched(state, view, batch.x, key), view.weights(), view.clock.dt
        trains = Trains(batch.x, late(seen.z, self.delay, dt))
        law = STDP(self.timing, self.dependence, dt=dt)
        _, change = law.change(w, trains, law.init(w))
        state, metrics = voted(state, view, seen, trains, batch.target)
        return Update(state, (change,), metrics)

    def run(self, state: Any, view: View, x: Any, *, key: PRNGKeyArray | None) -> Episode:
        """Presentations without learning; with a key, with the noise of reads and neurons."""
        return watched(state, view, x, key)
