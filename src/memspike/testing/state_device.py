"""Contract of devices with an ODE state."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from memspike._param import own_parameters
from memspike.devices.base import AbstractMemoryDevice, AbstractStateDevice
from memspike.testing.common import check_compiles_once, check_parameters, check_serialisation, same

RELATIVE_STEP = 1e-6
LONGEST = 1e9  # s: far beyond every time constant
STILL = 1.0  # s: the time scale of a device that does not move


def highest_voltage(device: AbstractStateDevice) -> float:
    """Twice the largest voltage among the parameters, so that thresholds are passed; 1 V if there is none."""
    volts = [float(np.abs(np.asarray(p.value)).max()) for p in own_parameters(device) if p.unit == "V"]
    return 2 * max(volts) if volts else 1.0


def time_scale(device: AbstractStateDevice, state: Any, v: Any) -> float:
    """Seconds in which the fastest component changes by about its own size (at least 0.001)."""

    def fastest(x: Any, dx: Any) -> float:
        return float((np.abs(dx) / np.maximum(np.abs(x), 1e-3)).max())

    rates = jax.tree.leaves(device.rate(state, v))
    fast = max(fastest(np.asarray(x), np.asarray(dx)) for x, dx in zip(jax.tree.leaves(state), rates, strict=True))
    return 1 / fast if fast > 1e-12 else STILL


def sample_states(device: AbstractStateDevice, v_max: float) -> list[Any]:
    """At rest, on the way under positive and negative voltage, and (memories) across the box."""
    rest, v = device.init(), jnp.asarray(v_max)
    tau = time_scale(device, rest, v)
    driven = [device.advance(rest, u, tau * k) for u in (v, -v) for k in (0.3, 10.0)]
    states = [rest, *driven, device.advance(driven[1], 0.3 * v, tau)]
    if isinstance(device, AbstractMemoryDevice):
        low, high = device.ends()
        states += [low + (high - low) * share for share in (0.05, 0.5, 0.95)]
    return states


def check_state_device(device: AbstractStateDevice, v_max: float | None = None) -> None:
    """Passivity, steps against rate, bounds, memory at 0 V, gradients; voltages up to `v_max` V."""
    assert device.source, "a device needs a source"
    check_parameters(device)
    check_serialisation(device)
    highest = highest_voltage(device) if v_max is None else v_max
    v = jnp.linspace(-1.0, 1.0, 9) * highest
    for state in sample_states(device, highest):
        _check_reading(device, state, v)
        _check_steps(device, state, v)
        _check_limits(device, state, v)
        _check_gradients(device, state, v)
    middle = jnp.asarray(0.7 * highest)
    dt = time_scale(device, device.init(), middle)
    check_compiles_once(lambda d: d.current(d.advance(d.init(), v, dt), v), device)


def _check_reading(device: AbstractStateDevice, x: Any, v: Any) -> None:
    zero = jnp.zeros(())
    assert float(device.current(x, zero)) == 0.0, "current without voltage"
    i = np.asarray(device.current(x, v))
    assert np.isfinite(i).all(), "current is not finite"
    assert (i * np.asarray(v) >= 0).all(), "a passive device delivered power"
    g = float(device.conductance(x))
    assert g > 0, "conductance is not positive"
    slope = float(jax.jvp(lambda u: device.current(x, u), (zero,), (jnp.ones(()),))[1])
    assert abs(slope - g) <= 1e-6 * g, f"conductance is {g} but the current's slope at 0 V is {slope}"
    same(jax.vmap(lambda u: device.current(x, u))(v), i, 1e-12, "vmap of current")


def _check_steps(device: AbstractStateDevice, x: Any, v: Any) -> None:
    """Short steps follow the rate; two halves are one whole within 2 %; vmap = broadcasting; same twice."""
    for u in v:
        tau = time_scale(device, x, u)
        rate = [np.asarray(r) for r in jax.tree.leaves(device.rate(x, u))]
        moving = [k for k, r in enumerate(rate) if r != 0]
        start = jax.tree.leaves(device.advance(x, u, 0.0))
        brief = jax.tree.leaves(device.advance(x, u, 1e-6 * tau))
        for k in moving:
            moved, size = np.asarray(brief[k] - start[k]), max(float(abs(start[k])), 1e-3)
            error = abs(moved - 1e-6 * tau * rate[k])
            assert error <= 1e-3 * abs(moved) + 1e-14 * size, "advance against rate"
        dt = 0.02 * tau
        whole = jax.tree.leaves(device.advance(x, u, dt))
        halves = jax.tree.leaves(device.advance(device.advance(x, u, 0.5 * dt), u, 0.5 * dt))
        for k in moving:
            size = max(float(abs(start[k])), 1e-3)
            error, moved = float(abs(whole[k] - halves[k])), float(abs(whole[k] - start[k]))
            assert error <= 0.02 * moved + 1e-9 * size, "two half steps are not one step"
    tau = time_scale(device, x, v)
    together = device.advance(x, v, 0.1 * tau)
    same(jax.vmap(lambda u: device.advance(x, u, 0.1 * tau))(v), together, 1e-9, "vmap of advance")
    same(device.advance(x, v, 0.1 * tau), together, 0.0, "a second call")


def _check_limits(device: AbstractStateDevice, x: Any, v: Any) -> None:
    """Any time at any voltage ends in a state that conducts; a memory stays in its box and keeps its state."""
    for far, dt in ((v, LONGEST), (10 * v, 1e-3), (10 * v, LONGEST)):
        end = device.advance(x, far, dt)
        assert all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(end)), "advance is not finite"
        g = np.asarray(device.conductance(end))
        assert (np.isfinite(g) & (g > 0)).all(), "advance leads to a state that does not conduct"
        if isinstance(device, AbstractMemoryDevice):
            low, high = (np.asarray(bound) for bound in device.ends())
            assert ((np.asarray(end) >= low) & (np.asarray(end) <= high)).all(), "advance leaves the ends"
    if not device.volatile:
        for dt in (1.0, LONGEST):
            kept = device.advance(x, jnp.zeros(()), dt)
            for a, b in zip(jax.tree.leaves(kept), jax.tree.leaves(x), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12, err_msg="a memory forgets at 0 V")


def _scaled(device: AbstractStateDevice, scales: Any) -> AbstractStateDevice:
    """The device with every array leaf times its scale (plus scale − 1 where it is zero)."""
    arrays, rest = eqx.partition(device, eqx.is_inexact_array)
    leaves, treedef = jax.tree.flatten(arrays)
    scaled = [jnp.where(x == 0, s - 1, x * s) for x, s in zip(leaves, scales, strict=True)]
    return eqx.combine(jax.tree.unflatten(treedef, scaled), rest)


def _check_gradients(device: AbstractStateDevice, x: Any, v: Any) -> None:
    """Derivatives of current and advance in v and in every parameter, reverse mode, against differences."""
    number = len(jax.tree.leaves(eqx.filter(device, eqx.is_inexact_array)))
    # off the grid: a voltage on a threshold has no unique slope
    v = v[1::3] * 0.937
    tau = time_scale(device, x, v)

    @jax.jit
    def outputs(point: Any) -> Any:
        d, u = _scaled(device, point[:number]), v * point[number]
        after = device_tree(d.advance(x, u, 0.3 * tau))
        return jnp.stack([d.current(x, u) / (jnp.abs(device.current(x, v)) + 1e-30), *after])

    def device_tree(state: Any) -> list[Any]:
        return [
            leaf / (jnp.abs(old) + 1e-3) for leaf, old in zip(jax.tree.leaves(state), jax.tree.leaves(x), strict=True)
        ]

    one = jnp.ones(number + 1)
    exact = np.asarray(jax.jit(jax.jacrev(outputs))(one))
    assert np.isfinite(exact).all(), "a gradient is not finite"
    for k in range(number + 1):
        up, down = (np.asarray(outputs(one.at[k].add(s * RELATIVE_STEP))) for s in (1, -1))
        slope = (up - down) / (2 * RELATIVE_STEP)
        error = np.abs(exact[..., k] - slope)
        bad = error > 1e-4 * np.maximum(np.abs(slope), np.abs(exact[..., k])) + 1e-7 * np.maximum(np.abs(up), 1.0)
        what = "v" if k == number else f"parameter {k}"
        assert not bad.any(), f"gradient in {what} is {exact[..., k][bad]} but the slope is {slope[bad]}"
