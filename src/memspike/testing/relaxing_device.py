"""Contract of devices that settle at one state for every constant voltage."""

import jax
import jax.numpy as jnp
import numpy as np

from memspike.devices.base import AbstractRelaxingDevice
from memspike.testing.common import check_compiles_once, check_parameters, check_serialisation, finite_difference, same

VOLTAGES = np.linspace(-0.4, 0.4, 9)


def check_relaxing_device(device: AbstractRelaxingDevice) -> None:
    """No volts no current; passive; vmap = loop; advance follows rate, keeps bounds and reaches equilibrium."""
    assert device.source, "a device needs a source"
    check_parameters(device)
    check_serialisation(device)
    v = jnp.asarray(VOLTAGES)
    states = [device.init(), *(device.equilibrium(u) for u in v)]
    for x in states:
        assert float(device.current(x, jnp.zeros(()))) == 0.0, "current without voltage"
        power = np.asarray(device.current(x, v) * v)
        assert (power >= 0).all(), "a passive device delivered power"
        assert float(device.conductance(x)) > 0, "conductance is not positive"
        same(jax.vmap(lambda u, x=x: device.current(x, u))(v), device.current(x, v), 1e-12, "vmap of current")
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
    check_compiles_once(lambda d: d.advance(d.init(), v, 1e-3), device)
