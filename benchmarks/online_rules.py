"""Gradients of online learning rules, one core: memspike beside braintrace (its EProp) and jaxpike (its e-prop).

braintrace: 100 inputs, 100 recurrent LIF neurons, a leaky readout, 1,000 steps of one trial, symmetric feedback. Before
anything is timed gradients of the input and the recurrent matrix have to be the same to 1e-4 with a readout that
forgets at once: with a leaky one braintrace filters the trace of the membrane, and not the eligibility (findings/).
jaxpike has no recurrence: 100 inputs, 100 LIF neurons, leaky integrators of 10 outputs, batch 16, the squared outputs
as loss, its e-prop against ours on layers. Its input counts 1 − α and its reset comes before the leak, and its hidden
layer hears the error without the time constant of the outputs: only rates of the hidden neurons are compared, within a
fifth. Ours are taken from weights that are programmed exactly, without noise; what they cost on devices says
`eprop.py`. Needs Python 3.12 with braintrace==0.2.8, jaxpike==0.1.4 and memspike[fast]; what is not installed is left
out. Run with: python benchmarks/online_rules.py [--out FILE]
"""

import argparse
import importlib.util
import json
import math
import os
from pathlib import Path

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp
import numpy as np
from clock import alternate

from memspike.arrays import Crossbar
from memspike.learning import Batch, Eprop, SquaredError, View
from memspike.learning.rules import eprop_layers
from memspike.learning.rules.eprop import Symmetric
from memspike.networks import Feedforward, Layer, Recurrent
from memspike.networks.base import Clock
from memspike.neurons import LIF, ExponentialFilter
from memspike.neurons.surrogate import FastSigmoid

INPUTS, NEURONS, STEPS, DT, TAU, TAU_OUT, THETA, GAMMA = 100, 100, 1000, 1e-3, 30e-3, 30e-3, 0.3, 0.3
ALPHA, AT_ONCE, OUTPUTS, BATCH = math.exp(-DT / TAU), 1e-6, 10, 16


def drawn():
    """Input spikes [steps, inputs], a target [steps, 1], and the three matrices."""
    random = np.random.default_rng(0)
    x = (random.random((STEPS, INPUTS)) < 0.05).astype(np.float32)
    target = np.sin(2 * np.pi * 2 * DT * np.arange(STEPS))[:, None].astype(np.float32)
    shapes = (INPUTS, NEURONS), (NEURONS, NEURONS), (NEURONS, 1)
    w = [np.clip(random.normal(0, 0.35 / math.sqrt(n), (n, m)), -1, 1).astype(np.float32) for n, m in shapes]
    np.fill_diagonal(w[1], 0)
    return x, target, w


def ours(x, target, w, tau_out):
    """A function that gives the gradients of all matrices."""
    network = Recurrent((INPUTS, NEURONS, 1), LIF(tau=TAU, theta=THETA), crossbars=(Crossbar(),) * 3, tau_out=tau_out)
    rule, objective = Eprop(feedback=Symmetric(), rate_weight=0.0, clip=1e12), SquaredError()
    clock, x, target = Clock(DT, (STEPS,)), jnp.asarray(x), jnp.asarray(target)

    @jax.jit
    def run(w):
        readings = network.programmed(w, None)
        view = View(network, objective, clock, (), exact=True, noisy=False)
        activity = network.run(readings, x, clock)
        batch = Batch(x, target, jnp.ones(STEPS), jnp.asarray(True))
        return rule.gradient(view, activity, batch, w[2])

    w = tuple(jnp.asarray(one) for one in w)
    return lambda: jax.block_until_ready(run(w))


@jax.custom_jvp
def spike(v):
    return (v > 0).astype(v.dtype)


@spike.defjvp
def _spike(given, tangents):
    v = given[0]
    return spike(v), GAMMA * jnp.maximum(0.0, 1 - jnp.abs(v / THETA)) * tangents[0]


