"""Current–voltage sweeps in, a device with intervals out: synthetic loops of the library's own devices."""

import dataclasses
import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from memspike import report
from memspike.devices import description
from memspike.fitting import compliance, loop_fit, sweeps
from memspike.fitting.kinds import Options, fit_tables
from memspike.fitting.least_squares import leverage
from memspike.fitting.loops import Loops, loops
from memspike.fitting.state_laws import LAWS
from memspike.fitting.sweeps import doubt, estimates
from memspike.fitting.table import Column, Table
from memspike.parts.errors import InputError

POINTS = 160  # a cycle
# published parameters under amplitude in V, frequency in Hz, compliance in A (negative: at negative voltages only)
CASES = {
    "vteam": (0.25, 1.5e6, np.inf),
    "vteam-exponential": (0.25, 1.5e6, np.inf),
    "yakopcic": (0.45, 100.0, np.inf),
    "stanford-pku": (1.5, 1e4, 5e-3),
    "ion-drift": (1.2, 0.5, np.inf),
    "ion-drift-joglekar": (1.2, 0.5, np.inf),
    "ion-drift-biolek": (1.2, 0.5, np.inf),
    "ion-drift-prodromakis": (1.2, 0.5, np.inf),
    "metastable-switch": (0.2, 100.0, np.inf),
    "threshold-switch": (0.2, 1e3, np.inf),
    "diffusive": (1.5, 1.0, np.inf),
}


def published(name):
    """Coordinates of a law's defaults; devices that have no x_0 of their own begin fully off."""
    law = LAWS[name]
    device = law.cls(**{k: v() if k == "window" else v for k, v in law.fixed.items()})
    values = [0.0 if n == "x_0" and not hasattr(device, n) else n for n in law.names]
    values = [v if isinstance(v, float) else float(loop_value(device, v)) for v in values]
    if name == "metastable-switch":
        values[-1] = float(device.init())
    return np.array([c.theta(v) for c, v in zip(law.coordinates(), values, strict=True)])


def loop_value(device, path):
    for part in path.split("."):
        device = getattr(device, part)
    return device


def driven(amplitude, frequency, limit, *, cycles=1, turned=1.0):
    """A sine with a compliance at one polarity, no currents yet."""
    count = POINTS * cycles + 1
    phase = np.arange(count) / POINTS
    v = turned * amplitude * np.sin(2 * np.pi * phase)
    cycle = np.minimum(np.floor(phase), cycles - 1)
    limits = np.where(v * limit > 0, abs(limit), np.inf) if np.isfinite(limit) else np.full(count, np.inf)
    return Loops(v, v, phase / frequency, limits, np.zeros(count, bool), cycle)


def noisy(bare, clean, *, noise=0.02, rng=None):
    """The loop with `noise` of the current and a floor of 0.1 % of the largest; what is held shows the limit."""
    rng = rng or np.random.default_rng(0)
    i = clean * (1 + noise * rng.standard_normal(clean.size))
    i = np.clip(i + 1e-3 * np.abs(clean).max() * rng.standard_normal(clean.size), -bare.limit, bare.limit)
    i = np.where(np.abs(clean) >= bare.limit, clean, i)
    return dataclasses.replace(bare, i=i, held=np.abs(i) >= 0.99 * bare.limit)


def measured(name, *, sets=1, seed=0, case=None, cycles=1, turned=1.0):
    """Noisy loops, and the currents without noise."""
    bare = driven(*(case or CASES[name]), cycles=cycles, turned=turned)
    with jax.enable_x64(True):
        drive = loop_fit.wave(bare, 10**9, 64)

        def current(theta):
            sign = jnp.asarray(float(turned))
            return loop_fit.simulate(LAWS[name], theta, sign, drive, compliance=bool(np.isfinite(bare.limit).any()))

        clean = np.asarray(jax.jit(current)(jnp.asarray(published(name))))
    rng = np.random.default_rng(seed)
    return [noisy(bare, clean, rng=rng) for _ in range(sets)], clean


def table_of(data, sign=1.0):
    columns = [("V", "voltage", sign * data.v), ("I", "current", sign * data.i), ("t", "time", data.t)]
    columns += [("n", "cycle", data.cycle)]
    return Table("a.csv", "test", tuple(Column(*c) for c in columns), tuple(range(2, len(data.v) + 2)))


