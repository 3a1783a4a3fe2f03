"""Spiking neurons by kernels against the loop over arrays, and their products against plain sums."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike.neurons import ALIF, LIF, spiking_course
from memspike.neurons.lif import SpikingState
from memspike.neurons.surrogate import ArcTan, Box, FastSigmoid, Logistic
from memspike.parts.random import normal

pytest.importorskip("llvmlite")
DT = 1e-3
NEURONS = {
    "lif": LIF(theta=0.5),
    "hard": LIF(theta=0.5, soft=False, surrogate=FastSigmoid(slope=5.0)),
    "refractory": LIF(theta=0.3, refractory=3, surrogate=Box(width=0.7)),
    "alif": ALIF(theta=0.5, beta=0.3, surrogate=ArcTan(slope=1.5)),
    "all of it": ALIF(theta=0.4, beta=0.2, refractory=2, soft=False, surrogate=Logistic(slope=3.0)),
    "each its own": ALIF(theta=0.5, beta=jnp.asarray([0.0, 0.1, 0.4, 0.0, 0.2]), tau_a=0.1),
}


def drives(steps, batch, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(0.15, 0.3, (steps, *batch)), jnp.float32)


def begun(batch, neuron=None, seed=5):
    """A state in the middle of something."""
    random = np.random.default_rng(seed)
    v, a = (jnp.asarray(random.random(batch), jnp.float32) for _ in range(2))
    z, blocked = (jnp.asarray(random.integers(0, n, batch), jnp.float32) for n in (2, 3))
    if not getattr(neuron, "refractory", 0):
        blocked = jnp.zeros_like(blocked)
    return SpikingState(v, z, a, blocked, jnp.zeros(batch, jnp.float32))


@pytest.mark.parametrize("other", [jnp.zeros((4, 0), jnp.float32), jnp.zeros((4, 3), jnp.float16)])
def test_what_has_no_kernel_does_not_fit(other):
    assert not spiking_course.fits(LIF(), other)
    assert not spiking_course.fits(LIF(tau=jnp.ones(7)), jnp.zeros((4, 5), jnp.float32))


def weights(rows, neurons, parts, seed=2):
    random = np.random.default_rng(seed)

    def some(*shape):
        return jnp.asarray(random.normal(0, 0.2, shape), jnp.float32)

    return spiking_course.Weighed(
        some(parts, rows, neurons), some(parts, neurons, neurons), some(rows, neurons) ** 2, some(neurons, neurons) ** 2
    )


def looped(neuron, start, x, weighed, parts, key):
    """By products of matrices."""
    noise = None if key is None else normal(key, (len(x), *start.v.shape))
    state, found = start, []
    for t in range(len(x)):
        k = int(parts[t])
        drive = x[t] @ weighed.input[k] + state.z @ weighed.recurrent[k]
        if noise is not None:
            drive = drive + noise[t] * jnp.sqrt(
                x[t] ** 2 @ weighed.input_variance + state.z @ weighed.recurrent_variance
            )
        state = neuron.step(state, drive, DT)
        found.append(state)
    return jax.tree.map(lambda *each: jnp.stack(each), *found)


@pytest.mark.parametrize("name", NEURONS)
@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize(("rows", "batch"), [(7, (5,)), (300, (2, 5)), (20, (2, 3, 5))])
def test_a_recurrent_network_against_products_of_matrices(name, noisy, rows, batch):
    neuron, start, weighed = NEURONS[name], begun(batch, NEURONS[name]), weights(rows, 5, 3)
    random = np.random.default_rng(1)
    x = random.random((12, *batch[:-1], rows)) * (random.random((12, *batch[:-1], rows)) < 0.1)
    x, parts = jnp.asarray(x, jnp.float32), jnp.asarray(np.arange(12) // 5, jnp.int32)
    key = jax.random.key(4) if noisy else None
    ours = spiking_course.recurrent(neuron, start, x, weighed, parts, DT, key=key)
    theirs = looped(neuron, start, x, weighed, parts, key)
    np.testing.assert_array_equal(ours.z, theirs.z)
    used = ["v", "psi"] + ["a"] * (type(neuron) is ALIF) + ["blocked"] * (neuron.refractory > 0)
    for field in used:
        np.testing.assert_allclose(getattr(ours, field), getattr(theirs, field), rtol=1e-4, atol=1e-5)


def test_chips_of_a_recurrent_network_come_one_after_the_other():
    each = [weights(6, 40, 2, seed) for seed in range(3)]
    whole = jax.tree.map(lambda *w: jnp.stack(w), *each)
    x, parts = jnp.asarray(np.random.default_rng(0).random((9, 6)) < 0.3, jnp.float32), jnp.zeros(9, jnp.int32)
    keys = jax.random.split(jax.random.key(0), 3)

    def one(weighed, key):
        start = LIF().init((40,))
        return spiking_course.recurrent(LIF(theta=0.3), start, x, weighed, parts, DT, key=key).z

    found = jax.jit(jax.vmap(one))(whole, keys)
    for k in range(3):
        np.testing.assert_array_equal(found[k], one(each[k], keys[k]))


@pytest.mark.parametrize(("rows", "columns"), [(5, 3), (16, 16), (33, 100), (300, 17)])
def test_sums_of_products_and_filters_against_plain_ones(rows, columns):
    random = np.random.default_rng(rows)
    a, b = random.normal(size=(50, rows)) * (random.random((50, rows)) < 0.2), random.normal(size=(50, columns))
    ours = spiking_course.products(jnp.asarray(a, jnp.float32), jnp.asarray(b, jnp.float32))
    np.testing.assert_allclose(ours, a.T @ b, rtol=1e-5, atol=1e-5)
    for reverse in (False, True):
        y, rows_of_b = np.zeros(columns), b[::-1] if reverse else b
        found = []
        for now in rows_of_b:
            y = 0.9 * y + now
            found.append(y)
        found = np.stack(found[::-1] if reverse else found)
        ours = spiking_course.filtered(reverse, jnp.asarray(b, jnp.float32), jnp.float32(0.9))
        np.testing.assert_allclose(ours, found, rtol=1e-5, atol=1e-5)


def stepped(neuron, start, drive):
    return jax.lax.scan(lambda s, now: (neuron.step(s, now, DT),) * 2, start, drive)[1]


@pytest.mark.parametrize("name", NEURONS)
@pytest.mark.parametrize("batch", [(5,), (60, 5), (500, 5)])
def test_credit_is_the_gradient_with_other_neurons_held_fixed(name, batch):
    neuron, drive, signal = NEURONS[name], drives(20, batch), drives(20, batch, seed=9)
    start = neuron.init(batch)
    states = stepped(neuron, start, drive)
    wanted = jax.grad(lambda d: (signal * stepped(neuron, start, d).z).sum())(drive)
    np.testing.assert_allclose(spiking_course.credit(neuron, states, signal, DT), wanted, rtol=1e-4, atol=1e-5)


def test_credit_of_chips_is_a_loop():
    neurons, drive, signal = jnp.asarray([0.2, 0.4, 0.8]), drives(15, (3, 80)), drives(15, (3, 80), seed=9)

    def one(theta, drive, signal):
        neuron = LIF(theta=theta)
        states = stepped(neuron, neuron.init(drive.shape[1:]), drive)
        return spiking_course.credit(neuron, states, signal, DT)

    found = jax.vmap(one, in_axes=(0, 1, 1))(neurons, drive, signal)
    beside = jax.vmap(lambda d, s: one(jnp.float32(0.4), d, s), in_axes=1)(drive[..., :8], signal[..., :8])
    for k in range(3):
        np.testing.assert_allclose(found[k], one(neurons[k], drive[:, k], signal[:, k]), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        beside[1], one(jnp.float32(0.4), drive[:, 1, :8], signal[:, 1, :8]), rtol=1e-4, atol=1e-6
    )


PROGRAM = """
import jax, numpy as np
jax.config.update("jax_num_cpu_devices", 2)
import jax.numpy as jnp
from memspike.neurons import LIF, spiking_course
x = jnp.asarray(np.random.default_rng(0).normal(size=(10, 6)), jnp.float32)
found = jax.jit(lambda x: spiking_course.filtered(False, x, jnp.float32(0.9)))(x)
y, wanted = 0.0, []
for now in np.asarray(x):
    y = 0.9 * y + now
    wanted.append(y)
np.testing.assert_allclose(found, wanted, rtol=1e-5)
"""


def test_several_devices_do_not_share_out_time():
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=120)


@pytest.mark.parametrize("reverse", [False, True])
def test_the_gradient_of_a_filter(reverse):
    x, w = drives(9, (2, 3)), drives(9, (2, 3), seed=7)

    def looped(x, factor):
        return jax.lax.scan(lambda y, now: (factor * y + now,) * 2, jnp.zeros((2, 3)), x, reverse=reverse)[1]

    factor = jnp.float32(0.8)
    ours = jax.grad(lambda x, f: (w * spiking_course.filtered(reverse, x, f)).sum(), argnums=(0, 1))(x, factor)
    theirs = jax.grad(lambda x, f: (w * looped(x, f)).sum(), argnums=(0, 1))(x, factor)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
