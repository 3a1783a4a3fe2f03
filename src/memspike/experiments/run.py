"""Run an experiment: train all seeds together, checkpoint, evaluate, write the run folder."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from memspike._errors import InputError
from memspike._param import parameters
from memspike.data.store import load
from memspike.experiments.config import ExperimentConfig
from memspike.experiments.diagnose import raise_not_finite
from memspike.experiments.folder import Checkpoint, RunFolder
from memspike.experiments.model import Classifier, classifier, pixels
from memspike.experiments.training import Evaluator, Trainer, TrainState, fabricated, seed_of

SAMPLES = 3


class Progress(NamedTuple):
    """How far a run is: steps done of all, mean loss of the last chunk, last test accuracy or None."""

    step: int
    total: int
    loss: float
    accuracy: float | None


Report = Callable[[Progress], None]


def _silent(progress: Progress) -> None:
    """Report nothing."""


def _restore(trainer: Trainer, folder: RunFolder, resume: bool) -> tuple[TrainState, Checkpoint]:
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
    state, saved = _restore(trainer, folder, resume)
    config, history, begin = trainer.config, list(saved.history), time.perf_counter()
    every, per_epoch = config.training.checkpoint_every, trainer.per_epoch
    first, summed = saved.step, np.asarray(saved.loss_sum)
    accuracy = float(np.mean([r["test_accuracy"] for r in history[-config.seeds :]])) if history else None
    for end in (b for b in trainer.boundaries() if b > saved.step):
        state, losses = _chunk(trainer, state, first, end)
        summed = summed + losses.sum(axis=0, dtype=np.float64)
        if end % per_epoch == 0:
            scores = evaluator.accuracy(state.pairs)
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


def _samples(model: Classifier, evaluator: Evaluator, pairs: Any, fine_dt: float) -> dict[str, np.ndarray]:
    """Waveforms of a few test images at a fine step and the confusion matrix of the first seed."""
    data, fine = evaluator.data, model.at_step(fine_dt)
    one = seed_of(pairs, 0)
    images = data.x_test[:SAMPLES]
    traces = fine.traces(one, pixels(jax.numpy.asarray(images), data.full_scale))
    predicted = evaluator.predictions(jax.tree.map(lambda leaf: leaf[:1], pairs))[0]
    confusion = np.zeros((data.classes, data.classes), dtype=np.int64)
    np.add.at(confusion, (data.y_test, predicted), 1)
    arrays = {f"trace_{k}": np.asarray(trace) for k, trace in enumerate(traces)}
    arrays |= {f"g_plus_{k}": np.asarray(p.plus) for k, p in enumerate(one)}
    arrays |= {f"g_minus_{k}": np.asarray(p.minus) for k, p in enumerate(one)}
    rest = [np.asarray(layer.neuron.rest()) for layer in model.network.layers]
    return arrays | {
        "images": images,
        "labels": data.y_test[:SAMPLES],
        "predicted": predicted[:SAMPLES],
        "confusion": confusion,
        "rest": np.asarray(rest),
        "dt": np.asarray(fine.dt),
    }


def _spread(values: np.ndarray) -> float:
    """Sample standard deviation, 0 for a single value."""
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def _evaluate(model: Classifier, evaluator: Evaluator, config: ExperimentConfig, pairs: Any) -> dict[str, Any]:
    """Final accuracies: as trained, at a fine step, and of noisy chips."""
    scores = evaluator.accuracy(pairs)
    fine = evaluator.accuracy(pairs, model=model.at_step(config.evaluation.fine_dt))
    chip_key, read_key = jax.random.split(jax.random.key(config.seed + 1_000_003))
    chips = fabricated(model, seed_of(pairs, 0), config.evaluation.chips, key=chip_key)
    noisy = evaluator.accuracy(chips, key=read_key)
    return {
        "test_accuracy": float(scores.mean()),
        "test_accuracy_sd": _spread(scores),
        "test_accuracy_min": float(scores.min()),
        "test_accuracy_fine_step": float(fine.mean()),
        "chips_accuracy": float(noisy.mean()),
        "chips_accuracy_sd": _spread(noisy),
        "chips_accuracy_min": float(noisy.min()),
    }


def run(config: ExperimentConfig, out: Path, *, resume: bool = False, report: Report = _silent) -> dict[str, Any]:
    """Run `config` in the folder `out` and return the content of its result.json.

    InputError for input that cannot be used, RunError if the run fails; an interrupted run goes on from
    its last checkpoint with `resume=True` and ends with the same numbers.
    """
    data = load(config.data.name).limited(config.data.train, config.data.test)
    if config.data.hold_out is not None:
        data = data.held_out(config.data.hold_out)
    if config.training.batch > len(data.y_train):
        raise InputError(
            f"training.batch is {config.training.batch}; {data.name} has {len(data.y_train)} training images here."
        )
    model = classifier(config, data)
    folder = RunFolder(out)
    folder.start(config, resume=resume)
    trainer, evaluator = Trainer(model, data, config), Evaluator(model, data)
    state, history, seconds = _train(trainer, evaluator, folder, resume=resume, report=report)
    folder.write_csv("metrics.csv", history)
    folder.write_arrays("samples.npz", _samples(model, evaluator, state.pairs, config.evaluation.fine_dt))
    table = [
        {"name": p.path, "value": np.asarray(p.value).tolist(), "unit": p.unit, "doc": p.doc, "source": p.source}
        for p in parameters(model)
    ]
    folder.write_json("parameters.json", table)
    result = {"experiment": config.experiment, **_evaluate(model, evaluator, config, state.pairs)}
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
