"""e-prop of neurons with analog spikes: against autodiff, finite differences, and eligibilities written out by hand."""

from typing import Any

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

from memspike.config.build import classification
from memspike.config.settings import Settings
from memspike.experiments.base import changed, together
from memspike.experiments.matrix import HOSTS
from memspike.learning import Batch, Eprop, SquaredError, View
from memspike.learning.rules.eprop import ran
from memspike.learning.rules.eprop_online import OnlineEprop, Shown
from memspike.networks import Clock, Reading, Readings, Recurrent
from memspike.neurons import MIF, AlphaFilter, Analog, ExponentialFilter, RelaxationOscillator
from memspike.training.classify import classify
from memspike.training.folder import RunFolder

STEPS, SIZES, DT = 40, (5, 4, 2), 50e-6
KEY = jax.random.key(7)
NEURONS = {
    "mif": lambda: Analog(MIF(), ExponentialFilter(tau=0.1e-3)),
    "mif-alpha": lambda: Analog(MIF(), AlphaFilter(tau=0.2e-3)),
    "oscillator": lambda: Analog(RelaxationOscillator(), ExponentialFilter(tau=0.1e-3), current=1e-4),
}


def problem(neuron) -> Any:
    network = Recurrent(SIZES, neuron, tau_out=0.6e-3)
    view = View(network, SquaredError(), Clock(DT, (STEPS,)), ())
    x = jax.random.bernoulli(KEY, 0.3, (STEPS, 3, SIZES[0])).astype(float)
    target = jax.random.normal(jax.random.fold_in(KEY, 1), (STEPS, 3, SIZES[2]))
    return view, Batch(x, target, jnp.ones(STEPS), jnp.asarray(True)), network.init_weights(0.5, key=KEY)


def exact(weights):
    return Readings(*(Reading(w[None], jnp.zeros_like(w)) for w in weights))


def gradient(rule, view, weights, batch):
    """The rule's gradient, of reads that see exactly these weights."""
    seen = view._replace(cells=weights)

    class Seen(type(seen)):
        __slots__ = ()

        def readings(self):
            return exact(weights)

    seen = Seen(*seen)

    @jax.jit
    def found(x):
        activity, within = ran(seen, x)
        return activity, rule.gradient(seen, activity, batch, weights[2], within)

    return found(batch.x)


@pytest.mark.parametrize("name", NEURONS)
def test_eprop_is_autodiff_with_what_others_send_held_fixed(x64, name):
    view, batch, weights = problem(NEURONS[name]())
    activity, found = gradient(Eprop(rate_weight=0.0, clip=1e9), view, weights, batch)
    assert float(jnp.abs(activity.state.z).max()) > 0.05

    def loss(w):
        y = view.network.run(exact(w), batch.x, view.clock, fixed=True).y
        return 0.5 * jnp.square(y - batch.target).sum(0).mean(0).sum()

    for ours, true in zip(found, jax.jit(jax.grad(loss))(weights), strict=True):
        assert float(jnp.abs(true).max()) > 1e-5
        np.testing.assert_allclose(ours, true, rtol=1e-8, atol=1e-9 * float(jnp.abs(true).max()))


def test_without_recurrent_weights_it_is_the_slope_of_the_loss(x64):
    """Finite differences of the whole loss, nothing held fixed."""
    view, batch, weights = problem(NEURONS["mif"]())
    weights = (weights[0], jnp.zeros_like(weights[1]), weights[2])
    _, found = gradient(Eprop(rate_weight=0.0, clip=1e9), view, weights, batch)

    @jax.jit
    def loss(w):
        y = view.network.run(exact((w, *weights[1:])), batch.x, view.clock).y
        return 0.5 * jnp.square(y - batch.target).sum(0).mean(0).sum()

    for i, j in ((0, 0), (3, 2), (4, 1)):
        h = 1e-6 * jnp.zeros_like(weights[0]).at[i, j].set(1.0)
        slope = (loss(weights[0] + h) - loss(weights[0] - h)) / 2e-6
        np.testing.assert_allclose(found[0][i, j], slope, rtol=1e-6)


