"""What verbs share: where they write, and what those that compute do first.

Results go to the output, progress and errors to the error output.
"""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Annotated, Any

import typer
from rich.console import Console

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable; nothing else is on the output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more, on the error output.")]


def note(*lines: str) -> None:
    """Lines on the error output."""
    for line in lines:
        err.print(line, markup=False, soft_wrap=True)


def _plain(value: Any) -> Any:
    """What JSON can hold: arrays as lists, null for what is not finite."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    import numpy as np

    return _plain(np.asarray(value).tolist())


def print_json(value: Any) -> None:
    """One JSON value on the output."""
    print(json.dumps(_plain(value), indent=2, ensure_ascii=False))


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
