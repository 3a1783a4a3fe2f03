"""Every layout of an instrument is read right at once, or refused with the option that settles it."""

import sys

import numpy as np
import pytest

import memspike as ms
from memspike.fitting.instruments.options import Options, column, from_texts
from memspike.fitting.instruments.reader import forms, read
from memspike.fitting.traces import to_traces


def values(table, kind):
    return [c.values for c in table.of(kind)]


@pytest.mark.parametrize("name", ["b1500.csv", "easyexpert.csv"])
def test_b1500(layout, layouts, name):
    """Read by tag: an empty first line, 150 more lines, and the role of a channel only in Channel.Func."""
    table = read(layout(name))
    assert table.form.startswith("Keysight B1500")
    (volts,), (amperes,) = values(table, "voltage"), values(table, "current")
    np.testing.assert_allclose(volts, layouts.VOLTS, rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(amperes, layouts.AMPERES, rtol=1e-7)
    assert table.facts == {"compliance": 1e-5}
    assert any("V3" in note and "not swept" in note for note in table.notes)
    with pytest.raises(ms.InputError, match="sweep of V1"):
        to_traces(table)


def test_b1500_repetitions_are_cycles(layout):
    path = layout("b1500.csv")
    text = path.read_text()
    path.write_text(text + text)
    table = read(path)
    assert set(values(table, "cycle")[0]) == {1.0, 2.0}
    assert len(table.rows) == 2 * 41
    assert table.rows[0] == text.split("\n").index("DataName, V1, I1, V3") + 2


@pytest.mark.parametrize("name", ["arc_one.csv", "arc_one.csv.gz", "arc_two.h5"])
def test_arc(layout, layouts, name):
    """Ohms or currents, device by device, reads among the pulses."""
    table = read(layout(name))
    traces = to_traces(table)
    assert [t.device for t in traces] == (["W01B02"] if name.endswith("h5") else ["W3B1", "W3B2"])
    for trace in traces:
        own = trace.g[np.isfinite(trace.g)]
        pulses = trace.pulses[trace.pulses != 0]
        assert (pulses > 0).sum() == (pulses < 0).sum() == layouts.PULSES - 1
        assert own[0] == pytest.approx(layouts.UP[0][0], rel=1e-6)
        assert own[-1] == pytest.approx(layouts.DOWN[0][-1], rel=1e-6)
        applied = trace.pulses != 0
        assert trace.amplitude is not None
        assert trace.width is not None
        assert set(np.abs(trace.amplitude[applied]).round(5)) == {1.2 if name.endswith("h5") else 1.5}
        assert np.allclose(trace.width[applied], 1e-7 if name.endswith("h5") else 1e-6)
        assert (np.sign(trace.amplitude[applied]) == np.sign(trace.pulses[applied])).all()
    if not name.endswith("h5"):
        assert (traces[0].pulses == 0).sum() == 2  # the reads between


@pytest.mark.parametrize("name", ["keithley.xlsx", "keithley.xls"])
def test_keithley_workbook(layout, layouts, name):
    table = read(layout(name))
    (volts,), (amperes,), (runs,) = (values(table, kind) for kind in ("voltage", "current", "cycle"))
    np.testing.assert_allclose(volts[:41], layouts.VOLTS, atol=1e-12)
    np.testing.assert_allclose(amperes[41:], 2 * layouts.AMPERES)
    assert set(runs) == {1.0, 2.0}
    assert {c.kind for c in table.columns} == {"voltage", "current", "time", "cycle"}


def test_a_missing_reader_is_asked_for(layout, monkeypatch):
    path = layout("keithley.xlsx")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ms.InputError, match=r"pip install 'memspike\[instruments\]'"):
        read(path)


