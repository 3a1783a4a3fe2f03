"""Published data sets: where they come from, how their IDX or wav files are read, what they must hash to."""

import gzip
import hashlib
import io
import math
import re
import tarfile
import tempfile
import urllib.request
import wave
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Int, Int16, UInt8

from memspike.data.base import check_finite
from memspike.parts.errors import InputError

Arrays = dict[str, np.ndarray]
Report = Callable[[str], object]
LARGEST_MEMBER = 200_000_000
Wanted = Callable[[str], bool]
ROLES = ("x_train", "y_train", "x_test", "y_test")
IDX_FILES = {
    "x_train": "train-images-idx3-ubyte.gz",
    "y_train": "train-labels-idx1-ubyte.gz",
    "x_test": "t10k-images-idx3-ubyte.gz",
    "y_test": "t10k-labels-idx1-ubyte.gz",
}
SHAPES = {"x_train": (60000, 28, 28), "y_train": (60000,), "x_test": (10000, 28, 28), "y_test": (10000,)}
UNSIGNED_BYTE = 8
DIGITS = 10
BYTES = 2
_NAME = re.compile(r"(\d)_([a-z]+)_(\d+)\.wav")


@dataclass(frozen=True)
class Source(ABC):
    """A published data set of the cache, kept there as the arrays `roles`; every array has a SHA-256 `sha256`.

    One subclass a kind of files. All methods raise InputError in one sentence for files that are not the published
    ones, and OSError if the network fails.
    """

    name: str
    doc: str
    licence: str
    mirrors: tuple[str, ...]
    sha256: dict[str, str]

    @property
    def roles(self) -> tuple[str, ...]:
        """Names of the arrays."""
        return tuple(self.sha256)

    @abstractmethod
    def read(self, path: Path) -> Arrays:
        """The arrays from files that the user has."""

    @abstractmethod
    def download(self, mirror: str, report: Report) -> Arrays:
        """The arrays from one of the mirrors."""

    @abstractmethod
    def check(self, arrays: Arrays, origin: str) -> None:
        """InputError unless shapes and types are those of the published arrays."""

    def verify(self, arrays: Arrays, origin: str) -> None:
        """InputError unless the arrays are exactly the published ones."""
        self.check(arrays, origin)
        for role in self.roles:
            digest = hashlib.sha256(arrays[role].tobytes()).hexdigest()
            if digest != self.sha256[role]:
                raise InputError(
                    f"{origin}: {role} is not that of {self.name} (SHA-256 {digest[:12]}…, expected "
                    f"{self.sha256[role][:12]}…)."
                )


