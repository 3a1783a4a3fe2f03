"""1/f noise: its spectrum, its memory, and that it leaves the device inside alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from memspike import devices, testing

G = 5e-6


def population(n, **given):
    device = devices.Flicker(devices.PCM(read_slope=0.0, read_offset=0.0, nu=0.0), **given)
    state = device.init((n,), key=jax.random.key(0))
    return device, device.place(state, jnp.full(n, G))


def test_contract(x64):
    testing.check_device(devices.Flicker())


def test_without_a_key_there_is_no_noise(x64):
    plain, device = devices.PCM(), devices.Flicker(devices.PCM())
    one, other = plain.program(plain.init((3,)), 4), device.program(device.init((3,)), 4)
    later = device.wait(other, 1e4)
    np.testing.assert_array_equal(plain.conductance(plain.wait(one, 1e4)), device.conductance(later))


def test_spectrum_is_q_over_f(x64):
    """Periodograms of 3,000 devices, averaged: Q²/f one-sided, Q from the figures of the source at this conductance."""
    device, state = population(3000, slowest=1e-3, fastest=1e2)  # up to half the sampling rate
    n, dt = 1024, 5e-3
    times = jnp.arange(n, dtype=float) * dt
    g = np.asarray(jax.lax.map(lambda t: device.conductance(state, t), times))
    x = g / G - 1
    window = np.hanning(n)[:, None]
    power = 2 * dt * np.abs(np.fft.rfft(x * window, axis=0)) ** 2 / np.sum(window**2)
    f = np.fft.rfftfreq(n, dt)
    q = 0.0088 / (G / 25e-6) ** 0.65
    inside = (f > 2) & (f < 80)
    expected = q**2 / f[inside]
    slope = np.polyfit(np.log(f[inside]), np.log(power.mean(1)[inside]), 1)[0]
    assert slope == pytest.approx(-1, abs=0.15)
    assert np.median(power.mean(1)[inside] / expected) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("lag", [0.0, 0.01, 1.0, 100.0])
def test_it_remembers(x64, lag):
    """Covariance of reads `lag` seconds apart against the transform of the spectrum; to wait is to look ahead."""
    device, state = population(40_000, slowest=1e-3, fastest=1e1)
    first = np.asarray(device.conductance(state)) / G - 1
    second = np.asarray(device.conductance(device.wait(state, lag))) / G - 1
    np.testing.assert_allclose(second, np.asarray(device.conductance(state, lag)) / G - 1, atol=1e-9)
    q = 0.0088 / (G / 25e-6) ** 0.65
    expected = quad(lambda u: np.cos(2 * np.pi * np.exp(u) * lag), np.log(1e-3), np.log(1e1), limit=5000)[0] * q**2
    total = q**2 * np.log(1e4)
    assert np.mean(first * second) == pytest.approx(expected, abs=0.02 * total)
    assert np.var(first) == pytest.approx(total, rel=0.03)
    assert abs(np.mean(first)) < 5 * (total / 40_000) ** 0.5


def test_pulses_reach_the_device_inside(x64):
    device, state = population(5, strength=0.0)
    after = device.program(state, jnp.asarray([0.0, 1.0, 2.0, -1.0, 0.0]))
    inner = device.device.program(state.inner, jnp.asarray([0.0, 1.0, 2.0, -1.0, 0.0]))
    np.testing.assert_array_equal(device.stored(after), inner.g)
    np.testing.assert_array_equal(device.conductance(after), inner.g)
