"""The time loop against a plain Python loop, depth, events, populations of chips and gradients."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import memspike as ms
from memspike.arrays import Crossbar, DynamicalRows
from memspike.cells import SingleReference, midpoint
from memspike.devices import SoftBounds
from memspike.learning import BPTT, Batch, View
from memspike.learning.objectives import SmoothMaximum, TimeMean, Windowed
from memspike.networks import Clock, Events, feedforward, simulate
from memspike.neurons import AbstractNeuron, AlphaFilter, ExponentialFilter
from memspike.parts.registry import SYNAPSES


def parts(key=0, sizes=(5, 4, 3), **layer):
    network = feedforward(sizes, **({"input_gain": 100.0} | layer))
    weights = network.init_weights(key=jax.random.key(key), gain=1.0)
    return network, tuple(jnp.clip(w, -0.95, 0.95) for w in weights)


class Wire(AbstractNeuron):
    """A neuron whose voltage is its current."""

    source = "none"

    def rest(self):
        return jnp.zeros(())

    def init(self, shape=()):
        return jnp.zeros(shape)

    def voltage(self, state):
        return state

    def step(self, state, current, dt):
        return current, current


def plain_loop(network, weights, drive, steps, dt):
    """All layers in ordinary Python, step by step, with weights instead of conductances."""
    v = np.asarray(drive)
    traces = []
    for layer, w in zip(network.layers, weights, strict=True):
        state = layer.neuron.init(w.shape[1:])
        source = layer.filter.init(w.shape[1:])
        rest = float(layer.neuron.rest())
        trace = []
        for t in range(steps):
            column = sum(float(v[t, i]) * np.asarray(w[i]) * 90e-6 for i in range(len(w)))
            source, current = layer.filter.step(source, jnp.asarray(column), dt)
            state, out = layer.neuron.step(state, current, dt)
            trace.append(np.asarray(out))
        traces.append(np.stack(trace))
        above = traces[-1] - rest
        v = 0.5 * (above + np.concatenate([np.zeros_like(above[:1]), above[:-1]]))
    return traces


@pytest.mark.parametrize("sizes", [(5, 3), (5, 4, 3), (5, 4, 4, 3)])
@pytest.mark.parametrize("checkpoint", [True, False])
def test_equals_a_plain_loop(x64, sizes, checkpoint):
    network, weights = parts(sizes=sizes)
    drive = 0.1 * jax.random.uniform(jax.random.key(1), (30, 5))
    ours = simulate(network, network.program(weights), drive, steps=30, dt=5e-5, checkpoint=checkpoint)
    theirs = plain_loop(network, weights, drive, 30, 5e-5)
    assert len(ours) == len(sizes) - 1
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


@pytest.mark.parametrize("make", [AlphaFilter, ExponentialFilter])
@pytest.mark.parametrize("width", [3e-6, 10e-6, 70e-6])
def test_pulses_are_what_a_fine_simulation_makes_of_them(x64, make, width):
    """Row pulses in closed form equal the same rectangles held row by row in steps of 1 µs, at the middles of steps."""
    layer_filter, gain, dt, fine = make(tau=3e-4), 7.0, 2e-5, 1e-6
    network, weights = parts(sizes=(5, 3), filter=layer_filter, input_gain=gain)
    v = 0.1 * jax.random.uniform(jax.random.key(1), (2, 5))
    times = (0.0, 10 * dt)
    ours = simulate(network, network.program(weights), Events(v, times, width), steps=40, dt=dt)[0]

    t = (np.arange(800) + 0.5) * fine
    on = [(t > start) & (t < start + width) for start in times]
    held = gain * np.asarray(on, float).T @ np.asarray(v @ weights[0] * 90e-6)
    source, ends = layer_filter.init((3,)), []
    for current in held:
        source, _ = layer_filter.step(source, jnp.asarray(current), fine)
        ends.append(source.second if make is AlphaFilter else source)
    state = network.layers[0].neuron.init((3,))
    for k in range(40):
        state, out = network.layers[0].neuron.step(state, ends[20 * k + 9], dt)
        np.testing.assert_allclose(ours[k], out, rtol=1e-9)


def test_twice_the_width_is_twice_the_charge(x64):
    """Behind a slow filter the current doubles with the width, with the height of the pulse and with the gain."""
    slow = AlphaFilter(tau=3e-3)

    def current(width, height=0.1, gain=1.0):
        network, weights = parts(sizes=(5, 3), filter=slow, neuron=Wire(), input_gain=gain)
        pulses = Events(jnp.full((1, 5), height), (0.0,), width)
        return simulate(network, network.program(weights), pulses, steps=200, dt=1e-4)[0]

    once = current(10e-6)
    assert np.abs(once).max() > 1e-9
    np.testing.assert_allclose(current(20e-6), 2 * once, rtol=0.01, atol=0.01 * np.abs(once).max())
    np.testing.assert_allclose(current(20e-6).sum(0), 2 * once.sum(0), rtol=1e-3)
    np.testing.assert_allclose(current(10e-6, height=0.2), 2 * once, rtol=1e-9)
    np.testing.assert_allclose(current(10e-6, gain=2.0), 2 * once, rtol=1e-12)


def test_dynamical_events_see_the_pulses_and_the_pauses(x64):
    rows = DynamicalRows(ms.devices.MetastableSwitch(tau=1e-3))
    events = Events(jnp.asarray([[0.1, 0.02], [0.1, 0.02]]), (2e-4, 7e-4), 1e-4)
    held, durations = events.holds()
    np.testing.assert_allclose(durations, [2e-4, 1e-4, 4e-4, 1e-4], rtol=1e-12)
    effective = rows.effective(held, durations)[1::2]
    rate = np.asarray(rows.device.relaxation(jnp.asarray([0.1, 0.02])))
    idle = float(rows.device.relaxation(jnp.zeros(())))
    np.testing.assert_allclose(effective[0], events.v[0] * np.exp(-rate * 0.5e-4 - idle * 2e-4), rtol=1e-12)
    np.testing.assert_allclose(effective[1], events.v[1] * np.exp(-rate * 1.5e-4 - idle * 6e-4), rtol=1e-12)


def test_batch_by_broadcasting_equals_vmap_and_single(x64):
    network, weights = parts()
    pairs = network.program(weights)
    v = 0.1 * jax.random.uniform(jax.random.key(1), (1, 6, 5))

    def run(v):
        return simulate(network, pairs, Events(v, (0.0,)), steps=20, dt=5e-5)[-1]

    together = run(v)
    mapped = jax.vmap(run, in_axes=1, out_axes=1)(v)
    np.testing.assert_allclose(together, mapped, rtol=1e-10)
    np.testing.assert_allclose(together[:, 2], run(v[:, 2]), rtol=1e-10)


def test_a_population_of_chips_is_one_vmap(x64):
    """Chips that differ in conductances and in every neuron's memristors: vmap equals a loop."""
    crossbar = Crossbar(programming_spread=0.1)
    network, weights = parts(crossbar=crossbar)
    v = Events(0.1 * jnp.ones((1, 5)), (0.0,))

    def fabricate(key):
        a, b = jax.random.split(key)
        spread = 1 + 0.1 * jax.random.normal(a, (2,))
        chip = eqx.tree_at(lambda n: [layer.neuron.m1.r_on for layer in n.layers], network, list(1e3 * spread))
        return chip, network.program(weights, key=b)

    def run(chip, pairs):
        return simulate(chip, pairs, v, steps=20, dt=5e-5)[-1]

    keys = jax.random.split(jax.random.key(0), 4)
    wafer = jax.vmap(fabricate)(keys)
    together = jax.vmap(run)(*wafer)
    assert float(together.std(axis=0).max()) > 1e-4
    for k, key in enumerate(keys):
        np.testing.assert_allclose(together[k], run(*fabricate(key)), rtol=1e-8)


