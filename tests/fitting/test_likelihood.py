"""The state-space likelihood: against dense Gaussians and differences; what it must recover from made ramps."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import memspike as ms
from memspike.devices import labels
from memspike.fitting import filter as kalman
from memspike.fitting import likelihood
from memspike.fitting.candidate import screened
from memspike.fitting.candidates import LAWS
from memspike.fitting.likelihood import DOSES, NOISES, Problem
from memspike.fitting.series import series
from memspike.fitting.table import Trace
from memspike.report.fit_page import ramps_figure, residuals_figure

fitting = importlib.import_module("memspike.fitting.fit")
fit = fitting.fit
LOW, HIGH = 10e-6, 110e-6
WRITE = {"up": 0.6e-6, "down": 0.8e-6}
SPEED = {"up": 0.08, "down": 0.12}
READ = 0.5e-6
LAW = {
    "soft-bounds": lambda: ms.devices.SoftBounds(
        g_min=LOW, g_max=HIGH, pulses_up=100.0, pulses_down=90.0, curvature_up=2.0, curvature_down=-3.0
    ),
    "power-step": lambda: ms.devices.PowerStep(
        g_min=LOW, g_max=HIGH, step_up=0.02, step_down=0.025, power_up=1.4, power_down=1.8
    ),
    "log-step": lambda: ms.devices.LogStep(
        g_min=LOW, g_max=HIGH, step_up=0.02, step_down=0.03, beta_up=1.5, beta_down=2.5
    ),
}


def made(device, *, sets=1, ramps=8, pulses=60, seed=0):
    """Sets of traces: the device's own `program`, write noise, speeds of ramps and read noise drawn by numpy."""
    rng, found = np.random.default_rng(seed), [[] for _ in range(sets)]
    with jax.enable_x64(True):
        device = jax.tree.map(lambda x: jnp.asarray(np.asarray(x, float)), device)
        step = jax.jit(lambda g, n: device.program(g, n))
        for side, sign, first in (("up", 1, 0.08), ("down", -1, 0.92)):
            g = np.empty((sets, ramps, pulses + 1))
            g[..., 0] = LOW + (HIGH - LOW) * first + 1e-6 * rng.standard_normal((sets, ramps))
            speed = 1 + SPEED[side] * rng.standard_normal((sets, ramps))
            for k in range(pulses):
                mean = np.asarray(step(g[..., k], sign)) - g[..., k]
                g[..., k + 1] = g[..., k] + speed * mean + WRITE[side] * rng.standard_normal((sets, ramps))
            g = g + READ * rng.standard_normal(g.shape)
            for own, rows in zip(found, g, strict=True):
                own += [Trace(row, np.full(pulses, float(sign)), ramp=f"{side} {k}") for k, row in enumerate(rows)]
    return found


def plateau(noise, ramps=8, pulses=60, kappa=6.0, seed=0):
    """Ramps of the exponential law over 10 to 20 µS with read noise alone, a share of the range."""
    rng = np.random.default_rng(seed)
    u = np.linspace(0, 1, pulses + 1)
    up = 10e-6 + 10e-6 * (-np.expm1(-kappa * u) / -np.expm1(-kappa) if kappa else u)
    return [
        Trace(curve + noise * 10e-6 * rng.standard_normal(pulses + 1), np.full(pulses, sign), ramp=f"{sign} {k}")
        for curve, sign in ((up, 1.0), (30e-6 - up, -1.0))
        for k in range(ramps)
    ]


def truth(device, name):
    what, _, side = name.rpartition("_")
    known = {"noise": WRITE, "variation": SPEED}
    return READ if name == "read_noise" else known[what][side] if what in known else float(getattr(device, name))


@pytest.fixture(scope="module")
def one():
    return made(LAW["soft-bounds"]())[0]


@pytest.fixture(scope="module")
def fitted(one):
    return fit(one, model="soft-bounds", g_range=(LOW, HIGH))


# ---- the filter and its derivatives


def test_filter_is_the_dense_gaussian():
    """Without glitches the density of a trace is that of its full covariance."""
    rng, n = np.random.default_rng(0), 6
    F, u, s = 1 + 0.1 * rng.standard_normal((n, 1)), 0.1 * rng.standard_normal((n, 1)), rng.uniform(0.05, 0.1, (n, 1))
    Q, speed, A, R, B = np.full((n, 1), 4e-4), np.full((n, 1), 0.04), np.array([0.01]), 1e-3, 2e-3
    turn = np.zeros((n, 1), bool)
    turn[[0, 3]] = True
    y = rng.uniform(0.3, 0.7, (n + 1, 1))
    # x_k, b and two speeds are linear in (x_0, b, δ_1, δ_2, w_1 …)
    rows, offset = [np.eye(4 + n)[0]], [0.5]
    for k in range(n):
        rows.append(F[k, 0] * rows[-1] + s[k, 0] * np.eye(4 + n)[2 if k < 3 else 3] + np.eye(4 + n)[4 + k])
        offset.append(F[k, 0] * offset[-1] + u[k, 0])
    H = np.array(rows) + np.eye(4 + n)[1]
    prior = np.diag([0.01, B, 0.04, 0.04, *Q[:, 0]])
    S, miss = H @ prior @ H.T + R * np.eye(n + 1), y[:, 0] - np.array(offset)
    wanted = -0.5 * (np.linalg.slogdet(2 * np.pi * S)[1] + miss @ np.linalg.solve(S, miss))
    with jax.enable_x64(True):
        at = kalman.Coefficients(F, u, s, Q, speed, A, R, B)
        found = kalman.filtered(at, kalman.Reads(np.array([0.5]), y, np.ones((n + 1, 1)), turn, -700.0))
    assert float(np.asarray(found.density).sum()) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("model", ["soft-bounds", "piecewise-step-4"])
