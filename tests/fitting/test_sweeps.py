"""Current–voltage sweeps in, a device with intervals out: synthetic loops of the library's own devices."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike import report
from memspike.devices import description
from memspike.fitting import loop_fit
from memspike.fitting.kinds import Options, fit_tables
from memspike.fitting.loops import Loops, loops
from memspike.fitting.state_laws import LAWS
from memspike.fitting.sweeps import doubt, estimates
from memspike.fitting.table import Column, Table
from memspike.parts.errors import InputError

POINTS = 160  # a cycle
# published parameters under amplitude in V, frequency in Hz, compliance in A
CASES = {
    "vteam": (0.25, 1.5e6, np.inf),
    "yakopcic": (0.45, 100.0, np.inf),
    "stanford-pku": (1.3, 1e4, np.inf),
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


def measured(name, *, sets=1, seed=0, noise=0.02, cycles=1, turned=1.0):
    """Loops with `noise` of the current and a floor of 0.1 % of the largest, and the currents without noise."""
    amplitude, frequency, limit = CASES[name]
    count = POINTS * cycles + 1
    phase = np.arange(count) / POINTS
    v = turned * amplitude * np.sin(2 * np.pi * phase)
    cycle = np.minimum(np.floor(phase), cycles - 1)
    bare = Loops(v, v, phase / frequency, np.full(count, limit), np.zeros(count, bool), cycle)
    with jax.enable_x64(True):
        drive = loop_fit.wave(bare, 10**9, 64)

        def current(theta):
            sign = jnp.asarray(float(turned))
            return loop_fit.simulate(LAWS[name], theta, sign, drive, compliance=bool(np.isfinite(limit)))

        clean = np.asarray(jax.jit(current)(jnp.asarray(published(name))))
    rng, found = np.random.default_rng(seed), []
    for _ in range(sets):
        i = clean * (1 + noise * rng.standard_normal(count))
        i = np.clip(i + 1e-3 * np.abs(clean).max() * rng.standard_normal(count), -limit, limit)
        found.append(dataclasses.replace(bare, i=i, held=np.abs(i) >= 0.99 * limit))
    return found, clean


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


def test_a_device_under_compliance_sees_only_the_voltage_that_carries_it(x64):
    device = LAWS["vteam"].cls(r_on=1e3, r_off=1e5)
    v = loop_fit.limited(device, jnp.asarray(1.0), jnp.asarray(-2.0), jnp.asarray(1e-3))
    assert abs(float(v) + 1.0) < 1e-6
    slope = jax.grad(lambda x: loop_fit.limited(device, x, jnp.asarray(-2.0), jnp.asarray(1e-3)))(jnp.asarray(0.999))
    step = [loop_fit.limited(device, jnp.asarray(x), jnp.asarray(-2.0), jnp.asarray(1e-3)) for x in (0.998, 1.0)]
    assert abs(float(slope) - float(step[1] - step[0]) / 0.002) < 1e-2 * abs(float(slope))


BAD = [
    ({"time": None}, {}, "sweep rate in V/s"),
    ({"current": None}, {}, "no column of kind current"),
    ({"voltage": np.zeros(50)}, {}, "changing v"),
    ({"time": np.arange(50.0)[::-1]}, {}, "time goes back"),
    ({}, {"compliance": -1.0}, "above 0"),
    ({}, {"model": "vtaem"}, "Did you mean 'vteam'"),
]


@pytest.mark.parametrize(("changed", "options", "words"), BAD)
def test_what_is_no_sweep_is_refused_in_one_sentence(changed, options, words):
    v = np.sin(np.linspace(0, 6, 50))
    columns = {"voltage": v, "current": 1e-3 * v, "time": np.arange(50.0)} | changed
    kept = tuple(Column(kind, kind, values) for kind, values in columns.items() if values is not None)
    with pytest.raises(InputError, match=words):
        fit_tables([Table("a.csv", "test", kept, tuple(range(2, 52)))], Options(**options), "sweep")


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
