"""Chips that grow old: those that were trained by pulses, and what reads of them see."""

import dataclasses
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import memspike as ms
from memspike.config import examples
from memspike.config.build import classification
from memspike.data.base import Dataset
from memspike.experiments import resolve
from memspike.training import evaluate
from memspike.training.aging import Lifetime, later, over_time
from memspike.training.classify import classify
from memspike.training.evaluate import Evaluator, read_keys
from memspike.training.fit import fit
from memspike.training.folder import RunFolder
from memspike.training.learner import Aged

DAY, MONTH = 86400.0, 2.63e6
KEY = jax.random.key(5)
DIGITS = ("data.train=64", "data.test=60", "network.layers=[6]", "seeds=2", "training.epochs=1")
LOCAL = (*DIGITS, "learning.scheme=mixed-precision", "simulation.duration=30ms", "learning.objective.burn=2")
MEMBRANES = (*DIGITS, "learning.scheme=mixed-precision", "synapse.device=pcm", "evaluation.chips=0")
SPOKEN = ("network.layers=[8]", "seeds=2", "training.epochs=1", "training.batch=5", "encoder.frame_time=4ms")
CASES = {
    "decolle-digits": (*LOCAL, "synapse.device=pcmo"),
    "memprop-digits": MEMBRANES,
    "eprop-spoken": SPOKEN,
}


@pytest.fixture(autouse=True)
def _sounds(monkeypatch):
    """Noise in three classes in the place of recordings."""
    rng, y = np.random.default_rng(0), (np.arange(45) % 3).astype(np.int32)
    x = rng.integers(0, 256, (45, 6, 8)).astype(np.uint8)
    sounds = Dataset("sounds", x[:30], y[:30], x[30:], y[30:], 3, 255.0)
    load = examples.load
    monkeypatch.setattr(examples, "load", lambda name, *more: sounds if name == "spoken-digits" else load(name, *more))


@cache
def trained(name, *settings):
    """The training, an evaluator and the chips after it: compiled once for all tests, none of which changes it."""
    given = classification(resolve(name, (*CASES[name], *settings)).settings)
    return given, Evaluator(given.population, given.data), fit(given.population, given.plan).chips


@pytest.mark.parametrize("name", CASES)
def test_the_chips_that_age_are_those_that_were_trained(name):
    """At age 0 it is what reads of the trained cells see then; later it is what they see later, on the same devices."""
    given, evaluator, chips = trained(name)
    population = given.population
    found = over_time(evaluator, chips, Lifetime((0.0, DAY)), key=KEY)
    assert found.written is None
    assert found.accuracy.shape == (2, population.count)
    for_reads = jax.random.split(KEY, 3)[1]
    for number, age in enumerate((0.0, DAY)):
        noise = read_keys(jax.random.fold_in(for_reads, number), population.count, evaluator.chunks)
        keys = evaluate.TestKeys(evaluator.keys(False).shown, noise)
        networks = [population.network(jax.tree.map(lambda x, k=k: x[k], population.chips)) for k in range(2)]
        cells = [
            later(one, jax.tree.map(lambda x, k=k: x[k], chips.cells), jnp.asarray(age))
            for k, one in enumerate(networks)
        ]
        old = chips._replace(cells=jax.tree.map(lambda *leaves: jnp.stack(leaves), *cells))
        np.testing.assert_array_equal(found.accuracy[number], evaluator.accuracy(old, aged=Aged(), keys=keys))


def test_devices_that_do_not_drift_keep_their_accuracy():
    """Of every seed exactly that after training, at any age."""
    _, evaluator, chips = trained("decolle-digits")
    found = over_time(evaluator, chips, Lifetime((0.0, 1.0, DAY, MONTH)), key=KEY)
    np.testing.assert_array_equal(found.accuracy, np.tile(evaluator.accuracy(chips), (4, 1)))


def test_devices_that_drift_are_read_lower_and_hold_what_was_programmed():
    given, _, chips = trained("memprop-digits")
    population = given.population
    network, cells = population.learner.network, population.first_of(chips.cells)
    old = later(network, cells, jnp.asarray(MONTH))
    for crossbar, before, after in zip(network.crossbars, cells, old, strict=True):
        first: Any = before.devices
        np.testing.assert_array_equal(first.g, after.devices.g)
        np.testing.assert_allclose(after.devices.age, first.age + MONTH)
        assert (crossbar.cell.read(after) < crossbar.cell.read(before)).all()


def test_reads_of_old_chips_have_the_noise_of_their_devices():
    """Without drift ages differ by read noise alone, and without that in nothing."""
    quiet = ("synapse.device.read_slope=0", "synapse.device.read_offset=0")

    def accuracy(ages, *settings):
        keys = (*CASES["memprop-digits"], "synapse.device.nu=0", "data.test=297", *settings)
        given = classification(resolve("memprop-digits", keys).settings)
        evaluator = Evaluator(given.population, given.data)
        return over_time(evaluator, given.population.init(), Lifetime(ages), key=KEY).accuracy

    noisy = accuracy((1.0, 1.0))
    assert (noisy[0] != noisy[1]).any()
    still = accuracy((0.0, DAY), *quiet)
    np.testing.assert_array_equal(still[0], still[1])


@pytest.mark.parametrize("name", CASES)
def test_rows_of_a_run_are_of_its_own_chips(name, tmp_path):
    given, _, _ = trained(name)
    wanted = dataclasses.replace(given.evaluation, age=(1.0, DAY))
    result = classify(given._replace(evaluation=wanted), RunFolder(tmp_path), resume=False)
    assert [(row["age_s"], row["compensation"], row["chips"]) for row in result["rows"]] == [
        (1.0, "none", 2),
        (DAY, "none", 2),
    ]
    if name == "decolle-digits":
        assert {row["accuracy_mean"] for row in result["rows"]} == {result["test_accuracy"]}
        assert {row["accuracy_min"] for row in result["rows"]} == {result["test_accuracy_min"]}


@pytest.mark.parametrize("scheme", ["fp32", "accumulate-digital"])
def test_digital_memory_does_not_age(scheme):
    with pytest.raises(ms.InputError, match=r"needs devices that age.*learning\.scheme that writes devices"):
        classification(resolve("eprop-spoken", (*SPOKEN, f"learning.scheme={scheme}", "evaluation.age=[1s]")).settings)


def test_weights_that_were_set_exactly_are_programmed_on_new_chips():
    _, evaluator, chips = trained("memprop-digits", "learning.scheme=ideal")
    found = over_time(evaluator, chips, Lifetime((1.0,), chips=3), key=KEY)
    assert found.accuracy.shape == (1, 3)
    assert found.written is not None


def test_wires_that_are_left_out_of_the_training_are_in_front_of_the_devices_of_each_chip():
    """Spread of the devices stays where wires come in: with next to no resistance nothing changes, aged or not."""
    wires = ("array.r_row=1e-9", "array.r_column=1e-9", "array.tile=[16,6]", "training.wires=false")
    given = classification(resolve("decolle-digits", (*CASES["decolle-digits"], *wires)).settings)
    population, evaluator = given.population, Evaluator(given.population, given.data)
    assert given.learner is not population.learner
    chips = fit(population, given.plan).chips
    without, within = (evaluator.predictions(chips, learner=learner) for learner in (None, given.learner))
    assert (without == within).mean() > 0.98
    old = over_time(evaluator, chips, Lifetime((DAY,)), learner=given.learner, key=KEY).accuracy[0]
    np.testing.assert_allclose(old, (within == given.data.y_test).mean(1))
