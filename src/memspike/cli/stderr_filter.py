"""A program of its own, which starts fast: from input to output, without lines of XLA's loader about the processor."""

import os
import sys


def needless(line: bytes, every: bool) -> bool:
    """Whether XLA's loader misses a preference of the compiler in the processor, or `every` feature."""
    return b"cpu_aot_loader.cc" in line and b"Target machine feature +" + (b"" if every else b"prefer-") in line


def held_back(rest: bytes) -> bool:
    """Whether an unfinished line may still become needless: it begins like one in a log, `E1129 …`."""
    return rest[:1] in (b"E", b"W", b"I") and (len(rest) < 5 or rest[1:5].isdigit())


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


def main(every: bool) -> None:
    """Copy whole lines, and unfinished ones at once where they are nothing from a log."""
    rest = b""
    while block := os.read(0, 65536):
        *lines, rest = (rest + block).split(b"\n")
        passed = b"".join(line + b"\n" for line in lines if not needless(line, every))
        if not held_back(rest):
            passed, rest = passed + rest, b""
        _write(passed)
    _write(b"" if needless(rest, every) else rest)


if __name__ == "__main__":
    main(every="every" in sys.argv)
