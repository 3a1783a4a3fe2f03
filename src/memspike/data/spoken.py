"""Spoken digits as cochleagrams: the official split, or one speaker against the others."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8

from memspike.data import store
from memspike.data.base import Dataset
from memspike.data.cochlea import FULL_SCALE, Cochlea
from memspike.data.recordings import DIGITS
from memspike.data.sources import SPOKEN_DIGITS
from memspike.parts.errors import unknown
from memspike.parts.registry import DATASETS

OFFICIAL_TEST = 5


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
    """
    test = held_out(leave_out)
    path = store.present(SPOKEN_DIGITS)
    x = _cochleagrams(path, path.stat().st_mtime_ns, cochlea or Cochlea(rate=SPOKEN_DIGITS.rate))
    y = SPOKEN_DIGITS.labels[:, 2].astype(np.int32)
    return Dataset(SPOKEN_DIGITS.name, x[~test], y[~test], x[test], y[test], DIGITS, FULL_SCALE)
