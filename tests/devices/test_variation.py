"""Spread, noise, faults, levels, endurance; measured tables; devices as files."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike import InputError, devices
from memspike.devices import description
from memspike.devices.description import chip_of, spread_of
from memspike.neurons import MIF
from memspike.parts.registry import DEVICES

N = 20_000
G = np.linspace(0.2, 0.8, 4)


def at(device, share, n=N):
    return device.place(device.init((n,)), jnp.full((n,), device.g_min + share * (device.g_max - device.g_min)))


def shares(device, state):
    return (np.asarray(device.stored(state)) - float(device.g_min)) / float(device.g_max - device.g_min)


# cycle-to-cycle


@pytest.mark.parametrize("n", [1, 4, -1, -9])
def test_cycle_to_cycle_noise_of_neurosim(n):
    """G' += σ·range·√|n|·N(0, 1), once per write."""
    law = devices.SoftBounds()
    device = devices.CycleToCycle(law, up=0.01, down=0.02)
    moved = shares(device, device.program(at(device, 0.5), n, key=jax.random.key(0)))
    mean = shares(law, law.program(at(law, 0.5, 1), n))[0]
    assert moved.mean() == pytest.approx(mean, abs=2e-3)
    assert moved.std() == pytest.approx((0.01 if n > 0 else 0.02) * np.sqrt(abs(n)), rel=0.03)


def test_relative_and_proportional_noise():
    law = devices.ConstantStep()
    device = devices.CycleToCycle(law, relative=0.5)
    moved = shares(device, device.program(at(device, 0.5), 4, key=jax.random.key(0)))
    assert moved.std() == pytest.approx(0.5 * 2 / 64, rel=0.03)
    device = devices.CycleToCycle(law, proportional=0.02)
    for share in (0.25, 0.5):
        moved = shares(device, device.program(at(device, share), 1, key=jax.random.key(0)))
        assert moved.std() == pytest.approx(0.02 * share, rel=0.03)


def test_noise_is_clipped_after_it_is_added():
    device = devices.CycleToCycle(devices.SoftBounds(), up=0.5, down=0.5)
    moved = shares(device, device.program(at(device, 0.95), 1, key=jax.random.key(0)))
    assert moved.max() == pytest.approx(1, abs=1e-6)
    assert moved.min() >= -1e-6


def test_untouched_cells_draw_no_noise():
    device = devices.CycleToCycle(devices.SoftBounds(), up=0.1, down=0.1)
    state = at(device, 0.5, 4)
    after = device.program(state, jnp.asarray([0, 1, 0, -1]), key=jax.random.key(0))
    same = np.asarray(device.stored(after)) == np.asarray(device.stored(state))
    assert same.tolist() == [True, False, True, False]


# write noise, stuck cells, levels, endurance


def test_write_noise_shows_in_reads_only_and_stays_until_the_next_write():
    device = devices.WriteNoise(devices.SoftBounds(), level=0.05)
    state = device.program(at(device, 0.5), 1, key=jax.random.key(0))
    assert np.ptp(shares(device, state)) < 1e-6
    seen = np.asarray(device.conductance(state, key=jax.random.key(1)))
    span = float(device.g_max - device.g_min)
    assert (seen / span).std() == pytest.approx(0.05, rel=0.03)
    np.testing.assert_array_equal(seen, device.conductance(state, 5.0, key=jax.random.key(2)))
    kept = device.program(state, 0, key=jax.random.key(3))
    np.testing.assert_array_equal(seen, device.conductance(kept))


def test_stuck_cells():
    chip = devices.fabricate(devices.PCM(), stuck=(0.1, 0.2), shape=(N,), key=jax.random.key(0))
    fault = np.asarray(chip.fault)
    assert (fault == -1).mean() == pytest.approx(0.1, abs=0.01)
    assert (fault == 1).mean() == pytest.approx(0.2, abs=0.01)
    state = chip.program(chip.init((N,)), 5, key=jax.random.key(1))
    for later in (0.0, 1e6):
        seen = np.asarray(chip.conductance(state, later))
        np.testing.assert_array_equal(seen[fault == 1], float(chip.g_max))
        np.testing.assert_array_equal(seen[fault == -1], float(chip.g_min))
        assert np.ptp(seen[fault == 0]) > 0


