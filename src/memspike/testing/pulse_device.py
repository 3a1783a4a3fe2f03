"""Contract of devices that are programmed by pulse counts."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from memspike.devices.base import AbstractPulseDevice, span
from memspike.testing.common import check_compiles_once, check_parameters, check_serialisation, same

POPULATION = 200


@eqx.filter_jit
def _program(device: AbstractPulseDevice, state: Any, pulses: Any, key: Any) -> Any:
    return device.program(state, pulses, key=key)


def _inside(device: AbstractPulseDevice, g: Any, what: str) -> None:
    low, high = np.asarray(device.g_min), np.asarray(device.g_max)
    g = np.asarray(g)
    assert np.isfinite(g).all(), f"{what}: not finite"
    assert (g >= low * (1 - 1e-6) - 1e-15).all(), f"{what}: below G_min"
    assert (g <= high * (1 + 1e-6)).all(), f"{what}: above G_max"


def _spread(device: AbstractPulseDevice, shape: tuple[int, ...] = ()) -> Any:
    """States over the whole range, `(7, *shape)` of them."""
    shares = jnp.linspace(0.0, 1.0, 7).reshape((7,) + (1,) * len(shape))
    g = jnp.broadcast_to(device.g_min + span(device) * shares, (7, *shape))
    return device.place(device.init((7, *shape)), g)


def _check_reading(device: AbstractPulseDevice, state: Any) -> None:
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
            _inside(device, device.stored(_program(device, state, jnp.asarray(pulses), key)), f"{pulses} pulses")
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
    _check_reading(device, state)
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
