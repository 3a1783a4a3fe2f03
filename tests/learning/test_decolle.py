"""DECOLLE: traces against plain loops, the rule against autodiff of the local losses."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from memspike import experiments
from memspike.arrays import ADC, Periphery
from memspike.config.build import classifier
from memspike.experiments import resolve
from memspike.learning import Batch, SummedOutput, View, dense
from memspike.learning.rules.decolle import Decolle, ErrorTriggered
from memspike.networks import Clock, Convolution, Dense, LocalLayer, LocalNetwork
from memspike.networks.local import local_network
from memspike.networks.recurrent import Reading
from memspike.neurons.lif import TraceLIF
from memspike.neurons.surrogate import Box, FastSigmoid, Logistic
from memspike.parts.errors import InputError

KEY, DT = jax.random.key(0), 1e-3


def network_of(sizes=(7, 6, 5), **layer):
    return local_network(sizes, 3, amplitude=2.0, key=KEY, **layer)


def batch_of(steps=12, batch=(4,), skip=3):
    x = jax.random.bernoulli(jax.random.key(1), 0.4, (steps, *batch, 7)).astype(float)
    target = jax.nn.one_hot(jnp.asarray([0, 2, 1, 0]), 3, dtype=float)
    return Batch(x, target, (jnp.arange(steps) >= skip).astype(float), jnp.asarray(True))


def advanced(network, weights, x, start=None):
    """The layers under input spikes with exactly these weights."""
    readings = tuple(Reading(w, jnp.zeros_like(w)) for w in weights)
    return network.advance(readings, x, network.init((4,)) if start is None else start, DT)


def view_of(network, weights, steps):
    cells = tuple(c.cell.place(c.cell.init(w.shape), w) for c, w in zip(network.crossbars, weights, strict=True))
    return View(network, SummedOutput(), Clock(DT, (steps,)), cells, noisy=False)


def test_traces_are_those_of_the_equations(x64):
    """Plain loops over time and layers: P takes the old Q, R the last spikes, layers see spikes of the same step."""
    network, batch = network_of(), batch_of()
    weights = network.init_weights(3.0, key=jax.random.key(2))
    _, done = advanced(network, weights, batch.x)
    alpha, beta, rho = (np.exp(-1e-3 / tau) for tau in (32.8e-3, 12e-3, 2.3e-3))
    x = np.asarray(batch.x)
    for w, local, layer in zip(weights, done, network.layers, strict=True):
        w = np.asarray(w)
        q = p = np.zeros((4, w.shape[0] - 1))
        r = s = np.zeros((4, w.shape[1]))
        spikes = []
        for t in range(12):
            p, q = alpha * p + (1 - alpha) * q, beta * q + (1 - beta) * x[t]
            r = rho * r - (1 - rho) * s
            u = p @ w[:-1] + w[-1] + r
            s = (u > 0).astype(float)
            np.testing.assert_allclose(local.u[t], u, atol=1e-12)
            np.testing.assert_allclose(local.p[t, :, :-1], p, atol=1e-12)
            np.testing.assert_allclose(local.y[t], s @ np.asarray(layer.readout) + np.asarray(layer.offset), atol=1e-12)
            spikes.append(s)
        x = np.stack(spikes)
        assert 0.05 < x.mean() < 0.95


def test_segments_in_a_row_are_one_run(x64):
    network, whole = network_of(), batch_of()
    weights = network.init_weights(3.0, key=jax.random.key(2))
    _, done = advanced(network, weights, whole.x)
    state, parts = network.init((4,)), []
    for begin in (0, 5):
        state, local = advanced(network, weights, whole.x[begin : begin + 5 + 2 * (begin > 0)], state)
        parts.append(local[1].u)
    np.testing.assert_allclose(jnp.concatenate(parts), done[1].u, atol=1e-12)


def test_the_rule_carries_its_traces_from_segment_to_segment(x64):
    """Two segments leave the traces of one run behind; the first of a trial begins at rest, whatever was before."""
    network, whole = network_of(), batch_of()
    rule, sgd = Decolle(), optax.sgd(1.0)
    view = view_of(network, network.init_weights(1.0, key=jax.random.key(2)), 12)
    start = rule.init(view, sgd, (4,), key=KEY)
    once = rule.update(start, view, whole, sgd, key=KEY).state
    again = rule.update(once, view, whole, sgd, key=KEY).state
    state = once
    for begin, end in ((0, 5), (5, 12)):
        part = Batch(whole.x[begin:end], whole.target, whole.counts[begin:end], jnp.asarray(begin == 0))
        state = rule.update(state, view, part, sgd, key=KEY).state
    for one, two, three in zip(*(jax.tree.leaves(s.traces) for s in (once, again, state)), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-12)
        np.testing.assert_allclose(one, three, atol=1e-12)
    assert any(float(jnp.abs(leaf).max()) > 0 for leaf in jax.tree.leaves(once.traces))


@pytest.mark.parametrize("kind", [FastSigmoid, Box, Logistic])
@pytest.mark.parametrize("price", [0.0, 0.3])
def test_the_rule_is_autodiff_of_the_local_losses(x64, kind, price):
    """Every layer's own loss, with the traces of its inputs and of its refractoriness detached."""
    surrogate = kind()
    network, batch = network_of(neuron=TraceLIF(surrogate=surrogate)), batch_of()
    rule, weights = Decolle(regulariser=price), network.init_weights(3.0, key=jax.random.key(2))
    _, done = advanced(network, weights, batch.x)
    for k, (layer, local) in enumerate(zip(network.layers, done, strict=True)):
        held = local.u - local.p @ weights[k]

        @jax.custom_jvp
        def fire(u):
            return (u > 0).astype(u.dtype)

        fire.defjvp(lambda p, t: (fire(p[0]), surrogate(p[0]) * t[0]))

        def loss(w, local=local, layer=layer, held=held, fire=fire):
            u = local.p @ w + held
            off = fire(u) @ layer.readout + layer.offset[None, None] - batch.target[None]
            huber = jnp.where(jnp.abs(off) < 1, 0.5 * off**2, jnp.abs(off) - 0.5).mean(-1)
            active = jax.nn.sigmoid(u).mean(-1)
            own = price * (jax.nn.relu(u + 0.01).mean(-1) + 0.003 * jax.nn.relu(0.1 - active))
            return ((huber + own) * batch.counts[:, None]).sum(0).mean()

        found = dense(rule.product(layer, local, batch))
        np.testing.assert_allclose(found, jax.grad(loss)(weights[k]), rtol=1e-9, atol=1e-12)
        assert np.abs(found).max() > 1e-4


