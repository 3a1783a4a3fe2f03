"""DECOLLE: traces against plain loops, the rule against autodiff of the local losses."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from memspike.learning.rules.decolle import Decolle, ErrorTriggered, Segment, decolle
from memspike.networks.local import local_network
from memspike.neurons.surrogate import Box, FastSigmoid, Logistic
from memspike.neurons.trace_lif import TraceLIF

KEY = jax.random.key(0)


def problem_of(**given):
    sizes = given.pop("sizes", (7, 6, 5))
    network = local_network(sizes, 3, amplitude=2.0, key=KEY, **given.pop("layer", {}))
    return Decolle(network, **given)


def segment_of(steps=12, batch=(4,), skip=3):
    x = jax.random.bernoulli(jax.random.key(1), 0.4, (steps, *batch, 7)).astype(float)
    target = jax.nn.one_hot(jnp.asarray([0, 2, 1, 0]), 3, dtype=float)
    return Segment(x, target, (jnp.arange(steps) >= skip).astype(float), jnp.asarray(True))


def test_traces_are_those_of_the_equations(x64):
    """Plain loops over time and layers: P takes the old Q, R the last spikes, layers see spikes of the same step."""
    problem, segment = problem_of(), segment_of()
    weights = problem.network.init_weights(3.0, key=jax.random.key(2))
    _, done = problem.run(weights, segment, problem.network.init((4,)))
    alpha, beta, rho = (np.exp(-1e-3 / tau) for tau in (32.8e-3, 12e-3, 2.3e-3))
    x = np.asarray(segment.x)
    for w, local, layer in zip(weights, done, problem.network.layers, strict=True):
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
    problem, whole = problem_of(), segment_of()
    weights = problem.network.init_weights(3.0, key=jax.random.key(2))
    _, done = problem.run(weights, whole, problem.network.init((4,)))
    state, parts = problem.network.init((4,)), []
    for begin in (0, 5):
        part = Segment(
            whole.x[begin : begin + 5 + 2 * (begin > 0)], whole.target, whole.counts[:1], jnp.asarray(begin == 0)
        )
        state, local = problem.run(weights, part, state)
        parts.append(local[1].u)
    np.testing.assert_allclose(jnp.concatenate(parts), done[1].u, atol=1e-12)


@pytest.mark.parametrize("kind", [FastSigmoid, Box, Logistic])
@pytest.mark.parametrize("price", [0.0, 0.3])
def test_the_rule_is_autodiff_of_the_local_losses(x64, kind, price):
    """Every layer's own loss, with the traces of its inputs and of its refractoriness detached."""
    surrogate = kind()
    problem = problem_of(layer={"neuron": TraceLIF(surrogate=surrogate)}, regulariser=price)
    segment = segment_of()
    weights = problem.network.init_weights(3.0, key=jax.random.key(2))
    _, done = problem.run(weights, segment, problem.network.init((4,)))
    found = problem.gradient(done, segment)
    for k, (layer, local) in enumerate(zip(problem.network.layers, done, strict=True)):
        held = local.u - local.p @ weights[k]

        @jax.custom_jvp
        def fire(u):
            return (u > 0).astype(u.dtype)

        fire.defjvp(lambda p, t: (fire(p[0]), surrogate(p[0]) * t[0]))

        def loss(w, local=local, layer=layer, held=held, fire=fire):
            u = local.p @ w + held
            off = fire(u) @ layer.readout + layer.offset[None, None] - segment.target[None]
            huber = jnp.where(jnp.abs(off) < 1, 0.5 * off**2, jnp.abs(off) - 0.5).mean(-1)
            active = jax.nn.sigmoid(u).mean(-1)
            own = price * (jax.nn.relu(u + 0.01).mean(-1) + 0.003 * jax.nn.relu(0.1 - active))
            return ((huber + own) * segment.counts[:, None]).sum(0).mean()

        np.testing.assert_allclose(found[k], jax.grad(loss)(weights[k]), rtol=1e-9, atol=1e-12)
        assert np.abs(found[k]).max() > 1e-4


def test_events_are_whole_multiples_on_active_rows(x64):
    problem = problem_of(trigger=ErrorTriggered(theta=0.05, low=-0.2, high=0.2, cutoff=0.1))
    plain, segment = problem_of(), segment_of()
    weights = problem.network.init_weights(1.0, key=jax.random.key(2))
    _, done = problem.run(weights, segment, problem.network.init((4,)))
    events, factors = problem.factors(done[0], 0, segment), plain.factors(done[0], 0, segment)
    ratio = np.asarray(events.error) / 0.05
    np.testing.assert_allclose(ratio, np.round(ratio), atol=1e-9)
    assert (np.abs(ratio * 0.05) <= np.abs(factors.error) + 1e-12).all()
    assert (np.abs(factors.error) - np.abs(ratio * 0.05) < 0.05).all()
    np.testing.assert_array_equal(events.slope, np.abs(done[0].u) < 0.2)
    np.testing.assert_array_equal(events.trace, done[0].p > 0.1)
    assert 0 < np.mean(np.asarray(ratio) != 0) < 1


def test_it_learns(x64):
    """Two patterns of rates are told apart after some tens of updates."""
    problem = problem_of(sizes=(7, 60, 60))
    rule = decolle(problem, optax.adamax(3e-2), (4,))
    rates = jnp.asarray(np.random.default_rng(0).uniform(0, 0.8, (3, 7)))
    labels = jnp.asarray([0, 2, 1, 0])
    target = jax.nn.one_hot(labels, 3, dtype=float)

    @jax.jit
    def step(carry, key):
        weights, state = carry
        x = jax.random.bernoulli(key, rates[labels][None], (40, 4, 7)).astype(float)
        segment = Segment(x, target, (jnp.arange(40) >= 10).astype(float), jnp.asarray(True))
        state, dw, metrics = rule.update(state, weights, segment, key=key)
        return (jax.tree.map(jnp.add, weights, dw), state), metrics["loss"]

    weights = problem.network.init_weights(1.0, key=jax.random.key(2))
    _, losses = jax.lax.scan(step, (weights, rule.init(weights)), jax.random.split(KEY, 150))
    trivial = 0.104  # of the outputs that are best whatever was shown
    assert losses[-10:].mean() < 0.65 * trivial
