"""The frame of a step, in plain loops, and the same everywhere that asks for it."""

import jax.numpy as jnp
import numpy as np
import pytest

from memspike.data import Augment, Examples, FrameRate, FrameSpikes
from memspike.data.frames import frame_at, steps_of

# also frames of two and a half steps, where the middle of a step is the end of a frame
TIMES = [(5e-3, 1e-3), (2.5e-3, 1e-3), (3e-4, 5e-5), (1e-3, 1e-3), (7e-3, 3e-3)]


@pytest.mark.parametrize(("frame_time", "dt"), TIMES)
def test_a_step_shows_the_frame_in_which_its_middle_lies(frame_time, dt):
    ratio = round(frame_time / dt * 1e6)  # in whole numbers: of a step, 10⁶ parts
    for frames in range(1, 9):
        inside = [k for k in range(200) if 1_000_000 * k + 500_000 < frames * ratio]
        assert steps_of(frames, frame_time, dt) == len(inside)
        assert frame_at(len(inside), frame_time, dt).max() == frames - 1
    found = frame_at(40, frame_time, dt)
    assert found.tolist() == [(1_000_000 * k + 500_000) // ratio for k in range(40)]
    assert frame_at(40, frame_time, dt, 3).tolist() == np.minimum(found, 2).tolist()


@pytest.mark.parametrize(("frame_time", "dt"), TIMES)
def test_spikes_lengths_and_numbers_wanted_agree(frame_time, dt):
    """A step belongs to an example of n frames exactly where its drive and its target are those of these frames."""
    frames, encoder = 6, FrameRate(frame_time=frame_time)
    steps = encoder.steps((frames, 1), dt)
    assert steps == FrameSpikes(frame_time=frame_time, dt=dt).steps(frames) == steps_of(frames, frame_time, dt)
    lengths = jnp.arange(1, frames + 1)
    y = jnp.broadcast_to(jnp.arange(frames, dtype=float)[None, :, None], (frames, frames, 1))
    trials = Examples(jnp.ones((frames, frames, 1)), y, encoder, Augment(), 1, 1.0, steps, dt, lengths=lengths)
    shown = frame_at(steps, frame_time, dt, frames)
    np.testing.assert_array_equal(trials.wanted(y)[:, 0, 0], shown)
    for n, own in zip(range(1, frames + 1), np.asarray(trials.own(lengths)), strict=True):
        assert own == (shown < n).sum()
    cut = trials._cut(jnp.ones((steps, frames, 1)), lengths, dt)
    np.testing.assert_array_equal(cut[..., 0].sum(0), trials.own(lengths))
