"""Imported devices of aihwkit against what aihwkit 1.2.0 itself was seen to do."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike import devices


def law_of(device: Any) -> Any:
    """What is inside all wrappers."""
    return law_of(device.device) if isinstance(device, devices.AbstractWrapper) else device


def weight(law: Any, g: Any, low: float, high: float) -> Any:
    """Conductances in units of aihwkit."""
    return low + (high - low) * (np.asarray(g) - float(law.g_min)) / float(law.g_max - law.g_min)


@pytest.mark.parametrize("sign", [1, -1])
def test_hundred_pulses_of_soft_bounds(sign):
    law = law_of(devices.from_aihwkit({"device": "SoftBoundsDevice"}).device)
    start = law.place(law.init(), law.g_min if sign > 0 else law.g_max)
    assert weight(law, law.program(start, 100 * sign), -0.6, 0.6) == pytest.approx(-sign * 0.41564, abs=1e-5)


def test_a_pulse_of_power_steps_at_zero_is_half_a_step():
    law = law_of(devices.from_aihwkit({"device": "PowStepDevice"}).device)
    start = law.place(law.init(), 0.5 * (law.g_min + law.g_max))
    assert weight(law, law.program(start, 1), -0.6, 0.6) == pytest.approx(0.5e-3, rel=2e-3)


def test_pulses_over_the_range_of_the_exponential_preset():
    law = law_of(devices.find("reram-es"))
    signs = jnp.asarray([1.0, -1.0])
    start = law.place(law.init((2,)), jnp.stack([law.g_min, law.g_max]))
    passed = jax.lax.scan(lambda g, _: (law.program(g, signs),) * 2, start, None, length=1300)[1]
    reached = np.asarray(signs) * weight(law, passed, -1.0, 1.0) >= 0.99
    np.testing.assert_allclose(reached.argmax(0) + 1, [1245, 993], atol=1)


def test_the_symmetry_point_of_the_exponential_preset():
    response = devices.response(law_of(devices.find("reram-es")))
    assert 2 * response.symmetry_point - 1 == pytest.approx(-0.218, abs=2e-3)
    assert jnp.isfinite(response.up).all()
