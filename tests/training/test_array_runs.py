"""Whole runs on wired arrays, with converters, over time; and the study of wires."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import memspike as ms
from memspike import InputError
from memspike.experiments.model import classifier
from memspike.experiments.run import read_data
from memspike.experiments.settings import resolve
from memspike.experiments.training import Evaluator, Trainer

SMALL = ["data.train=320", "data.test=40", "hidden=[8]", "evaluation.chips=2", "fine_dt=50us", "batch=32"]
PCM_JOSHI = ["synapse.device=pcm-joshi", "read_voltage=0.36"]
WIRED = ["r_row=20", "r_column=20", "array.tile=[40,16]"]


def parts(*settings):
    _, config = resolve("memprop-digits", [*SMALL, *settings])
    data = read_data(config)
    return config, data, classifier(config, data)


def run(tmp_path, *settings, name="run"):
    _, config = resolve("memprop-digits", [*SMALL, *settings])
    return ms.experiments.run(config, tmp_path / name)


def test_training_renews_its_correction_and_says_how_far_off_it_was(tmp_path):
    config, data, model = parts("epochs=2", *WIRED)
    trainer = Trainer(model, data, config)
    state = trainer.init()
    assert all(np.all(np.asarray(c) == 1) for c in state.wires.correction)
    after, _ = trainer.chunk(state, 0, trainer.indices(0))
    exact = model.network.correction(jax.tree.map(lambda g: g[0], state.lines))
    for used, true in zip(after.wires.correction, exact, strict=True):
        assert used is not None
        np.testing.assert_allclose(used[0], true, rtol=1e-4)
    assert float(after.wires.deviation[0]) == 0.0
    later, _ = trainer.chunk(after, trainer.per_epoch, trainer.indices(1))
    assert 0 < float(later.wires.deviation[0]) < 0.1
    result = run(tmp_path, "epochs=2", *WIRED)
    assert result["wires_deviation"] == pytest.approx(float(later.wires.deviation[0]), rel=1e-3)


def test_wires_cost_accuracy_only_where_they_were_left_out_of_the_training(tmp_path):
    """At 300 Ω a segment: trained with the wires, the network comes close to one with ideal wires."""
    long = ["data.train=640", "data.test=200", "hidden=[16]", "epochs=8", "fine_dt=50us"]
    heavy = ["r_row=300", "r_column=300", "array.tile=[65,32]"]
    ideal = run(tmp_path, *long, name="ideal")["test_accuracy"]
    left_out = run(tmp_path, *long, *heavy, "array.train=false", name="left-out")["test_accuracy"]
    inside = run(tmp_path, *long, *heavy, name="inside")["test_accuracy"]
    assert left_out < ideal - 0.05
    assert inside > left_out + 0.04


def test_evaluation_uses_exact_wires(x64):
    config, data, model = parts("epochs=1", *WIRED)
    trainer, evaluator = Trainer(model, data, config), Evaluator(model, data)
    lines = trainer.init().lines
    one = jax.tree.map(lambda g: g[0], lines)
    seen = tuple(layer.crossbar.transfer(g) for layer, g in zip(model.network.layers, one, strict=True))
    by_hand = evaluator.accuracy_of(jax.tree.map(lambda x: x[None], seen))
    np.testing.assert_array_equal(evaluator.accuracy(lines), by_hand)


def test_converters_in_a_run(tmp_path):
    coarse = run(tmp_path, "epochs=1", "array.adc_bits=8", "array.adc_range=60uA", "array.dac_bits=6", name="coarse")
    assert np.isfinite(coarse["final_loss"])
    with pytest.raises(ms.InputError, match="adc_bits needs"):
        resolve("memprop-digits", ["array.adc_bits=8"])


def test_inference_over_time(call, tmp_path):
    status, text, _ = call(
        "run",
        "memprop-digits",
        *(word for item in (*SMALL, "epochs=2", *PCM_JOSHI) for word in ("--set", item)),
        *("--set", "age=[30s,1h,1y]", "--set", "compensation=global", "--out", tmp_path / "aged"),
    )
    assert status == 0
    assert "1 y after programming, compensation global" in text
    rows = json.loads((tmp_path / "aged/result.json").read_text())["rows"]
    assert [(r["age_s"], r["compensation"]) for r in rows] == [
        (age, name) for name in ("none", "global") for age in (30.0, 3600.0, 31556952.0)
    ]
    assert all(0 <= r["accuracy_min"] <= r["accuracy_mean"] <= 1 for r in rows)
    assert (tmp_path / "aged/figures/time.png").stat().st_size > 5000
    assert "since programming" in (tmp_path / "aged/report.html").read_text()


def test_chips_age_the_same_under_any_compensation(x64):
    """Same chips, same key: at the reference age a compensation changes next to nothing, and drift shows later."""
    _, data, model = parts("epochs=1", *PCM_JOSHI)
    weights = model.network.init_weights(key=jax.random.key(0))
    evaluator = Evaluator(model, data)

    def aged(compensation, programmer=None):
        plan = ms.experiments.Plan(
            ages=(30.0, 3e7),
            programmer=programmer or ms.arrays.Statistical(),
            compensation=compensation,
            chips=3,
        )
        return ms.experiments.inference_over_time(model, evaluator, weights, plan, key=jax.random.key(1))

    without, held = aged(ms.arrays.NoCompensation()), aged(ms.arrays.GlobalDrift())
    assert without.accuracy.shape == (2, 3)
    np.testing.assert_allclose(without.written[0].state.devices.g, held.written[0].state.devices.g)
    np.testing.assert_allclose(without.accuracy[0], held.accuracy[0], atol=0.06)
    verified = aged(ms.arrays.NoCompensation(), ms.arrays.WriteVerify(tolerance=0.02, settle=30.0))
    assert float(verified.written[0].reads.max()) >= 1
    target = model.network.layers[0].crossbar.cell.conductances(weights[0])
    read = verified.written[0].state.devices
    crossbar = model.network.layers[0].crossbar
    seen = jax.vmap(lambda s: crossbar.cell.device.conductance(s, 30.0))(read)
    error = jnp.abs(seen - target[None]) / 25e-6
    assert float(jnp.quantile(error, 0.9)) < 0.05


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["age=[1h]"], "needs devices that age"),
        (["age=[-1]", "synapse.device=pcm"], "greater than or equal to 0"),
        (["r_row=-1"], "greater than or equal to 0"),
        (["array.tile=[4000,4000]"], "larger than every array"),
        (["array.tile=[16,1]"], "does not fit"),
        (["compensation=globl"], "global"),
        (["evaluation.programmer=write"], "write-verify"),
        (["adc_range=0", "adc_bits=4"], "greater than 0"),
    ],
)
def test_impossible_arrays_are_one_sentence(call, tmp_path, settings, words):
    flags = [word for item in (*SMALL, "epochs=1", *settings) for word in ("--set", item)]
    status, _, error = call("run", "memprop-digits", *flags, "--out", tmp_path / "run")
    assert status == 2
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_an_age_before_the_programming_is_refused():
    _, data, model = parts("synapse.device=pcm")
    plan = ms.experiments.Plan(ages=(-5.0,), chips=1)
    with pytest.raises(ms.InputError, match="before the programming"):
        ms.experiments.inference_over_time(model, Evaluator(model, data), (), plan, key=jax.random.key(0))


def test_the_study_of_wires(call, tmp_path):
    """Interrupted and resumed, it trains nothing twice; rows, figure and page exist."""
    flags = ["epochs=1", "data.train=320", "data.test=40", "hidden=[16]", "study.resistances=[50]", "fine_dt=50us"]
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
    settings = ["epochs=2", "scheme=mixed-precision", "device=pcm", "devices_per_side=2"]
    result = run(tmp_path, *settings, "pulse_energy=3pJ", "programming.quantum=0.05")
    assert result["scheme"] == "mixed-precision"
    devices = 2 * 2 * (65 * 8 + 8 * 10)
    assert result["energy_j"] == pytest.approx(3e-12 * result["writes_per_device"] * devices, rel=1e-5)
    assert result["writes_per_device"] * devices == pytest.approx(round(result["writes_per_device"] * devices))
    assert 0 < result["writes_per_device"] < result["writes_most"]
    assert "energy_j" not in run(tmp_path, "epochs=1", name="ideal")
    with pytest.raises(InputError, match=r"programming\.quantum has no effect on the scheme 'sign'"):
        run(tmp_path, "scheme=sign", "programming.quantum=0.05", name="refused")
