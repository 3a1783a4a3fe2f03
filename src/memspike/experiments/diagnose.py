"""When a loss is not finite: which step, which layer, and why probably."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from memspike.experiments.training import Trainer, TrainState, is_finite
from memspike.parts.errors import RunError


def _cause(trainer: Trainer) -> str:
    if trainer.config.network.integrator == "forward-euler":
        return (
            "forward Euler diverges once x1 + x2 exceeds about 0.18 at a 10 µs step; "
            "set network.integrator=staggered-exponential or a smaller simulation.dt"
        )
    return "lower training.learning_rate or input.read_voltage, or raise training.temperature"


def _culprit(trainer: Trainer, state: TrainState, images: Array, labels: Array, key: Array, step: int) -> str:
    model = trainer.model
    augment_key, rule_key, _ = trainer.step_keys(key, jnp.asarray(step, jnp.int32))
    batch = trainer.batch(images, labels, key=augment_key)
    for k, lines in enumerate(state.lines):
        if not is_finite(lines):
            return f"the conductances of layer {k}"
    for k, trace in enumerate(model.traces(model.network.transfer(state.lines), batch.pixels)):
        if not is_finite(trace):
            return f"the membranes of layer {k}"
    weights = model.network.weights(state.lines)
    for k, gradient in enumerate(jax.grad(trainer.loss)(weights, batch, key=rule_key)):
        if not is_finite(gradient):
            return f"the gradient of layer {k}"
    return "the loss"


def raise_not_finite(
    trainer: Trainer, state: TrainState, first: int, indices: Int[np.ndarray, "steps seeds batch"], bad: np.ndarray
) -> None:
    """RunError that names the first bad step of a chunk (`bad`: [steps, seeds]), its seed and layer.

    The chunk is replayed from `state`, its last good start, up to that step.
    """
    ahead, seed = (int(i) for i in np.argwhere(bad)[0])
    if ahead:
        state, _ = trainer.chunk(state, first, indices[:ahead])
    one = jax.tree.map(lambda leaf: leaf[seed], state)
    index = indices[ahead, seed]
    key = trainer.keys[seed]
    culprit = _culprit(trainer, one, trainer.images[index], trainer.labels[index], key, first + ahead)
    raise RunError(
        f"Training stopped at step {first + ahead}, seed {trainer.config.seed + seed}: {culprit} is not finite; "
        f"likely cause: {_cause(trainer)}."
    )