def test_scores_are_those_of_differences(one, model):
    data = fitting.prepared(series(one), (LOW, HIGH))
    found = screened(LAWS[model][0], data, [])
    theta, shift = found.maximum.theta + 0.02, found.maximum.shift
    gradient, information = found.problem.scores(theta, shift)
    for k in np.flatnonzero(~found.problem.fixed):
        h = 1e-4 * (np.arange(len(theta)) == k)
        slope = (found.problem.loss(theta + h, shift)[0] - found.problem.loss(theta - h, shift)[0]) / 2e-4
        assert gradient[k] == pytest.approx(slope, rel=2e-3, abs=0.05), k
    assert (np.linalg.eigvalsh(information) > -1e-6 * information.max()).all()


# ---- what it must recover


def covered(model, sets):
    device, hits = LAW[model](), {}
    for traces in made(device, sets=sets):
        for p in fit(traces, model=model, g_range=(LOW, HIGH)).parameters:
            assert p.low <= p.value <= p.high, p
            if p.name != "window":
                hits[p.name] = hits.get(p.name, 0) + (p.low <= truth(device, p.name) <= p.high)
    assert len(hits) == 9
    return hits


def test_intervals_hold_the_truth_of_a_few_sets():
    hits = covered("soft-bounds", 5)
    assert min(hits.values()) >= 3, hits
    assert sum(hits.values()) >= 0.85 * 5 * 9, hits


@pytest.mark.full
@pytest.mark.parametrize("model", LAW)
def test_intervals_cover_the_truth(model):
    """100 sets of 8 ramps × 60 pulses each way: every 95 % interval holds the truth in at least 90."""
    hits = covered(model, 100)
    assert min(hits.values()) >= 90, hits


def test_read_noise_is_not_noise_of_the_pulses():
    found = fit(plateau(0.01), model="soft-bounds")
    for label, sign in zip(found.labels, (1, -1), strict=True):
        assert label.value == pytest.approx(sign * float(labels.label(6.0)), rel=0.02)
    assert found.read_noise == pytest.approx(0.1e-6, rel=0.1)
    assert max(found.noise_up, found.noise_down) < 0.01e-6
    law = found.best.law
    assert isinstance(law, ms.devices.SoftBounds)
    assert (float(law.pulses_up), float(law.pulses_down)) == pytest.approx((60.0, 60.0), rel=1e-3)
    few = fit(plateau(0.01, ramps=3), model="soft-bounds").labels[0]
    assert found.labels[0].high - found.labels[0].low < 0.8 * (few.high - few.low)


def test_straight_noisy_ramps_are_straight():
    found = fit(plateau(0.06, kappa=0.0), model="soft-bounds")
    assert max(abs(found.nl_up), abs(found.nl_down)) < 0.3


def test_a_read_in_a_thousand_wrong_by_ten_moves_nothing(one, fitted):
    rng = np.random.default_rng(1)
    broken = []
    for k, trace in enumerate(one):
        g = trace.g.copy()
        if k in (2, 11):
            g[rng.integers(5, 55)] *= 10
        broken.append(Trace(g, trace.pulses, ramp=trace.ramp))
    found = fit(broken, model="soft-bounds", g_range=(LOW, HIGH))
    for before, after in zip(fitted.parameters, found.parameters, strict=True):
        assert abs(after.value - before.value) < before.high - before.low, (before, after)
    assert found.warnings == fitted.warnings
    assert not fitted.notes
    assert found.notes[0].startswith("2 reads lie far from all others (the first: ")
    assert (found.rms_up, found.rms_down) == pytest.approx((fitted.rms_up, fitted.rms_down), abs=2e-3)
    for side in ("up", "down"):
        measured, clean = found.trajectories[side][0], fitted.trajectories[side][0]
        np.testing.assert_allclose(measured.sd, clean.sd, rtol=0.3, atol=1e-7)
    assert np.isfinite(found.data.g).sum() == np.isfinite(fitted.data.g).sum() - 2


