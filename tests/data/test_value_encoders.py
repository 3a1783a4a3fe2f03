"""Changes, places on a scale and counts as spikes: each against a plain loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memspike as ms
from memspike.data.value_encoders import Delta, FrameLatency, Population, Spikes
from memspike.parts.registry import ENCODERS

KEY = jax.random.key(0)


def frames(seed, *shape):
    return np.random.default_rng(seed).random(shape)


def sent_on_delta(x, threshold, per_frame):
    """Step by step, channel by channel."""
    count, channels = x.shape
    known, found = np.zeros(channels), np.zeros((count * per_frame, 2 * channels))
    for t in range(count * per_frame):
        for c in range(channels):
            change = x[t // per_frame, c] - known[c]
            if abs(change) >= threshold * (1 - 1e-4):
                found[t, c if change > 0 else channels + c] = 1
                known[c] += threshold * np.sign(change)
    return found


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from([0.05, 0.1, 0.3, 1.0]))
def test_delta_is_a_loop_that_sends_on_change(seed, threshold):
    x = np.round(frames(seed, 6, 3), 2)
    encoder = Delta(threshold=threshold, frame_time=4e-3)
    sent = encoder.encode(jnp.asarray(x, jnp.float32), 24, 1e-3, key=KEY)
    assert sent.shape == (encoder.steps((6, 3), 1e-3), encoder.channels((6, 3)))
    np.testing.assert_array_equal(sent, sent_on_delta(x.astype(np.float32), threshold, 4))


def test_the_sum_of_all_changes_is_the_value_where_there_are_steps_enough():
    x = frames(3, 5, 4, 2)
    sent = np.asarray(Delta(threshold=0.02, frame_time=60e-3).encode(jnp.asarray(x), 240, 1e-3, key=KEY))
    known = 0.02 * (sent[..., :2] - sent[..., 2:]).cumsum(0)[59::60]
    np.testing.assert_allclose(np.moveaxis(known, 0, 1), x, atol=0.0201)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.integers(1, 9))
def test_spikes_are_as_many_as_were_counted_in_each_frame(seed, per_frame):
    counts = np.random.default_rng(seed).integers(0, 8, (2, 5, 3))
    encoder = Spikes(count=7.0, frame_time=per_frame * 1e-3)
    sent = np.asarray(encoder.encode(jnp.asarray(counts / 7, jnp.float32), 5 * per_frame, 1e-3, key=KEY))
    assert set(np.unique(sent)) <= {0.0, 1.0}
    by_frame = sent.reshape(5, per_frame, 2, 3).sum(1)
    np.testing.assert_array_equal(np.moveaxis(by_frame, 0, 1), np.minimum(counts, per_frame))


def test_spikes_of_a_frame_are_evenly_spaced():
    sent = np.asarray(Spikes(count=4.0, frame_time=12e-3).encode(jnp.ones((1, 1)), 12, 1e-3, key=KEY))[:, 0]
    np.testing.assert_array_equal(np.diff(np.flatnonzero(sent)), 3)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.integers(1, 9))
def test_a_large_value_spikes_early_in_its_frame(seed, per_frame):
    x = np.round(frames(seed, 5, 3), 1)
    sent = FrameLatency(frame_time=per_frame * 1e-3).encode(jnp.asarray(x), 5 * per_frame, 1e-3, key=KEY)
    expected = np.zeros((5 * per_frame, 3))
    for t in range(5):
        for c in range(3):
            if x[t, c] > 0:
                late = int((np.float32(1) - np.float32(x[t, c])) * np.float32(per_frame))
                expected[t * per_frame + min(late, per_frame - 1), c] = 1
    np.testing.assert_array_equal(sent, expected)


def test_spikes_need_to_know_what_a_value_of_one_counts():
    with pytest.raises(ms.InputError, match=r"encoder\.count is none"):
        Spikes().encode(jnp.ones((1, 1)), 5, 1e-3, key=KEY)


def test_a_population_has_gaussian_fields_from_0_to_1():
    encoder, x = Population(fields=5, max_rate=200.0, frame_time=50e-3), frames(5, 4, 2)
    levels = np.asarray(encoder.levels(jnp.asarray(x)))
    for t in range(4):
        for c in range(2):
            for k in range(5):
                expected = np.exp(-((x[t, c] - k / 4) ** 2) / (2 * (1 / (1.5 * 4)) ** 2))
                np.testing.assert_allclose(levels[t, 5 * c + k], expected, rtol=1e-5)
    assert encoder.channels((4, 2)) == 10
    many = jax.vmap(lambda k: encoder.encode(jnp.asarray(x), 200, 1e-3, key=k).sum(0))(jax.random.split(KEY, 400))
    np.testing.assert_allclose(many.mean(0), 200.0 * 50e-3 * levels.sum(0), rtol=0.02, atol=0.05)


@pytest.mark.parametrize("name", ["delta", "frame-latency", "spikes", "population"])
def test_a_batch_is_its_examples(name):
    make = ENCODERS.get(name).value
    encoder = make(count=3.0) if name == "spikes" else make()
    x = jnp.asarray(frames(7, 3, 4, 2), jnp.float32)
    steps = encoder.fitted((4, 2)).steps((4, 2), 1e-3)
    batch = encoder.encode(x, steps, 1e-3, key=KEY)
    assert batch.shape == (steps, 3, encoder.channels((4, 2)))
    if name != "population":  # whose phases are drawn for a batch
        for k in range(3):
            np.testing.assert_array_equal(batch[:, k], encoder.encode(x[k], steps, 1e-3, key=KEY))


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Delta(threshold=2.0), "threshold"),
        (lambda: Population(fields=1), "fields"),
        (lambda: Spikes(count=-1.0), "count"),
    ],
)
def test_encoders_out_of_bounds_are_one_sentence(make, word):
    with pytest.raises(ms.InputError, match=word):
        make()
