"""Phase-change memory by kernels against its law in JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike import devices
from memspike.devices import pcm_course
from memspike.devices.pcm import PCMState

pytest.importorskip("llvmlite")
PCM = {
    "plain": devices.PCM(),
    "drift of its own": devices.PCM(state_drift=0.6, nu_deviation=0.8),
    "persistent": devices.PCM(persistent=0.4, deviation=-1.5),
}


def states(shape, seed=0, oldest=5.0):
    random = np.random.default_rng(seed)
    g, history = 12e-6 * random.random(shape), random.random(shape)
    age = 10.0 ** random.uniform(-7, oldest, shape)
    return PCMState(*(jnp.asarray(x, jnp.float32) for x in (g, history, age)))


@pytest.mark.parametrize("name", PCM)
@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("shape", [(2, 3, 5), (1, 16, 16), (2, 40, 7)])
def test_pulses_and_resets_are_those_of_the_law(name, noisy, shape):
    device, state = PCM[name], states(shape)
    n = jnp.asarray(np.random.default_rng(1).choice([-2, -1, 0, 0, 0, 1, 2, 5], shape), jnp.float32)
    key = jax.random.key(7) if noisy else None
    assert pcm_course.fits(device, state)
    ours, theirs = pcm_course.programmed(device, state, n, key=key), device.program(state, n, key=key)
    np.testing.assert_allclose(ours.g, theirs.g, rtol=2e-5, atol=1e-12)
    for a, b in zip(ours[1:], theirs[1:], strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-6)


@pytest.mark.parametrize("name", PCM)
@pytest.mark.parametrize("times", [[0.05, 0.5, 0.95], [0.0, 1e-6], [1.0, 3600.0]])
@pytest.mark.parametrize("oldest", [0.0, 5.0])
def test_reads_at_several_times_against_double_precision(name, times, oldest):
    device, state = PCM[name], states((2, 9, 20), oldest=oldest)
    found = pcm_course.ahead(device, state, times)
    with jax.enable_x64(True):
        exact = jax.tree.map(lambda x: jnp.asarray(np.asarray(x, float)), (device, state))
        wanted = jnp.stack([exact[0].conductance(exact[1], t) for t in times])
    np.testing.assert_allclose(found, wanted, rtol=3e-6)


def test_old_devices_are_read_by_the_series():
    state = states((1, 4, 16))._replace(age=jnp.full((1, 4, 16), 200.0, jnp.float32))
    times = [0.0, 5.0, 24.9]
    wanted = jnp.stack([devices.PCM().conductance(state, t) for t in times])
    np.testing.assert_allclose(pcm_course.ahead(devices.PCM(), state, times), wanted, rtol=1e-6)


def test_what_has_no_kernel_is_left_to_the_law():
    varied = devices.PCM(nu=jnp.full((2, 3, 5), 0.04))
    state = states((2, 3, 5))
    joshi = devices.PCMJoshi()
    assert not pcm_course.fits(varied, state)
    assert not pcm_course.fits(joshi, joshi.init((3, 5)))
    found = pcm_course.ahead(varied, state, [1.0, 2.0])
    np.testing.assert_array_equal(found[1], varied.conductance(state, 2.0))
    np.testing.assert_array_equal(
        pcm_course.programmed(varied, state, 1, key=jax.random.key(0)).g,
        varied.program(state, 1, key=jax.random.key(0)).g,
    )


def test_gradients_and_chips_are_those_of_the_law():
    state, n = states((2, 3, 5)), jnp.ones((2, 3, 5), jnp.float32)

    def loss(program, read):
        def of(g, nu):
            device = devices.PCM(nu=nu)
            after = program(device, state._replace(g=g), n)
            return 1e6 * read(device, after).sum()

        return jax.grad(of, argnums=(0, 1))(state.g, jnp.float32(0.05))

    ours = loss(pcm_course.programmed, lambda d, s: pcm_course.ahead(d, s, [0.5, 2.0]))
    theirs = loss(lambda d, s, n: d.program(s, n), lambda d, s: d.conductance(s, 0.5) + d.conductance(s, 2.0))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-9)
    keys = jax.random.split(jax.random.key(1), 3)
    found = jax.vmap(lambda k: pcm_course.programmed(devices.PCM(), state, n, key=k).g)(keys)
    for k in range(3):
        np.testing.assert_array_equal(found[k], pcm_course.programmed(devices.PCM(), state, n, key=keys[k]).g)
