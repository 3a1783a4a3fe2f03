"""The ablation of e-prop: what is held fixed stays, readouts by ridge regression are the best ones, rows, refusals."""

import jax
import numpy as np
import pytest

from memspike import InputError
from memspike.experiments import resolve, run
from memspike.experiments.pcm_eprop import prepare
from memspike.experiments.pcm_eprop_ablation import (
    ALL,
    LEARNING,
    LINES,
    UNTRAINED,
    heard,
    last_chips,
    plan,
    readout,
    ridge,
)
from memspike.training.folder import RunFolder

SMALL = ("network.layers=[12]", "task.inputs=10", "task.steps=60", "training.epochs=2", "seeds=2", "theta=0.05")


def settings_of(*more):
    return resolve("pcm-eprop-ablation", (*SMALL, *more)).settings


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A whole small study: its result and folder."""
    folder = tmp_path_factory.mktemp("study") / "run"
    return run(settings_of(), folder), folder


def test_every_line_has_a_row_and_a_training_keeps_what_does_not_learn(study):
    result, folder = study
    assert [row["weights"] for row in result["rows"]] == list(LINES)
    assert all(row["seeds"] == 2 and row["mse_q1"] <= row["mse_median"] <= row["mse_q3"] for row in result["rows"])
    made = plan(settings_of())
    for name, learns in LEARNING.items():
        population, chips = last_chips(made.trainings[name], RunFolder(folder / "trainings" / name.replace(" ", "-")))
        network = population.population.learner.network
        before = jax.vmap(network.weights)(population.population.init().cells)
        after = jax.vmap(network.weights)(chips.cells)
        moved = [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
        assert moved == [bool(on) for on in learns], name


def test_the_ridge_is_the_least_squares_solution_for_a_small_penalty():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 4)), rng.normal(size=(50, 1))
    left = np.linalg.lstsq(x, y, rcond=None)[1].item() / 50
    assert ridge(x, y, 1e-12) == pytest.approx(left, rel=1e-9)
    assert left < ridge(x, y, 0.1) < float(np.square(y).mean())
    assert ridge(np.zeros_like(x), y, 1e-6) == pytest.approx(float(np.square(y).mean()))


def test_no_readout_of_the_same_network_is_better(study):
    """A trained network has all weights moved; with its own readout its error is at least that of the ridge."""
    result, _ = study
    found = {row["weights"]: row["mse_median"] for row in result["rows"]}
    assert found[UNTRAINED] <= found["readout alone"]
    run = prepare(plan(settings_of()).trainings[ALL])
    chips = run.population.init()
    assert np.asarray(heard(run, chips).traces).shape == (2, 3, 60, 12)
    small, large = (readout(run, chips, penalty)["mse_median"] for penalty in (1e-9, 1e3))
    assert small < large


def test_only_wanted_lines_are_trained():
    few = plan(settings_of("study.weights=[readout alone,ridge on the untrained network]"))
    assert list(few.trainings) == ["readout alone"]
    assert list(plan(settings_of("study.weights=[ridge on the trained network]")).trainings) == [ALL]


@pytest.mark.parametrize(
    ("setting", "message"),
    [("study.weights=[readout]", "line of the ablation.*readout alone"), ("learning.optimizer=sgd", "three rates")],
)
def test_what_cannot_be_is_refused(setting, message, tmp_path):
    with pytest.raises(InputError, match=message):
        run(settings_of(setting), tmp_path / "run")
    assert not (tmp_path / "run").exists()