def test_events_are_whole_multiples_on_active_rows(x64):
    rule = Decolle(trigger=ErrorTriggered(theta=0.05, low=-0.2, high=0.2, cutoff=0.1))
    network, batch = network_of(), batch_of()
    _, done = advanced(network, network.init_weights(1.0, key=jax.random.key(2)), batch.x)
    events, factors = (r.factors(network.layers[0], done[0], batch) for r in (rule, Decolle()))
    ratio = np.asarray(events.error) / 0.05
    np.testing.assert_allclose(ratio, np.round(ratio), atol=1e-9)
    assert (np.abs(ratio * 0.05) <= np.abs(factors.error) + 1e-12).all()
    assert (np.abs(factors.error) - np.abs(ratio * 0.05) < 0.05).all()
    np.testing.assert_array_equal(events.slope, np.abs(done[0].u) < 0.2)
    np.testing.assert_array_equal(events.trace, done[0].p > 0.1)
    assert 0 < np.mean(np.asarray(ratio) != 0) < 1


def test_it_learns(x64):
    """Two patterns of rates are told apart after some tens of updates."""
    network, rule, adamax = network_of((7, 60, 60)), Decolle(), optax.adamax(3e-2)
    rates = jnp.asarray(np.random.default_rng(0).uniform(0, 0.8, (3, 7)))
    labels = jnp.asarray([0, 2, 1, 0])
    target, counts = jax.nn.one_hot(labels, 3, dtype=float), (jnp.arange(40) >= 10).astype(float)
    view = view_of(network, network.init_weights(1.0, key=jax.random.key(2)), 40)

    def step(carry, key):
        cells, state = carry
        x = jax.random.bernoulli(key, rates[labels][None], (40, 4, 7)).astype(float)
        now = view._replace(cells=cells)
        state, dw, metrics = rule.update(state, now, Batch(x, target, counts, jnp.asarray(True)), adamax, key=key)
        moved = zip(network.crossbars, cells, now.weights(), dw, strict=True)
        return (tuple(c.cell.place(s, w + d) for c, s, w, d in moved), state), metrics["loss"]

    start = (view.cells, rule.init(view, adamax, (4,), key=KEY))
    losses = jax.jit(lambda keys: jax.lax.scan(step, start, keys)[1])(jax.random.split(KEY, 150))
    trivial = 0.104  # of the outputs that are best whatever was shown
    assert losses[-10:].mean() < 0.65 * trivial


def convolutional(**fields):
    """A convolution with pooling, a second convolution, a dense layer; readouts drawn."""
    shapes = ((9, 3), (4 * 3, 4), (4, 5))
    connections = (Convolution(padding=1, pool=2), Convolution(kernel=2), Dense())
    images = ((4, 4, 1), (2, 2, 3), (1, 1, 4))
    neurons = (12, 4, 5)
    layers = [
        LocalLayer(s, jnp.zeros((n, 3)), jnp.zeros(3), connection=c, image=i, **fields)
        for s, n, c, i in zip(shapes, neurons, connections, images, strict=True)
    ]
    return LocalNetwork(tuple(layers), 2.0).with_readouts(KEY)


