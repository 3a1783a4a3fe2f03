"""Wire resistance against a sparse nodal solve written here, KCL, limits, gradients and bad input."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import spsolve

from memspike import InputError
from memspike.arrays import solve, transfer
from memspike.report import array_figure


def array(rows, columns, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-0.2, 0.2, rows), 1 / (1e4 * (1 + rng.random((rows, columns))))


def nodal(v, g, r_row, r_col, ends=(None, None), two_sided=False):
    """Row and column node voltages by the full conductance matrix, stamped resistor by resistor."""
    rows, columns = g.shape
    n = rows * columns
    place = np.arange(n).reshape(rows, columns)
    a, b, w = [], [], []

    def resistors(p, q, conductance):
        p, q = p.ravel(), q.ravel()
        a.extend((p, q, p, q))
        b.extend((p, q, q, p))
        w.extend(s * np.broadcast_to(conductance, p.shape).astype(float) for s in (1, 1, -1, -1))

    def to_ground(p, conductance):
        a.append(p)
        b.append(p)
        w.append(np.full(p.shape, conductance))

    driver, sense = (1 / (end or r) for end, r in zip(ends, (r_row, r_col), strict=True))
    resistors(place, n + place, g.ravel())
    resistors(place[:, :-1], place[:, 1:], 1 / r_row)
    resistors(n + place[:-1], n + place[1:], 1 / r_col)
    to_ground(place[:, 0], driver)
    to_ground(n + place[-1], sense)
    if two_sided:
        to_ground(place[:, -1], driver)
    matrix = sparse.csc_matrix((np.concatenate(w), (np.concatenate(a), np.concatenate(b))))
    drive = np.zeros(2 * n)
    drive[place[:, 0]] = driver * v
    if two_sided:
        np.add.at(drive, place[:, -1], driver * v)
    x = np.asarray(spsolve(matrix, drive))
    return x[:n].reshape(rows, columns), x[n:].reshape(rows, columns)


SIZES = [(1, 1), (1, 7), (9, 1), (5, 8), (64, 64), (100, 20), (256, 256)]


@pytest.mark.parametrize("ratio", [1e-6, 1e-4, 1e-2, 1e-1])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_equals_the_nodal_solve(x64, size, ratio):
    v, g = array(*size)
    r = ratio * 1e4
    found = solve(v, g, r_row=r, r_col=0.7 * r)
    row, column = nodal(v, g, r, 0.7 * r)
    wanted = (g * (row - column)).sum(0)
    np.testing.assert_allclose(found.currents.output, wanted, rtol=0, atol=1e-10 * np.abs(wanted).max())
    np.testing.assert_allclose(found.voltages.row, row, rtol=0, atol=1e-10 * 0.2)
    np.testing.assert_allclose(found.voltages.column, column, rtol=0, atol=1e-10 * 0.2)


@pytest.mark.parametrize("ratio", [1e-6, 1e-4, 1e-2, 1e-1])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_single_precision(size, ratio):
    v, g = array(*size)
    r = ratio * 1e4
    row, column = nodal(v, g, r, r)
    wanted = (g * (row - column)).sum(0)
    found = solve(v, g, r_row=r, r_col=r)
    np.testing.assert_allclose(found.currents.output, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_no_resistance_is_the_ideal_array(x64):
    v, g = array(20, 30)
    for r_row, r_col in ((0.0, 0.0), (0.0, 1e-9), (1e-9, 0.0)):
        found = solve(v, g, r_row=r_row, r_col=r_col)
        np.testing.assert_allclose(found.currents.output, v @ g, rtol=1e-9)
    exact = solve(v, g, r_row=0.0, r_col=0.0)
    np.testing.assert_allclose(exact.currents.output, v @ g, rtol=1e-12)
    np.testing.assert_array_equal(exact.voltages.column, 0)


def test_ends_of_their_own(x64):
    v, g = array(12, 9)
    found = solve(v, g, r_row=2.0, r_col=3.0, r_driver=500.0, r_sense=80.0)
    row, column = nodal(v, g, 2.0, 3.0, (500.0, 80.0))
    np.testing.assert_allclose(found.voltages.row, row, atol=1e-12)
    np.testing.assert_allclose(found.voltages.column, column, atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(size=st.sampled_from([(1, 1), (1, 12), (11, 1), (5, 8), (12, 7)]), log=st.floats(-6, 1), seed=st.integers(0, 99))
def test_kirchhoff_holds_at_every_node(size, log, seed):
    rows, columns = size
    with jax.enable_x64(True):
        v, g = array(rows, columns, seed)
        r = 10**log * 1e4
        s = solve(v, g, r_row=r, r_col=r)
        row = np.concatenate([v[:, None], s.voltages.row], axis=1)
        into = -np.diff(row, axis=1) / r
        onward = np.concatenate([into[:, 1:], np.zeros((rows, 1))], axis=1)
        scale = np.abs(s.currents.device).max()
        # currents in the wires come from differences of nearly equal voltages
        rounding = 1e-15 * 0.2 / r
        assert np.abs(into - onward - s.currents.device).max() < 1e-10 * scale + 10 * rounding
        column = np.concatenate([s.voltages.column, np.zeros((1, columns))], axis=0)
        down = -np.diff(column, axis=0) / r
        above = np.concatenate([np.zeros((1, columns)), down[:-1]], axis=0)
        assert np.abs(down - above - s.currents.device).max() < 1e-10 * scale + 10 * rounding


def test_batches_and_superposition(x64):
    _, g = array(15, 11)
    v = np.random.default_rng(1).normal(size=(2, 3, 15))
    s = solve(v, g, r_row=5.0, r_col=7.0)
    assert s.currents.output.shape == (2, 3, 11)
    assert s.currents.device.shape == s.voltages.row.shape == (2, 3, 15, 11)
    one = solve(v[1, 2], g, r_row=5.0, r_col=7.0)
    np.testing.assert_allclose(s.currents.output[1, 2], one.currents.output, rtol=1e-9)
    both = solve(v[0, 0] + 2 * v[1, 1], g, r_row=5.0, r_col=7.0).currents.output
    np.testing.assert_allclose(both, s.currents.output[0, 0] + 2 * s.currents.output[1, 1], rtol=1e-9)


@pytest.mark.parametrize("ratio", [1e-6, 1e-4, 1e-2, 1e-1])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1), (64, 48)], ids=str)
def test_rows_driven_from_both_ends(x64, size, ratio):
    v, g = array(*size)
    r = ratio * 1e4
    found = solve(v, g, r_row=r, r_col=0.7 * r, r_driver=3 * r, two_sided=True)
    row, column = nodal(v, g, r, 0.7 * r, (3 * r, None), two_sided=True)
    wanted = (g * (row - column)).sum(0)
    np.testing.assert_allclose(found.currents.output, wanted, rtol=0, atol=1e-10 * np.abs(wanted).max())
    np.testing.assert_allclose(found.voltages.row, row, rtol=0, atol=1e-10 * 0.2)
    np.testing.assert_allclose(found.voltages.column, column, rtol=0, atol=1e-10 * 0.2)


def test_both_ends_in_single_precision_and_without_resistance():
    v, g = array(64, 48)
    for r in (1e-2, 1.0, 100.0, 1000.0):
        row, column = nodal(v, g, r, r, two_sided=True)
        wanted = (g * (row - column)).sum(0)
        found = solve(v, g, r_row=r, r_col=r, two_sided=True).currents.output
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
    choices: tuple[Any, ...] = ({}, {"r_driver": 5.0}, {"r_sense": 5.0})
    for ends in choices:
        free = solve(v, g, r_row=0.0, r_col=0.0, two_sided=True, **ends)
        low: Any = {"r_row": 1e-6, "r_col": 1e-6, "r_driver": 0.0, "r_sense": 0.0}
        near = solve(v, g, **(low | ends), two_sided=True)
        np.testing.assert_allclose(free.currents.output, near.currents.output, rtol=1e-4, atol=1e-9)


def test_a_second_driver_raises_every_node(x64):
    _, g = array(12, 9)
    v = np.ones(12)
    once, twice = (solve(v, g, r_row=90.0, r_col=40.0, two_sided=t).voltages for t in (False, True))
    assert (np.asarray(twice.row) > np.asarray(once.row)).all()
    assert (np.asarray(twice.column) > np.asarray(once.column)).all()


def test_gradient_of_both_ends_at_no_resistance(x64):
    """At 0 Ω along a line the slope is that of equal segments, the direction in which the default wires grow."""
    v, g = array(6, 4)
    output = lambda r: solve(v, g, r_row=r, r_col=r, two_sided=True).currents.output.sum()  # noqa: E731
    exact = float(jax.grad(output)(jnp.zeros(())))
    assert exact == pytest.approx(float(output(jnp.asarray(1e-3)) - output(jnp.zeros(()))) / 1e-3, rel=1e-5)


def test_convergence_is_reported(x64):
    v, g = array(30, 20)
    steps, residual = solve(np.stack([v, 2 * v]), g, r_row=10.0, r_col=10.0).convergence
    assert steps.shape == residual.shape == (2,)
    assert 1 < int(steps[0]) < 30
    assert 0 < float(residual[0]) < 1e-9
    assert int(solve(v, g, r_row=0.0, r_col=0.0).convergence.steps) == 0


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("size", [(6, 20), (20, 6), (9, 9)], ids=str)
def test_transfer_matrix_by_rows_or_by_columns(x64, size, two_sided):
    v, g = array(*size)
    wires = {"r_row": 30.0, "r_col": 50.0, "r_driver": 100.0, "r_sense": 10.0, "two_sided": two_sided}
    matrix = transfer(g, **wires)
    wanted = solve(v, g, **wires).currents.output
    np.testing.assert_allclose(v @ np.asarray(matrix), wanted, rtol=1e-9, atol=1e-16)


@pytest.mark.parametrize(
    ("what", "two_sided"),
    [
        ("outputs", True),
        ("voltages", False),
        ("transfer", True),
        pytest.param("outputs", False, marks=pytest.mark.full),
        pytest.param("voltages", True, marks=pytest.mark.full),
        pytest.param("transfer", False, marks=pytest.mark.full),
    ],
)
def test_gradient_is_that_of_finite_differences(x64, what, two_sided):
    v, g = array(7, 5)
    weights = np.random.default_rng(2).normal(size=(7, 5))
    arguments = {"v": jnp.asarray(v), "g": jnp.asarray(g * 1e4)}
    arguments |= {"r": jnp.asarray([30.0, 50.0]), "ends": jnp.asarray([400.0, 60.0])}

    @jax.jit
    def loss(a):
        parts = {"r_row": a["r"][0], "r_col": a["r"][1], "r_driver": a["ends"][0], "r_sense": a["ends"][1]}
        parts["two_sided"] = two_sided
        if what == "transfer":
            return (weights * transfer(a["g"] * 1e-4, **parts)).sum() * 1e4
        s = solve(a["v"], a["g"] * 1e-4, **parts)
        if what == "outputs":
            return (weights[0] * s.currents.output).sum() * 1e4
        return (weights * s.voltages.row).sum() + (weights**2 * s.voltages.column).sum()

    gradient = jax.grad(loss)(arguments)
    for name, leaf in arguments.items():
        for k in np.ndindex(leaf.shape):
            h = 1e-4 * max(abs(float(leaf[k])), 1e-2)
            ends = [loss(arguments | {name: leaf.at[k].add(s * h)}) for s in (1, -1)]
            slope = float(ends[0] - ends[1]) / (2 * h)
            scale = max(float(jnp.abs(gradient[name]).max()), 1e-12)
            assert float(gradient[name][k]) == pytest.approx(slope, abs=1e-6 * scale), (name, k)


def test_gradient_at_no_resistance(x64):
    """The slope in the resistance exists at 0 Ω: what the first ohm costs."""
    v, g = array(6, 4)
    output = lambda r: solve(v, g, r_row=r, r_col=r).currents.output.sum()  # noqa: E731
    exact = float(jax.grad(output)(jnp.zeros(())))
    assert exact == pytest.approx(float(output(jnp.asarray(1e-3)) - output(jnp.zeros(()))) / 1e-3, rel=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"r_row": -1.0}, r"r_row is -1 Ω; finite numbers from 0 Ω"),
        ({"r_col": float("nan")}, "r_col is nan"),
        ({"r_row": np.ones(3)}, "a single number"),
        ({"conductances": np.full((3, 2), np.nan)}, r"conductances\[0, 0\] is nan S"),
        ({"conductances": -np.ones((3, 2))}, "from 0 S"),
        ({"conductances": np.ones(3)}, r"\[rows, columns\] is needed"),
        ({"voltages": np.ones(4)}, r"\[..., 3\] is needed for 3 rows"),
        ({"voltages": np.full(3, np.inf)}, r"voltages\[0\] is inf V"),
    ],
)
def test_bad_input(change, words):
    arguments = {"voltages": np.ones(3), "conductances": np.ones((3, 2)), "r_row": 1.0, "r_col": 1.0} | change
    with pytest.raises(InputError, match=words):
        solve(arguments.pop("voltages"), arguments.pop("conductances"), **arguments)


def test_figure_of_an_array():
    v, g = array(10, 6)
    figure = array_figure(solve(v, g, r_row=20.0, r_col=20.0), g, v)
    drawn = {axis.get_title(): axis for axis in figure.axes}
    lost = np.asarray(drawn["voltage lost in the wires"].images[0].get_array())
    row, column = nodal(v, g, 20.0, 20.0)
    scale = np.abs(lost).max() / np.abs(v[:, None] - row + column).max()
    np.testing.assert_allclose(lost / scale, v[:, None] - row + column, atol=1e-6)
    lines = drawn["outputs"].get_lines()
    ideal, wired = (np.asarray(line.get_ydata(), dtype=float) for line in lines)
    assert np.abs(ideal).max() > np.abs(wired).max()
