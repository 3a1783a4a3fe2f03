"""Convolutions, sources, recurrence and neurons of all kinds against plain loops."""

import itertools
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import memspike as ms
from memspike.arrays import ADC, DAC, Crossbar, DynamicalRows, Periphery, Resistive, Seen, Tiles
from memspike.arrays.costs import Costs, summary
from memspike.learning.objectives import SmoothMaximum
from memspike.networks import Clock, Convolution, Dense, Events, Feedforward, Layer, read_ledgers, simulate
from memspike.neurons import ALIF, LIF, MIF, ExponentialFilter, RelaxationOscillator

UNIT, DT = 90e-6, 5e-5
MIDDLES = (np.arange(40) + 0.5) * DT
IMAGE = (4, 4, 1)


def filter_(tau=1e-4):
    return ExponentialFilter(tau=tau)


def layer(shape, **fields):
    return Layer(shape, **({"filter": filter_(), "input_gain": 10.0} | fields))


def conv_layer(image, channels, connection, bias=0, **fields):
    rows = connection.kernel**2 * image[2] + bias
    return layer((rows, channels), connection=connection, image=image, **fields)


def small_weights(network, key=0, gain=1.0):
    return tuple(jnp.clip(w, -0.9, 0.9) for w in network.init_weights(gain, key=jax.random.key(key)))


def voltages(*shape, key=1, size=0.2):
    return size * (jax.random.uniform(jax.random.key(key), shape) - 0.3)


