"""Run an experiment: train all seeds together, checkpoint, evaluate, write the run folder."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from memspike.arrays.programmer import WriteVerify
from memspike.data.base import Dataset
from memspike.data.store import load
from memspike.experiments.aging import Plan, inference_over_time
from memspike.experiments.config import ArrayConfig, ExperimentConfig
from memspike.experiments.diagnose import raise_not_finite
from memspike.experiments.model import Classifier, classifier, pixels
from memspike.experiments.training import Evaluator, Trainer, TrainState, fabricated, seed_of
from memspike.parts.errors import InputError
from memspike.parts.param import parameters
from memspike.parts.registry import COMPENSATIONS, PROGRAMMERS
from memspike.training.costs import pulse_costs
from memspike.training.folder import Checkpoint, RunFolder

SAMPLES = 3


class Progress(NamedTuple):
    """How far a run is: steps done of all, mean loss of the last chunk, last test accuracy or None."""

    step: int
    total: int
    loss: float
    accuracy: float | None


Report = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Report nothing."""


def restore(trainer: Trainer, folder: RunFolder, resume: bool) -> tuple[TrainState, Checkpoint]:
    """The training state of the newest checkpoint, or of the beginning."""
    start = trainer.init()
    checkpoint = folder.latest() if resume else None
    if checkpoint is None:
        return start, Checkpoint(0, [], [], [0.0] * trainer.config.seeds, 0.0)
    leaves, treedef = jax.tree.flatten(start)
    if [leaf.shape for leaf in leaves] != [leaf.shape for leaf in checkpoint.leaves]:
        raise InputError(f"The checkpoint in {folder.path} does not fit this configuration.")
    return jax.tree.unflatten(treedef, [jax.numpy.asarray(leaf) for leaf in checkpoint.leaves]), checkpoint


def _chunk(
    trainer: Trainer, state: TrainState, first: int, end: int
) -> tuple[TrainState, Float[np.ndarray, "steps seeds"]]:
    """Train from step `first` to `end` → state and losses; RunError if anything is not finite."""
    epoch, offset = divmod(first, trainer.per_epoch)
    indices = trainer.indices(epoch)[offset : offset + end - first]
    after, metrics = trainer.chunk(state, first, indices)
    losses = np.asarray(metrics["loss"])
    bad = ~(np.isfinite(losses) & np.isfinite(np.asarray(metrics["gradient_norm"])))
    if bad.any():
        raise_not_finite(trainer, state, first, indices, bad)
    return after, losses


def _train(
    trainer: Trainer, evaluator: Evaluator, folder: RunFolder, *, resume: bool, report: Report
) -> tuple[TrainState, list[dict[str, Any]], float]:
    """Train to the end from the last checkpoint → state, history (a row per epoch and seed), seconds."""
    state, saved = restore(trainer, folder, resume)
    config, history, begin = trainer.config, list(saved.history), time.perf_counter()
    every, per_epoch = config.training.checkpoint_every, trainer.per_epoch
    first, summed = saved.step, np.asarray(saved.loss_sum)
    accuracy = float(np.mean([r["test_accuracy"] for r in history[-config.seeds :]])) if history else None
    for end in (b for b in trainer.boundaries() if b > saved.step):
        state, losses = _chunk(trainer, state, first, end)
        summed = summed + losses.sum(axis=0, dtype=np.float64)
        if end % per_epoch == 0:
            scores = evaluator.accuracy(state.lines)
            numbers = zip(range(config.seed, config.seed + config.seeds), summed / per_epoch, scores, strict=True)
            history += [
                {"epoch": end // per_epoch, "step": end, "seed": s, "loss": float(loss), "test_accuracy": float(score)}
                for s, loss, score in numbers
            ]
            accuracy, summed = float(scores.mean()), np.zeros_like(summed)
        if end // every > first // every or end == trainer.total:
            leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(state)]
            seconds = saved.seconds + time.perf_counter() - begin
            folder.save(Checkpoint(end, leaves, history, summed.tolist(), seconds))
            if history:
                folder.write_csv("metrics.csv", history)
        first = end
        report(Progress(end, trainer.total, float(losses.mean()), accuracy))
    return state, history, saved.seconds + time.perf_counter() - begin


def _samples(model: Classifier, evaluator: Evaluator, lines: Any, fine_dt: float) -> dict[str, np.ndarray]:
    """Waveforms of a few test images at a fine step and the confusion matrix of the first seed."""
    data, fine = evaluator.data, model.at_step(fine_dt)
    one = seed_of(lines, 0)
    images = data.x_test[:SAMPLES]
    traces = fine.traces(model.network.transfer(one), pixels(jax.numpy.asarray(images), data.full_scale))
    predicted = evaluator.predictions(jax.tree.map(lambda leaf: leaf[:1], lines))[0]
    confusion = np.zeros((data.classes, data.classes), dtype=np.int64)
    np.add.at(confusion, (data.y_test, predicted), 1)
    arrays = {f"trace_{k}": np.asarray(trace) for k, trace in enumerate(traces)}
    arrays |= {f"g_{k}": np.asarray(g) for k, g in enumerate(one)}
    rest = [np.asarray(layer.neuron.rest()) for layer in model.network.layers]
    return arrays | {
        "images": images,
        "labels": data.y_test[:SAMPLES],
        "predicted": predicted[:SAMPLES],
        "confusion": confusion,
        "rest": np.asarray(rest),
        "dt": np.asarray(fine.dt),
    }


