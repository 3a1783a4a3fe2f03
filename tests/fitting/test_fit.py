"""Measured ramps in, a device with intervals out; junk refused in one sentence."""

import json
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import memspike as ms
from memspike.devices import description, labels
from memspike.fitting import measurements
from memspike.fitting.fit import fit
from memspike.fitting.instruments.options import Options
from memspike.fitting.measurements import read
from memspike.fitting.table import Trace
from memspike.fitting.traces import turning_points
from memspike.parts.errors import InputError

LOW, HIGH = 10e-6, 110e-6
NOISE = {"up": 0.6e-6, "down": 0.8e-6}
VARIATION = {"up": 0.08, "down": 0.12}
LAW = ms.devices.SoftBounds(
    g_min=LOW, g_max=HIGH, pulses_up=100.0, pulses_down=90.0, curvature_up=2.0, curvature_down=-3.0
)


def synthetic(device, *, sets=1, ramps=8, pulses=60, seed=0):
    """Ramps of the device's own `program`, with speeds of the ramps and errors of the pulses drawn by numpy."""
    rng, found = np.random.default_rng(seed), {}
    with jax.enable_x64(True):
        device = jax.tree.map(lambda x: jnp.asarray(np.asarray(x, float)), device)
        step = jax.jit(lambda g, n: device.program(g, n))
        for side, sign, first in (("up", 1, 0.08), ("down", -1, 0.92)):
            g = np.empty((sets, ramps, pulses + 1))
            g[..., 0] = LOW + (HIGH - LOW) * first + 1e-6 * rng.standard_normal((sets, ramps))
            speed = 1 + VARIATION[side] * rng.standard_normal((sets, ramps))
            for k in range(pulses):
                mean = np.asarray(step(g[..., k], sign)) - g[..., k]
                g[..., k + 1] = g[..., k] + speed * mean + NOISE[side] * rng.standard_normal((sets, ramps))
            found[side] = g
    return [measurements.ramps(up, down) for up, down in zip(found["up"], found["down"], strict=True)]


@pytest.fixture(scope="module")
def one():
    return synthetic(LAW)[0]


def test_intervals_shrink_with_the_root_of_the_ramps():
    widths = []
    for count in (8, 32):
        found = [fit(m, model="soft-bounds", g_range=(LOW, HIGH)) for m in synthetic(LAW, ramps=count, sets=3, seed=3)]
        widths.append(
            {
                p.name: np.mean([f.parameters[k].high - f.parameters[k].low for f in found])
                for k, p in enumerate(found[0].parameters)
            }
        )
    for name in widths[0].keys() - {"read_noise", "window"}:  # there is none of them
        assert 1.5 < widths[0][name] / widths[1][name] < 3.4, (name, widths)


def test_auto_finds_the_law_and_the_curve_is_pulse_by_pulse(one):
    found = fit(one, g_range=(LOW, HIGH))
    assert found.model == "soft-bounds"
    assert found.bic["soft-bounds"] == min(found.bic.values())
    assert {"constant-step", "power-step", "log-step", "piecewise-step-9"} <= set(found.bic)
    assert found.nl_up == pytest.approx(float(labels.label(2.0)), abs=0.5)
    assert found.nl_down < 0
    for side, sign in (("up", 1), ("down", -1)):
        curve = [float(getattr(found.best, f"curve_{side}")[0])]
        g = jnp.asarray(curve[0])
        assert curve[0] == pytest.approx(np.mean(one.table(sign)[:, 0]), rel=0.01)
        for _ in range(60):
            g = found.best.law.program(g, sign)
            curve.append(float(g))
        np.testing.assert_allclose(getattr(found.best, f"curve_{side}"), curve, rtol=1e-4)
        mean = np.mean(one.table(sign), axis=0)
        rms = math.sqrt(np.mean((np.array(curve) - mean) ** 2)) / (HIGH - LOW)
        assert getattr(found, f"rms_{side}") == pytest.approx(rms, rel=0.01)
    noisy = found.device.device
    assert isinstance(noisy, ms.devices.CycleToCycle)
    assert noisy.up == pytest.approx(found.noise.up / (HIGH - LOW), rel=1e-5)


