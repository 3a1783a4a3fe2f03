"""Contract of devices that settle at one state for every constant voltage."""

import jax.numpy as jnp
import numpy as np

from memspike.devices.base import AbstractRelaxingDevice
from memspike.testing.common import finite_difference
from memspike.testing.state_device import check_state_device

VOLTAGES = np.linspace(-0.4, 0.4, 9)


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
