"""e-prop of layers: against the recurrent form, eligibilities in loops, autodiff with the other paths cut."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from memspike.arrays import Crossbar, Seen
from memspike.config.build import classification
from memspike.experiments import resolve
from memspike.learning import Adaptive, Batch, Eprop, Random, SquaredError, Symmetric, View, Windowed
from memspike.learning.rules.eprop import EpropState
from memspike.networks import Clock, Convolution, Feedforward, Layer, Recurrent
from memspike.networks.simulate import How, drive_of, run_layer, walk
from memspike.neurons import ALIF, LIF, MIF, ExponentialFilter
from memspike.parts.errors import InputError
from memspike.training.classify import classify
from memspike.training.folder import RunFolder

STEPS, BATCH, DT, VOLT = 30, 2, 1e-3, 0.2
KEY = jax.random.key(3)
PLAIN = {"rate_weight": 0.0, "clip": 1e9}


def layer(shape, neuron, **fields):
    return Layer(shape, neuron=neuron, **({"filter": ExponentialFilter(tau=1e-9)} | fields))


def view_of(network, weights, objective, dt=DT, steps=STEPS):
    cells = tuple(c.cell.place(c.cell.init(w.shape), w) for c, w in zip(network.crossbars, weights, strict=True))
    return View(network, objective, Clock(dt, (steps,)), cells, noisy=False)


def drawn(network, gain, key=0):
    return tuple(jnp.clip(w, -0.9, 0.9) for w in network.init_weights(gain, key=jax.random.key(key)))


def slopes_of(rule, view, batch, feedback):
    """The gradient, as the change by plain descent with a rate of 1."""
    descent = optax.sgd(1.0)
    state = EpropState(descent.init(view.weights()), feedback)
    done = jax.jit(lambda state, batch: rule.update(state, view, batch, descent, key=KEY))(state, batch)
    return tuple(-dw for dw in done.change), done


def spikes(*shape, key=1, p=0.3):
    return jax.random.bernoulli(jax.random.key(key), p, shape).astype(float)


def batch_of(x, target):
    return Batch(x, target, jnp.ones(STEPS), jnp.asarray(True))


@pytest.mark.parametrize("kind", [Random, Symmetric, Adaptive])
@pytest.mark.parametrize(
    "make",
    [lambda: LIF(theta=0.3, soft=False), lambda: ALIF(theta=0.3, tau_a=20e-3, beta=0.2, refractory=2)],
    ids=["lif", "alif"],
)
def test_one_recurrent_layer_is_the_recurrent_network(x64, kind, make):
    neuron = make()
    inputs, neurons, outputs = 6, 5, 2
    weights = drawn(Recurrent((inputs, neurons, outputs)), 0.8)
    tau = 12e-3
    one = Recurrent((inputs, neurons, outputs), neuron, tau_out=tau)
    hidden = layer((inputs, neurons), neuron, recurrent=Crossbar(), spike_voltage=VOLT)
    output = layer((neurons, outputs), LIF(tau=tau), spike_voltage=VOLT)
    other = Feedforward((hidden, output), input_voltage=VOLT)
    x, target = spikes(STEPS, BATCH, inputs), jax.random.normal(KEY, (STEPS, BATCH, outputs))
    rule, stored = Eprop(feedback=kind(), **PLAIN), jax.random.normal(KEY, (neurons, outputs))
    first, done = slopes_of(rule, view_of(one, weights, SquaredError()), batch_of(x, target), stored)
    view = view_of(other, weights, SquaredError())
    second, again = slopes_of(rule, view, batch_of(x, VOLT * target), (stored,))
    assert 0.02 < float(done.metrics["rate"]) * DT < 0.9
    np.testing.assert_allclose(again.metrics["rate"], done.metrics["rate"], rtol=1e-9)
    for a, b in zip(first, second, strict=True):
        assert float(jnp.abs(a).max()) > 1e-3
        np.testing.assert_allclose(b / VOLT**2, a, rtol=1e-6, atol=1e-9)


def test_two_layers_are_eligibilities_in_loops(x64):
    """Of every synapse a trace ε of what arrived, times ψ of its own neuron, times B of its layer and the error."""
    sizes, tau, tau_out, theta = (5, 4, 3, 2), 20e-3, 12e-3, 0.25
    hidden = [layer(s, LIF(tau=tau, theta=theta), spike_voltage=VOLT) for s in ((5, 4), (4, 3))]
    network = Feedforward((*hidden, layer((3, 2), LIF(tau=tau_out), spike_voltage=VOLT)), input_voltage=VOLT)
    weights = drawn(network, 1.0)
    feedback = tuple(jax.random.normal(jax.random.fold_in(KEY, n), (n, 2)) for n in sizes[1:3])
    x, target = spikes(STEPS, sizes[0]), jax.random.normal(KEY, (STEPS, 2))
    rule = Eprop(feedback=Random(), **PLAIN)
    found, _ = slopes_of(rule, view_of(network, weights, SquaredError()), batch_of(x, VOLT * target), feedback)

    alpha, kappa = np.exp(-DT / tau), np.exp(-DT / tau_out)
    w, sent, traces, slopes = [np.asarray(one) for one in weights], np.asarray(x), [], []
    for k in range(2):
        v, z, trace = np.zeros(sizes[k + 1]), np.zeros(sizes[k + 1]), np.zeros(sizes[k])
        done, each, psi = [], [], []
        for now in sent:
            v = alpha * v + now @ w[k] - theta * z
            z, trace = (v > theta).astype(float), alpha * trace + now
            psi.append(0.3 * np.maximum(0, 1 - np.abs((v - theta) / theta)))
            done.append(z)
            each.append(trace)
        sent = np.array(done)
        traces.append(np.array(each))
        slopes.append(np.array(psi))
        assert 0.03 < sent.mean() < 0.9
    y, errors, heard = np.zeros(2), [], []
    for t, now in enumerate(sent):
        y = kappa * y + now @ w[2]
        errors.append(y - np.asarray(target)[t])
        heard.append(now)
    credit = np.zeros((STEPS, 2))
    for t in reversed(range(STEPS)):
        credit[t] = errors[t] + (kappa * credit[t + 1] if t + 1 < STEPS else 0)
    for k in range(2):
        signal = credit @ np.asarray(feedback[k]).T
        true = sum(np.outer(traces[k][t], signal[t] * slopes[k][t]) for t in range(STEPS))
        assert np.abs(true).max() > 1e-2
        np.testing.assert_allclose(found[k] / VOLT**2, true, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found[2] / VOLT**2, np.array(heard).T @ credit, rtol=1e-6, atol=1e-9)


def convolutional(first, second):
    """Convolution with pooling, convolution, two outputs; the second layer sees the input as well."""
    a = Layer((10, 3), neuron=first, connection=Convolution(padding=1, pool=2), image=(4, 4, 1))
    b = Layer((13, 4), neuron=second, connection=Convolution(kernel=2), image=(2, 2, 3), bias=0.1)
    return Feedforward((a, b, Layer((4, 2))), inputs=(4, 4, 1), input_bias=True)


NEURONS = {
    "mif": lambda: (MIF(), MIF()),
    "lif, mif": lambda: (LIF(tau=1e-3, theta=0.05), MIF()),
    "mif, alif": lambda: (MIF(), ALIF(theta=0.05)),
}


@pytest.mark.parametrize("name", NEURONS)
def test_layers_are_autodiff_with_the_other_paths_cut(x64, name):
    """The loss as it is, but for hidden layers that reach the outputs by B alone, whatever drives them held fixed."""
    network = convolutional(*NEURONS[name]())
    weights, steps, dt = drawn(network, 0.7), 24, 5e-5
    x, target = 0.3 * spikes(steps, BATCH, 17), jnp.asarray([[1.0, 0.0], [0.0, 1.0]])
    view = view_of(network, weights, Windowed(), dt, steps)
    stored = tuple(jax.random.normal(jax.random.fold_in(KEY, n), (n, 2)) for n in (12, 4))
    batch = Batch(x, target, jnp.ones(steps), jnp.asarray(True))
    found, done = slopes_of(Eprop(feedback=Random(), **PLAIN), view, batch, stored)

    def loss(weights):
        seen: Any = network.programmed(weights, None)
        sent, paths, trace = [], 0.0, None
        for k, one in enumerate(network.layers):
            held = jax.lax.stop_gradient(list(sent))
            drive = drive_of(network, k, x, held, steps)
            if k == 2:
                drive = drive._replace(injected=paths)
            trace = run_layer(one, (seen[k],), drive, view.clock, How(k < 2), key=None)
            sent.append(trace.above_rest)
            if k < 2:
                free = trace.above_rest - jax.lax.stop_gradient(trace.above_rest)
                paths = paths + network.layers[2].crossbar.cell.unit() * free @ stored[k]
        assert trace is not None
        y = trace.v - network.layers[2].rest()
        return view.objective.loss(y, target).mean()

    value, slopes = jax.jit(jax.value_and_grad(loss))(weights)
    np.testing.assert_allclose(done.metrics["loss"], value, rtol=1e-9)
    for ours, true in zip(found, slopes, strict=True):
        assert float(jnp.abs(true).max()) > 1e-5
        np.testing.assert_allclose(ours, true, rtol=1e-6, atol=1e-6 * float(jnp.abs(true).max()))


def test_symmetric_feedback_of_one_hidden_layer_is_the_gradient(x64):
    """A convolution of MIF neurons and MIF outputs: that of backpropagation through time."""
    a = Layer((10, 3), connection=Convolution(padding=1, pool=2), image=(4, 4, 1))
    network = Feedforward((a, Layer((12, 2))), inputs=(4, 4, 1), input_bias=True)
    weights, steps = drawn(network, 0.7), 24
    x, target = 0.3 * spikes(steps, BATCH, 17), jnp.asarray([[1.0, 0.0], [0.0, 1.0]])
    view = view_of(network, weights, Windowed(), 5e-5, steps)
    batch = Batch(x, target, jnp.ones(steps), jnp.asarray(True))
    found, _ = slopes_of(Eprop(feedback=Symmetric(), **PLAIN), view, batch, (jnp.zeros((12, 2)),))

    def loss(w):
        return view.objective.loss(network.run(network.programmed(w, None), x, view.clock).output, target).mean()

    for ours, true in zip(found, jax.jit(jax.grad(loss))(weights), strict=True):
        np.testing.assert_allclose(ours, true, rtol=1e-6, atol=1e-6 * float(jnp.abs(true).max()))


def test_symmetric_feedback_of_more_layers_is_the_product_of_the_matrices(x64):
    """The first of two hidden layers, whose neurons between count as 1, hears W₂·W₃."""
    network = Feedforward(tuple(Layer(s) for s in ((5, 4), (4, 3), (3, 2))))
    weights = drawn(network, 0.7)
    view = view_of(network, weights, SquaredError(), 5e-5)
    batch = batch_of(0.3 * spikes(STEPS, 5), jnp.ones((STEPS, 2)))
    found, _ = slopes_of(Eprop(feedback=Symmetric(), **PLAIN), view, batch, ())
    product = (weights[1] @ weights[2], weights[2])
    other, _ = slopes_of(Eprop(feedback=Random(), **PLAIN), view, batch, product)
    for a, b in zip(found, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-12)


def test_the_rate_term_is_the_slope_of_the_squared_distance(x64):
    """½·c·(f − f₀)² of every neuron, f·dt·steps the sum of its spikes with their pseudo-derivatives."""
    hidden = layer((5, 4), LIF(theta=0.25), spike_voltage=VOLT)
    network = Feedforward((hidden, layer((4, 2), LIF(), spike_voltage=VOLT)), input_voltage=VOLT)
    weights, c = drawn(network, 1.0), 3e-4
    x, target = spikes(STEPS, 5), jnp.zeros((STEPS, 2))
    view = view_of(network, weights, SquaredError())
    with_price, without = (
        slopes_of(
            Eprop(feedback=Random(), rate_weight=price, clip=1e9), view, batch_of(x, target), (jnp.zeros((4, 2)),)
        )
        for price in (c, 0.0)
    )

    def price(w):
        seen: tuple[Seen, ...] = network.programmed((w, weights[1]), None)
        return walk(network, seen, x, view.clock)[0].trace.above_rest / VOLT

    @jax.jit
    def slope(w):
        z, back = jax.vjp(price, w)
        off = c * (z.mean(0) / DT - 12.0)
        return back(jnp.broadcast_to(off, z.shape))[0]

    true = slope(weights[0])
    np.testing.assert_allclose(with_price[0][0] - without[0][0], true, rtol=1e-6, atol=1e-12)


CASES = {
    "two layers of spiking neurons": [
        "network.layers=[48,32]",
        "neuron=lif",
        "neuron.tau=10ms",
        "neuron.theta=1",
        "encoder={type='image-rate', max_rate=500.0}",
        "network.input_filter={type='exponential', tau=1e-5}",
        "network.filter={type='exponential', tau=1e-5}",
        "learning.objective={type='cross-entropy', window=0.5}",
        "simulation.dt=1ms",
        "simulation.duration=30ms",
    ],
    "a convolution of MIF neurons": [
        "network.layers=[8]",
        "network.layers.0.connection=convolution",
        "network.layers.0.connection.padding=1",
        "network.layers.0.connection.pool=2",
    ],
}


@pytest.mark.parametrize("name", CASES)
def test_digits_are_learned(tmp_path, name):
    changes = ["learning.rule=eprop", "learning.rule.feedback=symmetric", "learning.rule.rate_weight=0"]
    changes += ["evaluation.chips=0", "evaluation.fine_dt=none", "training.epochs=3", *CASES[name]]
    given = classification(resolve("memprop-digits", changes).settings)
    assert classify(given, RunFolder(tmp_path), resume=False)["test_accuracy"] > 0.7


def test_what_layers_do_not_have_is_refused():
    network = convolutional(MIF(), MIF())
    for rule in (Eprop(online=True), Eprop(reference_order=True), Eprop(feedback=Adaptive())):
        with pytest.raises(InputError, match=r"\.$"):
            rule.check(network, SquaredError(), 1)
