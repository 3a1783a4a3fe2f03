"""Plasticity without a teacher as rules of a learner: by spike times, or by the waveforms of neurons."""

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.ledger import Ledger
from memspike.learning.objectives import AbstractObjective
from memspike.learning.rules import stdp, waveform_stdp
from memspike.learning.rules.base import AbstractRule, Batch, View, two_keys, untouched
from memspike.learning.rules.stdp import STDP, AbstractDependence, Additive, Timing, Trains
from memspike.learning.rules.waveform_stdp import Waveforms, WaveformSTDP
from memspike.networks.associative import Associative
from memspike.networks.base import AbstractNetwork, Cells
from memspike.networks.competitive import Competitive, Episode
from memspike.neurons.driver import Driver
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, option, param, part
from memspike.parts.registry import RULES

Real = Float[Array, "..."]
# share of its votes that a neuron keeps in a presentation: some 50 count
MEMORY = 0.98


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


def _competitive(network: AbstractNetwork, what: str) -> None:
    if not isinstance(network, Competitive):
        raise InputError(
            f"{what} needs a winner-take-all layer of adapting neurons, which {type(network).__name__} is not: set "
            "network=competitive and neuron=alif, or another learning.rule."
        )


def _alone(batch: int) -> None:
    if batch > 1:
        raise InputError(f"training.batch is {batch}; plasticity learns from one presentation at a time: set it to 1.")


def _read_once(view: View) -> None:
    if len(view.clock.parts) > 1:
        raise InputError(
            f"simulation.parts is {len(view.clock.parts)}; plasticity reads conductances once a presentation: "
            "set it to 1."
        )


def _new(view: View) -> Learned:
    """No adaptation, no votes."""
    _read_once(view)
    network: Any = view.network
    return Learned(jnp.zeros(network.shape[1]), jnp.zeros((network.shape[1], network.classes)))


def _watched(state: Learned, view: View, x: Real, key: PRNGKeyArray | None) -> Episode:
    """What the layer makes of a presentation [steps, rows], or of several [steps, batch, rows], each by itself."""
    network: Any = view.network
    readings, dt = view.readings(), view.clock.dt

    def one(x: Real, key: PRNGKeyArray | None) -> Episode:
        return network.present(readings, x, state.adaptation, dt, key=key)

    if x.ndim == 2:
        return one(x, key)
    keys = None if key is None else jax.random.split(key, x.shape[1])
    return jax.vmap(one, (1, None if keys is None else 0), Episode(1, 0))(x, keys)  # pyright: ignore[reportArgumentType]


def _late(z: Real, delay: float, dt: float) -> Real:
    """Spikes as they arrive back at the synapses, `delay` seconds later."""
    late = round(delay / dt)
    return jnp.concatenate([jnp.zeros_like(z[:late]), z[: z.shape[0] - late]])


def _voted(state: Learned, view: View, seen: Episode, trains: Trains, target: Real) -> tuple[Learned, dict[str, Array]]:
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
    "stdp", "spike-timing-dependent plasticity by pairs or triplets of spikes, additive or soft-bound", stdp.SOURCE
)
class STDPRule(AbstractRule):
    """`STDP` between row spikes and the column spikes that come back `delay` seconds later; weights in [0, 1]."""

    source: ClassVar[str] = stdp.SOURCE
    spread_batch: ClassVar[bool] = False
    segments: ClassVar[bool] = False
    finite: ClassVar[bool] = False
    sees_devices: ClassVar[bool] = True

    timing: Timing = part(Timing, "constants of pairs and triplets")
    dependence: AbstractDependence = part(Additive, "how a change depends on the weight")
    delay: float = option(5e-3, "from a spike of a neuron to its arrival at the synapses", unit="s", bounds=(0, 1e6))

    def check(self, network: AbstractNetwork, objective: AbstractObjective, batch: int) -> None:
        """A winner-take-all layer that is shown one thing at a time."""
        _competitive(network, "STDP")
        _alone(batch)

    def keys(self, key: PRNGKeyArray) -> tuple[PRNGKeyArray, PRNGKeyArray]:
        """Of the presentation and of the scheme."""
        return two_keys(key)

    def init(
        self, view: View, optimizer: optax.GradientTransformation, batch: tuple[int, ...], *, key: PRNGKeyArray
    ) -> Learned:
        """No adaptation, no votes."""
        return _new(view)

    def prepare(self, view: View, *, key: PRNGKeyArray) -> tuple[Cells, tuple[Ledger | None, ...]]:
        """Nothing."""
        return untouched(view)

    def update(
        self, state: Any, view: View, batch: Batch, optimizer: optax.GradientTransformation, *, key: PRNGKeyArray
    ) -> tuple[Any, tuple[Any, ...], dict[str, Array]]:
        """A presentation; traces start after a long silence. The target goes into the votes alone."""
        seen, weights, dt = _watched(state, view, batch.x, key), view.weights(), view.clock.dt
        trains = Trains(batch.x, _late(seen.z, self.delay, dt))
        law = stdp.stdp(STDP(self.timing, self.dependence, dt=dt))
        _, change, _ = law.update(law.init(weights), weights, (trains,), key=None)
        state, metrics = _voted(state, view, seen, trains, batch.target)
        return state, change, metrics

    def run(self, state: Any, view: View, x: Any, *, key: PRNGKeyArray | None) -> Episode:
        """Presentations without learning; with a key, with the noise of reads and neurons."""
        return _watched(state, view, x, key)

    def classes(self, state: Any, predicted: Array) -> Array:
        """The classes by which the winners are named."""
        return state.named(predicted)


