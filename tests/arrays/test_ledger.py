"""The ledger against loops in plain Python, adaptive integration and nodal analysis; costs, latency, refusals."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.patches import Rectangle
from scipy.integrate import solve_ivp

from memspike import InputError
from memspike.arrays import ADC, AfterConversion, BeforeConversion, Periphery, solve
from memspike.arrays.costs import (
    AbstractADC,
    Adder,
    CellArea,
    Costs,
    NeuronCost,
    RatedADC,
    RowDriver,
    SampleHold,
    WaldenADC,
    area,
    endurance_used,
    read_time,
    summary,
)
from memspike.arrays.ledger import (
    Drive,
    Pulse,
    empty,
    erased,
    pulse_energy,
    read,
    stepped,
    written,
)
from memspike.arrays.sums import FULL, Tally, Total
from memspike.devices.memristors import VTEAM, Yakopcic
from memspike.devices.pcm import PCM
from memspike.devices.presets.neurosim import WritePulse, from_table
from memspike.devices.pulsed import Pulsed
from memspike.devices.step import SoftBounds
from memspike.devices.variation.wrappers import CycleToCycle
from memspike.report.array_figures import cost_figure, pulse_maps

SHAPE = (2, 3, 4)
SET, RESET = Pulse(1.2, 50e-9), Pulse(1.6, 200e-9)
PULSE = WritePulse(1.5, 100e-9, -1.1, 300e-9)


def moved(device, counts, seed=0):
    """States before and after `counts` pulses, from random conductances."""
    shares = np.random.default_rng(seed).random(counts.shape)
    g = device.g_min + (device.g_max - device.g_min) * jnp.asarray(shares, jnp.result_type(float))
    before = device.place(device.init(counts.shape), g)
    return before, device.program(before, counts)


def write(device, counts, drive, seed=0):
    counts = jnp.asarray(counts)
    return written(device, *moved(device, counts, seed), counts, drive)


def random_counts(seed, shape=SHAPE, most=7):
    return np.random.default_rng(seed).integers(-most, most + 1, shape)


def leaves_close(a, b, rtol):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        if jnp.issubdtype(x.dtype, jnp.integer):
            np.testing.assert_array_equal(x, y)
    for name in ("write_seconds", "write_square", "read_energy", "read_seconds", "read_square", "wire_energy"):
        np.testing.assert_allclose(getattr(a, name).exact(), getattr(b, name).exact(), rtol=rtol, atol=0)
    np.testing.assert_allclose(a.worn().energy.exact(), b.worn().energy.exact(), rtol=rtol, atol=0)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), steps=st.integers(1, 5), shape=st.sampled_from([(2, 3, 4), (1, 5, 2)]))
def test_counts_and_energy_are_those_of_a_loop(seed, steps, shape):
    device = SoftBounds()
    ledger, state = empty(shape), device.init(shape)
    up, down, energy, seconds, square = (np.zeros(shape) for _ in range(5))
    for k in range(steps):
        counts = random_counts(seed + k, shape)
        after = device.program(state, jnp.asarray(counts))
        ledger = ledger + written(device, state, after, jnp.asarray(counts), PULSE)
        old, new, state = np.asarray(state, float), np.asarray(after, float), after
        for i in np.ndindex(shape):
            for _ in range(abs(int(counts[i]))):
                volts, width = (1.5, 100e-9) if counts[i] > 0 else (1.1, 300e-9)
                up[i] += counts[i] > 0
                down[i] += counts[i] < 0
                energy[i] += volts**2 * (old[i] + new[i]) / 2 * width
        for row in range(shape[1]):
            most_up = max(0, counts[:, row].max())
            most_down = max(0, -counts[:, row].min())
            seconds += most_up * 100e-9 + most_down * 300e-9
            square += most_up * 1.5**2 + most_down * 1.1**2
    np.testing.assert_array_equal(ledger.up, up)
    np.testing.assert_array_equal(ledger.down, down)
    np.testing.assert_array_equal(ledger.resets, 0)
    np.testing.assert_allclose(ledger.write_energy, energy.sum(), rtol=1e-5)
    np.testing.assert_allclose(ledger.write_seconds.exact(), seconds.flat[0], rtol=1e-6)
    np.testing.assert_allclose(ledger.write_square.exact(), square.flat[0], rtol=1e-6)
    assert int(ledger.writes) == steps


def test_one_pulse_by_hand():
    """1.6 V over 100 ns at (20 + 30)/2 µS is 6.4 pJ."""
    device = SoftBounds(g_min=1e-6, g_max=100e-6)
    low, high = (device.place(device.init((1, 1, 1)), jnp.full((1, 1, 1), g)) for g in (20e-6, 30e-6))
    ledger = written(device, low, high, 1, WritePulse(1.6, 100e-9, -1.0, 1e-9))
    assert float(ledger.write_energy) == pytest.approx(6.4e-12, rel=1e-6)
    ledger = written(device, low, high, jnp.full((1, 1, 1), -3), WritePulse(1.6, 100e-9, -2.0, 10e-9))
    assert float(ledger.write_energy) == pytest.approx(3 * 4 * 25e-6 * 10e-9, rel=1e-6)


def test_pulses_of_a_published_device():
    imported = from_table("ag-a-si")
    ledger = write(imported.device, random_counts(5), imported.pulse)
    before, after = moved(imported.device, jnp.asarray(random_counts(5)))
    g = 0.5 * np.asarray(imported.device.stored(before) + imported.device.stored(after), float)
    volts = np.where(random_counts(5) > 0, 3.2, 2.8)
    np.testing.assert_allclose(ledger.write_energy, (volts**2 * g * 300e-6 * np.abs(random_counts(5))).sum(), rtol=1e-5)


def test_a_negative_count_of_phase_change_memory_is_one_reset():
    counts = np.array([[[3, 0, -1], [-4, 2, -2]]])
    ledger = write(PCM(), counts, Drive(SET, reset=RESET))
    np.testing.assert_array_equal(ledger.up, [[[3, 0, 0], [0, 2, 0]]])
    np.testing.assert_array_equal(ledger.down, 0)
    np.testing.assert_array_equal(ledger.resets, [[[0, 0, 1], [1, 0, 1]]])
    before, after = moved(PCM(), jnp.asarray(counts))
    g = 0.5 * np.asarray(before.g + after.g, float)
    wanted = np.where(counts > 0, 1.2**2 * 50e-9 * counts, 1.6**2 * 200e-9 * (counts < 0)) * g
    np.testing.assert_allclose(ledger.write_energy, wanted.sum(), rtol=1e-5)
    assert float(ledger.write_seconds.exact()) == pytest.approx((3 + 2) * 50e-9 + 2 * 200e-9, rel=1e-6)


def test_resets_on_their_own():
    device = PCM()
    before, _ = moved(device, jnp.zeros(SHAPE))
    where = jnp.asarray(random_counts(3) > 2)
    ledger = erased(device, before, device.reset(before), where.astype(float), RESET)
    np.testing.assert_array_equal(ledger.resets, np.asarray(where))
    assert not np.asarray(ledger.up).any()
    g = 0.5 * np.asarray(before.g + device.reset(before).g, float)
    np.testing.assert_allclose(ledger.write_energy, (np.asarray(where) * 1.6**2 * 200e-9 * g).sum(), rtol=1e-5)
    rows = np.asarray(where).any((0, 2)).sum()
    assert float(ledger.write_seconds.exact()) == pytest.approx(rows * 200e-9, rel=1e-6)


def test_an_energy_per_pulse_replaces_the_voltage():
    counts = random_counts(4)
    drive = Drive(Pulse(width=1e-6, energy=2e-12), Pulse(v=1.0, width=1e-6, energy=5e-12))
    ledger = write(SoftBounds(), counts, drive)
    wanted = 2e-12 * np.maximum(counts, 0) + 5e-12 * np.maximum(-counts, 0)
    np.testing.assert_allclose(ledger.write_energy, wanted.sum(), rtol=1e-6)
    assert float(ledger.write_square.exact()) == np.maximum(-counts, 0).max((0, 2)).sum()


def reference_energy(device, x0, v, seconds):
    """State and energy together, adaptively."""
    rate = jax.jit(lambda x: device.rate(x, jnp.asarray(v)))
    current = jax.jit(lambda x: device.current(x, jnp.asarray(v)))

    def slope(_, y):
        x = jnp.asarray(y[0])
        return [float(rate(x)), v * float(current(x))]

    found = solve_ivp(slope, (0, seconds), [x0, 0.0], rtol=1e-6, atol=1e-12 * np.array([1.0, 1e-6]), method="LSODA")
    return found.y[1, -1]


PULSED = {
    "vteam": Pulsed(VTEAM(), v_up=-0.3, v_down=0.4, width=30e-9),
    "yakopcic": Pulsed(Yakopcic(), v_up=0.35, v_down=-0.3, width=1e-3),
}


@pytest.mark.parametrize("name", PULSED)
def test_energy_of_state_devices_against_adaptive_integration(x64, name):
    device = jax.tree.map(lambda x: x.astype(jnp.float64), PULSED[name])
    low, high = (float(x) for x in device.device.ends())
    shares, counts = np.array([0.1, 0.5, 0.9, 0.3, 0.7, 0.5]), np.array([1.0, 5.0, 2.5, -1.0, -6.0, 0.0])
    x0 = low + (high - low) * shares
    found = pulse_energy(device, jnp.asarray(x0), jnp.asarray(counts))
    moving = np.abs(np.asarray(device.program(jnp.asarray(x0), jnp.asarray(counts))) - x0) / (high - low)
    assert moving.max() > 0.05, "the pulses must move the devices, or a constant conductance would do"
    for k, n in enumerate(counts):
        v = float(device.v_up if n > 0 else device.v_down)
        wanted = reference_energy(device.device, x0[k], v, abs(n) * float(device.width))
        assert float(found[k]) == pytest.approx(wanted, rel=0.005, abs=1e-30), (name, n)
    finer = pulse_energy(device, jnp.asarray(x0), jnp.asarray(counts), substeps=64)
    np.testing.assert_allclose(found, finer, rtol=0.005)


def test_pulsed_devices_bring_their_own_pulses():
    device = PULSED["vteam"]
    counts = random_counts(8).astype(np.float32)
    counts[0, 0] = 0
    before = jnp.asarray(np.random.default_rng(0).random(SHAPE), jnp.float32)

    @jax.jit
    def both(n):
        after = device.program(before, n)
        noisy = CycleToCycle(device, up=0.01, down=0.01)
        old, new = (noisy.init(SHAPE)._replace(inner=x) for x in (before, after))
        return written(device, before, after, n), written(noisy, old, new, n), pulse_energy(device, before, n)

    ledger, noisy, energy = both(counts)
    np.testing.assert_allclose(ledger.write_energy, energy.sum(), rtol=1e-6)
    np.testing.assert_allclose(noisy.write_energy, energy.sum(), rtol=1e-6)
    np.testing.assert_array_equal(ledger.up, np.maximum(counts, 0))
    np.testing.assert_array_equal(ledger.down, np.maximum(-counts, 0))
    trains = np.maximum(counts, 0).max((0, 2)).sum() + np.maximum(-counts, 0).max((0, 2)).sum()
    assert float(ledger.write_seconds.exact()) == pytest.approx(trains * 30e-9, rel=1e-6)
    counts[0, 0, 1] = -0.25
    assert int(both(counts)[0].down[0, 0, 1]) == 1, "a broken pulse counts as one"


def test_ledgers_of_halves_add_up_to_the_whole():
    lines = jnp.asarray(1e-5 * np.random.default_rng(1).random(SHAPE), jnp.float32)
    v = jnp.asarray(np.random.default_rng(2).normal(size=(10, 3)), jnp.float32)
    halves = empty(SHAPE) + read(lines, v[:4], 1e-8) + read(lines, v[4:], 1e-8)
    leaves_close(halves, empty(SHAPE) + read(lines, v, 1e-8), 1e-6)
    device = SoftBounds()
    one, two = (write(device, random_counts(k), PULSE, seed=k) for k in (1, 2))
    leaves_close(one + two, two + one, 1e-7)
    leaves_close((one + two) + one, one + (two + one), 1e-7)
    leaves_close(sum([one, two], empty(SHAPE)), one + two + empty(SHAPE), 0)
    np.testing.assert_array_equal((one + two).up, np.asarray(one.up) + np.asarray(two.up))


def test_scan_jit_and_vmap_give_what_a_loop_gives():
    device = SoftBounds()
    counts = jnp.asarray(random_counts(0, (5, 2, *SHAPE)))
    v = jnp.asarray(np.random.default_rng(2).normal(size=(5, 3)), jnp.float32)

    def step(carry, given):
        n, row = given
        state, ledger = carry
        after = device.program(state, n)
        ledger = ledger + written(device, state, after, n, PULSE) + read(device.stored(after), row, 1e-8)
        return (after, ledger + stepped(4, 1, spikes=jnp.sum(row > 0))), None

    @jax.jit
    def train(counts):
        return jax.lax.scan(step, (device.init(SHAPE), empty(SHAPE)), (counts, v))[0][1]

    wafer = jax.vmap(train, in_axes=1)(counts)
    for chip in range(2):
        carry = (device.init(SHAPE), empty(SHAPE))
        for k in range(5):
            carry, _ = step(carry, (counts[k, chip], v[k]))
        alone = jax.tree.map(lambda x, chip=chip: x[chip], wafer)
        leaves_close(alone, carry[1], 1e-5)
        assert int(alone.spikes) == int((np.asarray(v) > 0).sum())
        assert int(alone.neuron_steps) == 20
    both = wafer + wafer
    np.testing.assert_array_equal(both.up, 2 * np.asarray(wafer.up))


def test_ten_million_additions():
    """Two words: below 1e-6, where one word is off by percents; counts pass 2³¹ exactly."""
    number, each = 10_000_000, np.float32(1.1e-13)

    @jax.jit
    def run(energy):
        def step(carry, _):
            total, tally, plain = carry
            return (total + Total.of(energy), tally + Tally.of(300), plain + energy), None

        return jax.lax.scan(step, (Total.of(0.0), Tally.of(0), jnp.zeros(())), None, length=number)[0]

    total, tally, plain = run(jnp.asarray(each))
    wanted = number * float(each)
    assert float(total.exact()) == pytest.approx(wanted, rel=1e-9)
    assert float(total.value) == pytest.approx(wanted, rel=1e-6)
    assert abs(float(plain) / wanted - 1) > 0.01
    assert int(tally) == 300 * number


@settings(max_examples=30, deadline=None)
@given(numbers=st.lists(st.integers(0, 2**58), min_size=1, max_size=6))
def test_tallies_are_whole_numbers(numbers):
    assert int(sum((Tally.of(n) for n in numbers), Tally.of(0))) == sum(numbers)


def test_device_counters_fill_up_and_do_not_wrap():
    ledger = empty((1, 1, 1))
    full = eqx.tree_at(lambda x: x.wear.full_up, ledger, jnp.full((1, 1, 1), FULL - 2, jnp.int32))
    more = written(SoftBounds(), *moved(SoftBounds(), jnp.full((1, 1, 1), 5)), jnp.full((1, 1, 1), 5), PULSE)
    assert int((full + more).up[0, 0, 0]) == FULL
    with pytest.raises(InputError, match="counter is full"):
        summary(full + more, Costs())


def test_gradient_of_the_energy_in_the_conductance(x64):
    device = SoftBounds()
    counts = jnp.asarray(random_counts(6))

    def spent(shift):
        before, after = (s + shift for s in moved(device, counts))
        total = empty(SHAPE) + written(device, before, after, counts, PULSE)
        return 1e9 * (total + read(before, jnp.asarray([0.1, 0.2, 0.3]), 1e-8)).write_energy

    slope = float(jax.jit(jax.grad(spent))(jnp.zeros(())))
    up, down = jax.jit(jax.vmap(spent))(jnp.asarray([1e-8, -1e-8]))
    step = float(up - down) / 2e-8
    assert slope == pytest.approx(step, rel=1e-6)


def test_reads_dissipate_what_the_drivers_deliver(x64):
    rng = np.random.default_rng(0)
    lines, v, t = 1e-5 * rng.random((2, 5, 7)), rng.normal(size=(3, 4, 5)), rng.random((3, 4)) * 1e-6
    v[0, 0] = 0.0
    ledger = read(jnp.asarray(lines), jnp.asarray(v), jnp.asarray(t))
    delivered = 0.0
    for k in np.ndindex(3, 4):
        for row in range(5):
            current = sum(v[k][row] * lines[line, row, column] for line in range(2) for column in range(7))
            delivered += v[k][row] * current * t[k]
    assert float(ledger.read_energy.exact()) == pytest.approx(delivered, rel=1e-12)
    assert float(ledger.wire_energy.exact()) == 0
    assert float(ledger.read_seconds.exact()) == pytest.approx(t.sum())
    assert float(ledger.read_square.exact()) == pytest.approx((v**2).sum())
    assert (int(ledger.reads), int(ledger.row_conversions), int(ledger.column_conversions)) == (12, 55, 84)
    none = read(jnp.asarray(lines), jnp.asarray(v), 1e-6, conversions=0)
    assert int(none.column_conversions) == 0


def test_energy_balance_with_wire_resistance(x64):
    """Drivers deliver Σ v·i; every wire segment and every device dissipates its own i²·R."""
    rng = np.random.default_rng(3)
    rows, columns, r_row, r_col, t = 6, 5, 40.0, 25.0, 1e-7
    lines, v = 1e-4 * (0.2 + rng.random((2, rows, columns))), rng.normal(size=(2, rows))
    across, driven, in_devices, in_wires = [], 0.0, 0.0, 0.0
    for row_voltages in v:
        solutions = [solve(row_voltages, g, r_row=r_row, r_col=r_col) for g in lines]
        across.append([s.voltages.row - s.voltages.column for s in solutions])
        for g, s in zip(lines, solutions, strict=True):
            along = np.diff(np.concatenate([row_voltages[:, None], s.voltages.row], axis=1), axis=1)
            below = np.diff(np.concatenate([s.voltages.column, np.zeros((1, columns))]), axis=0)
            driven += t * float((row_voltages * -along[:, 0] / r_row).sum())
            in_wires += t * float((along**2).sum() / r_row + (below**2).sum() / r_col)
            in_devices += t * float((g * (s.voltages.row - s.voltages.column) ** 2).sum())
    ledger = read(jnp.asarray(lines), jnp.asarray(v), t, across=jnp.asarray(across))
    assert float(ledger.read_energy.exact()) == pytest.approx(in_devices, rel=1e-9)
    assert float(ledger.wire_energy.exact()) == pytest.approx(in_wires, rel=1e-7)
    assert in_devices + in_wires == pytest.approx(driven, rel=1e-9)
    assert in_wires > 0.01 * driven


def test_ledgers_of_other_arrays_are_not_added():
    one, other = (write(SoftBounds(), random_counts(1), PULSE) for _ in range(2))
    _ = one + other
    with pytest.raises(InputError, match=r"\(2, 3, 4\) and \(3, 3, 4\)"):
        _ = one + empty((3, 3, 4))


def worked():
    lines = jnp.full(SHAPE, 20e-6)
    v = jnp.asarray([[0.1, 0.0, 0.2], [0.1, 0.1, 0.0]])
    books = [write(SoftBounds(), random_counts(k, most=5), PULSE, seed=k) for k in range(3)]
    return sum(books, empty(SHAPE)) + read(lines, v, 50e-9) + stepped(4, 100, spikes=7, energy=3e-12)


def test_summary_is_the_sum_of_its_parts():
    ledger = worked()
    costs = Costs(columns_per_adc=2, neuron=NeuronCost(step=1e-15))
    found = summary(ledger, costs, endurance=1000.0)
    pulses = np.abs(np.stack([random_counts(k, most=5) for k in range(3)])).sum(0)
    assert found["pulses_per_device"] == pytest.approx(pulses.mean())
    assert found["pulses_most"] == pulses.max()
    assert found["endurance_used_mean"] == pytest.approx(pulses.mean() / 1000)
    assert found["endurance_used_max"] == pytest.approx(pulses.max() / 1000)
    np.testing.assert_allclose(endurance_used(ledger, 1000.0), pulses / 1000)
    adc, dac, hold = 16e-3 / 8 / 1.2e9, 4e-3 / 1024 * 100e-9, 10e-15
    assert found["converter_energy_j"] == pytest.approx(8 * (adc + hold) + 4 * dac, rel=1e-6)
    assert found["digital_energy_j"] == pytest.approx(8 * 0.1e-12, rel=1e-6)
    assert found["neuron_energy_j"] == pytest.approx(7 * 1.61e-15 + 400 * 1e-15 + 3e-12, rel=1e-6)
    square = float(ledger.write_square.exact()) + 3 * 0.1**2 + 0.2**2
    row_wire = 8 * 2 * 32e-9 * 0.2e-9
    assert found["wire_energy_j"] == pytest.approx(row_wire * square, rel=1e-5)
    assert found["read_energy_j"] == pytest.approx((3 * 0.1**2 + 0.2**2) * 8 * 20e-6 * 50e-9, rel=1e-5)
    assert found["write_energy_j"] == pytest.approx(float(ledger.write_energy), rel=1e-6)
    parts = [v for k, v in found.items() if k.endswith("energy_j") and k != "total_energy_j"]
    assert len(parts) == 6
    assert found["total_energy_j"] == pytest.approx(sum(parts))
    assert found["latency_read_s"] == pytest.approx(50e-9 + 2 / 1.2e9, rel=1e-6)
    assert found["time_reading_s"] == pytest.approx(50e-9 + 2 / 1.2e9 + 50e-9, rel=1e-6)
    assert found["latency_write_s"] == pytest.approx(found["time_writing_s"] / 3)
    assert all(isinstance(value, float) for value in found.values())


def test_area_by_hand():
    costs = Costs(columns_per_adc=3, cell=CellArea(height=4.0, width=12.0))
    cells = 2 * 5 * 10 * 48 * (32e-9) ** 2
    parts = 5 * 170e-12 / 1024 + 10 * (10e-12 + 34e-12) + 4 * (1200e-12 + 60e-12)
    assert area(2, 5, 10, costs) == pytest.approx(cells + parts, rel=1e-6)
    bare = Costs(adc=None, dac=None, hold=None, adder=None, neuron=None, cell=CellArea(feature=10e-9))
    assert area(1, 2, 3, bare) == pytest.approx(6 * 4e-16, rel=1e-6)


def test_converters_against_their_publications():
    """Power over rate of the 28 nm converter is its figure of merit at 40.1 dB; the survey's law for other bits."""
    bits = (40.1 - 1.76) / 6.02
    assert float(WaldenADC(bits=bits).energy()) == pytest.approx(3.56e-3 / 1.25e9, rel=0.01)
    assert float(WaldenADC(bits=9.0).energy()) == pytest.approx(2 * float(WaldenADC().energy()), rel=1e-6)
    assert float(RatedADC().energy()) == pytest.approx(1.667e-12, rel=1e-3)
    assert float(RatedADC(power=3.1e-3).energy()) == pytest.approx(2.58e-12, rel=1e-2)


