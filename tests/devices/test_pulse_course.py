"""Pulses by the kernel against the law in JAX: conductances, noise, sums, gradients, chips beside each other."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike import learning
from memspike.arrays import Crossbar, Drive, Pulse
from memspike.cells import SingleReference, Stack, midpoint
from memspike.devices import CycleToCycle, LinearStep, SoftBounds, fabricate, pulse_course
from memspike.devices.presets import neurosim
from memspike.devices.pulse_course import moved, plain

pytest.importorskip("llvmlite")
DEVICES = {
    "ag-a-si": neurosim.from_table("ag-a-si").device,
    "without noise": SoftBounds(),
    "linear": SoftBounds(curvature_up=0.0, curvature_down=0.0),
    "upwards linear": CycleToCycle(SoftBounds(curvature_up=0.0), up=0.02),
    "all noise": CycleToCycle(
        SoftBounds(curvature_up=-3.0, curvature_down=5.0), up=0.01, down=0.02, proportional=0.05, relative=0.3
    ),
    "to the bounds": SoftBounds.from_rates(0.1, 0.2, g_min=0.0),
}
KEY = jax.random.key(7)
PULSES = Pulse(v=3.0, width=1e-4), Pulse(v=2.0, width=1e-4, energy=2e-12), Pulse(energy=1e-12, width=1e-6)


def case(device, shape, share=0.3, largest=4, seed=0):
    """A state anywhere in the range, and pulses on a share of the devices."""
    random = np.random.default_rng(seed)
    n = random.integers(-largest, largest + 1, shape) * (random.random(shape) < share)
    g = device.g_min + (device.g_max - device.g_min) * random.random(shape).astype(np.float32)
    return device.place(device.init(shape), jnp.asarray(g, jnp.float32)), jnp.asarray(n, jnp.float32)


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 3, 5), (2, 4, 16), (2, 7, 300), (1, 3, 513)])
@pytest.mark.parametrize("name", DEVICES)
def test_the_kernel_is_the_law(name, shape, key):
    device = DEVICES[name]
    state, n = case(device, shape)
    assert pulse_course.fits(device, state, n)
    ours, theirs = (jax.jit(f)(device, state, n, key=key) for f in (moved, plain))
    width = float(device.g_max - device.g_min)
    np.testing.assert_allclose(device.stored(ours.state), device.stored(theirs.state), rtol=0, atol=5e-6 * width)
    idle = np.asarray(n == 0)
    np.testing.assert_array_equal(np.asarray(device.stored(ours.state))[idle], np.asarray(device.stored(state))[idle])
    for a, b in zip(ours.taken, theirs.taken, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-12)


@pytest.mark.parametrize(("share", "largest"), [(0.0, 1), (1.0, 1000), (0.01, 1)])
def test_none_few_and_all_devices(share, largest):
    device = DEVICES["ag-a-si"]
    state, n = case(device, (1, 40, 260), share, largest)
    ours, theirs = (f(device, state, n, key=KEY) for f in (moved, plain))
    np.testing.assert_allclose(device.stored(ours.state), device.stored(theirs.state), rtol=0, atol=5e-10)
    np.testing.assert_array_equal(ours.taken.longest, theirs.taken.longest)


def test_the_noise_has_its_mean_and_spread_over_keys():
    device = DEVICES["ag-a-si"]
    state, n = case(device, (1, 8, 64), 1.0)
    found = [np.asarray(device.stored(moved(device, state, n, key=k).state)) for k in jax.random.split(KEY, 400)]
    mean, law = np.mean(found, 0), np.asarray(device.stored(moved(device, state, n, key=None).state))
    width = float(device.g_max - device.g_min)
    inside = (np.abs(n) > 0) & (law > device.g_min + 0.3 * width) & (law < device.g_max - 0.3 * width)
    spread = np.std(found, 0)[inside] / (float(device.up) * width * np.sqrt(np.abs(np.asarray(n)))[inside])
    assert inside.sum() > 50
    assert np.abs(mean - law)[inside].max() < 5 * 0.1 * width / np.sqrt(400)
    assert spread.mean() == pytest.approx(1, abs=0.02)


def test_chips_beside_each_other_are_a_loop():
    device = DEVICES["ag-a-si"]
    pairs = [case(device, (1, 4, 20), seed=k) for k in range(3)]
    states, n = jax.tree.map(lambda *x: jnp.stack(x), *pairs)
    keys = jax.random.split(KEY, 3)
    found = jax.vmap(lambda s, n, k: moved(device, s, n, key=k))(states, n, keys)
    for k, (state, pulses) in enumerate(pairs):
        one = moved(device, state, pulses, key=keys[k])
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(one), strict=True):
            np.testing.assert_array_equal(a[k], b)


def test_gradients_are_those_of_the_law():
    device = DEVICES["all noise"]
    state, n = case(device, (1, 4, 20))

    def of(f):
        def loss(state, g_max):
            at = CycleToCycle(SoftBounds(g_max=g_max), up=0.01)
            found = f(at, state, n, key=KEY)
            return 1e6 * jnp.square(at.stored(found.state)).sum() + 1e6 * found.taken.charge.sum()

        return jax.grad(loss, argnums=(0, 1))(state, jnp.float32(9e-6))

    for a, b in zip(jax.tree.leaves(of(moved)), jax.tree.leaves(of(plain)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 7, 300), (1, 3, 513)])
def test_devices_of_their_own_numbers(shape, key):
    spread = {
        "device.g_max device.g_min": 0.05,
        "device.curvature_up": 0.1,
        "device.pulses_up device.pulses_down": 0.1,
        "up": 0.2,
    }
    device = fabricate(DEVICES["all noise"], spread, shape=shape, key=jax.random.key(1))
    state, n = case(device, shape)
    assert pulse_course.fits(device, state, n)
    ours, theirs = (jax.jit(f)(device, state, n, key=key) for f in (moved, plain))
    width = float(jnp.mean(device.g_max - device.g_min))
    np.testing.assert_allclose(device.stored(ours.state), device.stored(theirs.state), rtol=0, atol=5e-6 * width)
    for a, b in zip(ours.taken, theirs.taken, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-12)


def test_keys_of_another_generator_are_left_to_jax():
    device = DEVICES["ag-a-si"]
    state, n = case(device, (1, 4, 20))
    ours, theirs = (f(device, state, n, key=jax.random.key(3, impl="rbg")) for f in (moved, plain))
    np.testing.assert_array_equal(device.stored(ours.state), device.stored(theirs.state))


def test_what_has_no_kernel(monkeypatch):
    device = DEVICES["ag-a-si"]
    state, n = case(device, (1, 4, 20))
    assert not pulse_course.fits(LinearStep(), LinearStep().init((1, 4, 20)), n)
    assert not pulse_course.fits(device, state, n[0])
    assert not pulse_course.fits(device, state, n[:, :2])
    monkeypatch.setenv("MEMSPIKE_FAST", "0")
    assert not pulse_course.fits(device, state, n)


@pytest.mark.parametrize("tiles", [1, 2])
@pytest.mark.parametrize(
    "pulse", [Pulse(v=3.0, width=1e-4), Pulse(v=2.0, width=1e-4, energy=2e-12), Pulse(energy=1e-12, width=1e-6)]
)
def test_a_crossbar_and_its_ledger_are_the_same_without_kernels(monkeypatch, tiles, pulse):
    device = DEVICES["ag-a-si"]
    cell = SingleReference(device, midpoint(device)) if tiles == 1 else Stack(device, midpoint(device))
    crossbar = Crossbar(cell, drive=Drive(pulse, Pulse(v=2.8, width=3e-4)))
    scheme = learning.by_rounding() if tiles == 1 else learning.tiki_taka_2(period=4.0)
    dw = jnp.asarray(np.random.default_rng(1).normal(0, 0.1, (6, 40)), jnp.float32)

    def run():
        cells = cell.init((6, 40))
        state, ledger = scheme.init(crossbar, cells), crossbar.ledger((6, 40))
        for key in jax.random.split(KEY, 5):
            done = jax.jit(lambda s, c, k: scheme.apply(s, crossbar, c, dw, key=k))(state, cells, key)
            state, cells, ledger = done.state, done.cells, ledger + done.ledger
        return cells, ledger

    ours = run()
    monkeypatch.setenv("MEMSPIKE_FAST", "0")
    jax.clear_caches()
    theirs = run()
    assert int(ours[1].up.sum()) > 100
    np.testing.assert_array_equal(ours[1].up, theirs[1].up)
    np.testing.assert_array_equal(ours[1].down, theirs[1].down)
    ours, theirs = ((cells, dataclasses.replace(book, wear=None), book.wear.energy) for cells, book in (ours, theirs))
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-9)
