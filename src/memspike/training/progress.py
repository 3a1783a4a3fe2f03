"""What a run says while it goes on."""

from collections.abc import Callable
from typing import NamedTuple


class Progress(NamedTuple):
    """How far a run is: steps done of all, mean loss of the last piece and last test accuracy, or None."""

    step: int
    total: int
    loss: float | None
    accuracy: float | None


Report = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Report nothing."""
