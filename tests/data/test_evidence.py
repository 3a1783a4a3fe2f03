"""Evidence accumulation: the trials, and an experiment of adapting neurons on them."""

from typing import Any

import numpy as np
import pytest

import memspike as ms
from memspike.config.build import classification
from memspike.data.included import ASKED, CUES, FRAMES, LEFT, NOISE, RECALL, RIGHT, evidence
from memspike.experiments import resolve
from memspike.networks import Recurrent
from memspike.neurons import ALIF


def test_trials_are_what_they_say():
    """Seven cues of two frames, one side at a time; the label is the side with more; the question stands at the end."""
    data = evidence()
    assert data.x_train.shape == (2048, FRAMES, 40)
    assert (data.x_train[:, -RECALL:, ASKED] == 255).all()
    assert (data.x_train[:, :-RECALL, ASKED] == 0).all()
    assert (data.x_train[:, :, NOISE] == 64).all()
    left, right = (data.x_train[:, :, group].all(-1) for group in (LEFT, RIGHT))
    assert not (left & right).any()
    assert ((left | right).sum(1) == 2 * CUES).all()
    np.testing.assert_array_equal(data.y_train, (right.sum(1) > left.sum(1)).astype(np.int32))
    last = np.array([np.flatnonzero(row).max() for row in left | right])
    silent = FRAMES - RECALL - 1 - last
    assert (silent.min(), silent.max()) == (11, 21), "the gap after the last cue, then 0.5 to 1 s"
    assert abs(data.y_train.mean() - 0.5) < 0.05
    np.testing.assert_array_equal(data.x_test, evidence().x_test)


@pytest.mark.full
def test_a_quick_run_with_few_trials(tmp_path):
    """It trains, counts pulses and reports both accuracies and costs."""
    changes = ("data.train=64", "data.test=16", "network.layers=[12]", "epochs=1", "encoder.frame_time=5ms", "batch=4")
    changes += ("rates=[0.05,0.05,0.05]", "learning.scheme.quantum=0.02")
    settings = resolve("eprop-evidence", changes).settings
    result = ms.experiments.run(settings, tmp_path / "run")
    assert result["train_examples"] == 64
    assert 0 <= result["test_accuracy"] <= 1
    assert result["writes_per_device"] > 0
    network: Any = classification(settings).learner.network
    neuron: Any = network.neuron
    assert (type(network), type(neuron)) == (Recurrent, ALIF)
    assert float(np.asarray(neuron.beta > 0).mean()) == 0.5
