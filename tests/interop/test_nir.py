"""NIR: what is written is what is read; what cannot be said is refused by name."""

import dataclasses
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike.networks import Clock, Convolution, Feedforward, Layer, Recurrent, feedforward
from memspike.neurons import ALIF, LIF, Analog, ExponentialFilter, SteppedExponentialFilter
from memspike.parts.errors import InputError

nir = pytest.importorskip("nir")

from memspike.interop import from_nir, read_nir, to_nir, write_nir  # noqa: E402

DT, STEPS = 1e-3, 30
AT_ONCE = ExponentialFilter(tau=1e-12)


def lif(**more):
    return LIF(**{"tau": 10e-3, "theta": 0.8, "soft": False, **more})


def layer(shape, **more):
    return Layer(shape, filter=AT_ONCE, **{"neuron": lif(), **more})


def behind(shape, **more):
    return Layer(shape, filter=SteppedExponentialFilter(tau=4e-3), **{"neuron": lif(theta=0.5), **more})


def weights_of(network):
    return tuple(jnp.clip(w, -1, 1) for w in network.init_weights(1.5, key=jax.random.key(0)))


def spikes_in(shape, batch=6):
    return (np.random.default_rng(1).random((STEPS, batch, *shape)) < 0.4).astype(np.float32)


def ran(network, weights, x):
    """Outputs without any file, in units of spikes or weights."""
    out = network.run(network.programmed(weights, None), jnp.asarray(x), Clock(DT, (STEPS,))).output
    return np.asarray(out) / (0.2 if isinstance(network, Feedforward) else 1.0)


