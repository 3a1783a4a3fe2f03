"""`memspike data look` prints what was understood; `fit` takes the same options; neither guesses."""

import numpy as np
import pytest

from memspike import report
from memspike.cli.plot import dots


@pytest.fixture
def cases(root):
    return root / "tests/fixtures/fit"


def write(path, text):
    path.write_text(text)
    return path


def test_look_at_ramps(call, cases):
    status, text, error = call("data", "look", cases / "o_meta_lines.csv")
    assert (status, error) == (0, "")
    for words in (
        "o_meta_lines.csv: table, 12 rows",
        "up1: conductance (S), 972.8 nS to 9.943 µS",
        "read voltage: 100 mV",
        "2 of potentiation, 2 of depression; 48 reads",
        "--unit says otherwise",
        "conductance 827.4 nS to 10.08 µS, over read 0 to 47",
    ):
        assert words in text
    assert sum(any(0x2800 < ord(c) <= 0x28FF for c in line) for line in text.splitlines()) == 8


def test_one_thing_is_not_several(call, tmp_path):
    path = write(tmp_path / "g.csv", "G (uS)\n1\n2\n3\n")
    assert "holds 1 ramp of potentiation" in call("fit", path)[2]
    write(path, "time (s),G (uS)\n1,1\n2,2\n3,3\n")
    assert "g.csv has 1 trace of reads" in call("fit", path, "--kind", "retention")[2]
    assert "g.csv: table, 1 row\n" in call("data", "look", write(path, "G (uS)\n1\n"))[1]


def test_look_at_a_sweep(call, tmp_path):
    volts = np.linspace(-1, 1, 41)
    (tmp_path / "iv.csv").write_text("V (V),I (uA)\n" + "\n".join(f"{v},{3 * v**3}" for v in volts))
    status, text, _ = call("data", "look", tmp_path / "iv.csv")
    assert status == 0
    assert f"kind: sweep; fit it with memspike fit {tmp_path}/iv.csv\n" in text
    assert "before a fit: iv.csv has no times; give the sweep rate in V/s with --sweep-rate." in text
    assert "I (uA) -3 µA to 3 µA, over V (V) -1 V to 1 V" in text


G = "".join(f"{k},{k + 1}\n" for k in range(1, 9))
KINDS = {
    "pulses": "SET (uS),RESET (uS)\n1,3\n2,2\n3,1\n",
    "switching": "V (V),time (us)\n" + G,
    "retention": "time (s),temperature (K),G (uS)\n" + "".join(f"{k},300,{k + 1}\n" for k in range(1, 9)),
    "endurance": "cycle,LRS (kOhm),HRS (kOhm)\n" + "".join(f"{k},10,1000\n" for k in range(1, 9)),
    "levels": "target (uS),G (uS)\n" + G,
}


@pytest.mark.parametrize("kind", KINDS)
def test_look_names_the_kind_and_the_command(call, tmp_path, kind):
    path = write(tmp_path / "a.csv", KINDS[kind])
    text = call("data", "look", path)[1]
    assert f"kind: {kind}; fit it with memspike fit {path}\n" in text
    assert "before a fit" not in text
    assert ("traces:" in text) == (kind == "pulses")


def test_look_repeats_the_options_and_says_what_a_fit_asks(call, tmp_path):
    path = write(tmp_path / "a.csv", "t,G\n" + G)
    options = ("--column", "G=conductance:uS", "--column", "t=time:ms")
    text = call("data", "look", path, *options)[1]
    assert (
        f"kind: read-noise, retention or pulses; --kind says which, as memspike fit {path} {' '.join(options)} " in text
    )
    text = call("data", "look", write(path, "t (s),G (uS),R (Ohm)\n1,5,200\n2,4,250\n3,2,500\n"))[1]
    assert "before a fit: a.csv: R (Ohm) gives 1000 times the conductance of G (uS)" in text
    text = call("data", "look", write(path, "V (V),time\n" + G))[1]
    assert "before a fit: a.csv: nobody says the unit of column 'time'" in text
    text = call("data", "look", write(path, "G (uS)\n1\n2\n3\n"))[1]
    assert "before a fit: a.csv holds 1 ramp of potentiation but none of depression" in text


