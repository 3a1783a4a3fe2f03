"""Spoken digits by e-prop: trials, targets, accuracy, costs, resumption."""

import csv
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import memspike as ms
from memspike.config import build, examples
from memspike.data.base import Dataset
from memspike.data.store import SPOKEN_DIGITS
from memspike.experiments import resolve, run, speakers

FRAMES, CHANNELS, CLASSES = 6, 8, 3
SMALL = (
    "encoder.frame_time=4ms",
    "network.layers=[24]",
    "training.batch=5",
    "training.epochs=8",
    "learning.optimizer.rates=[1e-2, 1e-2, 1e-2]",
    "neuron.theta=0.7",
    "synapse.per_side=2",
    "seeds=2",
)


@pytest.fixture
def sounds(monkeypatch):
    """Three classes, each with noise around frames of its own."""
    rng = np.random.default_rng(0)
    means = rng.uniform(0, 255, (CLASSES, FRAMES, CHANNELS))
    y = np.arange(90) % CLASSES
    x = np.clip(means[y] + rng.normal(0, 25, (90, FRAMES, CHANNELS)), 0, 255).astype(np.uint8)
    data = Dataset("sounds", x[:60], y[:60].astype(np.int32), x[60:], y[60:].astype(np.int32), CLASSES, 255.0)
    monkeypatch.setattr(examples, "load", lambda name, leave_out: data)
    return data


def config(*overrides):
    return resolve("eprop-spoken", (*SMALL, *overrides)).settings


def test_trials_are_spike_trains_of_the_chosen_frames(sounds):
    """Over many phases the spikes of a frame come at max_rate times its value; targets are smoothed."""
    made = build.classification(config("encoder.max_rate=500", "training.label_smoothing=0.3"))
    index = jnp.asarray([7, 11])
    shown = made.population.trials
    epoch = shown.epoch(jax.random.key(0), jnp.asarray(0))
    assert shown.count == 60
    many = jax.jit(jax.vmap(lambda k: shown.trial(epoch, index, k)))(jax.random.split(jax.random.key(1), 800))
    x, target = (np.asarray(a) for a in many[:2])
    assert x.shape == (800, FRAMES * 4, 2, CHANNELS)
    assert set(np.unique(x)) == {0.0, 1.0}
    rates = x.reshape(800, FRAMES, 4, 2, CHANNELS).mean((0, 2)) / 1e-3
    wanted = np.moveaxis(sounds.x_train[np.asarray(index)], 0, 1) * (500.0 / 255)
    np.testing.assert_allclose(rates, wanted, atol=35)
    np.testing.assert_allclose(target[0], [[0.1, 0.8, 0.1], [0.1, 0.1, 0.8]], atol=1e-6)


def test_a_chip_of_phase_change_memory_learns_and_says_what_it_cost(sounds, tmp_path):
    result = run(config("learning.scheme=mixed-precision"), tmp_path / "run")
    assert result == json.loads((tmp_path / "run/result.json").read_text())
    assert np.mean(result["test_accuracies"]) > 0.7
    assert result["test_accuracy"] == pytest.approx(np.mean(result["test_accuracies"]))
    assert result["test_accuracy_min"] == min(result["test_accuracies"])
    synapses = CHANNELS * 24 + 24 * 24 + 24 * CLASSES
    assert result["writes_per_device"] == result["sets_per_device"] > 0
    assert result["energy_j"] == pytest.approx(10e-12 * result["sets_per_device"] * 4 * synapses, rel=1e-4)
    with (tmp_path / "run/metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(r["test_accuracy"]) for r in rows[-2:]] == pytest.approx(result["test_accuracies"])
    with np.load(tmp_path / "run/samples.npz") as samples:
        confusion = samples["confusion"]
        assert samples["z"].shape == (3, FRAMES * 4, 24)
    np.testing.assert_array_equal(confusion.sum(1), np.bincount(sounds.y_test))
    assert np.trace(confusion) / confusion.sum() == pytest.approx(result["test_accuracies"][0])


def test_an_interrupted_run_ends_with_the_same_numbers(sounds, tmp_path):
    given = config("learning.scheme=fp32")
    whole = run(given, tmp_path / "whole")
    assert min(whole["test_accuracies"]) > 0.8
    assert whole["energy_j"] == whole["writes_per_device"] == 0

    def stop(progress):
        if progress.step >= 48:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(given, tmp_path / "parts", report=stop)
    parts = run(given, tmp_path / "parts", resume=True)
    clock = {"wall_s": 0, "steps_per_s": 0}
    assert parts | clock == whole | clock
    texts = [(tmp_path / name / "metrics.csv").read_text() for name in ("whole", "parts")]
    assert texts[0] == texts[1]


def test_every_speaker_is_left_out_once(monkeypatch, tmp_path):
    """The table and its mean and spread, with trainings in the place of which stands a table of accuracies."""
    accuracy = dict(zip(SPOKEN_DIGITS.speakers, (0.5, 0.6, 0.7, 0.8, 0.9, 1.0), strict=True))

    def learned(settings, out, *, report):
        value = accuracy[settings.data.leave_out]
        return {"test_accuracy": value, "test_accuracy_sd": 0.0, "test_accuracy_min": value, "test_examples": 500}

    monkeypatch.setattr(speakers, "nested", learned)
    result = run(resolve("eprop-spoken-speakers").settings, tmp_path / "study")
    assert {row["speaker"]: row["accuracy_mean"] for row in result["rows"]} == accuracy
    assert result["test_accuracy"] == pytest.approx(0.75)
    assert result["test_accuracy_sd"] == pytest.approx(np.std(list(accuracy.values()), ddof=1))
    with pytest.raises(ms.InputError, match="leaves out every speaker in turn"):
        run(resolve("eprop-spoken-speakers", ["data.leave_out=theo"]).settings, tmp_path / "one")
    assert not (tmp_path / "one").exists()


def test_a_batch_larger_than_the_training_part_is_refused(sounds):
    with pytest.raises(ms.InputError, match=r"is 61; sounds has 60"):
        build.classification(config("training.batch=61"))
