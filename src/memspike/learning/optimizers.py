"""Optimisers by name: each makes an optax transformation for a number of updates."""

from collections.abc import Callable
from typing import Annotated, Any

import optax

from memspike.parts.errors import InputError
from memspike.parts.param import Meta, Parameter
from memspike.parts.registry import OPTIMIZERS

Rate = Annotated[Parameter, Meta("1", "learning rate, in units of weight", (1e-12, 1e6))]
Anneal = Annotated[float, Meta("1", "learning rate at the end over that at the start, linear", (0, 1))]


@OPTIMIZERS.register("adamw", "Adam with decoupled weight decay, warm-up, cosine decay and a largest gradient norm")
def adamw(
    updates: int,
    learning_rate: Annotated[float, Meta("1", "peak step of Adam, in units of weight", (1e-12, 10))] = 5e-3,
    weight_decay: Annotated[float, Meta("1", "decoupled weight decay", (0, 1e6))] = 0.0,
    warmup: Annotated[float, Meta("1", "share of the updates with rising learning rate", (0, 0.999))] = 0.02,
    clip: Annotated[float, Meta("1", "largest gradient norm", (1e-12, 1e12))] = 1.0,
) -> optax.GradientTransformation:
    """The optimiser of MEMprop."""
    first = max(1, round(warmup * updates))
    schedule = optax.warmup_cosine_decay_schedule(0.0, learning_rate, first, max(updates, first + 1))
    return optax.chain(optax.clip_by_global_norm(clip), optax.adamw(schedule, weight_decay=weight_decay))


@OPTIMIZERS.register("rates", "plain gradient descent, or Adam, with a learning rate for each matrix")
def rates(
    updates: int,
    rates: Annotated[tuple[float, ...], Meta("1", "learning rate of every matrix", (0, 1e6))] = (2e-5, 5e-5, 2e-5),
    rate_factor: Annotated[float, Meta("1", "all learning rates are multiplied by this", (1e-12, 1e12))] = 1.0,
    anneal: Anneal = 1.0,
    adam: Annotated[bool, Meta("1", "rates are steps of Adam instead of factors of the gradient")] = False,
) -> optax.GradientTransformation:
    """The optimiser of the e-prop study; rates fall linearly to their last values.

    InputError at the first update unless there is one rate for each matrix.
    """
    each = [rate_factor * r for r in rates]

    def scaled(update: Any, params: Any = None) -> Any:
        if len(update) != len(each):
            raise InputError(
                f"learning.optimizer.rates has {len(each)} entries; the network has {len(update)} matrices."
            )
        return tuple(u * -r for u, r in zip(update, each, strict=True))

    links = [optax.scale_by_adam()] if adam else []
    links.append(optax.stateless(scaled))
    if anneal < 1:
        links.append(optax.scale_by_schedule(optax.linear_schedule(1.0, anneal, max(updates, 1))))
    return optax.chain(*links)


def _falling(learning_rate: Parameter, anneal: float, updates: int) -> Callable[[Any], Any]:
    schedule = optax.linear_schedule(1.0, anneal, max(updates, 1))
    return lambda count: learning_rate * schedule(count)


@OPTIMIZERS.register("sgd", "plain gradient descent")
def sgd(updates: int, learning_rate: Rate = 1.0, anneal: Anneal = 1.0) -> optax.GradientTransformation:
    """Nothing but the gradient has to be known: the only optimiser without digital memory for every weight."""
    return optax.sgd(_falling(learning_rate, anneal, updates))


@OPTIMIZERS.register("adamax", "Adamax as in the source of DECOLLE; digital memory for every weight")
def adamax(updates: int, learning_rate: Rate = 1.0, anneal: Anneal = 1.0) -> optax.GradientTransformation:
    """b₁ = 0, b₂ = 0.95."""
    return optax.adamax(_falling(learning_rate, anneal, updates), b1=0.0, b2=0.95)
