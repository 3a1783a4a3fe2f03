"""Runs in segments of time: the same voltages and gradients, in the memory of a segment."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import memspike as ms
from memspike.arrays.rows import DynamicalRows
from memspike.networks import Events, Layer
from memspike.networks.base import Clock
from memspike.networks.feedforward import Feedforward
from memspike.parts.errors import InputError

DT, STEPS = 20e-6, 23


def network_of(kind, segment=None):
    parts = {"neuron": ms.neurons.LIF(theta=0.5)} if kind == "spiking" else {}
    first = Layer(shape=(6, 9), **parts)
    if kind == "recurrent":
        first = Layer(shape=(6, 9), recurrent=ms.arrays.Crossbar())
    return Feedforward((first, Layer(shape=(9, 3), **parts)), segment=segment)


def inputs_of(kind):
    random = np.random.default_rng(0)
    if kind == "held":
        return jnp.asarray(0.3 * random.random((STEPS, 4, 6)), jnp.float32)
    times = (0.0,) if kind == "one pulse" else (0.0, 100e-6, 250e-6)
    return Events(jnp.asarray(random.random((len(times), 4, 6)), jnp.float32), times)


# only plain layers have a kernel
CASES = [("plain", k, "1") for k in (1, 5)]
CASES += [(kind, k, "0") for kind in ("plain", "recurrent", "spiking") for k in (1, 5, 22)]


@pytest.mark.parametrize("given", ["held", "one pulse", "pulses"])
@pytest.mark.parametrize(("kind", "segment", "fast"), CASES)
def test_voltages_and_gradients_are_those_of_the_whole(monkeypatch, kind, given, segment, fast):
    monkeypatch.setenv("MEMSPIKE_FAST", fast)
    x, whole = inputs_of(given), network_of(kind)
    g = whole.program(whole.init_weights(0.4, key=jax.random.key(1)))

    def loss(network):
        def of(g):
            layers = network.run(g, x, Clock(DT, (STEPS,))).layers
            weights = (jnp.cos(jnp.arange(v.size, dtype=v.dtype)).reshape(v.shape) for v in layers)
            return sum((w * v).sum() for w, v in zip(weights, layers, strict=True)), layers

        return jax.jit(jax.value_and_grad(of, has_aux=True))(g)

    (_, expected), slopes = loss(whole)
    (_, found), own = loss(network_of(kind, segment))
    for a, b in zip([*found, *own], [*expected, *slopes], strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5 * float(jnp.abs(b).max()))


def test_read_noise_is_drawn_for_every_segment():
    network = network_of("plain", 4)
    crossbar = ms.arrays.Crossbar(read_noise=0.05)
    noisy = Feedforward(tuple(Layer(one.shape, crossbar) for one in network.layers), segment=4)
    g = network.program(network.init_weights(0.4, key=jax.random.key(1)))
    clock, x = Clock(DT, (STEPS,)), inputs_of("held")
    cases = (network, None), (noisy, jax.random.key(2)), (noisy, jax.random.key(3))
    runs = [one.run(g, x, clock, key=key).output for one, key in cases]
    assert jnp.isfinite(runs[1]).all()
    assert float(jnp.abs(runs[1] - runs[2]).max()) > 1e-5
    assert float(jnp.abs(runs[1] - runs[0]).max()) < 0.05


def test_memory_is_that_of_a_segment():
    """What XLA lays out for a gradient of 4,000 steps, in bytes."""
    x = Events(jnp.asarray(np.random.default_rng(0).random((1, 8, 6)), jnp.float32), (0.0,))

    def bytes_of(segment):
        network = network_of("plain", segment)
        g = network.program(network.init_weights(0.4, key=jax.random.key(1)))

        def loss(g):
            return jnp.square(network.run(g, x, Clock(DT, (4000,))).output[-10:]).sum()

        laid_out = jax.jit(jax.grad(loss)).lower(g).compile().memory_analysis()
        assert laid_out is not None
        return laid_out.temp_size_in_bytes

    assert bytes_of(64) < 0.15 * bytes_of(None)


def test_devices_that_move_while_read_need_the_whole():
    layer = Layer(shape=(6, 3), rows=DynamicalRows())
    with pytest.raises(InputError, match="segment is 4"):
        Feedforward((layer,), segment=4)
