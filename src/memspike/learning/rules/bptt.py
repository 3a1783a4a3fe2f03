"""Backpropagation through time, straight through the device equations."""

from typing import Any, ClassVar

import jax
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.learning.objectives import AbstractObjective, excess
from memspike.learning.rules import base
from memspike.learning.rules.base import AbstractRule, Batch, Optimizer, Update, View
from memspike.networks.base import AbstractNetwork, Weights
from memspike.networks.feedforward import Membranes
from memspike.parts.param import option
from memspike.parts.registry import RULES

SOURCE = "Zhou et al., arXiv 2206.12992"


@RULES.register("bptt", "exact gradient through membranes, memristors and synapses; no surrogate", SOURCE)
class BPTT(AbstractRule):
    """The gradient of the mean loss with respect to the logical weights, of any network.

    Neurons with analog spikes are differentiated as they are; where a neuron sends binary spikes (lif, alif,
    trace-lif), its surrogate stands in for the slope. The chip is as it is, with the slopes of exact programming.
    """

    source: ClassVar[str] = SOURCE
    spread_batch: ClassVar[bool] = True
    finite: ClassVar[bool] = True
    sees_devices: ClassVar[bool] = False
    keys, prepare, classes = base.last_two_of_three, base.untouched, base.as_predicted  # pyright: ignore

    weight_noise: float = option(0.0, "relative noise of every weight in each step", bounds=(0, 1))
    swing: float = option(0.25, "membrane excursion from rest that costs nothing", unit="V", bounds=(1e-6, 1e3))
    swing_weight: float = option(1.0, "price of larger excursions in the loss", bounds=(0, 1e6))

    def check(self, network: AbstractNetwork, objective: AbstractObjective, batch: int) -> None:
        """Every network and objective with a loss will do; a shape is tried out before anything is written."""

    def loss(self, view: View, weights: Weights, batch: Batch, *, key: PRNGKeyArray) -> Float[Array, ""]:
        """Mean loss of a batch for logical weights with the training noise on them, and the price of membranes that
        leave their range.
        """
        for_reads = jax.random.fold_in(key, 0) if view.noisy else None
        if self.weight_noise:
            keys = jax.random.split(key, len(weights))
            weights = tuple(
                w * (1 + self.weight_noise * jax.random.normal(k, w.shape)) for w, k in zip(weights, keys, strict=True)
            )
        readings = view.network.programmed(weights, None if view.exact else view.cells, view.corrections)
        activity = view.network.run(readings, batch.x, view.clock, key=for_reads)
        loss = view.objective.loss(activity.output, batch.target, batch.own).mean()
        if self.swing_weight and isinstance(activity, Membranes):
            loss += self.swing_weight * sum(excess(v, self.swing) for v in activity.layers)
        return loss

    def init(self, view: View, optimizer: Optimizer, batch: tuple[int, ...], *, key: PRNGKeyArray) -> Any:
        """That of the optimiser."""
        return optimizer.init(view.weights())

    def update(self, state: Any, view: View, batch: Batch, optimizer: Optimizer, *, key: PRNGKeyArray) -> Update:
        """One step down the gradient."""
        weights = view.weights()
        value, gradient = jax.value_and_grad(lambda w: self.loss(view, w, batch, key=key))(weights)
        change, state = base.descent(optimizer, gradient, state, weights)
        return Update(state, change, {"loss": value, "gradient_norm": optax.tree.norm(gradient)})

    def run(self, state: Any, view: View, x: Any, *, key: PRNGKeyArray | None) -> Any:
        """The network on a trial."""
        return view.network.run(view.as_programmed(), x, view.clock, key=key)
