"""Values → [0, 1]: what is fitted, is fitted on the frames of the training part."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped

from memspike.data.files.options import IMAGES, WAVES
from memspike.data.files.raw import Raw
from memspike.parts.errors import InputError

BYTE = 255.0
DEVIATIONS = 3.0
Values = Shaped[np.ndarray, "examples frames channels"]


class Scaling(NamedTuple):
    """(value − low)·gain, clipped to [0, 1]; without `low` values stay as they are, of `full_scale`."""

    how: str
    full_scale: float
    low: Float[np.ndarray, "1 1 channels"] | None = None
    gain: Float[np.ndarray, "1 1 channels"] | None = None
    constant: int = 0

    def __call__(self, x: Values, own: Bool[np.ndarray, "examples frames"]) -> tuple[Values, float]:
        """The values, with zeros behind the end of every example, and the share of those that were clipped."""
        if self.low is None or self.gain is None:
            over = float((x > self.full_scale).mean())
            kept = np.minimum(x, np.asarray(self.full_scale, x.dtype))
            return (kept if x.dtype == np.uint8 else kept.astype(np.float32)), over
        level = (x - self.low) * self.gain
        outside = float(((level < 0) | (level > 1))[own].mean())
        return np.where(own[:, :, None], np.clip(level, 0, 1), 0.0).astype(np.float32), outside


def fitted(raw: Raw, train: np.ndarray, how: str | None) -> Scaling:
    """The scaling of that name, or the usual one of bytes, counts and floats."""
    x = raw.x[train]
    if raw.counts and how in (None, "range"):
        return Scaling("the largest count of the training part", float(max(1, x.max())))
    if raw.kind == WAVES:
        return Scaling("the largest deflection, silence at ½", 1.0)
    if how is None:
        how = "none" if x.dtype == np.uint8 else "range"
    if how == "none":
        return _as_they_are(raw)
    seen = x[raw.own[train]].astype(np.float64)  # [frames of all examples, channels]
    if raw.kind == IMAGES:
        seen = np.broadcast_to(seen.reshape(-1, 1), (seen.size, 1))
    if how == "range":
        low, span = seen.min(axis=0), np.ptp(seen, axis=0)
        words = "the range of the training part"
    else:
        mean, sd = seen.mean(axis=0), seen.std(axis=0)
        low, span = mean - DEVIATIONS * sd, 2 * DEVIATIONS * sd
        words = "±3 standard deviations of the training part"
    words += ", of all pixels" if raw.kind == IMAGES else ", of every channel"
    still = span <= np.abs(low) * 1e-12
    gain = np.where(still, 0.0, 1 / np.where(still, 1.0, span))
    return Scaling(words, 1.0, low[None, None], gain[None, None], int(still.sum()))


def _as_they_are(raw: Raw) -> Scaling:
    """Bytes of 255, or values that lie in [0, 1] already; InputError for others."""
    if raw.x.dtype == np.uint8:
        full = 1.0 if raw.x.max() <= 1 and not raw.counts else BYTE
        return Scaling(f"full scale, {full:g}", full)
    bad = np.argwhere((raw.x < 0) | (raw.x > 1))
    if len(bad):
        n, t, c = bad[0]
        raise InputError(
            f"data.scale is none, but example {n}, frame {t}, channel {c} is {raw.x[n, t, c]:g}; values from 0 to 1 "
            "are needed, or data.scale=range or standard."
        )
    return Scaling("nothing: they lie between 0 and 1", 1.0)