NETWORKS = {
    "spikes": Feedforward((layer((6, 9)), layer((9, 4))), input_voltage=0.2, spiking_output=True),
    "readout": Feedforward((layer((6, 9)), layer((9, 4))), input_voltage=0.2),
    "biased": Feedforward((layer((7, 9), bias=0.1), layer((9, 4))), inputs=(6,), input_voltage=0.2),
    "recurrent layer": Feedforward(
        (layer((6, 9), recurrent=Layer((1, 1)).crossbar), layer((9, 4))), input_voltage=0.2, spiking_output=True
    ),
    "skip": Feedforward((layer((6, 9)), layer((15, 4), sources=(0, -1))), input_voltage=0.2, spiking_output=True),
    "own decays": Feedforward(
        (layer((6, 9), neuron=lif(tau=jnp.linspace(5e-3, 2e-2, 9), theta=jnp.linspace(0.4, 1, 9))), layer((9, 4))),
        input_voltage=0.2,
    ),
    "own synapses": Feedforward(
        (behind((6, 9), recurrent=Layer((1, 1)).crossbar), behind((9, 4))), input_voltage=0.2, spiking_output=True
    ),
    "readout behind synapses": Feedforward((behind((6, 9)), behind((9, 4), neuron=lif(tau=8e-3))), input_voltage=0.2),
    "recurrent network": Recurrent((6, 9, 4), lif(), tau_out=20e-3),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_comes_back_from_its_file(tmp_path, name):
    network = NETWORKS[name]
    weights, x = weights_of(network), spikes_in((6,))
    path = write_nir(tmp_path / "a.nir", to_nir(network, weights, DT).graph)
    found = from_nir(path)
    wanted = ran(network, weights, x)
    assert np.abs(wanted).max() > 0.5
    assert found.dt == DT
    assert not found.told
    assert np.allclose(found.run(x), wanted, atol=2e-4 * np.abs(wanted).max())
    assert np.allclose(found.run(x, found.conductances()), wanted, atol=2e-4 * np.abs(wanted).max())


def test_images_travel_with_their_kernels_pools_and_flat_rows(tmp_path):
    first = layer((19, 3), connection=Convolution(3, 1, 1, 2), image=(6, 6, 2), bias=0.2)
    network = Feedforward((first, layer((27, 4))), inputs=(6, 6, 2), input_voltage=0.2, spiking_output=True)
    weights, x = weights_of(network), spikes_in((2, 6, 6))
    graph = to_nir(network, weights, DT).graph
    found = from_nir(write_nir(tmp_path / "a.nir", graph))
    assert isinstance(found.network.layers[0].connection, Convolution)
    assert graph.nodes["conv0"].weight.shape == (3, 2, 3, 3)
    here = np.moveaxis(x, 2, -1).reshape(STEPS, 6, -1)  # channels run fastest here, slowest there
    wanted = ran(network, weights, here)
    assert wanted.sum() > 20
    assert np.array_equal(found.run(x), wanted)


@pytest.mark.parametrize("pool", [nir.AvgPool2d, nir.SumPool2d])
def test_pools_before_a_kernel_are_folded_into_it_and_odd_kernels_become_matrices(pool):
    """Against the plain matrix of the same nodes."""
    rng, two = np.random.default_rng(0), np.array([2, 2])
    lif_ = {"r": np.ones(8), "v_leak": np.zeros(8), "tau": np.full(8, 5e-3), "v_threshold": np.full(8, 0.05)}

    def graph(kernel):
        w = rng.normal(size=(2, 2, *kernel)).astype(np.float32)
        conv = nir.Conv2d((4, 4), w, (1, 1), (0, 0), (1, 1), 1, np.zeros(2, np.float32))
        size = 2 * (4 - kernel[0] + 1) * (4 - kernel[1] + 1)
        one = nir.LIF(**{k: np.full(size, v[0]) for k, v in lif_.items()})
        nodes = {
            "in": nir.Input({"input": np.array([2, 8, 8])}),
            "p": pool(two, two, np.zeros(2, int)),
            "c": conv,
            "f": nir.Flatten({"input": np.array([2, size // 2])}, 0, -1),
            "n": one,
            "out": nir.Output({"output": np.array([size])}),
        }
        names = list(nodes)
        return nir.NIRGraph(nodes, list(pairwise(names)), metadata={"dt": DT}, type_check=False)

    x = spikes_in((2, 8, 8), batch=3)
    square, odd = from_nir(graph((3, 3))), from_nir(graph((3, 1)))
    assert square.network.shapes == ((36 * 2, 2),)  # a kernel of 6 × 6 on pixels
    assert odd.network.shapes == ((128, 16),)
    assert "every position has its own devices" in odd.told[0]
    rng = np.random.default_rng(0)
    again = graph((3, 3))
    again.nodes["c"].stride = (1, 1)
    again.nodes["q"] = nir.Scale(np.ones((2, 2, 2)))  # a scale of many numbers makes a matrix of the chain
    again.edges = [e for e in again.edges if e != ("c", "f")] + [("c", "q"), ("q", "f")]
    matrix = from_nir(again)
    assert matrix.network.shapes == ((128, 8),)
    assert 0 < np.asarray(square.run(x)).mean() < 1
    assert np.array_equal(square.run(x), matrix.run(x))


def test_the_file_is_as_other_readers_need_it(tmp_path):
    network = NETWORKS["spikes"]
    done = to_nir(network, weights_of(network), DT, lines=None, about={"device": "pcm", "seed": np.int64(3)})
    graph = read_nir(write_nir(tmp_path / "a.nir", done.graph))
    node = graph.nodes["lif0"]
    decay = np.exp(-DT / 10e-3)
    assert not any("/" in name for name in graph.nodes)
    assert {getattr(node, k).shape for k in ("tau", "r", "v_leak", "v_reset", "v_threshold")} == {(9,)}
    assert np.all(node.r == 1)
    assert np.allclose(1 - DT / node.tau, decay, atol=1e-6)  # what a forward Euler step keeps
    assert graph.nodes["input"].input_type["input"].tolist() == [6]
    assert graph.metadata["dt"] == DT
    assert graph.metadata["seed"] == 3
    old = write_nir(tmp_path / "old.nir", done.graph, v_reset=False)
    h5py = pytest.importorskip("h5py")
    with h5py.File(old) as file:
        assert "v_reset" not in file["node/nodes/lif0"]
    x = spikes_in((6,))
    assert np.array_equal(from_nir(old).run(x), from_nir(graph).run(x))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"neuron": lif(soft=True)}, "soft reset"),
        ({"neuron": lif(refractory=2)}, "refractory period of 2 steps"),
        ({"neuron": ALIF(soft=False)}, "threshold adapts"),
        ({"filter": ExponentialFilter(tau=1e-3)}, "synaptic filter"),
    ],
)
def test_what_nir_cannot_say_is_refused_with_the_layer(change, said):
    network = Feedforward((dataclasses.replace(layer((6, 9)), **change), layer((9, 4))))
    with pytest.raises(InputError, match=f"Layer 0.*{said}"):
        to_nir(network, weights_of(network), DT)


def test_mif_neurons_are_sent_to_spice():
    network = feedforward((6, 9, 4))
    with pytest.raises(InputError, match=r"MIF.*no node for; memspike spice"):
        to_nir(network, weights_of(network), DT)
    analog = Recurrent((6, 9, 4), Analog())
    with pytest.raises(InputError, match="MIF"):
        to_nir(analog, weights_of(analog), DT)


# --- files of others


def sequence(node, **metadata):
    w = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    nodes = {
        "z": nir.Input({"input": np.array([6])}),  # names say nothing of the order
        "b": nir.Linear(w),
        "a": node,
        "0": nir.Output({"output": np.array([4])}),
    }
    return nir.NIRGraph(nodes, [("a", "0"), ("z", "b"), ("b", "a")], metadata=metadata, type_check=False)


def node(tau=10e-3, r=1.0, **more):
    each = {"tau": tau, "r": r, "v_leak": 0.0, "v_threshold": 0.1, "v_reset": 0.0, **more}
    return nir.LIF(**{k: np.full(4, v) for k, v in each.items()})


def by_hand(decay, gain, theta, x, w):
    v, found = np.zeros((x.shape[1], 4)), []
    for now in x:
        v = decay * v + gain * (now @ w.T)
        z = v > theta
        v = np.where(z, 0, v)
        found.append(z)
    return np.stack(found)


@pytest.mark.parametrize(
    ("r", "decay", "gain", "told"),
    [
        (1.0, 0.9, 0.1, ""),
        (10.0, 0.9, 1.0, ""),
        (10 * np.exp(-0.1), np.exp(-0.1), np.exp(-0.1), "rockpool"),
        (3.0, 0.9, 0.3, "neither 1 nor tau/dt"),
    ],
)
def test_the_forms_of_r_that_frameworks_write(r, decay, gain, told):
    graph = sequence(node(r=r, v_threshold=gain))
    before = graph.nodes["a"].r.copy()
    found, x = from_nir(graph, dt=DT), spikes_in((6,))
    wanted = by_hand(decay, gain, gain, x.astype(float), graph.nodes["b"].weight)
    assert wanted.sum() > 50
    assert np.array_equal(found.run(x), wanted)
    assert told in " ".join(found.told)
    assert bool(told) == bool(found.told)
    assert np.array_equal(graph.nodes["a"].r, before)


def cuba(**more):
    each = {"tau_syn": 5e-3, "tau_mem": 10e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.1, "v_reset": 0.0}
    return nir.CubaLIF(**{k: np.full(4, v) if np.ndim(v) == 0 else v for k, v in {**each, "w_in": 1.0, **more}.items()})


@pytest.mark.parametrize(
    ("r", "w_in", "gain", "told"),
    [(1.0, 1.0, 0.02, ""), (10.0, 5.0, 1.0, ""), (10.0, 1.0, 0.2, ""), (3.0, 5.0, 0.3, "r =")],
)
def test_synapses_come_before_their_membranes(r, w_in, gain, told):
    """As snnTorch, SpikingJelly and Norse step it: the current first, the membrane by it in the same step."""
    graph, x = sequence(cuba(r=r, w_in=w_in, v_threshold=2 * gain)), spikes_in((6,))
    found = from_nir(graph, dt=DT)
    v, i, wanted = np.zeros((6, 4)), np.zeros((6, 4)), []
    for now in x.astype(float):
        i = (1 - DT / 5e-3) * i + gain * (now @ graph.nodes["b"].weight.T)
        v = 0.9 * v + i
        z = v > 2 * gain
        v = np.where(z, 0, v)
        wanted.append(z)
    assert np.sum(wanted) > 50
    assert np.array_equal(found.run(x), np.stack(wanted))
    assert told in " ".join(found.told)
    assert bool(told) == bool(found.told)


def test_synapses_are_written_as_all_readers_take_them():
    node = to_nir(NETWORKS["own synapses"], weights_of(NETWORKS["own synapses"]), DT).graph.nodes["lif0"]
    assert isinstance(node, nir.CubaLIF)
    np.testing.assert_allclose(1 - DT / node.tau_syn, np.exp(-DT / 4e-3), rtol=1e-5)
    np.testing.assert_allclose(node.r, node.tau_mem / DT, rtol=1e-6)
    np.testing.assert_allclose(node.w_in, node.tau_syn / DT, rtol=1e-6)
    assert node.v_threshold.shape == node.tau_syn.shape == (9,)


@pytest.mark.parametrize(("tau", "said"), [(1e-5, "below the step"), (10.0, "long for a membrane")])
def test_time_constants_that_are_no_seconds_are_told(tau, said):
    assert said in from_nir(sequence(node(tau=tau)), dt=DT).told[0]
    assert not from_nir(sequence(node(tau=tau)), dt=DT, tau_scale=10e-3 / tau).told


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (lambda: sequence(node(v_leak=0.1)), "a is reset to v_reset = 0 and rests at 0.1"),
        (lambda: sequence(node(v_threshold=0.0)), "v_threshold is 0"),
        (lambda: sequence(node(tau=-1.0)), "tau is -1"),
        (lambda: sequence(node(), reset_mechanism="subtract"), "soft reset"),
        (lambda: sequence(node(), min_v=-1.0), "lower bound"),
        (lambda: sequence(node(), spike_fn="MultiSpike"), "several spikes"),
        (lambda: sequence(cuba(tau_syn=np.linspace(1e-3, 2e-3, 4))), "a: tau_syn is 0.001 to 0.002 s"),
        (lambda: sequence(cuba(tau_syn=np.zeros(4))), "a: tau_syn is 0 s"),
        (lambda: sequence(cuba(v_leak=np.ones(4))), "a is reset to v_reset = 0 and rests at 1"),
        (lambda: sequence(nir.Delay(np.ones(4))), "a is a Delay"),
        (lambda: sequence(nir.Threshold(np.ones(4))), "a is a Threshold"),
    ],
)
def test_what_memspike_cannot_be_is_refused_with_the_node(graph, said):
    with pytest.raises(InputError, match=said):
        from_nir(graph(), dt=DT)


