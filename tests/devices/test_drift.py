"""Drift and read noise around any device: contracts, the published law, Arrhenius factors, spread of life times."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from memspike import devices, testing
from memspike.devices.variation.drift import BOLTZMANN


@pytest.mark.parametrize("wrap", [devices.Drift, devices.ReadNoise])
def test_contract(x64, wrap):
    testing.check_device(wrap())


def test_read_noise_moments(x64):
    device = devices.ReadNoise(devices.SoftBounds(g_min=1e-6, g_max=21e-6), level=0.01, slope=0.03)
    state = device.place(device.init((200_000,)), jnp.full(200_000, 10e-6))
    seen = np.asarray(device.conductance(state, key=jax.random.key(0)))
    assert seen.std() == pytest.approx(np.hypot(0.2e-6, 0.3e-6), rel=0.01)
    assert float(device.read_moments(state).sd[0]) == pytest.approx(np.hypot(0.2e-6, 0.3e-6), rel=1e-6)


def test_drift_is_that_of_the_pcm_model(x64):
    """Around a device that does not drift, with the exponent and reference time of `PCM`, later than both."""
    pcm = devices.PCM()
    drift = devices.Drift(devices.PCM(nu=0.0), nu=pcm.nu, t0=pcm.t0)
    one = pcm.wait(pcm.program(pcm.init((3,)), 5), 1e5)
    other = drift.wait(drift.program(drift.init((3,)), 5), 1e5)
    np.testing.assert_allclose(drift.conductance(other, 7.0), pcm.conductance(one, 7.0), rtol=1e-12)


def test_age_counts_from_the_last_pulse(x64):
    device = devices.Drift(devices.SoftBounds(), nu=0.1)
    state = device.wait(device.place(device.init((2,)), jnp.full(2, 50e-6)), 100.0)
    after = device.program(state, jnp.asarray([0, 1]))
    assert float(device.factor(after)[0]) == pytest.approx(100.0**-0.1)
    assert float(device.factor(after)[1]) == 1.0
    assert np.asarray(device.factor(device.reset(state))).tolist() == [1.0, 1.0]


def test_arrhenius_factors(x64):
    """Twice as hot as it takes for a factor of e on the clock, and on the exponent."""
    hot = float(1 / (1 / 300.0 - BOLTZMANN / 0.5))
    clock, exponent = (
        devices.Drift(devices.SoftBounds(), nu=0.1, temperature=hot, **{name: 0.5})  # pyright: ignore[reportArgumentType]
        for name in ("clock_energy", "exponent_energy")
    )
    state = clock.wait(clock.init(()), 1e3)
    assert float(clock.factor(state)) == pytest.approx((np.e * 1e3) ** -0.1)
    assert float(exponent.factor(state)) == pytest.approx(1e3 ** (-0.1 * np.e))


def test_weibull_spread():
    spread = devices.Weibull(2.5)
    u = jnp.asarray(np.random.default_rng(0).random(20_000))
    drawn = np.asarray(spread.draw(jnp.asarray(1e5), u, u))
    assert np.median(drawn) == pytest.approx(1e5, rel=0.02)
    assert stats.kstest(drawn, stats.weibull_min(2.5, scale=1e5 / np.log(2) ** 0.4).cdf).pvalue > 0.01
