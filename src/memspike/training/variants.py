"""Learners that differ in numbers, such as trials of a search: all their seeds trained together."""

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float

from memspike.data.base import Dataset
from memspike.data.trials import Examples
from memspike.training.costs import device_pulses, energies
from memspike.training.evaluate import Evaluator
from memspike.training.fit import Plan, fit
from memspike.training.learner import Learner
from memspike.training.order import AbstractOrder
from memspike.training.population import Population
from memspike.training.progress import Report, silent


class Course(NamedTuple):
    """What all learners go through: trials in an order, how often, with which seeds, and the data of the test."""

    data: Dataset
    trials: Examples
    order: AbstractOrder
    seeds: range
    epochs: int
    at_once: int = 500


class Outcome(NamedTuple):
    """What a learner came to, by seed: test accuracy, mean pulses of a weight, write energy in J of a chip."""

    accuracy: Float[np.ndarray, " seeds"]
    pulses_per_weight: Float[np.ndarray, " seeds"]
    energy: Float[np.ndarray, " seeds"]


def alike(one: Learner, other: Learner) -> bool:
    """Whether two learners differ in numbers alone, so that one program trains both."""
    (own, rest), (numbers, others) = (eqx.partition(learner, eqx.is_inexact_array) for learner in (one, other))
    if jax.tree.structure(own) != jax.tree.structure(numbers):
        return False
    shapes = zip(jax.tree.leaves(own), jax.tree.leaves(numbers), strict=True)
    return all(a.shape == b.shape for a, b in shapes) and bool(eqx.tree_equal(rest, others))


def groups_of(learners: Sequence[Learner]) -> list[list[int]]:
    """The numbers of the learners that can be trained together."""
    found: list[list[int]] = []
    for k, learner in enumerate(learners):
        own = next((group for group in found if alike(learners[group[0]], learner)), None)
        if own is None:
            found.append([k])
        else:
            own.append(k)
    return found


def train_variants(learners: Sequence[Learner], course: Course, report: Report = silent) -> list[Outcome]:
    """Train all learners → their outcomes, in order.

    Those that differ in numbers alone (`alike`) are one population; otherwise one group follows the other.
    """
    outcomes: dict[int, Outcome] = {}
    for group in groups_of(learners):
        outcomes |= zip(group, _together([learners[k] for k in group], course, report), strict=True)
    return [outcomes[k] for k in range(len(learners))]


def _together(learners: Sequence[Learner], course: Course, report: Report) -> list[Outcome]:
    population = Population(learners, course.trials, course.order, course.seeds)
    evaluator = Evaluator(population, course.data, course.at_once)
    chips = fit(population, Plan(course.epochs, together=1), report=report).chips
    per_weight, energy = np.zeros(population.count), np.zeros(population.count)
    if chips.ledger is not None:
        pulses, resets = device_pulses(chips.ledger, population.count)
        weights = sum(rows * columns for rows, columns in population.learner.network.shapes)
        per_weight, energy = (pulses + resets).sum(1) / weights, energies(chips.ledger, population.count)
    found = (evaluator.accuracy(chips), per_weight, energy)
    each = [column.reshape(len(learners), len(course.seeds)) for column in found]
    return [Outcome(*(column[k] for column in each)) for k in range(len(learners))]
