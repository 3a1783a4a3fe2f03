"""What laws are computed with: against double precision, and derivatives against those of the plain formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from memspike.devices import MetastableSwitch
from memspike.devices.metastable import _relaxed_by
from memspike.devices.numerics import risen


def test_a_relaxation_is_as_exact_as_float32_can_say():
    z = np.logspace(-8, 2.5, 20_000, dtype=np.float32)
    found = np.asarray(risen(jnp.asarray(z)))
    assert np.abs(found / -np.expm1(-z.astype(float)) - 1).max() < 5e-7
    assert float(risen(jnp.zeros(()))) == 0.0


def test_a_growth_is_one_digit_less_exact_and_has_an_end():
    z = np.linspace(1e-3, 17.5, 5000, dtype=np.float32)
    found = np.asarray(risen(jnp.asarray(-z)))
    assert np.abs(found / -np.expm1(z.astype(float)) - 1).max() < 1e-4
    assert np.abs(found / -np.expm1(z.astype(float)) - 1)[z < 2].max() < 1e-6
    assert np.isfinite(float(risen(jnp.asarray(-1e30))))


def test_double_precision_is_left_to_expm1(x64):
    z = jnp.asarray([1e-12, 0.3, 700.0, -3.0])
    assert np.array_equal(risen(z), -jnp.expm1(-z))


DEVICES = {
    "mif": {},
    "knowm": {"r_on": 500.0, "r_off": 1500.0, "v_on": 0.27, "v_off": -0.27, "v_scale": 25.7e-3, "tau": 1e-4},
    "steep": {"v_scale": 1e-3},
    "overlapping": {"v_on": -0.1, "v_off": 0.1, "v_scale": 2e-3},
}


@pytest.mark.parametrize("name", DEVICES)
@pytest.mark.parametrize("dt", [1e-7, 5e-5, 1e-2])
def test_the_derivatives_of_a_step_are_those_of_the_plain_formula(name, dt, x64):
    device, state = MetastableSwitch(**DEVICES[name]), jnp.linspace(0.0, 1.0, 7)[:, None]
    v = jnp.linspace(-0.6, 0.6, 25)[None, :]

    def plain(state, v):
        return _relaxed_by(device, state, v, dt)

    ones = (jnp.ones_like(state), jnp.zeros_like(v)), (jnp.zeros_like(state), jnp.ones_like(v))
    for moved in ones:
        found = jax.jvp(lambda x, u: device.advance(x, u, dt), (state, v), moved)
        wanted = jax.jvp(plain, (state, v), moved)
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_derivatives_in_parameters_and_time_are_there_too(x64):
    v = jnp.asarray(0.07)

    def after(v_on, tau, dt, state):
        return MetastableSwitch(v_on=v_on, tau=tau).advance(jnp.asarray(state), v, jnp.asarray(dt))

    point = tuple(jnp.asarray(x) for x in (0.11, 1e-3, 2e-4, 0.3))
    assert all(float(g) != 0 for g in jax.grad(after, argnums=(0, 1, 2, 3))(*point))
    check_grads(
        lambda a, b, c, d: after(0.11 * a, 1e-3 * b, 2e-4 * c, d),
        tuple(jnp.asarray(x) for x in (1.0, 1.0, 1.0, 0.3)),
        order=2,
        rtol=1e-5,
    )
