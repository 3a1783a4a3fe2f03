"""Crossbars with wires, tiles, converters and drifting devices, against one array, tile or device at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memspike as ms
from memspike import arrays, cells
from memspike.arrays import ADC, Crossbar, Periphery, Resistive, Tiles
from memspike.devices import PCM, PCMJoshi


def weights(rows, columns, seed=0):
    return jax.random.uniform(jax.random.key(seed), (rows, columns), minval=-1, maxval=1)


def one_array(lines, r, two_sided=False):
    """The public solver on plus and minus columns side by side, one driven row at a time."""
    n, rows, columns = lines.shape
    g = np.moveaxis(np.asarray(lines), 0, -1).reshape(rows, columns * n)
    found = arrays.solve(np.eye(rows), g, r_row=r, r_col=r, two_sided=two_sided).currents.output
    return np.moveaxis(np.asarray(found).reshape(rows, columns, n), -1, 0)


@pytest.mark.parametrize("two_sided", [False, True])
def test_a_wired_crossbar_is_the_solver_on_its_physical_columns(x64, two_sided):
    crossbar = Crossbar(wires=Resistive(r_row=5.0, r_column=5.0, r_driver=5.0, r_sense=5.0, two_sided=two_sided))
    lines = crossbar.program(weights(9, 5))
    seen = crossbar.transfer(lines)
    np.testing.assert_allclose(seen.lines, one_array(lines, 5.0, two_sided), rtol=1e-9)
    v = jax.random.normal(jax.random.key(1), (3, 9))
    np.testing.assert_allclose(crossbar.read(lines, v), crossbar.read(seen, v), rtol=1e-12)


def test_tiles_are_arrays_of_their_own(x64):
    """Also where the last tiles are smaller: the rows that are missing lie far from the sense end."""
    tiles = Tiles(5, 7)
    assert tiles.count((11, 10), 2) == (3, 2)
    assert tiles.size((11, 10), 2) == (4, 6)
    crossbar = Crossbar(wires=Resistive(r_row=20.0, r_column=20.0, r_driver=20.0, r_sense=20.0), tiles=tiles)
    lines = crossbar.program(weights(11, 5))
    seen = np.asarray(crossbar.transfer(lines).lines)
    for first in (0, 4, 8):
        for cells_of_tile in (slice(0, 3), slice(3, 5)):
            part = lines[:, first : first + 4, cells_of_tile]
            np.testing.assert_allclose(seen[:, first : first + 4, cells_of_tile], one_array(part, 20.0), rtol=1e-9)


@settings(max_examples=30, deadline=None)
@given(shape=st.tuples(st.integers(1, 12), st.integers(1, 12)), tile=st.tuples(st.integers(1, 12), st.integers(1, 12)))
def test_splitting_and_joining_is_the_identity(shape, tile):
    tiles = Tiles(*tile).within(shape)
    g = jnp.arange(1.0, 1.0 + shape[0] * shape[1]).reshape(shape)
    blocks = tiles.split(g)
    assert blocks.shape == (*tiles.count(shape), *tiles.size(shape))
    assert blocks.shape[2] <= tiles.rows
    assert blocks.shape[3] <= tiles.columns
    np.testing.assert_array_equal(tiles.join(blocks, shape), g)
    assert float(blocks.sum()) == float(g.sum())


def test_zero_ohm_is_ideal(x64):
    crossbar = Crossbar(wires=Resistive(r_row=0.0, r_column=0.0, r_driver=0.0, r_sense=0.0))
    lines = crossbar.program(weights(7, 4))
    np.testing.assert_allclose(crossbar.transfer(lines).lines, lines, rtol=1e-14)
    np.testing.assert_allclose(crossbar.transfer(lines, correction=crossbar.correction(lines)).lines, lines, rtol=1e-12)


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize(("r", "off", "nearby"), [(0.1, 1e-3, 2e-5), (1.0, 0.05, 2e-3), (10.0, 0.6, 0.05)])
def test_corrected_estimate_is_exact_where_it_was_taken_and_close_around(x64, r, off, nearby, two_sided):
    wires = Resistive(r_row=r, r_column=r, r_driver=r, r_sense=r, two_sided=two_sided)
    crossbar = Crossbar(wires=wires, tiles=Tiles(64, 64))
    w = 0.3 * weights(128, 32)
    lines = crossbar.program(w)
    exact, correction = crossbar.transfer(lines).lines, crossbar.correction(lines)
    np.testing.assert_allclose(crossbar.transfer(lines, correction=correction).lines, exact, rtol=1e-12)
    assert correction is not None
    assert float(jnp.abs(correction - 1).max()) < off
    moved = crossbar.program(w + 0.02 * weights(128, 32, seed=1))
    true = crossbar.transfer(moved).lines
    close = crossbar.transfer(moved, correction=correction).lines
    signed = float(jnp.sqrt(jnp.square(true[0] - true[1]).mean()))
    assert float(jnp.sqrt(jnp.square(close - true).mean())) < nearby * signed


def test_correction_of_devices_that_can_be_at_zero(x64):
    """The idle device of a pair of write–verified phase-change devices has no conductance at all."""
    crossbar = Crossbar(cells.DifferentialPair(PCMJoshi()), Resistive())
    w = 0.3 * weights(40, 8)
    lines = crossbar.program(w)
    assert float(lines.min()) == 0.0
    correction = crossbar.correction(lines)
    assert np.isfinite(np.asarray(correction)).all()
    moved = crossbar.program(-w)
    close, true = crossbar.transfer(moved, correction=correction).lines, crossbar.transfer(moved).lines
    np.testing.assert_allclose(close, true, rtol=2e-3, atol=2e-12)


def test_gradient_of_the_corrected_estimate_is_near_the_exact_one(x64):
    crossbar = Crossbar(wires=Resistive(), tiles=Tiles(32, 32))
    w, v = 0.3 * weights(64, 16), jax.random.normal(jax.random.key(2), (5, 64))
    correction = crossbar.correction(crossbar.program(w))

    def loss(w, correction):
        seen = crossbar.transfer(crossbar.program(w), correction=correction)
        return jnp.square(1e5 * crossbar.read(seen, v)).sum()

    exact, close = jax.grad(loss)(w, None), jax.grad(loss)(w, correction)
    assert float(jnp.linalg.norm(close - exact) / jnp.linalg.norm(exact)) < 5e-3
    bump = 1e-5 * weights(64, 16, seed=3)
    numeric = (loss(w + bump, None) - loss(w - bump, None)) / 2
    np.testing.assert_allclose((exact * bump).sum(), numeric, rtol=1e-6)


def test_partial_sums_and_converters(x64):
    """Digital sums convert every tile, analog sums once; both against plain NumPy."""
    w, v = weights(10, 3), 0.1 * jax.random.normal(jax.random.key(3), (4, 10))
    lines = np.asarray(Crossbar().program(w))
    adc = ADC(bits=6, range=4e-5)
    lsb = 4e-5 / 31

    def code(i):
        return np.clip(np.round(i / lsb), -31, 31) * lsb

    parts = [slice(0, 4), slice(4, 8), slice(8, 10)]  # at most 5 rows a tile: three equal ones
    v = np.asarray(v)
    expected = {
        (False, arrays.BeforeConversion): sum(code(v[:, p] @ (lines[0, p] - lines[1, p])) for p in parts),
        (False, arrays.AfterConversion): sum(code(v[:, p] @ lines[0, p]) - code(v[:, p] @ lines[1, p]) for p in parts),
        (True, arrays.BeforeConversion): code(v @ (lines[0] - lines[1])),
        (True, arrays.AfterConversion): code(v @ lines[0]) - code(v @ lines[1]),
    }
    for (analog, order), currents in expected.items():
        crossbar = Crossbar(tiles=Tiles(4, 6, analog), periphery=Periphery(adc=adc, order=order()))
        np.testing.assert_allclose(crossbar.read(jnp.asarray(lines), jnp.asarray(v)), currents, atol=1e-16)
    many = Crossbar(periphery=Periphery(adc=ADC(bits=20, range=1e-3)), read_noise=0.05)
    plain = Crossbar(read_noise=0.05)
    copies = jnp.broadcast_to(jnp.asarray(v)[None], (20_000, 4, 10))
    spread = [c.read(jnp.asarray(lines), copies, key=jax.random.key(4)).std(0) for c in (many, plain)]
    np.testing.assert_allclose(*spread, rtol=0.03)


@pytest.mark.parametrize("device", [PCM, PCMJoshi])
def test_output_referred_noise_at_time_t_equals_noise_of_every_device(x64, device):
    """Mean, variance and tail of the outputs an hour after programming; where PCM reads are clipped, the limit."""
    cell = cells.DifferentialPair(device())
    crossbar = Crossbar(cell)
    w = jnp.asarray(np.random.default_rng(0).choice([-0.9, -0.5, 0.5, 0.9], (12, 3)))
    state = cell.place(cell.init((12, 3)), w, key=jax.random.key(0))
    v = jnp.linspace(-0.2, 0.2, 12)
    moments = cell.read_moments(state, 3600.0)
    seen = crossbar.transfer(moments.mean, sd=moments.sd)
    draws = 40_000
    fast = np.asarray(crossbar.read(seen, jnp.broadcast_to(v, (draws, 12)), key=jax.random.key(1)))

    def every(key):
        g = cell.read(state, 3600.0, key=key)
        return v @ (g[0] - g[1])

    brute = np.asarray(jax.lax.map(every, jax.random.split(jax.random.key(2), draws), batch_size=1000))
    sd = brute.std(0)
    np.testing.assert_allclose(fast.mean(0), brute.mean(0), atol=6 * sd.max() / draws**0.5)
    np.testing.assert_allclose(fast.std(0), sd, rtol=0.02)
    for q in (0.001, 0.02, 0.98, 0.999):
        np.testing.assert_allclose(np.quantile(fast, q, 0), np.quantile(brute, q, 0), atol=0.12 * sd.max())


def test_where_reads_are_clipped_mean_and_spread_still_hold(x64):
    """A PCM device right after RESET reads at its floor half of the time: the moments take that into account."""
    cell = cells.DifferentialPair(PCM())
    state = cell.init((30, 2))
    v = jnp.ones(30)
    crossbar = Crossbar(cell)
    moments = cell.read_moments(state)
    seen = crossbar.transfer(moments.mean, sd=moments.sd)
    fast = crossbar.read(seen, jnp.broadcast_to(v, (5000, 30)), key=jax.random.key(0))

    def every(key):
        g = cell.read(state, key=key)
        return v @ (g[0] - g[1])

    brute = jax.lax.map(every, jax.random.split(jax.random.key(1), 5000), batch_size=1000)
    naive = float(jnp.sqrt(2 * 30) * (0.13e-6 + 0.03 * cell.read(state).mean()))
    np.testing.assert_allclose(fast.std(), brute.std(), rtol=0.03)
    assert naive > 1.2 * float(brute.std()), "nothing was clipped here"
    assert abs(float(brute.mean())) < 5 * float(brute.std()) / 5000**0.5  # the bias of the clip cancels in a pair


def test_compensation_undoes_a_common_drift(x64):
    crossbar = Crossbar(read_noise=0.0)
    before = crossbar.transfer(crossbar.program(weights(20, 4)))
    column = jnp.asarray([0.9, 0.8, 0.7, 0.6])
    faded = arrays.Seen(before.lines * column[None, None, :], before.sd)
    key = jax.random.key(0)
    for how in (arrays.ColumnDrift(), arrays.Recalibration()):
        np.testing.assert_allclose(how.gains(crossbar, before, faded, key=key), 1 / column, rtol=1e-9)
    even = arrays.Seen(before.lines * 0.7, before.sd)
    np.testing.assert_allclose(arrays.GlobalDrift().gains(crossbar, before, even, key=key), 1 / 0.7, rtol=1e-9)
    np.testing.assert_array_equal(arrays.NoCompensation().gains(crossbar, before, even, key=key), 1.0)
    held = faded.scaled(1 / column)
    np.testing.assert_allclose(held.lines, before.lines, rtol=1e-12)


def test_compensation_reads_are_noisy(x64):
    crossbar = Crossbar(read_noise=0.1)
    seen = crossbar.transfer(crossbar.program(weights(20, 4)))
    for how in (arrays.GlobalDrift(), arrays.ColumnDrift(), arrays.Recalibration()):
        gains = jnp.stack([how.gains(crossbar, seen, seen, key=jax.random.key(k)) for k in range(20)])
        assert 1e-4 < float(gains.std(0).max()) < 0.1
        assert abs(float(gains.mean()) - 1) < 0.03


def test_refresh_keeps_the_weight_and_empties_the_pair(x64):
    cell = cells.MultiDevice(PCM(), 2)
    fresh = cell.init((2, 2))
    high, low = 10e-6, 9e-6
    g = jnp.asarray([[[high, high], [2e-6, high]]] * 2 + [[[low, low], [1e-6, 1e-6]]] * 2)
    state = fresh._replace(devices=cell.device.place(fresh.devices, g))
    done = cells.Refresh().apply(cell, state)
    np.testing.assert_array_equal(done.where, [[True, True], [False, False]])
    before, after = cell.weight(cell.stored(state)), cell.weight(cell.stored(done.state))
    np.testing.assert_allclose(after[0], before[0], atol=0.12)  # a pulse is worth that much: written blind
    np.testing.assert_array_equal(after[1], before[1])
    assert float(cell.stored(done.state)[:, 0].max()) < 4e-6
    np.testing.assert_array_equal(done.resets.sum((0, 2)), [8, 0])
    assert float(done.pulses[:, 1].sum()) == 0
    noisy = cells.Refresh().apply(cell, state, key=jax.random.key(0))
    assert np.isfinite(np.asarray(cell.stored(noisy.state))).all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Resistive(r_row=-1.0), "r_row"),
        (lambda: Resistive(r_column=float("nan")), "r_column"),
        (lambda: Tiles(0, 4), "rows is 0"),
        (lambda: Crossbar(tiles=Tiles(64, 64), wires=Resistive()).read(jnp.ones((2, 5, 3)), jnp.ones(5)), "larger"),
        (lambda: ADC(bits=8, range=0.0), "range"),
        (lambda: arrays.Recalibration(inputs=0), "inputs is 0"),
        (lambda: cells.Refresh(above=2.0), "above"),
    ],
)
def test_impossible_arrays_are_refused(make, words):
    with pytest.raises(ms.InputError, match=words):
        make()
