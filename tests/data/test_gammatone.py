"""The gammatone encoder against the filters of scipy, and waveforms from files to spikes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import freqz, gammatone, lfilter

import memspike as ms
from memspike.config.build import classification
from memspike.data import Gammatone, load_file
from memspike.data.gammatone import impulse_responses
from memspike.experiments import resolve

RATE, KEY = 8000.0, jax.random.key(0)
SMALL = Gammatone(rate=RATE, filters=6, f_low=150.0, f_high=3000.0, hop=5e-3, window=10e-3, max_rate=400.0)


def tones(count=24, seconds=0.1, seed=0):
    """Low and high tones, and which is which."""
    rng, t = np.random.default_rng(seed), np.arange(round(seconds * RATE)) / RATE
    y = np.arange(count) % 2
    pitch = np.where(y == 1, 2000, 300) * rng.uniform(0.9, 1.1, count)
    return np.sin(2 * np.pi * pitch[:, None] * t + rng.uniform(0, 6, (count, 1))), y


def test_the_filters_are_those_of_scipy():
    """The finite response tap by tap; the response in frequency as of the infinite filter, near its centre."""
    centres = SMALL.frequencies
    taps = impulse_responses(centres, RATE)
    f = np.linspace(50, 3900, 400)
    for tap, centre in zip(taps, centres, strict=True):
        b, _ = gammatone(centre, "fir", fs=RATE, numtaps=len(tap))
        np.testing.assert_allclose(tap, b, atol=1e-12)
        width, t = 2 * np.pi * 1.019 * (centre / 9.26449 + 24.7), np.arange(len(tap)) / RATE
        law = width**4 / (3 * RATE) * t**3 * np.exp(-width * t) * np.cos(2 * np.pi * centre * t)
        np.testing.assert_allclose(tap, law, atol=1e-12)
        assert np.abs(tap[-8:]).max() < 2e-5 * np.abs(tap).max()
        response: Any = freqz
        filters: Any = ((tap, 1), gammatone(centre, "iir", fs=RATE))
        own, other = (np.abs(response(*one, worN=f, fs=RATE)[1]) for one in filters)
        near = other > 0.1
        np.testing.assert_allclose(own[near], other[near], atol=0.03)
        assert own[~near].max() < 0.14


def test_envelopes_are_means_of_what_a_filter_lets_through(x64):
    x = np.random.default_rng(1).normal(size=(2, 900))
    found = np.asarray(SMALL.envelopes(jnp.asarray(0.5 + 0.5 * x / np.abs(x).max())))
    taps = impulse_responses(SMALL.frequencies, RATE)
    assert found.shape == (2, 22, 6)
    for k, tap in enumerate(taps):
        out = np.maximum(lfilter(tap, 1, x / np.abs(x).max(), axis=1), 0)[:, :880].reshape(2, 22, 40).mean(-1)
        before = np.concatenate([np.zeros((2, 1)), out[:, :-1]], axis=1)
        np.testing.assert_allclose(found[..., k], 0.5 * (out + before), atol=1e-12)


def test_levels_are_decibel_below_the_loudest():
    x, y = tones(4)
    levels = np.asarray(SMALL.levels(jnp.asarray(0.5 + 0.1 * x[:, :, None], jnp.float32)))
    assert levels.shape == (4, 20, 6)
    np.testing.assert_allclose(levels.max((1, 2)), 1, rtol=1e-5)
    assert levels.min() >= 0
    quiet = np.asarray(SMALL.levels(jnp.asarray(0.5 + 0.01 * x[:, :, None], jnp.float32)))
    np.testing.assert_allclose(quiet, levels, atol=2e-3)
    loudest = levels.mean(1).argmax(1)
    assert ((loudest > 3) == (y == 1)).all()
    means = np.asarray(SMALL.envelopes(jnp.asarray(0.5 + 0.1 * x, jnp.float32)))
    decibel = 20 * np.log10(means / means.max((1, 2), keepdims=True))
    np.testing.assert_allclose(levels, np.maximum(1 + decibel / 50, 0), atol=2e-3)
    assert not np.asarray(SMALL.levels(jnp.full((1, 800, 1), 0.5))).any()


def test_two_microphones_have_channels_of_their_own():
    x = jnp.asarray(0.5 + 0.4 * tones(2)[0].T[None], jnp.float32)
    spikes = SMALL.encode(x, SMALL.steps((800, 2), 1e-3), 1e-3, key=KEY)
    assert spikes.shape == (100, 1, SMALL.channels((800, 2)))
    for k in range(2):
        own = np.asarray(SMALL.levels(x[..., k : k + 1]))
        both = np.asarray(SMALL.levels(x))[..., 6 * k : 6 * k + 6]
        np.testing.assert_allclose(both.argmax(-1), own.argmax(-1))


def npz(folder, **more):
    x, y = tones()
    given = {"x": x, "y": np.array(["low", "high"])[y], "rate": RATE} | more
    np.savez(folder / "tones.npz", **{name: value for name, value in given.items() if value is not None})
    return folder / "tones.npz"


def test_waveforms_of_an_npz_are_learned_with_their_lengths(tmp_path):
    lengths = np.where(np.arange(24) < 4, 400, 800)
    path = npz(tmp_path, lengths=lengths)
    data = load_file(path)
    assert (data.rate, data.x_train.shape[1:], float(data.x_train.min())) == (
        RATE,
        (800, 1),
        pytest.approx(0, abs=1e-2),
    )
    short = data.x_train[data.lengths_train == 400]
    assert (short[:, 400:] == 0.5).all()
    keys = [f"data.name={path}", "encoder=gammatone", "encoder.filters=6", "network.layers=[12]", "training.epochs=8"]
    keys += ["learning.scheme=fp32", "training.batch=6", "encoder.max_rate=400"]
    given = classification(resolve("eprop-spoken", keys).settings)
    assert given.learner.network.shapes[0][0] == 6
    x = jnp.asarray(short[:1])
    trials: Any = given.population.trials
    drive = trials.shown(x, 1e-3, jnp.asarray([400]), key=KEY)
    assert drive.shape == (50, 1, 6)
    assert drive[:25].sum() > 10
    assert not drive[25:].any()
    result = ms.experiments.run(resolve("eprop-spoken", keys).settings, tmp_path / "run")
    assert result["test_accuracy"] == 1.0


@pytest.mark.parametrize(
    ("more", "keys", "words"),
    [
        ({}, ["encoder=frame-rate"], r"holds waveforms at 8000 Hz.*set encoder=gammatone"),
        ({"rate": None}, ["encoder=gammatone"], "does not say how many samples a second"),
        ({}, ["encoder=gammatone", "encoder.rate=16kHz"], r"encoder\.rate is 16000 Hz, but .* has 8000"),
        ({}, ["encoder=gammatone", "encoder.f_high=4.5kHz"], "below half the sampling rate, 4000 Hz"),
        ({}, ["encoder=gammatone", "encoder.hop=1s", "encoder.window=1s"], "shorter than a hop"),
        ({}, ["encoder=gammatone", "data.scale=range"], r"data\.scale is range, but the scale of waveforms"),
        ({}, ["encoder=gammatone", "data.frames=5"], "these are waveforms, which have no frames"),
        ({"rate": np.array([1.0, 2.0])}, ["encoder=gammatone"], "one number above 0 is needed"),
        ({"x": np.zeros((24, 800))}, ["encoder=gammatone"], "All waveforms are silent"),
        ({"x": np.zeros((24, 800), np.uint8)}, ["encoder=gammatone"], "waveforms are floats or signed"),
        ({"rate": None}, ["encoder=gammatone", "data.kind=waveforms"], "has no array called rate"),
    ],
)
def test_what_cannot_be_heard_is_one_sentence(more, keys, words, tmp_path):
    path = npz(tmp_path, **more)
    with pytest.raises(ms.InputError, match=words):
        classification(resolve("eprop-spoken", [f"data.name={path}", *keys]).settings)


@pytest.mark.parametrize("given", [{"hop": 1e-5, "rate": 8000.0}, {"window": 1e-3}, {"f_low": 500.0, "f_high": 400.0}])
def test_filters_that_make_no_sense_are_refused(given):
    with pytest.raises(ms.InputError):
        Gammatone(**given)
