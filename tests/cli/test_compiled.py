"""Compiled programs are kept between runs, and a cache that cannot be used stops no run."""

import os
import subprocess
import sys

import pytest

from memspike.parts import compiled

OURS = [option.upper() for option in ("jax_compilation_cache_dir", *compiled.OPTIONS)]


def program(*arguments, **environment):
    """`memspike` as a user starts it: without what the tests say about the cache."""
    own = {k: v for k, v in os.environ.items() if k not in OURS}
    command = [sys.executable, "-m", "memspike.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=own | environment)


def computed(**environment):
    """What a verb that computes prints; on the error output it says nothing, neither of the cache nor its loader."""
    done = program("show", "pcmo", "--no-figures", **environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "symmetry point" in done.stdout
    return done.stdout


def entries(folder):
    return {p.name for p in folder.rglob("*-cache")}


def test_the_second_time_nothing_is_compiled_anew(tmp_path):
    kept = {"MEMSPIKE_CACHE": str(tmp_path)}
    cold = computed(**kept)
    known = entries(tmp_path)
    assert known
    ours = compiled.folder()
    assert [p.name for p in tmp_path.iterdir()] == [ours and ours.name]
    assert computed(**kept) == cold
    assert entries(tmp_path) == known


def test_damaged_programs_are_compiled_again(tmp_path):
    kept = {"MEMSPIKE_CACHE": str(tmp_path)}
    cold = computed(**kept)
    for path in tmp_path.rglob("*-cache"):
        path.write_bytes(path.read_bytes()[:20])
    assert computed(**kept) == cold


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    computed(MEMSPIKE_CACHE=str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == ""


def test_a_folder_that_goes_away_stops_nothing(tmp_path):
    """As a full disk does: the folder was there when the program began."""
    code = """
import pathlib, shutil, sys
path = compiled.keep()
shutil.rmtree(path)
path.write_text("")
print(jax.jit(lambda x: x + 1)(1))
"""
    assert asked(code, MEMSPIKE_CACHE=str(tmp_path)) == ["2"]


def asked(code, **environment):
    own = {k: v for k, v in os.environ.items() if k not in OURS}
    done = subprocess.run(
        [sys.executable, "-c", f"import jax\nfrom memspike.parts import compiled\n{code}"],
        capture_output=True,
        text=True,
        check=False,
        env=own | environment,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


KEPT = "print(compiled.keep(), jax.config.jax_compilation_cache_dir)"


@pytest.mark.parametrize(
    "environment",
    [{"MEMSPIKE_CACHE": "0"}, {"JAX_ENABLE_COMPILATION_CACHE": "false"}],
    ids=["ours", "jax"],
)
def test_it_can_be_switched_off(tmp_path, environment):
    assert asked(KEPT, XDG_CACHE_HOME=str(tmp_path), **environment) == ["None", "None"]
    assert not list(tmp_path.iterdir())


def test_the_folder_that_a_user_gave_to_jax_stays(tmp_path):
    given = str(tmp_path / "own")
    assert asked(KEPT, JAX_COMPILATION_CACHE_DIR=given, MEMSPIKE_CACHE=str(tmp_path / "ours")) == [given, given]
    assert not list(tmp_path.iterdir())


def test_a_threshold_that_a_user_gave_to_jax_stays(tmp_path):
    code = "compiled.keep()\nprint(jax.config.jax_persistent_cache_min_compile_time_secs)"
    assert asked(code, MEMSPIKE_CACHE=str(tmp_path)) == ["0.0"]
    assert asked(code, MEMSPIKE_CACHE=str(tmp_path), JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="2.5") == ["2.5"]


def test_the_folder_is_apart_for_each_processor_and_version(monkeypatch):
    monkeypatch.delenv("MEMSPIKE_CACHE", raising=False)
    here = compiled.folder()
    monkeypatch.setattr(compiled, "processor", lambda: "another")
    there = compiled.folder()
    assert here is not None
    assert there is not None
    assert here != there
    assert here.parent == there.parent
    assert "jaxlib-" in here.name


@pytest.mark.parametrize(("given", "words"), [("kept", "memspike-"), ("0", "is 0"), ("file", "cannot be written")])
def test_doctor_names_the_folder(tmp_path, given, words):
    (tmp_path / "file").write_text("")
    done = program("doctor", MEMSPIKE_CACHE=given if given == "0" else str(tmp_path / given))
    (line,) = [line for line in done.stdout.splitlines() if "compiled programs" in line]
    assert words in line
    assert given == "0" or str(tmp_path) in line
