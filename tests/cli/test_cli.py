"""The command line as a user meets it."""

import csv
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import memspike as ms
from memspike.data import store
from memspike.experiments import resolve
from memspike.training.folder import RunFolder

SMALL = ["data.train=320", "data.test=40", "size=8", "evaluation.chips=2", "fine_dt=50us", "checkpoint_every=10"]
BARE = ["evaluation.chips=0", "evaluation.fine_dt=none"]


def small(*extra):
    return [word for item in (*SMALL, *extra) for word in ("--set", item)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small finished run of two seeds."""
    out = tmp_path_factory.mktemp("runs") / "run"
    config = resolve("memprop-digits", [*SMALL, "epochs=3", "training.batch=32"], seeds=2).settings
    ms.experiments.run(config, out)
    return out


def test_list_and_show_everything(call):
    status, text, _ = call("list", "--json")
    kinds = json.loads(text)
    assert status == 0
    assert {"devices", "neurons", "rules", "schemes", "experiments", "datasets"} <= set(kinds)
    for entry in (e for entries in kinds.values() for e in entries):
        status, text, _ = call("show", entry["name"], "--no-figures")
        assert status == 0
        assert entry["name"] in text
    status, text, _ = call("list", "devices")
    assert "mif-pair" in text
    assert "windowed" not in text
    _, text, _ = call("show", "mif")
    assert "110 mV" in text


FIGURES = {
    "pcmo": {"pulses", "steps", "drift", "time"},
    "reram-es": {"pulses", "steps", "drift", "time"},
    "pcm-joshi": {"pulses", "steps", "drift", "time"},
    "tabular": {"pulses", "steps", "drift", "time"},
    "pulsed-vteam": {"pulses", "steps", "drift", "time"},
    "knowm": {"loops", "transients"},
    "vo2": {"loops", "transients"},
}


ALIKE = ("reram-es", "knowm")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.full if n in ALIKE else ()) for n in FIGURES])
def test_show_draws_a_device(call, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    status, text, error = call("show", name)
    assert status == 0, error
    drawn = {path.stem: path for path in (tmp_path / "runs/devices" / name).glob("*.png")}
    assert set(drawn) == FIGURES[name]
    for path in drawn.values():
        assert path.read_bytes().startswith(b"\x89PNG")
        assert f"runs/devices/{name}/{path.name}\n" in text
    assert ("symmetry point" in text) == ("steps" in drawn)


def test_show_a_device_file(call, tmp_path):
    ms.devices.write(ms.devices.CycleToCycle(ms.devices.PowerStep(), up=0.01), tmp_path / "device.toml")
    status, text, error = call("show", tmp_path / "device.toml", "--out", tmp_path / "figures")
    assert status == 0, error
    assert "device.power_up" in text
    assert (tmp_path / "figures/pulses.png").is_file()
    assert call("show", tmp_path / "device.toml")[0] == 0
    assert (tmp_path / "device/pulses.png").is_file()
    status, _, error = call("show", tmp_path / "none.toml")
    assert (status, error.count("\n")) == (2, 1)


def test_show_prints_the_nodes_of_a_table(call):
    status, text, _ = call("show", "piecewise-step", "--no-figures")
    assert status == 0
    assert "0.02 0.01 0.005" in text
    assert "1 × 21 × 11 numbers" in " ".join(call("show", "tabular", "--no-figures")[1].split())


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("synapse.device=knowm", "a pulse device is needed"),
        ("synapse.device=pcn", "Did you mean 'pcm'"),
        ("synapse.device=none.toml", "does not exist"),
    ],
)
def test_devices_that_do_not_fit(call, tmp_path, setting, words):
    status, _, error = call("run", "memprop-digits", *small(setting), "--out", tmp_path / "run")
    assert status == 2
    assert words in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["pcm", "vo2"])
def test_memristors_that_make_no_mif_neuron(tmp_path, name):
    """In a process of its own: the type checks of the tests would refuse first."""
    command = [sys.executable, "-m", "memspike.cli", "run", "memprop-digits", *small(f"neuron.m1={name}"), "--out"]
    done = subprocess.run([*command, str(tmp_path / "run")], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "a relaxing device is needed" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_run_takes_devices_by_path(call, tmp_path):
    ms.devices.write(ms.devices.SoftBounds(g_min=5e-6, g_max=50e-6), tmp_path / "synapse.toml")
    ms.devices.write(ms.devices.MetastableSwitch(v_on=0.12), tmp_path / "m1.toml")
    settings = small(
        *BARE, "epochs=1", f"synapse.device={tmp_path / 'synapse.toml'}", f"neuron.m1={tmp_path / 'm1.toml'}"
    )
    status, _, error = call("run", "memprop-digits", *settings, "--out", tmp_path / "run")
    assert status == 0, error
    used = {p["name"]: p["value"] for p in json.loads((tmp_path / "run/parameters.json").read_text())}
    assert any(name.endswith("cell.device.g_max") and value == pytest.approx(50e-6) for name, value in used.items())
    assert any(name.endswith("m1.v_on") and value == pytest.approx(0.12) for name, value in used.items())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("list", "device"), "Did you mean 'devices'"),
        (("show", "knwom"), "Did you mean 'knowm'"),
        (("show", "vteem"), "see: memspike list. Did you mean 'vteam'?"),
        (("run", "memprop-digits", "--set", "synapse.device=vteem"), "Did you mean 'pulsed-vteam'?"),
        (("run", "memprop-digits", "--set", "learning.rule=eprpo"), "see: memspike list rules. Did you mean 'eprop'?"),
        (("run", "memprop-digits", "--set", "synapse=piar"), "Did you mean 'differential-pair'?"),
        (
            ("run", "memprop-digits", "--set", "encoder=rte"),
            "Did you mean 'frame-pulse-rate' or 'frame-rate' or 'image-rate'?",
        ),
        (("run", "memprop-digits", "--set", "fabrication.preset=reram-om"), "'reram-es'"),
        (("run", "tiki-taka-regression", "--set", "device=reram-om"), "'reram-es'"),
        (("run", "memprop-minst"), "Did you mean 'memprop-mnist'"),
        (("run", "memprop-digits", "--set", "lerning_rate=1"), "Did you mean 'learning_rate'"),
        (("data", "import", "mnist", "/nowhere"), "does not exist"),
        (("data", "fetch", "mnits"), "Did you mean 'mnist'"),
        (("report", "/nowhere"), "is not the folder of a finished run"),
    ],
)
def test_bad_input_is_one_sentence_and_status_two(call, arguments, words):
    status, text, error = call(*arguments)
    assert status == 2
    assert words in error
    assert error.count("\n") == 1
    assert "Traceback" not in error + text


def test_usage_errors_have_status_two(call):
    assert call("run")[0] == 2
    assert call("frobnicate")[0] == 2


def test_doctor(call):
    status, text, _ = call("doctor")
    assert status == 0
    assert text.count("ok") >= 6
    assert "canary" in text


def test_run_writes_everything_and_refuses_to_overwrite(call, tmp_path):
    out = tmp_path / "run"
    status, text, error = call("run", "memprop-digits", *small("epochs=2"), "--out", out)
    assert status == 0, error
    assert "expected" not in text, "settings were changed"
    assert f"report: {out / 'report.html'}\n" in text, "a path must stay on one line"
    assert "step 20/20" in error
    for name in ("config.toml", "metrics.csv", "result.json", "environment.json", "run.json", "samples.npz"):
        assert (out / name).is_file(), name
    page = (out / "report.html").read_text()
    assert page.count("<figure class=plot") == 6
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page), "everything is in the page"
    result = json.loads((out / "result.json").read_text())
    assert {"experiment", "test_accuracy", "test_accuracy_sd", "seeds", "wall_s", "steps_per_s"} <= set(result)
    assert len(result["test_accuracies"]) == result["seeds"]
    assert not any(isinstance(v, dict) for v in result.values())
    before = (out / "result.json").read_bytes()
    status, _, error = call("run", "memprop-digits", *small("epochs=2"), "--out", out)
    assert status == 2
    assert "is not empty" in error
    status, _, error = call("run", "memprop-digits", *small("epochs=3"), "--out", out, "--resume")
    assert status == 2
    assert "another configuration" in error
    assert (out / "result.json").read_bytes() == before


def test_report_again(call, finished):
    status, _text, _ = call("report", finished)
    assert status == 0
    assert (finished / "report.html").is_file()
    assert len(list((finished / "figures").glob("*.png"))) == 6


def test_metrics_have_a_row_per_epoch_and_seed(finished):
    rows = list(csv.DictReader((finished / "metrics.csv").read_text().splitlines()))
    assert [(r["epoch"], r["seed"]) for r in rows] == [(str(e), str(s)) for e in (1, 2, 3) for s in (0, 1)]
    assert rows[0]["loss"] != rows[1]["loss"]


def test_seeds_together_equal_seeds_alone(finished, tmp_path):
    """The second of two seeds learns what it learns on its own."""
    config = resolve("memprop-digits", [*SMALL, "epochs=3", "training.batch=32", "seed=1"]).settings
    ms.experiments.run(config, tmp_path / "alone")
    together, alone = (np.load(p / "checkpoints/step-000000030.npz") for p in (finished, tmp_path / "alone"))
    for name in (n for n in alone.files if n.startswith("leaf")):
        np.testing.assert_allclose(together[name][1], alone[name][0], rtol=2e-3, atol=2e-6, err_msg=name)


def test_resume_survives_a_damaged_newest_checkpoint(finished, tmp_path):
    import shutil

    out = tmp_path / "copy"
    shutil.copytree(finished, out)
    newest = sorted((out / "checkpoints").glob("*.npz"))[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    checkpoint = RunFolder(out).latest()
    assert checkpoint is not None
    assert checkpoint.step == 20


def test_an_out_folder_that_cannot_be_used(call, tmp_path):
    (tmp_path / "file").write_text("")
    status, _, error = call("run", "memprop-digits", *small(), "--out", tmp_path / "file" / "run")
    assert status in (1, 2)
    assert error.count("\n") == 1
    assert "Traceback" not in error


def test_a_loss_that_is_not_finite_names_step_and_cause(call, tmp_path):
    settings = (*BARE, "epochs=2", "integrator=forward-euler", "read_voltage=5V", "dt=20us")
    status, _, error = call("run", "memprop-digits", *small(*settings), "--out", tmp_path / "run")
    assert status == 1
    assert "at step 0" in error
    assert re.search(r"the gradient of layer [01] is not finite; likely cause: forward Euler diverges", error)
    assert error.count("\n") == 1
    assert not (tmp_path / "run/result.json").exists()


def test_quick_mnist_learns(tmp_path):
    """A short run on the real images: far above the tenth that guessing gives."""
    if not store.path_of("mnist").exists():
        if os.environ.get("MEMSPIKE_REQUIRE_DATA"):
            pytest.fail("mnist is missing; scripts/offline_data.sh or memspike data fetch mnist")
        pytest.skip("mnist is not in the cache")
    experiment, config, _ = resolve("memprop-mnist", quick=True)
    result = ms.experiments.run(config, tmp_path / "run")
    assert result["test_accuracy"] > 0.85
    assert result["test_accuracy"] == pytest.approx(experiment.expected_quick, abs=0.04)
    assert result["test_accuracy_fine_step"] == pytest.approx(result["test_accuracy"], abs=0.01)


@pytest.mark.full
@pytest.mark.parametrize("model", ["static", "dynamical"])
def test_quick_digits_reach_what_is_promised(tmp_path, model):
    """Both kinds of synapse, two seeds, within two points of the recorded figure."""
    experiment, config, _ = resolve("memprop-digits", [f"synapse.model={model}"], quick=True, seeds=2)
    result = ms.experiments.run(config, tmp_path / "run")
    assert result["test_accuracy"] == pytest.approx(experiment.expected_quick, abs=0.02)
    assert result["chips_accuracy"] > result["test_accuracy"] - 0.05
