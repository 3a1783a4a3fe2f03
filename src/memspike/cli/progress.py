"""Progress of a run: a bar on a terminal, a line now and then elsewhere."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from memspike.experiments.run import Progress as Status

QUIET_SECONDS = 10.0


class RunProgress:
    """A context that shows rate, loss, accuracy and the time left of one run."""

    def __init__(self, console: Console):
        self.console = console
        self.start = self.last = time.monotonic()
        self.first: int | None = None
        self.bar: Progress | None = None
        if console.is_terminal:
            self.bar = Progress(
                TextColumn("training"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[info]}"),
                TimeRemainingColumn(),
                console=console,
            )
            self.task = self.bar.add_task("training", total=None, info="compiling")

    def __enter__(self) -> "RunProgress":
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self.bar:
            self.bar.stop()

    def update(self, status: Status) -> None:
        """Show the newest status."""
        now = time.monotonic()
        if self.first is None or status.step <= self.first:  # the first chunk of a training holds its compilation
            self.first, self.start = status.step, now
        rate = (status.step - self.first) / (now - self.start) if now > self.start else 0.0
        accuracy = "" if status.accuracy is None else f", test {status.accuracy:.2%}"
        info = f"{rate:.1f} steps/s, loss {status.loss:.3f}{accuracy}"
        if self.bar:
            self.bar.update(self.task, completed=status.step, total=status.total, info=info)
        elif now - self.last > QUIET_SECONDS or status.step == status.total:
            self.last = now
            left = f", {(status.total - status.step) / rate:.0f} s left" if rate else ""
            self.console.print(f"step {status.step}/{status.total}, {info}{left}")