def study(name, sets, **options):
    """By parameter: in how many sets it is determined, and in how many of these its interval holds the truth."""
    data, clean = measured(name, sets=sets)
    found = loop_fit.profiled(name, data, loop_fit.fit_law(name, data, **options))
    truth, told, covered = published(name), [], []
    for one in found:
        told.append([e.determined for e in estimates(name, one, np.abs(data[0].v).max())])
        away = truth - one.theta
        covered.append((away >= -one.half[:, 0] - 1e-9) & (away <= one.half[:, 1] + 1e-9))
    told, covered = np.array(told), np.array(covered)
    rms = [np.sqrt(np.mean((one.current - clean) ** 2)) / np.abs(clean).max() for one in found]
    return told.sum(axis=0), (told & covered).sum(axis=0), np.array(rms)


@pytest.fixture
def quick(monkeypatch):
    """Fewer starts and steps than a user gets: the compiler of the tests makes slow programs."""
    for name, value in {
        "STARTS": 32,
        "KEPT": 2,
        "STEPS": 320,
        "FINE_STEPS": 320,
        "STEPS_A_ROUND": 20,
        "PROFILE_STEPS": 10,
    }.items():
        monkeypatch.setattr(loop_fit, name, value)


def test_a_noisy_vteam_sweep_of_published_parameters_is_fitted_within_one_percent_rms(quick, tmp_path):
    (data,), clean = measured("vteam", cycles=1)
    found = fit_tables([table_of(data, -1.0)], Options(model="vteam"))
    lost = {e.name for e in found.estimates if not e.determined}
    assert {"k_off", "v_off"} <= lost  # it switches off at once, so nothing is seen of how
    assert "r_on" not in lost
    assert all(any(name in line for line in found.warnings) for name in lost)
    assert "other way round" in found.headline
    assert found.facts["orientation"] == -1
    curves = found.figures()["loop"].curves
    scale = np.abs(curves[1].y).max() / np.abs(clean).max()
    assert np.sqrt(np.mean((curves[1].y / scale + clean) ** 2)) < 0.01 * np.abs(clean).max()
    (r_on,) = (e for e in found.estimates if e.name == "r_on")
    assert r_on.low < 50 < r_on.high < 55
    assert 0.01 < found.facts["relative_noise"] < 0.03
    page = report.write_outcome(found, tmp_path)
    device = description.read(tmp_path / "device.toml")
    assert abs(float(device.r_on) - r_on.value) < 1e-6 * r_on.value  # pyright: ignore[reportAttributeAccessIssue]
    assert json.loads((tmp_path / "fit.json").read_text())["model"] == "vteam"
    assert {"loop", "loop-log", "residuals"} == {p.stem for p in (tmp_path / "figures").glob("*.png")}
    assert "not determined" in page.read_text()


def test_what_a_sweep_determines_lies_in_its_interval(quick):
    told, inside, rms = study("metastable-switch", 4)
    assert told[:6].min() >= 3
    assert inside.sum() >= 0.85 * told.sum()
    assert rms.max() < 0.01


@pytest.mark.full
@pytest.mark.parametrize("name", CASES)
def test_a_hundred_sweeps(name):
    told, inside, rms = study(name, 100, starts=64)
    print(name, dict(zip(LAWS[name].names, zip(told.tolist(), inside.tolist(), strict=True), strict=True)), rms.max())
    assert told.sum() > 100
    assert inside.sum() >= 0.92 * told.sum()
    assert np.median(rms) < 0.01


def test_noise_is_not_what_a_fit_with_many_parameters_leaves(x64):
    """Residuals of a line of two parameters through few points come back with the s.d. that was put in."""
    rng, x = np.random.default_rng(0), np.linspace(1, 2, 12)
    jacobian = np.stack([np.ones(12), x], axis=1) / 1e-6
    share = leverage(jacobian)
    assert share.sum() == pytest.approx(2)
    assert (share > 0).all()
    assert (share < 1).all()
    line = np.polynomial.Polynomial.fit
    left = np.stack([y - line(x, y, 1)(x) for y in rng.normal(size=(4000, 12))])
    assert np.mean(left**2 / (1 - share)) == pytest.approx(1, abs=0.02)
    assert np.mean(left**2) < 0.86


@pytest.mark.full
@pytest.mark.parametrize("name", ["vteam", "yakopcic", "ion-drift-biolek", "threshold-switch"])
def test_the_law_is_found(name):
    (data,), _ = measured(name)
    assert fit_tables([table_of(data)], Options()).facts["model"] == name


def test_points_at_the_compliance_are_recognised_and_not_fitted():
    v = 1.5 * np.sin(np.linspace(0, 2 * np.pi, 101))
    i = np.clip(v * 1e-3, -np.inf, 1e-3)
    found = loops(table_of(Loops(v, i, np.arange(101.0), i, i > 2, np.zeros(101))), Options())
    assert found.held.sum() == (i > 0.99e-3).sum()
    assert any("1 mA" in note for note in found.notes)
    assert np.isinf(found.limit[v < 0]).all()
    given = loops(table_of(found), Options(compliance=5e-4))
    assert given.held.sum() > found.held.sum()