def test_finer_steps_converge_in_second_order(x64):
    network, weights = parts()
    pairs = network.program(weights)
    v = Events(0.1 * jax.random.uniform(jax.random.key(1), (1, 5)), (0.0,))

    def last(dt):
        return np.asarray(simulate(network, pairs, v, steps=round(8e-4 / dt), dt=dt)[-1][-1])

    exact = last(1e-6)
    errors = [np.abs(last(dt) - exact).max() for dt in (4e-5, 2e-5, 1e-5)]
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    assert (orders > 1.7).all(), f"errors {errors}"


@pytest.mark.parametrize(
    ("readout", "rows"),
    [
        (SmoothMaximum(), "static"),
        (Windowed(), "dynamical"),
        (TimeMean(), "static"),
        pytest.param(SmoothMaximum(), "dynamical", marks=pytest.mark.full),
        pytest.param(Windowed(), "static", marks=pytest.mark.full),
        pytest.param(TimeMean(), "dynamical", marks=pytest.mark.full),
    ],
    ids=lambda r: r if isinstance(r, str) else type(r).__name__,
)
def test_gradient_equals_finite_differences(x64, rows, readout):
    """BPTT through every weight and every parameter of devices, synapses, filters, neurons and readout."""
    readout = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), readout)
    network, weights = parts(rows=SYNAPSES.get(rows).value())
    v = Events(0.1 * jax.random.uniform(jax.random.key(1), (2, 3, 5)), (0.0, 3e-4))
    target = jax.nn.one_hot(jnp.asarray([0, 1, 2]), 3)

    def loss(arguments):
        network, weights, v, readout = arguments
        out = simulate(network, network.program(weights), v, steps=16, dt=5e-5)[-1]
        return readout.loss(out - network.layers[-1].neuron.rest(), target).mean()

    leaves, treedef = jax.tree.flatten((network, weights, v, readout))
    flat = jax.jit(lambda values: loss(jax.tree.unflatten(treedef, values)))
    gradients = jax.jit(jax.grad(flat))(leaves)
    checked = 0
    for i, leaf in enumerate(leaves):
        for j in range(leaf.size):
            x = float(leaf.ravel()[j])
            h = 1e-5 * abs(x) if x else 1e-8
            bump = jnp.zeros(leaf.size).at[j].set(h).reshape(leaf.shape)
            up, down = (flat([a + s * bump if k == i else a for k, a in enumerate(leaves)]) for s in (1, -1))
            numeric = float((up - down) / (2 * h))
            exact = float(gradients[i].ravel()[j])
            assert exact * x == pytest.approx(numeric * x, rel=1e-4, abs=1e-9), f"leaf {i}, element {j}"
            checked += exact != 0
    assert checked > 60


