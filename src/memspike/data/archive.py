"""Find the four IDX files of a data set in a folder, a tar or zip archive, or take an npz file."""

import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from memspike._errors import InputError
from memspike.data import idx
from memspike.data.sources import ROLES, Source

LARGEST_MEMBER = 200_000_000


def _stem(name: str) -> str:
    """File name without folder, '.gz' and the punctuation in which copies differ."""
    return PurePosixPath(name).name.removesuffix(".gz").replace(".", "-").lower()


def _folder_files(path: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(path.rglob("*")):
        if file.is_file() and "ubyte" in file.name:
            yield str(file), file.read_bytes()


def _tar_files(path: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile() and "ubyte" in member.name and member.size <= LARGEST_MEMBER:
                stream = archive.extractfile(member)
                if stream is not None:
                    yield member.name, stream.read()


def _zip_files(path: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if "ubyte" in member.filename and member.file_size <= LARGEST_MEMBER:
                yield member.filename, archive.read(member)


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        return _folder_files(path)
    if tarfile.is_tarfile(path):
        return _tar_files(path)
    if zipfile.is_zipfile(path):
        return _zip_files(path)
    raise InputError(
        f"{path} is neither a folder with IDX files nor a tar, tgz, zip or npz archive; the four IDX files "
        "(plain or .gz) are taken together, as a folder or as one archive."
    )


def _from_npz(path: Path) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
        missing = [role for role in ROLES if role not in archive]
        if missing:
            raise InputError(f"{path} holds {', '.join(archive.files) or 'nothing'}; it lacks {', '.join(missing)}.")
        return {role: archive[role] for role in ROLES}


def read_files(path: Path, source: Source) -> dict[str, np.ndarray]:
    """The four arrays of a data set by role; InputError in one sentence for anything else."""
    if not path.exists():
        raise InputError(f"{path} does not exist; needed: a folder, a tar, tgz, zip or npz file.")
    try:
        if path.suffix == ".npz":
            return _from_npz(path)
        wanted = {_stem(file): role for role, file in source.files.items()}
        found: dict[str, np.ndarray] = {}
        for name, content in _members(path):
            role = wanted.get(_stem(name))
            if role is not None:
                found[role] = idx.parse(content, name)
    except PermissionError as error:
        raise InputError(f"{path} may not be read ({error.strerror}).") from None
    except (OSError, EOFError, ValueError, zlib.error, tarfile.TarError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is broken ({error}).") from None
    missing = [source.files[role] for role in ROLES if role not in found]
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}.")
    return found
