"""Step tables from ramps: means, spreads and tails of steps, and what the device makes of them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike.fitting.kinds import Options, fit_tables
from memspike.fitting.table import Column, Table
from memspike.fitting.tabular import SHARES
from memspike.fitting.traces import restarts, to_traces
from memspike.parts.errors import InputError


def fitted(table) -> Any:
    return fit_tables([table], Options(), "tabular")


def stepped(rng, ramps=20, pulses=60):
    """Soft steps of 5 % of what is left with an error whose tail is long on one side."""
    rows = []
    for sign, first in ((1, 2e-6), (-1, 18e-6)):
        for ramp in range(ramps):
            g = first + 1e-6 * rng.random()
            for pulse in range(pulses + 1):
                rows.append(("up" if sign > 0 else "down", str(ramp), pulse, g))
                g += 0.05 * ((20e-6 if sign > 0 else 1e-6) - g) + 0.1e-6 * (rng.exponential() - 1)
    direction, ramp, pulse, g = zip(*rows, strict=True)
    columns = (
        Column.of("sign", "direction", direction),
        Column.of("ramp", "ramp", ramp),
        Column("n", "pulse", np.array(pulse) * 1.0),
        Column("g", "conductance", np.array(g)),
    )
    return Table("made.csv", "csv", columns, tuple(range(len(rows))))


@pytest.mark.parametrize("sets", [pytest.param(5, id="few"), pytest.param(100, id="many", marks=pytest.mark.full)])
def test_step_tables(sets):
    hits: dict[str, list[bool]] = {}
    for seed in range(sets):
        outcome = fitted(stepped(np.random.default_rng(seed)))
        low, high = (float(outcome.device.g[0, k]) for k in (0, -1))
        at = {f"{s:.0%}": low + s * (high - low) for s in SHARES}
        truth = {f"up mean at {s}": 0.05 * (20e-6 - g) for s, g in at.items()}
        truth |= {f"down mean at {s}": -0.05 * (g - 1e-6) for s, g in at.items()} | {"up sd at 50%": 0.1e-6}
        for e in outcome.estimates:
            if e.name in truth:
                hits.setdefault(e.name, []).append(e.low <= truth[e.name] <= e.high)
                assert e.high - e.low < 0.1e-6
    assert len(hits) == 7
    for name, hit in hits.items():
        assert sum(hit) >= (0.88 * sets if sets >= 100 else sets - 2), f"{name}: {sum(hit)} of {sets}"


def test_tails_of_step_tables(x64):
    """Quantiles of the errors, the long side included; and ramps of the device are the measured ones."""
    outcome = fitted(stepped(np.random.default_rng(1), ramps=60))
    device = outcome.device
    middle = np.asarray(device.up[0, :, 50]) - float(device.step(jnp.asarray(device.g[0, 50]), True, None))
    assert middle[5] == pytest.approx(0.1e-6 * (-np.log(0.95) - 1), abs=0.01e-6)
    assert middle[95] == pytest.approx(0.1e-6 * (-np.log(0.05) - 1), rel=0.2)
    state = device.place(device.init((2000,)), jnp.full(2000, 2.5e-6))
    after = device.program(state, 30, key=jax.random.key(0))
    assert float(after.mean()) == pytest.approx(20e-6 - 17.5e-6 * 0.95**30, rel=0.02)
    assert float(after.std()) == pytest.approx(0.1e-6 * np.sqrt((1 - 0.95**60) / (1 - 0.95**2)), rel=0.15)


def test_read_noise_in_step_tables_is_told():
    table = stepped(np.random.default_rng(0))
    g = table.columns[-1].values + 0.3e-6 * np.random.default_rng(1).standard_normal(len(table.rows))
    noisy = Table("made.csv", "csv", (*table.columns[:-1], Column("g", "conductance", g)), table.rows)
    assert "part of their scatter is read noise" in " ".join(fitted(noisy).warnings)
    with pytest.raises(InputError, match="no device with 50 steps in each direction"):
        fitted(stepped(np.random.default_rng(0), ramps=1, pulses=20))


def test_ramps_one_behind_the_other_are_taken_apart():
    """Without a column of ramps: what sets the device back before its next ramp is no step."""
    table = stepped(np.random.default_rng(0))
    signs = np.array([1.0 if text == "up" else -1.0 for text in table.of("direction")[0].texts()])
    columns = (Column("sign", "direction", signs), *table.of("conductance"))
    bare = Table(table.file, "csv", columns, table.rows)
    assert len(to_traces(bare)) == 40
    of_ramps, of_rows = (fitted(t).device for t in (table, bare))
    assert of_rows.up == pytest.approx(of_ramps.up)
    assert of_rows.down == pytest.approx(of_ramps.down)


def test_noise_and_glitches_set_nothing_back():
    rng = np.random.default_rng(0)
    for g in (rng.standard_normal(200), np.linspace(0, 1, 50) + 5.0 * (np.arange(50) == 20)):
        assert restarts(g, 1) == restarts(g, -1) == []
