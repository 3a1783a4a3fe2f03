"""Contract of devices with an ODE state."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from memspike.devices.base import AbstractMemoryDevice, AbstractStateDevice
from memspike.parts.param import own_parameters
from memspike.testing.common import check_compiles_once, check_parameters, check_serialisation, same

RELATIVE_STEP = 1e-6
LONGEST = 1e9  # s: far beyond every time constant
STILL = 1.0  # s: the time scale of a device that does not move
SMALL = 1e-3  # states below this are compared absolutely


def highest_voltage(device: AbstractStateDevice) -> float:
    """Twice the largest voltage among the parameters, so that thresholds are passed; 1 V if there is none."""
    volts = [float(np.abs(np.asarray(p.value)).max()) for p in own_parameters(device) if p.unit == "V"]
    return 2 * max(volts) if volts else 1.0


class Compiled:
    """The methods of one device, compiled once; `advance` takes one duration per voltage."""

    def __init__(self, device: AbstractStateDevice):
        self.device = device
        self.rate = jax.jit(lambda x, v: device.rate(x, v))
        self.current = jax.jit(lambda x, v: device.current(x, v))
        self.conductance = jax.jit(lambda x: device.conductance(x))
        self.broadcast = jax.jit(lambda x, v, dt: device.advance(x, v, dt))
        self.advance = jax.jit(jax.vmap(lambda x, v, dt: device.advance(x, v, dt), (None, 0, 0)))
        self.again = jax.jit(jax.vmap(lambda x, v, dt: device.advance(x, v, dt)))
        self.time_scale = jax.jit(jax.vmap(self._time_scale, (None, 0)))
        self.outputs = jax.jit(self._outputs)
        self.jacobian = jax.jit(jax.jacrev(self._outputs))

    def _time_scale(self, state: Any, v: Any) -> Any:
        """Seconds in which the fastest component changes by its own size (at least 0.001) or by its own decay."""
        ones = jax.tree.map(jnp.ones_like, state)
        rate, slope = jax.jvp(lambda x: self.device.rate(x, v), (state,), (ones,))
        speeds = [
            jnp.maximum(jnp.abs(dx) / jnp.maximum(jnp.abs(x), SMALL), jnp.abs(own))
            for x, dx, own in zip(*map(jax.tree.leaves, (state, rate, slope)), strict=True)
        ]
        fastest = jnp.stack(jnp.broadcast_arrays(*speeds)).max()
        return jnp.where(fastest > 1e-12, 1 / jnp.maximum(fastest, 1e-12), STILL)

    def _outputs(self, point: Any, x: Any, v: Any, dt: Any) -> Any:
        """Current and next state in their own sizes; `point` scales every parameter and, last, the voltages."""
        d, u = _scaled(self.device, point[:-1]), v * point[-1]
        after = zip(jax.tree.leaves(jax.vmap(d.advance, (None, 0, 0))(x, u, dt)), jax.tree.leaves(x), strict=True)
        sized = [leaf / (jnp.abs(old) + SMALL) for leaf, old in after]
        return jnp.stack([d.current(x, u) / jnp.abs(self.device.current(x, v)), *sized])


def sample_states(call: Compiled, v_max: float) -> list[Any]:
    """At rest, on the way under positive and negative voltage, and (memories) across the box."""
    device, rest = call.device, call.device.init()
    v = jnp.asarray([v_max, v_max, -v_max, -v_max])
    driven = call.advance(rest, v, call.time_scale(rest, v) * jnp.asarray([0.3, 10.0, 0.3, 10.0]))
    back = call.again(driven, 0.3 * v, call.time_scale(rest, v))
    pick = [
        jax.tree.map(lambda leaf, k=k: leaf[k], tree) for tree, k in ((driven, 0), (driven, 1), (driven, 3), (back, 1))
    ]
    if isinstance(device, AbstractMemoryDevice):
        low, high = device.ends()
        pick += [low + (high - low) * share for share in (0.05, 0.5, 0.95)]
    return [rest, *pick]


def check_state_device(device: AbstractStateDevice, v_max: float | None = None) -> None:
    """Passivity, steps against rate, bounds, memory at 0 V, gradients; voltages up to `v_max` V."""
    assert device.source, "a device needs a source"
    check_parameters(device)
    check_serialisation(device)
    highest = highest_voltage(device) if v_max is None else v_max
    v = jnp.linspace(-1.0, 1.0, 9) * highest
    call = Compiled(device)
    for state in sample_states(call, highest):
        _check_reading(call, state, v)
        _check_steps(call, state, v)
        _check_limits(call, state, v)
        _check_gradients(call, state, v)
    dt = float(call.time_scale(device.init(), v).min())
    check_compiles_once(lambda d: d.current(d.advance(d.init(), v, dt), v), device)


def _check_reading(call: Compiled, x: Any, v: Any) -> None:
    zero = jnp.zeros(())
    assert float(call.device.current(x, zero)) == 0.0, "current without voltage"
    i = np.asarray(call.current(x, v))
    assert np.isfinite(i).all(), "current is not finite"
    assert (i * np.asarray(v) >= 0).all(), "a passive device delivered power"
    g = float(call.conductance(x))
    assert g > 0, "conductance is not positive"
    slope = float(jax.jvp(lambda u: call.device.current(x, u), (zero,), (jnp.ones(()),))[1])
    assert abs(slope - g) <= 1e-6 * g, f"conductance is {g} but the current's slope at 0 V is {slope}"
    same(jax.vmap(lambda u: call.device.current(x, u))(v), i, 1e-12, "vmap of current")


def _check_steps(call: Compiled, x: Any, v: Any) -> None:
    """Short steps follow the rate; two halves are one whole within 2 %; vmap = broadcasting; same twice."""
    tau = call.time_scale(x, v)
    h, dt = 1e-6 * tau, 0.02 * tau
    rate = call.rate(x, v)
    start, brief = call.advance(x, v, 0 * tau), call.advance(x, v, h)
    whole, halves = call.advance(x, v, dt), call.again(call.advance(x, v, 0.5 * dt), v, 0.5 * dt)
    for x_0, dx, x_h, x_1, x_2 in zip(*map(jax.tree.leaves, (start, rate, brief, whole, halves)), strict=True):
        size = np.maximum(np.abs(x_0), SMALL)
        moving = np.broadcast_to(np.asarray(dx) != 0, size.shape)
        if isinstance(call.device, AbstractMemoryDevice):
            low, high = (np.asarray(bound) for bound in call.device.ends())
            # a law without a window runs into its bound and is stopped there
            moving = moving & (np.asarray(x_0) > low) & (np.asarray(x_0) < high)
        error = np.abs(x_h - x_0 - h * dx)
        assert (error <= 1e-3 * np.abs(h * dx) + 1e-14 * size)[moving].all(), "advance against rate"
        error, moved = np.abs(x_1 - x_2), np.abs(x_1 - x_0)
        assert (error <= 0.02 * moved + 1e-9 * size)[moving].all(), "two half steps are not one step"
    short = dt.min()
    same(call.broadcast(x, v, short), call.advance(x, v, jnp.full_like(v, short)), 1e-9, "vmap of advance")
    same(call.advance(x, v, dt), whole, 0.0, "a second call")


def _check_limits(call: Compiled, x: Any, v: Any) -> None:
    """Any time at any voltage ends in a state that conducts; a memory stays in its box and keeps its state."""
    for far, dt in ((v, LONGEST), (10 * v, 1e-3), (10 * v, LONGEST)):
        end = call.advance(x, far, jnp.full_like(v, dt))
        assert all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(end)), "advance is not finite"
        g = np.asarray(call.conductance(end))
        assert (np.isfinite(g) & (g > 0)).all(), "advance leads to a state that does not conduct"
        if isinstance(call.device, AbstractMemoryDevice):
            low, high = (np.asarray(bound) for bound in call.device.ends())
            assert ((np.asarray(end) >= low) & (np.asarray(end) <= high)).all(), "advance leaves the ends"
    if not call.device.volatile:
        kept = call.advance(x, jnp.zeros(2), jnp.asarray([1.0, LONGEST]))
        for a, b in zip(jax.tree.leaves(kept), jax.tree.leaves(x), strict=True):
            np.testing.assert_allclose(a, np.full(2, b), rtol=1e-9, atol=1e-12, err_msg="a memory forgets at 0 V")


def _scaled(device: AbstractStateDevice, scales: Any) -> AbstractStateDevice:
    """The device with every array leaf times its scale (plus scale − 1 where it is zero)."""
    arrays, rest = eqx.partition(device, eqx.is_inexact_array)
    leaves, treedef = jax.tree.flatten(arrays)
    scaled = [jnp.where(x == 0, s - 1, x * s) for x, s in zip(leaves, scales, strict=True)]
    return eqx.combine(jax.tree.unflatten(treedef, scaled), rest)


def _check_gradients(call: Compiled, x: Any, v: Any) -> None:
    """Derivatives of current and advance in v and in every parameter, reverse mode, against differences."""
    # off the grid: a voltage on a threshold has no unique slope
    v = v[jnp.asarray([0, 3, 5, 8])] * 0.937
    dt = 0.3 * call.time_scale(x, v)
    one = jnp.ones(len(jax.tree.leaves(eqx.filter(call.device, eqx.is_inexact_array))) + 1)
    exact = np.asarray(call.jacobian(one, x, v, dt))
    assert np.isfinite(exact).all(), "a gradient is not finite"
    for k in range(one.size):
        up, down = (np.asarray(call.outputs(one.at[k].add(s * RELATIVE_STEP), x, v, dt)) for s in (1, -1))
        slope = (up - down) / (2 * RELATIVE_STEP)
        found = exact[..., k]
        bad = np.abs(found - slope) > 1e-4 * np.maximum(np.abs(slope), np.abs(found)) + 1e-7 * np.maximum(
            np.abs(up), 1.0
        )
        what = "v" if k == one.size - 1 else f"array {k} of the device"
        assert not bad.any(), f"gradient in {what} is {found[bad]} but the slope is {slope[bad]}"