def looped(v, w, image, connection):
    """A convolution and the mean over pools in loops over every number."""
    height, width, channels = image
    k, s, p, pool = connection.kernel, connection.stride, connection.padding, connection.pool
    pixels = np.asarray(v)[: math.prod(image)].reshape(image)
    bias = np.asarray(v)[math.prod(image) :]
    down, across = ((n + 2 * p - k) // s + 1 for n in (height, width))
    each = np.zeros((down, across, w.shape[1]))
    for y, x, j in np.ndindex(*each.shape):
        for a, b, c in np.ndindex(k, k, channels):
            i, m = y * s + a - p, x * s + b - p
            if 0 <= i < height and 0 <= m < width:
                each[y, x, j] += pixels[i, m, c] * w[(a * k + b) * channels + c, j]
        each[y, x, j] += sum(bias * np.asarray(w)[k * k * channels :, j])
    found = np.zeros((down // pool, across // pool, w.shape[1]))
    for y, x in np.ndindex(*found.shape[:2]):
        found[y, x] = np.mean([each[y * pool + a, x * pool + b] for a in range(pool) for b in range(pool)], axis=0)
    return found


CONVOLUTIONS = [
    (Convolution(kernel=3), (5, 6, 2), 1),
    (Convolution(kernel=3, stride=2, padding=1), (7, 6, 1), 0),
    (Convolution(kernel=2, stride=1, padding=1, pool=2), (5, 4, 3), 1),
    (Convolution(kernel=3, stride=2, padding=2, pool=2), (9, 8, 2), 1),
    (Convolution(kernel=1, pool=3), (7, 6, 2), 0),
]


@pytest.mark.parametrize(("connection", "image", "bias"), CONVOLUTIONS)
def test_a_convolution_equals_loops_and_that_of_xla(x64, connection, image, bias):
    rows, channels = connection.rows(image) + bias, 3
    w = jax.random.uniform(jax.random.key(0), (rows, channels), minval=-0.9, maxval=0.9)
    v = voltages(2, 3, math.prod(image) + bias)
    crossbar = Crossbar()
    seen = crossbar.transfer(crossbar.program(w))
    ours = np.asarray(connection.currents(crossbar, seen, v, image)).reshape(6, *connection.neurons(image, channels))
    for one, v_one in zip(ours, v.reshape(6, -1), strict=True):
        np.testing.assert_allclose(one, looped(v_one, UNIT * np.asarray(w), image, connection), rtol=1e-9, atol=1e-16)
    n, k, pool = math.prod(image), connection.kernel, connection.pool
    theirs = jax.lax.conv_general_dilated(
        v.reshape(6, -1)[:, :n].reshape(6, *image),
        UNIT * w[: k * k * image[2]].reshape(k, k, image[2], channels),
        (connection.stride,) * 2,
        ((connection.padding,) * 2,) * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    if bias:
        theirs = theirs + UNIT * (v.reshape(6, -1)[:, n:] @ w[-1:])[:, None, None, :]
    window = (1, pool, pool, 1)
    theirs = jax.lax.reduce_window(theirs, 0.0, jax.lax.add, window, window, "VALID") / pool**2
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-16)


@pytest.mark.parametrize(("connection", "image", "bias"), CONVOLUTIONS)
def test_reads_through_converters_are_those_of_every_patch(x64, connection, image, bias):
    """Converters too fine to see give what one product of all patches gives: the currents without them."""
    w = jax.random.uniform(jax.random.key(0), (connection.rows(image) + bias, 2), minval=-0.9, maxval=0.9)
    v = voltages(2, math.prod(image) + bias)
    plain = Crossbar()
    fine = Crossbar(periphery=Periphery(dac=DAC(24, 1.0), adc=ADC(24, 1e-3)), tiles=Tiles(3, 4))
    both = [connection.currents(c, c.transfer(c.program(w)), v, image) for c in (plain, fine)]
    np.testing.assert_allclose(*both, atol=1e-9)
    reads = connection.reads(v, image)
    assert reads.shape[-2] == math.prod(connection.neurons(image, 1)) * connection.pool**2


def test_the_noise_of_averaged_reads_is_that_of_independent_ones(x64):
    """Of the mean of four reads; and what comes through converters has as much."""
    connection, image = Convolution(kernel=2, pool=2), (3, 3, 1)
    crossbar = Crossbar(read_noise=0.1)
    w = jnp.asarray([[0.5], [-0.4], [0.2], [0.9], [0.3]])
    v = voltages(10)
    seen = crossbar.transfer(crossbar.program(w))
    gains = np.asarray([1.0, -1.0])
    variance = np.einsum("l,lij->ij", gains**2, np.asarray(seen.sd) ** 2)
    exact = np.sqrt((np.asarray(connection.reads(v, image)) ** 2 @ variance).sum()) / 4
    converted = Crossbar(read_noise=0.1, periphery=Periphery(adc=ADC(24, 1e-3)))
    keys = jax.random.split(jax.random.key(0), 4000)
    for one in (crossbar, converted):
        read = jax.jit(jax.vmap(lambda k, one=one: connection.currents(one, seen, v, image, key=k)))
        assert float(read(keys).std()) == pytest.approx(exact, rel=0.05)


def stepped(layer, currents, dt, fires=True, back=None):
    """A layer in ordinary Python under its column currents [steps, neurons]: what it sends in mid-step."""
    state, source = layer.neuron.init(currents.shape[1:]), layer.filter.init(currents.shape[1:])
    last, sent = np.zeros(currents.shape[1]), []
    for arriving in np.asarray(currents):
        if back is not None:
            arriving = arriving + sum(last[i] * UNIT * np.asarray(back[i]) for i in range(len(last)))
        source, current = layer.filter.step(source, jnp.asarray(arriving), dt)
        if layer.spiking:
            drive = current / (float(layer.spike_voltage) * UNIT)
            if fires:
                state = layer.neuron.step(state, drive, dt)
                last = np.asarray(state.z) * float(layer.spike_voltage)
            else:
                state = state._replace(v=jnp.exp(-dt / layer.neuron.tau) * state.v + drive)
                last = np.asarray(state.v) * float(layer.spike_voltage)
        else:
            before = layer.neuron.voltage(state)
            state, v = layer.neuron.step(state, current, dt)
            last = np.asarray(0.5 * (before + v) - layer.neuron.rest())
        sent.append(last)
    return np.stack(sent)


def all_sent(network, weights, x, steps=25):
    """What every layer sends in mid-step."""
    from memspike.networks.simulate import walk

    done = walk(network, network.program(weights), x, Clock(DT, (steps,)))
    return [np.asarray(at.trace.above_rest) for at in done]


def test_a_network_of_convolutions_equals_loops(x64):
    first = conv_layer(IMAGE, 2, Convolution(kernel=3, padding=1, pool=2), bias=1)
    second = conv_layer((2, 2, 2), 3, Convolution(kernel=2), neuron=MIF(capacitance=2e-9))
    network = Feedforward((first, second, layer((3, 2))), inputs=IMAGE, input_bias=True)
    assert [one.map for one in network.layers] == [(2, 2, 2), (1, 1, 3), (2,)]
    weights, x = small_weights(network), voltages(25, 17)
    found = all_sent(network, weights, x)
    v = x
    for one, w, sent in zip(network.layers, weights, found, strict=True):
        if isinstance(one.connection, Convolution):
            currents = np.stack([looped(now, UNIT * np.asarray(w), one.image, one.connection).ravel() for now in v])
        else:
            currents = np.asarray(v) @ np.asarray(w) * UNIT
        np.testing.assert_allclose(sent, stepped(one, currents, DT), rtol=1e-7, atol=1e-12)
        v = sent


def test_events_reach_a_convolution_as_they_reach_a_dense_layer(x64):
    """A convolution is a dense layer whose matrix repeats the kernel; so it is under events, with a bias."""
    connection, channels = Convolution(kernel=2, stride=2, pool=2), 2
    conv = Feedforward((conv_layer(IMAGE, channels, connection, bias=1),), inputs=IMAGE, input_bias=True)
    (w,) = small_weights(conv)
    unit = jnp.eye(17)
    matrix = connection.currents(Crossbar(), Crossbar().transfer(Crossbar().program(w)), unit, IMAGE) / UNIT
    dense = Feedforward((layer((17, channels)),))
    events = Events(voltages(2, 5, 17), (0.0, 4e-4))
    ours, theirs = (simulate(n, n.program((m,)), events, steps=20, dt=DT)[0] for n, m in ((conv, w), (dense, matrix)))
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_sources_are_rows_one_after_the_other(x64):
    """A skip connection against currents of matrices made by hand, input and all; events and voltages add up."""
    parts = (layer((5, 4)), layer((4, 3)), layer((13, 2), sources=(-1, 0, 1), bias=0.1))
    network = Feedforward(parts)
    weights, x = small_weights(network), voltages(25, 5)
    first, second, last = all_sent(network, weights, x)
    rows = np.concatenate([x, first, second, np.full((25, 1), 0.1)], axis=1)
    np.testing.assert_allclose(last, stepped(parts[2], rows @ np.asarray(weights[2]) * UNIT, DT), rtol=1e-7, atol=1e-12)
    pulses, silent = Events(voltages(1, 5), (0.0,)), jnp.zeros((25, 5))
    whole, no_input = all_sent(network, weights, pulses), all_sent(network, weights, silent)
    only = Feedforward((layer((5, 2)),))
    np.testing.assert_allclose(no_input[0], 0, atol=1e-9)
    decay = (
        10 * filter_().pulse(jnp.asarray(MIDDLES[:25]), 10e-6)[:, None] * (pulses.v[0] @ weights[2][:5] * UNIT)[None]
    )
    held = np.concatenate([whole[0], whole[1], np.full((25, 1), 0.1)], axis=1) @ np.asarray(weights[2][5:]) * UNIT
    state, source, sent = only.layers[0].neuron.init((2,)), filter_().init((2,)), []
    for t in range(25):
        source, current = filter_().step(source, jnp.asarray(held[t]), DT)
        before = only.layers[0].neuron.voltage(state)
        state, v = only.layers[0].neuron.step(state, current + decay[t], DT)
        sent.append(0.5 * (before + v) - only.layers[0].neuron.rest())
    np.testing.assert_allclose(whole[2], np.stack(sent), rtol=1e-7, atol=1e-12)


def test_sources_of_a_convolution_are_channels(x64):
    first = conv_layer(IMAGE, 2, Convolution(kernel=3, padding=1))
    second = conv_layer((4, 4, 3), 1, Convolution(kernel=2), sources=(-1, 0))
    network = Feedforward((first, second), inputs=IMAGE)
    weights, x = small_weights(network), voltages(25, 16)
    before, last = all_sent(network, weights, x)
    v = np.concatenate([np.asarray(x).reshape(25, *IMAGE), before.reshape(25, 4, 4, 2)], axis=-1).reshape(25, -1)
    currents = np.stack([looped(one, UNIT * np.asarray(weights[1]), (4, 4, 3), second.connection).ravel() for one in v])
    np.testing.assert_allclose(last, stepped(second, currents, DT), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("loops", [False, True])
@pytest.mark.parametrize("make", [MIF, LIF, ALIF], ids=lambda make: make.__name__)
def test_a_recurrent_layer_equals_a_loop(x64, make, loops):
    own_numbers = {"LIF": {"tau": 1e-3, "theta": 0.2}, "ALIF": {"tau": 1e-3, "theta": 0.2, "beta": 0.3, "tau_a": 1e-3}}
    neuron = make(**own_numbers.get(make.__name__, {}))
    parts = (layer((5, 4), neuron=neuron, recurrent=Crossbar(), loops=loops), layer((4, 2)))
    network = Feedforward(parts)
    assert network.names == ("layer 1", "layer 1 recurrent", "layer 2")
    assert network.shapes == ((5, 4), (4, 4), (4, 2))
    weights = [jnp.clip(w, -0.9, 0.9) for w in small_weights(network, gain=2.0)]
    assert bool(jnp.diagonal(weights[1]).any()) == loops
    # what is written on the diagonal is of no effect without loops
    weights[1] = weights[1] + 0.7 * (1 - loops) * jnp.eye(4)
    own = weights[1] * (1 if loops else 1 - jnp.eye(4))
    x = voltages(40, 5, size=0.5)
    first, last = all_sent(network, tuple(weights), x, 40)
    np.testing.assert_allclose(first, stepped(parts[0], x @ weights[0] * UNIT, DT, back=own), rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(
        last, stepped(parts[1], first @ np.asarray(weights[2]) * UNIT, DT), rtol=1e-7, atol=1e-12
    )
    alone = all_sent(network, (weights[0], 0 * weights[1], weights[2]), x, 40)[0]
    assert np.abs(alone - first).max() > 1e-3


def test_recurrent_events_equal_events_and_a_loop_of_steps(x64):
    """Events in closed form and the recurrent currents step by step add up: an exponential filter is linear."""
    network = Feedforward((layer((5, 4), recurrent=Crossbar()),))
    weights, events = small_weights(network, gain=2.0), Events(voltages(1, 3, 5, size=0.6), (0.0,))
    ours = simulate(network, network.program(weights), events, steps=30, dt=DT)[0]
    kernel = 10 * filter_().pulse(jnp.asarray(MIDDLES[:30]), 10e-6)
    one = network.layers[0]
    state, source, last, found = one.neuron.init((3, 4)), filter_().init((3, 4)), jnp.zeros((3, 4)), []
    for t in range(30):
        source, current = one.filter.step(source, last @ weights[1] * UNIT, DT)
        before = one.neuron.voltage(state)
        state, v = one.neuron.step(state, current + kernel[t] * (events.v[0] @ weights[0]) * UNIT, DT)
        last = 0.5 * (before + v) - one.neuron.rest()
        found.append(v)
    np.testing.assert_allclose(ours, np.stack(found), rtol=1e-8)


def test_dynamical_rows_of_a_recurrent_crossbar_move_step_by_step(x64):
    rows, v, passed, found = DynamicalRows(ms.devices.MetastableSwitch(tau=1e-3)), voltages(20, 3), jnp.zeros(3), []
    for now in v:
        passed, effective = rows.step(passed, now, DT)
        found.append(effective)
    np.testing.assert_allclose(np.stack(found), rows.effective(v, jnp.full(20, DT)), rtol=1e-12)
    network = Feedforward((layer((5, 4), recurrent=Crossbar(), rows=rows),))
    still = eqx.tree_at(lambda n: n.layers[0].rows.device.tau, network, jnp.asarray(1e6))
    weights = small_weights(network, gain=2.0)
    moving, frozen = (all_sent(n, weights, voltages(25, 5, size=0.5))[0] for n in (network, still))
    assert np.abs(moving - frozen).max() > 1e-4


def test_spiking_layers_and_the_last_one(x64):
    """Spikes drive rows at the read voltage; the last layer integrates without firing."""
    parts = (layer((5, 4), neuron=LIF(tau=1e-3, theta=0.3)), layer((4, 3), neuron=ALIF(tau=2e-3)))
    network = Feedforward(parts)
    weights, x = small_weights(network, gain=2.0), voltages(40, 5, size=0.5)
    first, last = all_sent(network, weights, x, 40)
    assert {*np.unique(first)} == {0.0, 0.2}
    np.testing.assert_allclose(first, stepped(parts[0], x @ weights[0] * UNIT, DT), atol=1e-12)
    integrated = stepped(parts[1], first @ np.asarray(weights[1]) * UNIT, DT, fires=False)
    np.testing.assert_allclose(last, integrated, rtol=1e-7, atol=1e-12)
    # one spike through w = 1 counts 1, whatever the filter
    alone = Feedforward((layer((1, 1), neuron=LIF(tau=1e3)),))
    spike = jnp.zeros((60, 1)).at[0].set(0.2)
    end = simulate(alone, alone.program((jnp.ones((1, 1)),)), spike, steps=60, dt=DT)[0][-1, 0]
    assert float(end) / 0.2 == pytest.approx(1.0, rel=1e-5)


def test_surrogate_gradients_reach_weights_behind_spikes(x64):
    parts = (layer((5, 4), neuron=LIF(tau=1e-3, theta=0.3), recurrent=Crossbar()), layer((4, 3), neuron=LIF()))
    network = Feedforward(parts)
    weights, x = small_weights(network, gain=2.0), voltages(40, 2, 5, size=0.5)
    loss = lambda w: jnp.square(simulate(network, network.program(w), x, steps=40, dt=DT)[-1]).sum()  # noqa: E731
    for slope in jax.jit(jax.grad(loss))(weights):
        assert np.isfinite(slope).all()
        assert np.abs(slope).max() > 0


def test_neurons_of_several_kinds_with_parameters_of_their_own(x64):
    """Values for each neuron, or each channel, are those of layers with one neuron each."""
    taus = jnp.asarray([0.5e-3, 1e-3, 2e-3])
    together = Feedforward(
        (layer((5, 3), neuron=LIF(tau=taus, theta=0.2)), layer((3, 2), neuron=RelaxationOscillator()))
    )
    weights, x = small_weights(together, gain=2.0), voltages(25, 2, 5, size=0.5)
    sent = all_sent(together, weights, x)
    assert np.isfinite(sent[1]).all()
    for k, tau in enumerate(taus):
        alone = Feedforward((layer((5, 1), neuron=LIF(tau=tau, theta=0.2)), layer((1, 1))))
        one = all_sent(alone, (weights[0][:, k : k + 1], jnp.ones((1, 1))), x)[0]
        np.testing.assert_allclose(one[..., 0], sent[0][..., k], atol=1e-12)
    connection, c = Convolution(kernel=3), jnp.asarray([1e-9, 2e-9])
    channels = Feedforward((conv_layer(IMAGE, 2, connection, neuron=MIF(capacitance=c)),), inputs=IMAGE)
    (w,) = small_weights(channels)
    found = all_sent(channels, (w,), voltages(25, 16))[0].reshape(25, 2, 2, 2)
    for k in range(2):
        alone = Feedforward((conv_layer(IMAGE, 1, connection, neuron=MIF(capacitance=c[k])),), inputs=IMAGE)
        one = all_sent(alone, (w[:, k : k + 1],), voltages(25, 16))[0].reshape(25, 2, 2)
        np.testing.assert_allclose(one, found[..., k], rtol=1e-9, atol=1e-12)
    rests = eqx.tree_at(lambda n: n.layers[0].neuron.e2, channels, jnp.asarray([0.05, 0.06]))
    silent = rests.run(rests.program((w,)), jnp.zeros((25, 3, 16)), Clock(DT, (25,)))
    np.testing.assert_allclose(silent.output, 0, atol=1e-9)


def finite_differences(network, x, target, *, every=1):
    weights = small_weights(network, gain=1.5)

    def loss(w):
        return SmoothMaximum().loss(simulate(network, network.program(w), x, steps=16, dt=DT)[-1], target).mean()

    value, gradients = jax.jit(loss), jax.jit(jax.grad(loss))(weights)
    largest = max(float(jnp.abs(g).max()) for g in gradients)
    for k, w in enumerate(weights):
        for i, j in itertools.islice(np.ndindex(*w.shape), 0, None, every):
            up, down = (value((*weights[:k], w.at[i, j].add(h), *weights[k + 1 :])) for h in (1e-5, -1e-5))
            numeric = float(up - down) / 2e-5
            assert float(gradients[k][i, j]) == pytest.approx(numeric, rel=1e-4, abs=1e-7 * largest)
    assert all(float(jnp.abs(g).max()) > 1e-3 * largest for g in gradients)


def test_the_gradient_through_a_convolution_equals_finite_differences(x64):
    first = conv_layer(IMAGE, 2, Convolution(kernel=3, padding=1, pool=2), bias=1)
    network = Feedforward((first, layer((8, 2))), inputs=IMAGE, input_bias=True)
    events = Events(voltages(1, 2, 17, size=0.6), (0.0,))
    finite_differences(network, events, jnp.eye(2))


def test_the_gradient_through_recurrence_equals_finite_differences(x64):
    network = Feedforward((layer((3, 3), recurrent=Crossbar()), layer((6, 2), sources=(-1, 0))))
    finite_differences(network, voltages(16, 2, 3, size=0.6), jnp.eye(2))


FIDELITY = {
    "wires": {"wires": Resistive(5.0, 5.0, 5.0, 5.0)},
    "all": {
        "wires": Resistive(5.0, 5.0, 5.0, 5.0),
        "tiles": Tiles(4, 4),
        "periphery": Periphery(dac=DAC(8, 0.5), adc=ADC(8, 100e-6)),
        "read_noise": 0.01,
    },
}


@pytest.mark.parametrize("fidelity", FIDELITY)
def test_wires_tiles_and_converters_are_there_for_every_layer(fidelity):
    """They move what comes out, and gradients are finite; the same under vmap over chips as one by one."""
    crossbar = Crossbar(programming_spread=0.05, **FIDELITY[fidelity])
    first = conv_layer(IMAGE, 2, Convolution(kernel=2, padding=1, pool=2), bias=1, crossbar=crossbar)
    parts = (first, layer((8, 4), crossbar=crossbar, recurrent=crossbar), layer((12, 2), sources=(0, 1)))
    network = Feedforward(parts, inputs=IMAGE, input_bias=True)
    ideal = network.with_crossbars((Crossbar(),) * 4)
    weights, x = small_weights(network), Events(voltages(1, 3, 17, size=0.1), (0.0,))
    lines = network.program(weights)
    noise = jax.random.key(5) if fidelity == "all" else None

    def run(lines: Any, on: Any = network) -> Any:
        return simulate(on, lines, x, steps=16, dt=DT, key=noise)[-1]

    def squared(lines: Any) -> Any:
        found = run(lines)
        return jnp.square(found).sum(), found

    sloped = jax.jit(jax.value_and_grad(squared, has_aux=True))  # one program for what comes out and for its slopes
    exact = jax.jit(lambda g: run(g, ideal))(lines)
    (_, found), slopes = sloped(lines)
    assert 1e-3 < np.abs(found - exact).max() / np.ptp(exact) < 0.2
    assert all(np.isfinite(g).all() and np.abs(g).max() > 0 for g in slopes)
    program = jax.jit(jax.vmap(lambda key: network.program(weights, key=key)))
    wafer = program(jax.random.split(jax.random.key(3), 3))
    together = jax.jit(jax.vmap(run))(wafer)
    for k in range(3):
        (_, found), _ = sloped(tuple(g[k] for g in wafer))
        np.testing.assert_allclose(together[k], found, rtol=2e-3, atol=2e-5)


def test_every_position_is_a_read_of_the_one_array():
    """Counted by hand: 9 positions of 16, averaged in fours where that fits; one array of devices, whatever is read."""
    connection = Convolution(kernel=2, pool=2)
    parts = (conv_layer(IMAGE, 3, connection, bias=1, recurrent=Crossbar()), layer((3, 2), neuron=LIF()))
    network = Feedforward(parts, inputs=IMAGE, input_bias=True)
    weights = small_weights(network)
    lines = network.program(weights)
    x = Events(0.1 * jnp.ones((2, 5, 17)), (0.0, 2e-4), 30e-6)

    @jax.jit
    def ledgers(lines: Any) -> Any:
        converted = eqx.tree_at(lambda n: n.layers[0].crossbar.periphery, network, Periphery(adc=ADC(8, 1e-4)))
        return tuple(read_ledgers(one, lines, x, Clock(DT, (8,))) for one in (network, converted))

    (first, recurrent, last), converted = ledgers(lines)
    assert [one.map for one in parts] == [(1, 1, 3), (2,)]
    assert int(first.reads) == 2 * 5 * 4, "events × trials × positions"
    assert int(first.row_conversions) == 2 * 5 * 4 * 5
    assert int(recurrent.reads) == int(last.reads) == 8 * 5
    assert int(first.neuron_steps) == 8 * 5 * 3
    np.testing.assert_allclose(first.read_energy.value, 40 * 0.1**2 * float(lines[0].sum()) * 30e-6, rtol=1e-5)
    assert int(first.column_conversions) == 0
    written = parts[0].crossbar.ledger(network.shapes[0])
    assert written.up.shape == (2, 5, 3)
    assert summary(written + first, Costs())["reads"] == 40
    assert int(converted[0].column_conversions) == 40 * 3


def test_programmed_readings_mask_what_is_not_connected(x64):
    network = Feedforward((layer((2, 3), recurrent=Crossbar()), layer((3, 2))))
    weights = small_weights(network)
    cells = tuple(c.cell.place(c.cell.init(w.shape), w) for c, w in zip(network.crossbars, weights, strict=True))
    seen = network.programmed(None, cells)
    assert len(seen) == 3
    assert isinstance(seen[1], Seen)
    for one, two in zip(network.weights(cells), weights, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Convolution(kernel=7).rows((4, 4, 1)), "kernel of 7 × 7 is larger than the image of 4 × 4"),
        (lambda: Convolution(kernel=2, padding=2).rows((4, 4, 1)), "padding is 2; allowed: 0 to 1"),
        (lambda: Convolution(kernel=2, pool=4).rows((4, 4, 1)), "pool is 4; the kernel has 3 × 3 positions"),
        (lambda: Convolution().rows((16,)), "needs an image; it is driven by 16 rows"),
        (lambda: Convolution(kernel=0), "kernel is 0"),
        (lambda: Feedforward((layer((3, 2), sources=(0,)),)), "sources of layer 0 are"),
        (lambda: Feedforward((layer((3, 2)), layer((7, 2), sources=(-1, 0)))), "Layer 1 has 7 rows but its sources"),
        (lambda: Feedforward((layer((3, 2)), layer((2, 2), bias=0.1))), "layer 0 has 2 neurons; 3 are needed"),
        (lambda: layer((3, 2), neuron=LIF(tau=[1e-3] * 3)), "neuron.tau has 3 values; 1 or 2"),
        (
            lambda: Feedforward((layer((3, 2), neuron=LIF(), recurrent=Crossbar()),)),
            "is the last one; its spiking neurons integrate",
        ),
        (
            lambda: conv_layer(IMAGE, 2, Convolution(), rows=DynamicalRows()),
            "need an array of their own for every position",
        ),
        (
            lambda: Feedforward(
                (conv_layer(IMAGE, 2, Convolution()), conv_layer(IMAGE, 2, Convolution(), sources=(-1, 0))),
                inputs=IMAGE,
            ),
            "images of one height and width",
        ),
    ],
)
def test_impossible_layers_are_refused(make, words):
    with pytest.raises(ms.InputError, match=words) as error:
        make()
    assert str(error.value).count(". ") == 0
    assert Dense().rows((3, 2, 1)) == 6
