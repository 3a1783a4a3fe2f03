"""Spoken digits as frames of a model of the inner ear: the official split, or one speaker against the others."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, Int16, UInt8

from memspike.data import store
from memspike.data.base import Dataset
from memspike.data.source import DIGITS
from memspike.data.store import SPOKEN_DIGITS
from memspike.parts.errors import InputError, unknown
from memspike.parts.registry import DATASETS

OFFICIAL_TEST = 5
FULL_SCALE = 255.0
SMOOTHING = 5


def erb_rate(f: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Number of equivalent rectangular bandwidths below the frequency `f` in Hz (Glasberg & Moore 1990, eq. 4)."""
    return 21.4 * np.log10(1 + 4.37e-3 * f)


def equally_spaced(f_low: float, f_high: float, count: int) -> Float[np.ndarray, " count"]:
    """Frequencies in Hz from `f_low` to `f_high`, equally spaced on the ERB-rate scale."""
    low, high = erb_rate(np.array([f_low, f_high], dtype=float))
    return (10 ** (np.linspace(low, high, count) / 21.4) - 1) / 4.37e-3


@dataclass(frozen=True)
class Cochlea:
    """Gammatone filters, half-wave rectification, low pass, endpoints, frames, levels in decibel.

    The frames of an utterance have equal lengths and fill it from end to end, so that every utterance has as many,
    however fast it was spoken. Levels count from the loudest frame and channel of the same utterance: nothing is
    learned from other recordings.

    channels: filters, equally spaced on the ERB-rate scale
    f_low, f_high: centre frequencies of the first and the last filter in Hz
    frames: frames of an utterance
    bin: seconds over which the rectified signal is averaged (the low pass)
    silence: decibel; the utterance begins and ends where its loudness is as far below its loudest moment
    range: decibel below the loudest frame and channel that count as no sound at all
    rate: samples a second

    Source: filters of Slaney, Apple TR 35 (1993), as in scipy.signal.gammatone; ERB scale of Glasberg & Moore,
    Hear. Res. 47: 103 (1990), doi 10.1016/0378-5955(90)90170-T.

    InputError for frequencies that do not ascend below half the rate, and counts or levels that are too small.
    """

    channels: int = 24
    f_low: float | int = 100.0
    f_high: float | int = 3600.0
    frames: int = 16
    bin: float | int = 2e-3
    silence: float | int = 25.0
    range: float | int = 50.0
    rate: float | int = 8000.0

    def __post_init__(self) -> None:
        if not 0 < self.f_low < self.f_high < self.rate / 2:
            raise InputError(
                f"The filters of a cochlea go from {self.f_low:g} to {self.f_high:g} Hz; needed: ascending, above 0 "
                f"and below {self.rate / 2:g} Hz, half the sampling rate."
            )
        if self.channels < 2 or self.frames < 1 or self.bin * self.rate < 1 or min(self.silence, self.range) <= 0:
            raise InputError(
                f"{self} is no cochlea; needed: two or more channels, a frame or more, bins of a sample or more, "
                "silence and range above 0 dB."
            )

    @property
    def frequencies(self) -> Float[np.ndarray, " channels"]:
        """Centre frequencies in Hz, ascending."""
        return equally_spaced(self.f_low, self.f_high, self.channels)

    @cached_property
    def filters(self) -> list[tuple[Float[np.ndarray, " b"], Float[np.ndarray, " a"]]]:
        """Numerator and denominator of each filter, unit gain at its centre."""
        from scipy.signal import gammatone

        return [gammatone(f, "iir", fs=self.rate) for f in self.frequencies]

    def envelopes(self, sound: Int16[np.ndarray, " samples"]) -> Float[np.ndarray, "bins channels"]:
        """Mean of the half-wave rectified output of each filter in every whole bin; full scale of `sound` is 1.

        InputError for a recording shorter than a bin.
        """
        per_bin = round(self.bin * self.rate)
        x = sound.astype(np.float64) / 32768
        bins = len(x) // per_bin
        if not bins:
            raise InputError(f"A recording of {len(x)} samples is too short; needed: {per_bin} or more.")
        from scipy.signal import lfilter

        out = np.stack([lfilter(b, a, x)[: bins * per_bin] for b, a in self.filters], axis=1)
        return np.maximum(out, 0).reshape(bins, per_bin, -1).mean(axis=1)

    def endpoints(self, envelopes: Float[np.ndarray, "bins channels"]) -> slice:
        """The bins from the first to the last that is loud enough, after a moving mean of five bins."""
        loudness = np.convolve(envelopes.mean(axis=1), np.full(SMOOTHING, 1 / SMOOTHING), "same")
        loud = np.flatnonzero(loudness >= loudness.max() * 10 ** (-self.silence / 20))
        return slice(int(loud[0]), int(loud[-1]) + 1)

    def levels(self, sound: Int16[np.ndarray, " samples"]) -> Float[np.ndarray, "frames channels"]:
        """Levels between 0 (`range` below the loudest) and 1 (the loudest); all 0 for silence."""
        envelopes = self.envelopes(sound)
        spoken = frame_means(envelopes[self.endpoints(envelopes)], self.frames)
        loudest = spoken.max()
        if loudest <= 0:
            return np.zeros_like(spoken)
        floor = 10 ** (-self.range / 20)
        return 1 + 20 * np.log10(np.maximum(spoken / loudest, floor)) / self.range

    def __call__(self, sounds: Iterable[Int16[np.ndarray, " _"]]) -> UInt8[np.ndarray, "utterances frames channels"]:
        """Cochleagrams of many recordings as bytes, 255 for the loudest frame and channel of each."""
        return np.stack([np.round(FULL_SCALE * self.levels(x)).astype(np.uint8) for x in sounds])


