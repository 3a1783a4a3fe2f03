"""Contracts of devices: with an ODE state, settling, and programmed by pulse counts."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from memspike.devices.base import (
    AbstractDevice,
    AbstractMemoryDevice,
    AbstractPulseDevice,
    AbstractRelaxingDevice,
    AbstractStateDevice,
    span,
)
from memspike.parts.param import own_parameters
from memspike.testing.common import (
    check_compiles_once,
    check_parameters,
    check_serialisation,
    finite_difference,
    in_double_precision,
    same,
)

RELATIVE_STEP = 1e-6
LONGEST = 1e9  # s: far beyond every time constant
STILL = 1.0  # s: the time scale of a device that does not move
SMALL = 1e-3  # states below this are compared absolutely
VOLTAGES = np.linspace(-0.4, 0.4, 9)
POPULATION = 200


@in_double_precision
def check_device(device: AbstractDevice) -> None:
    """The contracts of whatever kind of device this is."""
    if isinstance(device, AbstractPulseDevice):
        check_pulse_device(device)
    elif isinstance(device, AbstractRelaxingDevice):
        check_relaxing_device(device)
    elif isinstance(device, AbstractStateDevice):
        check_state_device(device)
    else:
        raise AssertionError(f"{type(device).__name__} is neither a pulse device nor a state device")


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


@in_double_precision
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


@in_double_precision
def check_relaxing_device(device: AbstractRelaxingDevice) -> None:
    """That of state devices; advance is exact at a constant voltage and reaches the equilibrium, which rests."""
    check_state_device(device)
    v = jnp.asarray(VOLTAGES)
    for x in [device.init(), *(device.equilibrium(u) for u in v)]:
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
    finite_difference(lambda u: device.advance(device.init(), u, 1e-3), v, "advance in v")
    finite_difference(lambda u: device.current(device.init(), u), v, "current in v")


@eqx.filter_jit
def _program(device: AbstractPulseDevice, state: Any, pulses: Any, key: Any) -> Any:
    return device.program(state, pulses, key=key)


def _inside(device: AbstractPulseDevice, g: Any, what: str, *, noisy: bool = False) -> None:
    low, high = np.asarray(device.g_min), np.asarray(np.inf if noisy and device.overshoots else device.g_max)
    g = np.asarray(g)
    assert np.isfinite(g).all(), f"{what}: not finite"
    assert (g >= low * (1 - 1e-6) - 1e-15).all(), f"{what}: below G_min"
    assert (g <= high * (1 + 1e-6)).all(), f"{what}: above G_max"


def _spread(device: AbstractPulseDevice, shape: tuple[int, ...] = ()) -> Any:
    """States over the whole range, `(7, *shape)` of them."""
    shares = jnp.linspace(0.0, 1.0, 7).reshape((7,) + (1,) * len(shape))
    g = jnp.broadcast_to(device.g_min + span(device) * shares, (7, *shape))
    return device.place(device.init((7, *shape)), g)


def _check_pulse_reading(device: AbstractPulseDevice, state: Any) -> None:
    zero = np.asarray(device.current(state, jnp.zeros(())))
    assert (zero == 0).all(), "current without voltage"
    for v in (-0.2, 0.2):
        assert (np.asarray(device.current(state, jnp.asarray(v)) * v) >= 0).all(), "a passive device delivered power"
    assert (np.asarray(device.conductance(state, 1.0)) >= 0).all(), "negative conductance"
    later = device.wait(device.wait(state, 2.0), 3.0)
    same(device.conductance(later, 1.0), device.conductance(state, 6.0), 1e-6, "waiting in parts")
    same(device.stored(later), device.stored(state), 1e-6, "waiting programs")


def _check_read_noise(device: AbstractPulseDevice) -> None:
    """`read_moments` are those of reads."""
    many = (20 * POPULATION,)
    state = device.place(device.init(many), jnp.full(many, device.g_min + 0.5 * span(device)))
    drawn = np.asarray(device.conductance(state, 30.0, key=jax.random.key(0)))
    mean, sd = (np.asarray(x) for x in device.read_moments(state, 30.0))
    assert np.isfinite(sd).all(), "s.d. of a read is not finite"
    assert (sd >= 0).all(), "s.d. of a read is negative"
    scatter, said = (float(np.sqrt(np.mean(x**2))) for x in (drawn - mean, sd + 0 * mean))
    assert abs(scatter - said) <= 0.06 * scatter + 1e-12, "read_moments.sd is not the scatter of reads"


def _check_noise(device: AbstractPulseDevice) -> None:
    """Same key, same result; every device its own draw; noise-free without a key."""
    state = device.place(device.init((POPULATION,)), jnp.full((POPULATION,), device.g_min + 0.4 * span(device)))
    for method in (lambda k: device.program(state, 1, key=k), lambda k: device.conductance(state, 1.0, key=k)):
        first, again, other = method(jax.random.key(1)), method(jax.random.key(1)), method(jax.random.key(2))
        same(first, again, 0.0, "same key, same result")
        same(method(None), method(None), 0.0, "without a key")
        drawn = [np.asarray(x) for x in jax.tree.leaves((first, other))]
        half = len(drawn) // 2
        moved = any((a != b).any() for a, b in zip(drawn[:half], drawn[half:], strict=True))
        assert not moved or any(len(np.unique(a)) > 1 for a in drawn if a.ndim), "one draw for all devices"


@in_double_precision
def check_pulse_device(device: AbstractPulseDevice) -> None:
    """Bounds; no pulse no change; passive; vmap = loop; keys; tangents of every parameter; one compilation."""
    assert device.source, "a device needs a source"
    assert not device.volatile, "a pulse device keeps its state"
    check_parameters(device)
    check_serialisation(device)
    state = _spread(device)
    _inside(device, device.stored(state), "place")
    _inside(device, device.stored(device.init((3, 2))), "init")
    assert np.shape(device.stored(device.init((3, 2)))) == (3, 2), "init has the wrong shape"
    for key in (None, jax.random.key(0)):
        untouched = _program(device, state, jnp.asarray(0), key)
        same(device.stored(untouched), device.stored(state), 1e-12, "zero pulses")
        for pulses in (1, -1, 5, 1000, -1000):
            after = device.stored(_program(device, state, jnp.asarray(pulses), key))
            _inside(device, after, f"{pulses} pulses", noisy=key is not None)
        assert np.asarray(device.stored(device.reset(state, key=key))).max() <= float(
            jnp.max(device.g_min + 0.2 * span(device))
        ), "RESET does not reach the low end"
    counts = jnp.asarray([-3, -1, 0, 1, 2, 5, 9])
    together = device.program(state, counts)
    one_by_one = jax.vmap(lambda s, n: device.program(s, n))(state, counts)
    same(one_by_one, together, 1e-9, "vmap of program")
    up, down = (np.asarray(device.stored(device.program(state, n))) for n in (1, -1))
    middle = slice(1, 6)
    assert (up[middle] >= np.asarray(device.stored(state))[middle] * (1 - 1e-9)).all(), "a pulse up lowers G"
    assert (down[middle] <= np.asarray(device.stored(state))[middle] * (1 + 1e-9)).all(), "a pulse down raises G"
    _check_pulse_reading(device, state)
    _check_noise(device)
    _check_read_noise(device)
    _check_tangents(device, state)
    check_compiles_once(lambda d: d.program(d.place(d.init((7,)), jnp.full((7,), d.g_min)), counts), device)


def _check_tangents(device: AbstractPulseDevice, state: Any) -> None:
    """The derivative of three pulses either way with respect to every parameter equals finite differences."""
    arrays, rest = eqx.partition(device, eqx.is_inexact_array)
    leaves, treedef = jax.tree.flatten(arrays)
    g = device.stored(state)[2:5]

    def moved(values: list[Any]) -> Any:
        d = eqx.combine(jax.tree.unflatten(treedef, values), rest)
        inner = jax.tree.map(lambda leaf: leaf[2:5] if np.shape(leaf)[:1] == (7,) else leaf, state)
        placed = d.place(inner, g)
        return jnp.stack([d.stored(d.program(placed, n)) for n in (3, -3)]) / span(device)

    slope_of = jax.jit(lambda direction: jax.jvp(moved, (leaves,), (direction,))[1])
    moved = jax.jit(moved)
    for k, leaf in enumerate(leaves):
        direction = [jnp.zeros_like(x) for x in leaves]
        direction[k] = jnp.ones_like(leaf)
        exact = np.asarray(slope_of(direction))
        assert np.isfinite(exact).all(), f"leaf {k}: derivative not finite"
        h = 1e-6 * max(float(jnp.abs(leaf).max()), 1e-9)
        ends = [[x + s * h * d for x, d in zip(leaves, direction, strict=True)] for s in (1, -1)]
        slope = (np.asarray(moved(ends[0])) - np.asarray(moved(ends[1]))) / (2 * h)
        scale = max(np.abs(exact).max(), np.abs(slope).max(), 1e-6 / h * 1e-6)
        assert np.abs(exact - slope).max() <= 2e-3 * scale, f"leaf {k}: derivative {exact} but slope {slope}"
