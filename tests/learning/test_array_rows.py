"""Rows of the gradient array as wires and converters let them be read."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike import experiments, learning
from memspike.arrays import ADC, Crossbar, Periphery, Resistive, Tiles
from memspike.cells import Stack, midpoint
from memspike.config.settings import Settings
from memspike.devices import SoftBounds
from memspike.experiments.base import changed, together
from memspike.experiments.matrix import HOSTS
from memspike.learning.programming.array_rows import rows_of

KEY, SHAPE, VOLT = jax.random.key(2), (12, 5), 0.2


def stack(**array):
    device = SoftBounds()
    crossbar = Crossbar(Stack(device, midpoint(device)), **array)
    cell = crossbar.cell
    state = cell.init(SHAPE)
    low, high = (float(x) for x in cell.conductance_range())
    g = jax.random.uniform(KEY, (2, *SHAPE), minval=low, maxval=high)
    return crossbar, state._replace(devices=cell.device.place(state.devices, g))


def wires(ohms=20.0):
    return Resistive(ohms, ohms, ohms, ohms)


def nodal(g, row, wire, v):
    """Column currents of one driven row of an array [rows, columns], by all its nodal equations at once."""
    rows, columns = g.shape
    size, at = rows * columns, lambda i, j: i * columns + j
    y, b = np.zeros((2 * size, 2 * size)), np.zeros(2 * size)

    def between(a, c, conductance):
        for one, other in ((a, c), (c, a)):
            y[one, one] += conductance
            if other is not None:
                y[one, other] -= conductance
            if c is None:
                break

    for i in range(rows):
        for j in range(columns):
            top, bottom = at(i, j), size + at(i, j)
            between(top, bottom, g[i, j])
            if j:
                between(at(i, j - 1), top, 1 / wire)
            if i:
                between(size + at(i - 1, j), bottom, 1 / wire)
        between(at(i, 0), None, 1 / wire)
        b[at(i, 0)] += (v if i == row else 0.0) / wire
    for j in range(columns):
        between(size + at(rows - 1, j), None, 1 / wire)
    x = np.linalg.solve(y, b)
    return np.array([x[size + at(rows - 1, j)] / wire for j in range(columns)])


def test_an_ideal_array_is_read_cell_by_cell(x64):
    crossbar, cells = stack()
    row = jnp.asarray([3, 11, 12])
    found = rows_of(crossbar, cells, VOLT, None).read(1, row, key=KEY)[0]
    cell: Any = crossbar.cell
    np.testing.assert_array_equal(found, cell.read_row(cells, 1, row, key=KEY)[0])


def test_a_row_passes_the_wires(x64):
    """Against the nodal equations of the physical array, its four lines a cell beside each other."""
    crossbar, cells = stack(wires=wires())
    lines = np.asarray(crossbar.cell.stored(cells))
    physical = np.moveaxis(lines, 0, -1).reshape(SHAPE[0], -1)
    rows = rows_of(crossbar, cells, VOLT, None)
    plain = rows_of(Crossbar(crossbar.cell), cells, VOLT, None)
    for row in (0, 7):
        current = nodal(physical, row, 20.0, VOLT).reshape(SHAPE[1], 4)
        expected = (current[:, 1] - current[:, 3]) / (VOLT * float(crossbar.cell.unit()))
        found = np.asarray(rows.read(1, jnp.asarray([row]))[0])[0]
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        assert np.abs(found - np.asarray(plain.read(1, jnp.asarray([row]))[0])[0]).max() > 1e-3


def test_the_lagged_correction_is_exact_where_it_was_taken(x64):
    crossbar, cells = stack(wires=wires())
    correction = crossbar.correction(crossbar.cell.stored(cells))
    row = jnp.arange(12)
    exact, lagged = (rows_of(crossbar, cells, VOLT, c).read(1, row)[0] for c in (None, correction))
    np.testing.assert_allclose(lagged, exact, rtol=1e-6, atol=1e-9)


def test_a_row_passes_tiles_and_converters(x64):
    """Codes of the converter, and with a fine one what the wires give."""
    array: dict[str, Any] = {"wires": wires(), "tiles": Tiles(6, 8)}
    crossbar, cells = stack(**array)
    unit, rows = float(crossbar.cell.unit()), jnp.arange(12)
    analog = rows_of(crossbar, cells, VOLT, None).read(1, rows)[0]
    coarse, fine = (
        eqx.tree_at(lambda c: c.periphery, crossbar, Periphery(adc=ADC(bits=bits, range=2e-5))) for bits in (5, 22)
    )
    np.testing.assert_allclose(rows_of(fine, cells, VOLT, None).read(1, rows)[0], analog, atol=1e-4)
    read = np.unique(np.asarray(rows_of(coarse, cells, VOLT, None).read(1, rows)[0]))
    steps = np.diff(read) * VOLT * unit
    assert len(read) < 20
    np.testing.assert_allclose(steps / steps.min(), np.round(steps / steps.min()), atol=1e-6)


def test_read_noise_of_the_array_counts(x64):
    crossbar, cells = stack(wires=wires(), read_noise=jnp.asarray(0.05))
    rows = rows_of(crossbar, cells, VOLT, None)
    reads = np.stack([np.asarray(rows.read(1, jnp.asarray([4]), key=k)[0]) for k in jax.random.split(KEY, 400)])
    seen: Any = rows.seen
    sd = np.hypot(*(np.asarray(seen.sd)[k, 4] for k in (1, 3))) / float(crossbar.cell.unit())
    np.testing.assert_allclose(reads.std(0)[0], sd, rtol=0.15)
    np.testing.assert_allclose(
        reads.mean(0)[0], np.asarray(rows.read(1, jnp.asarray([4]))[0])[0], atol=4 * sd.max() / 20
    )


@pytest.mark.parametrize("name", ["tiki_taka", "tiki_taka_2", "agad", "residual_tiles"])
def test_schemes_take_the_correction(x64, name):
    """With that of these conductances an update is the update that solves the equations."""
    crossbar, cells = stack(wires=wires())
    scheme = getattr(learning, name)()
    assert scheme.reads
    state, dw = scheme.init(crossbar, cells), 0.1 * jax.random.normal(KEY, SHAPE)
    correction = crossbar.correction(crossbar.cell.stored(cells))
    one, other = (scheme.apply(state, crossbar, cells, dw, key=KEY, correction=given) for given in (None, correction))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-6, atol=1e-9)


def test_a_run_on_wires_and_converters(tmp_path):
    tables = together(
        HOSTS["decolle"],
        {
            "experiment": "memprop-digits",
            "data": {"train": 900, "test": 100},
            "network": {"layers": [{"size": 40}]},
            "synapse": {"type": "stack", "device": {"type": "soft-bounds"}},
            "array": {"r_row": 1.0, "r_column": 1.0, "adc": {"type": "adc", "bits": 8, "range": 1e-4}},
            "learning": {"scheme": {"type": "tiki-taka-2", "fast": 1.0, "period": 5.0, "reads": 4.0}},
            "training": {"epochs": 4},
        },
    )
    result = experiments.run(changed(Settings, tables, {}), tmp_path / "run")
    assert result["wires_deviation"] > 0
    assert result["test_accuracy"] > 0.2
