"""Backpropagation through time, straight through the device equations."""

from typing import Any, ClassVar, cast

import jax
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.ledger import Ledger
from memspike.learning.losses import excess
from memspike.learning.objectives import AbstractObjective
from memspike.learning.rules.base import AbstractRule, Batch, Rule, View, last_two_of_three, untouched
from memspike.networks.base import AbstractNetwork, Cells, Weights
from memspike.networks.feedforward import Membranes
from memspike.parts.param import option
from memspike.parts.registry import RULES

SOURCE = "Zhou et al., arXiv 2206.12992"


def bptt(loss: Any, optimizer: optax.GradientTransformation) -> Rule:
    """Rule of `loss(weights, batch, *, key)` → scalar, with an optax optimiser that scales the step.

    The spikes of membranes are analog, so the gradient of the loss is that of the simulated circuit itself: nothing
    on the way is replaced by a surrogate or cut.
    """

    def update(state: Any, weights: Weights, batch: Any, *, key: PRNGKeyArray) -> tuple[Any, Weights, dict]:
        value, gradient = jax.value_and_grad(loss)(weights, batch, key=key)
        with jax.numpy_dtype_promotion("standard"):  # optimisers mix step counts and floats
            change, state = optimizer.update(gradient, state, weights)
        return state, cast(Weights, change), {"loss": value, "gradient_norm": optax.tree.norm(gradient)}

    return Rule(optimizer.init, update)


@RULES.register("bptt", "exact gradient through membranes, memristors and synapses; no surrogate", SOURCE)
class BPTTRule(AbstractRule):
    """The gradient of the mean loss with respect to the logical weights, of any network.

    Neurons with analog spikes are differentiated as they are; where a neuron sends binary spikes (lif, alif,
    trace-lif), its surrogate stands in for the slope. The chip is as it is, with the slopes of exact programming.
    """

    source: ClassVar[str] = SOURCE
    spread_batch: ClassVar[bool] = True
    segments: ClassVar[bool] = False
    finite: ClassVar[bool] = True
    sees_devices: ClassVar[bool] = False

    weight_noise: float = option(0.0, "relative noise of every weight in each step", bounds=(0, 1))
    swing: float = option(0.25, "membrane excursion from rest that costs nothing", unit="V", bounds=(1e-6, 1e3))
    swing_weight: float = option(1.0, "price of larger excursions in the loss", bounds=(0, 1e6))

    def check(self, network: AbstractNetwork, objective: AbstractObjective, batch: int) -> None:
        """Every network and objective with a loss will do; a shape is tried out before anything is written."""

    def keys(self, key: PRNGKeyArray) -> tuple[PRNGKeyArray, PRNGKeyArray]:
        """The first of three keys is that of the trial."""
        return last_two_of_three(key)

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
        loss = view.objective.loss(activity.output, batch.target).mean()
        if self.swing_weight and isinstance(activity, Membranes):
            loss += self.swing_weight * sum(excess(v, self.swing) for v in activity.layers)
        return loss

    def init(
        self, view: View, optimizer: optax.GradientTransformation, batch: tuple[int, ...], *, key: PRNGKeyArray
    ) -> Any:
        """That of the optimiser."""
        return optimizer.init(view.weights())

    def prepare(self, view: View, *, key: PRNGKeyArray) -> tuple[Cells, tuple[Ledger | None, ...]]:
        """Nothing."""
        return untouched(view)

    def update(
        self, state: Any, view: View, batch: Batch, optimizer: optax.GradientTransformation, *, key: PRNGKeyArray
    ) -> tuple[Any, tuple[Any, ...], dict[str, Array]]:
        """One step down the gradient."""

        def loss(weights: Weights, batch: Batch, *, key: PRNGKeyArray) -> Float[Array, ""]:
            return self.loss(view, weights, batch, key=key)

        return bptt(loss, optimizer).update(state, view.weights(), batch, key=key)

    def run(self, state: Any, view: View, x: Any, *, key: PRNGKeyArray | None) -> Any:
        """The network on a trial."""
        return view.network.run(view.as_programmed(), x, view.clock, key=key)

    def classes(self, state: Any, predicted: Array) -> Array:
        """As predicted."""
        return predicted