def test_smu_and_potentiostat(layout, layouts):
    table = read(layout("smu.csv"))
    np.testing.assert_allclose(values(table, "voltage")[0], layouts.VOLTS, rtol=1e-5, atol=1e-9)
    assert values(table, "resistance")[0].min() < 0  # near 0 V, as measured
    assert table.of("time")[0].values[-1] == pytest.approx(4.0)
    table = read(layout("potentiostat.txt"))
    np.testing.assert_allclose(values(table, "current")[0], layouts.AMPERES, rtol=1e-5)
    np.testing.assert_allclose(values(table, "voltage")[0], layouts.VOLTS, rtol=1e-4, atol=1e-9)
    assert any("Current range" in note for note in table.notes)


def test_knowm_is_asked_for(layout, layouts):
    path = layout("Memristor.csv")
    with pytest.raises(ms.InputError, match="--column 1=voltage:V --column 2=current:uA"):
        read(path)
    table = read(path, from_texts(["1=voltage:V", "2=current:uA"], None, None))
    np.testing.assert_allclose(values(table, "current")[0], layouts.AMPERES)


def test_numpy_log(layout, layouts):
    """`#` begins the header, reads are negative at a negative voltage, three of them behind each pulse."""
    notes = []
    (trace,) = to_traces(read(layout("numpy_log.csv")), notes=notes)
    assert len(trace.g) == 3 * 24
    np.testing.assert_allclose(trace.g[:36:3], layouts.UP[0], rtol=1e-5)
    assert (trace.pulses > 0).sum() == layouts.PULSES - 1  # the first pulse lies before the first read
    assert (trace.pulses < 0).sum() == layouts.PULSES
    assert (trace.pulses == 0).sum() == 2 * 24
    assert any("negative pulses raise" in note for note in notes)
    (turned,) = to_traces(read(layout("numpy_log.csv")), Options(direction="positive"))
    np.testing.assert_array_equal(turned.pulses, -trace.pulses)


def test_pulse_log(layout, layouts):
    table = read(layout("pulse_log.dat"))
    assert table.facts == {"read voltage": 0.05, "temperature": 300.0}
    (trace,) = to_traces(table)
    np.testing.assert_allclose(trace.g, np.concatenate([layouts.UP[0], layouts.DOWN[0]]), rtol=1e-5)  # no offset
    assert trace.width is not None
    assert (trace.width[trace.pulses != 0] == 1e-3).all()


def test_neurosim(layout, layouts):
    table = read(layout("neurosim.tsv"))
    up, down = to_traces(table)
    np.testing.assert_allclose(up.g, layouts.UP[0], rtol=1e-4)
    np.testing.assert_allclose(down.g, layouts.DOWN[0][2:], rtol=1e-3)
    assert (up.pulses > 0).all()
    assert (down.pulses < 0).all()
    assert any("turned round" in note for note in table.notes)


def test_write_verify(layout):
    table = read(layout("write_verify.csv"))
    (final,), (target,) = values(table, "resistance"), values(table, "target")
    assert (final[0], np.isnan(final[7])) == (5500.0, True)
    assert target[0] == pytest.approx(1 / 5500)
    assert table.of("device")[0].labels[0] == "31.000"
    with pytest.raises(ms.InputError, match="--column 4=resistance:ohm"):
        read(layout("set.csv"))
    table = read(layout("set.csv"), from_texts(["4=resistance:ohm"], None, None))
    assert values(table, "resistance")[0][0] == 5500.0


def test_normalised_traces_need_a_range(layout):
    path = layout("aihwkit.csv")
    with pytest.raises(ms.InputError, match="--g-range"):
        read(path)
    up, down = to_traces(read(path, from_texts([], None, "1uS:21uS")))
    assert (up.g[0], up.g[-1]) == pytest.approx((1e-6, 21e-6))
    assert (up.pulses > 0).all()
    assert (down.pulses < 0).all()


def test_endurance_and_retention(layout):
    table = read(layout("endurance.csv"))
    low, high = values(table, "resistance")
    assert (low[0], high[0], values(table, "cycle")[0][-1]) == pytest.approx((1e4, 2e6, 1e6))
    table = read(layout("retention.csv"))
    assert values(table, "time")[0][-1] == 8 * 3600
    assert values(table, "temperature")[0][0] == pytest.approx(358.15)
    assert values(table, "conductance")[0][0] == pytest.approx(1e-6)


