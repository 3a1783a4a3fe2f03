"""Data sets that need no download: digits that ship with the package, and trials of evidence accumulation."""

import hashlib
import zipfile
from pathlib import Path

import numpy as np

from memspike.data.base import Dataset
from memspike.data.source import Arrays
from memspike.parts.atomic import read_arrays
from memspike.parts.errors import RunError
from memspike.parts.registry import DATASETS

DIGITS = Path(__file__).with_name("digits.npz")
# it stands in the file too
ABOUT_DIGITS = (
    "Test part of: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, "
    "1998, https://archive.ics.uci.edu/dataset/80. Licence: Creative Commons Attribution 4.0 International "
    "(CC BY 4.0), https://creativecommons.org/licenses/by/4.0/. Changed: split into 1,437 and 360 images, stratified "
    "by class."
)

TEST_IMAGES = 360
# of the bytes of all arrays, one after the other
DIGITS_SHA256 = "f40c48f790c13309b7ec86e39f96e1a840a1da2b136e676d7306d4444ae97648"
CUES, SHOWN, GAP, DELAY, RECALL = 7, 2, 1, (10, 20), 3
GROUP, FRAME = 10, 50e-3
FRAMES = CUES * (SHOWN + GAP) + DELAY[1] + RECALL
# of a full-scale value; a frame of 255 is 40 Hz in the source, the background is 10 Hz
FULL, BACKGROUND = 255, 64
LIKELY = 0.7
TRAIN, TEST = 2048, 512
LEFT, RIGHT, ASKED, NOISE = (slice(k * GROUP, (k + 1) * GROUP) for k in range(4))


def digest(arrays: Arrays) -> str:
    """The SHA-256 of the bytes of all arrays, one after the other."""
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays.values())).hexdigest()


@DATASETS.register(
    "digits",
    "1,797 handwritten digits, 8×8, shipped with memspike; fixed stratified split 1,437 / 360",
    "Alpaydin & Kaynak, UCI Optical Recognition of Handwritten Digits, CC BY 4.0",
)
def digits() -> Dataset:
    """Values 0 … 16 a pixel. RunError where the file of the package is damaged."""
    try:
        found = read_arrays(DIGITS)
        x_train, y_train, x_test, y_test = (found[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise RunError(f"{DIGITS} cannot be read ({error}); install memspike again.") from None
    if digest({"x": x_train, "y": y_train, "x_test": x_test, "y_test": y_test}) != DIGITS_SHA256:
        raise RunError(f"{DIGITS} holds other data than the published; install memspike again.")
    return Dataset("digits", x_train, y_train, x_test, y_test, classes=10, full_scale=16.0)


def _trials(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Frames [count, frames, channels] and the side with more cues, 0 left, 1 right."""
    x = np.zeros((count, FRAMES, 4 * GROUP), np.uint8)
    x[:, :, NOISE] = BACKGROUND
    x[:, -RECALL:, ASKED] = FULL
    likely = rng.integers(0, 2, (count, 1))
    sides = np.where(rng.random((count, CUES)) < LIKELY, likely, 1 - likely)
    delay = rng.integers(DELAY[0], DELAY[1] + 1, count)
    for k in range(CUES):
        for frame in range(SHOWN):
            at = DELAY[1] - delay + k * (SHOWN + GAP) + frame
            for side, group in enumerate((LEFT, RIGHT)):
                chosen = np.flatnonzero(sides[:, k] == side)
                x[chosen, at[chosen], group] = FULL
    return x, (sides.sum(1) > CUES // 2).astype(np.int32)


@DATASETS.register(
    "evidence",
    "7 cues left or right, a silence of 0.5 to 1 s, then the question which side had more; 2,048 / 512 trials",
    "the task of Bellec et al., Nat. Commun. 11: 3625 (2020), doi 10.1038/s41467-020-17236-y; no licence needed",
)
def evidence() -> Dataset:
    """Frames of 50 ms on 4 × 10 channels: left, right, the question, background; the same trials at every call.

    Each cue is on the likely side with a probability of 0.7; the likely side is drawn for each trial. A cue lasts
    100 ms with 50 ms in between, the question 150 ms. A full-scale value stands for 40 Hz.
    """
    rng = np.random.default_rng(20200717)
    train, test = _trials(TRAIN, rng), _trials(TEST, rng)
    return Dataset("evidence", *train, *test, 2, float(FULL))


def _mackey_glass(count: int) -> np.ndarray:
    """dx/dt = 0.2·x(t − 17)/(1 + x(t − 17)¹⁰) − 0.1·x, one value every second of `count`, by Heun's method at 0.1 s.

    It starts from 1.2 before t = 0; the first 200 s are left out.
    """
    step, late, before = 0.1, 170, 2000
    x = np.full(late + 1 + before + 10 * count, 1.2)

    def slope(now: float, past: float) -> float:
        return 0.2 * past / (1 + past**10) - 0.1 * now

    for k in range(late, len(x) - 1):
        first = slope(x[k], x[k - late])
        x[k + 1] = x[k] + step / 2 * (first + slope(x[k] + step * first, x[k + 1 - late]))
    return x[late + 1 + before :: 10]


@DATASETS.register(
    "mackey-glass",
    "a noisy Mackey-Glass series: its value 6 s ahead, from one value a second; 400 / 100 pieces of 40 s",
    "the series of Mackey & Glass, Science 197: 287 (1977), doi 10.1126/science.267326; no licence needed",
)
def mackey_glass() -> Dataset:
    """Values [pieces, 40, 1] with Gaussian noise of 0.02, scaled to [0, 1] over 0.2 … 1.5, and the value 6 s later.

    Targets are noiseless, less the mean of the training part over its standard deviation. Pieces follow one another;
    the test part comes last. The noise is the same at every call.
    """
    frames, ahead, low, high = 40, 6, 0.2, 1.5
    pieces, train = 500, 400
    series = _mackey_glass(pieces * frames + ahead)
    noisy = series[:-ahead] + np.random.default_rng(19770715).normal(0, 0.02, pieces * frames)
    x = np.clip((noisy - low) / (high - low), 0, 1).astype(np.float32).reshape(pieces, frames, 1)
    y = series[ahead:].reshape(pieces, frames, 1)
    y = ((y - y[:train].mean()) / y[:train].std()).astype(np.float32)
    return Dataset("mackey-glass", x[:train], y[:train], x[train:], y[train:], 1, 1.0)
