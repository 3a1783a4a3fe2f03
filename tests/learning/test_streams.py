"""Tiki-Taka whose gradient array multiplies outer products by itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike import learning
from memspike.arrays import Crossbar, Drive
from memspike.cells import Stack, midpoint
from memspike.devices.presets import neurosim
from memspike.learning import Outer
from memspike.learning.programming.counting import symmetric_step

ROW = neurosim.TABLE["ag-a-si"]
SHAPE, KEY = (6, 40), jax.random.key(3)


def case(terms, **options):
    device = neurosim.from_table("ag-a-si").device
    crossbar = Crossbar(Stack(device, midpoint(device)), drive=Drive.of(ROW.pulse))
    scheme = learning.tiki_taka_2(period=4.0, streams=31, **options)
    cells, random = crossbar.cell.init(SHAPE), np.random.default_rng(1)
    cells = cells._replace(devices=device.place(cells.devices, jnp.full((2, *SHAPE), midpoint(device))))
    step = float(symmetric_step(crossbar))
    rows, columns = (random.normal(0, s, (terms, n)) for s, n in zip((1.0, step), SHAPE, strict=True))
    return crossbar, scheme, cells, Outer(jnp.asarray(rows, jnp.float32), jnp.asarray(columns, jnp.float32))


def ran(crossbar, scheme, cells, dw, key: jax.Array | None = KEY):
    return jax.jit(lambda c, k: scheme.apply(scheme.init(crossbar, c), crossbar, c, dw, key=k))(cells, key)


def test_pulses_are_right_on_average():
    crossbar, scheme, cells, dw = case(1)
    assert scheme.outer
    keys = jax.random.split(KEY, 400)
    ledgers = jax.jit(
        jax.vmap(lambda k: scheme.apply(scheme.init(crossbar, cells), crossbar, cells, dw, key=k).ledger)
    )(keys)
    sent = np.asarray(ledgers.up - ledgers.down, float)[:, 1]
    wanted = np.asarray(dw.rows[0][:, None] * dw.columns[0][None]) / float(symmetric_step(crossbar))
    error = sent.std(0) / 20 + 1e-3
    assert (np.abs(sent.mean(0) - wanted) < 5 * error).mean() > 0.99


@pytest.mark.parametrize("terms", [1, 3])
def test_without_kernels_it_is_the_same(monkeypatch, terms):
    given = case(terms)
    ours = ran(*given)
    monkeypatch.setenv("MEMSPIKE_FAST", "0")
    jax.clear_caches()
    theirs = ran(*given)
    assert int(ours.ledger.up.sum()) > 5 * terms
    np.testing.assert_array_equal(ours.ledger.up, theirs.ledger.up)
    np.testing.assert_array_equal(ours.ledger.down, theirs.ledger.down)
    a, b = (given[0].cell.stored(x.cells) for x in (ours, theirs))
    np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-12)


def test_every_term_is_an_update():
    crossbar, scheme, cells, dw = case(3)
    done = ran(crossbar, scheme, cells, dw, key=None)
    state, after, writes = scheme.init(crossbar, cells), cells, 0
    for k in range(3):
        alone = Outer(dw.rows[k : k + 1], dw.columns[k : k + 1])
        one = scheme.apply(state, crossbar, after, alone, key=None)
        state, after, writes = one.state, one.cells, writes + int(one.ledger.writes)
    assert int(done.state.updates) == int(state.updates) == 3
    assert int(done.ledger.writes) == writes
    np.testing.assert_allclose(crossbar.cell.stored(done.cells), crossbar.cell.stored(after), rtol=1e-6)


def test_a_matrix_is_written_row_by_row():
    crossbar, scheme, cells, dw = case(1)
    done = ran(crossbar, scheme, cells, dw.rows.T @ dw.columns, key=None)
    assert int(done.state.updates) == SHAPE[0]
