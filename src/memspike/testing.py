"""Contract suites: what every device, neuron, filter, readout, rule and scheme must keep.

Call them on your own part; each raises AssertionError with what was broken. They run on every registered
part in the library's own tests. Gradients are compared with finite differences, so call them with
`jax_enable_x64` on.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from memspike._param import own_parameters
from memspike.arrays.crossbar import Crossbar
from memspike.devices.base import AbstractStateDevice
from memspike.learning.losses import AbstractReadout, cross_entropy
from memspike.learning.programming.base import Scheme
from memspike.learning.rules.base import Rule
from memspike.neurons.base import AbstractNeuron
from memspike.neurons.filters import AbstractFilter

VOLTAGES = np.linspace(-0.4, 0.4, 9)


def _same(a: Any, b: Any, rtol: float, what: str) -> None:
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=rtol, atol=1e-14, err_msg=what)


def _finite_difference(f: Callable[[Any], Any], x: Any, what: str, rtol: float = 1e-5) -> None:
    """The gradient of a scalar function of one array equals central differences."""
    x = jnp.asarray(x)
    gradient = np.asarray(jax.grad(lambda a: f(a).sum())(x)).ravel()
    for i in range(x.size):
        h = 1e-6 * max(1e-3, abs(float(x.ravel()[i])))
        bump = jnp.zeros(x.size).at[i].set(h).reshape(x.shape)
        numeric = float((f(x + bump).sum() - f(x - bump).sum()) / (2 * h))
        scale = max(np.abs(gradient).max(), abs(numeric), 1e-12)
        assert abs(gradient[i] - numeric) <= rtol * scale, f"{what}: gradient {gradient[i]} but slope {numeric}"


def check_parameters(module: eqx.Module) -> None:
    """Every parameter is an array leaf with a unit, a meaning and bounds that hold its value."""
    for p in own_parameters(module):
        assert p.unit, f"{p.path} has no unit"
        assert p.doc, f"{p.path} has no meaning"
        assert p.bounds[0] < p.bounds[1], f"{p.path} has no bounds"
        value = np.asarray(p.value)
        assert value.dtype == jnp.result_type(float), f"{p.path} is {value.dtype}"
        inside = (value >= p.bounds[0]) & (value <= p.bounds[1])
        assert inside.all(), f"{p.path} is out of its bounds"


def check_serialisation(module: eqx.Module) -> None:
    """The leaves alone rebuild the module."""
    leaves, treedef = jax.tree.flatten(module)
    again = jax.tree.unflatten(treedef, [np.asarray(leaf) for leaf in leaves])
    _same(module, again, 0.0, "serialisation")


def check_compiles_once(call: Callable[[Any], Any], module: eqx.Module) -> None:
    """New parameter values do not compile again."""
    count = 0

    @eqx.filter_jit
    def counted(m: eqx.Module) -> Any:
        nonlocal count
        count += 1
        return call(m)

    counted(module)
    counted(jax.tree.map(lambda leaf: leaf * 1.01, module))
    assert count == 1, f"compiled {count} times"


def check_device(device: AbstractStateDevice) -> None:
    """No volts no current; passive; vmap = loop; advance follows rate, keeps bounds and reaches equilibrium."""
    assert device.source, "a device needs a source"
    check_parameters(device)
    check_serialisation(device)
    v = jnp.asarray(VOLTAGES)
    states = [device.init(), *(device.equilibrium(u) for u in v)]
    for x in states:
        assert float(device.current(x, jnp.zeros(()))) == 0.0, "current without voltage"
        power = np.asarray(device.current(x, v) * v)
        assert (power >= 0).all(), "a passive device delivered power"
        assert float(device.conductance(x)) > 0, "conductance is not positive"
        _same(jax.vmap(lambda u, x=x: device.current(x, u))(v), device.current(x, v), 1e-12, "vmap of current")
        h = 1e-7 * float(1 / (jnp.abs(device.rate(x, v)).max() + 1))
        slope = (device.advance(x, v, h) - device.advance(x, v, 0.0)) / h
        np.testing.assert_allclose(slope, device.rate(x, v), rtol=1e-5, atol=1e-5, err_msg="advance against rate")
        far = device.advance(x, v, 1e9)
        np.testing.assert_allclose(far, device.equilibrium(v), rtol=1e-9, atol=1e-14, err_msg="advance to equilibrium")
        there = device.advance(device.advance(x, v, 1e-3), v, 2e-3)
        np.testing.assert_allclose(
            there, device.advance(x, v, 3e-3), rtol=1e-9, atol=1e-14, err_msg="advance in two parts"
        )
    rest = device.equilibrium(v)
    assert np.abs(np.asarray(device.rate(rest, v))).max() < 1e-6, "equilibrium moves"
    _finite_difference(lambda u: device.advance(device.init(), u, 1e-3), v, "advance in v")
    _finite_difference(lambda u: device.current(device.init(), u), v, "current in v")
    check_compiles_once(lambda d: d.advance(d.init(), v, 1e-3), device)


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
    _same(jax.vmap(run, out_axes=1)(currents), together, 1e-10, "vmap of run")
    _same(together, run(currents), 0.0, "a second run")
    strong = run(1000 * currents)
    assert np.isfinite(np.asarray(strong)).all(), "not finite under strong current"
    _finite_difference(lambda u: run(u * current)[-1], currents / current, "voltage in current", rtol=1e-4)
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
    _same(answer(random * 3 + 1), 3 * answer(random) + answer(jnp.ones_like(random)), 1e-9, "linearity")
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
    _finite_difference(lambda u: cross_entropy(readout, u * 1e-2, target), v * 1e2, "loss in voltage")


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
    _same(again[0], again[1], 0.0, "same key, same change")


def check_scheme(scheme: Scheme) -> None:
    """Conductances stay in the device range; no wanted change is no change; pure."""
    crossbar = Crossbar()
    w = jnp.asarray([[0.9, -0.5], [0.0, 0.2]])
    pair = crossbar.program(w)
    state = scheme.init(crossbar, pair)
    key = jax.random.key(0)
    _, still = scheme.apply(state, crossbar, pair, jnp.zeros_like(w), key=key)
    _same(still, pair, 1e-12, "a change without a wanted change")
    _, far = scheme.apply(state, crossbar, pair, jnp.full_like(w, 5.0), key=key)
    for g in far:
        assert (np.asarray(g) >= float(crossbar.cell.g_min) * (1 - 1e-9)).all(), "below G_min"
        assert (np.asarray(g) <= float(crossbar.cell.g_max) * (1 + 1e-9)).all(), "above G_max"
    _same(scheme.apply(state, crossbar, pair, w, key=key), scheme.apply(state, crossbar, pair, w, key=key), 0.0, "pure")