@pytest.mark.parametrize(("name", "bend"), [("vteam", None), ("stanford-pku", 0.25)])
def test_a_device_under_compliance_sees_only_the_voltage_that_carries_it(name, bend, x64):
    device = LAWS[name].cls()
    limited = lambda x: compliance.limited(device, x, jnp.asarray(-2.0), jnp.asarray(1e-3), bend)  # noqa: E731
    assert abs(float(device.current(jnp.asarray(0.9), limited(jnp.asarray(0.9)))) + 1e-3) < 1e-9
    assert float(compliance.limited(device, jnp.asarray(0.9), jnp.asarray(0.01), jnp.asarray(1.0), bend)) == 0.01
    slope, (a, b) = jax.grad(limited)(jnp.asarray(0.9)), (limited(jnp.asarray(x)) for x in (0.8999, 0.9001))
    assert abs(float(slope) - float(b - a) / 2e-4) < 1e-4 * abs(float(slope))


BOLTZMANN = 8.617333262e-5


def gap_under_compliance(drive):
    """The published law of Stanford-PKU behind a current limiter, by scipy: currents at the points."""

    def carried(gap, v):
        return 1e-3 * np.exp(-gap / 0.25) * np.sinh(v / 0.25)

    def closing(t, gap, limit):
        gap = gap[0]
        u = np.interp(t, drive.t, drive.v)
        u = u if u < 0 else min(u, 0.25 * np.arcsinh(limit / (1e-3 * np.exp(-gap / 0.25))))
        field = (16 - 0.8 * gap**3) * u / 12e-9
        thermal = BOLTZMANN * (298 + 2100 * u * carried(gap, u))
        step = np.clip((abs(field) / 1.4e9 - 1) / 1e-3, 0, 1)
        speed = -1e10 * np.exp(-0.6 / thermal) * np.sinh(field * 0.25e-9 / thermal) * step**2 * (3 - 2 * step)
        return [speed * (gap < 1.7 if speed > 0 else gap > 0.2)]

    gaps = [1.7]
    for k, (a, b) in enumerate(zip(drive.t[:-1], drive.t[1:], strict=True)):
        within = {"method": "LSODA", "rtol": 1e-7, "atol": 1e-9, "max_step": (b - a) / 20}
        gaps.append(min(solve_ivp(closing, (a, b), [gaps[-1]], args=(drive.limit[k + 1],), **within).y[0, -1], 1.7))
    return np.minimum(carried(np.array(gaps), drive.v), drive.limit)


@pytest.mark.parametrize("limit", [5e-3, np.inf])
def test_an_abrupt_set_ends_where_the_limiter_holds_it(limit, x64):
    (data,), current = measured("stanford-pku", case=(1.5, 1e4, limit))
    exact = gap_under_compliance(data)
    assert np.isinf(limit) or data.held.sum() > 20
    assert np.abs(exact[(data.v < 0) & (data.v > -1)] / current[(data.v < 0) & (data.v > -1)] - 1).max() < 1e-3
    assert np.sqrt(np.mean((current - exact)[~data.held] ** 2)) < 2e-3 * np.abs(exact).max()


def test_a_bridge_under_compliance_ends_where_the_limiter_holds_it(x64):
    drive = driven(1.5, 1.0, np.inf)
    drive = dataclasses.replace(drive, limit=np.full(drive.v.size, 1e-5))
    law, theta = LAWS["diffusive"], jnp.asarray(published("diffusive"))
    found = jax.jit(lambda t: loop_fit.simulate(law, t, jnp.asarray(1.0), loop_fit.wave(drive, 1), compliance=True))

    def ohms(s):
        return 17e3 * s + 1e10 * np.expm1((1 - s) / 0.1) / np.expm1(10)

    def grown(t, y):
        u = min(abs(np.interp(t, drive.t, drive.v)), 1e-5 * ohms(y.sum()))
        return [16 * u / (1.1 - y.sum()) - 50.35 * y[0], 0.35 * y[0] - 0.42 * y[1]]

    exact = solve_ivp(grown, (0, 1), [0, 0], t_eval=drive.t, method="LSODA", rtol=1e-7, atol=1e-9, max_step=1e-3)
    current = np.clip(drive.v / ohms(exact.y.sum(axis=0)), -1e-5, 1e-5)
    free = np.abs(current) < 0.99e-5
    assert (~free).sum() > 20
    assert np.sqrt(np.mean((np.asarray(found(theta)) - current)[free] ** 2)) < 0.01 * np.abs(current).max()