@pytest.mark.parametrize("hold", [True, False])
@pytest.mark.parametrize(
    ("columns", "shared", "duration"), [(7, 3, 1e-9), (128, 128, 50e-9), (5, 8, 2e-9), (1, 1, 0.0)]
)
def test_latency_of_reads_against_an_event_loop(columns, shared, duration, hold):
    costs = Costs(columns_per_adc=shared, hold=SampleHold() if hold else None)
    free, sampled, converted = [0.0] * -(-columns // shared), [], []
    driver = 0.0
    for _ in range(60):
        start = driver if hold else max(driver, *free, 0.0)
        ready = max(start + duration, *free, 0.0)  # a held column must be converted before it is sampled again
        driver = ready
        for column in range(columns):
            adc = column // shared
            free[adc] = max(free[adc], ready) + 1 / 1.2e9
        sampled.append(start)
        converted.append(max(free))
    found = read_time(columns, duration, costs)
    assert found.latency == pytest.approx(converted[0] - sampled[0], rel=1e-6)
    assert found.interval == pytest.approx((converted[-1] - converted[20]) / 39, rel=1e-6)


@pytest.mark.parametrize(("lines", "latency"), [(2, 206.67e-9), (8, 526.67e-9)])
def test_lines_that_are_converted_one_by_one_take_their_time(lines, latency):
    """64 columns of cells, a converter of 1.2 GS/s, reads of 100 ns: 64·lines conversions, or 64 combined before."""
    costs, g = Costs(), jnp.full((lines, 4, 64), 1e-6)
    new, v = empty(g.shape), jnp.full((3, 4), 0.1)
    for order, wanted in ((AfterConversion(), latency), (BeforeConversion(), 100e-9 + 64 / 1.2e9)):
        each = Periphery(adc=ADC(8, 1e-6), order=order).conversions(lines, 64)
        found = summary(new + read(g, v, 100e-9, conversions=each), costs)
        assert found["latency_read_s"] == pytest.approx(wanted, rel=1e-4)
    without = summary(new + read(g, v, 100e-9, conversions=0), costs)
    assert without["latency_read_s"] == pytest.approx(100e-9)


def test_every_cost_names_its_source_and_bounds():
    parts = [WaldenADC(), RatedADC(), RowDriver(), SampleHold(), Adder(), NeuronCost(), CellArea()]
    for part in parts:
        assert "doi" in part.source or "assumption" in part.source or "arXiv" in part.source
        assert isinstance(part, AbstractADC) == (type(part) in (WaldenADC, RatedADC))
    with pytest.raises(InputError, match="figure_of_merit"):
        WaldenADC(figure_of_merit=-1e-15)


def refusal(what):
    device, counts = SoftBounds(), jnp.ones(SHAPE)
    states = moved(device, counts)
    lines, v = jnp.full(SHAPE, 1e-5), jnp.ones(3)
    pulsed = PULSED["vteam"]
    return {
        "no drive": lambda: written(device, *states, counts),
        "voltage": lambda: written(device, *states, counts, WritePulse(None, 1e-9, 1.0, 1e-9)),
        "width": lambda: written(device, *states, counts, WritePulse(1.0, 1e-9, 1.0, None)),
        "negative width": lambda: written(device, *states, counts, WritePulse(1.0, -1e-9, 1.0, 1e-9)),
        "infinite": lambda: written(device, *states, counts, WritePulse(float("inf"), 1e-9, 1.0, 1e-9)),
        "reset": lambda: written(device, *states, counts, Drive(SET)),
        "own": lambda: written(pulsed, *moved(pulsed, counts), counts, PULSE),
        "shape": lambda: written(device, *moved(device, counts[0]), counts[0], PULSE),
        "duration": lambda: read(lines, v, -1e-9),
        "rows": lambda: read(lines, jnp.ones(4), 1e-9),
        "durations": lambda: read(lines, v, jnp.ones(5)),
        "across": lambda: read(lines, v, 1e-9, across=jnp.ones((3, 4, 2))),
        "endurance": lambda: endurance_used(worked(), 0.0),
        "endurances": lambda: summary(worked(), Costs(), endurance=np.array([1.0, -2.0, 3.0, 4.0])),
        "no converter": lambda: summary(worked(), Costs(adc=None)),
        "no neuron": lambda: summary(worked(), Costs(neuron=None)),
        "reads alone": lambda: summary(read(lines, v, 1e-9), Costs()),
        "chips": lambda: summary(jax.tree.map(lambda x: x[None], worked()), Costs()),
        "sharing": lambda: Costs(columns_per_adc=0),
        "time": lambda: read_time(4, -1.0, Costs()),
        "count": lambda: stepped(-1, 5),
    }[what]


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("no drive", "SoftBounds are not known; a Drive or a WritePulse is needed"),
        ("voltage", "voltage of a potentiating pulse is not known"),
        ("width", "width of a depressing pulse is not known"),
        ("negative width", r"width of a potentiating pulse is -1e-09 s; a finite number from 0 s on"),
        ("infinite", "voltage of a potentiating pulse is inf V"),
        ("reset", "width of a RESET pulse is not known"),
        ("own", "brings its own voltages"),
        ("shape", r"have shape \(3, 4\); \[lines, rows, columns\]"),
        ("duration", "duration of a read is -1e-09 s"),
        ("rows", r"v has shape \(4,\); \[..., 3\]"),
        ("durations", r"duration has shape \(5,\)"),
        ("across", r"across has shape \(3, 4, 2\); \(2, 3, 4\)"),
        ("endurance", "endurance is 0 pulses; a finite number above 0"),
        ("endurances", "endurance is -2 pulses"),
        ("no converter", "8 of conversions"),
        ("no neuron", "7 of spikes"),
        ("reads alone", "holds reads alone"),
        ("chips", r"\(1, 2, 3, 4\); \[lines, rows, columns\] of one chip"),
        ("sharing", "columns_per_adc is 0"),
        ("time", "duration of a read is -1 s"),
        ("count", "A count is -5"),
    ],
)
def test_refusals(what, words):
    with pytest.raises(InputError, match=words):
        refusal(what)()


