"""What a fitted device simulates, how its kind differs from device to device, and the file that keeps both."""

import dataclasses
import importlib
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike.config.resolve import completed
from memspike.devices import RampToRamp, ReadNoise, Relative, SoftBounds, description
from memspike.fitting.instruments.options import Options
from memspike.fitting.measurements import read
from memspike.fitting.series import SIDES
from memspike.fitting.table import Trace
from memspike.fitting.trust import measured, simulated
from memspike.parts.errors import InputError

fitting = importlib.import_module("memspike.fitting.fit")


@pytest.fixture(scope="module")
def several():
    """Four devices of scales 0.7 to 1.3, four ramps each way, write and read noise."""
    rng, traces = np.random.default_rng(0), []
    for scale in (0.7, 0.9, 1.1, 1.3):
        for sign in (1.0, -1.0):
            for k in range(2):
                x = [0.0 if sign > 0 else 1.0]
                for _ in range(60):
                    ahead = (1.1 - x[-1]) if sign > 0 else (x[-1] + 0.1)
                    x.append(x[-1] + sign * 0.04 * ahead + 0.002 * rng.standard_normal())
                g = scale * (10e-6 + 40e-6 * (np.array(x) + 0.002 * rng.standard_normal(61)))
                traces.append(Trace(g, np.full(60, sign), device=f"cell {scale}", ramp=str(k)))
    return traces


def test_devices_differ_in_the_file_and_on_a_chip(several, tmp_path):
    found = fitting.fit(several, model="soft-bounds")
    ((paths, how),) = found.spread.items()
    assert paths.split() == [f"device.device.device.{name}" for name in ("g_min", "g_max")]
    assert isinstance(how, Relative)
    assert how.sd == pytest.approx(np.std([0.7, 0.9, 1.1, 1.3], ddof=1), rel=0.1)
    file = tmp_path / "device.toml"
    description.write(found.device, file, found.spread)
    again = description.spread_of(str(file))[paths]
    assert isinstance(again, Relative)
    assert again.sd == pytest.approx(how.sd, rel=1e-5)
    chip = description.chip_of(str(file), (400,), key=jax.random.key(0))
    assert float(jnp.std(chip.g_max) / jnp.mean(chip.g_max)) == pytest.approx(how.sd, rel=0.15)
    tables = {"synapse": {"device": str(file)}, "fabrication": {"published": True}}
    assert completed(tables)["fabrication"]["spread"][paths]["sd"] == pytest.approx(how.sd, rel=1e-5)
    assert "spread" not in completed({"synapse": {"device": str(file)}})["fabrication"]


def test_a_spread_is_checked(tmp_path):
    file = tmp_path / "device.toml"
    file.write_text('type = "soft-bounds"\n[spread]\ng_max = -1\n')
    with pytest.raises(InputError, match=r"spread\.g_max is -1"):
        description.spread_of(str(file))
    assert isinstance(description.read(file), SoftBounds)


def test_ramps_from_devices_that_nobody_named(several):
    found = fitting.fit([dataclasses.replace(t, device="") for t in several], model="soft-bounds")
    assert any("scaled copies" in note for note in found.warnings)
    assert found.best.law.curvature_up == pytest.approx(-60 * np.log(0.96), rel=0.05)
    for seen, drawn in found.trajectories.values():  # simulated devices differ as the measured ones
        assert drawn.sd[-2] == pytest.approx(seen.sd[-2], rel=0.2)


def test_simulated_ramps_spread_as_the_measured_ones():
    """A device simulated, fitted and simulated again: mean and s.d. of the change at every tenth pulse."""
    law = SoftBounds(g_min=1e-6, g_max=11e-6, pulses_up=90.0, pulses_down=90.0)
    truth = ReadNoise(device=RampToRamp(device=law, up=0.1, down=0.06), level=0.004)
    traces = []
    for sign, start in ((1.0, 1.2e-6), (-1.0, 10.8e-6)):
        for k, row in enumerate(simulated(truth, np.full(40, start), np.full(60, sign), seed=int(sign))):
            traces.append(Trace(row, np.full(60, sign), ramp=str(k)))
    found = fitting.fit(traces, model="soft-bounds")
    for side, _ in SIDES:
        seen, drawn = found.trajectories[side]
        for k in range(10, 61, 10):
            assert drawn.mean[k] == pytest.approx(seen.mean[k], rel=0.02)
            assert drawn.sd[k] == pytest.approx(seen.sd[k], rel=0.3)
    assert found.headline == ""


