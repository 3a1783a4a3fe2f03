"""What a run says of its own settings."""

import pytest

from memspike.experiments import resolve
from memspike.experiments.about import about, expected
from memspike.parts.registry import EXPERIMENTS


def of(*settings, **more):
    experiment, made, _ = resolve("memprop-digits", settings, **more)
    return about(experiment, made, "memspike run memprop-digits")


@pytest.mark.parametrize("quick", [False, True])
def test_registered_experiments_expect_what_they_register(quick):
    for entry in EXPERIMENTS:
        experiment, made, _ = resolve(entry.name, quick=quick, seeds=3)
        value = experiment.expected_quick if quick else experiment.expected
        assert expected(experiment, made) == experiment.shown(value), entry.name


@pytest.mark.parametrize("setting", ["training.epochs=7", "synapse.device=pcm", "neuron.m1.v_on=100mV"])
def test_changed_settings_expect_nothing(setting):
    found = of(setting)
    assert (found["expected"], found["reference"]) == ("", "")
    assert any(line["source"] == "changed" for line in found["settings"])


def test_a_setting_that_is_the_usual_one_is_no_change():
    assert of("training.epochs=40")["expected"] == "98.5%"


def test_every_setting_has_its_source():
    lines = {line["key"]: line for line in of("encoder.read_voltage=200mV", quick=True)["settings"]}
    assert lines["encoder.read_voltage"] | {"allowed": "", "meaning": ""} == {
        "key": "encoder.read_voltage", "value": "200 mV", "usual": "100 mV", "source": "changed",
        "allowed": "", "meaning": "",
    }  # fmt: skip
    assert (lines["training.epochs"]["source"], lines["training.epochs"]["usual"]) == ("--quick", "40")
    assert lines["training.batch"]["source"] == "memprop-digits"
    assert lines["neuron.m1.tau"]["source"] == "default"
    assert all(line["meaning"] for line in lines.values())