def test_measured_reram(shared_data):
    """One ReRAM: mean response within 0.5 % of the range, write and read noise apart, and steps of SET that grow."""
    files = [shared_data / "crosssim" / name for name in ("set.csv", "reset.csv")]
    found = fit(files, read_voltage=0.1, model="piecewise-step-9")
    assert found.rms_up <= 0.005
    assert found.rms_down <= 0.005
    # a step shows √(σ_write² + 2 σ_read²), 0.65 and 0.59 µS when it is all booked on the pulse
    for side, whole in (("up", 0.65e-6), ("down", 0.59e-6)):
        write = getattr(found, f"noise_{side}")
        assert math.hypot(write, math.sqrt(2) * found.read_noise) == pytest.approx(whole, rel=0.15)
        assert write < 0.7 * whole
    assert [found.data.table(side).shape[0] for side in ("up", "down")] == [39, 40]
    assert found.g_min == pytest.approx(1.63e-3, rel=0.01)
    assert found.nl_up < -1
    assert found.candidates["soft-bounds"].labels is not None
    assert not found.headline


# ---- reading


def write(path, text):
    path.write_text(text)
    return path


def wide(table, *, header="", separator=",", scale=1.0):
    rows = [separator.join("" if np.isnan(v) else f"{scale * v:.9g}" for v in row) for row in table.T]
    return "\n".join([*([header] if header else []), *rows]) + "\n"


def both(measured):
    return np.vstack([measured.table(1), measured.table(-1)])


def same(found, measured, rtol=1e-6):
    for way in (1, -1):
        np.testing.assert_allclose(found.table(way), measured.table(way), rtol=rtol)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_one_ramp_a_column(one, tmp_path, separator):
    same(read([write(tmp_path / "a.csv", wide(both(one), separator=separator))]), one)
    names = separator.join(f"ramp {k}" for k in range(16))
    same(read([write(tmp_path / "b.csv", wide(both(one), separator=separator, header=names))]), one)
    files = [
        write(tmp_path / f"{s}.csv", wide(one.table(way), separator=separator)) for s, way in (("down", -1), ("up", 1))
    ]
    same(read(files), one)


def test_decimal_commas_where_semicolons_separate(one, tmp_path):
    same(read([write(tmp_path / "a.csv", wide(both(one), separator=";").replace(".", ","))]), one)


def test_units_in_headers_and_currents(one, tmp_path):
    names = ",".join(["G (uS)"] * 16)
    same(read([write(tmp_path / "a.csv", wide(both(one), header=names, scale=1e6))]), one)
    names = ",".join(["I (nA)"] * 16)
    currents = write(tmp_path / "b.csv", wide(both(one), header=names, scale=0.2e9))
    same(read([currents], Options(read_voltage=0.2)), one)
    with pytest.raises(ms.InputError, match="give the voltage"):
        read([currents])
    same(read([write(tmp_path / "c.csv", wide(both(one), scale=-0.1))], Options(read_voltage=-0.1)), one)


def test_blanks_and_unequal_lengths(one, tmp_path):
    table = both(one).copy()
    table[1, 50:] = np.nan
    table[12, 7] = np.nan
    found = read([write(tmp_path / "a.csv", wide(table))])
    assert np.isnan(found.table(1)[1, 50:]).all()
    assert np.isnan(found.table(-1)[4, 7])
    assert np.isfinite(fit(found, model="soft-bounds").rms_up)


def test_an_index_column_is_no_ramp(one, tmp_path):
    text = wide(np.vstack([np.arange(61.0), both(one)]), header="pulse," + ",".join(f"r{k}" for k in range(16)))
    same(read([write(tmp_path / "a.csv", text)]), one)


@pytest.mark.parametrize("words", [("1", "-1"), ("SET", "reset"), ("LTP", "LTD"), ("up", "down")])
def test_long_table(one, tmp_path, words):
    rows = [
        f"{g[k, n]:.9g},{word},{n},{k + 1}"
        for word, g in zip(words, (one.table(1), one.table(-1)), strict=True)
        for k in range(8)
        for n in range(61)
    ]
    np.random.default_rng(0).shuffle(rows)
    same(read([write(tmp_path / "a.csv", "conductance (S),direction,pulse,cycle\n" + "\n".join(rows))]), one)


