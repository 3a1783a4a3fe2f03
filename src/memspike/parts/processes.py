"""Work that is Python's own, such as tracing, on all cores: processes that start anew, one task after the other."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any


def each(work: Callable[[Any], Any], tasks: Sequence[Any], processes: int | None = None) -> Iterator[tuple[int, Any]]:
    """The number and the result of every task as it ends; `work` and the tasks must be picklable.

    With one process, or one task, it runs here.
    """
    count = min(processes or os.cpu_count() or 1, len(tasks))
    if count < 2:
        yield from ((k, work(task)) for k, task in enumerate(tasks))
        return
    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as pool:
        running = {pool.submit(work, task): k for k, task in enumerate(tasks)}
        try:
            for done in as_completed(running):
                yield running[done], done.result()
        finally:
            pool.shutdown(cancel_futures=True)
