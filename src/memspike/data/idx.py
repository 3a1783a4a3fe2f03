"""The IDX format of MNIST: two zero bytes, type, rank, big-endian sizes, then the values."""

import gzip
import math
import zlib

import numpy as np
from jaxtyping import UInt8

from memspike.parts.errors import InputError

UNSIGNED_BYTE = 8


def unzip(content: bytes, name: str) -> bytes:
    """The content of a gzip file, or the content itself if it is not one."""
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name} is a broken gzip file ({error}).") from None


def parse(content: bytes, name: str) -> UInt8[np.ndarray, "..."]:
    """The array in an IDX file of unsigned bytes, plain or gzipped; InputError if it is anything else."""
    raw = unzip(content, name)
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] != UNSIGNED_BYTE or not 1 <= raw[3] <= 3:
        raise InputError(f"{name} is not an IDX file of unsigned bytes (it starts with {raw[:4].hex() or 'nothing'}).")
    rank = raw[3]
    start = 4 + 4 * rank
    shape = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(rank)]
    if len(raw) != start + math.prod(shape):
        raise InputError(f"{name} holds {len(raw)} bytes; its header {shape} needs {start + math.prod(shape)}.")
    return np.frombuffer(raw, dtype=np.uint8, offset=start).reshape(shape)
