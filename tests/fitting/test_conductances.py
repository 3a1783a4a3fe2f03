"""Columns of values → conductances, the same for pulses and for other measurements."""

import numpy as np
import pytest

from memspike.fitting.instruments.options import Options
from memspike.fitting.records import gather
from memspike.fitting.table import Column, Table
from memspike.fitting.traces import to_traces
from memspike.parts.errors import InputError

G = 1e-6 * np.array([1.0, 2, 3, 4, 3, 2, 1])
TAKE = {
    "pulses": lambda table: np.concatenate([trace.g for trace in to_traces(table, Options())]),
    "records": lambda table: gather([table], ("time",))[0]["g"],
}


def made(**columns):
    columns = {"time": np.arange(len(G)) + 1.0} | columns
    return Table("a.csv", "test", tuple(Column(k, k, v) for k, v in columns.items()), tuple(range(2, len(G) + 2)))


@pytest.mark.parametrize("take", TAKE.values(), ids=TAKE)
@pytest.mark.parametrize(
    ("other", "slip"),
    [
        ({"resistance": 1 / G}, 1000.0),
        ({"current": 0.1 * G, "read voltage": np.full(len(G), 0.1)}, 1e-3),
    ],
)
def test_two_quantities_of_the_same_reads_agree(take, other, slip):
    alone = take(made(conductance=G))
    noise = 1 + 0.01 * np.random.default_rng(0).standard_normal(len(G))
    name = next(iter(other))
    both = {"conductance": G, **other, name: noise * other[name]}
    np.testing.assert_array_equal(take(made(**both)), alone)
    with pytest.raises(
        InputError, match=f"{name} gives 0.001 times the conductance of conductance; name the right unit"
    ):
        take(made(**{**both, name: slip * other[name]}))


@pytest.mark.parametrize("kind", ["retention", "endurance", "levels", "tabular", "pulses"])
def test_a_read_voltage_of_conductances_is_refused(call, tmp_path, kind):
    path = tmp_path / "g.csv"
    path.write_text("time (s),cycle,target (uS),G (uS)\n" + "".join(f"{k},{k},5,{5 + k}\n" for k in range(1, 9)))
    status, _, error = call("fit", path, "--kind", kind, "--read-voltage", "0.1")
    assert (status, error.count("\n")) == (2, 1)
    assert "g.csv, G (uS) holds conductances; leave the read voltage out." in error


def test_a_sweep_has_no_read_voltage(call, tmp_path):
    path = tmp_path / "iv.csv"
    path.write_text("time (s),V (V),I (uA)\n" + "".join(f"{k},{k % 7 - 3},{k % 7 - 3}\n" for k in range(40)))
    status, _, error = call("fit", path, "--read-voltage", "0.1")
    assert (status, "what is fitted is sweep; leave it out" in error) == (2, True)