def frame_means(x: Float[np.ndarray, "bins channels"], frames: int) -> Float[np.ndarray, "frames channels"]:
    """Means of `x`, taken as constant within each bin, over `frames` equal parts; parts may be shorter than a bin."""
    bins = len(x)
    summed = np.concatenate([np.zeros_like(x[:1]), np.cumsum(x, axis=0)])
    edges = np.linspace(0, bins, frames + 1)
    at: Int[np.ndarray, " edges"] = np.minimum(edges.astype(int), bins - 1)
    until = summed[at] + (edges - at)[:, None] * x[at]
    return np.stack([b - a for a, b in pairwise(until)]) * (frames / bins)


@lru_cache(maxsize=4)
def _cochleagrams(path: Path, modified: int, cochlea: Cochlea) -> UInt8[np.ndarray, "utterances frames channels"]:
    """Of all recordings in the cache file `path` as it was `modified` (ns): computed once a process."""
    return cochlea(SPOKEN_DIGITS.split(store.cached(SPOKEN_DIGITS)))


def held_out(leave_out: str | None) -> Bool[np.ndarray, " recordings"]:
    """Which recordings are the test part: repetitions 0 to 4, or all of one speaker."""
    repetition, speaker, _ = SPOKEN_DIGITS.labels.T
    if leave_out is None:
        return repetition < OFFICIAL_TEST
    if leave_out not in SPOKEN_DIGITS.speakers:
        raise unknown("speaker", leave_out, SPOKEN_DIGITS.speakers)
    return speaker == SPOKEN_DIGITS.speakers.index(leave_out)


@DATASETS.register(SPOKEN_DIGITS.name, SPOKEN_DIGITS.doc, SPOKEN_DIGITS.licence)
def spoken_digits(leave_out: str | None = None, cochlea: Cochlea | None = None) -> Dataset:
    """Cochleagrams [utterances, frames, channels] of the recordings in the cache, labels 0 … 9.

    Both parts are in the order of the repetitions, and within one speaker by speaker, digit by digit: the last
    examples (`Dataset.held_out`) are later repetitions of everything. `leave_out` names a speaker who is the test
    part; without, it is the official one, the first five repetitions.

    InputError for an unknown speaker.
    """
    test = held_out(leave_out)
    path = store.present(SPOKEN_DIGITS)
    x = _cochleagrams(path, path.stat().st_mtime_ns, cochlea or Cochlea(rate=SPOKEN_DIGITS.rate))
    y = SPOKEN_DIGITS.labels[:, 2].astype(np.int32)
    return Dataset(SPOKEN_DIGITS.name, x[~test], y[~test], x[test], y[test], DIGITS, FULL_SCALE)