# exact gradients of the implicit function theorem; straight-through converters and digits, which MEMprop has not; and
# neurons and networks that it does not use: the relaxation oscillator, and all those of all-or-none spikes
OFF_THE_PATH = {"wires.py", "solution.py", "converters.py", "relaxation.py"}
OFF_THE_PATH |= {"surrogate.py", "lif.py", "spiking_course.py", "recurrent.py", "decolle.py"}
# counts of pulses, which have no slope
OFF_THE_PATH |= {"wear.py"}
# circuits of one's own, by the implicit function theorem
NETLISTS = "netlist"
# derivatives that are written down: those of the plain formula, see tests/devices/test_numerics.py, and the adjoint of
# kernels, see tests/neurons/test_mif_course.py and tests/networks/test_patches.py
WRITTEN = {
    "metastable.py": ("@jax.custom_jvp\ndef _relaxed(",),
    "mif_course.py": ("@partial(jax.custom_vjp, nondiff_argnums=(0,))\ndef _course(",),
    "patches.py": ("@partial(jax.custom_vjp, nondiff_argnums=(0,))\ndef _copied(",),
}
# devices that are programmed with errors have the slopes of exact programming; exact weights do not pass there
PROGRAMMED = "networks/base.py"


def test_there_is_no_stop_gradient_and_no_surrogate(root):
    """Nothing between the weights of a MEMprop network and its loss cuts or replaces a gradient."""
    words = ("stop_gradient", "custom_jvp", "custom_vjp", "surrogate(")
    package = root / "src/memspike"
    path = [package / "devices/volatile.py", package / "devices/metastable.py"]
    for folder in ("cells", "arrays", "networks", "learning", "neurons"):
        path += (
            f
            for f in (package / folder).rglob("*.py")
            if f.name not in OFF_THE_PATH and NETLISTS not in f.parts and f != package / PROGRAMMED
        )
    assert len(path) > 20
    for file in path:
        text = file.read_text()
        for derivatives in WRITTEN.get(file.name, ()):
            assert derivatives in text
            text = text.replace(derivatives, "")
        if file.name == "differential.py":  # the digits of bit slices are steps
            text = text.replace("even + jax.lax.stop_gradient(", "")
        if file.name == "simulate.py":  # e-prop holds other neurons fixed; backpropagation never asks for it
            text = text.replace("stop_gradient(last) if how.fixed", "")
            assert "fixed: bool = False" in text
        assert not any(word in text for word in words), f"{file.name} cuts or replaces a gradient"