def test_a_file_without_a_step_asks_for_it():
    with pytest.raises(InputError, match=r"NIR stores no time step.*dt may be 0.001"):
        from_nir(sequence(node(r=10.0)))
    with pytest.raises(InputError, match="above 0"):
        from_nir(sequence(node()), dt=-1.0)


def test_loops_over_several_layers_are_refused():
    w = np.ones((4, 4), np.float32)
    names = {"in": nir.Input({"input": np.array([4])}), "out": nir.Output({"output": np.array([4])})}
    nodes = {**names, "u": nir.Linear(w), "v": nir.Linear(w), "x": nir.Linear(w), "a": node(), "b": node()}
    edges = [("in", "u"), ("u", "a"), ("a", "v"), ("v", "b"), ("b", "x"), ("x", "a"), ("b", "out")]
    with pytest.raises(InputError, match="a, b drive each other"):
        from_nir(nir.NIRGraph(nodes, edges, type_check=False), dt=DT)


def test_graphs_inside_of_a_graph_are_opened():
    """As snnTorch writes a recurrent layer."""
    w = np.random.default_rng(3).normal(size=(4, 4)).astype(np.float32)
    ends = {"input": nir.Input({"input": np.array([4])}), "output": nir.Output({"output": np.array([4])})}
    inner_edges = [("input", "lif"), ("lif", "w"), ("w", "lif"), ("lif", "output")]
    inner = nir.NIRGraph({**ends, "lif": node(r=10.0), "w": nir.Linear(w)}, inner_edges, type_check=False)
    outer = sequence(node())
    outer.nodes["a"] = inner
    found, x = from_nir(outer, dt=DT), spikes_in((6,))
    assert found.network.shapes == ((6, 4), (4, 4))
    v, z, wanted = np.zeros((6, 4)), np.zeros((6, 4)), []
    for now in x.astype(float):
        v = 0.9 * v + now @ outer.nodes["b"].weight.T + z @ w.T
        z = (v > 0.1).astype(float)
        v = v * (1 - z)
        wanted.append(z)
    assert np.array_equal(found.run(x), np.stack(wanted))


def test_a_damaged_file_is_one_sentence(tmp_path):
    path = tmp_path / "a.nir"
    with pytest.raises(InputError, match="does not exist"):
        from_nir(path)
    path.write_bytes(b"no HDF5")
    with pytest.raises(InputError, match="cannot be read as NIR"):
        from_nir(path)
