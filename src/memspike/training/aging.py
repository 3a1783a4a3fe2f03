"""Accuracy of chips over time: of the very chips that were trained by pulses, or of chips programmed afterwards."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PRNGKeyArray

from memspike.arrays.compensation import AbstractCompensation, NoCompensation
from memspike.arrays.crossbar import Crossbar, Seen
from memspike.arrays.programmer import AbstractProgrammer, Statistical, Written
from memspike.cells.base import CellState
from memspike.networks.base import AbstractNetwork, Cells
from memspike.parts.errors import InputError
from memspike.training.evaluate import Evaluator, TestKeys, read_keys, repeated, spread
from memspike.training.learner import Aged, Chip, Learner
from memspike.training.population import FabricatedChip


class Lifetime(NamedTuple):
    """What happens to chips after training: ages in s, what is done against drift, how new chips are programmed.

    A compensation compares with reads at `reference_age` s. `chips` are programmed where the training was exact.
    """

    ages: Sequence[float]
    programmer: AbstractProgrammer = Statistical()
    compensation: AbstractCompensation = NoCompensation()
    reference_age: float = 30.0
    chips: int = 20


class Old(NamedTuple):
    """Accuracy of every chip at every age; how each was programmed (None for chips that were trained by pulses)."""

    accuracy: Float[np.ndarray, "ages chips"]
    written: tuple[Written, ...] | None


def _at(crossbar: Crossbar, state: CellState, age: Array) -> Seen:
    """What reads of a matrix see `age` seconds from now."""
    moments = crossbar.cell.read_moments(state, age)
    return crossbar.transfer(moments.mean, sd=moments.sd)


def later(network: AbstractNetwork, cells: Cells, age: Array) -> Cells:
    """The cells `age` seconds later."""
    return tuple(c.cell.wait(state, age) for c, state in zip(network.crossbars, cells, strict=True))


def drift_gains(
    network: AbstractNetwork, cells: Cells, lifetime: Lifetime, age: Array, key: PRNGKeyArray
) -> tuple[Array, ...]:
    """Output gains of every crossbar by the compensation."""
    found, reference = [], jnp.asarray(lifetime.reference_age, age.dtype)
    for k, (crossbar, state) in enumerate(zip(network.crossbars, cells, strict=True)):
        before, now = _at(crossbar, state, reference), _at(crossbar, state, age)
        found.append(lifetime.compensation.gains(crossbar, before, now, key=jax.random.fold_in(key, k)))
    return tuple(found)


def _programmed(network: AbstractNetwork, chip: Chip, lifetime: Lifetime, key: PRNGKeyArray) -> tuple[Written, ...]:
    """Chips programmed with the weights of one chip, whose devices `network` has."""
    weights = network.weights(chip.cells)

    @jax.jit
    def write(key: PRNGKeyArray) -> tuple[Written, ...]:
        keys = jax.random.split(key, len(weights))
        pairs = zip(network.crossbars, weights, keys, strict=True)
        return tuple(lifetime.programmer.write(c.cell, w, key=k) for c, w, k in pairs)

    chips = [write(k) for k in jax.random.split(key, lifetime.chips)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *chips)


def over_time(
    evaluator: Evaluator,
    chips: Chip,
    lifetime: Lifetime,
    *,
    learner: Learner | None = None,
    written: tuple[Written, ...] | None = None,
    key: PRNGKeyArray,
) -> Old:
    """Let chips age, read them with their noise, count what is right.

    Chips whose scheme sends pulses are those that were trained; where weights are exact or digital new chips are
    programmed with the weights of the first one, unless `written` are chips of an earlier call with the same key.
    They are read through the wires and converters of `learner`, by default those of the training.
    Chips, reads and calibrations have keys of their own, so that the same key with another compensation shows the
    same chips. InputError for an age before the programming.
    """
    for age in lifetime.ages:
        if not (np.isfinite(age) and age >= 0):
            raise InputError(f"An age is {age:g} s, before the programming; ages from 0 s on are needed.")
    population = evaluator.population
    made, trained = population.chips, population.learner
    shown = evaluator.keys(False).shown
    chip_key, for_reads, calibration_key = jax.random.split(key, 3)
    if trained.exact or trained.digital:
        one, first = population.first_of(chips), population.first_of(made)
        written = written or _programmed(evaluator.network(first, learner), one, lifetime, chip_key)
        made, shown = repeated(first, lifetime.chips), repeated(shown[0], lifetime.chips)
        rest = repeated(one._replace(cells=()), lifetime.chips)
        chips = rest._replace(cells=tuple(w.state for w in written))
    count = jax.tree.leaves(chips.cells)[0].shape[0]

    @jax.jit
    def old(
        made: FabricatedChip, cells: Cells, age: Array, key: Key[Array, " chips"]
    ) -> tuple[Cells, tuple[Array, ...]]:
        def each(item: tuple[FabricatedChip, Cells, PRNGKeyArray]) -> tuple[Cells, tuple[Array, ...]]:
            made, cells, key = item
            network = evaluator.network(made, learner)
            return later(network, cells, age), drift_gains(network, cells, lifetime, age, key)

        return jax.lax.map(each, (made, cells, key))

    scores = []
    for number, age in enumerate(lifetime.ages):
        keys = jax.random.split(jax.random.fold_in(calibration_key, number), count)
        cells, gains = jax.block_until_ready(old(made, chips.cells, jnp.asarray(age, jnp.result_type(float)), keys))
        noise = read_keys(jax.random.fold_in(for_reads, number), count, evaluator.chunks)
        options = {"aged": Aged(gains), "learner": learner, "made": made, "keys": TestKeys(shown, noise)}
        found = evaluator.accuracy(chips._replace(cells=cells), **options)
        scores.append(found)
    return Old(np.stack(scores), written)


def age_rows(
    evaluator: Evaluator,
    chips: Chip,
    lifetime: Lifetime,
    compensations: dict[str, AbstractCompensation],
    *,
    learner: Learner | None = None,
    key: PRNGKeyArray,
) -> list[dict[str, Any]]:
    """A row for every age and compensation."""
    rows, written = [], None
    for name, compensation in compensations.items():
        own = lifetime._replace(compensation=compensation)
        found = over_time(evaluator, chips, own, learner=learner, written=written, key=key)
        written = found.written
        extra: dict[str, Any] = {}
        if written is not None:
            extra["pulses_per_device"] = float(np.mean([np.asarray(w.up + w.down + w.resets).mean() for w in written]))
            extra["failed"] = float(np.mean([np.asarray(w.failed).mean() for w in written]))
        for age, scores in zip(lifetime.ages, found.accuracy, strict=True):
            row = {"age_s": age, "compensation": name, "accuracy_mean": float(scores.mean())}
            row |= {"accuracy_sd": spread(scores), "accuracy_min": float(scores.min()), "chips": len(scores)}
            rows.append(row | extra)
    return rows
