"""Runs that are read back from their folders, and exported."""

import csv
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import memspike as ms
from memspike import InputError
from memspike.experiments.export import export_run, pulses_for, staircase
from memspike.parts.atomic import read_arrays
from memspike.report.membrane_figures import _sides

SMALL = ["data.train=64", "data.test=60", "network.layers=[6]", "training.epochs=1", "evaluation.chips=0"]
AGED = ["synapse.device=pcm", "learning.scheme=mixed-precision", "evaluation.age=[3600]", "seeds=1"]


def trained(folder, *changes):
    settings = ms.experiments.resolve("memprop-digits", [*SMALL, "evaluation.fine_dt=none", *changes]).settings
    return ms.experiments.run(settings, folder)


@pytest.fixture(scope="module")
def exact(tmp_path_factory):
    """Two chips whose weights were set exactly, and what came of them."""
    folder = tmp_path_factory.mktemp("exact") / "run"
    result = trained(folder, "seeds=2", "seed=7")
    return ms.load(folder), result


@pytest.fixture(scope="module")
def pulsed(tmp_path_factory):
    """One chip that was trained by pulses on phase-change memory."""
    folder = tmp_path_factory.mktemp("pulsed") / "run"
    result = trained(folder, *AGED)
    return ms.load(folder), result


def test_a_loaded_run_says_what_the_run_said(exact):
    run, result = exact
    assert run.accuracy().tolist() == result["test_accuracies"]
    assert (run.result, list(run.seeds), run.step) == (result, [7, 8], result["steps"])
    samples = read_arrays(run.folder / "samples.npz")
    np.testing.assert_array_equal(run.predict(samples["images"])[0], samples["predicted"])
    conductances = run.conductances()
    assert [v.shape for v in conductances.values()] == [(2, 2, 65, 6), (2, 2, 6, 10)]
    for k, name in enumerate(run.names):
        np.testing.assert_array_equal(conductances[name][0], samples[f"g_{k}"])
        up, down = conductances[name][:, 0], conductances[name][:, 1]
        np.testing.assert_allclose(run.weights()[name], (up - down) / 90e-6, atol=1e-5)


def test_a_loaded_run_says_the_step_for_a_circuit_simulator(exact, pulsed):
    run, result = exact
    found = run.accurate_step(chip=1)
    assert found.dt in {50e-6 / 2**k for k in range(1, 8)}
    assert 0 < found.deviation <= 0.5e-3 < result["membrane_deviation"]
    assert run.accurate_step(within=1.0).dt == 50e-6
    assert pulsed[0].accurate_step(samples=1).deviation <= 0.5e-3


def test_the_very_chip_ages_as_the_run_measured_it(pulsed):
    run, result = pulsed
    assert run.age((3600.0,)) == result["rows"]
    assert not any(run.exact.values())


