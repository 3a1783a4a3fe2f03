"""`memspike spice`: what it writes, what it says, its exit status."""

import json

import pytest

import memspike as ms
from memspike.devices import description

FEW = ["data.train=64", "data.test=60", "network.layers=[6]", "training.epochs=1", "evaluation.chips=0"]
FEW += ["evaluation.fine_dt=none"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A chip that has learned for an epoch."""
    folder = tmp_path_factory.mktemp("spice") / "run"
    ms.experiments.run(ms.experiments.resolve("memprop-digits", FEW).settings, folder)
    return folder


@pytest.fixture
def without_ngspice(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


def test_a_run_becomes_decks_without_a_simulator(call, run, tmp_path, without_ngspice):
    status, out, _ = call("spice", run, "--sample", "0", "--sample", "5-6", "--out", tmp_path / "decks")
    assert status == 0
    names = sorted(path.name for path in (tmp_path / "decks").iterdir())
    assert names == ["metastable_switch-1-m1.va", "sample-0.cir", "sample-5.cir", "sample-6.cir"]
    assert "simplified: " in out
    text = (tmp_path / "decks/sample-5.cir").read_text()
    assert "experiment memprop-digits" in text
    assert f"test example 5, class {ms.load(run).labels[5]}" in text
    assert "p_gain=30" in text
    status, _, err = call("spice", run, "--out", tmp_path / "decks")
    assert status == 2
    assert "is not empty; give another --out." in err


def test_verifying_needs_the_program(call, run, tmp_path, without_ngspice):
    for name in (run, "knowm", "mif"):
        status, _, err = call("spice", name, "--verify", "--out", tmp_path / "out")
        assert status == 2
        assert "The circuit simulator ngspice is not on the path; install it: apt-get install ngspice" in err
        assert not (tmp_path / "out").exists()


def test_a_run_is_verified(call, run, tmp_path, simulator):
    status, out, _ = call("spice", run, "--sample", "1", "--verify", "--out", tmp_path / "out")
    assert status == 0
    assert "1 of 1 predictions are the same; membranes differ by at most 0." in out
    facts = json.loads((tmp_path / "out/verify.json").read_text())
    assert facts["samples"] == [1]
    assert facts["same_predictions"] == 1
    assert facts["rms_deviation_v"] <= facts["max_deviation_v"] < 1e-3
    assert facts["max_deviation_state"] < 0.01
    assert facts["simulator"] == f"ngspice {simulator.version}"
    assert (tmp_path / "out/overlay.png").read_bytes()[:4] == b"\x89PNG"
    assert "<svg" in (tmp_path / "out/overlay.svg").read_text()
    more = ("--sample", "1", "--layers", "2", "--tolerance", "0.000001mV", "--json")
    status, out, err = call("spice", run, "--verify", "--out", tmp_path / "strict", *more)
    assert status == 1
    assert json.loads(out)["passed"] is False
    assert "differ by more than the tolerance" in err


def test_a_device_and_its_file(call, tmp_path, simulator):
    assert call("spice", "knowm", "--verify", "--out", tmp_path / "a")[0] == 0
    facts = json.loads((tmp_path / "a/verify.json").read_text())
    assert facts["max_deviation_full_scale"] < 1e-4
    assert set(facts) >= {"device", "simulator", "passed", "sweep", "pulses"}
    description.write(ms.devices.find("knowm"), tmp_path / "mine.toml")
    assert call("spice", tmp_path / "mine.toml", "--out", tmp_path / "b")[0] == 0
    assert (tmp_path / "b/metastable_switch.va").read_text() == (tmp_path / "a/metastable_switch.va").read_text()


def test_a_neuron(call, tmp_path, simulator):
    status, out, _ = call("spice", "mif-symmetric", "--verify", "--out", tmp_path / "a")
    assert status == 0
    assert "within the tolerance of 0.5 mV" in out
    assert len(list((tmp_path / "a").glob("alpha-*.cir"))) == 4
    assert call("spice", "threshold-switch-oscillator", "--out", tmp_path / "b")[0] == 0
    status, _, err = call("spice", "threshold-switch-oscillator", "--verify", "--out", tmp_path / "c")
    assert (status, "leave out --verify" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["knom"], "Did you mean 'knowm'?"),
        (["pcm"], "The device pcm is a PCM, which is programmed by counts of pulses"),
        (["knowm", "--sample", "3"], "belong to a run, not to one part"),
        (["lif"], "The neuron is a LIF, which has no netlist"),
    ],
)
def test_what_cannot_be_exported(call, tmp_path, arguments, words):
    status, _, err = call("spice", *arguments, "--out", tmp_path / "out")
    assert status == 2
    assert words in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--sample", "x"], "--sample is 'x'; write the number of a test example, such as 3, or several: 0-19."),
        (["--sample", "9999"], "--sample is '9999'; allowed: 0 to"),
        (["--layers", "1,x"], "--layers is '1,x'; write numbers from 1 on, such as 1,2."),
        (["--layers", "4"], "--layers are 4; allowed: neighbouring layers out of 1 to 2."),
        (["--crossbars", "whole"], "Unknown form of crossbars 'whole'; allowed: devices, reduced."),
        (["--tolerance", "1s"], "--tolerance is '1s'"),
    ],
)
def test_wrong_options_of_a_run(call, run, tmp_path, arguments, words):
    status, _, err = call("spice", run, *arguments, "--out", tmp_path / "out")
    assert status == 2
    assert words in err
    assert not (tmp_path / "out").exists()


@pytest.mark.full
def test_twenty_digits_of_a_trained_network(call, tmp_path, simulator):
    keys = ["network.layers=[16]"]
    ms.experiments.run(ms.experiments.resolve("memprop-digits", keys, quick=True).settings, tmp_path / "run")
    assert call("spice", tmp_path / "run", "--sample", "0-19", "--verify")[0] == 0
    facts = json.loads((tmp_path / "run/spice/verify.json").read_text())
    assert facts["same_predictions"] == 20
    assert facts["max_deviation_v"] < 1e-3