def members(path: Path, wanted: Wanted, otherwise: str) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files whose name is `wanted`, in a folder, a tar or a zip archive.

    InputError ending in `otherwise` for anything else.
    """
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if wanted(file.name) and file.is_file():
                yield str(file), file.read_bytes()
    elif tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            for member in archive:
                stream = archive.extractfile(member) if member.isfile() and wanted(member.name) else None
                if stream is not None and member.size <= LARGEST_MEMBER:
                    yield member.name, stream.read()
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if wanted(member.filename) and member.file_size <= LARGEST_MEMBER:
                    yield member.filename, archive.read(member)
    else:
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
                roles[_stem(name)]: parse(content, name)
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
                arrays[role] = parse(answer.read(), url)
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


def parse(content: bytes, name: str) -> UInt8[np.ndarray, "..."]:
    """The array in an IDX file of unsigned bytes, plain or gzipped; InputError if it is anything else."""
    try:
        raw = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name} is a broken gzip file ({error}).") from None
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] != UNSIGNED_BYTE or not 1 <= raw[3] <= 3:
        raise InputError(f"{name} is not an IDX file of unsigned bytes (it starts with {raw[:4].hex() or 'nothing'}).")
    rank = raw[3]
    start = 4 + 4 * rank
    shape = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(rank)]
    if len(raw) != start + math.prod(shape):
        raise InputError(f"{name} holds {len(raw)} bytes; its header {shape} needs {start + math.prod(shape)}.")
    return np.frombuffer(raw, dtype=np.uint8, offset=start).reshape(shape)


def decode(content: bytes, name: str, rate: int) -> Int16[np.ndarray, " samples"]:
    """The samples of a mono 16-bit wav file of `rate` samples a second; InputError if it is anything else."""
    try:
        with wave.open(io.BytesIO(content)) as file:
            found = (file.getnchannels(), file.getframerate(), 8 * file.getsampwidth())
            count, raw = file.getnframes(), file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise InputError(f"{name} is not a readable wav file ({str(error) or 'it ends too early'}).") from None
    if found != (1, rate, 8 * BYTES):
        raise InputError(
            f"{name} has {found[0]} channels of {found[2]} bits at {found[1]} Hz; needed: 1 channel of "
            f"{8 * BYTES} bits at {rate} Hz."
        )
    if len(raw) != BYTES * count or not count:
        raise InputError(f"{name} holds {len(raw)} bytes of sound; its header says {BYTES * count}, at least 2.")
    return np.frombuffer(raw, dtype="<i2").astype(np.int16)


@dataclass(frozen=True)
class WavSource(Source):
    """Recordings of ten digits by `speakers`, `repetitions` of each, at `rate` Hz.

    Kept as `samples` (int16, one recording after the other) and `lengths` (int32), in the order of `names`.
    """

    speakers: tuple[str, ...]
    repetitions: int
    rate: int

    @property
    def labels(self) -> Int[np.ndarray, "recordings 3"]:
        """Repetition, number of the speaker and digit of every recording, in ascending order."""
        return np.array(list(product(range(self.repetitions), range(len(self.speakers)), range(DIGITS))))

    @property
    def names(self) -> list[str]:
        """File names in the order of `labels`."""
        return [f"{digit}_{self.speakers[speaker]}_{index}.wav" for index, speaker, digit in self.labels]

    def split(self, arrays: Arrays) -> list[Int16[np.ndarray, " samples"]]:
        """The recordings one by one."""
        return np.split(arrays["samples"], np.cumsum(arrays["lengths"])[:-1])

    def read(self, path: Path) -> Arrays:
        """All recordings from a folder, a tar or zip archive with the wav files, wherever they are in it."""
        found: dict[str, np.ndarray] = {}
        with opened(path, "a folder, a tar, tgz or zip file with the wav files"):
            otherwise = f"with wav files nor a tar, tgz or zip archive of them; {self.name} has {len(self.names)}."
            for full, content in members(path, lambda name: name.endswith(".wav"), otherwise):
                name = PurePosixPath(full).name
                if not _NAME.fullmatch(name) or name in found:
                    why = "is there twice" if name in found else "is not named DIGIT_SPEAKER_INDEX.wav"
                    raise InputError(f"{path}: {full} {why}; {self.name} has {len(self.names)} such files.")
                found[name] = decode(content, full, self.rate)
        wanted = self.names
        if set(found) != set(wanted):
            lacking, foreign = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
            what, those = ("lacks", lacking) if lacking else ("also holds", foreign)
            others = f" and {len(those) - 1} more" if len(those) > 1 else ""
            raise InputError(f"{path} {what} {those[0]}{others}; {self.name} has {len(wanted)} recordings.")
        ordered = [found[name] for name in wanted]
        return {"samples": np.concatenate(ordered), "lengths": np.array([len(x) for x in ordered], dtype=np.int32)}

    def download(self, mirror: str, report: Report) -> Arrays:
        """The archive at the address `mirror`."""
        report(f"fetching {mirror}")
        with urllib.request.urlopen(mirror, timeout=30) as answer, tempfile.NamedTemporaryFile() as file:
            file.write(answer.read())
            file.flush()
            return self.read(Path(file.name))

    def check(self, arrays: Arrays, origin: str) -> None:
        """One length a recording, which together are all samples."""
        samples, lengths = arrays["samples"], arrays["lengths"]
        if samples.dtype != np.int16 or lengths.shape != (len(self.labels),) or samples.shape != (lengths.sum(),):
            raise InputError(
                f"{origin}: samples {samples.shape} of {samples.dtype} and lengths {lengths.shape} do not fit; "
                f"{self.name} has {len(self.labels)} recordings of int16."
            )
