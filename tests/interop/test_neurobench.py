"""NeuroBench's counts of our networks: those of snnTorch with the same weights, and those by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike import experiments
from memspike.experiments.trained import load
from memspike.networks import Clock, Events, Feedforward, Layer, Recurrent, feedforward
from memspike.neurons import LIF, MIF, ExponentialFilter
from memspike.neurons.analog import Analog
from memspike.neurons.driver import SpikeObserver
from memspike.parts.errors import InputError

DT, STEPS, EXAMPLES = 1e-3, 12, 3
AT_ONCE = ExponentialFilter(tau=1e-12)


@pytest.fixture
def measure():
    """The function, where its packages are."""
    pytest.importorskip("neurobench")
    pytest.importorskip("snntorch")
    from memspike.interop import neurobench

    return neurobench


def spikes_in():
    drawn = np.random.default_rng(0).random((STEPS, EXAMPLES, 6)) < 0.4
    return jnp.asarray(drawn.astype(np.float32))


def two_layers(**more):
    neuron = LIF(**{"tau": 10e-3, "theta": 0.5, **more})
    layers = (Layer((6, 8), filter=AT_ONCE, neuron=neuron), Layer((8, 4), filter=AT_ONCE, neuron=neuron))
    return Feedforward(layers, input_voltage=0.2, spiking_output=True)


def weights_of(network):
    return tuple(jnp.clip(w, -1, 1) for w in network.init_weights(key=jax.random.key(0)))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "network", [two_layers(soft=False), two_layers(), Recurrent((6, 8, 4), LIF(tau=1e-2, theta=0.5))]
)
def test_counts_are_those_of_the_same_network_in_snntorch(measure, network):
    found = measure(network, spikes_in(), weights_of(network), DT)
    for name in ("ActivationSparsity", "SynapticOperations"):
        assert found.memspike[name] == found.snntorch[name]
        assert found.memspike[name]
    assert 0.2 < found.memspike["ActivationSparsity"] < 1
    operations = [one["NeuronOperations"]["Neuron Dense Ops"] for one in (found.memspike, found.snntorch)]
    assert operations[0] == operations[1]


@pytest.mark.filterwarnings("ignore")
def test_counts_by_hand(measure):
    network = two_layers()
    weights, x = weights_of(network), spikes_in()
    found = measure(network, x, weights, DT).memspike
    first = network.run(network.programmed(weights, None), x, Clock(DT, (STEPS,))).layers[0] > 0
    each = (float(x.sum()) * 8 + float(first.sum()) * 4) / EXAMPLES
    assert found["SynapticOperations"]["Effective_ACs"] == pytest.approx(each)
    assert found["SynapticOperations"]["Effective_MACs"] == 0
    assert found["Footprint"] == 4 * (6 * 8 + 8 * 4)
    assert found["NeuronOperations"]["Neuron Updates"] == STEPS * 12


@pytest.mark.filterwarnings("ignore")
def test_voltages_are_booked_as_of_an_ann_and_what_fails_is_no_number(measure):
    network = feedforward((6, 8, 4))
    found = measure(network, spikes_in(), weights_of(network), DT, voltages=True)
    assert found.memspike["SynapticOperations"]["Effective_MACs"] > 0
    assert found.memspike["ActivationSparsity"] is None  # 0.0 there
    assert found.memspike["NeuronOperations"]["Neuron Dense Ops"] is None
    assert not found.snntorch
    assert any("voltages and not spikes" in one for one in found.told)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("recurrent", [False, True])
def test_analog_spikes_count_as_events(measure, recurrent):
    """By hand: rises through 30 mV, of neurons whose voltage drives the next crossbar in every step."""
    x, dt = spikes_in(), 20e-6
    if recurrent:
        network = Recurrent((6, 8, 4), Analog(MIF(), ExponentialFilter(tau=50e-6)))
        weights = tuple(jnp.clip(4 * w, -2, 2) for w in network.init_weights(key=jax.random.key(1)))
        z = network.run(network.programmed(weights, None), x, Clock(dt, (STEPS,))).z
        columns, outputs = 8 + 8, None
    else:
        made = feedforward((6, 8, 4), filter=ExponentialFilter(tau=50e-6))
        network = Feedforward(made.layers, input_voltage=0.2)
        weights = weights_of(network)
        layers = network.run(network.programmed(weights, None), x, Clock(dt, (STEPS,))).layers
        z, outputs = (np.asarray(SpikeObserver().crossings(v + MIF().rest())) for v in layers)
        columns = 8
    found = measure(network, x, weights, dt)
    assert z.sum() > 3
    later = float(z[:-1].sum()) * 7 + float(z.sum()) * 4 if recurrent else float(z.sum()) * 4
    counts = found.memspike["SynapticOperations"]
    assert counts["Effective_ACs"] == pytest.approx((float(x.sum()) * 8 + later) / EXAMPLES)
    assert counts["Effective_MACs"] == 0
    assert counts["Dense"] == STEPS * (6 * 8 + (columns - 8) * 8 + 8 * 4)
    silent = 1 - (z.sum() + (0 if outputs is None else outputs.sum())) / (STEPS * EXAMPLES * (8 if recurrent else 12))
    assert found.memspike["ActivationSparsity"] == pytest.approx(float(silent), rel=1e-5)
    assert not found.snntorch
    assert any("rise through 30 mV" in one for one in found.told)


@pytest.mark.filterwarnings("ignore")
def test_row_pulses_of_a_run_count_in_the_step_in_which_they_begin(measure, tmp_path):
    keys = ["training.epochs=1", "data.train=64", "data.test=20", "evaluation.chips=0", "network.layers=[8]"]
    settings = experiments.resolve("memprop-digits", [*keys, "evaluation.fine_dt=none"]).settings
    experiments.run(settings, tmp_path / "run")
    run = load(tmp_path / "run")
    found, pulses = measure(run), run.shown(10)
    assert isinstance(pulses, Events)
    counts = found.memspike["SynapticOperations"]
    rows, steps = pulses.v.shape[-1], run.settings.simulation.steps
    assert counts["Dense"] == steps * (rows * 8 + 8 * 10)
    on = float((np.asarray(pulses.v) != 0).sum()) * 8 / 10
    assert counts["Effective_MACs"] >= on - 1e-6, "grey pixels make the step of the pulse one of MACs"
    assert counts["Effective_MACs"] + counts["Effective_ACs"] < 0.1 * counts["Dense"]
    assert any("not all 0 or 1" in one for one in found.told)
    with pytest.raises(InputError, match="row pulses of runs"):
        measure(run.chip()[0], pulses, run.chip()[0].weights(run.chip()[1]), 50e-6)


def test_without_the_package_it_is_one_sentence_with_the_line_that_installs_it(monkeypatch):
    import sys

    from memspike.interop import neurobench

    monkeypatch.setitem(sys.modules, "neurobench", None)
    with pytest.raises(InputError, match="pip install neurobench snntorch"):
        neurobench(two_layers(), spikes_in(), (), DT)
