"""Whole runs on wired arrays, with converters, over time; and the study of wires."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import memspike as ms
from memspike import InputError
from memspike.arrays import Ideal
from memspike.config.build import classification
from memspike.experiments import resolve
from memspike.networks.base import corrections_of, lines_of
from memspike.training.aging import Lifetime, over_time
from memspike.training.classify import classify
from memspike.training.evaluate import Evaluator
from memspike.training.fit import fit
from memspike.training.folder import RunFolder
from memspike.training.population import Piece

SMALL = ["data.train=320", "data.test=40", "training.batch=32", "network.layers=[8]"]
SMALL += ["evaluation.chips=0", "evaluation.fine_dt=none"]
PCM_JOSHI = ["synapse.device=pcm-joshi", "encoder.read_voltage=0.36"]
WIRED = ["array.r_row=20", "array.r_column=20", "array.tile=[40,16]"]


def parts(*settings):
    given = classification(resolve("memprop-digits", [*SMALL, *settings]).settings)
    return given.population, Evaluator(given.population, given.data)


def run(tmp_path, *settings, name="run"):
    return ms.experiments.run(resolve("memprop-digits", [*SMALL, *settings]).settings, tmp_path / name)


def epoch(population, chips, number):
    """The chips after an epoch, as the training runs it."""
    chips = population.renewed(chips, first=number == 0)
    return population.run(chips, Piece(number, 1, 0, population.per_epoch))[0]


def test_training_renews_its_correction_and_says_how_far_off_it_was(tmp_path):
    given = classification(resolve("memprop-digits", [*SMALL, "training.epochs=2", *WIRED]).settings)
    population = given.population
    chips: Any = population.init()
    assert all(np.all(np.asarray(c) == 1) for c in chips.wires.corrections)
    after: Any = epoch(population, chips, 0)
    network = population.learner.network
    exact: Any = jax.jit(corrections_of)(network, lines_of(network, population.first_of(chips.cells)))
    for used, true in zip(after.wires.corrections, exact, strict=True):
        assert used is not None
        np.testing.assert_allclose(used[0], true, rtol=1e-4)
    assert float(after.wires.deviation[0]) == 0.0
    later: Any = epoch(population, after, 1)
    assert 0 < float(later.wires.deviation[0]) < 0.1
    result = classify(given, RunFolder(tmp_path), resume=False)
    assert result["wires_deviation"] == pytest.approx(float(later.wires.deviation[0]), rel=1e-3)


def test_wires_cost_accuracy_only_where_they_were_left_out_of_the_training():
    """At 300 Ω a segment: trained with the wires, the network comes close to one with ideal wires."""
    long = ["data.train=640", "data.test=200", "network.layers=[16]", "training.epochs=8"]
    heavy = ["array.r_row=300", "array.r_column=300", "array.tile=[65,32]"]

    def trained(*settings):
        given = classification(resolve("memprop-digits", [*SMALL, *long, *heavy, *settings]).settings)
        chips = fit(given.population, given.plan).chips
        return given, Evaluator(given.population, given.data), chips

    given, evaluator, chips = trained("training.wires=false")
    assert given.population.learner.network.crossbars[0].wires == Ideal()
    ideal = evaluator.accuracy(chips).mean()
    left_out = evaluator.accuracy(chips, learner=given.learner).mean()
    _, evaluator, chips = trained()
    inside = evaluator.accuracy(chips).mean()
    assert left_out < ideal - 0.05
    assert inside > left_out + 0.04


def test_evaluation_uses_exact_wires(x64):
    population, evaluator = parts("training.epochs=1", *WIRED)
    learner, chips = population.learner, population.init()
    network: Any = learner.network
    lines = lines_of(network, population.first_of(chips.cells))

    @jax.jit
    def predicted(lines: Any, x: Any, key: Any) -> Any:
        seen = tuple(c.transfer(g) for c, g in zip(network.crossbars, lines, strict=True))
        shown = evaluator.trials.shown(x, learner.clock.dt, key=key)
        return learner.objective.predict(network.run(seen, shown, learner.clock).output)

    keys = evaluator.keys(False).shown[0]
    correct = [predicted(lines, x, key) for x, key in zip(evaluator.x, keys, strict=True)]
    by_hand = np.concatenate(correct)[: len(evaluator.data.y_test)]
    np.testing.assert_array_equal(evaluator.predictions(chips)[0], by_hand)


def test_converters_in_a_run(tmp_path):
    converters = ("array.adc={type='adc', bits=8, range=60e-6}", "array.dac={type='dac', bits=6, range=0.3}")
    coarse = run(tmp_path, "training.epochs=1", "evaluation.fine_dt=50us", *converters, name="coarse")
    assert np.isfinite(coarse["final_loss"])
    assert coarse["energy_j"] == coarse["writes_per_device"] == 0, "weights that are set exactly take no pulses"
    with pytest.raises(ms.InputError, match=r"array\.adc .*needs array\.adc\.range"):
        resolve("memprop-digits", ["array.adc={type='adc', bits=8}"])


def test_inference_over_time(call, tmp_path):
    status, text, _ = call(
        "run",
        "memprop-digits",
        *(word for item in (*SMALL, "training.epochs=2", *PCM_JOSHI) for word in ("--set", item)),
        *(
            "--set",
            "evaluation.chips=2",
            "--set",
            "evaluation.age=[30s,1h,1y]",
            "--set",
            "evaluation.compensation=global",
            "--out",
            tmp_path / "aged",
        ),
    )
    assert status == 0
    assert any(line.split()[:3] == ["1", "y", "global"] for line in text.splitlines()), text
    rows = json.loads((tmp_path / "aged/result.json").read_text())["rows"]
    assert [(r["age_s"], r["compensation"]) for r in rows] == [
        (age, name) for name in ("none", "global") for age in (30.0, 3600.0, 31556952.0)
    ]
    assert all(0 <= r["accuracy_min"] <= r["accuracy_mean"] <= 1 for r in rows)
    assert (tmp_path / "aged/figures/time.png").stat().st_size > 5000
    assert "since programming" in (tmp_path / "aged/report.html").read_text()


def test_chips_age_the_same_under_any_compensation(x64):
    """Same chips, same key: at the reference age a compensation changes next to nothing, and drift shows later."""
    population, evaluator = parts("training.epochs=1", *PCM_JOSHI)
    chips, network = population.init(), population.learner.network
    weights = network.weights(population.first_of(chips.cells))

    def aged(compensation, programmer=None):
        lifetime = Lifetime((30.0, 3e7), programmer or ms.arrays.Statistical(), compensation, chips=3)
        return over_time(evaluator, chips, lifetime, key=jax.random.key(1))

    without, held = aged(ms.arrays.NoCompensation()), aged(ms.arrays.GlobalDrift())
    assert without.accuracy.shape == (2, 3)
    assert without.written is not None
    assert held.written is not None
    np.testing.assert_allclose(without.written[0].state.devices.g, held.written[0].state.devices.g)
    np.testing.assert_allclose(without.accuracy[0], held.accuracy[0], atol=0.06)
    verified = aged(ms.arrays.NoCompensation(), ms.arrays.WriteVerify(tolerance=0.02, settle=30.0)).written
    assert verified is not None
    assert float(verified[0].reads.max()) >= 1
    cell = network.crossbars[0].cell
    target = cell.conductances(weights[0])
    seen = jax.vmap(lambda s: cell.device.conductance(s, 30.0))(verified[0].state.devices)
    error = jnp.abs(seen - target[None]) / 25e-6
    assert float(jnp.quantile(error, 0.9)) < 0.05


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["evaluation.age=[1h]"], "needs devices that age"),
        (["evaluation.age=[-1]", "synapse.device=pcm"], "evaluation.age is -1 s"),
        (["array.r_row=-1"], "array.r_row is -1"),
        (["array.tile=[16,1]"], "does not fit"),
        (["evaluation.compensation=globl"], "global"),
        (["evaluation.programmer=write"], "write-verify"),
        (["array.adc={type='adc', bits=4, range=0}"], "array.adc.range is 0"),
    ],
)
def test_impossible_arrays_are_one_sentence(call, tmp_path, settings, words):
    flags = [word for item in (*SMALL, "training.epochs=1", *settings) for word in ("--set", item)]
    status, _, error = call("run", "memprop-digits", *flags, "--out", tmp_path / "run")
    assert status == 2
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_an_age_before_the_programming_is_refused():
    population, evaluator = parts("synapse.device=pcm")
    with pytest.raises(ms.InputError, match="before the programming"):
        over_time(evaluator, population.init(), Lifetime((-5.0,), chips=1), key=jax.random.key(0))


def test_the_study_of_wires(call, tmp_path):
    """Interrupted and resumed, it trains nothing twice; rows, figure and page exist."""
    flags = ["training.epochs=1", *SMALL[:2], "network.layers=[16]", "study.resistances=[50]", *SMALL[4:]]
    arguments = ["run", "wire-study", "--quick", *(w for f in flags for w in ("--set", f)), "--out", tmp_path / "study"]
    status, text, error = call(*arguments)
    assert status == 0, error
    assert "with its wires" in text
    result = json.loads((tmp_path / "study/result.json").read_text())
    assert [(r["tile"], r["r_ohm"], r["trained"]) for r in result["rows"]] == [
        (32, 50.0, "ideal wires"),
        (32, 50.0, "with its wires"),
    ]
    assert (tmp_path / "study/figures/study.png").stat().st_size > 5000
    before = (tmp_path / "study/trainings/ideal/result.json").stat().st_mtime_ns
    (tmp_path / "study/result.json").unlink()
    status, _, error = call(*arguments, "--resume")
    assert status == 0, error
    assert (tmp_path / "study/trainings/ideal/result.json").stat().st_mtime_ns == before
    assert json.loads((tmp_path / "study/result.json").read_text()) == result


def test_pulses_of_a_training_are_counted_and_cost_energy(tmp_path):
    """Backpropagation with a pulse scheme: whole pulses, each with its energy, and devices dealt in turn."""
    settings = ["training.epochs=2", "learning.scheme=mixed-precision", "synapse.type=multi-device"]
    settings += ["synapse.per_side=2", "synapse.device=pcm", "array.drive.up.energy=3pJ"]
    result = run(tmp_path, *settings, "learning.scheme.quantum=0.05")
    assert result["scheme"] == "mixed-precision"
    devices = 2 * 2 * (65 * 8 + 8 * 10)
    assert result["energy_j"] == pytest.approx(3e-12 * result["writes_per_device"] * devices, rel=1e-5)
    assert result["writes_per_device"] * devices == pytest.approx(round(result["writes_per_device"] * devices))
    assert 0 < result["writes_per_device"] < result["writes_most"]
    with pytest.raises(InputError, match=r"learning\.scheme\b.*'quantum'.*dead_zone"):
        run(tmp_path, "learning.scheme=sign", "learning.scheme.quantum=0.05", name="refused")