def test_finite_levels_show_in_reads_and_small_pulses_still_add_up():
    device = devices.FiniteLevels(devices.ConstantStep(pulses_up=1000.0), levels=11.0)
    state = device.init()
    seen = []
    for _ in range(100):
        state = device.program(state, 5)
        seen.append(float((device.conductance(state) - device.g_min) / (device.g_max - device.g_min)))
    assert set(np.round(seen, 4)) == {round(0.1 * k, 4) for k in range(6)}


def test_endurance():
    device = devices.LimitedEndurance(devices.ConstantStep(), endurance=jnp.asarray([0.0, 3.0, 10.0]))
    state = device.init((3,))
    for _ in range(6):
        state = device.program(state, 1)
    np.testing.assert_allclose(shares(device, state) * 64, [0, 3, 6], atol=1e-3)
    assert np.asarray(state.memory).tolist() == [6.0, 6.0, 6.0]


@pytest.mark.parametrize("name", ["pcm", "hermes", "tabular", "epiram", "pulsed-vteam"])
def test_all_variations_go_around_any_pulse_device(name):
    """Composition: every wrapper around every other one, around a device of each kind."""
    device = DEVICES.get(name).value()
    wrapped = devices.LimitedEndurance(
        devices.FiniteLevels(devices.WriteNoise(devices.CycleToCycle(device, up=0.02, down=0.02), level=0.01)),
        endurance=100.0,
    )
    chip = devices.fabricate(
        wrapped, {"endurance": devices.LogNormal(0.5)}, shape=(6, 5), stuck=0.3, key=jax.random.key(0)
    )
    state = chip.program(chip.init((6, 5)), 2, key=jax.random.key(1))
    state = chip.wait(chip.program(state, -1, key=jax.random.key(2)), 10.0)
    seen = np.asarray(chip.conductance(state, 1.0, key=jax.random.key(3)))
    assert seen.shape == (6, 5)
    assert np.isfinite(seen).all()
    assert chip.current(state, jnp.asarray(0.1)).shape == (6, 5)


# fabrication


def test_spreads():
    key = jax.random.key(0)
    chip = devices.fabricate(
        devices.SoftBounds(),
        {
            "g_max": 0.1,
            "pulses_up": devices.LogNormal(0.3),
            "g_min": devices.Absolute(0.05e-6),
            "curvature_down": devices.OfLabel(0.2),
        },
        shape=(N,),
        key=key,
    )
    assert np.asarray(chip.g_max).std() / 10e-6 == pytest.approx(0.1, rel=0.03)
    assert np.log(np.asarray(chip.pulses_up)).std() == pytest.approx(0.3, rel=0.03)
    assert np.median(chip.pulses_up) == pytest.approx(100, rel=0.02)
    assert np.asarray(chip.g_min).std() == pytest.approx(0.05e-6, rel=0.03)
    label = devices.labels.label(np.asarray(chip.curvature_down))
    assert label.std() == pytest.approx(0.2, rel=0.03)
    assert (np.asarray(chip.g_max) > np.asarray(chip.g_min)).all()


def test_ranges_never_cross():
    chip = devices.fabricate(
        devices.SoftBounds(g_min=4e-6, g_max=5e-6), {"g_max": 0.5, "g_min": 0.5}, shape=(N,), key=jax.random.key(0)
    )
    assert (np.asarray(chip.g_max - chip.g_min) >= 0.0099e-6).all()


def test_the_same_key_is_the_same_chip_whatever_else_varies():
    key = jax.random.key(7)
    alone = devices.fabricate(devices.SoftBounds(), {"g_max": 0.1}, shape=(5,), key=key)
    more = devices.fabricate(devices.SoftBounds(), {"pulses_up": 0.1, "g_max": 0.1}, shape=(5,), stuck=0.5, key=key)
    np.testing.assert_array_equal(alone.g_max, more.device.g_max)


def test_parameters_that_vary_together():
    device = devices.LinearStep()
    together = devices.fabricate(device, {"step_up step_down": 0.2}, shape=(N,), key=jax.random.key(0))
    np.testing.assert_allclose(together.step_up / together.step_down, 1, rtol=1e-5)
    apart = devices.fabricate(device, {"step_up": 0.2, "step_down": 0.2}, shape=(N,), key=jax.random.key(0))
    assert abs(np.corrcoef(np.asarray(apart.step_up), np.asarray(apart.step_down))[0, 1]) < 0.03


