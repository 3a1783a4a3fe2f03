"""Cells: weight ↔ conductance, what a pulse on a weight does to its devices, against plain loops."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memspike as ms
from memspike import cells
from memspike.devices import PCM, ConstantStep, PCMJoshi, PiecewiseStep, SoftBounds, Tabular
from memspike.devices.asymmetry import asymmetry


def symmetric():
    return SoftBounds.from_labels(1.5, -1.5)


def asymmetric():
    return SoftBounds.from_labels(2.4, -4.88)


MAKE = {
    "pair": lambda: cells.DifferentialPair(symmetric()),
    "push-pull": lambda: cells.DifferentialPair(asymmetric(), cells.BothSides()),
    "alternate": lambda: cells.DifferentialPair(asymmetric(), cells.Alternate()),
    "multi": lambda: cells.MultiDevice(PCM(), 3),
    "multi global": lambda: cells.MultiDevice(symmetric(), 4, cells.BothSides(), cells.GlobalCounter()),
    "single": lambda: cells.SingleReference(symmetric(), cells.midpoint(symmetric())),
    "range": lambda: cells.RangeReference(asymmetric(), 0.5),
    "stack": lambda: cells.Stack(asymmetric(), cells.at_symmetry_point(asymmetric()), 3, 0.5),
    "single at symmetry": lambda: cells.SingleReference(asymmetric(), cells.at_symmetry_point(asymmetric())),
    "slices": lambda: cells.BitSliced(ConstantStep(pulses_up=30.0, pulses_down=30.0), 3, 4),
}
every_cell = pytest.mark.parametrize("name", MAKE)


@every_cell
def test_weights_survive_the_mapping(name, x64):
    cell = MAKE[name]()
    w = jnp.linspace(-0.5, 0.5, 101)[None]
    lines = cell.conductances(w)
    assert lines.shape == (cell.gains().shape[0], 1, 101)
    off = np.abs(np.asarray(cell.weight(lines) - w)).max()
    assert off <= (0.5001 / 63 if name == "slices" else 1e-9)
    low, high = (float(g) for g in cell.conductance_range())
    assert float(lines.min()) >= low * (1 - 1e-6)
    assert float(lines.max()) <= high * (1 + 1e-6)


@every_cell
def test_a_placed_matrix_reads_back_as_its_weights(name, x64):
    cell = MAKE[name]()
    w = jax.random.uniform(jax.random.key(0), (5, 4), minval=-0.5, maxval=0.5)
    state = cell.place(cell.init((5, 4)), w)
    np.testing.assert_allclose(cell.weight(cell.stored(state)), cell.weight(cell.conductances(w)), atol=2e-3)
    assert cell.read_moments(state).sd.shape == cell.stored(state).shape == (*cell.gains().shape, 5, 4)


@every_cell
def test_gradient_of_the_mapping_is_one_inside_the_range(name, x64):
    cell = MAKE[name]()
    gradient = jax.grad(lambda w: cell.weight(cell.conductances(w)).sum())(jnp.asarray([[0.4, -0.3, 0.01]]))
    np.testing.assert_allclose(gradient, 1.0, rtol=1e-6)


@every_cell
def test_worth_is_what_a_pulse_does(name, x64):
    cell = MAKE[name]()
    state = cell.place(cell.init((3, 3)), jnp.linspace(-0.4, 0.4, 9).reshape(3, 3))
    worth = cell.worth(state)
    assert (np.asarray(worth.up) >= 0).all()
    assert (np.asarray(worth.down) <= 0).all()
    after, dealt = cell.program(state, jnp.ones((3, 3)))
    np.testing.assert_allclose(cell.weight(cell.stored(after)) - cell.weight(cell.stored(state)), worth.up, atol=1e-12)
    assert dealt.shape == (cell.programmed(), 3, 3)
    again = jax.jit(lambda s: cell.program(s, jnp.ones((3, 3)), key=jax.random.key(1)))(state)[0]
    assert np.isfinite(np.asarray(cell.weight(cell.stored(again)))).all()
    assert float(cell.nominal_worth().up) > 0 > float(cell.nominal_worth().down)


def dealt_by_hand(pulses, position, n):
    """One pulse at a time to the next device of the side."""
    counts = np.zeros(n)
    for _ in range(int(abs(pulses))):
        counts[position % n] += np.sign(pulses)
        position += 1
    return counts, position % n


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 6), rounds=st.lists(st.integers(-9, 9), min_size=1, max_size=6))
def test_cyclic_arbitration_per_synapse(n, rounds):
    cell = cells.MultiDevice(ConstantStep(), n)
    counter = cell.start((1, 1))
    position = {1: 0, -1: 0}
    for pulses in rounds:
        lines, counter = cell.deal(jnp.full((1, 1), float(pulses)), counter)
        side = 1 if pulses >= 0 else -1
        expected, position[side] = dealt_by_hand(abs(pulses), position[side], n)
        found = np.asarray(lines[:, 0, 0]).reshape(2, n)
        np.testing.assert_array_equal(found[0 if side > 0 else 1], expected)
        np.testing.assert_array_equal(found[1 if side > 0 else 0], 0)


def test_cyclic_arbitration_with_one_counter_for_the_array():
    cell = cells.MultiDevice(ConstantStep(), 3, cells.BothSides(), cells.GlobalCounter(2))
    counter = cell.start((2, 2))
    for step in range(5):
        pulses = np.random.default_rng(step).integers(-4, 5, (2, 2)).astype(np.float32)
        lines, counter = cell.deal(jnp.asarray(pulses), counter)
        for (i, j), n in np.ndenumerate(pulses):
            for side, sign in ((0, 1), (1, -1)):
                expected, _ = dealt_by_hand(sign * n, 2 * step % 3, 3)
                np.testing.assert_array_equal(np.asarray(lines).reshape(2, 3, 2, 2)[side, :, i, j], expected)


def test_write_modes():
    pulses = jnp.asarray([[2.0, -3.0, 0.0]])
    expect = {
        cells.OneSided: ([[2, 0, 0]], [[0, 3, 0]]),
        cells.BothSides: ([[2, -3, 0]], [[-2, 3, 0]]),
        cells.Alternate: ([[2, -3, 0]], [[0, 0, 0]]),
    }
    for mode, (plus, minus) in expect.items():
        cell = cells.DifferentialPair(ConstantStep(), mode())
        lines, _ = cell.deal(pulses, cell.start((1, 3)))
        np.testing.assert_array_equal(lines[0], plus)
        np.testing.assert_array_equal(lines[1], minus)
    cell = cells.DifferentialPair(ConstantStep(), cells.Alternate())
    _, turn = cell.deal(pulses, cell.start((1, 3)))
    lines, turn = cell.deal(pulses, turn)  # the other side, and only where the first turn was used
    np.testing.assert_array_equal(lines[0], [[0, 0, 0]])
    np.testing.assert_array_equal(lines[1], [[-2, 3, 0]])


def test_push_pull_makes_an_asymmetric_device_symmetric(x64):
    """For soft bounds the change under +n is the mirror image of that under −n of the mirrored weight."""
    cell = MAKE["push-pull"]()
    w = jnp.asarray([[0.3]])
    state, mirrored = (cell.place(cell.init((1, 1)), sign * w) for sign in (1, -1))
    up = cell.worth(state).up
    down = cell.worth(mirrored).down
    assert float(jnp.abs(up + down).max()) < 1e-15
    single = MAKE["single"]()
    lone = cells.SingleReference(asymmetric(), single.reference)
    apart = lone.worth(lone.place(lone.init((1, 1)), jnp.zeros((1, 1))))
    assert float(jnp.abs(apart.up + apart.down).max()) > 0.1 * float(apart.up.max())


def test_a_reference_at_the_symmetry_point_balances_pulses_at_zero(x64):
    chip = ms.devices.fabricate(
        asymmetric(), {"curvature_up": 0.2, "curvature_down": 0.2}, shape=(1, 20, 10), key=jax.random.key(0)
    )
    cell = cells.SingleReference(chip, cells.at_symmetry_point(chip, (1, 20, 10))[0])
    worth = cell.worth(cell.place(cell.init((20, 10)), jnp.zeros((20, 10))))
    np.testing.assert_allclose(worth.up, -worth.down, rtol=1e-6)
    point = asymmetry(asymmetric()).symmetry_point
    low, high = float(asymmetric().g_min), float(asymmetric().g_max)
    assert float(cells.at_symmetry_point(asymmetric())) == pytest.approx(low + point * (high - low), rel=1e-3)
    with pytest.raises(ms.InputError, match="no symmetry point"):
        cells.at_symmetry_point(ConstantStep(pulses_up=50.0, pulses_down=100.0))


def test_saturation_is_where_a_pulse_has_lost_its_effect(x64):
    cell = cells.DifferentialPair(SoftBounds.from_labels(4.0, -4.0))
    state = cell.place(cell.init((1, 3)), jnp.asarray([[0.0, 0.5, 1.0]]))
    np.testing.assert_array_equal(cell.saturated(state).up, [[False, False, True]])
    np.testing.assert_array_equal(cell.saturated(state).down, [[False, False, False]])  # written on the other side
    both = cells.DifferentialPair(SoftBounds.from_labels(4.0, -4.0), cells.BothSides())
    np.testing.assert_array_equal(both.saturated(both.place(both.init((1, 1)), -jnp.ones((1, 1)))).down, [[True]])


def test_more_devices_a_side_scatter_less():
    pulses = jnp.full((60, 60), 4.0)
    spreads = []
    for n in (1, 4):
        cell = cells.MultiDevice(PCM(), n)
        after, dealt = cell.program(cell.init((60, 60)), pulses * n, key=jax.random.key(n))
        assert float(dealt.sum()) == 4 * n * 3600
        w = np.asarray(cell.weight(cell.stored(after)))
        spreads.append(w.std() / w.mean())
    assert spreads[1] == pytest.approx(0.5 * spreads[0], rel=0.1)


def test_slices_count_in_their_base(x64):
    cell = cells.BitSliced(ConstantStep(g_min=0.0, g_max=1e-6), digits=3, base=4)
    lines = np.asarray(cell.conductances(jnp.asarray([[37 / 63, -1.0]])))
    np.testing.assert_allclose(lines[:3, 0, 0] * 3e6, [2, 1, 1], atol=1e-9)  # 37 = 2·16 + 1·4 + 1
    np.testing.assert_allclose(lines[3:, 0, 1] * 3e6, [3, 3, 3], atol=1e-9)
    dealt, _ = cell.deal(jnp.asarray([[27.0, -5.0]]), cell.start((1, 2)))
    np.testing.assert_array_equal(dealt[:, 0, 0], [1, 2, 3, 0, 0, 0])
    np.testing.assert_array_equal(dealt[:, 0, 1], [0, 0, 0, 0, 1, 1])


def test_device_spread_reaches_every_device_and_vmap_equals_a_loop(x64):
    def chip(key):
        return ms.devices.fabricate(PCMJoshi(), {"g_max": 0.05}, shape=(2, 6, 5), key=key)

    device = jax.vmap(chip)(jax.random.split(jax.random.key(0), 4))
    w = jax.random.uniform(jax.random.key(1), (6, 5), minval=-0.8, maxval=0.8)

    def run(device, key):
        cell = cells.DifferentialPair(device)
        return cell.weight(cell.read(cell.place(cell.init((6, 5)), w, key=key), 3600.0, key=key))

    keys = jax.random.split(jax.random.key(2), 4)
    together = jax.vmap(run)(device, keys)
    one = run(jax.tree.map(lambda x: x[2], device), keys[2])
    np.testing.assert_allclose(together[2], one, rtol=1e-12)
    assert float(jnp.std(together - w[None])) > 1e-3


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: cells.MultiDevice(PCM(), 0), "per_side is 0"),
        (lambda: cells.BitSliced(digits=0), "digits is 0"),
        (lambda: cells.BitSliced(base=1), "base is 1"),
        (lambda: cells.DifferentialPair(scale=-1.0), "scale"),
        (lambda: cells.SingleReference(PCM(), float("nan")), "reference"),
    ],
)
def test_impossible_cells_are_refused(make, words):
    with pytest.raises(ms.InputError, match=words):
        make()


@pytest.mark.parametrize("make", [cells.RangeReference, lambda device: cells.SingleReference(device, 5e-6)])
def test_refresh_needs_two_sides(make):
    cell = make(SoftBounds())
    with pytest.raises(ms.InputError, match="has no second side to empty"):
        cells.Refresh().apply(cell, cell.init((2, 3)))


@pytest.mark.parametrize("law", [Tabular(), PiecewiseStep()], ids=["tabular", "piecewise"])
def test_the_nominal_pulse_of_a_device_with_tables_is_that_of_the_device(law):
    """Its parameters are averaged over an array, its tables are not."""
    cell = cells.SingleReference(law, cells.midpoint(law))
    every = eqx.tree_at(lambda c: c.device, cell, ms.devices.fabricate(law, {}, shape=(1, 3, 4), key=jax.random.key(0)))
    low, high = (float(g) for g in cell.conductance_range())
    middle = jnp.asarray(0.5 * (low + high))
    for one in (cell, every):
        for way, moved in zip((1.0, -1.0), one.nominal_worth(), strict=True):
            after = law.stored(law.program(law.place(law.init(()), middle), way))
            np.testing.assert_allclose(moved, (after - middle) / cell.unit(), rtol=1e-4)
