"""The formats, told apart by what a file holds, and the keys that each of them has a meaning for."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from memspike.data.files import aedat4, arrays, pictures, sounds, spike_times, spreadsheet
from memspike.data.files.options import FRAMES, IMAGES, Reading
from memspike.data.files.raw import Raw
from memspike.data.source import opened
from memspike.parts.errors import InputError

COMMON = frozenset(("group", "split", "scale", "frames", "sha256"))
HEAD = 16
NEEDED = (
    "an npz or npy file, a CSV, HDF5 of spike times, or a folder of npy files, of sounds (wav), of pictures (png, "
    "jpg) or of recordings of a camera (aedat4)"
)


class Format(NamedTuple):
    """A format: its name, the keys beside the common ones, what an example of it is, and who reads it."""

    name: str
    keys: frozenset[str]
    kind: str
    read: Callable[[Path, Reading], Raw]


ARRAYS = Format("arrays (npz, npy)", frozenset(("kind", "label", "target")), FRAMES, arrays.read)
TABLE = Format("CSV", frozenset(("label", "target", "window")), FRAMES, spreadsheet.read)
SPIKES = Format("HDF5 of spike times", frozenset(("frame",)), FRAMES, spike_times.read)
SOUNDS = Format("a folder of sounds", frozenset(("kind",)), FRAMES, sounds.read)
PICTURES = Format("a folder of pictures", frozenset(("kind",)), IMAGES, pictures.read)
EVENTS = Format("a folder of recordings (aedat4)", frozenset(("frame", "pool")), FRAMES, aedat4.read)
IN_FOLDERS = {
    **dict.fromkeys((".wav",), SOUNDS),
    **dict.fromkeys((".png", ".jpg", ".jpeg"), PICTURES),
    **dict.fromkeys((".aedat4",), EVENTS),
    **dict.fromkeys((".h5", ".hdf5"), SPIKES),
    **dict.fromkeys((".npy",), ARRAYS),
}


def format_of(path: Path) -> Format:
    """The format of a file or folder; InputError for what is none."""
    with opened(path, NEEDED):
        return _of_folder(path) if path.is_dir() else _of_file(path)


def _of_folder(path: Path) -> Format:
    kinds = {IN_FOLDERS[p.suffix.lower()] for p in path.rglob("*") if p.suffix.lower() in IN_FOLDERS}
    if len(kinds) == 1:
        return kinds.pop()
    held = f"both {' and '.join(sorted(k.name for k in kinds))}" if kinds else "no such files"
    raise InputError(f"{path} holds {held}; needed: {NEEDED}.")


def _of_file(path: Path) -> Format:
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head.startswith(b"\x93NUMPY"):
        return ARRAYS
    if head.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if not names or not all(name.endswith(".npy") for name in names):
            raise InputError(f"{path} is a zip archive, but no npz file; needed: {NEEDED}.")
        return ARRAYS
    if head.startswith(b"\x89HDF"):
        return SPIKES
    if head.startswith((b"#!AER-DAT4", b"RIFF", b"\x89PNG", b"\xff\xd8\xff")):
        raise InputError(
            f"{path} is one recording or picture without a class; give the folder, with a subfolder a class."
        )
    if b"\0" in head or not head:
        raise InputError(f"{path} is {'of no known format' if head else 'empty'}; needed: {NEEDED}.")
    return TABLE


def read(path: Path, given: Reading) -> Raw:
    """What a file holds; InputError in one sentence for what cannot be used, and for keys without a meaning."""
    form = format_of(path)
    given.check(COMMON | form.keys, f"{form.name}, which {path.name} is")
    with opened(path, NEEDED):
        return form.read(path, given)