def test_the_rule_takes_the_gradient_of_the_circuit(x64):
    """What `BPTT` wants for exact weights is the slope of its loss, price of the membranes included."""
    network, weights = parts(sizes=(5, 4, 3))
    cells = tuple(c.cell.place(c.cell.init(w.shape), w) for c, w in zip(network.crossbars, weights, strict=True))
    view = View(network, SmoothMaximum(), Clock(5e-5, (16,)), cells, exact=True, noisy=False)
    x = Events(0.3 * jax.random.uniform(jax.random.key(1), (2, 3, 5)), (0.0, 3e-4))
    batch = Batch(x, jax.nn.one_hot(jnp.asarray([0, 1, 2]), 3), jnp.ones(16), jnp.asarray(True))
    rule, key = BPTT(swing=0.02), jax.random.key(0)
    sgd = optax.sgd(1.0)
    change = rule.update(rule.init(view, sgd, (), key=key), view, batch, sgd, key=key).change
    loss = jax.jit(lambda w: rule.loss(view, w, batch, key=key))
    for k, w in enumerate(weights):
        for i, j in np.ndindex(*w.shape):
            up, down = (loss((*weights[:k], w.at[i, j].add(h), *weights[k + 1 :])) for h in (1e-6, -1e-6))
            assert float(change[k][i, j]) == pytest.approx(float(down - up) / 2e-6, rel=1e-4, abs=1e-8)


def test_networks_on_other_crossbars_and_their_weights(x64):
    """Of every kind: crossbars are replaced in their order, cells hold the weights, names are those of the matrices."""
    kinds = [
        feedforward((5, 4, 3)),
        ms.networks.Recurrent((5, 4, 3)),
        ms.networks.local_network((5, 4), 3, key=jax.random.key(0)),
        ms.networks.Competitive((5, 3), Crossbar(SingleReference(SoftBounds(), midpoint(SoftBounds())))),
    ]
    for network in kinds:
        assert len(network.names) == len(network.shapes) == len(network.crossbars)
        noisy = tuple(
            eqx.tree_at(lambda c: c.read_noise, c, jnp.asarray(0.1 + k)) for k, c in enumerate(network.crossbars)
        )
        other = network.with_crossbars(noisy)
        assert type(other) is type(network)
        np.testing.assert_allclose([c.read_noise for c in other.crossbars], 0.1 + np.arange(len(noisy)))
        assert not any(float(c.read_noise) for c in network.crossbars)
        weights = network.init_weights(0.3, key=jax.random.key(1))
        assert [w.shape for w in weights] == list(network.shapes)
        cells = tuple(c.cell.place(c.cell.init(w.shape), w) for c, w in zip(network.crossbars, weights, strict=True))
        for one, two in zip(network.weights(cells), weights, strict=True):
            np.testing.assert_allclose(one, two, atol=1e-9)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: feedforward([5]), "two or more"),
        (lambda: feedforward([5, 0, 3]), "whole numbers"),
        (
            lambda: ms.networks.Feedforward((feedforward((5, 4)).layers[0], feedforward((3, 2)).layers[0])),
            "Layer 1 has",
        ),
        (lambda: feedforward((5, 4)).program((jnp.zeros((4, 4)),)), "expected \\(5, 4\\)"),
    ],
)
def test_impossible_shapes_are_refused(call, words):
    with pytest.raises(ms.InputError, match=words):
        call()


@pytest.mark.parametrize("times", [(), (-1e-3,), (1e-3, 0.0), (0.0, 5e-6)])
def test_impossible_event_times_are_refused(times):
    with pytest.raises(ms.InputError, match="ascending from 0"):
        Events(jnp.zeros((max(len(times), 1), 5)), times)


def test_wrong_inputs_are_refused():
    network, weights = parts()
    pairs = network.program(weights)
    with pytest.raises(ms.InputError, match="7 rows; the first layer has 5"):
        simulate(network, pairs, Events(jnp.zeros((1, 7)), (0.0,)), steps=3, dt=1e-5)
    with pytest.raises(ms.InputError, match="4 steps; 3 were asked for"):
        simulate(network, pairs, jnp.zeros((4, 5)), steps=3, dt=1e-5)
