"""Contracts of neurons, filters, readouts, rules and schemes."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from memspike.arrays.crossbar import Crossbar
from memspike.learning.losses import AbstractReadout, cross_entropy
from memspike.learning.programming.base import Scheme
from memspike.learning.rules.base import Rule
from memspike.neurons.base import AbstractNeuron
from memspike.neurons.filters import AbstractFilter
from memspike.testing.common import check_compiles_once, check_parameters, check_serialisation, finite_difference, same


def check_neuron(neuron: AbstractNeuron, current: float = 1e-6, dt: float = 10e-6) -> None:
    """Rests at rest; same in → same out; vmap = broadcasting; finite under strong current; true gradient."""
    check_parameters(neuron)
    check_serialisation(neuron)

    def run(i: Any, n: AbstractNeuron = neuron, steps: int = 50) -> Any:
        start = n.init(jnp.shape(i))
        return jax.lax.scan(lambda s, _: n.step(s, i, dt), start, None, length=steps)[1]

    still = run(jnp.zeros(()), steps=500)
    np.testing.assert_allclose(still, np.full(500, neuron.rest()), rtol=1e-9, err_msg="not at rest without input")
    currents = current * jnp.asarray([-1.0, 0.0, 0.5, 2.0])
    together = run(currents)
    assert together.shape == (50, 4), f"shape {together.shape}"
    same(jax.vmap(run, out_axes=1)(currents), together, 1e-10, "vmap of run")
    same(together, run(currents), 0.0, "a second run")
    strong = run(1000 * currents)
    assert np.isfinite(np.asarray(strong)).all(), "not finite under strong current"
    finite_difference(lambda u: run(u * current)[-1], currents / current, "voltage in current", rtol=1e-4)
    check_compiles_once(lambda n: run(currents, n), neuron)


def check_filter(make: Callable[[], AbstractFilter]) -> None:
    """Unit gain at zero frequency; linear; the kernel is the answer of the steps; causal."""
    layer = make()
    assert layer.source, "a filter needs a source"
    check_parameters(layer)
    check_serialisation(layer)
    dt = 1e-5

    def answer(drive: Any) -> Any:
        return jax.lax.scan(lambda s, u: layer.step(s, u, dt), layer.init(drive.shape[1:]), drive)[1]

    settled = float(answer(jnp.ones((20_000, 1)))[-1, 0])
    assert np.isclose(settled, 1.0, rtol=1e-6), f"gain at zero frequency is {settled}"
    random = jnp.asarray(np.random.default_rng(0).normal(size=(40, 3)))
    same(answer(random * 3 + 1), 3 * answer(random) + answer(jnp.ones_like(random)), 1e-9, "linearity")
    assert float(layer.kernel(jnp.asarray(-1e-3))) == 0.0, "the kernel acts before the event"
    brief = jnp.zeros((300, 1)).at[0].set(1.0)
    middles = (jnp.arange(300, dtype=jnp.result_type(float)) + 0.5) * dt
    ratio = np.asarray(answer(brief)[100:, 0] / layer.kernel(middles[100:]))
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=2e-2, err_msg="the kernel is not the answer to a brief drive")


def check_readout(readout: AbstractReadout) -> None:
    """Shapes; a class whose membrane is higher throughout wins; true gradient."""
    check_parameters(readout)
    v = jnp.asarray(np.random.default_rng(1).normal(size=(10, 2, 3))) * 1e-2
    target = jax.nn.one_hot(jnp.asarray([0, 2]), 3)
    loss = cross_entropy(readout, v, target)
    assert loss.shape == (2,), f"shape {loss.shape}"
    assert (np.asarray(loss) > 0).all(), "cross-entropy is not positive"
    winner = readout.scores(v.at[:, :, 1].set(0.2)).mean(0).argmax(-1)
    assert (np.asarray(winner) == 1).all(), "the highest membrane does not win"
    finite_difference(lambda u: cross_entropy(readout, u * 1e-2, target), v * 1e2, "loss in voltage")


def check_rule(make: Callable[..., Rule], optimizer: Any) -> None:
    """Reduces a quadratic loss; leaves its arguments alone; same key, same change."""
    wanted = jnp.asarray([[0.3, -0.2], [0.1, 0.4]])
    rule = make(lambda w, batch, *, key: ((w[0] - batch) ** 2).sum(), optimizer)
    weights = (jnp.zeros((2, 2)),)
    state = rule.init(weights)
    losses = []
    for step in range(200):
        state, change, metrics = rule.update(state, weights, wanted, key=jax.random.key(step))
        weights = tuple(w + d for w, d in zip(weights, change, strict=True))
        losses.append(float(metrics["loss"]))
    assert losses[-1] < 0.05 * losses[0], f"loss from {losses[0]} to {losses[-1]}"
    again = [rule.update(state, weights, wanted, key=jax.random.key(0))[1] for _ in range(2)]
    same(again[0], again[1], 0.0, "same key, same change")


def check_scheme(scheme: Scheme) -> None:
    """Conductances stay in the device range; no wanted change is no change; pure."""
    crossbar = Crossbar()
    w = jnp.asarray([[0.9, -0.5], [0.0, 0.2]])
    lines = crossbar.program(w)
    state = scheme.init(crossbar, lines)
    key = jax.random.key(0)
    _, still = scheme.apply(state, crossbar, lines, jnp.zeros_like(w), key=key)
    same(still, lines, 1e-12, "a change without a wanted change")
    _, far = scheme.apply(state, crossbar, lines, jnp.full_like(w, 5.0), key=key)
    low, high = (float(g) for g in crossbar.cell.window())
    assert (np.asarray(far) >= low * (1 - 1e-9)).all(), "below G_min"
    assert (np.asarray(far) <= high * (1 + 1e-9)).all(), "above G_max"
    again = [scheme.apply(state, crossbar, lines, w, key=key) for _ in range(2)]
    same(again[0], again[1], 0.0, "pure")
