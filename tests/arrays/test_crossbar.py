"""Cells, crossbars and rows: mapping, noise against brute force, dynamical synapses against O(N²)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memspike as ms
from memspike.arrays import (
    ADC,
    AfterConversion,
    Crossbar,
    DynamicalRows,
    Ideal,
    Periphery,
    Resistive,
    SenseAmplifier,
    StaticRows,
    Tiles,
)
from memspike.cells import BitSliced, DifferentialPair, MultiDevice, SingleReference, Stack
from memspike.devices import ConstantStep


@settings(max_examples=50, deadline=None)
@given(w=st.floats(-1, 1), low=st.floats(1e-9, 1e-4), span=st.floats(1e-7, 1e-3))
def test_weight_to_conductance_and_back(w, low, span):
    with jax.enable_x64(True):
        cell = DifferentialPair(ConstantStep(g_min=low, g_max=low + span))
        pair = cell.conductances(jnp.full((1, 1), w))
        assert float(cell.weight(pair)[0, 0]) == pytest.approx(w, abs=1e-7)
        assert low * (1 - 1e-9) <= float(pair.min()) <= float(pair.max()) <= (low + span) * (1 + 1e-9)
        assert float(pair.min()) == pytest.approx(low, rel=1e-6)


def test_weights_beyond_the_range_are_clipped(x64):
    cell = DifferentialPair()
    pair = cell.conductances(jnp.asarray([[2.0, -3.0]]))
    np.testing.assert_allclose(pair[:, 0], [[100e-6, 10e-6], [10e-6, 100e-6]], rtol=1e-12)


def test_gradient_of_the_mapping_is_one_everywhere_inside(x64):
    crossbar = Crossbar()
    v = jnp.asarray([0.1, 0.2, 0.3])

    def current(w):
        return crossbar.read(crossbar.program(w), v).sum()

    gradient = jax.grad(current)(jnp.asarray([[0.5, -0.5], [1e-9, 0.0], [-0.1, 0.9]]))
    expected = jnp.broadcast_to(v[:, None], (3, 2)) * 90e-6
    np.testing.assert_allclose(gradient, expected, rtol=1e-12)


CELLS = {
    "pair": DifferentialPair(),
    "balanced": DifferentialPair(scale=0.5, balanced=True),
    "several": MultiDevice(ConstantStep(), 3),
    "digits": BitSliced(),
    "reference": SingleReference(ConstantStep(g_min=1e-6, g_max=9e-6), 3e-6),
    "references": SingleReference(ConstantStep(g_min=1e-6, g_max=9e-6), jnp.asarray([[3e-6, 5e-6], [2e-6, 8e-6]])),
    "tiles": Stack(ConstantStep(g_min=1e-6, g_max=9e-6), 5e-6),
}


@pytest.mark.parametrize("name", CELLS)
def test_weights_that_a_cell_cannot_hold_are_refused_or_scaled(name):
    """What is programmed is what was asked for; only inside a transformation the range clips."""
    crossbar = Crossbar(CELLS[name])
    low, high = (np.asarray(x) for x in crossbar.cell.weight_range((2, 2)))
    assert (low < 0).all()
    assert (high > 0).all()
    for ends in (low, high):
        back = crossbar.cell.weight(crossbar.program(jnp.asarray(ends)))
        np.testing.assert_allclose(back, ends, atol=1e-5)
        wrong = np.array(ends)
        wrong[1, 0] *= 1.01
        with pytest.raises(ms.InputError, match=r"weight of row 1, column 0 is .*; its cell can hold .* to .*fitted"):
            crossbar.program(jnp.asarray(wrong))
        clipped = jax.jit(lambda w: crossbar.program(w))(jnp.asarray(wrong))
        np.testing.assert_allclose(clipped, crossbar.program(jnp.asarray(ends)), rtol=1e-6)
    w = 3.0 * jnp.asarray([[high[0, 0], low[0, 1]], [0.0, 0.2 * high[1, 1]]])
    scaled, factor = crossbar.fitted(w)
    assert float(factor) == pytest.approx(1 / 3, rel=1e-5)
    np.testing.assert_allclose(scaled, w / 3, rtol=1e-5)
    crossbar.program(scaled)
    inside = 0.5 * jnp.asarray(high)
    assert float(crossbar.fitted(inside)[1]) == 1.0
    np.testing.assert_array_equal(crossbar.fitted(inside)[0], inside)


def test_weights_that_are_no_numbers_are_refused():
    with pytest.raises(ms.InputError, match="is nan"):
        Crossbar().program(jnp.asarray([[0.1, jnp.nan]]))


def test_cells_that_cannot_hold_zero_cannot_be_fitted():
    outside = SingleReference(ConstantStep(g_min=1e-6, g_max=9e-6), 20e-6)
    with pytest.raises(ms.InputError, match="do not hold 0"):
        Crossbar(outside).fitted(jnp.ones((2, 2)))


@pytest.mark.parametrize("wires", [Ideal(), Resistive()], ids=["ideal", "resistive"])
@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"tiles": Tiles(3, 1)}, "Tiles.columns is 1; a cell with 2 lines does not fit"),
        (
            {"periphery": Periphery(amplifier=SenseAmplifier(1e4, offset=jnp.zeros((2, 4))))},
            "behind combined lines has shape",
        ),
        (
            {"periphery": Periphery(adc=ADC(8, 1e-6, offset=jnp.zeros((3, 4))), order=AfterConversion())},
            "behind 2 lines has shape",
        ),
    ],
    ids=["tiles", "before", "after"],
)
def test_what_does_not_fit_a_cell_is_refused_when_the_crossbar_is_made(wires, parts, said):
    with pytest.raises(ms.InputError, match=said):
        Crossbar(wires=wires, **parts)


def test_superposition(x64):
    crossbar = Crossbar()
    pair = crossbar.program(jax.random.uniform(jax.random.key(0), (5, 3), minval=-1, maxval=1))
    a, b = jax.random.normal(jax.random.key(1), (2, 7, 5))
    together = crossbar.read(pair, a + b)
    np.testing.assert_allclose(together, crossbar.read(pair, a) + crossbar.read(pair, b), atol=1e-18)


def test_programming_spread():
    crossbar = Crossbar(programming_spread=0.05)
    target = jnp.full((200, 200), 0.5)
    exact, missed = crossbar.program(target), crossbar.program(target, key=jax.random.key(0))
    error = np.asarray(missed[0] / exact[0] - 1)
    assert error.std() == pytest.approx(0.05, rel=0.03)
    assert error.mean() == pytest.approx(0.0, abs=1e-3)
    assert float(missed[1].min()) >= 10e-6 * (1 - 1e-6)
    again = crossbar.program(target, key=jax.random.key(0))
    np.testing.assert_array_equal(missed, again)


def test_output_referred_read_noise_equals_noise_per_device(x64):
    """Same mean and covariance as drawing the noise of every device at every read."""
    crossbar = Crossbar(read_noise=0.1)
    pair = crossbar.program(jax.random.uniform(jax.random.key(0), (6, 3), minval=-1, maxval=1))
    v = jnp.linspace(-0.1, 0.1, 6)
    draws = 200_000
    fast = crossbar.read(pair, jnp.broadcast_to(v, (draws, 6)), key=jax.random.key(1))
    noise = 1 + 0.1 * jax.random.normal(jax.random.key(2), (2, draws, 6, 3))
    brute = jnp.einsum("i,nij->nj", v, pair[0][None] * noise[0] - pair[1][None] * noise[1])
    scale = np.asarray(brute).std(axis=0)
    np.testing.assert_allclose(fast.mean(0), brute.mean(0), atol=5 * scale.max() / draws**0.5)
    np.testing.assert_allclose(fast.std(0), brute.std(0), rtol=0.01)
    np.testing.assert_allclose(np.cov(fast.T) / scale**2, np.cov(brute.T) / scale**2, atol=0.02)
    kurtosis = [(((x - x.mean(0)) / x.std(0)) ** 4).mean(0) for x in (np.asarray(fast), np.asarray(brute))]
    np.testing.assert_allclose(kurtosis[0], kurtosis[1], atol=0.1)


def test_noise_has_a_gradient_where_nothing_is_read():
    crossbar = Crossbar(read_noise=0.1)
    pair = crossbar.program(jnp.full((2, 2), 0.3))
    gradient = jax.grad(lambda v: crossbar.read(pair, v, key=jax.random.key(0)).sum())(jnp.zeros(2))
    assert np.isfinite(np.asarray(gradient)).all()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"g_min": 2e-4}, "reversed or empty"),
        ({"g_max": float("nan")}, "g_max"),
        ({"g_min": -1e-6}, "allowed: 0 to"),
    ],
)
def test_impossible_ranges_are_refused(settings, words):
    with pytest.raises(ms.InputError, match=words):
        DifferentialPair(ConstantStep(**settings))


def brute_force(device, crossbar, pair, v, durations):
    """Every device of both sides integrated on its own, O(N²); the current is read in mid-step."""
    g_min, g_max = crossbar.cell.conductance_range()
    x = (pair - g_min) / (g_max - g_min)
    currents = []
    for step, duration in zip(v, durations, strict=True):
        rows = jnp.broadcast_to(step[None, :, None], x.shape)
        x = device.advance(x, rows, 0.5 * float(duration))
        g = g_min + x * (g_max - g_min)
        currents.append((step[:, None] * (g[0] - g[1])).sum(0))
        x = device.advance(x, rows, 0.5 * float(duration))
    return jnp.stack(currents)


@pytest.mark.parametrize("tau", [1e-3, 10e-3, 1.0])
def test_dynamical_synapses_equal_the_full_state(x64, tau):
    device = ms.devices.MetastableSwitch(r_on=10e3, r_off=100e3, tau=tau)
    crossbar = Crossbar()
    pair = crossbar.program(jax.random.uniform(jax.random.key(0), (5, 4), minval=-1, maxval=1))
    v = 0.08 * jax.random.normal(jax.random.key(1), (60, 5))
    durations = jnp.asarray(np.random.default_rng(0).uniform(1e-5, 1e-4, 60))
    fast = crossbar.read(pair, DynamicalRows(device).effective(v, durations))
    slow = brute_force(device, crossbar, pair, v, durations)
    np.testing.assert_allclose(fast, slow, rtol=1e-9, atol=1e-9 * float(jnp.abs(slow).max()))
    static = crossbar.read(pair, StaticRows().effective(v, durations))
    assert float(jnp.abs(static - slow).max()) > 1e-5 * float(jnp.abs(slow).max())


def test_states_of_dynamical_devices_stay_physical(x64):
    """The law itself keeps x in [0, 1], whatever the rows do: no clipping is needed in the pass."""
    device = DynamicalRows().device
    x = jnp.asarray([0.0, 0.5, 1.0])
    for v in (-5.0, -0.1, 0.0, 0.06, 5.0):
        moved = device.advance(x, jnp.full(3, v), 1e-2)
        assert ((moved >= 0) & (moved <= 1)).all()