def test_long_table_without_ramp_numbers(one, tmp_path):
    rows = [
        f"{n},{sign},{v * 1e6:.9g}"
        for k in range(8)
        for sign, g in ((1, one.table(1)), (-1, one.table(-1)))
        for n, v in enumerate(g[k])
    ]
    same(read([write(tmp_path / "a.csv", "pulse,sign,G (uS)\n" + "\n".join(rows))]), one)


def test_a_single_column_is_cut_where_it_turns(one, tmp_path):
    series = np.concatenate([np.concatenate([up, down]) for up, down in zip(one.table(1), one.table(-1), strict=True)])
    assert turning_points(series) == [61 * k - 1 for k in range(1, 16)]
    found = read([write(tmp_path / "a.csv", "\n".join(f"{v:.9g}" for v in series))])
    assert (len(found.table(1)), len(found.table(-1))) == (8, 8)
    # the turning point itself begins the ramp that follows
    np.testing.assert_allclose(found.table(-1)[0, 0], one.table(1)[0, -1], rtol=1e-6)
    np.testing.assert_allclose(found.table(-1)[0, 1:], one.table(-1)[0], rtol=1e-6)


def test_two_files_in_different_units_are_refused(one, tmp_path):
    up = write(tmp_path / "up.csv", "\n".join(",".join(f"{v:.6g}" for v in row) for row in one.table(1).T))
    down = write(tmp_path / "down.csv", "\n".join(",".join(f"{20 * v:.6g}" for v in row) for row in one.table(-1).T))
    with pytest.raises(ms.InputError, match=r"up.csv, rows 1 to 61, column 1 .* down.csv, .* mixed units"):
        read([up, down])


def edited(row, column, text):
    def change(lines):
        cells = lines[row - 1].split(",")
        cells[column - 1] = text
        return [*lines[: row - 1], ",".join(cells), *lines[row:]]

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (edited(5, 3, "oops"), ["row 5, column 3", "'oops'", "a number"]),
        (edited(1, 2, "oops"), ["row 1, column 2", "'oops'"]),
        (lambda lines: [line + ",3e-5" for line in lines], ["column 17", "constant"]),
        (
            lambda lines: [f"{line},{1e-5 * float(line.split(',')[0]):g}" for line in lines],
            ["column 17", "mixed units"],
        ),
        (lambda lines: [",".join(line.split(",")[:8]) for line in lines], ["8 ramps of potentiation", "depression"]),
        (lambda lines: [",".join(line.split(",")[8:]) for line in lines], ["8 ramps of depression", "potentiation"]),
        (lambda lines: lines[:2], ["column 1", "2 values", "at least 3"]),
        (lambda lines: [], ["empty"]),
        (lambda lines: ["a,b,c"], ["no numbers"]),
        (lambda lines: [",".join(["G (V)"] * 16), *lines], ["column 1", "conductance (S) or current (A)"]),
        (lambda lines: [",".join(["G (S)", "I (A)"] * 8), *lines], ["G (S)", "I (A)", "mixed units"]),
    ],
)
def test_junk_is_refused_with_row_and_column(one, tmp_path, change, words):
    lines = change(wide(both(one)).splitlines())
    path = write(tmp_path / "junk.csv", "\n".join(lines))
    with pytest.raises(ms.InputError) as refused:
        read([path])
    for word in ["junk.csv", *words]:
        assert word in str(refused.value), (word, str(refused.value))
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["1,x,2e-5"], ["row 2, column 2", "direction"]),
        (["1,0,2e-5"], ["row 2, column 2", "direction"]),
        ([",1,2e-5"], ["row 2, column 1", "pulse"]),
        (["1,1,2e-5", "2,1,text"], ["row 3, column 3", "'text'"]),
    ],
)
def test_junk_in_a_long_table(tmp_path, rows, words):
    path = write(tmp_path / "junk.csv", "\n".join(["pulse,sign,value", *rows]))
    with pytest.raises(ms.InputError) as refused:
        read([path])
    assert all(word in str(refused.value) for word in words), str(refused.value)