def test_figures():
    ledger = worked()
    costs = Costs()
    maps = pulse_maps(ledger)
    pulses = np.asarray(ledger.up) + np.asarray(ledger.down) + np.asarray(ledger.resets)
    for line, axis in enumerate(maps.axes[:2]):
        np.testing.assert_array_equal(axis.images[0].get_array(), pulses[line])
    figure = cost_figure(ledger, costs, endurance=10.0)
    life, energy = figure.axes
    heights = sum(patch.get_bbox().height for patch in life.patches if isinstance(patch, Rectangle))
    assert heights == (pulses > 0).sum()
    numbers = summary(ledger, costs)
    spent = {key: value for key, value in numbers.items() if key.endswith("energy_j") and value > 0}
    total = spent.pop("total_energy_j")
    labels = [text.get_text() for text in energy.texts]
    assert len(labels) == len(spent)
    assert f"{100 * max(spent.values()) / total:.1f} %" in labels[0]
    assert ("below 0.1 %" in labels[-1]) == (min(spent.values()) < 1e-3 * total)
    widths = [patch.get_bbox().width for patch in energy.patches if isinstance(patch, Rectangle)]
    assert widths[0] / sum(widths) == pytest.approx(max(spent.values()) / total)
    idle = cost_figure(empty(SHAPE), costs, endurance=10.0)
    assert [text.get_text() for text in idle.axes[1].texts] == ["nothing was spent"]
    wide = eqx.tree_at(lambda x: x.wear.full_up, ledger, jnp.arange(24, dtype=jnp.int32).reshape(SHAPE) ** 3)
    life = cost_figure(wide, costs, endurance=100.0).axes[0]
    assert life.get_xscale() == "log"
    used = endurance_used(wide, 100.0)
    assert sum(p.get_bbox().height for p in life.patches if isinstance(p, Rectangle)) == (used > 0).sum()
    legend = life.get_legend()
    assert legend is not None
    assert any(f"worn out: {(used >= 1).sum()}" in text.get_text() for text in legend.get_texts())
    with pytest.raises(InputError, match="3 names were given for 2 lines"):
        pulse_maps(ledger, ["a", "b", "c"])
