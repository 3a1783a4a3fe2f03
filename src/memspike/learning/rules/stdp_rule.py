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


class Presented(NamedTuple):
    """The target of a presentation: its class, of how many, and which rows are bright [rows], for the metrics."""

    label: Array
    one_hot: Float[Array, " classes"]
    bright: Float[Array, " rows"]


def _keys(key: PRNGKeyArray) -> tuple[PRNGKeyArray, PRNGKeyArray]:
    """A key for the presentation; of the other one the second half is that of the scheme."""
    first, second = two_keys(key)
    return first, jax.random.split(second)[1]


def _named(votes: Float[Array, "neurons classes"], predicted: Array) -> Array:
    """The class of the neuron that won, −1 without a winner or a name."""
    names = jnp.where(votes.max(-1) > 0, votes.argmax(-1), -1)
    return jnp.where(predicted >= 0, names[jnp.maximum(predicted, 0)], -1)


def _watched(state: Learned, view: View, x: Real, key: PRNGKeyArray | None) -> Episode:
    assert isinstance(view.network, Competitive)
    return view.network.present(view.readings(), x, state.adaptation, view.clock.dt, key=key)


def _voted(state: Learned, view: View, seen: Episode, target: Presented) -> tuple[Learned, dict[str, Array]]:
    """Votes and adaptation after a presentation; `loss`: mean square of winner's weights less what was shown, or 1."""
    fired = seen.z.sum(0)
    votes = MEMORY * state.votes + fired[:, None] * target.one_hot[None]
    (w,) = view.weights()
    off = jnp.square(w - target.bright[:, None]).mean(0)
    miss = jnp.where(fired.sum() > 0, (off * fired).sum() / fired.sum(), 1.0)
    return Learned(seen.adaptation, votes), {"loss": miss, "spikes": fired.sum()}


def _late(z: Real, delay: float, dt: float) -> Real:
    """Spikes as they arrive back at the synapses, `delay` seconds later."""
    late = round(delay / dt)
    return jnp.concatenate([jnp.zeros_like(z[:late]), z[: z.shape[0] - late]])


def _blank(view: View, classes: int) -> Learned:
    neurons = view.network.shapes[0][1]
    return Learned(jnp.zeros(neurons), jnp.zeros((neurons, classes)))


def _competitive(network: AbstractNetwork, what: str) -> None:
    if not isinstance(network, Competitive):
        raise InputError(
            f"{what} needs a winner-take-all layer of adapting neurons; this network is a {type(network).__name__}. "
            "Set network.type=competitive and neuron=alif, or another learning.rule."
        )


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
    classes_shown: int = option(4, "classes that neurons are named by", bounds=(1, 1_000_000))

    def check(self, network: AbstractNetwork, objective: AbstractObjective) -> None:
        """A winner-take-all layer."""
        _competitive(network, "STDP")

    def keys(self, key: PRNGKeyArray) -> tuple[PRNGKeyArray, PRNGKeyArray]:
        """Of the presentation and of the scheme."""
        return _keys(key)

    def init(
        self, view: View, optimizer: optax.GradientTransformation, batch: tuple[int, ...], *, key: PRNGKeyArray
    ) -> Learned:
        """No adaptation, no votes."""
        return _blank(view, self.classes_shown)

    def prepare(self, view: View, *, key: PRNGKeyArray) -> tuple[Cells, tuple[Ledger | None, ...]]:
        """Nothing."""
        return untouched(view)

    def update(
        self, state: Any, view: View, batch: Batch, optimizer: optax.GradientTransformation, *, key: PRNGKeyArray
    ) -> tuple[Any, tuple[Any, ...], dict[str, Array]]:
        """A presentation; traces start after a long silence. The target goes into the votes alone."""
        seen = _watched(state, view, batch.x, key)
        law = stdp.stdp(STDP(self.timing, self.dependence, dt=view.clock.dt))
        weights = view.weights()
        trains = Trains(batch.x, _late(seen.z, self.delay, view.clock.dt))
        _, change, _ = law.update(law.init(weights), weights, (trains,), key=None)
        state, metrics = _voted(state, view, seen, batch.target)
        return state, change, metrics

    def run(self, state: Any, view: View, x: Any, *, key: PRNGKeyArray | None) -> Episode:
        """A presentation without learning; with a key, with the noise of reads and neurons."""
        return _watched(state, view, x, key)

    def classes(self, state: Any, predicted: Array) -> Array:
        """The classes by which the winners are named."""
        return _named(state.votes, predicted)


