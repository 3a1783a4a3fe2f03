"""Lines of XLA's loader that mean nothing are kept from the error output.

For every program that XLA takes from its cache on some processors, it writes lines to file descriptor 2 which say that
the processor lacks `+prefer-no-gather` and that this could lead to execution errors: a preference of the compiler, no
feature of a processor (https://github.com/openxla/xla/issues/44565). TF_CPP_MIN_LOG_LEVEL would hide true errors with
them. So the descriptor goes through a process of its own, which outlives a crash of ours and passes on all else.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE = 5.0  # seconds for the last lines, if a process that was started meanwhile keeps the descriptor
_left: "list[subprocess.Popen[bytes]]" = []  # filters that go on for such a process


def _through_filter(real: int, every: bool) -> "subprocess.Popen[bytes] | None":
    """Lead descriptor 2 through the filter to `real`; None where no process can be started.

    The filter is apart from our process group, so that Ctrl-C does not end it before us.
    """
    command = [sys.executable, "-I", "-S", str(Path(__file__).with_name("stderr_filter.py"))]
    source, sink = os.pipe()
    try:
        quiet, words = subprocess.DEVNULL, ["every"] if every else []
        helper = subprocess.Popen([*command, *words], stdin=source, stdout=real, stderr=quiet, process_group=0)
        os.dup2(sink, 2)
    except OSError:
        return None
    finally:
        os.close(source)
        os.close(sink)
    return helper


def _writes_there(stream: Any) -> bool:
    try:
        return stream.fileno() == 2
    except (OSError, ValueError):  # a test reads it, for example
        return False


@contextmanager
def loader_lines_dropped(*, every: bool) -> Iterator[None]:
    """Inside it, what C code writes to the error output arrives without those lines; Python writes as before.

    With `every`, no line about the processor passes: right where all programs were compiled on one of its kind.
    Otherwise only what is no feature of a processor is dropped.
    """
    before = sys.stderr
    helper, real = None, 2
    if os.name == "posix" and before is not None:
        before.flush()
        real = os.dup(2)
        helper = _through_filter(real, every)
        if helper is not None and _writes_there(before):  # loggers may hold it for longer: `real` stays open
            sys.stderr = os.fdopen(real, "w", 1, before.encoding, before.errors, closefd=False)
    try:
        yield
    finally:
        if helper is not None:
            sys.stderr.flush()
            sys.stderr = before
            os.dup2(real, 2)
            try:
                helper.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                _left.append(helper)
