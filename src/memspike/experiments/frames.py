"""Frames heard as spike trains and classified by a recurrent spiking network that learns online by e-prop."""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

from memspike.data.base import Dataset
from memspike.data.encoders import FrameSpikes
from memspike.experiments.chip import learner
from memspike.experiments.learner import Chip
from memspike.experiments.named import data_set
from memspike.experiments.online import SHOWN, Blueprint, Online, Shown, classified, started, train
from memspike.experiments.online_config import FramesOnlineConfig
from memspike.experiments.run import Report, silent
from memspike.learning.rules.eprop import CrossEntropy
from memspike.parts.parallel import map_split

# draws of read noise and of phases of the spike trains that are measured on
HEARD, READ = range(2)
SAMPLES = 3


def _spikes(
    config: FramesOnlineConfig, full_scale: float, x: UInt8[Array, "*batch frames channels"], key: PRNGKeyArray
) -> Float[Array, "steps *batch channels"]:
    """Spike trains of frames given as bytes."""
    encode = FrameSpikes(max_rate=config.task.max_rate, frame_time=config.task.frame_time, dt=config.time.dt)
    return encode(jnp.moveaxis(x.astype(jnp.result_type(float)) / full_scale, -2, 0), key=key)


class Heard(NamedTuple):
    """Classes of the test examples [seeds, examples], spikes of the first few [seeds, few, steps, neurons]."""

    classes: np.ndarray
    z: np.ndarray


class Frames:
    """Binds chips to the frames of a data set: what they are shown in training, and how well they do."""

    def __init__(self, config: FramesOnlineConfig, data: Dataset):
        self.config, self.data = config, data
        batch, smoothing = config.learning.batch, config.task.smoothing
        targets = np.eye(data.classes) * (1 - smoothing) + smoothing / data.classes
        self._train, self._targets = jnp.asarray(data.x_train), jnp.asarray(targets[data.y_train], jnp.float32)
        self.error = CrossEntropy(window=config.task.window)
        count, channels = data.x_train.shape[1:]
        steps = FrameSpikes(frame_time=config.task.frame_time, dt=config.time.dt).steps(count)
        blueprint = learner(
            config,
            channels,
            data.classes,
            steps,
            error=self.error,
            updates=config.learning.epochs * (len(data.y_train) // batch),
        )
        self.online = Online([blueprint], self._task, config, len(data.y_train))
        self._heard = jax.jit(partial(map_split, lambda one: self._one(*one)))

    def _task(self, key: PRNGKeyArray, epoch: Array) -> Shown:
        """The same examples for all chips."""

        def trial(index: Array, key: PRNGKeyArray) -> tuple[Array, Array]:
            return _spikes(self.config, self.data.full_scale, self._train[index], key), self._targets[index]

        return Shown(trial, len(self.data.y_train))

    def _one(self, made: Blueprint, chip: Chip) -> tuple[Array, Array]:
        """What one chip takes the test examples for, as it is after its last trial; spikes in the first few."""
        key, learner, network = made.key, self.online.learner, self.online.network(made)
        key = jax.random.fold_in(key, SHOWN)
        x = _spikes(self.config, self.data.full_scale, jnp.asarray(self.data.x_test), jax.random.fold_in(key, HEARD))
        trial = learner.trial(network, chip, x, jnp.zeros((x.shape[1], self.data.classes)))
        noise = None if learner.scheme.digital else jax.random.fold_in(key, READ)
        problem = learner.problem(network, chip.rule.feedback)
        activity = problem.run(network.weights(chip.cells), trial, key=noise)
        return self.error.scores(activity.y).argmax(-1), jnp.moveaxis(activity.z[:, :SAMPLES], 1, 0)

    def heard(self, chips: Chip) -> Heard:
        """What the chips of all seeds take the test examples for."""
        return Heard(*(np.asarray(a) for a in self._heard((self.online.chips, chips))))

    def accuracy(self, chips: Chip) -> Float[np.ndarray, " seeds"]:
        """Test accuracy of every chip."""
        return self.scores(self.heard(chips))

    def scores(self, heard: Heard) -> Float[np.ndarray, " seeds"]:
        """Share of right classes of every chip."""
        return (heard.classes == self.data.y_test[None]).mean(1)

    def samples(self, heard: Heard) -> dict[str, np.ndarray]:
        """Of the first seed: confusion matrix, and spikes of a few test examples with labels and predictions."""
        confusion = np.zeros((self.data.classes, self.data.classes), dtype=np.int64)
        np.add.at(confusion, (self.data.y_test, heard.classes[0]), 1)
        return {
            "confusion": confusion,
            "z": heard.z[0].astype(np.uint8),
            "labels": self.data.y_test[:SAMPLES],
            "predicted": heard.classes[0, :SAMPLES],
            "dt": np.asarray(self.config.time.dt),
        }


def learn(config: FramesOnlineConfig, out: Path, *, resume: bool = False, report: Report = silent) -> dict[str, Any]:
    """Train `config` in the folder `out` → the content of its result.json."""
    data = data_set(config.data, config.learning.batch)
    frames = Frames(config, data)
    folder = started(config, out, resume=resume)
    chips, history, seconds = train(frames.online, folder, resume=resume, report=report, measure=frames.accuracy)
    heard = frames.heard(chips)
    scores = frames.scores(heard)
    result = classified(frames.online, chips, scores, history)
    result |= {"train_examples": len(data.y_train), "test_examples": len(data.y_test), "wall_s": round(seconds, 2)}
    folder.write_arrays("samples.npz", frames.samples(heard))
    folder.write_json("result.json", result)
    return result
