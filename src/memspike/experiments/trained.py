"""A training on examples, read back from its run folder: predictions, conductances, ages."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Shaped

from memspike.arrays.compensation import AbstractCompensation, NoCompensation
from memspike.config.accuracy import check_circuit
from memspike.config.build import data_set
from memspike.config.draft import objects_in
from memspike.config.resolve import read_file
from memspike.config.settings import Settings
from memspike.data.given import GIVEN, kept_data
from memspike.experiments.base import Experiment, resolve
from memspike.networks.accuracy import SPICE, Step, accurate_step
from memspike.networks.base import AbstractNetwork, Cells
from memspike.parts.errors import InputError
from memspike.parts.registry import EXPERIMENTS
from memspike.parts.written import type_of
from memspike.training.aging import Lifetime, age_rows
from memspike.training.classify import Classification
from memspike.training.conductances import of_chips
from memspike.training.evaluate import Evaluator
from memspike.training.fit import restored
from memspike.training.folder import RunFolder
from memspike.training.population import Population
from memspike.training.regress import normalised_error

Lines = Float[np.ndarray, "chips lines rows columns"]


class Prepared(NamedTuple):
    """The configuration of a training, and what it comes to."""

    settings: Any
    given: Any
    population: Population


def _read(folder: Path) -> Prepared:
    """What a run folder holds; InputError where that is no training, or not all of it can be found."""
    config = folder / "config.toml"
    if not config.is_file():
        raise InputError(f"{folder} is no run folder: it holds no config.toml.")
    _, tables = read_file(str(config))
    if objects := objects_in(tables):
        raise InputError(
            f"{folder} cannot be read back: {' and '.join(objects)} was an object in Python, which no file holds; "
            "memspike.fit with the same arguments and resume=True gives the run, and a part that is registered "
            "(memspike.register) and given by its name can be read back."
        )
    try:
        settings: Any = resolve(str(config)).settings
    except InputError as error:
        if not str(error).startswith("Unknown"):
            raise
        raise InputError(
            f"{folder} cannot be read back: {str(error).split('; see')[0].rstrip('.')}; parts of your own must be "
            "registered (memspike.register) and imported first."
        ) from None
    experiment: Experiment = EXPERIMENTS.get(settings.experiment).value
    given_data = isinstance(settings, Settings) and settings.data.name == GIVEN
    given = experiment.prepare(settings, *((data_set(settings, kept_data(folder)),) if given_data else ()))
    if experiment.chips is None and not isinstance(given, Classification):
        raise InputError(f"{folder} is a run of {experiment.name}, a study that keeps no chips of its own.")
    return Prepared(settings, given, given.population if experiment.chips is None else experiment.chips(given))


class TrainedRun:
    """Chips of the newest checkpoint, one a seed, with the network and the data that they were trained with.

    `settings` is the configuration, `result` the content of result.json (empty before a run has ended), `step` how many
    steps the chips were trained. Conductances and weights are those of any training; what examples are needed for is
    refused where it had none. InputError where the folder holds no training.
    """

    def __init__(self, folder: str | Path, given: Prepared | None = None):
        self.folder = Path(folder)
        self.settings, self._prepared, self._population = _read(self.folder) if given is None else given
        self.chips, checkpoint = restored(self._population, RunFolder(self.folder))
        self.step = checkpoint.step
        if not self.step:
            raise InputError(f"{self.folder} holds no readable checkpoint: the run has not come to its first one.")
        file = self.folder / "result.json"
        self.result: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}

    @property
    def trained_on_examples(self) -> bool:
        """Whether there are test examples: for predictions, accuracies or errors, ages."""
        return isinstance(self._prepared, Classification)

    @property
    def prepared(self) -> Classification:
        """What the training was made of: population, learner, data, evaluation. InputError without test examples."""
        if not isinstance(self._prepared, Classification):
            raise InputError(
                f"The run {self.folder} is of {self.settings.experiment}, which has no test examples of a data set; "
                "conductances(), weights() and devices() are there."
            )
        return self._prepared

    @property
    def _other(self) -> Any:
        return None if self.prepared.learner is self.prepared.population.learner else self.prepared.learner

    def _evaluator(self, at_once: int | None = None) -> Evaluator:
        given = self.prepared
        return Evaluator(given.population, given.data, given.evaluation.at_once if at_once is None else at_once)

    @property
    def seeds(self) -> range:
        """The seed of every chip."""
        return self._population.seeds

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all matrices, from the input on."""
        return tuple(self._population.learner.network.names)

    @property
    def test_examples(self) -> np.ndarray:
        """The test examples [examples, …] as the data set has them."""
        return self.prepared.data.x_test

    @property
    def labels(self) -> Shaped[np.ndarray, "examples ..."]:
        """The classes of the test examples, or the numbers that are wanted [examples, frames, outputs]."""
        return self.prepared.data.y_test

    @property
    def exact(self) -> dict[str, bool]:
        """By matrix, whether its weights were set exactly, by no pulses."""
        return {name: one.exact for name, one in zip(self.names, self._population.learner.schemes, strict=True)}

    def predict(
        self, x: np.ndarray | None = None, lengths: np.ndarray | Sequence[int] | None = None
    ) -> Shaped[np.ndarray, "chips examples ..."]:
        """The class that each chip takes each example for, −1 for none; of numbers [chips, examples, frames, outputs].

        `x` is shaped and scaled as the data set's own examples [examples, …], None: the test examples; `lengths`
        [examples] are the frames of each, None: all of them. InputError for other shapes.
        """
        given, data = self.prepared, self.prepared.data
        if x is not None:
            shape = data.x_test.shape[1:]
            if np.shape(x)[1:] != shape or not len(x):
                raise InputError(f"Examples have shape {list(np.shape(x))}; needed: [examples, {str(shape)[1:-1]}].")
            ends = np.full(len(x), shape[0]) if lengths is None else np.asarray(lengths)
            if ends.shape != (len(x),) or ends.min() < 1 or ends.max() > shape[0]:
                raise InputError(
                    f"lengths have shape {list(ends.shape)} and values {ends.min()} to {ends.max()}; needed: "
                    f"[{len(x)}], 1 to {shape[0]} frames."
                )
            y = np.zeros((len(x), *data.y_test.shape[1:]), data.y_test.dtype)
            data = data._replace(x_test=np.asarray(x, data.x_test.dtype), y_test=y, lengths_test=ends)
        elif lengths is not None:
            raise InputError("lengths belong to examples x; those of the test examples are known.")
        evaluator = Evaluator(given.population, data, given.evaluation.at_once)
        return evaluator.predictions(self.chips, learner=self._other)

    def accuracy(self) -> Float[np.ndarray, " chips"]:
        """Share of the test examples that each chip classifies correctly. InputError where it follows numbers."""
        self._check(numbers=False)
        return (self.predict() == self.prepared.data.y_test[None]).mean(axis=1)

    def error(self) -> Float[np.ndarray, " chips"]:
        """Mean square of the errors of each chip in all frames of the test, over that of the mean of the training.

        InputError where it tells classes.
        """
        self._check(numbers=True)
        data = self.prepared.data
        return np.array([normalised_error(y - data.y_test, data) for y in self.predict()])

    def _check(self, *, numbers: bool) -> None:
        if numbers != self.prepared.data.regression:
            told = ("tells classes", "accuracy()") if numbers else ("follows numbers", "error()")
            raise InputError(f"The run {self.folder} {told[0]}; use {told[1]}.")

    def conductances(self) -> dict[str, Lines]:
        """By matrix, the programmed conductances in S of all devices; weights in digital memory have none."""
        return of_chips(self._population, self.chips, lambda cell, state: cell.stored(state))

    def weights(self) -> dict[str, Float[np.ndarray, "chips rows columns"]]:
        """By matrix, the weights that the conductances stand for; those in digital memory are not among them."""
        return of_chips(self._population, self.chips, lambda cell, state: cell.weight(cell.stored(state)))

    def accurate_step(self, samples: int = 3, *, chip: int = 0, within: float = SPICE) -> Step:
        """The step in s, that of the run or a half, a quarter … of it, at which its membranes are within `within` V.

        Measured on the first test examples of a chip, as it is programmed and without noise. InputError where the
        network is no feedforward circuit of MIF neurons, or has weights in digital memory.
        """
        learner = self.prepared.learner
        check_circuit(learner.network)
        lines = tuple(jnp.asarray(one[chip]) for one in self.conductances().values())
        if len(lines) < len(self.names):
            raise InputError(f"Weights of {self.folder} are in digital memory, which is no circuit of devices.")
        x = self._evaluator(samples).first(samples, learner.clock.dt, key=jax.random.key(0))
        network, _ = self.chip(chip)
        return accurate_step(network, lines, x, steps=learner.clock.steps, dt=learner.clock.dt, within=within)

    def chip(self, number: int = 0) -> tuple[AbstractNetwork, Cells]:
        """The network of one chip as it is measured, and the state of its cells. InputError where there is none."""
        population = self._population
        if not 0 <= number < population.count:
            raise InputError(f"Chip {number} does not exist; the run has chips 0 to {population.count - 1}.")
        made, cells = (jax.tree.map(lambda leaf: leaf[number], t) for t in (population.chips, self.chips.cells))
        return self._evaluator().network(made, self._other), cells

    def shown(self, count: int = 10) -> Any:
        """What the network is given for the first test examples: [steps, examples, rows], or events."""
        dt = self._population.learner.clock.dt
        return self._evaluator().first(count, dt, key=jax.random.key(self.seeds[0]))

    def devices(self) -> dict[str, Any]:
        """By matrix, the device as it is on paper, without the spread of a chip."""
        crossbars = self._population.learner.network.crossbars
        return {name: crossbar.cell.device for name, crossbar in zip(self.names, crossbars, strict=True)}

    def age(
        self, ages: tuple[float, ...], compensation: AbstractCompensation | None = None, *, chips: int = 20
    ) -> list[dict[str, Any]]:
        """Accuracy after `ages` in s, a row an age and compensation, as `evaluation.age` gives them.

        Chips that pulses have trained are those that age; where weights are exact, `chips` new ones are programmed.
        InputError where the run follows numbers.
        """
        if self.prepared.data.regression:
            raise InputError(f"The run {self.folder} follows numbers; ages are measured of classifiers alone.")
        wanted, evaluator = self.prepared.evaluation, self._evaluator()
        life = Lifetime(ages, wanted.programmer, reference_age=wanted.reference_age, chips=chips)
        named: dict[str, AbstractCompensation] = {"none": NoCompensation()}
        if compensation is not None:
            named[type_of(compensation)] = compensation
        key = jax.random.key(self.seeds[0] + 2_000_003)
        return age_rows(evaluator, self.chips, life, named, learner=self._other, key=key)


def load(folder: str | Path) -> TrainedRun:
    """The training in a run folder, finished or not, as `TrainedRun`."""
    return TrainedRun(folder)
