"""Spoken digits by e-prop: trials, targets, accuracy, costs, resumption."""

import csv
import importlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike.data.base import Dataset
from memspike.experiments import resolve

# the package holds the experiment under the name of its module
eprop_spoken = importlib.import_module("memspike.experiments.eprop_spoken")

FRAMES, CHANNELS, CLASSES = 6, 8, 3
SMALL = (
    "task.frame_time=4ms",
    "neuron.count=24",
    "learning.batch=5",
    "learning.epochs=6",
    "device.devices_per_side=2",
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
    monkeypatch.setattr(eprop_spoken, "load", lambda name, leave_out: data)
    return data


def config(*overrides):
    return resolve("eprop-spoken", (*SMALL, *overrides))[1]


def test_trials_are_spike_trains_of_the_chosen_frames(sounds):
    """Over many phases the spikes of a frame come at max_rate times its value; targets are smoothed."""
    speech = eprop_spoken.Speech(config("task.max_rate=500", "task.smoothing=0.3"), sounds)
    index = jnp.asarray([7, 11])
    shown = speech.online.task(jax.random.key(0))
    assert shown.number == 60
    many = jax.jit(jax.vmap(lambda k: shown.trial(index, k)))(jax.random.split(jax.random.key(1), 800))
    x, target = (np.asarray(a) for a in many)
    assert x.shape == (800, FRAMES * 4, 2, CHANNELS)
    assert set(np.unique(x)) == {0.0, 1.0}
    rates = x.reshape(800, FRAMES, 4, 2, CHANNELS).mean((0, 2)) / 1e-3
    wanted = np.moveaxis(sounds.x_train[np.asarray(index)], 0, 1) * (500.0 / 255)
    np.testing.assert_allclose(rates, wanted, atol=35)
    np.testing.assert_allclose(target[0], [[0.1, 0.8, 0.1], [0.1, 0.1, 0.8]], atol=1e-6)


@pytest.mark.parametrize("scheme", ["fp32", "mixed-precision"])
def test_chips_learn_and_say_what_it_cost(sounds, tmp_path, scheme):
    given = config(f"learning.scheme={scheme}", "learning.epochs=8")
    result = eprop_spoken.learn(given, tmp_path / "run")
    assert result == json.loads((tmp_path / "run/result.json").read_text())
    assert min(result["test_accuracies"]) > 0.75
    assert result["test_accuracy"] == pytest.approx(np.mean(result["test_accuracies"]))
    assert (result["writes_per_device"] > 0) == (scheme == "mixed-precision")
    expected = 10e-12 * result["sets_per_device"] * 4 * (CHANNELS * 24 + 24 * 24 + 24 * CLASSES)
    assert result["resets_per_device"] == 0
    assert result["energy_j"] == pytest.approx(expected, rel=1e-4)
    with (tmp_path / "run/metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(r["test_accuracy"]) for r in rows[-2:]] == pytest.approx(result["test_accuracies"])
    with np.load(tmp_path / "run/samples.npz") as samples:
        confusion = samples["confusion"]
        assert samples["z"].shape == (3, FRAMES * 4, 24)
    assert np.trace(confusion) / confusion.sum() == pytest.approx(result["test_accuracies"][0])
