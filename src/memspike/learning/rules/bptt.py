"""Backpropagation through time, straight through the device equations."""

from collections.abc import Callable
from typing import Any, cast

import jax
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.learning.rules.base import Rule
from memspike.parts.registry import RULES

Weights = tuple[Float[Array, "_ _"], ...]


@RULES.register(
    "bptt",
    "exact gradient through membranes, memristors and synapses; no surrogate",
    "Zhou et al., arXiv 2206.12992",
)
def bptt(loss: Callable[..., Float[Array, ""]], optimizer: optax.GradientTransformation) -> Rule:
    """Rule of `loss(weights, batch, *, key)` → scalar, with an optax optimiser that scales the step.

    The spikes are analog, so the gradient of the loss is that of the simulated circuit itself: nothing
    on the way is replaced by a surrogate or cut.
    """

    def update(state: Any, weights: Weights, batch: Any, *, key: PRNGKeyArray) -> tuple[Any, Weights, dict]:
        value, gradient = jax.value_and_grad(loss)(weights, batch, key=key)
        with jax.numpy_dtype_promotion("standard"):  # optimisers mix step counts and floats
            change, state = optimizer.update(gradient, state, weights)
        return state, cast(Weights, change), {"loss": value, "gradient_norm": optax.tree.norm(gradient)}

    return Rule(optimizer.init, update)
