"""A folder of recordings of an event camera (aedat4), read by the package `aedat`."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from memspike.data.files.folders import listed
from memspike.data.files.options import FRAME, FRAMES, POOL, Reading
from memspike.data.files.raw import Raw, padded
from memspike.data.files.spike_times import counts
from memspike.parts.errors import InputError
from memspike.parts.units import show


def read(path: Path, given: Reading) -> Raw:
    """Counts of events [recordings, frames, rows × columns × 2] as bytes; the polarity is the last of the three."""
    try:
        import aedat  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise InputError(f"{path.name} needs the package aedat: pip install 'memspike[events]'.") from None
    found = listed(path, (".aedat4",))
    frame, pool = given.frame or FRAME, given.pool or POOL
    recordings, sizes = [], []
    for file in found.files:
        events, size = _events(aedat, file)
        sizes.append(size)
        if size != sizes[0]:
            (w0, h0), (w, h) = sizes[0], size
            raise InputError(
                f"{path.name} holds recordings of {w0} × {h0} and of {w} × {h} pixels; one size is needed."
            )
        recordings.append(binned(events, size, frame, pool, file.name))
    x, lengths = padded(recordings)
    (width, height), rows, columns = sizes[0], -(-sizes[0][1] // pool), -(-sizes[0][0] // pool)
    note = (
        f"events of {width} × {height} pixels counted in frames of {show(frame, 's')} and squares of {pool} × {pool} "
        f"pixels: {rows} × {columns} × 2 polarities"
    )
    return Raw(
        "a folder of recordings (aedat4)",
        x,
        FRAMES,
        found.labels,
        lengths=lengths,
        test=found.test,
        groups=found.groups,
        counts=True,
        assumed=False,
        notes=(note, *found.notes),
    )


def _events(package: Any, file: Path) -> tuple[np.ndarray, tuple[int, int]]:
    """All polarity events of a recording with fields t (µs), x, y, on, and the width and height of the camera."""
    try:
        decoder = package.Decoder(file)
        streams = [one for one in decoder.id_to_stream().values() if one["type"] == "events"]
        packets = [packet["events"] for packet in decoder if "events" in packet]
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{file.name} is not a readable aedat4 file ({error}).") from None
    if len(streams) != 1 or not sum(map(len, packets)):
        raise InputError(f"{file.name} has {len(streams)} streams of events; one with events in it is needed.")
    return np.concatenate(packets), (int(streams[0]["width"]), int(streams[0]["height"]))


def binned(
    events: np.ndarray, size: tuple[int, int], frame: float, pool: int, what: str
) -> UInt8[np.ndarray, "frames channels"]:
    """Events of every square of pixels and polarity in every frame, counted from the first event on."""
    columns = -(-size[0] // pool)
    rows = -(-size[1] // pool)
    t = (events["t"] - events["t"].min()).astype(np.float64) * 1e-6
    square = (events["y"].astype(np.int64) // pool) * columns + events["x"].astype(np.int64) // pool
    return counts(t, 2 * square + events["on"].astype(np.int64), frame, 2 * rows * columns, what)