def test_a_wafer_is_a_vmap_over_keys_and_spread_is_drawn_once():
    def make(key):
        return devices.fabricate(devices.SoftBounds(), {"g_max": 0.1}, shape=(3,), stuck=0.2, key=key)

    wafer = jax.vmap(make)(jax.random.split(jax.random.key(0), 4))
    assert wafer.device.g_max.shape == (4, 3)
    chip = make(jax.random.key(1))
    state = chip.init((3,))
    np.testing.assert_array_equal(chip.program(state, 1).inner, chip.program(state, 1).inner)


def test_a_neuron_can_be_fabricated_too():
    chip = devices.fabricate(MIF(), {"m1.v_on": 0.02, "capacitance": 0.05}, shape=(8,), key=jax.random.key(0))
    assert chip.m1.v_on.shape == (8,)
    assert np.ptp(chip.rest()) > 0


def test_published_spread_of_a_preset():
    chip = chip_of("reram-array-om", (N,), key=jax.random.key(0))
    step = np.asarray(chip.device.device.step_up)
    assert np.log(step).std() == pytest.approx(0.7829, rel=0.05)
    assert spread_of("pcm") == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spread": {"g_maxx": 0.1}}, "Did you mean 'g_max'"),
        ({"stuck": 1.5}, "a probability from 0 to 1"),
        ({"stuck": (0.6, 0.6)}, "a probability from 0 to 1"),
    ],
)
def test_bad_fabrication(arguments, message):
    with pytest.raises(InputError, match=message):
        devices.fabricate(devices.SoftBounds(), **arguments, shape=(3,), key=jax.random.key(0))
    with pytest.raises(InputError, match="stuck cells are for pulse devices"):
        devices.fabricate(MIF(), stuck=0.1, shape=(3,), key=jax.random.key(0))


def test_a_reversed_range_is_refused():
    with pytest.raises(InputError, match="g_min must be below g_max"):
        devices.SoftBounds(g_min=2e-6, g_max=1e-6)


# measured tables


@pytest.fixture(scope="module")
def taox(shared_data):
    return shared_data / "crosssim/taox_41dev_dG_lut_101x101.npz"


def test_tables_are_made_monotone(taox):
    tables = devices.Tabular.from_npz(taox)
    assert tables.devices == 41
    for table in (tables.up, tables.down):
        assert (np.diff(np.asarray(table), axis=1) >= 0).all()


def test_every_table_gives_back_its_mean_and_spread(taox):
    """A thousand pulses at every grid point of every device, against the moments of its table."""
    tables = devices.Tabular.from_npz(taox)
    with np.load(taox) as archive:
        raw = {"up": archive["dG_inc"], "down": archive["dG_dec"]}
    points = np.arange(0, 101, 20)
    for which in range(41):
        device = set_which(tables, float(which))
        g = jnp.asarray(np.asarray(tables.g)[which, points])[:, None] * jnp.ones((1, 4000))
        u = jax.random.uniform(jax.random.key(which), g.shape)
        for name in ("up", "down"):
            table = np.maximum.accumulate(raw[name][which].astype(float), axis=0)[:, points]
            step = np.asarray(device.step(g, name == "up", u))
            mean, sd = moments(table)
            assert np.abs(step.mean(axis=1) - mean).max() < 5 * sd.max() / np.sqrt(4000), (which, name)
            np.testing.assert_allclose(step.std(axis=1), sd, rtol=0.1, atol=1e-8)
            exact = np.asarray(device.step(g[:, 0], name == "up", None))
            np.testing.assert_allclose(exact, mean, rtol=1e-3, atol=1e-10)


def set_which(device, row):
    return eqx.tree_at(lambda d: d.which, device, jnp.asarray(row))


def moments(table):
    """Mean and s.d. of distributions given by their quantiles, linear in between."""
    low, high = table[:-1], table[1:]
    mean = 0.5 * (low + high).mean(axis=0)
    second = ((low**2 + low * high + high**2) / 3).mean(axis=0)
    return mean, np.sqrt(np.maximum(second - mean**2, 0))


