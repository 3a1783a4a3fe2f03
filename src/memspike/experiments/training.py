"""The training step, run for several seeds at once, in chunks that a checkpoint can cut."""

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt8

from memspike.arrays.crossbar import Correction
from memspike.arrays.ledger import Ledger
from memspike.cells.base import CellState
from memspike.data import augment
from memspike.data.base import Dataset
from memspike.experiments.config import ExperimentConfig, TrainingConfig
from memspike.experiments.model import Classifier, Reads, one_hot, pixels
from memspike.experiments.schemes import scheme_on_pairs
from memspike.learning.losses import cross_entropy, excess
from memspike.learning.programming.base import Scheme
from memspike.learning.rules.base import Rule
from memspike.networks.feedforward import Conductances
from memspike.parts.parallel import split
from memspike.parts.registry import RULES

Images = UInt8[Array, "images height width"]
Labels = Int[Array, " images"]
CHUNK = 50
# of the wire solver for the correction in training: well below what the correction moves until it is renewed
LAG_TOLERANCE = 1e-3


class Lagged(NamedTuple):
    """The correction of the wires that training uses, and how far off it was at most when it was renewed."""

    correction: tuple[Correction, ...]
    deviation: Float[Array, "*seeds"]


class TrainState(NamedTuple):
    """What training carries from step to step, for one seed or with a leading axis of seeds.

    `lines` are the stored conductances of `cells`. There is no ledger where the scheme sends no pulses.
    """

    lines: Conductances
    cells: tuple[CellState, ...]
    rule: Any
    scheme: Any
    wires: Lagged
    ledger: tuple[Ledger, ...] | None


class Batch(NamedTuple):
    """Pixel values in [0, 1], target probabilities, and what holds for now: correction of the wires, conductances.

    `lines` are the conductances that stand for the weights, where those are not what exact programming would give.
    """

    pixels: Float[Array, "batch pixels"]
    target: Float[Array, "batch classes"]
    correction: Any = None
    lines: Conductances | None = None


def _schedule(training: TrainingConfig, total: int) -> optax.Schedule:
    warmup = max(1, round(training.warmup * total))
    return optax.warmup_cosine_decay_schedule(0.0, training.learning_rate, warmup, max(total, warmup + 1))


