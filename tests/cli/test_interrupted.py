"""Runs that are killed, interrupted or short of disk: they go on to the same numbers."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import memspike as ms
from memspike.experiments import resolve
from memspike.parts import atomic
from memspike.training.folder import RunFolder

SMALL = ["data.train=320", "data.test=40", "size=8", "evaluation.chips=0", "fine_dt=none", "checkpoint_every=10"]


def small(*extra):
    return [word for item in (*SMALL, *extra) for word in ("--set", item)]


KILLED = ("epochs=8", "training.batch=4", "checkpoint_every=40")  # 80 steps an epoch in two chunks
DEADLINE = 1800  # seconds; a busy machine may take its time

# a background job inherits "ignore SIGINT", and would never be interrupted; a run that is to be stopped waits for it
PROGRAM = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from memspike import cli
from memspike.cli.progress import RunProgress

last = int(sys.argv.pop(1))
if last:
    RunProgress.update = lambda self, status: time.sleep(3600 if status.step >= last else 0)
cli.main()
"""


def start(out, *extra, wait_at=0):
    """A run in a process of its own; it waits once `wait_at` steps are done. Its output is in files beside `out`."""
    command = [sys.executable, "-c", PROGRAM, str(wait_at), "run", "memprop-digits", *small(*KILLED)]
    with (out.parent / "output").open("w") as output, (out.parent / "errors").open("w") as errors:
        return subprocess.Popen([*command, "--out", str(out), *extra], stdout=output, stderr=errors)


def finish(process, out):
    """Exit status and error output, once it has ended."""
    return process.wait(timeout=DEADLINE), (out.parent / "errors").read_text()


def stop_after_checkpoint(out, number):
    process = start(out, wait_at=240)
    deadline = time.monotonic() + DEADLINE
    try:
        while not any((out / "checkpoints").glob("step-000000[12]*.npz")):
            assert process.poll() is None, (out.parent / "errors").read_text()
            assert time.monotonic() < deadline, "no checkpoint appeared"
            time.sleep(0.02)
        process.send_signal(number)
        return finish(process, out)
    finally:
        process.kill()


def outcome(out):
    result = json.loads((out / "result.json").read_text())
    for timing in ("wall_s", "steps_per_s"):
        del result[timing]
    return result, (out / "metrics.csv").read_text()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    status, error = finish(start(out), out)
    assert status == 0, error
    return out


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=lambda s: s.name)
def test_a_stopped_run_resumes_to_the_same_numbers(undisturbed, tmp_path, number):
    out = tmp_path / "run"
    status, error = stop_after_checkpoint(out, number)
    assert status == (-9 if number == signal.SIGKILL else 130)
    assert not (out / "result.json").exists(), "it had ended before it was stopped"
    if number == signal.SIGINT:
        assert "--resume" in error
        assert "Traceback" not in error
    status, error = finish(start(out, "--resume"), out)
    assert status == 0, error
    (a, b) = (outcome(folder) for folder in (undisturbed, out))
    assert a == b
    with (
        np.load(undisturbed / "checkpoints/step-000000640.npz") as x,
        np.load(out / "checkpoints/step-000000640.npz") as y,
    ):
        for name in (n for n in x.files if n.startswith("leaf")):
            np.testing.assert_array_equal(x[name], y[name])


def test_resume_in_the_middle_of_an_epoch(tmp_path):
    """Stopped after the first of two chunks: the mean loss of the epoch counts both."""
    config = resolve("memprop-digits", [*SMALL, "epochs=2", "training.batch=4", "checkpoint_every=40"]).settings
    whole = ms.experiments.run(config, tmp_path / "whole")

    def stop(progress):
        if progress.step == 120:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ms.experiments.run(config, tmp_path / "parts", report=stop)
    parts = ms.experiments.run(config, tmp_path / "parts", resume=True)
    assert parts["final_loss"] == whole["final_loss"]
    texts = [(tmp_path / name / "metrics.csv").read_text() for name in ("whole", "parts")]
    assert texts[0] == texts[1]


def full_disk(monkeypatch, after):
    """Writing fails with ENOSPC once `after` files were flushed."""
    count = 0
    real = os.fsync

    def fsync(handle):
        nonlocal count
        count += 1
        if count > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(atomic.os, "fsync", fsync)


def test_a_full_disk_while_writing_a_checkpoint(call, tmp_path, monkeypatch):
    out = tmp_path / "run"
    full_disk(monkeypatch, after=5)
    status, _, error = call("run", "memprop-digits", *small("epochs=4"), "--out", out)
    assert status == 1
    assert "the disk is full" in error
    assert "Traceback" not in error
    files = [p for p in out.rglob("*") if p.is_file()]
    assert not [p for p in files if p.name.startswith(".")], "a half-written file is left"
    assert RunFolder(out).latest() is not None
    monkeypatch.undo()
    config = resolve("memprop-digits", [*SMALL, "epochs=4"]).settings
    assert ms.experiments.run(config, out, resume=True)["steps"] == 40
