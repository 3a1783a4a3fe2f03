"""A file of one's own → a data set: read, resampled, split, scaled."""

import hashlib
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from memspike.data.base import Dataset
from memspike.data.files import formats, labels, scale, split
from memspike.data.files.options import FRAMES, Reading
from memspike.data.files.raw import Raw
from memspike.data.source import opened
from memspike.data.spoken import frame_means
from memspike.parts.errors import InputError

CHUNK = 1 << 20


class Understood(NamedTuple):
    """A file as a data set, with what was read, who is in which part, and how values were scaled.

    `clipped` are the shares of the training and of the test values that the scaling has clipped.
    """

    data: Dataset
    raw: Raw
    train: np.ndarray
    test: np.ndarray
    scaling: scale.Scaling
    clipped: tuple[float, float]


def is_file(name: str) -> bool:
    """Whether a name is the path of an existing file or folder."""
    return Path(name).exists()


def digest(path: Path) -> str:
    """SHA-256 of the content of a file; of a folder, of the names and contents of all files in it."""
    found = hashlib.sha256()
    with opened(path, formats.NEEDED):
        for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
            if file != path:
                found.update(f"{file.relative_to(path).as_posix()}\0{file.stat().st_size}\0".encode())
            with file.open("rb") as stream:
                while part := stream.read(CHUNK):
                    found.update(part)
    return found.hexdigest()


def understood(path: Path, given: Reading | None = None, leave_out: str | None = None) -> Understood:
    """The data set in a file or folder; InputError in one sentence for what cannot be used.

    `leave_out` is the value of the group, such as a speaker, that is the whole test part.
    """
    given = given or Reading()
    held = digest(path)
    if given.sha256 not in (None, held):
        raise InputError(
            f"{path} holds other data (SHA-256 {held[:12]}…) than those of this configuration "
            f"({str(given.sha256)[:12]}…); give back the file as it was, or start a new run."
        )
    return _understood(path, held, given, leave_out)


@lru_cache(maxsize=2)  # a run reads its data more than once
def _understood(path: Path, held: str, given: Reading, leave_out: str | None) -> Understood:
    raw = resampled(formats.read(path, given), given.frames)
    names = labels.in_order(raw.labels, raw.order) if raw.labels is not None else []
    y = labels.numbered(raw.labels, names) if raw.labels is not None else None
    train, test = split.parts(raw, y, given, leave_out)
    scaling = scale.fitted(raw, train, given.scale)
    own = raw.own
    (x_train, over), (x_test, beyond) = (scaling(raw.x[part], own[part]) for part in (train, test))
    wanted = raw.targets if y is None else y
    assert wanted is not None
    lengths = None if raw.lengths is None else raw.lengths.astype(np.int32)
    data = Dataset(
        path.name,
        x_train,
        wanted[train],
        x_test,
        wanted[test],
        wanted.shape[-1] if y is None else len(names),
        scaling.full_scale,
        None if lengths is None else lengths[train],
        None if lengths is None else lengths[test],
        labels.spoken(names),
        raw.rate,
    )
    return Understood(data, raw, train, test, scaling, (over, beyond))


def resampled(raw: Raw, frames: int | None) -> Raw:
    """Every example as means over so many equal parts of its own frames; sounds have them already."""
    if frames is None or (raw.lengths is None and raw.x.shape[1] == frames):
        return raw
    if raw.kind != FRAMES:
        raise InputError(f"data.frames is {frames}, but these are {raw.kind}, which have no frames; leave it out.")
    ends = np.full(len(raw.x), raw.x.shape[1]) if raw.lengths is None else raw.lengths

    def shorter(values: np.ndarray) -> np.ndarray:
        return np.stack([frame_means(v[:n].astype(np.float64), frames) for v, n in zip(values, ends, strict=True)])

    x = shorter(raw.x)
    if raw.x.dtype == np.uint8 and not raw.counts:
        x = np.round(x).astype(np.uint8)
    targets = None if raw.targets is None else shorter(raw.targets).astype(np.float32)
    notes = (*raw.notes, f"resampled to {frames} frames an example, each the mean of its part")
    return replace(raw, x=x, lengths=None, targets=targets, notes=notes)


def load_file(path: Path, given: Reading | None = None, leave_out: str | None = None) -> Dataset:
    """`understood` without the rest. InputError for what cannot be used."""
    return understood(path, given, leave_out).data
