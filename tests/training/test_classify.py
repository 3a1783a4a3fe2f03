"""What a training of classifiers tells: examples that no class is found for."""

import importlib

import numpy as np

from memspike import report
from memspike.config.settings import Settings
from memspike.experiments.base import changed, run
from memspike.parts.atomic import read_arrays
from memspike.report.membrane_figures import confusion as drawn
from memspike.report.samples import class_name
from memspike.training.classify import confusion


def test_examples_without_a_class_have_a_column_of_their_own():
    labels, predicted = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 2, -1, 0])
    found = confusion(labels, predicted, 3)
    assert found.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 1, 1]]
    assert confusion(labels[:3], predicted[:3], 3).tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    figure = drawn(found)
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["0", "1", "2", "none"]


def test_a_network_in_which_nobody_wins_ends_in_a_result(tmp_path):
    matrix = importlib.import_module("memspike.experiments.matrix")
    one = matrix.Combination("stdp", "ideal", "ideal", "range-reference", "ideal")
    few = {"neuron.theta": 1e5, "data.train": 20, "data.test": 20}
    settings = changed(Settings, one.tables(), few)
    result = run(settings, tmp_path / "run")
    assert result["test_accuracy"] == 0
    samples = read_arrays(tmp_path / "run/samples.npz")
    assert samples["predicted"].tolist() == [-1, -1, -1]
    assert samples["confusion"].shape == (10, 11)
    assert samples["confusion"][:, -1].sum() == 20
    assert report.write_report(tmp_path / "run").exists()
    assert {"loss.png", "confusion.png", "spikes.png"} <= {p.name for p in (tmp_path / "run/figures").iterdir()}
    assert [class_name(k) for k in (-1, 3)] == ["none", "3"]