@RULES.register(
    "stdp-waveform",
    "the voltage between the waveforms of two neurons moves the device between them",
    waveform_stdp.SOURCE,
)
class WaveformRule(AbstractRule):
    """`WaveformSTDP` by the devices of the network's own crossbar; the scheme `ideal` lets them move by themselves.

    On a winner-take-all layer row spikes meet the column spikes that come back `delay` seconds later; in an associative
    network every neuron meets every other. A spike injects `peak` A into the neuron of its line.
    """

    source: ClassVar[str] = waveform_stdp.SOURCE
    spread_batch: ClassVar[bool] = False
    segments: ClassVar[bool] = False
    finite: ClassVar[bool] = False
    sees_devices: ClassVar[bool] = True

    gain: Parameter = param(1.0, "1", "voltage across a synapse over v_pre − v_post", bounds=(-1e4, 1e4))
    peak: Parameter = param(5e-6, "A", "peak of the current of one spike", bounds=(0, 1))
    delay: float = option(1e-3, "from a spike of a neuron to its arrival at the synapses", unit="s", bounds=(0, 1e6))
    classes_shown: int = option(4, "classes that neurons are named by", bounds=(1, 1_000_000))

    def check(self, network: AbstractNetwork, objective: AbstractObjective) -> None:
        """A winner-take-all layer or an associative network, on memories whose law can be followed."""
        if not isinstance(network, Associative):
            _competitive(network, "Plasticity by waveforms")
        WaveformSTDP(network.crossbars[0].cell)

    def keys(self, key: PRNGKeyArray) -> tuple[PRNGKeyArray, PRNGKeyArray]:
        """Of the presentation and of the scheme."""
        return _keys(key)

    def init(
        self, view: View, optimizer: optax.GradientTransformation, batch: tuple[int, ...], *, key: PRNGKeyArray
    ) -> Any:
        """No adaptation, no votes; nothing in an associative network."""
        return () if isinstance(view.network, Associative) else _blank(view, self.classes_shown)

    def prepare(self, view: View, *, key: PRNGKeyArray) -> tuple[Cells, tuple[Ledger | None, ...]]:
        """Nothing."""
        return untouched(view)

    def update(
        self, state: Any, view: View, batch: Batch, optimizer: optax.GradientTransformation, *, key: PRNGKeyArray
    ) -> tuple[Any, tuple[Any, ...], dict[str, Array]]:
        """A presentation."""
        dt, cell = view.clock.dt, view.network.crossbars[0].cell
        law = waveform_stdp.stdp_waveform(WaveformSTDP(cell, gain=self.gain, dt=dt))
        if isinstance(view.network, Associative):
            v = Driver(view.network.neuron, peak=self.peak)(batch.x, dt)
            _, change, metrics = law.update((), view.weights(), (Waveforms(v, v),), key=None)
            return state, change, {"loss": _contrast(view.weights()[0], batch.target), **metrics}
        seen, driver = _watched(state, view, batch.x, key), Driver(peak=self.peak)
        waves = Waveforms(driver(batch.x, dt), driver(_late(seen.z, self.delay, dt), dt))
        _, change, _ = law.update((), view.weights(), (waves,), key=None)
        state, metrics = _voted(state, view, seen, batch.target)
        return state, change, metrics

    def run(self, state: Any, view: View, x: Any, *, key: PRNGKeyArray | None) -> Any:
        """A trial without learning."""
        if isinstance(view.network, Associative):
            return view.network.run(view.readings(), x, view.clock, key=key)
        return _watched(state, view, x, key)

    def classes(self, state: Any, predicted: Array) -> Array:
        """The classes by which the winners are named."""
        return _named(state.votes, predicted)


def _contrast(w: Float[Array, "n n"], pattern: Float[Array, " n"]) -> Real:
    """1 less the mean weight inside a pattern above that outside of it."""
    others = 1 - jnp.eye(w.shape[0])
    inside = pattern[:, None] * pattern[None] * others
    outside = others - inside
    return 1 - (w * inside).sum() / inside.sum() + (w * outside).sum() / outside.sum()
