"""Trains of row pulses: as many as a pixel is bright, at the right instants, on the right rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memspike as ms
from memspike.data.pulse_trains import FramePulseRate, PulseLatency, PulseRate

LEVELS = jnp.asarray([[0.0, 0.1, 0.5], [0.75, 0.999, 1.0]])


def test_a_rate_train_has_as_many_pulses_as_the_pixel_is_bright():
    encoder = PulseRate(read_voltage=0.2, pulses=8, interval=1e-3).fitted((2, 3))
    assert encoder.times == tuple(k * 1e-3 for k in range(8))
    events = encoder.encode(LEVELS, 1, 1e-5, key=jax.random.key(0))
    assert events.v.shape == (8, 7)
    assert set(np.unique(events.v)) == {np.float32(0), np.float32(0.2)}
    np.testing.assert_allclose(events.v[:, -1], 0.2)
    counts = np.asarray(events.v[:, :-1]).sum(0) / 0.2
    assert np.abs(counts - 8 * np.ravel(LEVELS)).max() < 1
    many = jax.vmap(lambda k: encoder.encode(LEVELS, 1, 1e-5, key=k).v)(jax.random.split(jax.random.key(1), 4000))
    np.testing.assert_allclose(many.mean(0)[:, :-1] / 0.2, np.tile(np.ravel(LEVELS), (8, 1)), atol=0.035)


@settings(deadline=None, max_examples=40)
@given(st.floats(0, 1), st.integers(1, 40))
def test_pulses_of_a_train_are_evenly_spaced(level, count):
    encoder = PulseRate(pulses=count, interval=1e-3).fitted((1, 1))
    sent = np.flatnonzero(np.asarray(encoder(jnp.asarray([level], jnp.float32)).v)[:, 0])
    assert abs(len(sent) - level * count) <= 0.5 + 1e-3
    assert len(sent) < 2 or np.ptp(np.diff(sent)) <= 1


def test_a_bright_pixel_sends_its_pulse_first_and_a_black_one_none():
    encoder = PulseLatency(read_voltage=0.1, pulses=4, interval=1e-3).fitted((1, 5))
    sent = np.asarray(encoder(jnp.asarray([1.0, 0.76, 0.74, 0.3, 0.0])).v)[:, :-1] / 0.1
    np.testing.assert_allclose(sent.sum(0), [1, 1, 1, 1, 0])
    np.testing.assert_array_equal(sent.argmax(0)[:4], [0, 0, 1, 2])


def test_frames_send_their_pulses_one_after_the_other_on_rows_of_their_own():
    encoder = FramePulseRate(read_voltage=0.1, pulses=2, interval=0.5e-3).fitted((3, 2))
    assert len(encoder.times) == 6
    sent = np.asarray(encoder(jnp.ones(6)).v)[:, :-1] / 0.1
    np.testing.assert_allclose(sent, np.repeat(np.repeat(np.eye(3), 2, axis=0), 2, axis=1), rtol=1e-6)
    batch = encoder.encode(jnp.stack([LEVELS.T, LEVELS.T]), 1, 1e-5, key=jax.random.key(2)).v
    assert batch.shape == (6, 2, 7)
    assert np.abs(np.asarray(batch)[..., :-1].sum(0) / 0.1 - 2 * np.ravel(np.asarray(LEVELS).T)).max() < 1


@pytest.mark.parametrize("make", [PulseRate, PulseLatency, FramePulseRate])
def test_trains_that_cannot_be_are_one_sentence(make):
    with pytest.raises(ms.InputError, match="interval of at least width"):
        make(interval=1e-6).fitted((4, 4))
    with pytest.raises(ms.InputError, match="the first instant alone"):
        make(times=(0.0, 1e-3), interval=1e-3).fitted((4, 4))
    assert make(interval=1e-3).channels((4, 4)) == 17
