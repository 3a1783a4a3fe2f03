"""XLA's needless lines stay away from the error output; everything else arrives, whatever happens."""

import os
import signal
import subprocess
import sys
import time

import pytest

from memspike.cli.stderr_filter import held_back, needless

HEAD = "E1129 07:38:44.418894    9910 cpu_aot_loader.cc:195] Loading XLA:CPU AOT result. Target machine feature "
TAIL = (
    " is not  supported on the host machine. Machine type used for XLA:CPU compilation doesn't match the machine type "
    f"for execution. Compile machine features: [{'+avx,' * 900}] This could lead to execution errors such as SIGILL."
)
PREFERENCE, FEATURE = f"{HEAD}+prefer-no-gather{TAIL}", f"{HEAD}+avx512f{TAIL}"
REAL = "E1129 07:38:44.418894    9910 cuda_platform.cc:1] failed call to cuInit: no device"


def guarded(body, every=True, **options):
    """A process that runs `body` while the lines are dropped."""
    code = f"""
import os, signal, sys, time, warnings
from memspike.cli.loader_lines import loader_lines_dropped
P, F, R = {PREFERENCE!r}, {FEATURE!r}, {REAL!r}
def c(text):  # as C code writes
    os.write(2, text.encode())
with loader_lines_dropped(every={every}):
{"".join(f"    {line}" + chr(10) for line in body.splitlines())}
c(P + " outside" + chr(10))
"""
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code], stdout=pipe, stderr=pipe, text=True, **options)


def written(body, every=True):
    process = guarded(body, every)
    output, error = process.communicate(timeout=60)
    return process.returncode, output, error


BOTH = "c(P + chr(10) + R + chr(10) + F + chr(10))"


def test_a_real_error_passes_and_loader_lines_do_not():
    assert written(BOTH) == (0, "", f"{REAL}\n{PREFERENCE} outside\n")


def test_a_true_mismatch_passes_where_programs_may_come_from_another_processor():
    assert written(BOTH, every=False) == (0, "", f"{REAL}\n{FEATURE}\n{PREFERENCE} outside\n")


def test_python_writes_as_before():
    body = "print('to out'); print('to err', file=sys.stderr); warnings.warn('careful'); c(P + chr(10))"
    status, output, error = written(body)
    assert (status, output) == (0, "to out\n")
    assert error.startswith("to err\n")
    assert "careful" in error
    assert error.count("\n") == 3 or "warnings.warn" in error


def test_lines_in_pieces_and_lines_without_an_end():
    body = """
for part in (P[:3], P[3:70], P[70:] + chr(10), R[:2], R[2:] + chr(10), "50 %", chr(8) + "60 %"):
    c(part)
    __import__("time").sleep(0.02)
""".strip()
    assert written(body)[2] == f"{REAL}\n50 %\b60 %{PREFERENCE} outside\n"


def test_unfinished_text_arrives_at_once():
    process = guarded("c('Continue? ')\nsys.stdin.read()", stdin=subprocess.PIPE)
    assert process.stderr is not None
    assert os.read(process.stderr.fileno(), 100) == b"Continue? "
    process.communicate("", timeout=60)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("os._exit(3)", 3),
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("os.abort()", -signal.SIGABRT),
        ("sys.exit(4)", 4),
    ],
)
def test_nothing_is_lost_in_a_crash(end, status):
    code, _, error = written(f"{BOTH}\nc('last words')\n{end}")
    assert (code, error) == (status, f"{REAL}\nlast words")


def test_an_exception_is_seen():
    status, _, error = written(f"{BOTH}\nraise ValueError('what went wrong')")
    assert status == 1
    assert error.startswith(f"{REAL}\n")
    assert error.endswith("ValueError: what went wrong\n")


def test_ctrl_c_ends_the_program_and_not_the_filter():
    body = """
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
try:
    print('ready', flush=True)
    while True:
        time.sleep(0.05)
except KeyboardInterrupt:
    c(P + chr(10) + R)
""".strip()
    process = guarded(body, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (0, f"{REAL}{PREFERENCE} outside\n")


def test_a_child_that_lives_on_does_not_hold_the_program_up():
    body = "__import__('subprocess').Popen([sys.executable, '-c', 'import time; time.sleep(30)'])"
    begin = time.monotonic()
    process = guarded(body, start_new_session=True)
    assert process.wait(timeout=25) == 0
    assert time.monotonic() - begin < 25
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)


def test_without_processes_the_lines_are_seen_and_nothing_breaks():
    code = f"""
import os, subprocess
from memspike.cli import loader_lines
def fail(*arguments, **options):
    raise OSError
loader_lines.subprocess.Popen = fail
with loader_lines.loader_lines_dropped(every=True):
    os.write(2, {REAL.encode()!r})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, REAL)


def test_what_is_needless():
    assert needless(PREFERENCE.encode(), every=False)
    assert needless(FEATURE.encode(), every=True)
    assert not needless(FEATURE.encode(), every=False)
    assert not needless(REAL.encode(), every=True)
    assert [held_back(text) for text in (b"E", b"E11", b"E1129 x", b"", b"Error", b"x")] == [True] * 3 + [False] * 3
