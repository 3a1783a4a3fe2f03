"""Progress of a training: a bar on a terminal and in a notebook, a line now and then elsewhere."""

import html
import statistics
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from memspike.training.progress import Progress as Status
from memspike.training.progress import Report

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


def words(status: Status, pace: float | None) -> str:
    """Rate, loss, accuracy and the time left, as far as they are known."""
    said = [] if status.loss is None else [f"loss {status.loss:.3f}"]
    if status.accuracy is not None:
        said.append(f"test {status.accuracy:.2%}")
    if pace:
        left = timedelta(seconds=round((status.total - status.step) * pace))
        rate = f"{1 / pace:.1f} steps/s" if pace < 10 else f"{pace:.0f} s a step"
        said = [rate, *said, "evaluating" if status.step == status.total else f"{left} left"]
    else:
        said.append("compiled")
    return ", ".join(said)


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
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self.bar:
            self.bar.stop()

    def update(self, status: Status) -> None:
        """Show the newest status."""
        if self.quiet:
            return
        now = time.monotonic()
        info = words(status, self.pace.after(status.step, now))
        if self.bar:
            self.bar.update(self.task, completed=status.step, total=status.total, info=info)
        elif now - self.last > self.seconds or status.step == status.total:
            self.last = now
            self.console.print(", ".join(filter(None, (f"step {status.step}/{status.total}", info))))


class NotebookProgress:
    """A bar of HTML under the cell of a notebook; `display` is that of IPython."""

    def __init__(self, display: Any):
        self.pace = Pace()
        self.handle = display({"text/plain": COMPILING}, raw=True, display_id=True)

    def update(self, status: Status) -> None:
        """Show the newest status."""
        info = words(status, self.pace.after(status.step, time.monotonic()))
        text = f"{status.step}/{status.total} {info}"
        bar = f'<progress value="{status.step}" max="{status.total}"></progress> {html.escape(text)}'
        self.handle.update({"text/html": bar, "text/plain": text}, raw=True)


@contextmanager
def progress_shown() -> Iterator[Report]:
    """Shows what is reported: a bar under the cell of a notebook or on a terminal, else lines on the error output."""
    console = Console(stderr=True, highlight=False)
    if console.is_jupyter:
        yield NotebookProgress(import_module("IPython.display").display).update
        return
    with RunProgress(console) as shown:
        yield shown.update
