"""Data sets of speech published as one wav file a recording, `{digit}_{speaker}_{index}.wav`."""

import io
import re
import tempfile
import urllib.request
import wave
from dataclasses import dataclass
from itertools import product
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Int, Int16

from memspike.data.archive import members, opened
from memspike.data.source import Arrays, Report, Source
from memspike.parts.errors import InputError

DIGITS = 10
BYTES = 2
_NAME = re.compile(r"(\d)_([a-z]+)_(\d+)\.wav")


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
