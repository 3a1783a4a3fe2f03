"""Switching times in, thresholds and exponents out."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from memspike.devices import VTEAM, description
from memspike.fitting.kinds import Options, fit_tables, named
from memspike.fitting.switching import LAWS
from memspike.fitting.table import Column, Table
from memspike.parts.errors import InputError

DEVICE = {"k_on": -2e-3, "v_on": -0.5, "alpha_on": 3.0, "k_off": 1e-3, "v_off": 0.3, "alpha_off": 2.0}
VOLTS = np.repeat(np.linspace(0.6, 1.5, 8), 3)


def times(rng, spread=0.05):
    """Signed voltages in V, times in s and directions of the whole way of VTEAM."""
    v, t, ways = [], [], []
    for side, sign in (("on", -1), ("off", 1)):
        k, v_th, power = (DEVICE[f"{name}_{side}"] for name in ("k", "v", "alpha"))
        v.append(sign * VOLTS)
        t.append(3e-9 / (abs(k) * (VOLTS / abs(v_th) - 1) ** power) * np.exp(spread * rng.standard_normal(VOLTS.size)))
        ways += ["set" if side == "on" else "RESET"] * VOLTS.size
    return np.concatenate(v), np.concatenate(t), tuple(ways)


def table_of(v, t, ways=()):
    columns = [Column("V", "voltage", v), Column("t", "time", t)]
    columns += [Column.of("way", "direction", ways)] if ways else []
    return Table("a.csv", "test", tuple(columns), tuple(range(2, len(v) + 2)))


def test_the_law_is_that_of_the_library(x64):
    """The whole way at a constant voltage, with narrow edges and thresholds."""
    v = np.array([0.8, 1.2])
    theta = np.log([1e-3 / 3e-9, 0.3, 2.0])
    device = VTEAM(**DEVICE, smoothing=1e-4, edge_width=5e-3, substeps=1000)  # pyright: ignore[reportArgumentType]
    for volts, time in zip(v, np.exp(LAWS["vteam"].log_time(v, theta)), strict=True):
        assert abs(float(device.advance(jnp.asarray(1.0), jnp.asarray(volts), 0.9 * float(time))) - 0.1) < 0.002


def test_intervals_of_twenty_sets_hold_the_truth():
    rng, held, told = np.random.default_rng(0), 0, 0
    for _ in range(20):
        found = fit_tables([table_of(*times(rng))], Options(model="vteam"), "switching")
        for e in found.estimates:
            told += e.determined
            held += e.determined and e.low <= DEVICE[e.name] <= e.high
    assert told >= 0.9 * 120
    assert held >= 0.92 * told


@pytest.mark.parametrize("name", ["sinh", "exponential"])
def test_other_laws_are_recognised(name):
    rng = np.random.default_rng(2)
    v = np.repeat(np.linspace(0.1, 1.5, 12), 3)
    t = np.exp(LAWS[name].log_time(v, np.log([1e-3, 0.2])) + 0.02 * rng.standard_normal(v.size))
    found = fit_tables([table_of(v, t)], Options())
    assert found.facts["model"] == name
    assert found.device is None
    (speed, scale) = found.estimates
    assert speed.low < 1e-3 < speed.high
    assert scale.low < 0.2 < scale.high


def test_the_command_writes_a_device_a_page_and_numbers(call, tmp_path):
    file, out = tmp_path / "mine.csv", tmp_path / "out"
    rows = [f"{v * 1e3:.6g},{t * 1e6:.6g},{way}" for v, t, way in zip(*times(np.random.default_rng(1)), strict=True)]
    file.write_text("\n".join(["amplitude (mV),time (us),direction", *rows]))
    code, text, error = call("fit", str(file), "--out", str(out))
    assert code == 0, error
    assert text.startswith("vteam: a time deviates by")
    assert json.loads((out / "fit.json").read_text())["model"] == "vteam"
    device = description.read(out / "device.toml")
    assert isinstance(device, VTEAM)
    assert abs(float(device.v_on) + 0.5) < 0.05
    assert [f.name for f in (out / "figures").glob("*.png")] == ["switching.png"]
    file.write_text(file.read_text().replace("time (us)", "time"))
    code, _, error = call("fit", str(file), "--out", str(tmp_path / "none"))
    assert code == 2
    assert "nobody says the unit" in error
    assert not (tmp_path / "none").exists()


V, T, WAYS = times(np.random.default_rng(0))
BAD = [
    (table_of(V, -T, WAYS), "auto", "above 0"),
    (table_of(V[:4], T[:4], WAYS[:4]), "auto", "5 at 3 voltages"),
    (table_of(np.abs(V) * np.tile([1, -1], len(V) // 2), T, WAYS), "auto", "both signs"),
    (table_of(V, T, WAYS), "vtem", "Did you mean 'vteam'"),
]


@pytest.mark.parametrize(("table", "model", "words"), BAD)
def test_what_are_no_switching_times_is_refused(table, model, words):
    with pytest.raises(InputError, match=words):
        fit_tables([table], Options(model=model), "switching")


def test_an_unknown_kind_is_refused():
    with pytest.raises(InputError, match="Did you mean 'switching'"):
        named([table_of(V, T, WAYS)], "swiching")
