"""The one training loop: pieces of steps, metrics, checkpoints; the same for every rule, scheme and network.

Where a loss is not finite it stops, and says which step, which chip, what of it, and why probably.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from memspike.cells.differential import MultiDevice
from memspike.networks.base import lines_of
from memspike.networks.feedforward import Feedforward, Membranes
from memspike.neurons.mif import MIF, forward_euler
from memspike.parts.atomic import read_arrays
from memspike.parts.errors import InputError, RunError
from memspike.training.folder import Checkpoint, RunFolder
from memspike.training.learner import Chip
from memspike.training.population import Metrics, Piece, Population
from memspike.training.progress import Progress, Report, silent

# steps of one program where a batch is shared out among devices; epochs between two checkpoints at most 1/25 of all
AT_ONCE, CHECKPOINTS, BINS = 50, 25, 81
Measure = Callable[[Chip], Float[np.ndarray, " chips"]]
"""Test accuracies of all chips."""


class Plan(NamedTuple):
    """How long a training lasts, and how often it stops to be measured and saved.

    `together` epochs run as one where an epoch is short (None: a 25th of all); a checkpoint is saved after about
    `checkpoint_every` steps (None: whenever the training stops).
    """

    epochs: int
    together: int | None = None
    checkpoint_every: int | None = None

    def pieces(self, population: Population) -> Iterator[Piece]:
        """The pieces of the training; the same for every run of a configuration, resumed or not."""
        per_epoch = population.per_epoch
        if population.spread_batch and per_epoch > AT_ONCE:
            number = -(-per_epoch // AT_ONCE)
            length = -(-per_epoch // number)
            for epoch in range(self.epochs):
                for first in range(0, per_epoch, length):
                    yield Piece(epoch, 1, first, min(length, per_epoch - first))
            return
        together = self.together or max(1, -(-self.epochs // CHECKPOINTS))
        for epoch in range(0, self.epochs, together):
            yield Piece(epoch, min(together, self.epochs - epoch), 0, per_epoch)


class Trained(NamedTuple):
    """The chips after training, a row of metrics an epoch and chip, and the seconds it took."""

    chips: Chip
    history: list[dict[str, Any]]
    seconds: float


def restored(population: Population, folder: RunFolder | None, *, resume: bool = True) -> tuple[Chip, Checkpoint]:
    """The chips of the newest checkpoint, or of the beginning; InputError for one of other chips."""
    start = population.init()
    checkpoint = folder.latest() if folder is not None and resume else None
    if folder is None or checkpoint is None:
        return start, Checkpoint(0, [], [], {}, 0.0)
    leaves, tree = jax.tree.flatten(start)
    if [leaf.shape for leaf in leaves] != [leaf.shape for leaf in checkpoint.leaves]:
        raise InputError(f"The checkpoint in {folder.path} does not fit this configuration.")
    chips = jax.tree.unflatten(tree, [jnp.asarray(leaf) for leaf in checkpoint.leaves])
    return population.placed(chips), checkpoint


class _Sums:
    """Metrics added up over the steps of an epoch, in double precision, until it is whole."""

    def __init__(self, saved: dict[str, list[float]]):
        self.of = {name: np.asarray(values, np.float64) for name, values in saved.items()}

    def rows(self, population: Population, piece: Piece, metrics: Metrics) -> list[dict[str, Any]]:
        """The rows of the epochs that end with a piece."""
        found: list[dict[str, Any]] = []
        steps = population.per_epoch
        for e in range(piece.epochs):
            for name, values in metrics.items():
                own = np.asarray(values)[:, e].sum(-1, dtype=np.float64)
                self.of[name] = self.of.get(name, 0.0) + own
            if piece.first + piece.steps < steps:
                continue
            epoch, means = piece.epoch + e + 1, {name: value / steps for name, value in self.of.items()}
            for chip in range(population.count):
                seed = population.seeds[chip % len(population.seeds)]
                row = {"epoch": epoch, "step": epoch * steps, "seed": seed}
                found.append(row | {name: float(value[chip]) for name, value in means.items()})
            self.of = {}
        return found

    def plain(self) -> dict[str, list[float]]:
        """What a checkpoint keeps."""
        return {name: np.asarray(value).tolist() for name, value in self.of.items()}


def _due(piece: Piece, steps: int) -> bool:
    """Whether the correction of the wires is renewed before a piece: at every epoch, in the first one also in between.

    The ratio moves far more slowly than the weights (`Crossbar.correction`), and these move fastest at first.
    """
    return not piece.first or (piece.epoch == 0 and (piece.first // steps).bit_count() == 1)


def fit(
    population: Population,
    plan: Plan,
    folder: RunFolder | None = None,
    *,
    resume: bool = False,
    report: Report = silent,
    measure: Measure | None = None,
) -> Trained:
    """Train to the end, from the last checkpoint in the folder on.

    With `measure` the last row of every stop has the test accuracy; of other epochs it is None. RunError where a rule
    wants finite numbers and one is not.
    """
    chips, saved = restored(population, folder, resume=resume)
    history, sums, begin = list(saved.history), _Sums(saved.sums), time.perf_counter()
    total, done = plan.epochs * population.per_epoch, saved.step
    accuracy = _last(history, population.count)
    pieces = list(plan.pieces(population))
    for piece in pieces:
        first = piece.epoch * population.per_epoch + piece.first
        end = first + piece.epochs * piece.steps
        if end <= saved.step:
            continue
        if _due(piece, pieces[0].steps):
            chips = population.renewed(chips, first=first == 0)
        after, metrics = jax.block_until_ready(population.run(chips, piece))
        if population.learner.rule.finite:
            check_finite(population, chips, piece, metrics)
        chips, rows = after, sums.rows(population, piece, metrics)
        if rows and measure is not None:
            accuracy = _measured(measure(chips), rows)
        history += rows
        every = plan.checkpoint_every
        if folder is not None and (every is None or end // every > done // every or end == total):
            seconds = saved.seconds + time.perf_counter() - begin
            leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(chips)]
            folder.save(Checkpoint(end, leaves, history, sums.plain(), seconds))
            if history:
                folder.write_csv("metrics.csv", history)
            _snapshot(population, chips, piece.epoch + piece.epochs, folder)
        done = end
        report(Progress(end, total, float(np.nanmean(np.asarray(metrics["loss"]))), accuracy))
    return Trained(chips, history, saved.seconds + time.perf_counter() - begin)


def _last(history: list[dict[str, Any]], chips: int) -> float | None:
    """The accuracy of the last rows, if they were measured."""
    found = [row["test_accuracy"] for row in history[-chips:] if row.get("test_accuracy") is not None]
    return float(np.mean(found)) if found else None


def _measured(accuracy: Float[np.ndarray, " chips"], rows: list[dict[str, Any]]) -> float:
    """The mean accuracy, after the accuracies went into the last of the `rows`."""
    chips = len(accuracy)
    for k, row in enumerate(rows):
        row["test_accuracy"] = float(accuracy[k % chips]) if k >= len(rows) - chips else None
    return float(accuracy.mean())


def _snapshot(population: Population, chips: Chip, epoch: int, folder: RunFolder) -> None:
    """Histograms of what the weights of the first chip are worth in S, added to those of earlier epochs."""
    path = folder.path / "snapshots.npz"
    old = read_arrays(path) if path.exists() else {}
    network = population.network(population.first_of(population.chips))
    width = float(max(np.mean(np.asarray(c.cell.device.g_max)) for c in network.crossbars))
    edges = np.linspace(-width, width, BINS + 1)
    new = {"edges": edges}
    for name, crossbar, state in zip(network.names, network.crossbars, population.first_of(chips.cells), strict=True):
        devices = crossbar.cell.per_side if isinstance(crossbar.cell, MultiDevice) else 1
        worth = crossbar.cell.weight(crossbar.cell.stored(state)) * crossbar.cell.unit() / devices
        counts = np.histogram(np.asarray(worth), edges)[0]
        kept = old[name][old["epochs"] < epoch] if "epochs" in old else np.empty((0, BINS), counts.dtype)
        new[name] = np.concatenate([kept, counts[None]])
    before = old["epochs"][old["epochs"] < epoch] if "epochs" in old else np.empty(0, np.int64)
    folder.write_arrays("snapshots.npz", new | {"epochs": np.append(before, epoch)})


def is_finite(tree: Any) -> bool:
    """Whether every number of a tree is finite."""
    return all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array)))


def _cause(population: Population) -> str:
    network = population.learner.network
    neurons = [layer.neuron for layer in network.layers] if isinstance(network, Feedforward) else []
    if any(isinstance(n, MIF) and n.integrator is forward_euler for n in neurons):
        return (
            "forward Euler diverges once x1 + x2 exceeds about 0.18 at a 10 µs step; "
            "set neuron.integrator=staggered-exponential or a smaller simulation.dt"
        )
    return "lower learning.optimizer.learning_rate or encoder.read_voltage, or raise learning.objective.temperature"


def _culprit(population: Population, chip: Chip, piece: Piece, number: int, which: int) -> str:
    learner = population.learner
    made = jax.tree.map(lambda leaf: leaf[which], population.chips)
    network = population.network(made)
    for name, lines in zip(network.names, lines_of(network, chip.cells), strict=True):
        if not is_finite(lines):
            return f"the conductances of {name}"
    trial = population.trial_of(made, which, piece, number)
    view = learner.view(network, chip.cells, None if chip.wires is None else chip.wires.corrections)
    activity = learner.rule.run(chip.rule, view, trial.x, key=None)
    if isinstance(activity, Membranes):
        for k, v in enumerate(activity.layers, start=1):
            if not is_finite(v):
                return f"the membranes of layer {k}"
    batch, key = learner.batch_of(trial), jax.random.key(0)
    _, change, _ = learner.rule.update(chip.rule, view, batch, learner.transformation(), key=key)
    for name, one in zip(network.names, change, strict=True):
        if not is_finite(one):
            return f"the gradient of {name}"
    return "the gradient"


def check_finite(population: Population, before: Chip, piece: Piece, metrics: Metrics) -> None:
    """RunError that names the first bad step of a piece, its seed and what of the chip is not finite.

    The piece is replayed from `before`, its good start, up to that step.
    """
    bad = ~np.stack([np.isfinite(np.asarray(values)).reshape(population.count, -1) for values in metrics.values()]).all(
        0
    )
    if not bad.any():
        return
    ahead, which = (int(i) for i in np.argwhere(bad.T)[0])
    chips = before
    if ahead:
        chips, _ = population.run(before, piece._replace(epochs=1, steps=ahead))
    chip = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)[which]), chips)
    culprit = _culprit(population, chip, piece, ahead, which)
    seed = population.seeds[which % len(population.seeds)]
    raise RunError(
        f"Training stopped at step {piece.epoch * population.per_epoch + piece.first + ahead}, seed {seed}: {culprit} "
        f"is not finite; likely cause: {_cause(population)}."
    )
