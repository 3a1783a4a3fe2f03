"""Progress of a run or a fit: a bar on a terminal, a line now and then elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from memspike.training.bar import Pace as Pace
from memspike.training.bar import RunProgress as RunProgress


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
