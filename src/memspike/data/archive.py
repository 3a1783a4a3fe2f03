"""The wanted files in a folder, a tar or a zip archive; one sentence for anything that is broken."""

import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from memspike.parts.errors import InputError

LARGEST_MEMBER = 200_000_000

Wanted = Callable[[str], bool]


def _folder_files(path: Path, wanted: Wanted) -> Iterator[tuple[str, bytes]]:
    for file in sorted(path.rglob("*")):
        if wanted(file.name) and file.is_file():
            yield str(file), file.read_bytes()


def _tar_files(path: Path, wanted: Wanted) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile() and wanted(member.name) and member.size <= LARGEST_MEMBER:
                stream = archive.extractfile(member)
                if stream is not None:
                    yield member.name, stream.read()


def _zip_files(path: Path, wanted: Wanted) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if wanted(member.filename) and member.file_size <= LARGEST_MEMBER:
                yield member.filename, archive.read(member)


def members(path: Path, wanted: Wanted, otherwise: str) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files whose name is `wanted`; InputError ending in `otherwise` for no archive."""
    if path.is_dir():
        return _folder_files(path, wanted)
    if tarfile.is_tarfile(path):
        return _tar_files(path, wanted)
    if zipfile.is_zipfile(path):
        return _zip_files(path, wanted)
    raise InputError(f"{path} is neither a folder {otherwise}")


@contextmanager
def opened(path: Path, needed: str) -> Iterator[None]:
    """Everything that goes wrong while `path` is read, as one sentence; `needed` says what it should be."""
    if not path.exists():
        raise InputError(f"{path} does not exist; needed: {needed}.")
    try:
        yield
    except InputError:
        raise
    except PermissionError as error:
        raise InputError(f"{path} may not be read ({error.strerror}).") from None
    except (OSError, EOFError, ValueError, zlib.error, tarfile.TarError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is broken ({error}).") from None
