"""Deviation from fine steps, and the step that is fine enough: against brute force and made-up orders."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import memspike as ms
from memspike.networks import Events, accurate_step, feedforward, simulate
from memspike.networks.accuracy import apart, deviation, fine_enough, refined, runs_of
from memspike.neurons import AlphaFilter

T, DT = 0.8e-3, 50e-6


def small():
    """A network whose membranes are far off at 50 µs, its conductances and row pulses of two trials."""
    network = feedforward((5, 4, 3), filter=AlphaFilter(tau=0.2e-3), input_gain=20.0)
    weights = network.init_weights(2.0, key=jax.random.key(0))
    lines = network.program(tuple(jnp.clip(w, -1, 1) for w in weights))
    return network, lines, Events(0.2 * jax.random.uniform(jax.random.key(1), (2, 2, 5)), (0.0, 200e-6), 10e-6)


def test_the_step_that_is_found_is_within_the_bound_of_a_very_fine_run(x64):
    network, lines, pulses = small()
    found = accurate_step(network, lines, pulses, steps=16, dt=DT)
    times = round(DT / found.dt)
    assert times > 2
    assert times & (times - 1) == 0
    run = runs_of(network, lines, pulses, steps=16, dt=DT)
    truth = run(512)
    own = apart(run(times), truth)
    assert 0.3 * found.deviation < own < 1e-3
    assert apart(run(times // 2), truth) > 0.4e-3, "a step twice as long would have done"
    assert deviation(run, first=8) == pytest.approx(apart(run(1), truth), abs=0.05e-3)
    exact = simulate(network, lines, pulses, steps=16 * 512, dt=DT / 512)
    np.testing.assert_allclose(truth[1], exact[1], rtol=1e-9)


def test_voltages_that_are_held_are_held_as_long(x64):
    network, lines, pulses = small()
    held = jnp.repeat(jnp.asarray([[0.1, 0.0, 0.05, 0.02, 0.1], [0.0, 0.1, 0.0, 0.0, 0.05]]), 8, axis=0)
    assert refined(pulses, 3) is pulses
    found = accurate_step(network, lines, held, steps=16, dt=DT, within=2e-3)
    fine, own = (
        simulate(network, lines, refined(held, n), steps=16 * n, dt=DT / n) for n in (256, round(DT / found.dt))
    )
    assert apart(own, fine) < 2e-3


def made(order):
    """Membranes of one neuron whose error is `order` in the step, 40 mV at the first."""
    return lambda times: (jnp.full((4 * times, 1), 20e-3 + 40e-3 / times**order),)


def test_steps_are_halved_until_the_estimate_is_half_of_what_is_wanted():
    times, estimate = fine_enough(made(2))
    assert (times, estimate) == (16, pytest.approx(40e-3 / 16**2, rel=1e-3)), "40 mV / 256 is the first below 0.5 mV"
    assert fine_enough(made(2), within=100e-3)[0] == 1
    assert deviation(made(2)) == pytest.approx(40e-3, rel=0.01)
    with pytest.raises(ms.InputError, match="4096 times finer"):
        fine_enough(made(0.1))
    assert apart((jnp.zeros((2, 1)),), (jnp.full((4, 1), jnp.nan),)) == float("inf")