def test_a_chip_of_all_41_devices_varies_as_they_do(taox):
    tables = devices.Tabular.from_npz(taox)
    chip = tables.mixed((200, 100), key=jax.random.key(0))
    assert len(np.unique(chip.which)) == 41
    state = chip.place(chip.init((200, 100)), jnp.asarray(0.5 * (chip.g_min + chip.g_max)))
    means = np.asarray(chip.step(state, False, None))
    by_device = [means[np.asarray(chip.which) == k] for k in range(41)]
    assert max(np.ptp(m) for m in by_device) < 1e-12
    table = np.asarray(tables.down)
    expected = [moments(table[k][:, [50]].astype(float))[0][0] for k in range(41)]
    assert means.std() == pytest.approx(np.std(expected), rel=0.1)
    alone = np.asarray(set_which(tables, 3.0).step(state, False, None))
    assert alone.std() < 0.5 * means.std()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"G": np.ones((1, 5))}, "is not a file of step tables"),
        ({"G": np.ones((1, 5)), "dG_inc": np.ones((1, 3, 5)), "dG_dec": np.ones((1, 3, 5))}, "rising grid"),
        ({"G": np.arange(5.0)[None], "dG_inc": np.ones((1, 3, 4)), "dG_dec": np.ones((1, 3, 5))}, "is needed"),
        ({"G": np.arange(5.0)[None], "dG_inc": np.full((1, 3, 5), np.nan), "dG_dec": np.ones((1, 3, 5))}, "not finite"),
    ],
)
def test_bad_tables(tmp_path, arrays, message):
    np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(InputError, match=message):
        devices.Tabular.from_npz(tmp_path / "t.npz")
    with pytest.raises(InputError, match="does not exist"):
        devices.Tabular.from_npz(tmp_path / "none.npz")


# files


@pytest.mark.parametrize("entry", list(DEVICES), ids=lambda e: e.name)
def test_every_device_is_the_same_from_its_file(entry, tmp_path):
    device = entry.value()
    description.write(device, tmp_path / "device.toml")
    again = description.read(tmp_path / "device.toml")
    assert type(again) is type(device)
    for a, b in zip(jax.tree.leaves(device), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no model"),
        ('model = "SoftBound"', "Did you mean 'soft-bounds'"),
        ('model = "SoftBounds"\ng_mx = 1.0', "Did you mean 'g_max'"),
        ('model = "SoftBounds"\ng_max = "5 V"', "unknown unit"),
        ('model = "SoftBounds"\ng_max = true', "a number"),
        ('model = "SoftBounds"\ng_max = -1.0', "allowed: 0 to"),
        ('model = "SoftBounds"\ng_max = [1.0, "x"]', "not a number in S"),
        ('model = "CycleToCycle"\ndevice = 3', "a name or a table is needed"),
        ('model = "Cubic"', "Unknown .*'Cubic'"),
        ("model = ", "is not TOML"),
    ],
)
def test_bad_device_files(tmp_path, text, message):
    (tmp_path / "d.toml").write_text(text)
    with pytest.raises(InputError, match=message):
        description.find(str(tmp_path / "d.toml"))


def test_soft_bounds_by_labels_or_rates(tmp_path):
    file = tmp_path / "d.toml"
    file.write_text('model = "SoftBounds"\nnl_up = 2.4\nnl_down = -4.88\npulses_up = 97\n')
    by_label: Any = devices.read(file)
    np.testing.assert_allclose(
        by_label.curvature_up, devices.SoftBounds.from_labels(2.4, -4.88).curvature_up, rtol=3e-7
    )
    assert float(by_label.pulses_up) == 97
    file.write_text('model = "SoftBounds"\nalpha_up = 0.02\nalpha_down = 0.09\n')
    by_rate: Any = devices.read(file)
    np.testing.assert_array_equal(by_rate.pulses_up, devices.SoftBounds.from_rates(0.02, 0.09).pulses_up)
    for text, words in (
        ("nl_up = 2.4", "needs .*nl_down"),
        ("nl_up = 2.4\nnl_dwn = 1.0", "Did you mean 'nl_down'"),
    ):
        file.write_text('model = "SoftBounds"\n' + text)
        with pytest.raises(InputError, match=words):
            devices.read(file)


def test_units_in_a_device_file(tmp_path):
    (tmp_path / "d.toml").write_text('model = "SoftBounds"\ng_min = "1 uS"\ng_max = "20uS"\n')
    device = devices.find(str(tmp_path / "d.toml"))
    assert isinstance(device, devices.SoftBounds)
    assert float(device.g_max) == pytest.approx(20e-6)
    with pytest.raises(InputError, match="does not exist"):
        devices.find("nothing.toml")
