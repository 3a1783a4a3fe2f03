"""The lines of a SPICE text: comments gone, continued ones joined."""

import re
from pathlib import Path

from memspike.parts.errors import InputError


def text_of(path: Path, what: str) -> str:
    """The text in a file that is to be a `what`; InputError where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except (UnicodeDecodeError, IsADirectoryError):
        raise InputError(f"{path} is no {what}: it is not a text.") from None


def joined_lines(text: str, name: str, begin: int = 1) -> list[tuple[int, str]]:
    """Lines in small letters with their numbers, from line `begin` on; InputError for a + that continues nothing."""
    found: list[tuple[int, str]] = []
    for number, raw in enumerate(text.splitlines()[begin - 1 :], begin):
        line = re.split(r";|(?:^|\s)\$\s", raw, maxsplit=1)[0].strip().lower()
        if line.startswith("+"):
            if not found:
                raise InputError(f"Line {number} of {name} goes on with + where nothing has begun.")
            found[-1] = (found[-1][0], f"{found[-1][1]} {line[1:]}")
        elif line and not line.startswith("*"):
            found.append((number, line))
    return found
