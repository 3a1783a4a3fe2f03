"""Data sets of images published as four IDX files, as MNIST is."""

import io
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from memspike.data import idx
from memspike.data.archive import members, opened
from memspike.data.base import check_finite
from memspike.data.source import Arrays, Report, Source
from memspike.parts.errors import InputError

ROLES = ("x_train", "y_train", "x_test", "y_test")
IDX_FILES = {
    "x_train": "train-images-idx3-ubyte.gz",
    "y_train": "train-labels-idx1-ubyte.gz",
    "x_test": "t10k-images-idx3-ubyte.gz",
    "y_test": "t10k-labels-idx1-ubyte.gz",
}
SHAPES = {"x_train": (60000, 28, 28), "y_train": (60000,), "x_test": (10000, 28, 28), "y_test": (10000,)}


def _stem(name: str) -> str:
    """File name without folder, '.gz' and the punctuation in which copies differ."""
    return PurePosixPath(name).name.removesuffix(".gz").replace(".", "-").lower()


def _from_npz(path: Path) -> Arrays:
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
        missing = [role for role in ROLES if role not in archive]
        if missing:
            raise InputError(f"{path} holds {', '.join(archive.files) or 'nothing'}; it lacks {', '.join(missing)}.")
        return {role: archive[role] for role in ROLES}


@dataclass(frozen=True)
class IdxSource(Source):
    """Images and labels as bytes: file names and shapes by role, SHA-256 of the decoded arrays."""

    files: dict[str, str] = field(default_factory=lambda: IDX_FILES)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=lambda: SHAPES)

    def read(self, path: Path) -> Arrays:
        """The four arrays from a folder, a tar or zip archive of IDX files, or from an npz file."""
        with opened(path, "a folder, a tar, tgz, zip or npz file"):
            if path.suffix == ".npz":
                return _from_npz(path)
            roles = {_stem(file): role for role, file in self.files.items()}
            otherwise = (
                "with IDX files nor a tar, tgz, zip or npz archive; the four IDX files (plain or .gz) are taken "
                "together, as a folder or as one archive."
            )
            found = {
                roles[_stem(name)]: idx.parse(content, name)
                for name, content in members(path, lambda name: _stem(name) in roles, otherwise)
            }
        missing = [self.files[role] for role in ROLES if role not in found]
        if missing:
            raise InputError(f"{path} lacks {', '.join(missing)}.")
        return found

    def download(self, mirror: str, report: Report) -> Arrays:
        """The four files below the address `mirror`."""
        arrays = {}
        for role in ROLES:
            url = mirror + self.files[role]
            report(f"fetching {url}")
            with urllib.request.urlopen(url, timeout=30) as answer:
                arrays[role] = idx.parse(answer.read(), url)
        return arrays

    def check(self, arrays: Arrays, origin: str) -> None:
        """Bytes in the published shapes."""
        for role in ROLES:
            array, shape = arrays[role], self.shapes[role]
            if array.dtype.kind == "f":
                check_finite(array, f"{origin}, {role}")
            if array.shape != shape or array.dtype != np.uint8:
                raise InputError(
                    f"{origin}: {role} has shape {array.shape} and type {array.dtype}; {self.name} needs {shape} "
                    "and uint8."
                )