class Trainer:
    """Binds a classifier, a data set and a configuration to jitted functions; holds no training state."""

    def __init__(self, model: Classifier, data: Dataset, config: ExperimentConfig):
        self.model, self.data, self.config = model, data, config
        training = config.training
        self.per_epoch = len(data.y_train) // training.batch
        self.total = self.per_epoch * training.epochs
        optimizer = optax.chain(
            optax.clip_by_global_norm(training.clip),
            optax.adamw(_schedule(training, self.total), weight_decay=training.weight_decay),
        )
        self.rule: Rule = RULES.get(training.rule).value(self.loss, optimizer)
        self.scheme: Scheme = scheme_on_pairs(training.scheme, config.programming)
        self.images = jnp.asarray(data.x_train)
        self.labels = jnp.asarray(data.y_train)
        self.keys = jnp.stack([jax.random.key(config.seed + i) for i in range(config.seeds)])
        self._chunk = jax.jit(self._run_chunk)
        self._renew = jax.jit(jax.vmap(self._renew_one))

    def loss(self, weights: tuple, batch: Batch, *, key: PRNGKeyArray) -> Float[Array, ""]:
        """Mean cross-entropy of a batch for logical weights with the training noise on them, and the price
        of membranes that leave their range.
        """
        noise = self.config.training.weight_noise
        if noise:
            keys = jax.random.split(key, len(weights))
            weights = tuple(w * (1 + noise * jax.random.normal(k, w.shape)) for w, k in zip(weights, keys, strict=True))
        network = self.model.network
        lines = network.program(weights)
        if batch.lines is not None:
            # the chip as it is, with the slopes of exact programming
            lines = tuple(g + jax.lax.stop_gradient(own - g) for g, own in zip(lines, batch.lines, strict=True))
        seen = network.transfer(lines, batch.correction)
        membranes = self.model.above_rest(seen, batch.pixels)
        loss = cross_entropy(self.model.readout, membranes[-1], batch.target).mean()
        training = self.config.training
        if training.swing_weight:
            loss += training.swing_weight * sum(excess(v, training.swing) for v in membranes)
        return loss

    def batch(self, images: Images, labels: Labels, *, key: PRNGKeyArray) -> Batch:
        """Augmented pixels and smoothed targets of a batch of bytes."""
        training = self.config.training
        keys = jax.random.split(key, 3)
        x = images.astype(jnp.result_type(float)) / self.data.full_scale
        if training.shift:
            x = augment.shift(x, training.shift, key=keys[0])
        if training.mirror:
            x = augment.mirror(x, key=keys[1])
        if training.drop:
            x = augment.drop(x, training.drop, key=keys[2])
        return Batch(x.reshape(len(x), -1), one_hot(labels, self.data.classes, training.label_smoothing))

    def _init_one(self, key: PRNGKeyArray) -> TrainState:
        network = self.model.network
        weights = network.init_weights(key=jax.random.fold_in(key, 0), gain=self.config.training.init_gain)
        crossbars = [layer.crossbar for layer in network.layers]
        cells = tuple(c.cell.place(c.cell.init(w.shape), w) for c, w in zip(crossbars, weights, strict=True))
        lines = tuple(c.cell.stored(state) for c, state in zip(crossbars, cells, strict=True))
        scheme = tuple(self.scheme.init(c, state) for c, state in zip(crossbars, cells, strict=True))
        wires = Lagged(network.unity(lines), jnp.zeros(()))
        ledger = (
            None if self.scheme.exact else tuple(c.ledger(w.shape) for c, w in zip(crossbars, weights, strict=True))
        )
        return TrainState(lines, cells, self.rule.init(weights), scheme, wires, ledger)

    def init(self) -> TrainState:
        """The states of all seeds before the first step, with a leading axis of seeds."""
        return jax.jit(jax.vmap(self._init_one))(self.keys)

    def step_keys(self, key: PRNGKeyArray, step: Int[Array, ""]) -> tuple:
        """Keys of one step of one seed: augmentation, noise of the rule, programming."""
        return tuple(jax.random.split(jax.random.fold_in(jax.random.fold_in(key, 1), step), 3))

    def step(
        self, state: TrainState, images: Images, labels: Labels, key: PRNGKeyArray, step: Int[Array, ""]
    ) -> tuple[TrainState, dict[str, Array]]:
        """One update of one seed: rule, then programming, layer by layer."""
        augment_key, rule_key, scheme_key = self.step_keys(key, step)
        weights = self.model.network.weights(state.lines)
        batch = self.batch(images, labels, key=augment_key)._replace(correction=state.wires.correction)
        if not self.scheme.exact:
            batch = batch._replace(lines=state.lines)
        rule, change, metrics = self.rule.update(state.rule, weights, batch, key=rule_key)
        scheme_keys = jax.random.split(scheme_key, len(weights))
        crossbars = [layer.crossbar for layer in self.model.network.layers]
        done = [
            self.scheme.apply(s, crossbar, cells, dw, key=k)
            for s, crossbar, cells, dw, k in zip(state.scheme, crossbars, state.cells, change, scheme_keys, strict=True)
        ]
        cells = tuple(one.cells for one in done)
        lines = tuple(crossbar.cell.stored(c) for crossbar, c in zip(crossbars, cells, strict=True))
        ledger = state.ledger
        if ledger is not None:
            ledger = tuple(old + one.ledger for old, one in zip(ledger, done, strict=True))
        return TrainState(lines, cells, rule, tuple(one.state for one in done), state.wires, ledger), metrics

    def _run_chunk(
        self, state: TrainState, images: Images, labels: Labels, indices: Int[Array, "steps seeds batch"], first: Array
    ) -> tuple[TrainState, dict[str, Float[Array, "steps seeds"]]]:
        def body(state: TrainState, x: tuple) -> tuple[TrainState, dict[str, Array]]:
            index, step = x
            one = partial(self.step, step=step)
            return jax.vmap(one)(state, split(images[index], 1), split(labels[index], 1), self.keys)

        steps = first + jnp.arange(indices.shape[0], dtype=jnp.int32)
        return jax.lax.scan(body, state, (indices, steps))

    def indices(self, epoch: int) -> Int[np.ndarray, "steps seeds batch"]:
        """Which images each step of an epoch shows, shuffled by seed and epoch."""
        n, batch = self.per_epoch, self.config.training.batch
        shuffled = [
            np.random.default_rng([self.config.seed + s, epoch]).permutation(len(self.labels))[: n * batch]
            for s in range(self.config.seeds)
        ]
        return np.stack([order.reshape(n, batch) for order in shuffled], axis=1).astype(np.int32)

    def _renew_one(self, state: TrainState) -> TrainState:
        """The exact correction of the wires at the present conductances, and how far off the one in use was.

        That is the rms error of a weight's transfer over its rms, the largest of the layers.
        """
        network, lines = self.model.network, state.lines
        fresh = network.correction(lines, LAG_TOLERANCE)
        used = zip(network.layers, lines, state.wires.correction, fresh, strict=True)
        errors = [layer.crossbar.deviation(g, old, new) for layer, g, old, new in used]
        deviation = jnp.maximum(state.wires.deviation, jnp.stack(errors).max())
        return state._replace(wires=Lagged(fresh, deviation))

    def _chunk_length(self) -> int:
        return -(-self.per_epoch // -(-self.per_epoch // CHUNK))

    def _due(self, first: int) -> bool:
        """Whether the correction is renewed at step `first`: at every epoch, in the first one also in between.

        The ratio moves far more slowly than the weights (`Crossbar.correction`), and these move fastest at first.
        """
        epoch, offset = divmod(first, self.per_epoch)
        number = offset // self._chunk_length()
        return not offset or (epoch == 0 and number.bit_count() == 1)

    def boundaries(self) -> list[int]:
        """Steps where a chunk ends; the same for every run of a configuration, resumed or not."""
        length = self._chunk_length()
        within = [min(length * (i + 1), self.per_epoch) for i in range(-(-self.per_epoch // length))]
        return [epoch * self.per_epoch + end for epoch in range(self.config.training.epochs) for end in within]

    def chunk(
        self, state: TrainState, first: int, indices: Int[np.ndarray, "steps seeds batch"]
    ) -> tuple[TrainState, dict[str, Float[Array, "steps seeds"]]]:
        """Run the steps that `indices` lists, the first of which is step number `first` of the training."""
        if self._due(first) and any(c is not None for c in state.wires.correction):
            # two programs over several CPU devices in flight can wait for each other for ever
            state = jax.block_until_ready(self._renew(state))
            if not first:  # nothing was in use before
                wires = state.wires._replace(deviation=jnp.zeros_like(state.wires.deviation))
                state = state._replace(wires=wires)
        return self._chunk(state, self.images, self.labels, jnp.asarray(indices), jnp.asarray(first, jnp.int32))


class Evaluator:
    """Accuracy on the test images, in batches, for any leading axis of chips or seeds."""

    def __init__(self, model: Classifier, data: Dataset, batch: int = 500):
        self.data, self.batch = data, batch
        n = len(data.y_test)
        padding = -n % batch
        order = np.arange(n + padding) % n
        self.images = jnp.asarray(data.x_test[order]).reshape(-1, batch, *data.x_test.shape[1:])
        self.model = model
        self._seen = jax.jit(lambda model, lines: jax.lax.map(model.network.transfer, lines))
        self._predict = jax.jit(self._all)

    def _all(
        self,
        model: Classifier,
        seen: Reads,
        images: UInt8[Array, "batches batch height width"],
        key: PRNGKeyArray | None,
    ) -> Array:
        def one_batch(x: tuple) -> Array:
            image, number = x
            flat = split(pixels(image, self.data.full_scale), 0)
            if key is None:
                return jax.vmap(lambda g: model.predict(g, flat))(seen)
            chips = jax.tree.leaves(seen)[0].shape[0]
            keys = jax.random.split(jax.random.fold_in(key, number), chips)
            return jax.vmap(lambda g, k: model.predict(g, flat, key=k))(seen, keys)

        return jax.lax.map(one_batch, (images, jnp.arange(len(images), dtype=jnp.int32)))

    def predictions(
        self, lines: Conductances, *, key: PRNGKeyArray | None = None, model: Classifier | None = None
    ) -> Int[np.ndarray, "chips images"]:
        """Predicted class of every test image by every chip; `lines` has a leading axis of chips."""
        model = model or self.model
        return self._classes(model, self._seen(model, lines), key)

    def _classes(self, model: Classifier, seen: Reads, key: PRNGKeyArray | None) -> Int[np.ndarray, "chips images"]:
        out = self._predict(model, seen, self.images, key)
        n_chips = out.shape[1]
        return np.moveaxis(np.asarray(out), 1, 0).reshape(n_chips, -1)[:, : len(self.data.y_test)]

    def accuracy(self, lines: Conductances, **options: Any) -> Float[np.ndarray, " chips"]:
        """Share of the test images that each chip classifies correctly."""
        return (self.predictions(lines, **options) == self.data.y_test).mean(axis=1)

    def accuracy_of(self, seen: Reads, *, key: PRNGKeyArray | None = None) -> Float[np.ndarray, " chips"]:
        """The same for what reads see of every chip (`network.transfer`)."""
        return (self._classes(self.model, seen, key) == self.data.y_test).mean(axis=1)


def fabricated(model: Classifier, lines: Conductances, chips: int, *, key: PRNGKeyArray) -> Conductances:
    """`chips` copies of programmed conductances, each missing its targets by its own programming errors."""
    weights = model.network.weights(lines)
    return jax.vmap(lambda k: model.network.program(weights, key=k))(jax.random.split(key, chips))


def seed_of(lines: Conductances, seed: int) -> Conductances:
    """The conductances of one seed out of a stack of seeds."""
    return jax.tree.map(lambda leaf: leaf[seed], lines)


def is_finite(tree: Any) -> bool:
    """Whether every number of a tree is finite."""
    return all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array)))
