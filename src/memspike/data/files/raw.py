"""What every reader gives: examples padded to one length, what is wanted of them, and what a split may go by."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from memspike.data.files.options import Reading
from memspike.parts.errors import InputError

Examples = Shaped[np.ndarray, "examples frames channels"]


@dataclass(frozen=True)
class Raw:
    """Examples of a file before they are split and scaled.

    form: the format in words
    x: bytes or floats [examples, frames, channels] or [examples, height, width]; zeros behind the end of an example
    kind: images or frames; `assumed` where the file does not say
    labels: the class of every example by its name; None for a regression
    targets: numbers that are wanted [examples, frames, outputs]; None for classes
    lengths: frames of every example; None where all are equal
    test: which examples the file states to be the test part; None where it states nothing
    groups: by column or array, what every example belongs to
    order: names of the classes in their order, where the file has one
    counts: whether values are numbers of spikes
    series: whether examples are windows of one series, in order
    rate: samples a second where examples are waveforms [examples, samples, microphones], silence at ½, also at the ends
    """

    form: str
    x: Examples
    kind: str
    labels: tuple[str, ...] | None = None
    targets: Float[np.ndarray, "examples frames outputs"] | None = None
    lengths: Int[np.ndarray, " examples"] | None = None
    test: Bool[np.ndarray, " examples"] | None = None
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    counts: bool = False
    series: bool = False
    rate: float | None = None
    assumed: bool = True
    notes: tuple[str, ...] = ()

    @property
    def own(self) -> Bool[np.ndarray, "examples frames"]:
        """Which frames are those of the example, not padding."""
        return frames_of(len(self.x), self.x.shape[1], self.lengths)


def frames_of(count: int, frames: int, lengths: Int[np.ndarray, " examples"] | None) -> Bool[np.ndarray, "_ _"]:
    """A mask [examples, frames] of the first `lengths` frames of every example."""
    ends = np.full(count, frames) if lengths is None else lengths
    return np.arange(frames)[None] < ends[:, None]


def padded(
    examples: Sequence[Shaped[np.ndarray, "_ channels"]],
) -> tuple[Examples, Int[np.ndarray, " examples"] | None]:
    """Examples of unequal lengths in one array with zeros at the ends, and their lengths, None where all are equal."""
    lengths = np.array([len(x) for x in examples])
    found = np.zeros((len(examples), int(lengths.max()), examples[0].shape[1]), examples[0].dtype)
    for row, x in zip(found, examples, strict=True):
        row[: len(x)] = x
    return found, None if (lengths == lengths[0]).all() else lengths


def numbers(x: np.ndarray, what: str) -> np.ndarray:
    """Bytes as they are, truth values as bytes, other numbers as 64-bit floats; InputError for anything else."""
    if x.dtype.kind == "b":
        return x.astype(np.uint8)
    if x.dtype == np.uint8:
        return x
    if x.dtype.kind not in "iuf":
        raise InputError(f"{what} holds values of type {x.dtype}; numbers are needed: bytes, whole numbers or floats.")
    return x.astype(np.float64)


def stacked(x: np.ndarray, what: str) -> Examples:
    """[examples, features], [examples, frames, channels] or [examples, height, width, 1] → three axes."""
    if x.ndim == 2:
        return x[:, None, :]
    if x.ndim == 4 and x.shape[-1] == 1:
        return x[..., 0]
    if x.ndim != 3 or not x.size:
        colour = " Colours have to be made grey first." if x.ndim == 4 and x.shape[-1] in (3, 4) else ""
        raise InputError(
            f"{what} has the shape {list(x.shape)}; needed: [examples, frames, channels], [examples, height, width] "
            f"or [examples, features], none of them empty.{colour}"
        )
    return x


def check_lengths(lengths: np.ndarray, x: Examples, what: str) -> Int[np.ndarray, " examples"]:
    """Whole numbers from 1 to the frames there are, one an example; InputError otherwise."""
    if lengths.shape != (len(x),) or lengths.dtype.kind not in "iu":
        raise InputError(
            f"{what} has the shape {list(lengths.shape)} and type {lengths.dtype}; needed: a whole number for each of "
            f"the {len(x)} examples."
        )
    bad = np.flatnonzero((lengths < 1) | (lengths > x.shape[1]))
    if len(bad):
        raise InputError(
            f"{what} of example {bad[0]} is {lengths[bad[0]]}; allowed: 1 to {x.shape[1]}, the frames of x."
        )
    return lengths.astype(np.int64)


def filled(x: Examples, lengths: Int[np.ndarray, " examples"] | None, what: str) -> Examples:
    """The same with zeros behind the end of every example; InputError for what is no finite number before it."""
    own = frames_of(len(x), x.shape[1], lengths)
    if x.dtype.kind == "f":
        bad = np.argwhere(~np.isfinite(x) & own[:, :, None])
        if len(bad):
            n, t, c = bad[0]
            ends = lengths is None and not np.isfinite(x[n, t:]).any()
            hint = (
                " Frames behind the end of an example need zeros, and an array of lengths that says where it ends."
                if ends and t
                else ""
            )
            value = "NaN" if np.isnan(x[n, t, c]) else "infinite"
            raise InputError(
                f"{what}: example {n}, frame {t}, channel {c} is {value}; finite numbers are needed.{hint}"
            )
    if lengths is None:
        return x
    return np.where(own[:, :, None], x, np.zeros((), x.dtype))


def empty_ends(x: Examples) -> int:
    """How many examples end in a frame of zeros while others do not: padding, perhaps."""
    silent = ~x[:, -1].any(axis=1)
    return int(silent.sum()) if x.shape[1] > 1 and 0 < silent.sum() < len(x) else 0


def waves(raw: Raw, given: Reading) -> Raw:
    """Waveforms of any scale → values from 0 to 1, silence at ½; InputError for keys that sounds have no meaning for.

    All are scaled alike, by the largest deflection.
    """
    if given.scale not in (None, "none"):
        raise InputError(f"data.scale is {given.scale}, but the scale of waveforms has no meaning; leave it out.")
    most = float(np.abs(raw.x).max())
    if not most > 0:
        raise InputError("All waveforms are silent: every sample is 0.")
    notes = (*raw.notes, f"waveforms at {raw.rate:g} Hz; hear them with encoder=gammatone")
    x = (0.5 + 0.5 * raw.x / most).astype(np.float32)
    return replace(raw, x=np.where(raw.own[:, :, None], x, np.float32(0.5)), notes=notes)
