"""The program, its raw file, and what it says when it fails."""

import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest

from memspike import InputError, interop
from memspike.interop.spice import alpha_current, find_simulator, neuron_bench, read_raw, simulate
from memspike.interop.spice.engine import find_engine, plain
from memspike.neurons import MIF
from memspike.parts.errors import RunError

ROOT = Path(__file__).parents[3]
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


def test_a_deck_as_the_engine_takes_it():
    deck = "* 5 µA — a title\nR1 a 0 1k\n.control\nset num_threads=1\nsave v(a)\nop\nwrite out.raw\n.endc\n.end\n"
    assert plain(deck) == "* 5 uA  a title\nR1 a 0 1k\n.save v(a)\n.op\n.end\n"


def test_the_engine_is_found_above_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    package = tmp_path / "node_modules/eecircuit-engine"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"version": "1.8.0", "module": "./dist/one.mjs"}')
    below = tmp_path / "a/b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    with pytest.raises(InputError, match="Node is missing: npm install eecircuit-engine"):
        find_simulator("eecircuit-engine")
    node = tmp_path / "bin/node"
    node.write_text("#!/bin/sh\nexit 13\n")
    node.chmod(0o755)
    found = find_simulator()
    assert found == find_simulator("eecircuit-engine")
    assert (found.name, found.version, found.klu) == ("eecircuit-engine", "1.8.0", True)
    assert found.path == str(package / "dist/one.mjs")
    with pytest.raises(InputError, match="ngspice is not on the path"):
        find_simulator("ngspice")
    with pytest.raises(RunError, match=r"eecircuit-engine 1\.8\.0 failed: it wrote no result"):
        simulate(found, RC)
    with pytest.raises(InputError, match=r"Unknown simulator 'ngspise'; allowed: .* Did you mean 'ngspice'"):
        find_simulator("ngspise")


def test_the_engine_finds_what_ngspice_does(simulator):
    if find_engine(ROOT) is None:
        if os.environ.get("MEMSPIKE_REQUIRE_NGSPICE") and shutil.which("npm"):
            pytest.fail("npm is there, but not eecircuit-engine: npm install eecircuit-engine")
        pytest.skip("no eecircuit-engine in node_modules; npm install eecircuit-engine")
    engine = find_simulator("eecircuit-engine")
    theirs, found = simulate(simulator, RC), simulate(engine, RC)
    times = np.linspace(0.1e-6, 5e-6, 50)
    np.testing.assert_allclose(found.plot.at("v(b)", times), theirs.plot.at("v(b)", times), atol=1e-5)
    assert found.measured["last"] == pytest.approx(theirs.measured["last"], abs=1e-5)
    with pytest.raises(RunError, match=r"eecircuit-engine .* failed: "):
        simulate(engine, RC.replace("R1 a b 1k", "B1 b 0 V=nothing(1)"))
    bench = neuron_bench(engine, MIF(), alpha_current(10e-6), duration=2e-3)
    assert bench.deviation < 0.5e-3


def test_the_door_opens_by_name():
    assert interop.spice.find_simulator is find_simulator
