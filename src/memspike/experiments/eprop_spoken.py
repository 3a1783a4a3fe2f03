"""Spoken digits learned online by e-prop: a recurrent spiking network hears an utterance as spike trains."""

import json
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

from memspike._errors import InputError
from memspike.data.base import Dataset
from memspike.data.encoders import FrameSpikes
from memspike.data.sources import SPOKEN_DIGITS
from memspike.data.store import load
from memspike.experiments.base import Experiment, register
from memspike.experiments.chip import Chip, learner
from memspike.experiments.online import SHOWN, Online, Shown, costs, started, train
from memspike.experiments.online_config import (
    DeviceConfig,
    LearningConfig,
    NeuronConfig,
    SpokenOnlineConfig,
    TimeConfig,
)
from memspike.experiments.run import Report, silent, spread
from memspike.learning.rules.eprop import CrossEntropy

# draws of read noise and of phases of the spike trains that are measured on
HEARD, READ = range(2)
SAMPLES = 3


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


class Heard(NamedTuple):
    """Classes of the test utterances [seeds, utterances], spikes of the first few [seeds, few, steps, neurons]."""

    classes: np.ndarray
    z: np.ndarray


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
        self._heard = jax.jit(partial(jax.lax.map, lambda one: self._one(*one)))

    def _task(self, key: PRNGKeyArray) -> Shown:
        """The same utterances for all chips."""

        def trial(index: Array, key: PRNGKeyArray) -> tuple[Array, Array]:
            return _spikes(self.config, self.data.full_scale, self._train[index], key), self._targets[index]

        return Shown(trial, len(self.data.y_train))

    def _one(self, key: PRNGKeyArray, chip: Chip) -> tuple[Array, Array]:
        """What one chip takes the test utterances for, as it is after its last trial; spikes in the first few."""
        learner, network = self.online.learner, self.online.network(key)
        key = jax.random.fold_in(key, SHOWN)
        x = _spikes(self.config, self.data.full_scale, jnp.asarray(self.data.x_test), jax.random.fold_in(key, HEARD))
        trial = learner.trial(network, chip, x, jnp.zeros((x.shape[1], self.data.classes)))
        noise = None if learner.scheme.digital else jax.random.fold_in(key, READ)
        problem = learner.problem(network, chip.rule.feedback)
        activity = problem.run(network.weights(chip.cells), trial, key=noise)
        return self.error.scores(activity.y).argmax(-1), jnp.moveaxis(activity.z[:, :SAMPLES], 1, 0)

    def heard(self, chips: Chip) -> Heard:
        """What the chips of all seeds take the test utterances for."""
        return Heard(*(np.asarray(a) for a in self._heard((self.online.keys, chips))))

    def accuracy(self, chips: Chip) -> Float[np.ndarray, " seeds"]:
        """Test accuracy of every chip."""
        return self.scores(self.heard(chips))

    def scores(self, heard: Heard) -> Float[np.ndarray, " seeds"]:
        """Share of right classes of every chip."""
        return (heard.classes == self.data.y_test[None]).mean(1)

    def samples(self, heard: Heard) -> dict[str, np.ndarray]:
        """Of the first seed: confusion matrix, and spikes of a few test utterances with labels and predictions."""
        confusion = np.zeros((self.data.classes, self.data.classes), dtype=np.int64)
        np.add.at(confusion, (self.data.y_test, heard.classes[0]), 1)
        return {
            "confusion": confusion,
            "z": heard.z[0].astype(np.uint8),
            "labels": self.data.y_test[:SAMPLES],
            "predicted": heard.classes[0, :SAMPLES],
            "dt": np.asarray(self.config.time.dt),
        }


def learn(config: SpokenOnlineConfig, out: Path, *, resume: bool = False, report: Report = silent) -> dict[str, Any]:
    """Train `config` in the folder `out` → the content of its result.json."""
    data = read_data(config)
    speech = Speech(config, data)
    folder = started(config, out, resume=resume)
    chips, history, seconds = train(speech.online, folder, resume=resume, report=report, measure=speech.accuracy)
    heard = speech.heard(chips)
    scores = speech.scores(heard)
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
    folder.write_arrays("samples.npz", speech.samples(heard))
    folder.write_json("result.json", result)
    return result


def compare_speakers(
    config: SpokenOnlineConfig, out: Path, *, resume: bool = False, report: Report = silent
) -> dict[str, Any]:
    """Train for each speaker on all the others and measure on the one who was never heard.

    The folder holds one run folder a speaker; an interrupted study goes on where it was.
    """
    if config.data.leave_out is not None:
        raise InputError(
            f"data.leave_out is '{config.data.leave_out}', but this study leaves out every speaker in turn."
        )
    folder = started(config, out, resume=resume)
    rows, of_speakers = [], []
    for speaker in SPOKEN_DIGITS.speakers:
        own = out / "trainings" / speaker
        one = config.model_copy(update={"data": config.data.model_copy(update={"leave_out": speaker})})
        if (own / "result.json").exists():
            result = json.loads((own / "result.json").read_text())
        else:
            result = learn(one, own, resume=(own / "config.toml").exists(), report=report)
        found = {
            f"accuracy_{k}": result[f"test_accuracy{s}"] for k, s in (("mean", ""), ("sd", "_sd"), ("min", "_min"))
        }
        rows.append({"speaker": speaker, **found, "test_utterances": result["test_utterances"]})
        of_speakers.append(result["test_accuracy"])
    result = {
        "experiment": config.experiment,
        "test_accuracy": float(np.mean(of_speakers)),
        "test_accuracy_sd": spread(np.array(of_speakers)),
        "scheme": config.learning.scheme,
        "seeds": config.seeds,
        "seed": config.seed,
        "epochs": config.learning.epochs,
        "rows": rows,
    }
    folder.write_json("result.json", result)
    return result


SETTINGS = {
    "device": DeviceConfig(devices_per_side=4, start="programmed"),
    "neuron": NeuronConfig(count=128, theta=2.0, tau=20e-3, tau_out=20e-3, reset="zero"),
    "time": TimeConfig(pause=1.0, parts=1),
}
LEARNING = LearningConfig(
    scheme="mixed-precision",
    epochs=10,
    batch=10,
    rates=(3e-3, 3e-3, 3e-3),
    anneal=0.05,
    adam=True,
    feedback="symmetric",
    weight_gain=1.0,
    rate_weight=1e-4,
    target_rate=50.0,
    clip=1e6,
)
REFERENCE = (
    "no figure is published for e-prop on this data set; logistic regression on 20 log-mel bands × 10 frames: 95.7 %"
)

eprop_spoken = register(
    Experiment(
        SpokenOnlineConfig(experiment="eprop-spoken", learning=LEARNING, **SETTINGS),
        quick={"learning.epochs": 3},
        expected=0.9,
        expected_quick=0.5,
        reference=REFERENCE,
        study=learn,
    ),
    "online e-prop on differential PCM: 128 LIF neurons learn spoken digits; learning.scheme=fp32 without devices",
)

eprop_spoken_speakers = register(
    Experiment(
        SpokenOnlineConfig(
            experiment="eprop-spoken-speakers", learning=LEARNING.model_copy(update={"scheme": "fp32"}), **SETTINGS
        ),
        quick={"learning.epochs": 1},
        expected=0.9,
        expected_quick=0.5,
        reference=REFERENCE + ", 54 to 90 % for a speaker left out",
        study=compare_speakers,
    ),
    "eprop-spoken with digital weights and each of the six speakers left out of the training in turn",
)