def fitted_under_compliance(name, data, clean):
    """A fit whose limit is found in the currents; its rms over the points that are not held."""
    found = fit_tables([table_of(data)], Options(model=name))
    assert found.facts["model"] == name
    assert name in found.headline
    assert found.facts["held"] == data.held.sum() > 10
    assert any("taken as the compliance" in line for line in found.warnings)
    curve, shown = found.figures()["loop"].curves[:2][::-1]
    simulated = curve.y * np.abs(data.i).max() / np.abs(shown.y).max()
    assert np.abs(simulated[data.held]).max() <= np.abs(data.limit[data.held]).max() * (1 + 1e-6)
    assert np.isnan(found.figures()["residuals"].curves[0].y[data.held]).all()
    return np.sqrt(np.mean((simulated - clean)[~data.held] ** 2)) / np.abs(clean).max()


def test_a_sweep_under_compliance_is_fitted_within_one_percent_rms(quick, monkeypatch):
    for constant, value in {"HELD_KEPT": 1, "ROUNDS": 2, "FIRST_STEPS": 40, "PROFILE_STEPS": 4}.items():
        monkeypatch.setattr(loop_fit, constant, value)
    (data,), clean = measured("metastable-switch", case=(0.2, 100.0, 1e-4))
    assert fitted_under_compliance("metastable-switch", data, clean) < 0.01


@pytest.mark.full
@pytest.mark.parametrize("seed", range(3))
def test_an_abrupt_set_under_compliance_is_fitted_within_one_percent_rms(seed):
    bare = driven(*CASES["stanford-pku"])
    clean = gap_under_compliance(bare)
    data = noisy(bare, clean, rng=np.random.default_rng(seed))
    assert fitted_under_compliance("stanford-pku", data, clean) < 0.01


BAD = [
    ({"time": None}, {}, "sweep rate in V/s"),
    ({"current": None}, {}, "no column of kind current"),
    ({"voltage": np.zeros(50)}, {}, "changing v"),
    ({"time": np.arange(50.0)[::-1]}, {}, "time goes back"),
    ({}, {"compliance": -1.0}, "above 0"),
    ({}, {"model": "vtaem"}, "Did you mean 'vteam'"),
    ({}, {"model": "soft-bounds"}, "a law of pulses, and what is fitted is sweep"),
]


@pytest.mark.parametrize(("changed", "options", "words"), BAD)
def test_what_is_no_sweep_is_refused_in_one_sentence(changed, options, words):
    v = np.sin(np.linspace(0, 6, 50))
    columns = {"voltage": v, "current": 1e-3 * v, "time": np.arange(50.0)} | changed
    kept = tuple(Column(kind, kind, values) for kind, values in columns.items() if values is not None)
    with pytest.raises(InputError, match=words):
        fit_tables([Table("a.csv", "test", kept, tuple(range(2, 52)))], Options(**options), "sweep")


def test_every_law_is_told_before_it_is_fitted(monkeypatch):
    (data,), _ = measured("vteam")
    told, fitted = [], []

    def fit_law(name, data):
        fitted.append(name)
        return [SimpleNamespace(bic=np.inf)]

    monkeypatch.setattr(sweeps, "fit_law", fit_law)
    with pytest.raises(InputError, match="too few"):
        fit_tables([table_of(data)], Options(tell=lambda number, of, law: told.append((number, of, law))))
    assert told == [(k, len(LAWS), name) for k, name in enumerate(fitted, 1)]


def test_a_law_of_which_nothing_is_determined_is_not_trusted():
    assert doubt(0.01, 1) == ""
    assert doubt(0.01, 0) == "this sweep determines no parameter of it"
    assert doubt(0.2, 5) == "it misses the sweep"


def test_a_negative_sweep_rate_is_refused():
    v = np.sin(np.linspace(0, 6, 50))
    table = Table("a.csv", "test", (Column("v", "voltage", v), Column("i", "current", 1e-3 * v)), tuple(range(50)))
    with pytest.raises(InputError, match="rate above 0"):
        fit_tables([table], Options(sweep_rate=-1.0), "sweep")


def test_magnitudes_of_currents_get_the_sign_of_the_voltage():
    v = np.sin(np.linspace(0, 6, 50))
    columns = zip(("voltage", "current", "time"), (v, np.abs(1e-3 * v), np.arange(50.0)), strict=True)
    table = Table("log.csv", "test", tuple(Column(kind, kind, values) for kind, values in columns), tuple(range(50)))
    found = loops(table, Options())
    assert found.i == pytest.approx(1e-3 * v)
    assert "magnitudes" in found.notes[0]
