"""Mitigation methods against asymmetric updates, one by one."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import memspike as ms
from memspike import cells, learning
from memspike.arrays import Crossbar
from memspike.devices import SoftBounds
from memspike.devices.base import span
from memspike.devices.presets import neurosim
from memspike.learning.programming.bit_lines import bit_line_counts
from memspike.learning.programming.counting import nominal_step, symmetric_step
from memspike.learning.programming.reading import inverted

KEY = jax.random.key(0)


def law_of(name):
    """A device of the tables without its cycle-to-cycle noise."""
    return neurosim.from_table(name).device.device


def single(name="ag-a-si", **parts):
    device = law_of(name)
    return Crossbar(cells.SingleReference(device, cells.midpoint(device), **parts))


def settled(scheme, crossbar, updates=900, size=0.012, shape=(60, 60)):
    """Mean weight after many updates whose wanted change is zero on average."""
    start = crossbar.cell.place(crossbar.cell.init(shape), jnp.full(shape, 0.2))

    def one(carry, key):
        first, second = jax.random.split(key)
        dw = size * jax.random.rademacher(first, shape, float)
        done = scheme.apply(carry[0], crossbar, carry[1], dw, key=second)
        return (done.state, done.cells), None

    run = jax.jit(lambda s, c: jax.lax.scan(one, (s, c), jax.random.split(KEY, updates))[0][1])
    end = run(scheme.init(crossbar, start), start)
    return float(crossbar.cell.weight(crossbar.cell.stored(end)).mean())


def test_stochastic_rounding_is_right_on_average():
    crossbar = single()
    dw = jnp.linspace(-0.05, 0.05, 11)[None] * jnp.ones((20_000, 1))
    way = learning.stochastically_rounded()
    fresh = crossbar.cell.init(dw.shape)
    _, n = way.pulses((), crossbar, fresh, dw, key=KEY)
    wanted = np.asarray(dw[0] / symmetric_step(crossbar))
    assert (np.asarray(n) == np.round(n)).all()
    np.testing.assert_allclose(np.asarray(n).mean(0), wanted, atol=4 * 0.5 / 20_000**0.5)
    _, capped = learning.stochastically_rounded(most=1).pulses((), crossbar, fresh, dw, key=KEY)
    assert np.abs(capped).max() == 1


def test_gains_move_the_point_where_pulses_cancel():
    """Without a wanted change: uncompensated to the symmetry point, by sign gains to mid-range."""
    crossbar = single()
    g_star = ms.devices.response(law_of("ag-a-si")).symmetry_point
    assert settled(learning.by_rounding(), crossbar) == pytest.approx(2 * (g_star - 0.5), abs=0.03)
    assert settled(learning.by_sign_gain(), crossbar) == pytest.approx(0.0, abs=0.03)
    # read first, then invert: it stays where it was, up to the noise of the pulses
    assert settled(learning.cancelled(), crossbar, updates=300) == pytest.approx(0.2, abs=0.03)


def test_running_gain_follows_a_mean_device(x64):
    """Against a plain loop with one device that gets the mean pulses of every update."""
    crossbar, random = single(), np.random.default_rng(0)
    scheme = learning.by_running_gain()
    start = crossbar.cell.place(crossbar.cell.init((5, 4)), jnp.zeros((5, 4)))
    state, own = scheme.init(crossbar, start), start
    law = law_of("ag-a-si")
    middle = 0.5 * (float(law.g_min) + float(law.g_max))
    g, unit = jnp.asarray(middle), float(crossbar.cell.unit())
    up0, down0 = (abs(float(law.program(jnp.asarray(middle), s)) - middle) / unit for s in (1, -1))
    for _ in range(6):
        dw = random.normal(0.02, 0.05, (5, 4))
        up, down = (abs(float(law.program(g, s) - g)) / unit for s in (1, -1))
        wanted = np.where(dw > 0, dw / max(up, 0.02 * up0), dw / max(down, 0.02 * down0))
        n = np.round(wanted)
        done = scheme.apply(state, crossbar, own, jnp.asarray(dw), key=None)
        np.testing.assert_array_equal(np.asarray(done.ledger.up - done.ledger.down)[0], n)
        state, own = done.state, done.cells
        g = law.program(law.program(g, np.maximum(n, 0).mean()), -np.maximum(-n, 0).mean())
        np.testing.assert_allclose(state.devices, np.full((1, 1, 1), g), rtol=1e-12)


def test_inversion_encloses_the_wanted_change(x64):
    """Against the inverse of the exponential law in closed form: neighbours of it, with the right mean."""
    law = SoftBounds.from_labels(2.4, -4.88, pulses_up=97.0, pulses_down=100.0)
    cell = cells.SingleReference(law, cells.midpoint(law))
    g = jnp.asarray(np.random.default_rng(0).uniform(3e-6, 7e-6, (1, 30, 30)))
    state = cell.init((30, 30))._replace(devices=g)
    dw = jnp.asarray(np.random.default_rng(1).normal(0, 0.05, (30, 30)))
    share, wanted = (np.asarray(x / span(law)) for x in (g[0] - law.g_min, dw * cell.unit()))
    kappa = np.where(wanted > 0, law.curvature_up, law.curvature_down)
    ahead = -1 / np.expm1(-kappa) - share
    with np.errstate(invalid="ignore", divide="ignore"):  # beyond the asymptote
        exact = -np.where(wanted > 0, law.pulses_up, law.pulses_down) * np.log1p(-wanted / ahead) / kappa
    draws = np.asarray(jax.vmap(lambda k: inverted(cell, state, dw, 15, key=k))(jax.random.split(KEY, 400)))
    inside = np.isfinite(exact) & (np.abs(exact) < 14)
    assert inside.mean() > 0.8
    low, high = np.floor(np.abs(exact)), np.ceil(np.abs(exact))
    size = np.abs(draws)
    assert ((size >= low - 1e-9) & (size <= high + 1e-9))[:, inside].all()
    changes = np.asarray(
        jax.vmap(lambda n: cell.weight(cell.stored(cell.program(state, n)[0])))(jnp.asarray(draws[:60]))
    )
    now = np.asarray(cell.weight(cell.stored(state)))
    error = changes.std(0) / 60**0.5
    off = np.abs(changes.mean(0) - now - np.asarray(dw)) / np.maximum(error, 1e-12)
    assert (off < 5)[inside & (error > 1e-9)].mean() > 0.99
    # without a key the nearer of the two
    nearest = np.asarray(inverted(cell, state, dw, 15, key=None))
    moved = np.asarray(cell.weight(cell.stored(cell.program(state, jnp.asarray(nearest))[0]))) - now
    other = np.asarray(cell.weight(cell.stored(cell.program(state, jnp.asarray(np.sign(dw) * low))[0]))) - now
    assert (np.abs(moved - dw) <= np.abs(other - dw) + 1e-12)[inside].all()


def test_cancelled_books_its_reads():
    crossbar = single()
    start = crossbar.cell.place(crossbar.cell.init((6, 5)), jnp.zeros((6, 5)))
    done = learning.cancelled().apply((), crossbar, start, jnp.full((6, 5), 0.1), key=KEY)
    assert int(done.ledger.reads) == 6


def test_bit_lines_multiply_in_the_array():
    """Mean of the coincidences of a sum of outer products; the stream is as long as the largest product needs."""
    random = np.random.default_rng(0)
    rows, columns = jnp.asarray(random.uniform(-1, 1, 6), jnp.float32), jnp.asarray(random.normal(0, 1, 5), jnp.float32)
    for adaptive in (False, True):
        count = jax.jit(
            jax.vmap(lambda k, a=adaptive: bit_line_counts(rows, columns, gain=2.0, length=31, adaptive=a, key=k))
        )
        n = np.asarray(count(jax.random.split(KEY, 20_000)))
        wanted = 2.0 * np.outer(rows, columns)
        np.testing.assert_allclose(n.mean(0), wanted, atol=5 * n.std(0).max() / 20_000**0.5)
        longest = np.ceil(np.abs(wanted).max()) if adaptive else 31
        assert np.abs(n).max() <= longest
    crossbar = Crossbar()
    start = crossbar.cell.place(crossbar.cell.init((6, 5)), jnp.zeros((6, 5)))
    step = float(symmetric_step(crossbar))
    dw = learning.Outer(step * 3 * jnp.stack([rows, rows[::-1]]), jnp.stack([columns, 2 * columns[::-1]]))
    scheme = learning.by_bit_lines()
    both = jax.jit(jax.vmap(lambda k: scheme.apply((), crossbar, start, dw, key=k)))(jax.random.split(KEY, 4000))
    moved = np.asarray(jax.vmap(lambda c: crossbar.cell.weight(crossbar.cell.stored(c)))(both.cells))
    np.testing.assert_allclose(moved.mean(0), learning.dense(dw), atol=5 * moved.std(0).max() / 4000**0.5)
    assert int(jax.tree.map(lambda x: x[0], both.ledger.writes)) == 2
    again = learning.terms(learning.dense(dw))
    np.testing.assert_allclose(learning.dense(again), learning.dense(dw), rtol=1e-6)


def test_conditional_reverse_takes_the_side_that_answers():
    law = law_of("pcmo")
    crossbar = Crossbar(cells.DifferentialPair(law, cells.BothSides()))
    low, width = float(law.g_min), float(law.g_max - law.g_min)
    # upwards: G⁺ is nearly full in the first cell and empty in the second, G⁻ at a third in both
    share = jnp.asarray([[0.9, 0.1], [0.3, 0.3]]).T[:, None, :]
    state = crossbar.cell.init((1, 2))._replace(devices=low + width * share)
    scheme = learning.conditional_reverse(every=10, levels=10)
    step = float(symmetric_step(crossbar))
    done = scheme.apply(scheme.init(crossbar, state), crossbar, state, jnp.full((1, 2), 2 * step), key=None)
    sent = np.asarray(done.ledger.up - done.ledger.down)[:, 0]
    worth = {
        (k, side): abs(float(law.program(jnp.asarray(low + width * s), n)) - (low + width * s))
        for k, pair in enumerate(((0.95, 0.35), (0.15, 0.35)))
        for side, s, n in ((0, pair[0], 1), (1, pair[1], -1))
    }
    nominal = step * float(crossbar.cell.unit())
    for k in range(2):
        best = min((0, 1), key=lambda side: abs(worth[k, side] - nominal))
        assert sent[best, k] == (2, -2)[best]
        assert sent[1 - best, k] == 0
    assert int(done.ledger.reads) == 1
    later = scheme.apply(done.state, crossbar, done.cells, jnp.full((1, 2), step), key=None)
    assert int(later.ledger.reads) == 0
    with pytest.raises(ms.InputError, match="DifferentialPair is needed"):
        scheme.init(single(), single().cell.init((2, 2)))


def test_worth_is_that_of_the_mean_cell_for_references_of_their_own():
    device = law_of("ag-a-si")
    points = cells.at_symmetry_point(device, (3, 4))
    shifted, plain = Crossbar(cells.SingleReference(device, points)), single()
    dw = jnp.asarray([[1.0, -1.0]])
    np.testing.assert_allclose(nominal_step(shifted, None, dw), nominal_step(plain, None, dw), rtol=1e-5)


def test_wanted_changes_as_outer_products_are_those_of_the_rule(x64):
    """One update by either rule."""
    network = ms.networks.local_network((7, 6, 5), 3, key=KEY)
    pairs = zip(network.crossbars, network.init_weights(1.0, key=KEY), strict=True)
    cells = tuple(c.cell.place(c.cell.init(w.shape), w) for c, w in pairs)
    view = learning.View(network, learning.SummedOutput(), ms.networks.Clock(1e-3, (12,)), cells, noisy=False)
    x = jax.random.bernoulli(KEY, 0.4, (12, 4, 7)).astype(float)
    batch = learning.Batch(x, jax.nn.one_hot(jnp.arange(4) % 3, 3), jnp.ones(12), jnp.asarray(True))
    rules, sgd = (learning.Decolle(), learning.decolle_outer()), optax.sgd(0.3)
    changes = [rule.update(rule.init(view, sgd, (4,), key=KEY), view, batch, sgd, key=KEY).change for rule in rules]
    assert changes[1][0].rows.shape == (48, 8)
    for one, other in zip(*changes, strict=True):
        np.testing.assert_allclose(one, learning.dense(other), atol=1e-14)
        assert np.abs(one).max() > 1e-4
