"""`simulation.accuracy=spice`: the step that it comes to, and what it refuses."""

import re

import pytest

import memspike as ms
from memspike.config.accuracy import accurate
from memspike.config.resolve import written
from memspike.experiments import resolve
from memspike.neurons import forward_euler, staggered_exponential

SMALL = ("data.train=64", "data.test=20", "training.batch=32", "network.layers=[6]", "evaluation.chips=0")
SPICE = "simulation.accuracy=spice"


def settings_of(*changes, name="memprop-digits"):
    return resolve(name, [*SMALL, *changes]).settings


def test_the_step_is_a_number_of_the_configuration():
    given = settings_of(SPICE, "neuron.integrator=forward-euler")
    assert given.neuron.integrator is forward_euler
    found = accurate(given)
    times = 50e-6 / found.simulation.dt
    assert times == pytest.approx(round(times))
    assert 2 <= times <= 64
    assert found.neuron.integrator is staggered_exponential
    tables = written(found)
    assert tables["simulation"]["accuracy"] == "spice"
    assert tables["simulation"]["dt"] == pytest.approx(50e-6 / times)
    assert found.evaluation.fine_dt is None, "10 µs are no finer step"
    assert accurate(found) == found, "what is accurate stays"
    usual = settings_of()
    assert accurate(usual) is usual


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (("neuron.integrator=frozen-memristors",), "those of layer 0 are held by neuron.integrator=frozen-memristors"),
        (("network.layers.0.neuron=lif",), "those of layer 0 are LIF"),
        (("neuron=relaxation-oscillator",), "those of layer 0 are RelaxationOscillator"),
        (("network.layers.0.recurrent=true",), "layer 0 is recurrent, and hears itself a step later"),
        (("network=recurrent", "learning.rule=eprop"), "a feedforward network of MIF neurons; network is recurrent"),
        (("training.update_every=4",), "training.update_every is set"),
    ],
)
def test_what_is_no_circuit_is_refused_in_one_sentence(tmp_path, changes, words):
    with pytest.raises(ms.InputError, match=re.escape(words)) as error:
        ms.experiments.run(settings_of(SPICE, *changes), tmp_path / "run")
    assert str(error.value).endswith(".")
    assert not (tmp_path / "run").exists()
