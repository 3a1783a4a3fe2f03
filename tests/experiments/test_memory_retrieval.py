"""Patterns completed from a part: what overlap counts, before and after learning, refusals."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike import InputError
from memspike.experiments import resolve, run
from memspike.report import write_report

# the package holds an experiment under the name of its module
study = importlib.import_module("memspike.experiments.memory_retrieval")


def test_patterns_are_completed_after_learning_only(tmp_path):
    experiment, settings, _ = resolve("memory-retrieval", quick=True)
    result = run(settings, tmp_path / "run")
    assert result["overlap"] == pytest.approx(experiment.expected_quick, abs=0.15)
    assert abs(result["overlap_before"]) < 0.1
    assert abs(result["overlap_unseen"]) < 0.2
    page = write_report(tmp_path / "run").read_text()
    assert "before learning" in page
    assert (tmp_path / "run/figures/recall.png").exists()


def test_overlap_counts_what_was_neither_cued_nor_asked_for():
    pattern, cued = jnp.asarray([1.0, 1, 1, 0, 0, 0]), jnp.asarray([1.0, 0, 0, 0, 0, 1])
    v = jnp.zeros((5, 6)).at[2, jnp.asarray([0, 1, 3, 5])].set(0.1)
    assert float(study.Recall(v, cued, pattern).overlap(0.05)) == pytest.approx(0.5 - 0.5)
    full = jnp.zeros((5, 6)).at[2, :3].set(0.1)
    assert float(study.Recall(full, cued, pattern).overlap(0.05)) == pytest.approx(1.0)


def test_a_cue_is_a_part_of_the_pattern_and_a_wrong_neuron():
    trials = study.prepare(resolve("memory-retrieval", ["seeds=1"]).settings).population.trials
    patterns = np.asarray(trials.patterns(jax.random.key(0), 6))
    assert (patterns.sum(1) == 10).all()
    assert len({tuple(p) for p in patterns}) == 6
    np.testing.assert_array_equal(trials.epoch(jax.random.key(0), jnp.asarray(7)), patterns[:3])
    x, cued = trials.cue(jnp.asarray(patterns[0]), jax.random.key(1))
    assert x.shape == (150, 40)
    np.testing.assert_array_equal(x.sum(0), cued)
    assert float(cued @ patterns[0]) == 5
    assert float(cued.sum()) == 6


def test_wires_and_tiles_have_the_same_keys(tmp_path):
    keys = ["seeds=1", "training.epochs=1", "task.cues=1", "array.r_row=1", "array.tile=[20,16]", "network.layers=[20]"]
    result = run(resolve("memory-retrieval", [*keys, "task.active=6"]).settings, tmp_path / "run")
    assert -1 <= result["overlap"] <= 1


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["synapse.device=epiram"], "one memory device a weight"),
        (["training.epochs=0"], "training.epochs"),
        (["array.adc=adc", "array.adc.bits=6", "array.adc.range=20uA"], "takes no converters"),
        (["network=competitive"], "network=associative"),
        (["learning.rule=stdp"], "winner-take-all"),
        (["task.active=40"], "task.active"),
        (["task.cue=1"], "none to recall"),
        (["task.wrong=30"], "task.wrong"),
        (["neuron=lif"], "a membrane voltage"),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(keys, message, tmp_path):
    with pytest.raises(InputError, match=message) as error:
        run(resolve("memory-retrieval", keys).settings, tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()
