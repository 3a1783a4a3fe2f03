"""What the membranes of trained chips do: their range, their spikes, and how long they are where the paper's are."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from memspike.networks.accuracy import deviation, refined
from memspike.networks.feedforward import Membranes
from memspike.networks.populations import Episode, Recalled
from memspike.networks.recurrent import Activity
from memspike.neurons.analog import Analog
from memspike.neurons.driver import SpikeObserver
from memspike.neurons.lif import AbstractSpikingNeuron
from memspike.neurons.mif import MIF
from memspike.training.evaluate import Evaluator, TestKeys, exact_corrections
from memspike.training.learner import Chip, Learner
from memspike.training.population import FabricatedChip

# of the published neuron, whose rest is at 18 mV: the range of its waveforms in V
LOW, HIGH = -50e-3, 130e-3
# of how many chips and test examples the deviation from a fine step is measured
CHIPS, SHOWN = 2, 3


class Swing(NamedTuple):
    """Of the membranes of a chip in some trials: lowest and highest voltage, spikes, and how much is out of range."""

    low: Float[Array, ""]
    high: Float[Array, ""]
    outside: Float[Array, ""]
    active: Float[Array, ""]
    spikes: Float[Array, ""]


def swing(activity: Membranes) -> Swing:
    """Of all layers, in V on the scale of the published neuron, whose rest is at 18 mV.

    A spike is an upward crossing of 30 mV; `active` is the share of neurons and trials with one or more, `spikes` the
    mean number of those.
    """
    rest = MIF().rest()
    layers = [v + rest for v in activity.layers]
    counts: list[Int[Array, "..."]] = [SpikeObserver().count(v).ravel() for v in layers]
    outside = [((v < LOW) | (v > HIGH)).ravel() for v in layers]
    spikes, off = jnp.concatenate(counts), jnp.concatenate(outside)
    firing = (spikes > 0).sum()
    return Swing(
        jnp.stack([v.min() for v in layers]).min(),
        jnp.stack([v.max() for v in layers]).max(),
        off.mean(),
        firing / spikes.size,
        spikes.sum() / jnp.maximum(firing, 1),
    )


def membrane_facts(evaluator: Evaluator, learner: Learner, chips: Chip, dt: float | None = None) -> dict[str, Any]:
    """`swing` of the first test examples on all chips, for a result; nothing of networks without membranes.

    `dt` is another time step.
    """
    population, dt = evaluator.population, learner.clock.dt if dt is None else dt
    keys = evaluator.keys(learner.noisy)

    @jax.jit
    def one(made: FabricatedChip, chip: Chip, keys: TestKeys) -> Swing | None:
        x = evaluator.first(evaluator.batch, dt, key=keys.shown[0])
        activity = activity_of(evaluator, learner, made, chip, (x, dt, None if keys.read is None else keys.read[0]))
        return swing(activity) if activity.layers else None

    every = (population.chips, chips, keys)
    found = [one(*jax.tree.map(lambda x, k=k: x[k], every)) for k in range(population.count)]
    if found[0] is None:
        return {}
    low, high, outside, active, spikes = (np.asarray(x, float) for x in jax.tree.map(lambda *x: jnp.stack(x), *found))
    return {
        "membrane_low": float(low.min()),
        "membrane_high": float(high.max()),
        "membrane_outside": float(outside.mean()),
        "active_neurons": float(active.mean()),
        "spikes_per_active_neuron": float(spikes.mean()),
        **deviation_facts(evaluator, learner, chips),
    }


def activity_of(
    evaluator: Evaluator, learner: Learner, made: FabricatedChip, chip: Chip, shown: tuple[Any, float, Any]
) -> Membranes:
    """Analog membranes above rest of a chip that is shown inputs in steps of so many seconds, with a key of its reads.

    Of networks without membranes there are none.
    """
    x, dt, key = shown
    network: Any = evaluator.network(made, None if learner is evaluator.population.learner else learner)
    view = learner.view(network, chip.cells, None)
    view = view._replace(
        clock=view.clock if dt == view.clock.dt else view.clock.at_step(dt),
        corrections=exact_corrections(network, chip.cells, aged=False),
    )
    return membranes_of(network, learner.rule.run(chip.rule, view, x, key=key))


def membranes_of(network: Any, activity: Any) -> Membranes:
    """Analog membranes above rest in V of a run of any network; none of neurons that spike in steps."""
    if isinstance(activity, Membranes):
        layers = zip(activity.layers, network.layers, strict=True)
        return Membranes(tuple(v for v, layer in layers if not layer.spiking))
    if isinstance(activity, Recalled):
        return Membranes((activity.v - network.neuron.rest(),))
    if isinstance(activity, Activity | Episode) and isinstance(network.neuron, Analog):
        sent = activity.state.z if isinstance(activity, Activity) else activity.height
        return Membranes((sent * jnp.asarray(network.neuron.voltage, sent.dtype),))
    return Membranes(())


def analog(network: Any) -> bool:
    """Whether a run has membranes, and all neurons are analog: finer steps are the same network then."""
    if layers := getattr(network, "layers", ()):
        return not any(getattr(layer, "spiking", True) for layer in layers)
    return not isinstance(getattr(network, "neuron", None), AbstractSpikingNeuron)


def deviation_facts_of(runs: list[Callable[[int], tuple[Any, ...]]], dt: float) -> dict[str, float]:
    """`deviation_facts` of trials at steps of `dt` seconds, each run in so many times finer steps."""
    return {"membrane_step": dt, "membrane_deviation": max(deviation(run) for run in runs)}


def deviation_facts(evaluator: Evaluator, learner: Learner, chips: Chip) -> dict[str, Any]:
    """The step of a run in s, and how far in V its membranes are from those of a fine step, for a result.

    Of the first chips and test examples, without read noise. Nothing where neurons spike in steps, since finer ones
    are another network.
    """
    if not analog(learner.network):
        return {}
    population, dt = evaluator.population, learner.clock.dt
    keys = evaluator.keys(learner.noisy)

    @partial(jax.jit, static_argnums=0)
    def shown(times: int, made: FabricatedChip, chip: Chip, key: Any) -> tuple[Any, ...]:
        x = refined(evaluator.first(SHOWN, dt, key=key), times)
        return activity_of(evaluator, learner, made, chip, (x, dt / times, None)).layers

    every = (population.chips, chips, keys.shown[:, 0])
    own = [jax.tree.map(lambda x, k=k: x[k], every) for k in range(min(CHIPS, population.count))]
    return deviation_facts_of([lambda times, one=one: shown(times, *one) for one in own], dt)
