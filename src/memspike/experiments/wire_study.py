"""Accuracy against wire resistance, with the wires in the training loop and without."""

import dataclasses
from itertools import product
from typing import Any, NamedTuple

import equinox as eqx
import numpy as np

from memspike.config.build import Built, classifier, data_set, learner_of, network_of
from memspike.config.sections import ArraySettings
from memspike.config.settings import Settings
from memspike.experiments.base import Result, nested
from memspike.experiments.memprop import memprop, memprop_mnist
from memspike.experiments.table import ACCURACY, LOWEST, Column
from memspike.parts.errors import InputError, RunError
from memspike.parts.param import option, part
from memspike.training.classify import accuracies
from memspike.training.evaluate import Evaluator, spread
from memspike.training.fit import restored
from memspike.training.folder import RunFolder
from memspike.training.learner import Chip, Learner
from memspike.training.population import Population
from memspike.training.progress import Report


class Wires(eqx.Module):
    """The arrays that are compared."""

    resistances: tuple[float, ...] = option(
        (0.1, 1.0, 3.0, 10.0), "wire resistances of a segment", unit="Ω", bounds=(1e-12, 1e9)
    )
    tiles: tuple[int, ...] = option((128, 256), "rows and columns of devices on one array", bounds=(1, 10**6))


class WireSettings(Settings):
    """The training that is repeated on several arrays."""

    study: Wires = part(Wires, "the arrays that are compared")


class Wired(NamedTuple):
    """An array: its tile size and wire resistance, the training on it, and the learner that is evaluated."""

    tile: int
    resistance: float
    settings: Settings
    learner: Learner


class Study(NamedTuple):
    """Chips without wires, and all arrays with wires."""

    settings: WireSettings
    ideal: Settings
    built: Built
    wired: list[Wired]


def training(settings: WireSettings, array: ArraySettings) -> Settings:
    """The settings of one training."""
    given = {f.name: getattr(settings, f.name) for f in dataclasses.fields(Settings)}
    return Settings(**given | {"experiment": "memprop-mnist", "array": array})


def prepare(settings: WireSettings) -> Study:
    """The learner of every array; InputError where tiles do not fit."""
    study, array, data = settings.study, settings.array, data_set(settings)
    if not (study.resistances and study.tiles):
        raise InputError("study.resistances and study.tiles need one or more entries each.")
    ideal = training(settings, dataclasses.replace(ArraySettings(), drive=array.drive))
    built = classifier(ideal, data)
    trials, found = built.population.trials, []
    inputs = built.learner.network.shapes[0][0]
    for tile, r in product(study.tiles, study.resistances):
        own = training(settings, dataclasses.replace(array, r_row=r, r_column=r, tile=(tile, tile)))
        network = network_of(own, inputs, data.classes, image=data.x_train.shape[1:])
        found.append(Wired(tile, r, own, learner_of(own, network, built.learner.clock.steps, trials.count)))
    return Study(settings, ideal, built, found)


def trained(settings: Settings, population: Population, folder: RunFolder, report: Report) -> Chip:
    """All chips after a training in `folder`, which goes on where it was; `population` is that of the settings."""
    nested(settings, folder.path, report=report)
    chips, checkpoint = restored(population, folder)
    if not checkpoint.step:
        raise RunError(f"The training in {folder.path} left no readable checkpoint.")
    return chips


def compare(study: Study, folder: RunFolder, *, resume: bool, report: Report) -> Result:
    """Train once with ideal wires and once for every tile size and resistance; evaluate all with their wires.

    All trainings have the same seeds and number of steps. The folder holds one run folder a training.
    """
    data, trainings = study.built.data, folder.path / "trainings"
    evaluator = Evaluator(study.built.population, data, study.settings.evaluation.at_once)
    without = trained(study.ideal, study.built.population, RunFolder(trainings / "ideal"), report)
    base = accuracies(evaluator.accuracy(without))
    rows: list[dict[str, Any]] = []
    for one in study.wired:
        name = f"tile-{one.tile}-{one.resistance:g}-ohm"
        inside = trained(one.settings, classifier(one.settings, data).population, RunFolder(trainings / name), report)
        for how, chips in (("ideal wires", without), ("with its wires", inside)):
            scores: np.ndarray = evaluator.accuracy(chips, learner=one.learner)
            row = {"tile": one.tile, "r_ohm": one.resistance, "trained": how, "accuracy_mean": float(scores.mean())}
            rows.append(row | {"accuracy_sd": spread(scores), "accuracy_min": float(scores.min())})
    return {
        "test_accuracy": base["test_accuracy"],
        "test_accuracy_sd": base["test_accuracy_sd"],
        "epochs": study.settings.training.epochs,
        "test_examples": len(data.y_test),
        "rows": rows,
    }


wire_study = memprop(
    "wire-study",
    "accuracy of MEMprop on MNIST, 784-400-10 on tiles, against wire resistance, trained with and without the wires",
    memprop_mnist.tables,
    {
        "seeds": 2,
        "network": {"layers": [{"size": 400}]},
        "training": {"epochs": 4},
        "evaluation": {"chips": 2},
    },
    quick={
        "seeds": 1,
        "data.name": "digits",
        "network.layers": (32,),
        "training.epochs": 4,
        "training.batch": 32,
        "learning.optimizer.learning_rate": 1e-2,
        "study.resistances": (10.0, 100.0),
        "study.tiles": (32,),
    },
    expected=0.986,
    expected_quick=0.928,
    reference="no figure is published for this network",
    carry=compare,
    prepare=prepare,
    kind="wires",
    columns=(
        Column("tile", "tile", "count"),
        Column("r_ohm", "wire resistance", "number", "Ω"),
        Column("trained", "trained on", "text"),
        ACCURACY,
        LOWEST,
    ),
    root=WireSettings,
)
