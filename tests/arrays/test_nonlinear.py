"""Cells that are not ohmic and passive arrays, against Newton on nodal equations assembled here, and their laws."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.sparse.linalg import spsolve

from memspike import InputError, RunError
from memspike.arrays import solve
from memspike.arrays.curves import Ohmic, PooleFrenkel, Selector, Sinh
from memspike.arrays.disturb import SCHEMES, bias, disturbed, half_selected, read_cell, read_margin, write_voltages
from memspike.devices import VTEAM, SoftBounds

# made inside the tests, in their precision
CURVES = {
    "ohmic": Ohmic,
    "sinh": lambda: Sinh(b=4.0),
    "poole-frenkel": lambda: PooleFrenkel(beta=3.0),
    "selector": lambda: Selector(i_s=1e-9, v_0=0.05),
}


def by_hand(curve, g, v):
    """Current and slope of a cell, written without the package."""
    if isinstance(curve, Ohmic):
        return g * v, g + 0 * v
    if isinstance(curve, Sinh):
        b = float(curve.b)
        return g * np.sinh(b * v) / b, g * np.cosh(b * v)
    if isinstance(curve, PooleFrenkel):
        beta, w = float(curve.beta), float(curve.width)
        law = lambda v: g * v * np.exp(beta * v * v / (v * v + w * w) ** 0.75)  # noqa: E731
        return law(v), (law(v + 1e-7) - law(v - 1e-7)) / 2e-7
    i_s, v_0 = float(curve.i_s), float(curve.v_0)
    s = np.vectorize(lambda g, v: brentq(lambda s: i_s * np.sinh(s / v_0) - g * (v - s), -abs(v), abs(v), xtol=1e-16))(
        g, v
    )
    own = i_s / v_0 * np.cosh(s / v_0)
    return i_s * np.sinh(s / v_0), own * g / (own + g)


def nodal(curve, g, row, column, r_row, r_col, two_sided=False):
    """Row and column node voltages for drives in V (nan: a floating line), every resistor stamped."""
    rows, columns = g.shape
    n = rows * columns
    place = np.arange(n).reshape(rows, columns)
    wires, drive = sparse.lil_matrix((2 * n, 2 * n)), np.zeros(2 * n)

    def segment(p, q, y):
        for a, b, s in ((p, p, 1), (q, q, 1), (p, q, -1), (q, p, -1)):
            wires[a, b] += s * y

    def end(p, y, v):
        if np.isfinite(v):
            wires[p, p] += y
            drive[p] += y * v

    for i in range(rows):
        for j in range(columns):
            if j:
                segment(place[i, j - 1], place[i, j], 1 / r_row)
            if i:
                segment(n + place[i - 1, j], n + place[i, j], 1 / r_col)
    for i in range(rows):
        for j in (0, columns - 1) if two_sided else (0,):
            end(place[i, j], 1 / r_row, row[i])
    for j in range(columns):
        end(n + place[-1, j], 1 / r_col, column[j])
    wires = wires.tocsc()
    across = sparse.hstack([sparse.eye(n), -sparse.eye(n)]).tocsc()
    x = np.concatenate([np.repeat(np.nan_to_num(row), columns), np.tile(np.nan_to_num(column), rows)])

    def error(x):
        current, slope = by_hand(curve, g.ravel(), across @ x)
        return wires @ x - drive + across.T @ current, slope

    f, slope = error(x)
    for _ in range(100):
        step = spsolve((wires + across.T @ sparse.diags(slope) @ across).tocsc(), f)
        t = 1.0
        while np.abs(error(x - t * step)[0]).max() > np.abs(f).max() and t > 1e-3:
            t /= 2
        x = x - t * step
        f, slope = error(x)
        if np.abs(step).max() < 1e-12:
            break
    return x[:n].reshape(rows, columns), x[n:].reshape(rows, columns)


def array(rows, columns, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, rows), 1e-4 * 10 ** rng.uniform(-1, 0, (rows, columns))


@pytest.mark.parametrize("name", CURVES)
def test_a_curve_is_odd_rises_and_knows_its_slope(x64, name):
    curve = CURVES[name]()
    v = jnp.concatenate([-jnp.logspace(0.3, -9, 60), jnp.zeros(1), jnp.logspace(-9, 0.3, 60)])
    g = jnp.asarray(2e-5)
    i = curve.current(g, v)
    assert float(curve.current(g, jnp.zeros(()))) == 0
    np.testing.assert_allclose(i, -curve.current(g, -v), rtol=1e-12)
    assert (np.diff(i) > 0).all()
    assert (np.asarray(curve.slope(g, v)) > 0).all()
    np.testing.assert_allclose(curve.slope(g, v), jax.vmap(jax.grad(curve.current, 1), (None, 0))(g, v), rtol=1e-9)
    wanted, _ = by_hand(curve, 2e-5, np.asarray(v))
    np.testing.assert_allclose(i, wanted, rtol=1e-8, atol=1e-22)
    near = np.asarray(v)[np.abs(v) > 1e-2]
    np.testing.assert_allclose(curve.slope(g, jnp.asarray(near)), by_hand(curve, 2e-5, near)[1], rtol=1e-5)
    slopes = jax.grad(lambda c: c.current(g, v).sum() + c.slope(g, v).sum())(curve)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(slopes))


@jax.jit
def divided(curve, g, v):
    return curve.selector_voltage(g, v), curve.current(g, v)


@settings(max_examples=40, deadline=None)
@given(v=st.floats(-3, 3), g=st.floats(0, 1e-2), log=st.floats(-15, -4), v_0=st.floats(0.01, 0.5))
def test_selector_divides_the_voltage(v, g, log, v_0):
    with jax.enable_x64(True):
        curve = Selector(i_s=jnp.asarray(10**log), v_0=jnp.asarray(v_0))
        s, current = map(float, divided(curve, jnp.asarray(g), jnp.asarray(v)))
        assert min(0, v) <= s <= max(0, v)
        assert current == pytest.approx(g * (v - s), rel=1e-9, abs=1e-14 * g * abs(v) + 1e-14 * 10**log)


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("name", CURVES)
def test_equals_newton_on_the_nodal_equations(x64, name, two_sided):
    curve = CURVES[name]()
    v, g = array(12, 9)
    found = solve(v, g, r_row=60.0, r_col=90.0, two_sided=two_sided, curve=curve)
    row, column = nodal(curve, g, v, np.zeros(9), 60.0, 90.0, two_sided)
    np.testing.assert_allclose(found.voltages.row, row, atol=1e-9)
    np.testing.assert_allclose(found.voltages.column, column, atol=1e-9)
    np.testing.assert_allclose(found.currents.device, by_hand(curve, g, row - column)[0], atol=1e-12)
    assert float(found.convergence.residual) <= 1e-9


@pytest.mark.parametrize(("size", "ratio"), [((32, 32), 1e-2), ((128, 128), 1e-4)], ids=str)
def test_large_arrays_equal_newton_on_the_nodal_equations(x64, size, ratio):
    v, g = array(*size)
    curve = Sinh(b=3.0)
    found = solve(v, g, r_row=ratio * 1e4, r_col=ratio * 1e4, curve=curve)
    row, column = nodal(curve, g, v, np.zeros(size[1]), ratio * 1e4, ratio * 1e4)
    np.testing.assert_allclose(found.voltages.row, row, atol=1e-9)
    np.testing.assert_allclose(found.voltages.column, column, atol=1e-9)


@pytest.mark.parametrize("double", [True, False], ids=["float64", "float32"])
def test_steps_from_a_cold_start(double):
    """128 × 128 sinh cells: b·v from 0.1 to 3 by r·G from 1e-6 to 1e-2."""
    with jax.enable_x64(double):
        _, g = array(128, 128)
        v = np.random.default_rng(1).uniform(-1, 1, 128)
        v[0] = 1.0
        for ratio in (1e-6, 1e-4, 1e-2):
            for b in (0.1, 0.3, 1.0, 2.0, 3.0):
                steps, residual = solve(v, g, r_row=ratio * 1e4, r_col=ratio * 1e4, curve=Sinh(b=b)).convergence
                assert int(steps) <= 15, (ratio, b)
                assert float(residual) <= (1e-9 if double else 1e-5), (ratio, b)


def test_the_reported_residual_is_that_of_kirchhoff(x64):
    v, g = array(12, 9)
    r = 200.0
    s = solve(v, g, r_row=r, r_col=r, curve=Sinh(b=3.0))
    row = np.concatenate([v[:, None], s.voltages.row], axis=1)
    into = np.concatenate([-np.diff(row, axis=1) / r, np.zeros((12, 1))], axis=1)
    column = np.concatenate([s.voltages.column, np.zeros((1, 9))], axis=0)
    down = np.concatenate([np.zeros((1, 9)), -np.diff(column, axis=0) / r], axis=0)
    device = np.asarray(s.currents.device)
    errors = into[:, :-1] - into[:, 1:] - device, down[1:] - down[:-1] - device
    assert max(np.abs(e).max() for e in errors) / np.abs(device).max() < float(s.convergence.residual) + 1e-11


def test_limits(x64):
    v, g = array(12, 9)
    wires: Any = {"r_row": 40.0, "r_col": 20.0}
    ohmic, linear = solve(v, g, **wires, curve=Ohmic()), solve(v, g, **wires)
    np.testing.assert_allclose(ohmic.currents.output, linear.currents.output, rtol=1e-10)
    weak = solve(v, g, **wires, curve=Sinh(b=1e-4)).currents.output
    np.testing.assert_allclose(weak, linear.currents.output, rtol=1e-7)
    free = solve(v, g, r_row=0.0, r_col=0.0, curve=Sinh(b=3.0))
    np.testing.assert_allclose(free.currents.output, (g * np.sinh(3 * v[:, None]) / 3).sum(0), rtol=1e-12)
    own = jnp.linspace(0.5, 3, 108).reshape(12, 9)
    each = solve(v, g, r_row=0.0, r_col=0.0, curve=Sinh(b=own)).currents.output
    np.testing.assert_allclose(each, (g * np.sinh(own * v[:, None]) / own).sum(0), rtol=1e-12)


def test_batches_of_inputs_each_with_its_own_steps(x64):
    _, g = array(40, 50)
    v = np.random.default_rng(3).uniform(-1, 1, (7, 6, 40)) * np.linspace(0, 1, 7)[:, None, None]
    curve = Sinh(b=4.0)
    s = solve(v, g, r_row=50.0, r_col=50.0, curve=curve)
    assert s.currents.device.shape == (7, 6, 40, 50)
    assert s.convergence.steps.shape == (7, 6)
    assert int(s.convergence.steps[0, 0]) == 0
    assert int(s.convergence.steps[1, 0]) < int(s.convergence.steps[6, 0])
    one = solve(v[5, 2], g, r_row=50.0, r_col=50.0, curve=curve)
    np.testing.assert_allclose(s.currents.output[5, 2], one.currents.output, rtol=1e-8, atol=1e-15)


@pytest.mark.parametrize("name", [*CURVES][1:])
def test_gradient_is_that_of_finite_differences(x64, name):
    curve = CURVES[name]()
    v, g = array(4, 3)
    weights = np.random.default_rng(2).normal(size=(4, 3))
    sizes = jax.tree.map(lambda x: x, curve)
    a: dict[str, Any] = {"v": jnp.asarray(v), "g": jnp.asarray(g * 1e4), "curve": jax.tree.map(jnp.ones_like, sizes)}
    a |= {"r": jnp.asarray([300.0, 500.0]), "ends": jnp.asarray([800.0, 600.0])}

    @jax.jit
    def loss(a):
        parts = {"r_row": a["r"][0], "r_col": a["r"][1], "r_driver": a["ends"][0], "r_sense": a["ends"][1]}
        scaled = jax.tree.map(jnp.multiply, a["curve"], sizes)
        s = solve(jnp.stack([a["v"], 0.5 * a["v"]]), a["g"] * 1e-4, **parts, two_sided=True, curve=scaled)
        return (weights[None] * s.voltages.row).sum() + (weights[:1] * s.currents.output).sum() * 1e4

    gradient = jax.grad(loss)(a)
    leaves, structure = jax.tree.flatten(a)
    for n, (leaf, slopes) in enumerate(zip(leaves, jax.tree.leaves(gradient), strict=True)):
        for k in np.ndindex(leaf.shape):
            h = 1e-4 * max(abs(float(leaf[k])), 1e-2)
            ends = [
                float(loss(jax.tree.unflatten(structure, [*leaves[:n], leaf.at[k].add(s * h), *leaves[n + 1 :]])))
                for s in (1, -1)
            ]
            slope = (ends[0] - ends[1]) / (2 * h)
            assert float(slopes[k]) == pytest.approx(slope, abs=2e-6 * max(float(jnp.abs(slopes).max()), 1e-2)), (n, k)


def test_no_solution_is_an_error():
    v, g = array(6, 5)
    with pytest.raises(RunError, match=r"Sinh has no solution after \d+ Newton steps: .* Kirchhoff"):
        solve(100 * v, g, r_row=1e3, r_col=1e3, curve=Sinh(b=1e3))


def drives(shape, selected, scheme, v):
    """Line voltages of the classic schemes; nan floats."""
    others = {"floating": (np.nan, np.nan), "grounded": (0, 0), "V/2": (v / 2, v / 2), "V/3": (v / 3, 2 * v / 3)}
    row, column = (np.full(n, float(o)) for n, o in zip(shape, others[scheme], strict=True))
    row[selected[0]], column[selected[1]] = v, 0.0
    return row, column


@pytest.mark.parametrize("name", ["", "sinh", "selector"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_passive_arrays_equal_the_nodal_equations(x64, scheme, name):
    curve = CURVES[name]() if name else None
    _, g = array(8, 6)
    selected = (2, 3)
    found = read_cell(g, selected, voltage=0.8, scheme=scheme, curve=curve, r_row=70.0, r_col=50.0)
    row, column = nodal(curve or Ohmic(), g, *drives((8, 6), selected, scheme, 0.8), 70.0, 50.0)
    device = by_hand(curve or Ohmic(), g, row - column)[0]
    np.testing.assert_allclose(found.across, row - column, atol=1e-7 if isinstance(curve, Selector) else 1e-9)
    assert float(found.output) == pytest.approx(device[:, 3].sum(), rel=1e-8)
    assert float(found.selected) == pytest.approx(device[2, 3], rel=1e-8)
    assert float(found.sneak) == pytest.approx(device[:, 3].sum() - device[2, 3], rel=1e-7)
    worst = write_voltages(g, selected, voltage=0.8, scheme=scheme, curve=curve, r_row=70.0, r_col=50.0)
    size = np.abs(row - column)
    assert float(worst.selected) == pytest.approx((row - column)[2, 3], abs=1e-8)
    assert float(worst.half) == pytest.approx(
        max(np.delete(size[2], 3).max(), np.delete(size[:, 3], 2).max()), abs=1e-7
    )
    rest = np.delete(np.delete(size, 2, 0), 3, 1)
    assert float(worst.unselected) == pytest.approx(rest.max(), abs=1e-7)


def test_floating_lines_without_wires_are_a_network_of_line_potentials(x64):
    _, g = array(7, 5)
    laplacian = np.block([[np.diag(g.sum(1)), -g], [-g.T, np.diag(g.sum(0))]])
    free = np.ones(12, bool)
    free[[2, 7 + 4]] = False
    potential = np.where(np.arange(12) == 2, 0.5, 0.0)
    potential[free] = np.linalg.solve(laplacian[np.ix_(free, free)], -laplacian[np.ix_(free, ~free)] @ potential[~free])
    found = read_cell(g, (2, 4), voltage=0.5, scheme="floating", two_sided=True, r_row=0.0, r_col=0.0)
    np.testing.assert_allclose(found.across, potential[:7, None] - potential[None, 7:], atol=1e-12)
    assert float(found.output) == pytest.approx(-(laplacian @ potential)[11], rel=1e-12)


@pytest.mark.parametrize("r", [0.0, 2.0])
@pytest.mark.parametrize("double", [True, False], ids=["float64", "float32"])
def test_floating_selectors_converge_and_no_current_leaves_a_floating_line(double, r):
    """All cells in low resistance but the selected one: line potentials hang on selectors that just open."""
    with jax.enable_x64(double):
        g = np.full((24, 24), 1e-4)
        g[0, 23] = 1e-6
        for i_s in (1e-7, 1e-9, 1e-11):
            curve = Selector(i_s=i_s, v_0=0.05)
            found = read_cell(g, (0, 23), voltage=1.0, scheme="floating", curve=curve, r_row=r, r_col=r)
            assert int(found.convergence.steps) <= 15
            device = np.asarray(curve.current(jnp.asarray(g, found.across.dtype), found.across), dtype=float)
            largest = np.abs(device).max()
            for lines in (device[1:].sum(1), device[:, :23].sum(0)):
                assert np.abs(lines).max() < (1e-8 if double else 3e-4) * largest


def test_schemes_without_wires():
    g = np.full((4, 5), 1e-5)
    for scheme, half, rest in (("V/2", 0.5, 0.0), ("V/3", 1 / 3, 1 / 3), ("grounded", 1.0, 0.0)):
        found = write_voltages(g, (1, 2), voltage=-1.0, scheme=scheme, r_row=0.0, r_col=0.0)
        assert float(found.selected) == pytest.approx(-1.0)
        assert float(found.half) == pytest.approx(half, rel=1e-6)
        assert float(found.unselected) == pytest.approx(rest, abs=1e-6)


def test_the_worst_background_of_a_floating_read_is_all_low_resistance(x64):
    low, high = 1e-6, 2e-5
    margins = []
    for bits in range(2**6):
        g = np.where([bits >> k & 1 for k in range(6)], high, low).reshape(2, 3)
        read = read_margin(g, (0, 1), g_range=(low, high), voltage=0.3, scheme="floating", r_row=0.0, r_col=0.0)
        margins.append(float(read.margin))
    assert margins[-1] == pytest.approx(min(margins))
    assert float(max(margins)) < 1 - low / high
    plain = read_margin(
        np.full((6, 6), high), (0, 1), g_range=(low, high), voltage=0.3, scheme="grounded", r_row=0.0, r_col=0.0
    )
    assert float(plain.margin) == pytest.approx(1 - low / high)
    assert float(plain.high) == pytest.approx(0.3 * high)


def test_gradient_of_a_floating_read_is_that_of_finite_differences(x64):
    _, g = array(4, 3)

    @jax.jit
    def output(g, r, b):
        return (
            read_cell(
                g * 1e-4,
                (1, 2),
                voltage=1.0,
                scheme="floating",
                curve=Sinh(b=b),
                r_row=r[0],
                r_col=r[1],
                two_sided=True,
            ).output
            * 1e4
        )

    point = (jnp.asarray(g * 1e4), jnp.asarray([300.0, 200.0]), jnp.asarray(2.0))
    slopes = jax.grad(output, (0, 1, 2))(*point)
    for n, (x, slope) in enumerate(zip(point, slopes, strict=True)):
        for k in np.ndindex(x.shape):
            h = 1e-4 * float(x[k])
            up, down = (float(output(*point[:n], x.at[k].add(s * h), *point[n + 1 :])) for s in (1, -1))
            assert float(slope[k]) == pytest.approx((up - down) / (2 * h), abs=2e-6 * float(jnp.abs(slope).max()))


def test_pulses_disturb_half_selected_cells(x64):
    device = VTEAM(v_off=0.45, v_on=-0.45)
    g = np.full((6, 5), 1e-3)
    write = write_voltages(g, (1, 2), voltage=0.8, scheme="V/2", r_row=1.0, r_col=1.0)
    start = jnp.full((6, 5), 0.8)
    found = disturbed(device, start, write.across, width=1e-6, pulses=7)
    for i, j in ((1, 2), (1, 0), (4, 2), (3, 3)):
        x = jnp.asarray(0.8)
        for _ in range(7):
            x = device.advance(x, write.across[i, j], 1e-6)
        assert float(found.state[i, j]) == pytest.approx(float(x), abs=1e-12)
    half = np.asarray(half_selected((6, 5), (1, 2)))
    assert half.sum() == 9
    assert float(found.change[1, 2]) < 0
    # half of 0.8 V is below the threshold; with grounded lines the whole row sees all of it
    assert np.abs(np.asarray(found.change)[half]).max() == 0
    bad = write_voltages(g, (1, 2), voltage=0.8, scheme="grounded", r_row=1.0, r_col=1.0)
    moved = np.asarray(disturbed(device, start, bad.across, width=1e-6, pulses=7).change)
    assert (moved[1] < 0).all()
    assert np.abs(np.delete(moved, 1, 0)).max() == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda g: bias((3, 2), (0, 0), voltage=1.0, scheme="v/2x"), r"Unknown biasing scheme 'v/2x'.*V/2"),
        (lambda g: bias((3, 2), (0, 0), voltage=1.0, scheme="floatin"), "Did you mean 'floating'"),
        (lambda g: bias((3, 2), (3, 0), voltage=1.0, scheme="V/2"), "selected row is 3; a whole number from 0 to 2"),
        (lambda g: bias((3, 2), (0, 0.5), voltage=1.0, scheme="V/2"), "selected column is 0.5"),
        (lambda g: bias((3, 2), (0, 0), voltage=np.ones(2), scheme="V/2"), "a single number"),
        (lambda g: read_cell(-g, (0, 0), voltage=1.0, scheme="V/2", r_row=1.0, r_col=1.0), "from 0 S"),
        (lambda g: disturbed(VTEAM(), 0.5, g, width=1e-6, pulses=-1), "pulses is -1"),
        (lambda g: disturbed(VTEAM(), 0.5, g, width=-1.0, pulses=1), "width is -1 s"),
        (lambda g: disturbed(SoftBounds(), 0.5, g, width=1.0, pulses=1), "SoftBounds has no state"),
        (lambda g: Sinh(b=-1.0), "Sinh.b"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(InputError, match=words):
        call(np.ones((3, 2)))