@pytest.mark.parametrize("name", ["wide.csv", "utf16.csv", "latin1.csv", "cells.csv"])
def test_spreadsheets(layout, layouts, name):
    traces = to_traces(read(layout(name)))
    assert [t.pulses[0] for t in traces] == [1, 1, -1, -1]
    for trace, ramp in zip(traces, layouts.RAMPS, strict=True):
        np.testing.assert_allclose(trace.g, ramp, rtol=1e-5)


def test_quoted_thousands_are_ohms(layout, layouts):
    found = values(read(layout("thousands.csv")), "resistance")
    np.testing.assert_allclose(found, 1e10 * np.array(layouts.RAMPS), rtol=1e-4)


@pytest.mark.parametrize(
    ("text", "kind", "first"),
    [
        ("pulse,R\n1,12000\n2,11000\n3,10000", "resistance", 12000.0),
        ("kOhm\n12\n11\n10", "resistance", 12e3),
        ("Ω\n12000\n11000\n10000", "resistance", 12e3),
        ("pulse width / ns;G / S\n100;1e-6\n100;2e-6\n100;1e-6", "width", 1e-7),
        ("U / V;I / nA\n0,1;5\n0,2;7\n0,3;9", "current", 5e-9),
        ("G_uS\n1,5\n1,6\n1,7", "conductance", 1.5e-6),
        ("0,00123\n0,00124\n0,00125", "conductance", 1.23e-3),
        ("a\tb\n1,5e-6\t2,5e-6\n1,6e-6\t2,6e-6\n1,7e-6\t2,7e-6", "conductance", 1.5e-6),
        ("1e-6 2e-6\n2e-6 1e-6\n3e-6 1e-6", "conductance", 1e-6),
        ("G (uS)\n1.5\nOVLD\n1.7\n#N/A\n1.8", "conductance", 1.5e-6),
        ("# a comment\n# another: one\n1e-6\n2e-6\n3e-6", "conductance", 1e-6),
        ("V,I\n0.1,1e-6\n0.2,2e-6\n0.3,3e-6", "voltage", 0.1),
        ("a title\n\npulse,G (uS)\n1,5\n2,6\n3,7\nEND\n", "conductance", 5e-6),
        ("G\n1.5 uS\n1600 nS\n0.0017 mS", "conductance", 1.5e-6),
        ("2024-05-01 12:00:01,1e-6\n2024-05-01 12:00:02,2e-6\n2024-05-01 12:00:03,3e-6", "conductance", 1e-6),
        ("Temp (C),G (S)\n27,1e-6\n28,2e-6\n29,1e-6", "temperature", 300.15),
        ("G (mS)\n−5\n1\n2\n3\n4\n6\n7", "conductance", np.nan),
    ],
)  # fmt: skip
def test_names_and_numbers(tmp_path, text, kind, first):
    path = tmp_path / "a.csv"
    path.write_text(text)
    np.testing.assert_allclose(values(read(path), kind)[0][0], first)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("G\n10\n11\n12", "likely uS: --unit uS"),
        ("G (S)\n10\n11\n12", "no conductance"),
        ("r1,r2\n15000,14000\n14000,13000\n13000,12000", "likely ohm"),
        ("R\n1.5\n1.4\n1.3", "likely kOhm"),
        ("I,V\n10,1\n11,1\n12,1", "likely uA"),
        ("G (a.u.)\n0.1\n0.2\n0.3", "conductance.*--column 1="),
        ("SET (furlong),RESET (furlong)\n1e-6,3e-6\n2e-6,2e-6\n3e-6,1e-6", "'furlong' is not a unit.*1=conductance:uS"),
        ("V (furlong),I (A)\n0.1,1e-6\n0.2,2e-6\n0.3,3e-6", "'furlong' is not a unit.*1=voltage:mV"),
        ("SET / furlong\n1e-6\n2e-6\n3e-6", "'furlong' is not a unit"),
        ("pulse width [blinks],G (S)\n1,1e-6\n1,2e-6\n1,1e-6", "'blinks' is not a unit.*1=width:us"),
        ("G (V)\n0.1\n0.2\n0.3", "no unit of a conductance"),
        ("0.1\n0.5\n0.9", "--g-range"),
        ("1e-6,-2e-6\n-1e-6,2e-6\n1e-6,-3e-6", "--column 1="),
        ("G (uS)\n-1\n-2\n3\n-4", "--read-voltage"),
        ("Temperature,G (S)\n25,1e-6\n26,2e-6\n27,1e-6", "temperature:K"),
        ("pulse width,G (S)\n100,1e-6\n100,2e-6\n100,1e-6", "likely ns: --column 1=width:ns"),
        ("V,I\n0.1,0.001\n0.2,0.01\n0.3,50\n0.4,80", "likely uA: --unit uA"),
        ("V,I\n100,1e-6\n200,2e-6\n300,3e-6", "likely mV: --column 1=voltage:mV"),
        ("0.01 1e-6\n0.02 2e-6\n0.03 4e-6\n0.02 1e-6", "several quantities.*--column"),
        ("R\n12.5\n24\n47", "likely kOhm: --unit kOhm"),
        ("G;n\n1,234;1\n2,345;2", "decimal point"),
        ("mV\n100\n200\n300", None),
    ],
)
def test_what_is_not_sure_is_asked_for(tmp_path, text, words):
    path = tmp_path / "a.csv"
    path.write_text(text)
    if words is None:
        assert values(read(path), "voltage")[0][0] == 0.1
        with pytest.raises(ms.InputError, match="no column of conductances"):
            to_traces(read(path))
    else:
        with pytest.raises(ms.InputError, match=words):
            read(path)


