"""Local learning in training: updates within an image, chips of their own, what is refused."""

from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest

import memspike as ms
from memspike import cells
from memspike.config.build import learner_of, network_of
from memspike.experiments import resolve

QUICK = ("data.train=200", "data.test=100", "training.epochs=1", "training.batch=1", "network.layers=[20]")


def test_updates_every_few_steps(tmp_path):
    """Weights written within an image: as many writes as segments, and it learns."""
    given = ["learning.scheme=bit-lines", "learning.rule=decolle-outer", "training.update_every=5", "learning_rate=0.5"]
    result = ms.experiments.run(resolve("decolle-digits", [*QUICK, *given, "training.epochs=4"])[1], tmp_path / "run")
    assert result["test_accuracy"] > 0.4
    assert result["writes_per_device"] > 0


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("synapse.type=triple", "Unknown synapse 'triple'"),
        ("learning.rule=eprop", "recurrent"),
        ("learning.objective.burn=20", "burn is 20; allowed: 0 to 19"),
        ("synapse.device=mif-pair", "a pulse device is needed"),
        ("learning.scheme=conditional-reverse", "DifferentialPair is needed"),
        ("learning.scheme.length=3", "Unknown key of learning.scheme 'length'"),
        ("learning.scheme=agad", "set synapse.type=stack"),
    ],
)
def test_what_cannot_be_is_said(call, tmp_path, setting, words):
    status, _, error = call("run", "decolle-digits", "--quick", "--set", setting, "--out", tmp_path / "run")
    assert status == 2
    assert words in error.replace("\n", " ")
    assert not (tmp_path / "run").exists()


def test_spread_and_reference_belong_to_the_chip():
    """Two seeds have other devices; a chip has the same ones at every read, and its reference at their own points."""
    given = ["synapse.device=ag-a-si", "fabrication.calibration=300", "learning.scheme=sign-gain"]
    _, settings, _ = resolve("decolle-digits", given)
    learner = learner_of(settings, network_of(settings, 8, 3), 20, 10)
    made: list[Any] = [eqx.filter_jit(learner.made)(jax.random.key(k)) for k in (0, 0, 1)]
    made_cells: list[Any] = [n.layers[0].crossbar.cell for n in made]
    curvature = [cell.device.device.curvature_up for cell in made_cells]
    assert curvature[0].shape == (1, 9, 150)
    np.testing.assert_array_equal(curvature[0], curvature[1])
    assert not np.array_equal(curvature[0], curvature[2])
    cell = made_cells[0]
    width = float(learner.network.crossbars[0].cell.device.g_max)
    points = cells.at_symmetry_point(cell.device, (1, 9, 150))[0]
    # alternating pulses with their noise end near it, far nearer than mid-range is
    off = np.asarray(cell.reference - points)
    assert off.std() < 0.1 * width
    assert abs(off.mean()) < 0.02 * width
    assert np.corrcoef(np.asarray(cell.reference).ravel(), np.asarray(points).ravel())[0, 1] > 0.1
