"""The one loop: every step once, one program, resumed runs end with the same numbers, the same keys for every rule."""

import subprocess
import sys
from functools import cache

import jax
import numpy as np
import pytest

import memspike as ms
from memspike.experiments import resolve
from memspike.training.fit import Plan, fit
from memspike.training.folder import RunFolder

SMALL = ("data.train=60", "data.test=20", "training.epochs=2", "seeds=2")
RULES = {
    "bptt": ("memprop-digits", "network.layers=[5]", "training.batch=20", "evaluation.chips=0"),
    "decolle": ("decolle-digits", "network.layers=[6]", "training.batch=20", "simulation.duration=40ms"),
    "eprop": ("eprop-evidence", "network.layers=[6]", "training.batch=20", "encoder.frame_time=2ms"),
}
WIRES = ("array.r_row=20", "array.r_column=20")
ALL = (*WIRES, "array.tile=[16,16]", "array.adc=adc", "array.adc.bits=7", "array.adc.range=100uA")


@cache
def prepared(rule, *settings):
    """Made and compiled once for all tests; none of them changes it."""
    name, *own = RULES[rule]
    experiment, settings, _ = resolve(name, (*own, *SMALL, *settings))
    return experiment.prepare(settings)


def leaves(chips):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(chips)]


@pytest.mark.parametrize("rule", RULES)
def test_every_step_is_run_once_by_one_program(rule):
    given = prepared(rule)
    population, seen = given.population, []
    for piece in given.plan.pieces(population):
        for epoch in range(piece.epoch, piece.epoch + piece.epochs):
            seen += [(epoch, k) for k in range(piece.first, piece.first + piece.steps)]
    assert seen == [(e, k) for e in range(2) for k in range(population.per_epoch)]
    done = fit(population, Plan(2, together=1))
    assert population._run._cache_size() == 1
    assert [row["epoch"] for row in done.history] == [1, 1, 2, 2]


def test_long_epochs_are_cut_and_their_metrics_are_means(monkeypatch):
    monkeypatch.setattr("memspike.training.fit.AT_ONCE", 2)
    cut = whole = prepared("bptt", "seeds=1")
    pieces = list(cut.plan.pieces(cut.population))
    assert {piece.steps for piece in pieces} == {2, 1}
    monkeypatch.setattr("memspike.training.fit.AT_ONCE", 1)  # pieces of one length are one program
    first = fit(cut.population, Plan(1))
    monkeypatch.setattr("memspike.training.fit.AT_ONCE", 50)
    second = fit(whole.population, Plan(1))
    for a, b in zip(leaves(first.chips), leaves(second.chips), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-8)
    assert first.history[0]["loss"] == pytest.approx(second.history[0]["loss"], rel=1e-5)


@pytest.mark.parametrize("rule", RULES)
def test_a_resumed_training_ends_with_the_same_numbers(rule, tmp_path):
    given = prepared(rule)
    whole = fit(given.population, Plan(2, together=1))
    folder = RunFolder(tmp_path)
    fit(given.population, Plan(1, together=1), folder)
    resumed = fit(given.population, Plan(2, together=1), folder, resume=True)
    for a, b in zip(leaves(whole.chips), leaves(resumed.chips), strict=True):
        np.testing.assert_array_equal(a, b)
    assert whole.history == resumed.history


@pytest.mark.parametrize("rule", RULES)
def test_wires_are_lagged_for_every_rule(rule):
    given = prepared(rule, *WIRES)
    done = fit(given.population, Plan(2, together=1))
    assert done.chips.wires is not None
    moved = float(np.max(done.chips.wires.deviation))
    assert 0 <= moved < 0.5
    assert moved > 0 or rule == "eprop"  # so few updates send no pulse: nothing has moved
    ideal = fit(prepared(rule).population, Plan(2, together=1))
    assert ideal.chips.wires is None
    if rule != "eprop":
        pairs = zip(leaves(done.chips.cells), leaves(ideal.chips.cells), strict=True)
        assert any(not np.allclose(a, b) for a, b in pairs)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "keys",
    [
        ALL,
        ("synapse.device=pcmo", "learning.scheme=stochastic-rounding"),
        ("synapse=differential-pair", "synapse.device=pcm", "learning.scheme=mixed-precision"),
        ("synapse=stack", "synapse.device=reram-array-om", "learning.scheme=agad", "fabrication.calibration=20"),
        ("learning.scheme=fp32",),
    ],
    ids=["array", "pcmo", "pcm", "agad", "fp32"],
)
def test_the_same_keys_for_every_rule(rule, keys):
    """Built and traced: one step of every combination."""
    population = prepared(rule, *keys).population
    assert population.per_epoch == 3


@pytest.mark.parametrize(
    ("experiment", "key", "words"),
    [
        ("memprop-digits", "learning.rule=eprop-online", "shows one trial at a time"),
        ("memprop-digits", "learning.rule=decolle", "trace-lif"),
        ("decolle-digits", "learning.rule=stdp", "winner-take-all"),
        ("decolle-digits", "learning.scheme=agad", "set synapse.type=stack"),
        ("eprop-evidence", "learning.objective=time-mean", "error at every step"),
        ("eprop-evidence", "training.update_every=3", "decolle alone"),
        ("memprop-digits", "array.tile=[3,1]", "does not fit"),
        ("memprop-digits", "evaluation.age=[1s]", "devices that age"),
        ("memprop-digits", "training.batch=5000", "training.batch is 5000"),
        ("pcm-eprop", "evaluation.compensation=global", "evaluation.compensation is global, which pcm-eprop does not"),
        ("pcm-eprop", "evaluation.age=[1h]", "which pcm-eprop does not measure"),
        ("stdp-patterns", "evaluation.chips=3", "which stdp-patterns does not measure"),
        ("memory-retrieval", "evaluation.fine_dt=1us", "which memory-retrieval does not measure"),
        ("asymmetry-study", "training.wires=false", "trains and tests on the same arrays"),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_no_folder(experiment, key, words, tmp_path):
    settings = resolve(experiment, [key]).settings
    with pytest.raises(ms.InputError, match=words) as error:
        ms.experiments.run(settings, tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_chips_and_batches_on_several_devices():
    """In a process of its own with two CPU devices: one program each, whether chips or batches are shared out."""
    program = f"""
from memspike.parts.parallel import use_cores
use_cores(2)
import jax
from memspike.experiments import resolve
from memspike.training.fit import Plan, fit
for name, *own in {list(RULES.values())[:2]!r}:
    experiment, settings, _ = resolve(name, (*own, *{SMALL!r}, "seeds=2"))
    population = experiment.prepare(settings).population
    fit(population, Plan(2, together=1))
    assert population._run._cache_size() == 1, name
print("devices", jax.device_count())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "devices 2"