@pytest.mark.parametrize("price", [0.0, 0.3])
def test_on_convolutions_the_rule_is_autodiff_of_the_local_losses(x64, price):
    """All layers as they run, what a layer hears of the one before cut by stop_gradient."""
    network = convolutional()
    x = jax.random.bernoulli(jax.random.key(1), 0.4, (12, 4, 16)).astype(float)
    target, counts = jax.nn.one_hot(jnp.asarray([0, 2, 1, 0]), 3, dtype=float), (jnp.arange(12) >= 3).astype(float)
    weights = network.init_weights(3.0, key=jax.random.key(2))
    rule, sgd = Decolle(regulariser=price), optax.sgd(1.0)
    view = view_of(network, tuple(jnp.clip(w, -0.99, 0.99) for w in weights), 12)
    weights = view.weights()
    state = rule.init(view, sgd, (4,), key=KEY)
    change = rule.update(state, view, Batch(x, target, counts, jnp.asarray(True)), sgd, key=KEY).change

    def loss(weights):
        now, total = x, 0.0
        for w, layer in zip(weights, network.layers, strict=True):
            reading = Reading(w, jnp.zeros_like(w))
            _, local = layer.run(reading, jax.lax.stop_gradient(now), layer.init((4,)), DT)
            off = local.y - target[None]
            huber = jnp.where(jnp.abs(off) < 1, 0.5 * off**2, jnp.abs(off) - 0.5).mean(-1)
            active = jax.nn.sigmoid(local.u).mean(-1)
            own = price * (jax.nn.relu(local.u + 0.01).mean(-1) + 0.003 * jax.nn.relu(0.1 - active))
            total, now = total + ((huber + own) * counts[:, None]).sum(0).mean(), local.s
        return total

    for ours, true in zip(change, jax.grad(loss)(weights), strict=True):
        assert float(jnp.abs(true).max()) > 1e-4
        np.testing.assert_allclose(-ours, true, rtol=1e-6, atol=1e-9)


def test_a_convolution_is_one_array_read_at_every_position(x64):
    """With converters, and traces in loops; outer products are those of the whole gradient."""
    network = convolutional()
    x = jax.random.bernoulli(jax.random.key(1), 0.4, (12, 4, 16)).astype(float)
    weights = network.init_weights(1.0, key=jax.random.key(2))
    view = view_of(network, weights, 12)
    plain = network.run(view.readings(), x, view.clock)
    fine = ADC(bits=24, range=1e-2)
    crossbars = tuple(eqx.tree_at(lambda c: c.periphery, c, Periphery(adc=fine)) for c in network.crossbars)
    other = LocalNetwork(
        tuple(eqx.tree_at(lambda one: one.crossbar, one, c) for one, c in zip(network.layers, crossbars, strict=True))
    )
    read = other.run(other.read(view.cells), x, view.clock)
    np.testing.assert_allclose(read.layers[0].u, plain.layers[0].u, atol=1e-3)
    p, w = np.asarray(plain.layers[0].p), np.asarray(view.weights()[0])
    image = np.pad(p[5, 0, :16].reshape(4, 4), 1)
    drive = np.zeros((4, 4, 3))
    for i, j in np.ndindex(4, 4):
        drive[i, j] = image[i : i + 3, j : j + 3].ravel() @ w[:9] + w[9]
    pooled = drive.reshape(2, 2, 2, 2, 3).mean((1, 3)).ravel()
    np.testing.assert_allclose(network.layers[0].drive(view.readings()[0], plain.layers[0].p)[5, 0], pooled, atol=1e-9)
    target = jax.nn.one_hot(jnp.asarray([0, 2, 1, 0]), 3, dtype=float)
    batch = Batch(x, target, jnp.ones(12), jnp.asarray(True))
    outer = Decolle(outer=True).product(network.layers[0], plain.layers[0], batch)
    assert outer.rows.shape == (12 * 4 * 4, 10)
    assert outer.columns.shape == (12 * 4 * 4, 3)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (["network.layers.0.connection.kernel=11"], "network.layers.0: The kernel of 11 × 11 is larger than the image"),
        (["network.layers=[9,9]", "network.layers.1.sources=[input]"], "network.layers.1.sources is set"),
    ],
)
def test_layers_that_do_not_fit_are_refused(keys, words):
    changes = ["network.layers.0.connection=convolution", *keys]
    with pytest.raises(InputError, match=re.escape(words)):
        classifier(resolve("decolle-digits", changes).settings)


def test_a_convolution_learns_the_digits(tmp_path):
    changes = ["network.layers=[8,64]", "network.layers.0.connection={type='convolution', padding=1, pool=2}"]
    changes += ["learning.optimizer=adamax", "learning.optimizer.learning_rate=0.005"]
    settings = resolve("decolle-digits", changes, quick=True).settings
    assert experiments.run(settings, tmp_path / "run")["test_accuracy"] > 0.7
