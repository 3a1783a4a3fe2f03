"""Folders of one file an example: the class, the group and the part of every file, from its path."""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from memspike.parts.errors import InputError

PARTS = {"train": False, "training": False, "test": True, "testing": True}
_IN_NAME = re.compile(r"([^_]+)_([^_]+)_(\d+)")
_BEFORE_INDEX = re.compile(r"([^_]+)_(\d+)")


class Files(NamedTuple):
    """Files in order, with the class of each, whether it is a test example (None: not stated), and groups."""

    files: list[Path]
    labels: tuple[str, ...]
    test: np.ndarray | None
    groups: dict[str, tuple[str, ...]]
    notes: tuple[str, ...]


def listed(root: Path, suffixes: tuple[str, ...]) -> Files:
    """The files below a folder: CLASS/file, train/CLASS/file and test/CLASS/file, or LABEL_GROUP_INDEX side by side."""
    files = sorted(p for p in root.rglob("*") if p.suffix.lower() in suffixes and p.is_file())
    paths = [file.relative_to(root).parts for file in files]
    test = None
    if all(len(parts) > 1 and parts[0].lower() in PARTS for parts in paths):
        test = np.array([PARTS[parts[0].lower()] for parts in paths])
        paths = [parts[1:] for parts in paths]
    depths = {len(parts) for parts in paths}
    if depths == {2}:
        return Files(files, tuple(parts[0] for parts in paths), test, _speakers(files), ())
    if depths == {1}:
        names = [_IN_NAME.fullmatch(file.stem) for file in files]
        if all(names):
            labels, groups = (tuple(match[k] for match in names if match) for k in (1, 2))
            notes = (
                f"the class is the first part of a file's name ({files[0].name}: '{labels[0]}'), the second a group",
            )
            return Files(files, labels, test, {"speaker": groups}, notes)
    odd = next(file for file, parts in zip(files, paths, strict=True) if len(parts) != 2)
    raise InputError(
        f"{root}: the class of {odd.relative_to(root)} is not known; needed: a subfolder a class, in train/ and test/ "
        "where the split is stated, or names like LABEL_GROUP_INDEX for all files."
    )


def _speakers(files: list[Path]) -> dict[str, tuple[str, ...]]:
    """The first part of names like SPEAKER_INDEX, where all are like that."""
    names = [_BEFORE_INDEX.fullmatch(file.stem) for file in files]
    return {"speaker": tuple(match[1] for match in names if match)} if all(names) else {}