def test_one_glitch_is_told_with_its_pulse(one, fitted):
    g = one[9].g.copy()
    g[30] *= 10
    traces = [Trace(g if k == 9 else t.g, t.pulses, ramp=f"ramp {k}") for k, t in enumerate(one)]
    found = fit(traces, model="soft-bounds", g_range=(LOW, HIGH))
    assert "1 read lies far from all others" in found.notes[0]
    assert "in ramp 9), at pulse 30;" in found.notes[0]


def test_noise_that_hides_the_ramps_still_gives_an_answer():
    rng = np.random.default_rng(2)
    traces = [
        Trace(1e-5 + sign * 1e-7 * np.arange(61) * 0.1 + 8e-7 * rng.standard_normal(61), np.full(60, sign))
        for sign in (1.0, 1.0, -1.0, -1.0)
    ]
    for model in ("soft-bounds", "piecewise-step-13"):
        assert fit(traces, model=model).headline.startswith("Do not trust this model")


def test_a_switch_is_called_one():
    rng = np.random.default_rng(3)
    high = 1e-5 + 9e-5 * (np.arange(61) > 20)
    traces = [
        Trace((g + 2e-7 * rng.standard_normal(61)), np.full(60, sign))
        for g, sign in ((high, 1.0), (11e-5 - high, -1.0))
        for _ in range(3)
    ]
    assert "binary switch" in fit(traces, model="soft-bounds").headline


def test_one_ramp_alone_says_what_it_cannot_tell(one):
    found = fit([one[0], one[8]], model="soft-bounds", g_range=(LOW, HIGH))
    assert found.variation_up == found.variation_down == 0
    assert any("ramp-to-ramp variation is not determined" in note for note in found.warnings)
    assert found.read_noise == pytest.approx(READ, rel=0.4)


def test_pulses_of_any_order_amplitude_and_number():
    """Random signs, counts and amplitudes, some reads repeated: law, noise and dependence on amplitude come back."""
    rng, traces = np.random.default_rng(4), []
    for _ in range(16):
        pulses = rng.integers(1, 4, 60) * np.repeat(rng.choice([-1.0, 1.0], 12), 5)
        pulses[::7] = 0
        volts = np.where(pulses > 0, 1.0, -1.2) + np.sign(pulses) * rng.choice([-0.1, 0.0, 0.1], 60)
        worth = pulses * np.exp(4.0 * (np.abs(volts) - np.where(pulses > 0, 1.0, 1.2)))
        x = [0.5]
        for n in worth:
            rate, end = (0.03, 1.05) if n > 0 else (0.04, -0.02)
            x.append(end + (x[-1] - end) * np.exp(-rate * abs(n)) + 0.003 * np.sqrt(abs(n)) * rng.standard_normal())
        g = LOW + (HIGH - LOW) * (np.array(x) + 0.005 * rng.standard_normal(61))
        traces.append(Trace(g, pulses, amplitude=volts))
    found = fit(traces, model="soft-bounds", g_range=(LOW, HIGH))
    by_name = {p.name: p for p in found.parameters}
    for side in ("up", "down"):
        assert by_name[f"voltage_slope_{side}"].value == pytest.approx(4.0, rel=0.15)
    law = found.best.law
    assert isinstance(law, ms.devices.SoftBounds)
    assert float(law.curvature_up / law.pulses_up) == pytest.approx(0.03, rel=0.1)
    assert float(-law.curvature_down / law.pulses_down) == pytest.approx(0.04, rel=0.1)
    assert found.read_noise == pytest.approx(0.005 * (HIGH - LOW), rel=0.15)
    assert found.data.reference["amplitude_up"] == pytest.approx(1.0)
    for draw in (ramps_figure, residuals_figure):
        (axis,) = draw(found).axes  # no empty ones beside it
        assert axis.lines


MODERATE = {"soft-bounds": [0.03, -0.02], "power-step": [0.02, 1.4, 0.1], "piecewise-step-9": 0.02 / np.arange(1, 10)}


@pytest.mark.parametrize("name", MODERATE)
def test_many_values_of_one_pulse_are_interpolated(name, monkeypatch):
    """Values and derivatives of thousands of shares are those of the law itself, outside of the range too."""
    law = LAWS[name][0]
    problem = Problem(law.shape, (), np.zeros(2 * len(law.shape.scales) + len(NOISES) + len(DOSES), bool), 0)
    low, high = problem.box()
    theta, share = 0.5 * (low + high), np.random.default_rng(0).uniform(-0.1, 1.1, (2, 40, 100))
    theta[: 2 * problem.size] = np.tile(law.shape.vector(np.array(MODERATE[name])), 2)
    ones = np.ones_like(share)
    for side in (0, 1):
        near, slopes = problem.after(theta, side, share, ones), problem.moved(theta, side, share, ones)
        with monkeypatch.context() as context:
            context.setattr(likelihood, "MANY", share.size)
            np.testing.assert_allclose(near, problem.after(theta, side, share, ones), atol=1e-5)
            exact = problem.moved(theta, side, share, ones)
        np.testing.assert_allclose(slopes, exact, atol=1e-3 * np.abs(exact).max())