def eligibilities(neuron, x, weights):
    """ε of every synapse by the written-out step of the neuron: Jacobians of a filter, a membrane, two memristors."""
    state = neuron.init((SIZES[1],))
    flat, back = jax.flatten_util.ravel_pytree(jax.tree.map(lambda a: a[0], state))
    size = flat.size

    def step(s, drive):
        return jax.flatten_util.ravel_pytree(neuron.step(back(s), drive, DT))[0]

    both, after = jax.jit(jax.jacfwd(step, argnums=(0, 1))), jax.jit(step)
    states = np.tile(np.asarray(flat), (SIZES[1], 1))
    trace = np.zeros((SIZES[0], SIZES[1], size))
    z_of = jax.jit(lambda s: back(s).z)
    seen = jax.jit(jax.jacfwd(z_of))
    found, sent = [], np.zeros(SIZES[1])
    for now in np.asarray(x):
        drive = jnp.asarray(now @ np.asarray(weights[0]) + sent @ np.asarray(weights[1]))
        for j in range(SIZES[1]):
            A, b = (np.asarray(one) for one in both(jnp.asarray(states[j]), drive[j]))
            for i in range(SIZES[0]):
                trace[i, j] = A @ trace[i, j] + b * now[i]
            states[j] = np.asarray(after(jnp.asarray(states[j]), drive[j]))
        sent = np.array([float(z_of(jnp.asarray(s))) for s in states])
        slope = np.asarray(seen(jnp.asarray(states[0])))
        found.append(trace @ slope)
    return np.array(found)


def test_the_online_form_is_the_factorised_one_and_its_traces_are_eligibilities(x64):
    neuron = NEURONS["mif"]()
    view, batch, weights = problem(neuron)
    x, target = batch.x[:12, 0], batch.target[:12, 0]
    view = view._replace(clock=Clock(DT, (12,)))
    batch = Batch(x, target, jnp.ones(12), jnp.asarray(True))
    _, found = gradient(Eprop(rate_weight=0.0, clip=1e9), view, weights, batch)
    online = OnlineEprop(view.network, view.objective, DT)
    shown = Shown(x, x, (target, None))
    _, total = jax.jit(lambda shown: online.run(exact(weights), weights[2], shown, view.clock))(shown)
    for ours, other in zip(found[:1] + found[2:], total.gradient[:1] + total.gradient[2:], strict=True):
        np.testing.assert_allclose(ours, other, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found[1], total.gradient[1] * view.network.others(), rtol=1e-9, atol=1e-12)
    state, kappa, filtered = online.init(), float(jnp.exp(-DT / view.network.tau_out)), 0.0
    expected = eligibilities(neuron, x, (weights[0], weights[1] * view.network.others()))
    step = jax.jit(lambda state, now: online.step(state, exact(weights).part(0), weights[2], now)[0])
    for k in range(12):
        state = step(state, Shown(x[k], x[k], (target[k], None)))
        filtered = kappa * filtered + expected[k]
        np.testing.assert_allclose(state.input.filtered, filtered, rtol=1e-7, atol=1e-10)


ON_DIGITS: dict[str, Any] = {
    "experiment": "memprop-digits",
    "data": {"train": 600, "test": 150},
    "encoder": {"max_rate": 6e3},
    "network": {"tau_out": 1e-3, "current": 20e-6},
    "neuron": {"type": "mif"},
    "synapse": {"type": "differential-pair", "device": "idealized"},
    "learning": {"scheme": "ideal", "optimizer": {"rates": [3e-3, 1e-3, 3e-2]}, "start": {"gain": 0.05}},
    "simulation": {"dt": 50e-6, "duration": 3e-3},
    "training": {"epochs": 2},
}


@pytest.mark.parametrize("rule", [{"type": "eprop", "rate_weight": 0.0, "clip": 30.0}, {"type": "bptt"}])
def test_a_recurrent_layer_of_mif_neurons_learns(tmp_path, rule):
    given = classification(changed(Settings, together(HOSTS["eprop"], ON_DIGITS, {"learning": {"rule": rule}}), {}))
    assert classify(given, RunFolder(tmp_path), resume=False)["test_accuracy"] > 0.7


def test_spikes_of_analog_neurons_are_counted_at_upward_crossings():
    neuron = NEURONS["mif"]()
    drive = jnp.zeros(100).at[5:9].set(1.0).at[60:64].set(1.0)
    states = jax.lax.scan(lambda s, i: (n := neuron.step(s, i, DT), n), neuron.init(()), drive)[1]
    v = np.asarray(states.z) * 0.2 + float(neuron.neuron.rest())
    assert float(neuron.spikes(states).sum()) == ((v[1:] > 30e-3) & (v[:-1] <= 30e-3)).sum() == 2
    assert eqx.tree_equal(neuron.init(()).z, jnp.zeros(()))
