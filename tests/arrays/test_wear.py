"""Counters of a ledger by the kernel against plain sums of integers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike.arrays import Crossbar, Drive, Pulse
from memspike.arrays.ledger import Ledger, empty
from memspike.arrays.sums import FULL, Total
from memspike.arrays.wear import Marks, Part, Wear
from memspike.cells import DifferentialPair
from memspike.devices.coincidences import Coincidences

pytest.importorskip("llvmlite")
SHAPES = [(1, 1, 1), (2, 3, 5), (1, 4, 16), (2, 7, 300)]


def marks(pulses, shape, part=None):
    part = Part.of(jnp.asarray(pulses, jnp.float32)) if part is None else part
    return Marks(None, Total.of(1e-12), (part,), shape)


@pytest.mark.parametrize("fast", ["1", "0"])
@pytest.mark.parametrize("most", [3, 100, 700])
@pytest.mark.parametrize("shape", SHAPES)
def test_many_writes_are_counted_exactly(monkeypatch, shape, most, fast):
    """Up to the overflow of the recent counters, and writes that do not fit into these at all."""
    monkeypatch.setenv("MEMSPIKE_FAST", fast)
    jax.clear_caches()
    random = np.random.default_rng(most)
    pulses = random.integers(-most, most + 1, (60, *shape)) * (random.random((60, *shape)) < 0.5)
    pulses[:, :, -1] *= random.random(60)[:, None, None] < 0.2  # rows without pulses
    add = jax.jit(lambda wear, n: wear + marks(n, shape))
    wear = Wear.new(shape)
    for n in pulses:
        wear = add(wear, n)
    np.testing.assert_array_equal(wear.up, np.maximum(pulses, 0).sum(0))
    np.testing.assert_array_equal(wear.down, np.maximum(-pulses, 0).sum(0))
    assert float(wear.energy.value) == pytest.approx(60e-12)
    assert int(wear.resets.sum()) == 0


def test_broken_pulses_count_and_full_counters_stay_full():
    wear = Wear.new((1, 2, 20)) + marks(np.full((1, 2, 20), 0.3), (1, 2, 20))
    wear = wear + marks(np.full((1, 2, 20), -1.5), (1, 2, 20))
    assert (np.asarray(wear.up) == 1).all()
    assert (np.asarray(wear.down) == 2).all()
    full = jnp.full((1, 2, 20), FULL - 3, jnp.int32)
    wear = Wear(None, wear.energy, full, full, wear.recent, wear.room)
    for _ in range(400):
        wear = wear + marks(np.full((1, 2, 20), 3.0), (1, 2, 20))
    assert (np.asarray(wear.up) == FULL).all()
    assert (np.asarray(wear.down) == FULL - 1).all()


@pytest.mark.parametrize("columns", [5, 16, 40])
def test_bits_that_meet_are_counted_where_they_meet(columns):
    random = np.random.default_rng(1)
    each, total = [], np.zeros((2, 2, 6, columns), int)
    for _ in range(30):
        sent, met = (random.integers(0, 2**31, n).astype(np.uint32) for n in (6, columns))
        signs = [random.choice([-1.0, 1.0], n).astype(np.float32) for n in (6, columns)]
        each.append(Coincidences(*(jnp.asarray(x) for x in (sent, met, *signs))))
        number = np.vectorize(lambda x: int(x).bit_count())(sent[:, None] & met[None])
        n = number * (signs[0][:, None] * signs[1][None])
        np.testing.assert_array_equal(each[-1].counts(), n)
        total[0, 1] += np.maximum(n, 0).astype(int)
        total[1, 1] += np.maximum(-n, 0).astype(int)
    wear, shape = Wear.new((2, 6, columns)), (2, 6, columns)
    for one in each:  # on the second of two tiles
        part = Part(one, jnp.int32(6), jnp.int32(6))
        assert int(marks(None, shape, part).up[0].sum()) == 0
        wear = wear + marks(None, shape, part)
    np.testing.assert_array_equal(wear.up, total[0])
    np.testing.assert_array_equal(wear.down, total[1])


@pytest.mark.parametrize("shared", [False, True])
def test_chips_beside_each_other_are_a_loop(shared):
    shape, random = (2, 4, 20), np.random.default_rng(0)
    n = random.integers(-3, 4, (30, 3, *shape)).astype(np.float32)
    if shared:
        n = np.broadcast_to(n[:, :1], n.shape)
    wear = jax.vmap(lambda _: Wear.new(shape))(jnp.arange(3))
    add = jax.jit(jax.vmap(lambda w, x: w + marks(x, shape), in_axes=(0, None if shared else 0)))
    for one in n:
        wear = add(wear, one[0] if shared else one)
    np.testing.assert_array_equal(wear.up, np.maximum(n, 0).sum(0))
    np.testing.assert_array_equal(wear.down, np.maximum(-n, 0).sum(0))
    assert wear.up.shape == (3, *shape)


def test_marks_of_several_chips_show_and_add_up():
    shape = (1, 2, 3)
    n = np.random.default_rng(0).integers(-2, 3, (4, *shape)).astype(np.float32)
    both = jax.vmap(lambda x: marks(x, shape) + marks(2 * x, shape))(jnp.asarray(n))
    np.testing.assert_array_equal(both.up, 3 * np.maximum(n, 0))
    wear = jax.vmap(lambda _: Wear.new(shape))(jnp.arange(4)) + both
    np.testing.assert_array_equal(wear.down, 3 * np.maximum(-n, 0))
    ledger = Ledger(both) + Ledger(both)
    np.testing.assert_array_equal(ledger.up, 6 * np.maximum(n, 0))


def test_resets_are_counted_beside_pulses():
    crossbar = Crossbar(DifferentialPair(), drive=Drive(Pulse(1.0, 1e-6), Pulse(1.0, 1e-6), Pulse(1.0, 1e-6)))
    cells, where = crossbar.cell.init((3, 4)), jnp.zeros((2, 3, 4), bool).at[1, 2, 3].set(True)
    _, first = crossbar.write(cells, jnp.ones((3, 4)))
    _, second = crossbar.erase(cells, where)
    ledger = empty((2, 3, 4)) + first + second + second
    assert int(ledger.up.sum()) == 12
    assert np.argwhere(np.asarray(ledger.resets)).tolist() == [[1, 2, 3]]
    assert int(ledger.resets.max()) == 2


def test_the_gradient_of_what_is_counted_passes_by():
    def loss(scale):
        wear = Wear.new((1, 2, 5)) + marks(scale * jnp.ones((1, 2, 5), jnp.float32), (1, 2, 5))
        return scale**2 + 0.0 * wear.energy.value

    assert float(jax.grad(loss)(jnp.float32(3.0))) == 6.0
