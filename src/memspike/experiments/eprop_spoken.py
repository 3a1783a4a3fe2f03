"""Spoken digits learned online by e-prop: a recurrent spiking network hears an utterance as spike trains."""

from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

from memspike._errors import InputError
from memspike.data.base import Dataset
from memspike.data.encoders import FrameSpikes
from memspike.data.store import load
from memspike.experiments.base import Experiment, register
from memspike.experiments.chip import Chip, learner
from memspike.experiments.online import MADE, SHOWN, Online, Shown, costs, started, train
from memspike.experiments.online_config import (
    DeviceConfig,
    LearningConfig,
    NeuronConfig,
    SpokenConfig,
    SpokenOnlineConfig,
    TimeConfig,
)
from memspike.experiments.run import Report, silent, spread
from memspike.learning.rules.eprop import CrossEntropy

# draws of read noise and of phases of the spike trains that are measured on
HEARD, READ = range(2)


def read_data(config: SpokenOnlineConfig) -> Dataset:
    """The frames that a configuration asks for; InputError where a batch does not fit into them."""
    wanted = config.data
    data = load(wanted.name, wanted.leave_out).limited(wanted.train, wanted.test)
    data = data if wanted.hold_out is None else data.held_out(wanted.hold_out)
    if config.learning.batch > len(data.y_train):
        raise InputError(
            f"learning.batch is {config.learning.batch}; {data.name} has {len(data.y_train)} training examples here."
        )
    return data


def _spikes(
    config: SpokenOnlineConfig, full_scale: float, x: UInt8[Array, "*batch frames channels"], key: PRNGKeyArray
) -> Float[Array, "steps *batch channels"]:
    """Spike trains of frames given as bytes."""
    encode = FrameSpikes(max_rate=config.task.max_rate, frame_time=config.task.frame_time, dt=config.time.dt)
    return encode(jnp.moveaxis(x.astype(jnp.result_type(float)) / full_scale, -2, 0), key=key)


class Speech:
    """Binds chips to the frames of a data set: what they are shown in training, and how well they do."""

    def __init__(self, config: SpokenOnlineConfig, data: Dataset):
        self.config, self.data = config, data
        batch, smoothing = config.learning.batch, config.task.smoothing
        targets = np.eye(data.classes) * (1 - smoothing) + smoothing / data.classes
        self._train, self._targets = jnp.asarray(data.x_train), jnp.asarray(targets[data.y_train], jnp.float32)
        self.error = CrossEntropy(window=config.task.window)
        frames, channels = data.x_train.shape[1:]
        steps = FrameSpikes(frame_time=config.task.frame_time, dt=config.time.dt).steps(frames)
        blueprint = learner(
            config,
            channels,
            data.classes,
            steps,
            error=self.error,
            updates=config.learning.epochs * (len(data.y_train) // batch),
        )
        self.online = Online(blueprint, self._task, config, len(data.y_train))
        self._predicted = jax.jit(partial(jax.lax.map, lambda one: self._one(*one)))

    def _task(self, key: PRNGKeyArray) -> Shown:
        """The same utterances for all chips."""

        def trial(index: Array, key: PRNGKeyArray) -> tuple[Array, Array]:
            return _spikes(self.config, self.data.full_scale, self._train[index], key), self._targets[index]

        return Shown(trial, len(self.data.y_train))

    def _one(self, key: PRNGKeyArray, chip: Chip) -> Array:
        """Classes that one chip takes the test utterances for, as it is after its last trial."""
        learner, key = self.online.learner, jax.random.fold_in(key, SHOWN)
        network = learner.fabricated(jax.random.fold_in(key, MADE))
        x = _spikes(self.config, self.data.full_scale, jnp.asarray(self.data.x_test), jax.random.fold_in(key, HEARD))
        trial = learner.trial(network, chip, x, jnp.zeros((x.shape[1], self.data.classes)))
        noise = None if learner.scheme.digital else jax.random.fold_in(key, READ)
        problem = learner.problem(network, chip.rule.feedback)
        activity = problem.run(network.weights(chip.cells), trial, key=noise)
        return self.error.scores(activity.y).argmax(-1)

    def predictions(self, chips: Chip) -> np.ndarray:
        """Classes of the test utterances, [seeds, utterances]."""
        return np.asarray(self._predicted((self.online.keys, chips)))

    def accuracy(self, chips: Chip) -> Float[np.ndarray, " seeds"]:
        """Test accuracy of every chip."""
        return (self.predictions(chips) == self.data.y_test[None]).mean(1)


def learn(config: SpokenOnlineConfig, out: Path, *, resume: bool = False, report: Report = silent) -> dict[str, Any]:
    """Train `config` in the folder `out` → the content of its result.json."""
    data = read_data(config)
    speech = Speech(config, data)
    folder = started(config, out, resume=resume)
    chips, history, seconds = train(speech.online, folder, resume=resume, report=report, measure=speech.accuracy)
    scores = speech.accuracy(chips)
    last = history[-config.seeds :]
    result = {
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
        "train_utterances": len(data.y_train),
        "test_utterances": len(data.y_test),
        "wall_s": round(seconds, 2),
    }
    folder.write_json("result.json", result)
    return result


SETTINGS = SpokenOnlineConfig(
    experiment="eprop-spoken",
    task=SpokenConfig(),
    device=DeviceConfig(devices_per_side=4, start="programmed"),
    neuron=NeuronConfig(count=128, theta=1.0, tau=20e-3, tau_out=20e-3),
    learning=LearningConfig(
        scheme="fp32",
        epochs=10,
        batch=10,
        adam=True,
        rates=(3e-3, 3e-3, 3e-3),
        feedback="symmetric",
        weight_gain=0.3,
        rate_weight=1e-4,
        target_rate=50.0,
    ),
    time=TimeConfig(pause=1.0),
)

eprop_spoken = register(
    Experiment(
        SETTINGS,
        quick={"learning.epochs": 1},
        expected=0.9,
        expected_quick=0.5,
        reference="x",
        study=learn,
    ),
    "online e-prop of a recurrent spiking network on spoken digits",
)
