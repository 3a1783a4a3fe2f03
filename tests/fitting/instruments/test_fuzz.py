"""Damaged files: every outcome is a table or one sentence."""

import random

import pytest

import memspike as ms
from memspike.fitting.instruments.options import Options
from memspike.fitting.instruments.reader import read
from memspike.fitting.traces import to_traces

NAMES = [
    *("b1500.csv", "easyexpert.csv", "arc_one.csv", "arc_one.csv.gz", "arc_two.h5", "keithley.xlsx", "keithley.xls"),
    *("smu.csv", "potentiostat.txt", "Memristor.csv", "numpy_log.csv", "pulse_log.dat", "neurosim.tsv"),
    *("write_verify.csv", "set.csv", "aihwkit.csv", "endurance.csv", "retention.csv", "wide.csv", "utf16.csv"),
    *("latin1.csv", "thousands.csv", "cells.csv"),
]
CELLS = (
    b"|nan|9.91E37|-1|0|1e400|oops|,|;|\t|\"|'|#|=|1,234|1.2 uS|\xb5|\x00|inf|(V)|(|[|1e-400|--|+|\n|\r|up|cycle".split(
        b"|"
    )
)
OPTIONS = [
    Options(),
    Options(columns={"1": ("voltage", "V"), "2": ("current", "uA")}),
    Options(unit="uS"),
    Options(read_voltage=0.1),
    Options(skip=3),
    Options(g_range=(1e-6, 1e-5), direction="up"),
]


def mutated(data, rng):
    """One to four damages: bytes, cells, lines, a cut."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        if not data:
            break
        at, kind = rng.randrange(len(data)), rng.randrange(7)
        if kind == 0:
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[at : at + rng.randint(1, 40)]
        elif kind == 2:
            data[at:at] = rng.choice(CELLS)
        elif kind == 3:
            lines = bytes(data).split(b"\n")
            lines.insert(rng.randrange(len(lines)), rng.choice(lines))
            data = bytearray(b"\n".join(lines))
        elif kind == 4:
            lines = bytes(data).split(b"\n")
            del lines[rng.randrange(len(lines))]
            data = bytearray(b"\n".join(lines))
        elif kind == 5:
            separator = rng.choice([b",", b"\t", b";", b"\n"])
            cells = bytes(data).split(separator)
            cells[rng.randrange(len(cells))] = rng.choice(CELLS)
            data = bytearray(separator.join(cells))
        else:
            data = data[:at]
    return bytes(data)


def outcomes(name, data, path, count):
    rng = random.Random(name)
    found = {"table": 0, "refused": 0, "traces": 0, "odd": 0}
    for k in range(count):
        damaged = mutated(data, rng)
        path.write_bytes(damaged)
        options = OPTIONS[k % len(OPTIONS)]
        try:
            table = read(path, options)
            found["table"] += 1
            to_traces(table, options)
            found["traces"] += 1
        except ms.InputError as error:
            found["refused"] += 1
            found["odd"] += "\n" in str(error) or not str(error).endswith(".")
        except Exception as error:
            raise AssertionError(f"{name}, mutation {k} of {len(damaged)} bytes: {error!r}") from error
    return found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [40, pytest.param(1000, marks=pytest.mark.full)])
def test_damaged_files_are_read_or_refused(layouts, tmp_path, name, count):
    found = outcomes(name, layouts.data(name), tmp_path / name, count)
    print(name, found)
    assert found["table"] + found["refused"] >= count
    assert found["refused"] > 0
    assert found["odd"] == 0  # one sentence each


def test_every_layout_is_damaged(layouts):
    assert {*NAMES} == {*layouts.LAYOUTS}
