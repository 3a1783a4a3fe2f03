"""NeuroBench's counts of our networks: those of snnTorch with the same weights, and those by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike.networks import Clock, Feedforward, Layer, Recurrent, feedforward
from memspike.neurons import LIF, ExponentialFilter
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
    found = measure(network, spikes_in(), weights_of(network), DT)
    assert found.memspike["SynapticOperations"]["Effective_MACs"] > 0
    assert found.memspike["ActivationSparsity"] is None  # 0.0 there
    assert found.memspike["NeuronOperations"]["Neuron Dense Ops"] is None
    assert not found.snntorch
    assert any("voltages and not spikes" in one for one in found.told)


def test_without_the_package_it_is_one_sentence_with_the_line_that_installs_it(monkeypatch):
    import sys

    from memspike.interop import neurobench

    monkeypatch.setitem(sys.modules, "neurobench", None)
    with pytest.raises(InputError, match="pip install neurobench snntorch"):
        neurobench(two_layers(), spikes_in(), (), DT)
