"""Write the digits that memspike ships, from the published test file of the UCI repository (optdigits.tes, also .gz).

Usage: python scripts/digits.py optdigits.tes src/memspike/data/digits.npz
"""

import gzip
import io
import sys
from pathlib import Path

import numpy as np
from sklearn.model_selection import train_test_split

from memspike.data.included import ABOUT_DIGITS, DIGITS_SHA256, TEST_IMAGES, digest
from memspike.parts.atomic import write_bytes


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images [1797, 64] with values 0 … 16 and labels, as published."""
    content = path.read_bytes()
    text = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode()
    rows = np.loadtxt(io.StringIO(text), delimiter=",")
    return rows[:, :64], rows[:, 64]


def split(x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """The split, stratified by class, that all recorded results were measured with."""
    parts = train_test_split(x, y.astype(int), test_size=TEST_IMAGES, random_state=0, stratify=y.astype(int))
    x_train, x_test, y_train, y_test = (np.asarray(p) for p in parts)
    return {
        "x_train": x_train.reshape(-1, 8, 8).astype(np.uint8),
        "y_train": y_train.astype(np.int32),
        "x_test": x_test.reshape(-1, 8, 8).astype(np.uint8),
        "y_test": y_test.astype(np.int32),
    }


def content(arrays: dict[str, np.ndarray]) -> bytes:
    """The file: the arrays, and what they are."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, about=np.asarray(ABOUT_DIGITS), **arrays)
    return buffer.getvalue()


def main() -> None:
    """Write the file, if it holds what it has to hold."""
    source, out = map(Path, sys.argv[1:])
    arrays = split(*read(source))
    if digest(arrays) != DIGITS_SHA256:
        sys.exit(f"{source} does not hold the 1,797 digits of the UCI test file.")
    write_bytes(out, content(arrays))


if __name__ == "__main__":
    main()
