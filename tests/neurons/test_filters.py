"""Pulses through synaptic filters: against SciPy, against fine steps, in single precision, and their slopes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import lsim

from memspike.neurons import AlphaFilter, ExponentialFilter, SteppedExponentialFilter

TAU = 3e-4
ORDERS = {
    AlphaFilter: ([1.0], [TAU**2, 2 * TAU, 1.0]),
    ExponentialFilter: ([1.0], [TAU, 1.0]),
    SteppedExponentialFilter: ([1.0], [TAU, 1.0]),
}
MIDDLES = (np.arange(40) + 0.5) * 50e-6
filters = pytest.mark.parametrize("make", ORDERS)


@filters
@pytest.mark.parametrize("width", [10e-6, 40e-6, 230e-6])
def test_a_pulse_is_the_linear_system_of_scipy(x64, make, width):
    """Inside the pulse and behind it; SciPy's solver is exact where the drive is linear between its times."""
    edge = width + 1e-12
    t = np.union1d(np.linspace(0, 2e-3, 2001), [width, edge])
    drive = np.where(t <= width, 1.0, 0.0)
    grid = np.linspace(0, 2e-3, 200_001)
    found = lsim(ORDERS[make], np.interp(grid, t, drive), grid)[1]
    for at in (0.5 * width, 0.999 * width, width + 5e-6, 1.2e-3):
        ours = float(make(tau=TAU).pulse(jnp.asarray(at), width))
        assert ours == pytest.approx(np.interp(at, grid, found), rel=2e-3), at


@filters
def test_a_pulse_is_a_held_current_of_the_steps(x64, make):
    layer, dt = make(tau=TAU), 2e-6
    drive = (np.arange(500) < 30).astype(float)
    found = jax.lax.scan(lambda s, u: layer.step(s, u, dt), layer.init(()), jnp.asarray(drive))[1]
    ours = layer.pulse((jnp.arange(500.0) + layer.moment) * dt, 30 * dt)
    np.testing.assert_allclose(ours, found, rtol=1e-10)
    assert float(layer.pulse(jnp.asarray(-1e-6), 1e-5)) == 0.0


@filters
def test_all_of_the_charge_leaves_the_filter(x64, make):
    """Unit gain at zero frequency, whatever the width."""
    t = (jnp.arange(40_000.0) + 0.5) * 2e-7
    for width in (1e-6, 10e-6, 400e-6):
        assert float(make(tau=TAU).pulse(t, width).sum() * 2e-7) == pytest.approx(width, rel=1e-4)


@filters
@pytest.mark.parametrize("width", [1e-9, 1e-7, 10e-6, 300e-6])
def test_single_precision_is_enough_for_short_pulses(make, width):
    """With the gain tau/width, which makes up for the charge; the times are 0.1 ns to 2 ms."""
    t = np.concatenate([np.geomspace(1e-10, 1e-5, 20), MIDDLES]).astype(np.float32)
    ours = make(tau=TAU).pulse(jnp.asarray(t), width) * (TAU / width)
    assert ours.dtype == jnp.float32
    with jax.enable_x64(True):
        exact = np.asarray(make(tau=TAU).pulse(jnp.asarray(t, jnp.float64), width)) * (TAU / width)
    np.testing.assert_allclose(ours, exact, rtol=2e-5, atol=1e-7)


@filters
def test_a_short_pulse_comes_to_the_kernel(x64, make):
    t = jnp.asarray(MIDDLES)
    np.testing.assert_allclose(make(tau=TAU).pulse(t, 1e-9) * (TAU / 1e-9), make(tau=TAU).kernel(t), rtol=1e-4)


@filters
def test_slopes_in_the_time_constant_are_finite_differences(x64, make):
    """Times in the pulse, at its start, and behind it; short ones and long ones."""
    t = jnp.asarray([0.0, 1e-7, 5e-6, 2e-5, 3e-4, 2e-3])

    for width in (1e-8, 1e-5, 1e-4):

        def answer(tau, width=width):
            return make(tau=tau).pulse(t, width)

        exact = jax.jacfwd(answer)(jnp.asarray(TAU))
        numeric = (answer(TAU * (1 + 1e-5)) - answer(TAU * (1 - 1e-5))) / (2e-5 * TAU)
        np.testing.assert_allclose(exact, numeric, rtol=1e-6, atol=1e-8 * float(np.abs(numeric).max()))
        reverse = jax.jacrev(answer)(jnp.asarray(TAU))
        np.testing.assert_allclose(reverse, exact, rtol=1e-9)