@RULES.register(
    "stdp-waveform",
    "the voltage between the waveforms of two neurons moves the device between them",
    waveform_stdp.SOURCE,
)
class WaveformRule(AbstractRule):
    """`WaveformSTDP` by the devices of the network's own crossbar; the scheme `ideal` lets them move by themselves.

    On a winner-take-all layer row spikes meet the column spikes that come back `delay` seconds later; in an associative
    network every neuron meets every other, with no current in the columns. A spike injects a current with the `peak`
    into the neuron of its line.
    """

    source: ClassVar[str] = waveform_stdp.SOURCE
    spread_batch: ClassVar[bool] = False
    segments: ClassVar[bool] = False
    finite: ClassVar[bool] = False
    sees_devices: ClassVar[bool] = True

    gain: Parameter = param(1.0, "1", "voltage across a synapse over v_pre − v_post", bounds=(-1e4, 1e4))
    peak: Parameter = param(5e-6, "A", "peak of the current of one spike", bounds=(0, 1))
    delay: float = option(1e-3, "from a spike of a neuron to its arrival at the synapses", unit="s", bounds=(0, 1e6))

    def check(self, network: AbstractNetwork, objective: AbstractObjective, batch: int) -> None:
        """A winner-take-all layer or an associative network, on memories whose law can be followed."""
        if not isinstance(network, Associative):
            _competitive(network, "Plasticity by waveforms")
        _alone(batch)
        WaveformSTDP(network.crossbars[0].cell)

    def keys(self, key: PRNGKeyArray) -> tuple[PRNGKeyArray, PRNGKeyArray]:
        """Of the presentation and of the scheme."""
        return two_keys(key)

    def init(
        self, view: View, optimizer: optax.GradientTransformation, batch: tuple[int, ...], *, key: PRNGKeyArray
    ) -> Any:
        """No adaptation, no votes; nothing in an associative network."""
        if not isinstance(view.network, Associative):
            return _new(view)
        _read_once(view)
        return ()

    def prepare(self, view: View, *, key: PRNGKeyArray) -> tuple[Cells, tuple[Ledger | None, ...]]:
        """Nothing."""
        return untouched(view)

    def driver(self, view: View) -> Driver:
        """What makes the neurons of an associative network spike, or those at the lines of a winner-take-all layer."""
        network = view.network
        return Driver(network.neuron, peak=self.peak) if isinstance(network, Associative) else Driver(peak=self.peak)

    def update(
        self, state: Any, view: View, batch: Batch, optimizer: optax.GradientTransformation, *, key: PRNGKeyArray
    ) -> tuple[Any, tuple[Any, ...], dict[str, Array]]:
        """A presentation of spikes [steps, rows]. Only the metrics see the target: the class, or the stored pattern."""
        dt, driver = view.clock.dt, self.driver(view)
        if isinstance(view.network, Associative):
            v = driver(batch.x, dt)
            change = self._change(view, Waveforms(v, v))
            return state, change, {"loss": _contrast(view.weights()[0], batch.target)}
        seen = _watched(state, view, batch.x, key)
        trains = Trains(batch.x, _late(seen.z, self.delay, dt))
        change = self._change(view, Waveforms(driver(trains.pre, dt), driver(trains.post, dt)))
        state, metrics = _voted(state, view, seen, trains, batch.target)
        return state, change, metrics

    def _change(self, view: View, waves: Waveforms) -> tuple[Array, ...]:
        """What the devices do by themselves."""
        law = WaveformSTDP(view.network.crossbars[0].cell, gain=self.gain, dt=view.clock.dt)
        return (law.change(view.weights()[0], waves),)

    def run(self, state: Any, view: View, x: Any, *, key: PRNGKeyArray | None) -> Any:
        """Trials without learning: presentations, or spikes that drive an associative network."""
        if isinstance(view.network, Associative):
            current = self.driver(view).current(x, view.clock.dt)
            return view.network.run(view.readings(), current, view.clock, key=key)
        return _watched(state, view, x, key)

    def classes(self, state: Any, predicted: Array) -> Array:
        """The classes by which the winners are named."""
        return state.named(predicted)


def _contrast(w: Float[Array, "n n"], pattern: Float[Array, " n"]) -> Real:
    """1 less the mean weight inside a pattern above that outside of it."""
    others = 1 - jnp.eye(w.shape[0])
    inside = pattern[:, None] * pattern[None] * others
    outside = others - inside
    return 1 - (w * inside).sum() / inside.sum() + (w * outside).sum() / outside.sum()