def read_table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_an_export_can_be_written_to_devices(exact, tmp_path):
    run, _ = exact
    paths = export_run(run, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(p.name for p in paths)
    rows, conductances = read_table(tmp_path / "out/conductances.csv"), run.conductances()
    assert len(rows) == sum(v.size for v in conductances.values())
    device = run.devices()["layer 1"]
    for row in rows[:: len(rows) // 50]:
        k, place = [7, 8].index(int(row["seed"])), tuple(int(row[c]) for c in ("device", "row", "column"))
        target = float(row["conductance_s"])
        assert target == pytest.approx(float(conductances[row["layer"]][k][place]), rel=1e-6)
        reached = device.program(device.reset(device.init(())), int(row["pulses_from_reset"]))
        assert float(reached) == pytest.approx(float(row["expected_s"]), rel=1e-5)
        assert abs(float(reached) - target) <= 1.001 * float(row["tolerance_s"])
    saved = read_arrays(tmp_path / "out/predictions.npz")
    assert (saved["predicted"] == saved["labels"]).mean(axis=1).tolist() == run.accuracy().tolist()
    assert "trace_0" in read_arrays(tmp_path / "out/traces.npz")
    assert read_arrays(tmp_path / "out/weights.npz").keys() == conductances.keys()


def test_conductances_that_pulses_made_need_no_pulses(pulsed, tmp_path, call):
    run, _ = pulsed
    status, printed, _ = call("export", str(run.folder), "--out", str(tmp_path / "out"))
    assert status == 0
    assert str(tmp_path / "out/conductances.csv") in printed.splitlines()
    assert list(read_table(tmp_path / "out/conductances.csv")[0])[-1] == "conductance_s"


@pytest.mark.parametrize("name", ["taox-hfox", "pcm", "tabular"])
def test_the_nearest_pulse_is_found(name):
    device: Any = ms.devices.find(name)
    steps = staircase(device)
    state = device.reset(device.init(()))
    assert float(device.stored(device.program(state, jnp.asarray(3)))) == pytest.approx(steps[3], rel=1e-5)
    targets = np.linspace(steps[0], steps[-1], 57)
    found = pulses_for(targets, steps)
    assert np.abs(targets - found.expected) == pytest.approx(np.abs(targets[:, None] - steps).min(axis=1))


def test_a_device_whose_first_pulses_are_small_is_followed_to_its_top():
    steps = jnp.array([2e-5, 1e-2, 1e-2])  # a first pulse of a fifth of the least move
    device = ms.devices.PiecewiseStep(g_min=1e-6, g_max=1e-5, up=steps, down=steps)
    found = staircase(device)
    assert found[1] - found[0] < 1e-4 * 9e-6
    assert found[-1] > 1e-5 - 2e-4 * 9e-6


def test_weights_in_digital_memory_are_on_no_device(tmp_path):
    trained(tmp_path / "run", "learning.scheme=fp32")
    run = ms.load(tmp_path / "run")
    assert run.conductances() == {}
    assert {p.name for p in export_run(run, tmp_path / "out")} == {"predictions.npz", "traces.npz"}


RULES = {
    "eprop-spoken": [
        "data.name=digits",
        "encoder=image-rate",
        "data.train=40",
        "data.test=20",
        "simulation.duration=20ms",
    ],
    "decolle-digits": ["data.train=40", "data.test=20", "network.layers=[6]"],
    "stdp-patterns": ["task.presentations=4", "task.test_presentations=4", "task.test_flips=[0.1]"],
    "pcm-eprop": ["task.steps=60", "task.inputs=8"],
}


SLOW = ("pcm-eprop",)


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.full) if n in SLOW else n for n in RULES])
def test_conductances_of_every_rule_are_kept_exported_and_drawn(name, tmp_path):
    keys = [*RULES[name], "training.epochs=1", "seeds=2"] + (["network.layers=[5]"] if "prop" in name else [])
    ms.experiments.run(ms.experiments.resolve(name, keys).settings, tmp_path / "run")
    run, samples = ms.load(tmp_path / "run"), read_arrays(tmp_path / "run/samples.npz")
    conductances = run.conductances()
    assert samples["matrices"].tolist() == list(conductances) == list(run.names)
    for k, (matrix, values) in enumerate(conductances.items()):
        device = run.devices()[matrix]
        assert len(values) == 2
        np.testing.assert_array_equal(values[0], samples[f"g_{k}"])
        assert values.min() >= 0.5 * float(device.g_min)
        assert run.weights()[matrix].shape == (2, *values.shape[2:])
    written = {path.name for path in export_run(run, tmp_path / "out")}
    assert {"conductances.csv", "conductances.npz", "weights.npz", "traces.npz"} <= written
    assert run.trained_on_examples == ("predictions.npz" in written)
    assert 'id="fig-maps"' in ms.report.write_report(tmp_path / "run").read_text()
    if not run.trained_on_examples:
        with pytest.raises(InputError, match="has no test examples of a data set"):
            run.predict()


def test_sides_of_cells_are_told_by_their_signs():
    g = np.arange(24.0).reshape(4, 2, 3) * 1e-6
    found = _sides({"g_0": g, "gains_0": np.array([1.0, 0.0, -1.0, -1.0])}, 0)
    assert list(found) == ["G⁺", "G⁻", "G of no share"]
    np.testing.assert_allclose(found["G⁻"], 1e6 * g[2:].mean(axis=0))
    assert list(_sides({"g_0": g[:1], "gains_0": np.ones(1)}, 0)) == ["G"]
    np.testing.assert_allclose(_sides({"g_0": g}, 0)["G⁺"], 1e6 * g[:2].mean(axis=0))  # of a run without gains


def test_what_cannot_be_loaded_is_refused(exact, tmp_path):
    run, _ = exact
    with pytest.raises(InputError, match="holds no config"):
        ms.load(tmp_path)
    (tmp_path / "config.toml").write_text((run.folder / "config.toml").read_text())
    with pytest.raises(InputError, match="no readable checkpoint"):
        ms.load(tmp_path)
    (tmp_path / "config.toml").write_text('experiment = "pcm-writes"\n')
    with pytest.raises(InputError, match="a study that keeps no chips"):
        ms.load(tmp_path)
    with pytest.raises(InputError, match=r"needed: \[examples, 8, 8\]"):
        run.predict(np.zeros((3, 28, 28), np.uint8))
    with pytest.raises(InputError, match="is not empty"):
        export_run(run, tmp_path)
