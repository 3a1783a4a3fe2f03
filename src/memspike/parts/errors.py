"""The two errors a user meets: a wrong input (exit status 2) and a failed run (exit status 1)."""

from collections.abc import Iterable
from difflib import get_close_matches

# of so many names a sentence lists all; of more it says where they stand
FEW = 12


class InputError(ValueError):
    """What the user gave cannot be used; the message is one sentence: what, given, allowed."""


class RunError(RuntimeError):
    """A run with valid input failed; the message is one sentence with the likely cause."""


class InterruptedRunError(RunError):
    """The user stopped a run; the message says how to go on with it (exit status 130)."""


def unknown(what: str, given: str, allowed: Iterable[str], hint: str | None = None) -> InputError:
    """One sentence for a name that does not exist, with the nearest spelling and what is allowed.

    Of many names it gives the nearest alone, or the `hint` where they are listed.
    """
    names = sorted(allowed)
    near = get_close_matches(str(given).lower(), names, n=1, cutoff=0.5)
    closest = f" Did you mean '{near[0]}'?" if near else ""
    if len(names) <= FEW:
        return InputError(f"Unknown {what} '{given}'; allowed: {', '.join(names) or 'none'}.{closest}")
    return InputError(f"Unknown {what} '{given}'; {hint or f'{len(names)} are known'}.{closest}")
