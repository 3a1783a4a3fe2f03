"""When a loss is not finite: which step, which chip, what of it, and why probably."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from memspike.learning.rules.base import Batch
from memspike.networks.base import lines_of
from memspike.networks.feedforward import Feedforward, Membranes
from memspike.neurons.mif import MIF, forward_euler
from memspike.parts.errors import RunError
from memspike.training.learner import Chip
from memspike.training.population import Metrics, Piece, Population


def is_finite(tree: Any) -> bool:
    """Whether every number of a tree is finite."""
    return all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array)))


def _cause(population: Population) -> str:
    network = population.learner.network
    neurons = [layer.neuron for layer in network.layers] if isinstance(network, Feedforward) else []
    if any(isinstance(n, MIF) and n.integrator is forward_euler for n in neurons):
        return (
            "forward Euler diverges once x1 + x2 exceeds about 0.18 at a 10 µs step; "
            "set neuron.integrator=staggered-exponential or a smaller simulation.dt"
        )
    return "lower learning.optimizer.learning_rate or encoder.read_voltage, or raise learning.objective.temperature"


def _culprit(population: Population, chip: Chip, piece: Piece, number: int, which: int) -> str:
    learner = population.learner
    made = jax.tree.map(lambda leaf: leaf[which], population.chips)
    network = population.network(made)
    for name, lines in zip(network.names, lines_of(network, chip.cells), strict=True):
        if not is_finite(lines):
            return f"the conductances of {name}"
    x, target = population.trial_of(made, which, piece, number)
    view = learner.view(network, chip.cells, None if chip.wires is None else chip.wires.corrections)
    activity = learner.rule.run(chip.rule, view, x, key=None)
    if isinstance(activity, Membranes):
        for name, v in zip(network.names, activity.layers, strict=True):
            if not is_finite(v):
                return f"the membranes of {name}"
    batch = Batch(x, target, learner.objective.counts(learner.clock.steps), jnp.asarray(True))
    _, change, _ = learner.rule.update(chip.rule, view, batch, learner.transformation(), key=jax.random.key(0))
    for name, one in zip(network.names, change, strict=True):
        if not is_finite(one):
            return f"the gradient of {name}"
    return "the gradient"


def check_finite(population: Population, before: Chip, piece: Piece, metrics: Metrics) -> None:
    """RunError that names the first bad step of a piece, its seed and what of the chip is not finite.

    The piece is replayed from `before`, its good start, up to that step.
    """
    bad = ~np.stack([np.isfinite(np.asarray(values)).reshape(population.count, -1) for values in metrics.values()]).all(
        0
    )
    if not bad.any():
        return
    ahead, which = (int(i) for i in np.argwhere(bad.T)[0])
    chips = before
    if ahead:
        chips, _ = population.run(before, piece._replace(epochs=1, steps=ahead))
    chip = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)[which]), chips)
    culprit = _culprit(population, chip, piece, ahead, which)
    seed = population.seeds[which % len(population.seeds)]
    raise RunError(
        f"Training stopped at step {piece.epoch * population.per_epoch + piece.first + ahead}, seed {seed}: {culprit} "
        f"is not finite; likely cause: {_cause(population)}."
    )
