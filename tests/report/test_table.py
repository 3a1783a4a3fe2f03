"""One declaration of columns for terminal, page and README."""

import pytest

import memspike as ms
from memspike.experiments import table
from memspike.experiments.table import Column, cell
from memspike.report.kinds import PAGES


@pytest.mark.parametrize(
    ("value", "column", "text"),
    [
        ("agad", Column("x", "", "text"), "agad"),
        (7, Column("x", "", "count"), "7"),
        (0.98765, Column("x", "", "percent", digits=2), "98.77 %"),
        (1.5e-6, Column("x", "", "fixed", "µS", 2), "1.50 µS"),
        (0.32e-12, Column("x", "", "fixed", "µS²", 2), "0.32 µS²"),
        (3.0, Column("x", "", "number", "pulses"), "3 pulses"),
        (4.84, Column("x", "", "fixed", "×", 1), "4.8×"),
        (1.2345e-7, Column("x", "", "scaled", "J", 3), "123 nJ"),
        (3600.0, Column("x", "", "duration"), "1 h"),
        ([0.5, 0.25], Column("x", "", "percent", digits=0), "50 %, 25 %"),
        (float("inf"), Column("x", "", "fixed"), "not finite"),
        (None, Column("x", "", "fixed"), ""),
    ],
)
def test_every_form(value, column, text):
    assert cell({"x": value}, column) == text


def test_spreads_are_read_beside_the_value():
    accuracy = Column("accuracy_mean", "", "percent with sd", digits=1)
    assert cell({"accuracy_mean": 0.9, "accuracy_sd": 0.01}, accuracy) == "90.0 ± 1.0 %"
    assert cell({"accuracy_mean": 0.9}, accuracy) == "90.0 %"
    row = {"mse_median": 0.1, "mse_q1": 0.05, "mse_q3": 0.2}
    assert cell(row, table.ERROR) == "0.1000 (0.0500–0.2000)"
    assert cell(row | {"diverged": 2}, table.ERROR) == "0.1000 (0.0500–0.2000, 2 diverged)"


def test_a_declaration_comes_back_from_json_and_refuses_what_nobody_can_print():
    columns = (table.SCHEME, table.ERROR)
    assert table.columns_of(table.declared(columns)) == columns
    with pytest.raises(ms.InputError, match="Did you mean 'percent'"):
        table.declared([Column("x", "", "precent")])
    with pytest.raises(ms.InputError, match="spread of a column"):
        table.declared([Column("x", "", "percent with var")])


ROWS = [
    {"scheme": "sign", "case": "a", "n": 3},
    {"scheme": "sign", "case": "b", "n": 12},
    {"scheme": "mixed-precision", "case": "b", "n": 4},
]
COLUMNS = (table.SCHEME, Column("case", "case", "text"), Column("n", "pulses", "count"))


def test_the_rows_as_a_table_for_a_terminal():
    result = {"rows": ROWS, "columns": table.declared(COLUMNS)}
    assert table.printed(result).splitlines()[:3] == [
        "scheme           case  pulses",
        "sign             a          3",
        "sign             b         12",
    ]
    assert table.printed({"rows": []}) == ""


def test_every_kind_has_a_page():
    assert set(table.KINDS) == set(PAGES)