def by_braintrace(x, target, w, tau_out):
    """The same by its EProp: of the input and the recurrent matrix, one below the other."""
    import brainstate
    import braintrace

    kappa = math.exp(-DT / tau_out)

    class Network(brainstate.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = brainstate.ParamState(jnp.asarray(np.concatenate(w[:2])))
            self.out = brainstate.ParamState(jnp.asarray(w[2]))

        def init_state(self, batch_size=None, **kwargs):
            self.v = brainstate.HiddenState(jnp.zeros(NEURONS))
            self.y = brainstate.ShortTermState(jnp.zeros(1))

        def update(self, x):
            z = spike(self.v.value - THETA)
            drive = braintrace.matmul(jnp.concatenate([x, z]), self.w.value)
            self.v.value = ALPHA * self.v.value + drive - THETA * jax.lax.stop_gradient(z)
            self.y.value = kappa * jax.lax.stop_gradient(self.y.value) + spike(self.v.value - THETA) @ self.out.value
            return self.y.value

    network = Network()
    learner = braintrace.compile(network, braintrace.EProp, jnp.asarray(x[0]), kappa_filter_decay=kappa)

    def loss(x, y):
        return 0.5 * STEPS * jnp.square(learner(x) - y).sum()  # it averages over the steps

    xs, ys = jnp.asarray(x), jnp.asarray(target)

    @brainstate.transform.jit
    def run():
        brainstate.nn.init_all_states(network)
        learner.reset_state()
        return learner.etrace_grad(xs, ys, step_fn=loss)[("w",)]

    return lambda: jax.block_until_ready(run())


def on_layers():
    """Inputs, and ours on two layers: a function for the gradients, and the mean rate of the hidden neurons."""
    random = np.random.default_rng(1)
    x = jnp.asarray((random.random((STEPS, BATCH, INPUTS)) < 0.05).astype(np.float32))
    w = [
        np.clip(random.normal(0, 0.5 / math.sqrt(n), (n, m)), -1, 1) for n, m in ((INPUTS, NEURONS), (NEURONS, OUTPUTS))
    ]
    w = [jnp.asarray(one, jnp.float32) for one in w]
    neuron = LIF(tau=TAU, theta=THETA, surrogate=FastSigmoid(slope=25.0))
    network = Feedforward(
        tuple(Layer(one.shape, filter=ExponentialFilter(tau=1e-12), neuron=neuron) for one in w), input_voltage=0.2
    )
    each = zip(network.crossbars, w, strict=True)
    cells = tuple(c.cell.place(c.cell.init(one.shape), one) for c, one in each)
    objective = SquaredError()

    @jax.jit
    def run(cells):
        view = View(network, objective, Clock(DT, (STEPS,)), cells, digital=True, noisy=False)
        found = eprop_layers.ran(view, x)
        error = objective.signal(found.activity.output, jnp.zeros((STEPS, BATCH, OUTPUTS)))
        slopes = eprop_layers.gradient(found, error, lambda credit: eprop_layers.through_matrices(found, credit))
        return slopes, found.walks[0].trace.above_rest.mean() / 0.2

    return x, w, lambda: jax.block_until_ready(run(cells)), float(run(cells)[1])


def by_jaxpike(x, w):
    """Its e-prop, and the mean rate of its hidden neurons."""
    import equinox as eqx
    import jaxpike

    dense = [jaxpike.Dense(*one.shape, key=jax.random.key(0)) for one in w]
    dense = [eqx.tree_at(lambda d: d.weight, d, one.T / (1 - ALPHA)) for d, one in zip(dense, w, strict=True)]
    surrogate = jaxpike.surrogate.FastSigmoid(25.0)
    hidden = jaxpike.LIF(tau=TAU / DT, threshold=THETA, surrogate=surrogate)
    network = jaxpike.Sequential(dense[0], hidden, dense[1], jaxpike.LeakyIntegrator(tau=TAU / DT))
    run = jax.jit(lambda net, x: jaxpike.eprop_grads(net, x, lambda out: jnp.square(out).sum()))
    spikes = jaxpike.unroll(jaxpike.Sequential(dense[0], hidden), x)
    spikes = spikes[0] if isinstance(spikes, tuple) else spikes
    return lambda: jax.block_until_ready(run(network, x)[1]), float(spikes.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    case, rows = drawn(), {}
    if importlib.util.find_spec("braintrace"):
        a, b = (run(*case, AT_ONCE)() for run in (ours, by_braintrace))
        for mine, theirs in ((a[0], b[:INPUTS]), (a[1], b[INPUTS:] * (1 - np.eye(NEURONS)))):
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-4 * float(jnp.abs(mine).max()))
        a, b = alternate([run(*case, TAU_OUT) for run in (ours, by_braintrace)], given.rounds)
        rows["braintrace"] = {"memspike_ms": 1e3 * a, "peer_ms": 1e3 * b, "ratio": b / a}
    if importlib.util.find_spec("jaxpike"):
        x, w, mine, rate = on_layers()
        theirs, their_rate = by_jaxpike(x, w)
        assert abs(rate / their_rate - 1) < 0.2, (rate, their_rate)
        a, b = alternate([mine, theirs], given.rounds)
        rows["jaxpike"] = {"memspike_ms": 1e3 * a, "peer_ms": 1e3 * b, "ratio": b / a}
    for name, row in rows.items():
        print(f"{name}: memspike {row['memspike_ms']:.3g} ms, peer {row['peer_ms']:.3g} ms, {row['ratio']:.1f}×")
    if given.out:
        given.out.write_text(json.dumps({"benchmark": "online-rules", "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