def test_other_refusals(one, tmp_path):
    good = write(tmp_path / "good.csv", wide(both(one)))
    with pytest.raises(ms.InputError, match="does not exist"):
        fit(tmp_path / "absent.csv")
    with pytest.raises(ms.InputError, match="Did you mean 'soft-bounds'"):
        fit(good, model="soft-bound")
    with pytest.raises(ms.InputError, match="vteam is a law of sweep and switching, and what is fitted is pulses"):
        fit(good, model="vteam")
    with pytest.raises(ms.InputError, match="read voltage"):
        fit(good, read_voltage=0.0)
    with pytest.raises(ms.InputError, match="g_range"):
        fit(one, g_range=(50e-6, 60e-6))
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x80" * 9)
    with pytest.raises(ms.InputError, match="not a text file"):
        read([tmp_path / "binary.csv"])
    other = write(tmp_path / "other.csv", wide(one.table(-1), scale=0.1e-4))
    with pytest.raises(ms.InputError, match=r"other\.csv.*mixed units"):
        read([write(tmp_path / "up.csv", wide(one.table(1))), other])
    with pytest.raises(ms.InputError, match="none of depression"):
        measurements.ramps(one.table(1), one.table(-1)[:0])
    with pytest.raises(ms.InputError, match=r"potentiation 1 holds a conductance of -1 S"):
        fit(measurements.ramps(np.array([[2e-5, 3e-5, -1.0]]), one.table(-1)))


# ---- the command line


def test_fit_from_the_command_line(call, one, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "mine.csv", wide(both(one), scale=0.1))
    status, text, error = call("fit", "mine.csv", "--read-voltage", "0.1", "--model", "power-step")
    assert status == 0, error
    assert "power-step" in text
    folder = tmp_path / "runs/fit-mine"
    assert {"rms", "noise", "NL"} <= set(text.replace(",", "").split())
    assert "runs/fit-mine/fit.html" in text
    found = json.loads((folder / "fit.json").read_text())
    assert {"model", "rms_up", "noise_down", "bic", "candidates", "symmetry_point", "points_up", "g_min"} <= set(found)
    assert found["read_voltage"] == 0.1
    assert (found["ramps_up"], found["points_down"]) == (8, 8 * 61)
    assert {p["name"] for p in found["parameters"]} >= {"step_up", "power_down", "noise_up", "variation_down"}
    page = (folder / "fit.html").read_text()
    assert page.count("<figure class=plot") == len(list((folder / "figures").glob("*.png"))) == 5
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page), "everything is in the page"
    device, ours = (
        description.read(folder / "device.toml"),
        fit(tmp_path / "mine.csv", model="power-step", read_voltage=0.1),
    )
    assert isinstance(device, ms.devices.ReadNoise)
    for n in (5, -5):
        state = device.place(device.init((3,)), jnp.asarray([3e-5, 5e-5, 7e-5]))
        mine = ours.device.place(ours.device.init((3,)), jnp.asarray([3e-5, 5e-5, 7e-5]))
        np.testing.assert_allclose(
            device.stored(device.program(state, n)), ours.device.stored(ours.device.program(mine, n)), rtol=1e-5
        )
    width = found["g_max"] - found["g_min"]
    assert float(device.level) == pytest.approx(found["device_noise"]["read"] / width, rel=1e-4)
    before = (folder / "fit.json").read_bytes()
    status, _, error = call("fit", "mine.csv", "--out", folder)
    assert (status, "is not empty" in error) == (2, True)
    assert (folder / "fit.json").read_bytes() == before


def test_refused_input_writes_nothing(call, one, tmp_path):
    bad = write(tmp_path / "bad.csv", wide(both(one)).replace("e-05", "e-05x", 1))
    for arguments in ([bad], [tmp_path / "absent.csv"], [bad, "--model", "nonsense"]):
        status, _, error = call("fit", *arguments, "--out", tmp_path / "out")
        assert status == 2
        assert error.count("\n") == 1
        assert "Traceback" not in error
        assert not (tmp_path / "out").exists()


def test_names_that_are_exchanged_are_told():
    up = np.linspace(1e-6, 10e-6, 12)
    traces = [Trace(up, np.full(11, -1.0)), Trace(up[::-1], np.full(11, 1.0))]
    with pytest.raises(InputError, match="called up fall"):
        fit(traces)
