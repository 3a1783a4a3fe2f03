"""The program, its raw file, and what it says when it fails."""

import stat

import numpy as np
import pytest

from memspike import InputError, interop
from memspike.interop.spice import find_simulator, read_raw, simulate
from memspike.parts.errors import RunError

RC = """* a capacitor that is charged
V1 a 0 1
R1 a b 1k
C1 b 0 1n
.tran 1n 5u 0 10n uic
.meas tran last FIND v(b) AT=4u
.control
set num_threads=1
set filetype=binary
save v(b)
run
write out.raw
.endc
.end
"""
HEADER = "Title: t\nDate: d\nPlotname: {name}\nFlags: real\nNo. Variables: 2\nNo. Points: {n}\nVariables:\n"
HEADER += "\t0\ttime\ttime\n\t1\tV(Out)\tvoltage\nBinary:\n"


def test_a_transient(simulator):
    found = simulate(simulator, RC)
    times = np.linspace(0.1e-6, 5e-6, 50)
    assert np.abs(found.plot.at("v(b)", times) - (1 - np.exp(-times / 1e-6))).max() < 1e-4
    assert found.measured["last"] == pytest.approx(1 - np.exp(-4), abs=1e-4)
    assert found.plot.name == "Transient Analysis"
    assert simulator.version.split(".")[0].isdigit()
    with pytest.raises(RunError, match=r"has written no v\(c\)"):
        found.plot.of("v(c)")


@pytest.mark.parametrize("wrong", ["R1 a b nonsense(", "B1 b 0 V=nothing(1)"])
def test_a_deck_that_fails_is_one_sentence(simulator, wrong):
    with pytest.raises(RunError, match="failed: "):
        simulate(simulator, RC.replace("R1 a b 1k", wrong))


def write(path, *plots):
    parts = [HEADER.format(name=name, n=len(v)).encode() + np.asarray(v, "<f8").tobytes() for name, v in plots]
    path.write_bytes(b"".join(parts))


def test_raw_files(tmp_path):
    first, second = np.asarray([[0.0, 1.0], [1.0, 3.0], [2.0, 4.0]]), np.asarray([[5.0, 6.0]])
    write(tmp_path / "a.raw", ("Transient", first), ("Operating Point", second))
    plots = read_raw(tmp_path / "a.raw")
    assert [one.name for one in plots] == ["Transient", "Operating Point"]
    assert plots[0].of("v(out)").tolist() == [1.0, 3.0, 4.0]
    assert plots[0].at("v(out)", np.asarray([0.5, 1.5])).tolist() == [2.0, 3.5]
    assert plots[1].of("time").tolist() == [5.0]
    whole = (tmp_path / "a.raw").read_bytes()
    for part, words in ((whole[:-8], "ends before"), (b"nothing", "no binary raw file"), (b"", "is empty")):
        (tmp_path / "b.raw").write_bytes(part)
        with pytest.raises(RunError, match=words):
            read_raw(tmp_path / "b.raw")


def test_complex_vectors_give_their_real_part(tmp_path):
    write(tmp_path / "a.raw", ("AC", np.asarray([[1.0, 0.0, 2.0, 9.0], [3.0, 0.0, 4.0, 9.0]])))
    text = (tmp_path / "a.raw").read_bytes().replace(b"Flags: real", b"Flags: complex")
    (tmp_path / "a.raw").write_bytes(text)
    assert read_raw(tmp_path / "a.raw")[0].of("v(out)").tolist() == [2.0, 4.0]


def program(folder, said):
    file = folder / "ngspice"
    file.write_text(f"#!/bin/sh\necho '{said}'\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


def test_what_is_missing_or_old_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="ngspice is not on the path; install it: apt-get install ngspice"):
        find_simulator()
    program(tmp_path, "another program")
    with pytest.raises(InputError, match="does not say that it is ngspice"):
        find_simulator()
    program(tmp_path, "** ngspice-36 : Circuit")
    with pytest.raises(InputError, match="is ngspice 36; 39 or later is needed"):
        find_simulator()
    program(tmp_path, "** ngspice-45.2 : with KLU")
    found = find_simulator()
    assert (found.version, found.klu) == ("45.2", True)


def test_the_door_opens_by_name():
    assert interop.spice.find_simulator is find_simulator
