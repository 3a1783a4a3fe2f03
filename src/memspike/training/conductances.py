"""What the devices of chips hold: conductances and weights of every matrix that is no digital memory."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from memspike.training.learner import Chip
from memspike.training.population import Population


def _matrices(population: Population, chips: Chip, chip: int) -> Iterator[tuple[str, Any, Any]]:
    """Name, cell and state of every matrix of a chip that is no digital memory."""
    learner = population.learner
    made, cells = (jax.tree.map(lambda leaf: leaf[chip], t) for t in (population.chips, chips.cells))
    crossbars = population.network(made).crossbars
    for name, crossbar, state, scheme in zip(learner.network.names, crossbars, cells, learner.schemes, strict=True):
        if not scheme.digital:
            yield name, crossbar.cell, state


def of_chips(population: Population, chips: Chip, of: Callable[[Any, Any], Any]) -> dict[str, np.ndarray]:
    """`of(cell, state)` of every matrix that is no digital memory, by its name, chips in front."""
    found: dict[str, list[np.ndarray]] = {}
    for k in range(population.count):
        for name, cell, state in _matrices(population, chips, k):
            found.setdefault(name, []).append(np.asarray(of(cell, state)))
    return {name: np.stack(values) for name, values in found.items()}


def first_chip(population: Population, chips: Chip) -> dict[str, np.ndarray]:
    """Of the first chip what maps are drawn of: `matrices` are names, `g_0` … conductances in S [lines, rows, columns].

    `gains_0` … say with which sign each line counts. Empty where all weights are in digital memory.
    """
    found: dict[str, np.ndarray] = {}
    names = []
    for k, (name, cell, state) in enumerate(_matrices(population, chips, 0)):
        found[f"g_{k}"] = np.asarray(cell.stored(state))
        found[f"gains_{k}"] = np.asarray(cell.gains()[: len(found[f"g_{k}"])])
        names.append(name)
    return found | ({"matrices": np.asarray(names)} if names else {})
