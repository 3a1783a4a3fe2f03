"""The two errors a user meets: a wrong input (exit status 2) and a failed run (exit status 1)."""

from collections.abc import Iterable
from difflib import SequenceMatcher

# of so many names a sentence lists all; of more it says where they stand
FEW = 6
# a name, or a word of it, is near from so much likeness on (1: equal)
NEAR = 0.5


class InputError(ValueError):
    """What the user gave cannot be used; the message is one sentence: what, given, allowed."""


class RunError(RuntimeError):
    """A run with valid input failed; the message is one sentence with the likely cause."""


class InterruptedRunError(RunError):
    """The user stopped a run; the message says how to go on with it (exit status 130)."""


def _likeness(given: str, name: str) -> float:
    """Of the whole name, or of its likest word, which counts somewhat less."""
    words = name.replace("_", "-").replace(".", "-").split("-")
    whole, *parts = (SequenceMatcher(None, given, part.lower()).ratio() for part in (name, *words))
    return max(whole, 0.9 * max(parts))


def nearest(given: str, names: Iterable[str]) -> list[str]:
    """The name that is spelled most like the given one and up to two that are as near; none if none is near."""
    scores = {name: _likeness(given.lower(), name) for name in names}
    best = max(scores.values(), default=0.0)
    if best < NEAR:
        return []
    return sorted((name for name, score in scores.items() if score >= best - 0.02), key=lambda n: -scores[n])[:3]


def unknown(what: str, given: str, allowed: Iterable[str], hint: str | None = None) -> InputError:
    """One sentence for a name that does not exist, with the nearest spelling and what is allowed.

    Of many names it gives the nearest alone, or the `hint` where they are listed.
    """
    names = sorted(allowed)
    near = " or ".join(f"'{name}'" for name in nearest(str(given), names))
    closest = f" Did you mean {near}?" if near else ""
    if len(names) <= FEW:
        return InputError(f"Unknown {what} '{given}'; allowed: {', '.join(names) or 'none'}.{closest}")
    return InputError(f"Unknown {what} '{given}'; {hint or f'{len(names)} are known'}.{closest}")
