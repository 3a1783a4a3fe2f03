"""One measurement in every way of writing: what is read is the measurement, whatever separates or scales it."""

import itertools
import random

import numpy as np
import pytest

from memspike.fitting.instruments.options import Options
from memspike.fitting.instruments.reader import read
from memspike.fitting.traces import to_traces

VOLTAGE = 0.2
QUANTITIES = {
    "conductance": (("G", "Conductance"), "S", ("u", "µ", "n", ""), lambda g: g),
    "resistance": (("R", "Resistance"), "ohm", ("k", "M", ""), lambda g: 1 / g),
    "current": (("I", "Current"), "A", ("u", "n", ""), lambda g: VOLTAGE * g),
}
SCALES = {"": 1.0, "k": 1e3, "M": 1e6, "u": 1e-6, "µ": 1e-6, "n": 1e-9}
STYLES = ("{} ({})", "{} [{}]", "{}_{}", "{} / {}", "row", "cells")
SEPARATORS = (",", ";", "\t", " ")
WORDS = (("SET", "RESET"), ("LTP", "LTD"), ("1", "-1"), ("up", "down"))
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "latin-1")


def written(ramps, rng):
    """The text of the ramps in one way of writing, and what it is."""
    kind = rng.choice(list(QUANTITIES))
    names, unit, prefixes, convert = QUANTITIES[kind]
    prefix, style, separator = rng.choice(prefixes), rng.choice(STYLES), rng.choice(SEPARATORS)
    if separator == " " and style in ("{} ({})", "{} [{}]", "{} / {}", "cells"):
        style = "{}_{}"  # names and cells without blanks
    unit, name = prefix + unit, rng.choice(names)
    head = name if style in ("row", "cells") else style.format(name, unit)
    comma = separator in ";\t" and rng.random() < 0.5
    end = f" {unit}" if style == "cells" else ""

    def cell(g):
        text = f"{convert(g) / SCALES[prefix]:.6g}{end}"
        return text.replace(".", ",") if comma else text

    rows, units = [], []
    if rng.random() < 0.5:  # one ramp a column
        index = rng.random() < 0.5
        rows.append([*(["pulse"] if index else []), *([head] * len(ramps))])
        units = [*(["1"] if index else []), *([unit] * len(ramps))]
        for k, values in enumerate(zip(*ramps, strict=True)):
            rows.append([*([str(k)] if index else []), *map(cell, values)])
    else:
        up, down = rng.choice(WORDS)
        rows.append(["direction", "cycle", head])
        for n, ramp in enumerate(ramps):
            rows += [[up if n % 2 == 0 else down, str(n // 2 + 1), cell(g)] for g in ramp]
        units = ["", "", unit]
    if style == "row":
        units = [u if u != "1" else "" for u in units]
        if separator == " ":
            return None
        rows.insert(1, units)
    lines = [separator.join(row) for row in rows]
    if rng.random() < 0.3:
        lines = ["Sample: A7", "", *lines]
    return kind, rng.choice(["\n", "\r\n"]).join(lines) + "\n"


@pytest.mark.parametrize("seed", range(5))
def test_every_way_of_writing_is_read_right(tmp_path, seed):
    rng = random.Random(seed)
    up = 2e-6 + 8e-6 * (1 - np.exp(-np.arange(14) / 5))
    ramps = [up, up[::-1], 1.05 * up, 1.05 * up[::-1]]
    done = 0
    for k in itertools.count():
        made = written(ramps, rng)
        if made is None:
            continue
        kind, text = made
        encoding = rng.choice(ENCODINGS)
        path = tmp_path / f"{k}.csv"
        path.write_bytes(text.encode(encoding))
        options = Options(read_voltage=VOLTAGE) if kind == "current" else Options()
        table = read(path, options)
        assert table.of(kind), (kind, text)
        traces = sorted(to_traces(table, options), key=lambda t: (t.g[0] * t.g[-1], t.g[0]))
        wanted = sorted(ramps, key=lambda g: (g[0] * g[-1], g[0]))
        assert len(traces) == 4, (encoding, text)
        for trace, ramp in zip(traces, wanted, strict=True):
            np.testing.assert_allclose(trace.g, ramp, rtol=1e-4, err_msg=text)
            assert (trace.pulses == np.sign(ramp[-1] - ramp[0])).all(), text
        done += 1
        if done == 25:
            break
