"""Online training of many chips at once: trial after trial, with an update after each."""

import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from memspike.cells.base import AbstractCell
from memspike.cells.multi import MultiDevice
from memspike.experiments.learner import AbstractLearner, Chip
from memspike.experiments.online_config import LoopedConfig
from memspike.experiments.run import Progress, Report, spread
from memspike.parts.errors import InputError
from memspike.parts.parallel import vmap_split
from memspike.training.costs import pulse_costs
from memspike.training.folder import Checkpoint, RunFolder

# epochs of one jitted call: a checkpoint and a line of progress after each
CHUNKS = 25
# seeds of chips, trials and order are apart
MADE, STARTED, ORDERED, SHOWN = range(4)


class Shown(NamedTuple):
    """Trials of a task as arrays: `trial(index, key)` gives inputs [steps, *batch, inputs] and target."""

    trial: Callable[..., tuple[Array, Array]]
    number: int


Task = Callable[[PRNGKeyArray, Int[Array, ""]], Shown]
"""What a chip with that key is shown in an epoch; traced, so that data may differ from chip to chip and in time."""
LearnerT = TypeVar("LearnerT", bound=AbstractLearner)
ConfigT = TypeVar("ConfigT", bound=LoopedConfig)
Measure = Callable[[Chip], Float[np.ndarray, " seeds"]]
"""Test accuracies of the chips of all seeds."""


class Blueprint(NamedTuple):
    """What a chip is and never changes: its key, its numbers (see `Online`) and its network, where it has its own."""

    key: PRNGKeyArray
    numbers: Any
    network: Any


class Online(Generic[LearnerT, ConfigT]):
    """Binds a learner and a task to jitted functions of all chips; holds no training state.

    There is a chip a seed. Of several learners, which must differ in numbers alone, there is one a learner and seed
    (seeds of the first learner first), all trained together.
    """

    def __init__(self, learners: Sequence[LearnerT], task: Task, config: ConfigT, count: int):
        self.learner, self.task, self.config = learners[0], task, config
        self.per_epoch = count // config.learning.batch
        seeds = jnp.stack([jax.random.key(config.seed + k) for k in range(config.seeds)])
        self.keys = jnp.tile(seeds, len(learners))
        self.numbers = _stacked(learners, config.seeds) if len(learners) > 1 else None
        make = jax.jit(lambda *chips: vmap_split(self._made, *chips))
        self.chips = Blueprint(self.keys, self.numbers, None)
        if self.learner.individual:
            # devices are drawn once, and not again in every program that uses them
            self.chips = self.chips._replace(network=make(self.keys, self.numbers))
        self._init = jax.jit(lambda chips: vmap_split(self._start, chips))
        jax.eval_shape(self._init, self.chips)  # a scheme that does not fit its cell says so before anything is written
        self._chunks: dict[int, Any] = {}

    def learner_of(self, numbers: Any) -> LearnerT:
        """The learner of a chip, given its entry of `numbers`."""
        return self.learner if numbers is None else eqx.combine(numbers, self.learner)

    def _made(self, key: PRNGKeyArray, numbers: Any) -> Any:
        return self.learner_of(numbers).fabricated(jax.random.fold_in(key, MADE))

    def network(self, chip: "Blueprint") -> Any:
        """The network of a chip."""
        return self._made(chip.key, chip.numbers) if chip.network is None else chip.network

    def _start(self, chip: "Blueprint") -> Chip:
        return self.learner_of(chip.numbers).init(self.network(chip), key=jax.random.fold_in(chip.key, STARTED))

    def init(self) -> Chip:
        """The chips of all seeds before the first trial, with a leading axis of seeds."""
        return self._init(self.chips)

    def _epoch(
        self, made: "Blueprint", chip: Chip, epoch: Int[Array, ""]
    ) -> tuple[Chip, dict[str, Float[Array, " trials"]]]:
        key, learner, network = made.key, self.learner_of(made.numbers), self.network(made)
        shown, batch = self.task(key, epoch), self.config.learning.batch
        order_key = jax.random.fold_in(jax.random.fold_in(key, ORDERED), epoch)
        order = jax.random.permutation(order_key, shown.number)[: self.per_epoch * batch]

        def body(chip: Chip, now: tuple[Array, Array]) -> tuple[Chip, dict[str, Array]]:
            index, k = now
            for_trial, for_step = jax.random.split(jax.random.fold_in(order_key, k + 1))
            x, target = shown.trial(index[0] if batch == 1 else index, for_trial)
            return learner.step(network, chip, x, target, key=for_step)

        numbers = jnp.arange(self.per_epoch, dtype=jnp.int32)
        return jax.lax.scan(body, chip, (order.reshape(self.per_epoch, batch), numbers))

    def epochs(
        self, chips: Chip, first: int, count: int
    ) -> tuple[Chip, dict[str, Float[Array, "seeds epochs trials"]]]:
        """`count` epochs from epoch number `first` on."""

        def one(made: Blueprint, chip: Chip, start: Array) -> tuple[Chip, dict[str, Array]]:
            epochs = start + jnp.arange(count, dtype=jnp.int32)
            return jax.lax.scan(lambda c, e: self._epoch(made, c, e), chip, epochs)

        if count not in self._chunks:
            self._chunks[count] = jax.jit(lambda *chips: vmap_split(one, *chips))
        start = jnp.full(len(self.keys), first, jnp.int32)
        return self._chunks[count](self.chips, chips, start)


def _stacked(learners: Sequence[AbstractLearner], seeds: int) -> Any:
    """The numbers of all learners with a leading axis, each repeated for all seeds."""
    leaves, trees = zip(*(jax.tree.flatten(eqx.filter(one, eqx.is_inexact_array)) for one in learners), strict=True)
    together = [jnp.repeat(jnp.stack(same), seeds, axis=0) for same in zip(*leaves, strict=True)]
    return jax.tree.unflatten(trees[0], together)