def test_a_speed_lasts_a_ramp_and_is_drawn_anew_where_it_turns():
    device = RampToRamp(device=SoftBounds(curvature_up=0.0, curvature_down=0.0), up=0.2, down=0.2)
    state = device.place(device.init((2000,)), jnp.full(2000, 5e-6))
    keys = jax.random.split(jax.random.key(0), 4)
    one = device.program(state, 1, key=keys[0])
    two = device.program(one, 1, key=keys[1])
    back = device.program(two, -1, key=keys[2])
    np.testing.assert_allclose(two.deviation, one.deviation)
    assert abs(np.corrcoef(back.deviation, one.deviation)[0, 1]) < 0.1
    assert float(jnp.std(one.deviation)) == pytest.approx(0.2, rel=0.1)
    short = dataclasses.replace(device, length=jnp.asarray(2.0))
    moved = short.program(short.program(state, 1, key=keys[0]), 2, key=keys[1])
    assert float(jnp.std(moved.deviation)) == pytest.approx(0.2, rel=0.1)
    first = short.program(state, 1, key=keys[0]).deviation
    assert np.corrcoef(moved.deviation, first)[0, 1] == pytest.approx(np.exp(-1), abs=0.1)


def test_reads_scatter_and_pulses_do_not_see_it():
    device = ReadNoise(device=SoftBounds(), level=0.02)
    state = device.place(device.init((4000,)), jnp.full(4000, 5e-6))
    reads = device.conductance(state, key=jax.random.key(0))
    moments = device.read_moments(state)
    assert float(reads.std()) == pytest.approx(0.02 * 9e-6, rel=0.05)
    assert float(moments.sd[0]) == pytest.approx(0.02 * 9e-6, rel=1e-3)
    np.testing.assert_array_equal(device.stored(device.program(state, 3)), SoftBounds().program(state.inner, 3))


def held_out(traces, fold):
    """Traces without every fourth ramp of each direction, and those."""
    sides = [[t for t in traces if (t.pulses[0] > 0) == up] for up in (True, False)]
    kept = [t for side in sides for k, t in enumerate(side) if k % 4 != fold]
    return kept, [[t for k, t in enumerate(side) if k % 4 == fold] for side in sides]


@pytest.mark.full
def test_simulated_against_held_out_ramps(shared_data):
    """Measured ReRAM, a quarter of the ramps left out in turn: change after 10, 50 and 148 pulses of all quarters."""
    files = [shared_data / "crosssim" / name for name in ("set.csv", "reset.csv")]
    traces = read(files, Options(read_voltage=0.1)).traces
    seen, drawn = {}, {}
    for fold in range(4):
        kept, held = held_out(traces, fold)
        device = fitting.fit(kept).device
        for side, sign in SIDES:
            own = held[side == "down"]
            g = np.array([t.g[:149] for t in own])
            change = simulated(device, np.full(4000, g[:, 0].mean()), np.full(148, float(sign)))
            change = change - change[:, :1]
            for k in (10, 50, 148):
                seen.setdefault((side, k), []).extend(g[:, k] - g[:, 0])
                drawn.setdefault((side, k), []).append((change[:, k].mean(), change[:, k].std()))
    for key, changes in seen.items():
        mean, sd = np.mean(drawn[key], axis=0)
        assert abs(mean / np.mean(changes) - 1) < (0.06 if key == ("up", 10) else 0.02), key
        assert abs(sd / np.std(changes, ddof=1) - 1) < 0.2, key  # 39 ramps know an s.d. to 11 %


def test_a_read_that_only_one_ramp_has_gives_no_spread():
    """And no warning of numpy on the terminal."""
    with warnings.catch_warnings(action="error"):
        seen = measured(np.array([[1.0, 2.0, 3.0], [1.0, 3.0, np.nan]]))
    assert seen.sd[:2] == pytest.approx([0.0, np.sqrt(0.5)])
    assert np.isnan(seen.sd[2])
