"""Inference over time: a trained network programmed onto devices, read again after seconds to years."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.compensation import AbstractCompensation, NoCompensation, compensated
from memspike.arrays.crossbar import Crossbar, Seen
from memspike.arrays.programmer import AbstractProgrammer, Statistical, Written
from memspike.experiments.model import Classifier
from memspike.experiments.training import Evaluator
from memspike.networks.feedforward import Weights
from memspike.parts.errors import InputError


class Plan(NamedTuple):
    """What happens to the chips: ages in s since programming, how they are programmed, what is done against drift.

    A compensation compares with reads at `reference_age` s.
    """

    ages: Sequence[float]
    programmer: AbstractProgrammer = Statistical()
    compensation: AbstractCompensation = NoCompensation()
    reference_age: float = 30.0
    chips: int = 20


class Aged(NamedTuple):
    """Accuracy of every chip at every age, and how each chip was programmed, one `Written` a layer, chips leading."""

    accuracy: Float[np.ndarray, "ages chips"]
    written: tuple[Written, ...]


def _at(crossbar: Crossbar, written: Written, age: Array) -> Seen:
    """What reads of a matrix see `age` seconds after its programming."""
    cell, state = crossbar.cell, written.state
    moments = cell.read_moments(state, age)
    return crossbar.transfer(moments.mean, sd=moments.sd)


def _stack(chips: list[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *chips)


def inference_over_time(
    model: Classifier,
    evaluator: Evaluator,
    weights: Weights,
    plan: Plan,
    *,
    written: tuple[Written, ...] | None = None,
    key: PRNGKeyArray,
) -> Aged:
    """Program chips with `weights`, let them age, read them with their noise, count what is right.

    `written` are chips of an earlier call with the same key, which then are not programmed again. Every chip has its
    own programming errors and drift; chips, reads and calibrations have keys of their own, so that the same key with
    another compensation shows the same chips. InputError for an age before the programming.
    """
    for age in plan.ages:
        if not (np.isfinite(age) and age >= 0):
            raise InputError(f"An age is {age:g} s, before the programming; ages from 0 s on are needed.")
    programmer, compensation, chips = plan.programmer, plan.compensation, plan.chips
    crossbars = [layer.crossbar for layer in model.network.layers]
    chip_key, read_key, calibration_key = jax.random.split(key, 3)

    @jax.jit
    def write(key: PRNGKeyArray) -> tuple[Written, ...]:
        keys = jax.random.split(key, len(weights))
        return tuple(programmer.write(c.cell, w, key=k) for c, w, k in zip(crossbars, weights, keys, strict=True))

    @jax.jit
    def seen(written: tuple[Written, ...], age: Array, key: PRNGKeyArray) -> tuple[Seen, ...]:
        layers = []
        for k, (crossbar, one) in enumerate(zip(crossbars, written, strict=True)):
            before, now = _at(crossbar, one, jnp.asarray(plan.reference_age, age.dtype)), _at(crossbar, one, age)
            gains = compensation.gains(crossbar, before, now, key=jax.random.fold_in(key, k))
            layers.append(compensated(now, gains))
        return tuple(layers)

    programmed = _stack([write(key) for key in jax.random.split(chip_key, chips)]) if written is None else written
    each_chip = [jax.tree.map(lambda leaf, k=k: leaf[k], programmed) for k in range(chips)]
    scores = []
    for number, age in enumerate(plan.ages):
        keys = jax.random.split(jax.random.fold_in(calibration_key, number), chips)
        at = jnp.asarray(age, jnp.result_type(float))
        each = [seen(one, at, k) for one, k in zip(each_chip, keys, strict=True)]
        scores.append(evaluator.accuracy_of(_stack(each), key=jax.random.fold_in(read_key, number)))
    return Aged(np.stack(scores), programmed)
