"""A file on disk → its bytes and its text, whatever the encoding; gzip is taken off."""

import gzip
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from memspike.parts.errors import InputError

_ENCODINGS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
_GZIP = b"\x1f\x8b"
BINARY = {"workbook": (b"PK\x03\x04", b"\xd0\xcf\x11\xe0"), "hdf5": (b"\x89HDF",)}
_SAMPLE = 100_000
_NEEDED = "a file of measurements is needed"


@dataclass(frozen=True)
class Source:
    """The path, the bytes (unzipped) and the lines of a file; `skip` lines at its head are blank."""

    path: Path
    data: bytes
    skip: int = 0

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return self.path.name

    def is_a(self, kind: str) -> bool:
        """Whether the first bytes are those of a "workbook" or of "hdf5"."""
        return self.data.startswith(BINARY[kind])

    @cached_property
    def lines(self) -> list[str]:
        """The text as lines; InputError if the bytes are no text."""
        if self.is_a("workbook") or self.is_a("hdf5"):
            return []
        lines = self._text().replace("\r\n", "\n").replace("\r", "\n").split("\n")
        return [""] * min(self.skip, len(lines)) + lines[self.skip :]

    def _text(self) -> str:
        wanted = next((name for mark, name in _ENCODINGS.items() if self.data.startswith(mark)), "")
        if not wanted and self.data[1:400:2].count(0) > len(self.data[1:400:2]) // 2:
            wanted = "utf-16-le"
        try:
            text = self.data.decode(wanted or "utf-8")
        except UnicodeDecodeError:
            text = "" if wanted else self.data.decode("cp1252", errors="replace")
        head = text[:_SAMPLE]
        plain = sum(c.isascii() and (c.isprintable() or c.isspace()) for c in head)
        if self.data and plain <= 0.7 * len(head):
            raise InputError(f"{self.path} is not a text file; {_NEEDED}.")
        return text.removeprefix("\ufeff").replace("\x00", " ").replace("\x0c", "\n")


def load(path: Path, skip: int = 0) -> Source:
    """The file, unzipped; InputError if it cannot be read or is empty."""
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if data.startswith(_GZIP) else data
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; {_NEEDED}.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise InputError(f"{path} is a gzip file that is cut off or damaged; {_NEEDED}.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); {_NEEDED}.") from None
    source = Source(path, data, skip)
    if not data.strip() or not (source.is_a("workbook") or source.is_a("hdf5") or any(map(str.strip, source.lines))):
        raise InputError(f"{path} is empty; {_NEEDED}.")
    return source
