"""What verbs share: where they write, and what those that compute do first.

Results go to the output, progress and errors to the error output.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from rich.console import Console

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@contextmanager
def computing(*, cores: bool = False) -> Iterator[None]:
    """Keep compiled programs, without what their loader says about them; let JAX see all `cores`."""
    from memspike.cli.loader_lines import loader_lines_dropped
    from memspike.parts import compiled

    kept = compiled.keep()
    if cores:
        from memspike.parts.parallel import use_cores

        use_cores()
    with nullcontext() if kept is None else loader_lines_dropped(every=kept == compiled.folder()):
        yield