def spread(values: np.ndarray) -> float:
    """Sample standard deviation, 0 for a single value."""
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def _evaluate(model: Classifier, evaluator: Evaluator, config: ExperimentConfig, lines: Any) -> dict[str, Any]:
    """Final accuracies: as trained, at a fine step, and of noisy chips."""
    scores = evaluator.accuracy(lines)
    fine = evaluator.accuracy(lines, model=model.at_step(config.evaluation.fine_dt))
    chip_key, read_key = jax.random.split(jax.random.key(config.seed + 1_000_003))
    chips = fabricated(model, seed_of(lines, 0), config.evaluation.chips, key=chip_key)
    noisy = evaluator.accuracy(chips, key=read_key)
    return {
        "test_accuracy": float(scores.mean()),
        "test_accuracy_sd": spread(scores),
        "test_accuracy_min": float(scores.min()),
        "test_accuracy_fine_step": float(fine.mean()),
        "chips_accuracy": float(noisy.mean()),
        "chips_accuracy_sd": spread(noisy),
        "chips_accuracy_min": float(noisy.min()),
    }


def _check_names(config: ExperimentConfig) -> None:
    """What the evaluation names must exist, and ages need a device."""
    COMPENSATIONS.get(config.evaluation.compensation)
    PROGRAMMERS.get(config.evaluation.programmer)
    if config.evaluation.age and config.synapse.device is None:
        raise InputError("evaluation.age needs devices that age; set synapse.device, e.g. synapse.device=pcm-joshi.")


def _over_time(model: Classifier, evaluator: Evaluator, config: ExperimentConfig, lines: Any) -> list[dict[str, Any]]:
    """A row for every age, without compensation and with the chosen one."""
    wanted = config.evaluation
    programmer = PROGRAMMERS.get(wanted.programmer).value
    options = {"tolerance": wanted.tolerance, "settle": wanted.reference_age} if programmer is WriteVerify else {}
    weights = model.network.weights(seed_of(lines, 0))
    rows, chips, key = [], None, jax.random.key(config.seed + 2_000_003)
    for name in dict.fromkeys(("none", wanted.compensation)):
        plan = Plan(
            ages=wanted.age,
            programmer=programmer(**options),
            compensation=COMPENSATIONS.get(name).value(),
            reference_age=wanted.reference_age,
            chips=wanted.chips,
        )
        found = inference_over_time(model, evaluator, weights, plan, written=chips, key=key)
        chips = found.written
        failed = float(np.mean([np.asarray(w.failed).mean() for w in found.written]))
        pulses = float(np.mean([np.asarray(w.up + w.down + w.resets).mean() for w in found.written]))
        rows += [
            {
                "age_s": age,
                "compensation": name,
                "accuracy_mean": float(scores.mean()),
                "accuracy_sd": spread(scores),
                "accuracy_min": float(scores.min()),
                "chips": wanted.chips,
                "pulses_per_device": pulses,
                "failed": failed,
            }
            for age, scores in zip(wanted.age, found.accuracy, strict=True)
        ]
    return rows


def read_data(config: ExperimentConfig) -> Dataset:
    """The images that a configuration asks for."""
    data = load(config.data.name, config.data.leave_out).limited(config.data.train, config.data.test)
    return data if config.data.hold_out is None else data.held_out(config.data.hold_out)


def run(config: ExperimentConfig, out: Path, *, resume: bool = False, report: Report = silent) -> dict[str, Any]:
    """Run `config` in the folder `out` and return the content of its result.json.

    InputError for input that cannot be used, RunError if the run fails; an interrupted run goes on from
    its last checkpoint with `resume=True` and ends with the same numbers.
    """
    data = read_data(config)
    if config.training.batch > len(data.y_train):
        raise InputError(
            f"training.batch is {config.training.batch}; {data.name} has {len(data.y_train)} training images here."
        )
    _check_names(config)
    model = classifier(config, data)
    trained = model if config.array.train else classifier(config.model_copy(update={"array": ArrayConfig()}), data)
    trainer, evaluator = Trainer(trained, data, config), Evaluator(model, data)
    folder = RunFolder(out)
    folder.start(config, resume=resume)
    state, history, seconds = _train(trainer, evaluator, folder, resume=resume, report=report)
    folder.write_csv("metrics.csv", history)
    folder.write_arrays("samples.npz", _samples(model, evaluator, state.lines, config.evaluation.fine_dt))
    table = [
        {"name": p.path, "value": np.asarray(p.value).tolist(), "unit": p.unit, "doc": p.doc, "source": p.source}
        for p in parameters(model)
    ]
    folder.write_json("parameters.json", table)
    result = {"experiment": config.experiment, **_evaluate(model, evaluator, config, state.lines)}
    if config.evaluation.age:
        result["rows"] = _over_time(model, evaluator, config, state.lines)
    if not config.array.ideal:
        result["wires_deviation"] = float(np.max(state.wires.deviation))
    if state.ledger is not None:
        result |= {"scheme": config.training.scheme, **pulse_costs(state.ledger, config.seeds)}
    result |= {
        "chips": config.evaluation.chips,
        "seeds": config.seeds,
        "seed": config.seed,
        "steps": trainer.total,
        "wall_s": round(seconds, 2),
        "steps_per_s": round(trainer.total * config.seeds / seconds, 2),
        "final_loss": float(np.mean([row["loss"] for row in history[-config.seeds :]])),
        "test_images": len(data.y_test),
        "train_images": len(data.y_train),
    }
    folder.write_json("result.json", result)
    return result