def test_options_overrule(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("made by a tester\nwith 2 lines\na,b,c\n1,10,7\n2,11,7\n3,12,7\n")
    options = Options(columns=dict([column("b=conductance:nS"), column("3=ignored")]), skip=2, direction="down")
    table = read(path, options)
    np.testing.assert_allclose(values(table, "conductance"), [[1e-8, 1.1e-8, 1.2e-8]])
    assert (to_traces(table, options)[0].pulses == -1).all()
    path.write_text("a\n10\n20\n30\n")
    assert values(read(path, Options(unit="kOhm")), "resistance")[0][0] == 1e4
    trace = to_traces(read(path, Options(unit="nA", read_voltage=0.1)), Options(read_voltage=0.1))[0]
    np.testing.assert_allclose(trace.g, [1e-7, 2e-7, 3e-7])
    path.write_text("SET (furlong)\n1\n2\n3\n")
    assert values(read(path, Options(unit="uS")), "conductance")[0][0] == 1e-6
    assert values(read(path, Options(columns={"1": ("conductance", "uS")})), "conductance")[0][0] == 1e-6


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"columns": ["x"]}, "NAME=KIND"),
        ({"columns": ["x=curent"]}, "Did you mean 'current'"),
        ({"columns": ["x=current:V"]}, "not measured in V"),
        ({"columns": ["x=current:furlong"]}, "not a unit"),
        ({"g": "1uS"}, "LOW:HIGH"),
        ({"g": "2uS:1uS"}, "below the highest"),
        ({"unit": "V"}, "--unit"),
        ({"direction": "sideways"}, "direction"),
        ({"read_voltage": "0"}, "other than 0"),
        ({"skip": -1}, "--skip"),
    ],
)
def test_wrong_options(given, words):
    with pytest.raises(ms.InputError, match=words):
        from_texts(given.pop("columns", []), given.pop("read_voltage", None), given.pop("g", None), **given)


def test_an_unknown_column(layout):
    with pytest.raises(ms.InputError, match=r"Did you mean .*'dn2'"):
        read(layout("wide.csv"), from_texts(["dn9=current:A"], None, None))


def test_formats_are_in_the_docs(root):
    page = (root / "docs/how-to/fit-your-device.md").read_text()
    for form in forms():
        assert f"| {form.name} | {form.found_by} | {form.what} | {form.source} |" in page, form
