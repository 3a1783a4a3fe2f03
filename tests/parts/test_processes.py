"""Tasks in processes of their own."""

import math
import os
import signal
import subprocess
import sys

import pytest

from memspike.parts.processes import each


def identity(_):
    return os.getpid()


def test_every_task_has_its_number_and_result():
    assert dict(each(math.sqrt, [1.0, 4.0, 9.0], 2)) == {0: 1.0, 1: 2.0, 2: 3.0}
    assert dict(each(math.sqrt, [], 2)) == {}


def test_one_process_is_this_one():
    assert dict(each(os.path.abspath, ["/a"], 4)) == {0: "/a"}
    assert dict(each(identity, [1, 2], 1)) == {0: os.getpid(), 1: os.getpid()}


def test_an_error_in_a_task_is_told():
    with pytest.raises(ValueError, match=r"math domain error|nonnegative"):
        list(each(math.sqrt, [1.0, -1.0], 2))


def test_processes_start_with_variables_that_are_gone_here():
    before = os.environ.get("XLA_FLAGS")
    given = {"XLA_FLAGS": "--of-a-test", "MEMSPIKE_OF_A_TEST": "1"}
    found = dict(each(os.getenv, ["XLA_FLAGS", "MEMSPIKE_OF_A_TEST"], 2, given))
    assert str(found[0]).split()[0] == "--of-a-test", "the package adds its own behind it"
    assert found[1] == "1"
    assert os.environ.get("XLA_FLAGS") == before
    assert "MEMSPIKE_OF_A_TEST" not in os.environ


KILLED = """
import time
from memspike.parts.processes import each

def told(_):
    print("works", flush=True)
    time.sleep(60)

if __name__ == "__main__":
    list(each(told, [1, 2], 2))
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_processes_end_with_the_one_that_is_killed(tmp_path):
    (tmp_path / "work.py").write_text(KILLED)
    with subprocess.Popen([sys.executable, "work.py"], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() + parent.stdout.readline() == "works\nworks\n"
        parent.send_signal(signal.SIGKILL)
        assert parent.communicate(timeout=30) == ("", None)  # the output ends when nobody is left who has it
