"""Shapes told apart without a teacher: names of neurons, chips that are never written, every array, refusals."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike import InputError
from memspike.cells import DifferentialPair, RangeReference
from memspike.experiments import resolve, run
from memspike.learning.rules.stdp import Learned
from memspike.report import write_report
from memspike.training.fit import Plan, fit
from memspike.training.population import Piece

# the package holds an experiment under the name of its module
study = importlib.import_module("memspike.experiments.stdp_patterns")
SMALL = ("seeds=1", "task.presentations=8", "task.test_presentations=8", "training.epochs=1")


def settings_of(*keys, name="stdp-patterns"):
    return resolve(name, (*SMALL, *keys)).settings


def test_four_shapes_are_told_apart_and_without_learning_they_are_not(tmp_path):
    experiment, settings, _ = resolve("stdp-patterns", quick=True)
    result = run(settings, tmp_path / "run")
    assert result["test_accuracy"] == pytest.approx(experiment.expected_quick, abs=0.03)
    assert result["untrained_accuracy"] < 0.45
    assert result["chance"] == 0.25
    assert result["rows"][0]["accuracy"] == result["test_accuracy"]
    assert result["writes_per_device"] > 1
    page = write_report(tmp_path / "run").read_text()
    assert "without plasticity" in page
    assert (tmp_path / "run/figures/weights.png").exists()


def test_waveforms_tell_four_shapes_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "untrained", lambda made: np.full(made.settings.seeds, 0.25))
    experiment, settings, _ = resolve("stdp-patterns-waveform", quick=True, seeds=1)
    result = run(settings, tmp_path / "run")
    assert result["test_accuracy"] == pytest.approx(experiment.expected_quick, abs=0.03)
    assert result["writes_per_device"] == 0


def test_names_come_from_training_and_silence_is_wrong():
    learned = Learned(jnp.zeros(3), jnp.asarray([[2.0, 1, 0, 0], [0, 0.5, 0, 0.1], [0, 0, 0, 0]]))
    assert learned.names().tolist() == [0, 1, -1]
    predicted = np.asarray(learned.named(jnp.asarray([0, 0, -1, 2])))
    assert predicted.tolist() == [0, 0, -1, -1]
    tested = study.Tested(np.arange(4), predicted[None], np.zeros((1, 4, 1, 3)))
    assert tested.accuracy().tolist() == [0.25]
    made = study.prepare(settings_of())
    chips = made.population.init()
    assert (np.asarray(made.population.first_of(chips).rule.names()) == -1).all()
    assert made.test(chips, 0.1).accuracy().tolist() == [0.0]


def test_a_training_may_be_cut_between_epochs():
    """Adaptation, votes, devices and ledger are all in what a checkpoint holds."""
    population = study.prepare(settings_of()).population
    whole, _ = population.run(population.init(), Piece(0, 2, 0, 8))
    start = population.init()
    for epoch in range(2):
        after, _ = population.run(start, Piece(epoch, 1, 0, 8))
        start = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), after)
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(start), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    assert float(whole.rule.votes.sum()) > 10


def test_chips_without_plasticity_are_the_same_chips_and_never_written():
    made = study.prepare(settings_of())
    first, start = made.untrained.init(), made.population.init()
    after = fit(made.untrained, Plan(1)).chips
    for a, b, c in zip(*(jax.tree.leaves(chips.cells) for chips in (start, first, after)), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    assert float(after.rule.votes.sum()) > 1


def test_presentations_together_are_those_one_by_one():
    population = study.prepare(settings_of("network.noise=0")).population
    learner, chip = population.learner, population.first_of(population.init())
    view = learner.view(learner.network, chip.cells, None)
    keys = jax.random.split(jax.random.key(0), 5)
    each = [population.trials.trial(None, jnp.asarray(k), keys[k])[0] for k in range(5)]
    together = learner.rule.run(chip.rule, view, jnp.stack(each, axis=1), key=None)
    assert together.z.shape == (60, 5, 8)
    assert together.z.sum() > 0
    for k, x in enumerate(each):
        np.testing.assert_array_equal(together.z[:, k], learner.rule.run(chip.rule, view, x, key=None).z)


def test_the_reference_is_the_lowest_conductance_of_any_device():
    for device in ("epiram", "pcmo", "pulsed-mif-synapse"):
        cell = settings_of(f"synapse.device={device}").synapse
        assert isinstance(cell, RangeReference)
        low, high = (float(w[0, 0]) for w in cell.weight_range((1, 1)))
        assert low == pytest.approx(0.0, abs=1e-6)
        assert high == pytest.approx(1.0, abs=1e-6)
    assert isinstance(settings_of("synapse=differential-pair").synapse, DifferentialPair)


@pytest.mark.parametrize(
    "keys",
    [
        ("array.r_row=1", "array.tile=[32,16]", "array.adc=adc", "array.adc.bits=6", "array.adc.range=20uA"),
        ("synapse=differential-pair", "synapse.write=both-sides", "learning.scheme=mixed-precision"),
        ("fabrication.stuck=0.1", "learning.scheme=fp32"),
    ],
    ids=["wires, tiles, converters", "pairs", "digital"],
)
def test_every_array_cell_and_scheme_has_the_same_keys(keys, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "untrained", lambda made: np.full(made.settings.seeds, 0.25))
    result = run(settings_of("task.test_flips=[0.1]", *keys), tmp_path / "run")
    assert 0 <= result["test_accuracy"] <= 1


@pytest.mark.parametrize(
    ("name", "keys", "message"),
    [
        ("stdp-patterns", ["learning.rule=hebb"], "memspike list rules"),
        ("stdp-patterns", ["synapse.device=vteam"], "a pulse device is needed"),
        ("stdp-patterns", ["learning.scheme=sgn"], "sign"),
        ("stdp-patterns", ["learning.scheme=tiki-taka"], "synapse.type=stack"),
        ("stdp-patterns", ["learning.rule=stdp-waveform"], "one memory device a weight"),
        ("stdp-patterns", ["learning.rule=eprop"], "recurrent"),
        ("stdp-patterns", ["training.batch=2"], "one trial at a time"),
        ("stdp-patterns", ["simulation.parts=3"], "once a presentation"),
        ("stdp-patterns", ["network=associative"], "tells no classes"),
        ("stdp-patterns", ["neuron=trace-lif"], "alif"),
        ("stdp-patterns-waveform", ["learning.scheme=fp32"], "one memory device a weight"),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(name, keys, message, tmp_path):
    with pytest.raises(InputError, match=message) as error:
        run(resolve(name, keys).settings, tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()