def test_look_asks_in_one_sentence(call, tmp_path):
    path = tmp_path / "g.csv"
    path.write_text("G\n1\n2\n3\n4\n3\n2\n1\n")
    status, text, error = call("data", "look", path)
    assert (status, text, error.count("\n")) == (2, "", 1)
    assert "--unit uS" in error
    assert call("data", "look", path, "--unit", "uS")[0] == 0
    status, text, _ = call("data", "look", path, "--column", "G=current:nA", "--read-voltage", "200mV")
    assert status == 0
    assert "1 of potentiation, 1 of depression" in text
    assert "5 nS to 20 nS" in text
    for wrong in (["--column", "H=current"], ["--read-voltage", "0"], ["--skip", "-1"], ["--unit", "furlong"]):
        status, text, error = call("data", "look", path, *wrong)
        assert (status, text, error.count("\n")) == (2, "", 1), wrong


def test_fit_takes_the_options_of_look(call, cases, tmp_path, monkeypatch):
    """Without their names, ohms are refused and nothing is written; with the unit they are fitted, notes are said."""
    lines = (cases / "c_resistance_header.csv").read_text().splitlines()[1:]
    path, out = tmp_path / "ohms.csv", tmp_path / "out"
    path.write_text("\n".join(["9.91e37" + lines[0][lines[0].index(",") :], *lines[1:]]))
    status, _, error = call("fit", path, "--model", "soft-bounds", "--out", out)
    assert status == 2
    assert "--unit ohm" in error
    assert not out.exists()
    monkeypatch.setattr(report, "write_fit", lambda found, folder: folder / "fit.html")  # no pictures here
    status, text, error = call("fit", path, "--unit", "ohm", "--model", "soft-bounds", "--out", out)
    assert status == 0, error
    assert "potentiation: rms" in text
    assert "note: ohms.csv, row 1, column 1: '9.91e37' is no value; missing." in text


def test_dots():
    assert dots([], []) == []
    assert dots([0.0, 1.0], [0.0, 1.0], width=1, height=1) == [chr(0x2800 + 0x40 + 0x08)]
    assert dots([0.0, 1.0], [0.0, 1.0], width=2, height=2, plain=True) == [" *", "*"]
    assert dots([1.0, 1.0], [2.0, 2.0], width=3, height=1, plain=True) == ["*"]


def test_the_read_voltage_goes_to_every_kind(call, tmp_path, monkeypatch):
    path = tmp_path / "noise.csv"
    noise = 1 + 0.01 * np.random.default_rng(0).standard_normal(128)
    path.write_text("time (s),I (nA)\n" + "\n".join(f"{k},{-1000 * x}" for k, x in enumerate(noise)))
    monkeypatch.setattr(report, "write_outcome", lambda found, folder: folder / "fit.html")  # no pictures here
    command = ("fit", path, "--kind", "read-noise", "--out", tmp_path / "out")
    status, _, error = call(*command)
    assert (status, "--read-voltage" in error) == (2, True)
    status, text, error = call(*command, "--read-voltage", "-0.1")
    assert status == 0, error
    assert "Read noise of 1 record" in text


def test_per_cent_are_shares_of_a_range(call, tmp_path):
    path = tmp_path / "share.csv"
    path.write_text("SET (%),RESET (%)\n" + "\n".join(f"{10 * k},{100 - 10 * k}" for k in range(11)))
    status, _, error = call("data", "look", path)
    assert (status, "--g-range" in error) == (2, True)
    status, text, _ = call("data", "look", path, "--g-range", "1uS:11uS")
    assert status == 0
    assert "SET (%): conductance (S), 1 µS to 11 µS" in text


def test_one_read_a_cycle_is_no_ramp(call, tmp_path):
    path = tmp_path / "cycles.csv"
    path.write_text("Cycle,SET (kOhm),RESET (kOhm)\n" + "\n".join(f"{k},10,1000" for k in range(1, 9)))
    assert "--kind endurance" in call("data", "look", path)[1]
    path.write_text("Cycle,State,R (kOhm)\n" + "\n".join(f"{k},LRS,10\n{k},HRS,1000" for k in range(1, 9)))
    assert "--kind endurance" in call("data", "look", path, "--column", "State=direction")[1]


def test_volts_and_amperes_that_nobody_named_are_told(call, tmp_path):
    path = tmp_path / "iv.csv"
    path.write_text("V,I\n" + "\n".join(f"{v},{1e-3 * v}" for v in np.linspace(-1, 1, 21)))
    assert "note: V and I have no unit: read in V and A" in call("data", "look", path)[1]
