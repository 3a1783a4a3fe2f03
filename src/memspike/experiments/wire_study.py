"""Accuracy against wire resistance, with the wires in the training loop and without."""

from itertools import product
from pathlib import Path
from typing import Any

from memspike.experiments.base import Experiment, register
from memspike.experiments.config import (
    ArrayConfig,
    DataConfig,
    EvaluationConfig,
    ExperimentConfig,
    InputConfig,
    NetworkConfig,
    TrainingConfig,
)
from memspike.experiments.model import classifier
from memspike.experiments.run import Report, read_data, restore, run, silent, spread
from memspike.experiments.training import Evaluator, Trainer
from memspike.parts.errors import RunError
from memspike.training.folder import RunFolder


def _wired(config: ExperimentConfig, tile: int, r: float) -> ExperimentConfig:
    array = ArrayConfig(**(config.array.model_dump() | {"r_row": r, "r_column": r, "tile": (tile, tile)}))
    return config.model_copy(update={"array": array})


def _trained(config: ExperimentConfig, out: Path, report: Report) -> Any:
    """Train in `out`, or go on there; → the programmed conductances of all seeds."""
    result = out / "result.json"
    if not result.exists():
        run(config, out, resume=(out / "config.toml").exists(), report=report)
    data = read_data(config)
    state, checkpoint = restore(Trainer(classifier(config, data), data, config), RunFolder(out), resume=True)
    if not checkpoint.step:
        raise RunError(f"The training in {out} left no readable checkpoint.")
    return state.lines


def compare_wires(
    config: ExperimentConfig, out: Path, *, resume: bool = False, report: Report = silent
) -> dict[str, Any]:
    """Train once with ideal wires and once for every tile size and resistance; evaluate all with their wires.

    All trainings have the same seeds and number of steps. The folder holds one run folder a training; an interrupted
    study goes on where it was.
    """
    folder = RunFolder(out)
    folder.start(config, resume=resume)
    data = read_data(config)
    ideal = config.model_copy(update={"array": ArrayConfig()})
    without = _trained(ideal, out / "trainings" / "ideal", report)
    base = Evaluator(classifier(ideal, data), data).accuracy(without)
    rows = []
    for tile, r in product(config.study.tiles, config.study.resistances):
        wired = _wired(config, tile, r)
        evaluator = Evaluator(classifier(wired, data), data)
        inside = _trained(wired, out / "trainings" / f"tile-{tile}-{r:g}-ohm", report)
        for trained, lines in (("ideal wires", without), ("with its wires", inside)):
            scores = evaluator.accuracy(lines)
            row = {"tile": tile, "r_ohm": r, "trained": trained, "accuracy_mean": float(scores.mean())}
            rows.append(row | {"accuracy_sd": spread(scores), "accuracy_min": float(scores.min())})
    result = {
        "experiment": config.experiment,
        "test_accuracy": float(base.mean()),
        "test_accuracy_sd": spread(base),
        "seeds": config.seeds,
        "seed": config.seed,
        "epochs": config.training.epochs,
        "test_images": len(data.y_test),
        "rows": rows,
    }
    folder.write_json("result.json", result)
    return result


wire_study = register(
    Experiment(
        ExperimentConfig(
            experiment="wire-study",
            seeds=2,
            data=DataConfig(name="mnist"),
            input=InputConfig(read_voltage=0.2),
            network=NetworkConfig(hidden=(400,)),
            training=TrainingConfig(epochs=4, learning_rate=2e-3, shift=0.5),
            evaluation=EvaluationConfig(chips=2),
        ),
        quick={
            "seeds": 1,
            "data.name": "digits",
            "network.hidden": (32,),
            "training.epochs": 4,
            "training.batch": 32,
            "training.learning_rate": 1e-2,
            "study.resistances": (10.0, 100.0),
            "study.tiles": (32,),
        },
        expected=0.986,
        expected_quick=0.928,
        reference="no figure is published for this network",
        study=compare_wires,
    ),
    "accuracy of MEMprop on MNIST, 784-400-10 on tiles, against wire resistance, trained with and without the wires",
)