def _restore(online: Online[Any, Any], folder: RunFolder, resume: bool) -> tuple[Chip, Checkpoint]:
    start = online.init()
    checkpoint = folder.latest() if resume else None
    if checkpoint is None:
        return start, Checkpoint(0, [], [], [], 0.0)
    leaves, tree = jax.tree.flatten(start)
    if [leaf.shape for leaf in leaves] != [leaf.shape for leaf in checkpoint.leaves]:
        raise InputError(f"The checkpoint in {folder.path} does not fit this configuration.")
    return jax.tree.unflatten(tree, [jnp.asarray(leaf) for leaf in checkpoint.leaves]), checkpoint


def train(
    online: Online[Any, Any], folder: RunFolder, *, resume: bool, report: Report, measure: Measure | None = None
) -> tuple[Chip, list[dict[str, Any]], float]:
    """Train all epochs, from the last checkpoint on → chips, history (a row an epoch and seed), seconds.

    With `measure` every row has the test accuracy; of epochs after which no checkpoint was saved it is None.
    """
    chips, saved = _restore(online, folder, resume)
    config, history, begin = online.config, list(saved.history), time.perf_counter()
    total = config.learning.epochs
    length = max(1, -(-total // CHUNKS))
    for first in range(saved.step, total, length):
        count = min(length, total - first)
        chips, metrics = jax.block_until_ready(online.epochs(chips, first, count))
        numbers = {name: np.asarray(value).mean(-1) for name, value in metrics.items()}
        history += [
            {"epoch": first + e + 1, "seed": config.seed + s, **{n: float(v[s, e]) for n, v in numbers.items()}}
            for e in range(count)
            for s in range(config.seeds)
        ]
        accuracy = None if measure is None else _measured(measure(chips), history[-count * config.seeds :])
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(chips)]
        folder.save(Checkpoint(first + count, leaves, history, [], saved.seconds + time.perf_counter() - begin))
        folder.write_csv("metrics.csv", history)
        _snapshot(online.learner, chips, first + count, folder)
        report(Progress(first + count, total, float(np.nanmean(numbers["loss"])), accuracy))
    return chips, history, saved.seconds + time.perf_counter() - begin


def _measured(accuracy: Float[np.ndarray, " seeds"], rows: list[dict[str, Any]]) -> float:
    """The mean accuracy, after the accuracies went into the last of the `rows`."""
    seeds = len(accuracy)
    for k, row in enumerate(rows):
        row["test_accuracy"] = float(accuracy[k % seeds]) if k >= len(rows) - seeds else None
    return float(accuracy.mean())


def _snapshot(learner: AbstractLearner, chips: Chip, epoch: int, folder: RunFolder) -> None:
    """Histograms of what the weights of the first seed are worth in S, added to those of earlier epochs."""
    path = folder.path / "snapshots.npz"
    old: dict[str, np.ndarray] = {}
    if path.exists():
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            old = {name: archive[name] for name in archive.files}
    # by way of the host: several programs over several CPU devices in flight can wait for each other for ever
    one = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)[0]), chips.cells)
    crossbars = learner.crossbars()
    width = float(max(np.mean(np.asarray(c.cell.device.g_max)) for c in crossbars.values()))
    edges = np.linspace(-width, width, 82)
    new = {"edges": edges}
    for (name, crossbar), state in zip(crossbars.items(), one, strict=True):
        worth = crossbar.cell.weight(crossbar.cell.stored(state)) * crossbar.cell.unit() / _devices(crossbar.cell)
        counts = np.histogram(np.asarray(worth), edges)[0]
        kept = old[name][old["epochs"] < epoch] if "epochs" in old else np.empty((0, 81), counts.dtype)
        new[name] = np.concatenate([kept, counts[None]])
    before = old["epochs"][old["epochs"] < epoch] if "epochs" in old else np.empty(0, np.int64)
    folder.write_arrays("snapshots.npz", new | {"epochs": np.append(before, epoch)})


def costs(chips: Chip, config: LoopedConfig) -> dict[str, Any]:
    """What a training has cost: pulses of a device, wear of the one that was written most, write energy of a chip."""
    found = pulse_costs(chips.ledger, config.seeds)
    return found | {"endurance_used": found["writes_most"] / config.device.endurance}


def _devices(cell: AbstractCell) -> int:
    return cell.per_side if isinstance(cell, MultiDevice) else 1


def classified(
    online: Online[Any, Any], chips: Chip, scores: Float[np.ndarray, " seeds"], history: list[dict[str, Any]]
) -> dict[str, Any]:
    """What a training of classifiers has come to: accuracies of the seeds, rate and loss of the last epoch, costs."""
    config, last = online.config, history[-online.config.seeds :]
    return {
        "experiment": config.experiment,
        "test_accuracy": float(scores.mean()),
        "test_accuracy_sd": spread(scores),
        "test_accuracy_min": float(scores.min()),
        "test_accuracies": [float(s) for s in scores],
        "scheme": config.learning.scheme,
        "rate_hz": float(np.mean([row["rate"] for row in last])),
        "final_loss": float(np.mean([row["loss"] for row in last])),
        **costs(chips, config),
        "seeds": config.seeds,
        "seed": config.seed,
        "epochs": config.learning.epochs,
    }


def started(config: LoopedConfig, out: Path, *, resume: bool) -> RunFolder:
    """The run folder of a configuration, claimed."""
    folder = RunFolder(out)
    folder.start(config, resume=resume)
    return folder
