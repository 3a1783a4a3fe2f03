"""HDF5 files of spike times, as those of the Heidelberg spiking data sets: SHD and SSC."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from memspike.data.files.labels import names_in
from memspike.data.files.options import FRAME, FRAMES, Reading
from memspike.data.files.raw import Raw, padded
from memspike.parts.errors import InputError
from memspike.parts.units import show

NEEDED = ("spikes/times", "spikes/units", "labels")
MOST = 255


def read(path: Path, given: Reading) -> Raw:
    """Counts of spikes [examples, frames, units] as bytes; a folder holds a file of the training and of the test part.

    Layout: `spikes/times` in s and `spikes/units`, an array of unequal length an example, `labels`, and perhaps
    `extra/speaker` and the names of the classes, `extra/keys`. Source: Cramer et al., IEEE Trans. Neural Netw. Learn.
    Syst. 33: 2744 (2022), doi 10.1109/TNNLS.2020.3044364.
    """
    files = [path] if path.is_file() else _pair(path)
    parts = [_file(file) for file in files]
    frame = given.frame or FRAME
    units = 1 + max(int(u.max(initial=0)) for part in parts for u in part["units"])
    counted = [
        counts(t, u, frame, units, f"{file.name}: example {k}")
        for part, file in zip(parts, files, strict=True)
        for k, (t, u) in enumerate(zip(part["times"], part["units"], strict=True))
    ]
    x, lengths = padded(counted)
    keys = next((part["keys"] for part in parts if part["keys"]), ())
    numbers = np.concatenate([part["labels"] for part in parts])
    if keys and not (numbers.min() >= 0 and numbers.max() < len(keys)):
        raise InputError(
            f"{path.name}: labels go from {numbers.min()} to {numbers.max()}, but extra/keys has {len(keys)}."
        )
    labels = tuple(keys[k] for k in numbers) if keys else names_in(numbers, f"{path.name}: labels")
    speakers = [part["speaker"] for part in parts]
    groups = {"speaker": names_in(np.concatenate(speakers), "extra/speaker")} if all(map(len, speakers)) else {}
    test = np.repeat([False, True], [len(part["labels"]) for part in parts]) if len(parts) == 2 else None
    usual = " (data.frame says how long)" if given.frame is None else ""
    notes = (f"spikes of {units} units counted in frames of {show(frame, 's')}{usual}",)
    return Raw(
        "HDF5 of spike times",
        x,
        FRAMES,
        labels,
        None,
        lengths,
        test,
        groups,
        keys,
        counts=True,
        assumed=False,
        notes=notes,
    )


def counts(
    times: np.ndarray, units: np.ndarray, frame: float, channels: int, what: str
) -> UInt8[np.ndarray, "frames channels"]:
    """Spikes of every channel in every frame; times, which files keep in 16 bits, are taken to 64 before all else."""
    t = times.astype(np.float64)
    if t.shape != units.shape:
        raise InputError(f"{what} has {len(t)} times and {len(units)} units; as many are needed.")
    bad = np.flatnonzero(~np.isfinite(t) | (t < 0))
    if len(bad):
        raise InputError(f"{what}: the time of spike {bad[0]} is {t[bad[0]]:g} s; a time from 0 on is needed.")
    at = np.floor(t / frame).astype(np.int64)
    frames = 1 + int(at.max(initial=0))
    found = np.bincount(at * channels + units.astype(np.int64), minlength=frames * channels).reshape(frames, channels)
    if found.max() > MOST:
        raise InputError(
            f"{what} has {found.max()} spikes of one unit in a frame; at most {MOST}: set a shorter data.frame."
        )
    return found.astype(np.uint8)


def holds_spikes(path: Path) -> bool:
    """Whether an HDF5 file has spike times."""
    with _h5py(path).File(path, "r") as source:
        return all(name in source for name in NEEDED)


def _h5py(file: Path) -> Any:
    """The package that reads HDF5; InputError with the command that installs it."""
    try:
        import h5py
    except ImportError:
        raise InputError(f"{file.name} needs the package h5py: pip install 'memspike[instruments]'.") from None
    return h5py


def _pair(path: Path) -> list[Path]:
    """The files of the training and the test part."""
    files = sorted(p for p in path.iterdir() if p.suffix.lower() in (".h5", ".hdf5"))
    found = [[p for p in files if role in p.stem.lower()] for role in ("train", "test")]
    if [len(one) for one in found] != [1, 1] or len(files) != 2:
        names = ", ".join(p.name for p in files) or "none"
        raise InputError(f"{path} holds {names}; needed: one file with train and one with test in its name.")
    return [one for (one,) in found]


def _file(file: Path) -> dict[str, Any]:
    """Times, units, labels, speakers and keys of a file; empty where it says nothing of the last two."""
    with _h5py(file).File(file, "r") as source:
        lacking = [name for name in NEEDED if name not in source]
        if lacking:
            held = ", ".join(sorted(source)) or "nothing"
            raise InputError(f"{file.name} holds {held}; it lacks {lacking[0]}. Needed: {', '.join(NEEDED)}.")
        read: Any = source
        found = {name: [np.atleast_1d(v) for v in read[f"spikes/{name}"][()]] for name in ("times", "units")}
        labels = np.asarray(read["labels"])
        speaker = np.asarray(read["extra/speaker"]) if "extra/speaker" in source else np.zeros(0, int)
        keys = (
            [str(k, "utf-8") if isinstance(k, bytes) else str(k) for k in read["extra/keys"][()]]
            if ("extra/keys" in source)
            else []
        )
    sizes = {len(found["times"]), len(found["units"]), len(labels), *([len(speaker)] if len(speaker) else [])}
    if len(sizes) > 1 or not len(labels):
        raise InputError(
            f"{file.name} has {len(found['times'])} examples of times, {len(found['units'])} of units and "
            f"{len(labels)} labels; as many of each are needed, one at least."
        )
    if labels.dtype.kind not in "iu" or any(u.dtype.kind not in "iu" or u.min(initial=0) < 0 for u in found["units"]):
        raise InputError(f"{file.name}: labels and units are needed as whole numbers from 0 on.")
    if any(t.dtype.kind != "f" for t in found["times"]):
        raise InputError(f"{file.name}: spikes/times is of whole numbers; times in s are needed, as floats.")
    return {**found, "labels": labels.astype(np.int64), "speaker": speaker, "keys": tuple(keys)}
