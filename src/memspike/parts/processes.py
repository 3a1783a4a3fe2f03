"""Work that is Python's own, such as tracing, on all cores: processes that start anew, one task after the other."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any

from memspike.parts.imports import bring_all, recorded


@contextmanager
def _variables(given: Mapping[str, str]) -> Iterator[None]:
    """Environment variables, for the processes that start meanwhile."""
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _end_with_parent() -> None:
    """Processes of a pool do not notice that the one that made them was killed: they would wait for tasks for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _begin(parts: Any) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    bring_all(parts)


def each(
    work: Callable[[Any], Any],
    tasks: Sequence[Any],
    processes: int | None = None,
    variables: Mapping[str, str] | None = None,
) -> Iterator[tuple[int, Any]]:
    """The number and the result of every task as it ends; `work` and the tasks must be picklable.

    The processes start with these environment variables besides those of this one, and know the parts of users that
    this one knows. With one process, or one task, it runs here, with the variables that are set here.
    """
    count = min(processes or os.cpu_count() or 1, len(tasks))
    if count < 2:
        yield from ((k, work(task)) for k, task in enumerate(tasks))
        return
    anew = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, anew, initializer=_begin, initargs=(recorded(),)) as pool:
        with _variables(variables or {}):  # a process starts while tasks are handed in
            running = {pool.submit(work, task): k for k, task in enumerate(tasks)}
        try:
            for done in as_completed(running):
                yield running[done], done.result()
        finally:
            pool.shutdown(cancel_futures=True)
