"""The small files with known truth: each is read as their README says."""

import numpy as np
import pytest

from memspike.fitting.instruments.reader import read
from memspike.fitting.measurements import read as measurements
from memspike.fitting.traces import to_traces

PLAIN = [
    *("c_resistance_header.csv", "i_keithley_nan.csv", "k_nan.csv", "t_pandas_index.csv", "p_one_negative.csv"),
    *("n_units_row.csv", "o_meta_lines.csv", "g_whitespace.dat", "e_latin1_uS.csv", "f_utf16.csv"),
]
LONG = {
    "read_noise_plateau.csv": (6, 121),
    "one_glitch.csv": (10, 51),
    "five_devices.csv": (10, 41),
    "crash_noise_dominated.csv": (2, 100),
}


@pytest.fixture
def cases(root):
    return root / "tests/fixtures/fit"


def test_every_case_is_tested(cases):
    assert {p.name for p in cases.iterdir()} == {*PLAIN, *LONG, "z_header_direction.csv", "README.md"}


@pytest.mark.parametrize("name", PLAIN)
def test_two_ramps_each_way_on_one_to_ten_microsiemens(cases, name):
    """κ = ±1.5 over 12 reads from 1 to 10 µS, 1 % noise: direction, range and unit."""
    traces = to_traces(read(cases / name))
    assert [t.pulses[0] for t in traces] == [1, 1, -1, -1]
    share = (1 - np.exp(-1.5 * np.arange(12) / 11)) / (1 - np.exp(-1.5))
    for trace in traces:
        curve = 1e-6 + 9e-6 * (share if trace.pulses[0] > 0 else 1 - share)
        known = np.isfinite(trace.g)
        assert (~known).sum() == (name.startswith("i_") and trace.ramp == "up1")
        np.testing.assert_allclose(trace.g[known], curve[: len(trace.g)][known], atol=4.5e-7)
    lengths = [len(t.g) for t in traces]
    assert lengths == (
        [10, 12, 12, 12] if name.startswith("k_") else [12, 12, 11, 12] if name.startswith("p_") else [12] * 4
    )
    measured = measurements([cases / name])
    assert (measured.table(1).shape, measured.table(-1).shape) == ((2, 12), (2, 12))


@pytest.mark.parametrize(
    ("name", "row", "column"),
    [("i_keithley_nan.csv", 7, "up1"), ("k_nan.csv", 12, "up1"), ("p_one_negative.csv", 13, "dn1")],
)
def test_missing_cells_are_noted(cases, name, row, column):
    table = read(cases / name)
    assert any(f"row {row}" in note and column in note and "missing" in note for note in table.notes)


def test_metadata_lines(cases):
    table = read(cases / "o_meta_lines.csv")
    assert table.facts == {"read voltage": 0.1}
    assert table.rows[0] == 6


def test_an_index_column_is_ignored(cases):
    table = read(cases / "t_pandas_index.csv")
    assert [c.name for c in table.columns] == ["up1", "up2", "dn1", "dn2"]


def test_directions_in_the_header(cases):
    traces = to_traces(read(cases / "z_header_direction.csv"))
    assert [t.pulses[0] for t in traces] == [1, 1, 1, -1, -1, -1]
    assert [t.ramp for t in traces] == ["SET", "SET (2)", "SET (3)", "RESET", "RESET (2)", "RESET (3)"]


@pytest.mark.parametrize("name", LONG)
def test_long_tables(cases, name):
    ramps, reads = LONG[name]
    traces = to_traces(read(cases / name))
    assert [len(t.g) for t in traces] == [reads] * (2 * ramps)
    assert sum(t.pulses[0] > 0 for t in traces) == ramps
    assert sum((t.g > 50e-6).sum() for t in traces) == (1 if name == "one_glitch.csv" else 0)
