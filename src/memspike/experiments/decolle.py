"""Images learned by DECOLLE: layers of spiking neurons with an error each, on devices as they are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

from memspike.data.base import Dataset
from memspike.data.encoders import FrameSpikes
from memspike.experiments.base import Experiment, register
from memspike.experiments.config import DataConfig
from memspike.experiments.learner import Chip
from memspike.experiments.local_chip import local_learner
from memspike.experiments.local_config import LayersConfig, LocalConfig, LocalLearningConfig
from memspike.experiments.named import data_set
from memspike.experiments.online import SHOWN, Blueprint, Online, Shown, classified, started, train
from memspike.experiments.run import Report, silent
from memspike.parts.parallel import map_split

# images of the test set that are shown at once
CHUNK = 250
# draws of spikes and of read noise that are measured on
HEARD, READ = range(2)


class Images:
    """Binds chips to the images of a data set: what they are shown in training, and how well they do.

    With `variants`, configurations that differ from `config` as those of `train_population` may, there is a chip for
    each of them and each seed, see `Online`.
    """

    def __init__(self, config: LocalConfig, data: Dataset, variants: Sequence[LocalConfig] | None = None):
        self.config, self.data = config, data
        self._train = jnp.asarray(data.x_train.reshape(len(data.y_train), -1))
        self._labels = jnp.asarray(data.y_train)
        updates = config.learning.epochs * (len(data.y_train) // config.learning.batch)
        learners = [local_learner(c, data.pixels, data.classes, updates) for c in variants or (config,)]
        self.online = Online(learners, self._task, config, len(data.y_train))
        self._seen = jax.jit(lambda items: map_split(lambda one: self._one(*one), items))

    def spikes(self, x: UInt8[Array, "*batch pixels"], key: PRNGKeyArray) -> Float[Array, "steps *batch pixels"]:
        """Spike trains of images given as bytes."""
        task = self.config.task
        level = x.astype(jnp.result_type(float)) / self.data.full_scale
        if task.encoder == "regular":
            encode = FrameSpikes(max_rate=task.max_rate, frame_time=task.steps * task.dt, dt=task.dt)
            return encode(level[None], key=key)
        p = jnp.minimum(task.max_rate * task.dt, 1.0) * level
        return jax.random.bernoulli(key, p, (task.steps, *p.shape)).astype(p.dtype)

    def _task(self, key: PRNGKeyArray, epoch: Array) -> Shown:
        def trial(index: Array, key: PRNGKeyArray) -> tuple[Array, Array]:
            target = jax.nn.one_hot(self._labels[index], self.data.classes)
            return self.spikes(self._train[index], key), target

        return Shown(trial, len(self.data.y_train))

    def _one(self, made: Blueprint, chip: Chip) -> Array:
        """What one chip takes the test images for: the largest output of its last readout, summed over time."""
        key, learner, network = made.key, self.online.learner, self.online.network(made)
        readings = network.read(chip.cells, noise=learner.noisy)
        counts = (jnp.arange(self.config.task.steps) >= self.config.task.burn).astype(jnp.result_type(float))
        x = jnp.asarray(self.data.x_test.reshape(len(self.data.y_test), -1))
        size = min(CHUNK, len(x))
        filled = jnp.pad(x, ((0, -len(x) % size), (0, 0))).reshape(-1, size, x.shape[-1])
        keys = jax.random.split(jax.random.fold_in(key, SHOWN), len(filled))

        def chunk(now: tuple[Array, PRNGKeyArray]) -> Array:
            images, own = now
            spikes = self.spikes(images, jax.random.fold_in(own, HEARD))
            noise = jax.random.fold_in(own, READ) if learner.noisy else None
            _, done = network.run(readings, spikes, network.init((size,)), self.config.task.dt, key=noise)
            return jnp.tensordot(counts, done[-1].y, axes=1).argmax(-1)

        return jax.lax.map(chunk, (filled, keys)).reshape(-1)[: len(x)]

    def accuracy(self, chips: Chip) -> Float[np.ndarray, " seeds"]:
        """Test accuracy of every chip."""
        return (np.asarray(self._seen((self.online.chips, chips))) == self.data.y_test[None]).mean(1)


def learn(config: LocalConfig, out: Path, *, resume: bool = False, report: Report = silent) -> dict[str, Any]:
    """Train `config` in the folder `out` → the content of its result.json."""
    data = data_set(config.data, config.learning.batch)
    images = Images(config, data)
    folder = started(config, out, resume=resume)
    chips, history, seconds = train(images.online, folder, resume=resume, report=report, measure=images.accuracy)
    scores = images.accuracy(chips)
    result = classified(images.online, chips, scores, history)
    result |= {"train_examples": len(data.y_train), "test_examples": len(data.y_test), "wall_s": round(seconds, 2)}
    folder.write_json("result.json", result)
    return result


REFERENCE = (
    "Kaiser, Mostafa & Neftci, Front. Neurosci. 14: 424 (2020), doi 10.3389/fnins.2020.00424, for the rule; Fouda et "
    "al., Asilomar 2019, doi 10.1109/IEEECONF44664.2019.9049043, for local learning on RRAM: 1 to 2 % below the ideal "
    "device, data set not public"
)
BASE = LocalConfig(experiment="decolle-digits", learning=LocalLearningConfig(batch=10, epochs=10, rate=3.0))

decolle_digits = register(
    Experiment(
        BASE,
        quick={"learning.epochs": 3},
        expected=0.953,
        expected_quick=0.942,
        reference=REFERENCE,
        study=learn,
    ),
    "DECOLLE on the digits that come with scikit-learn, an ideal device",
)

decolle_mnist = register(
    Experiment(
        BASE.model_copy(
            update={
                "experiment": "decolle-mnist",
                "data": DataConfig(name="mnist"),
                "network": LayersConfig(hidden=(500, 500), amplitude=1.0, surrogate="logistic"),
                "learning": LocalLearningConfig(optimizer="adamax", rate=0.02, anneal=0.02, batch=100, epochs=8),
            }
        ),
        quick={"data.train": 2000, "data.test": 1000, "network.hidden": (100,), "learning.epochs": 1},
        expected=0.975,
        expected_quick=0.762,
        reference=REFERENCE,
        study=learn,
    ),
    "DECOLLE on MNIST, two layers of 500, an ideal device",
)
