"""Progress of a run or a fit: a bar on a terminal, a line now and then elsewhere."""

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from memspike.training.progress import Progress as Status

QUIET_SECONDS = 10.0
COMPILING = "compiling; no time is estimated from it"
RECENT = 9


class Pace:
    """Seconds a step: the median of the recent chunks of a training, of which the first, which compiles, is none."""

    def __init__(self) -> None:
        self._step, self._time = 0, 0.0
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._begun = False

    def after(self, step: int, now: float) -> float | None:
        """The pace when `step` steps are done; None after the first chunk of a training."""
        if self._begun and step > self._step:
            self._recent.append((now - self._time) / (step - self._step))
        else:  # a study trains many networks, one after the other
            self._recent.clear()
        self._begun, self._step, self._time = True, step, now
        return statistics.median_low(self._recent) if self._recent else None


@contextmanager
def laws(console: Console, *, quiet: bool = False) -> Iterator[Callable[[int, int, str], None]]:
    """Which law a fit is at: a bar on a terminal, a line a law elsewhere, nothing where `quiet`."""
    if quiet:
        yield lambda number, of, law: None
        return
    if not console.is_terminal:
        yield lambda number, of, law: console.print(f"law {number} of {of}: {law}")
        return
    with Progress(
        TextColumn("fitting"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as bar:
        task = bar.add_task("reading", total=None)
        yield lambda number, of, law: bar.update(task, completed=number, total=of, description=law)


class RunProgress:
    """A context that shows rate, loss, accuracy and the time left of one run.

    `quiet` shows nothing; `verbose` writes a line for every chunk of steps, on a terminal too.
    """

    def __init__(self, console: Console, *, quiet: bool = False, verbose: bool = False):
        self.console, self.quiet = console, quiet
        self.last = time.monotonic()
        self.pace = Pace()
        self.bar: Progress | None = None
        self.seconds = 0.0 if verbose else QUIET_SECONDS
        if console.is_terminal and not quiet and not verbose:
            self.bar = Progress(
                TextColumn("training"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[info]}"),
                console=console,
            )
            self.task = self.bar.add_task("training", total=None, info=COMPILING)

    def __enter__(self) -> "RunProgress":
        if self.bar:
            self.bar.start()
        elif not self.quiet:
            self.console.print(COMPILING)
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self.bar:
            self.bar.stop()

    def update(self, status: Status) -> None:
        """Show the newest status."""
        if self.quiet:
            return
        now = time.monotonic()
        pace, ended = self.pace.after(status.step, now), status.step == status.total
        words = [] if status.loss is None else [f"loss {status.loss:.3f}"]
        if status.accuracy is not None:
            words.append(f"test {status.accuracy:.2%}")
        if pace:
            left = timedelta(seconds=round((status.total - status.step) * pace))
            rate = f"{1 / pace:.1f} steps/s" if pace < 10 else f"{pace:.0f} s a step"
            words = [rate, *words, "evaluating" if ended else f"{left} left"]
        else:
            words.append("compiled")
        info = ", ".join(words)
        if self.bar:
            self.bar.update(self.task, completed=status.step, total=status.total, info=info)
        elif now - self.last > self.seconds or ended:
            self.last = now
            self.console.print(", ".join(filter(None, (f"step {status.step}/{status.total}", info))))
