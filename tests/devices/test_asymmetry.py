"""Asymmetric updates: the identity of push–pull, the common mode, the drift law and the implicit penalty."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike import cells
from memspike.devices import SoftBounds, response
from memspike.devices.presets import neurosim
from memspike.devices.variation.fabricate import OfLabel, fabricate

NAMES = ("ag-a-si", "pcmo", "taox-tio2", "alox-hfo2")


def law(name):
    """The device of a table row with its range as the unit of conductance."""
    inner = neurosim.from_table(name).device.device
    return eqx.tree_at(lambda d: (d.g_min, d.g_max), inner, (jnp.asarray(0.0), jnp.asarray(1.0)))


def constants(device, n):
    """s and b of both directions for n pulses, by hand."""
    up = float(device.curvature_up) / float(device.pulses_up)
    down = -float(device.curvature_down) / float(device.pulses_down)
    b_p = 1 / -np.expm1(-float(device.curvature_up))
    b_d = 1 / -np.expm1(-float(device.curvature_down))
    return -np.expm1(-n * up), -np.expm1(-n * down), b_p, b_d


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [1.0, 3.0])
def test_the_push_pull_identity(x64, name, n):
    """ΔW(±n) = ±F(C) − (s_P + s_D)/2·W: asymmetry cancels for any device, what is left is a decay."""
    device = law(name)
    pair = cells.DifferentialPair(device, cells.BothSides())
    g = jnp.asarray(np.random.default_rng(0).uniform(0.3, 0.7, (2, 40, 50)))
    state = pair.init((40, 50))._replace(devices=g)
    w, c = g[0] - g[1], g[0] + g[1]
    s_p, s_d, b_p, b_d = constants(device, n)
    symmetric = 0.5 * (s_p * (2 * b_p - c) + s_d * (c - 2 * b_d))
    for sign in (1, -1):
        after, _ = pair.program(state, jnp.full((40, 50), sign * n))
        free = ((after.devices > 0) & (after.devices < 1)).all(0)
        assert free.mean() > 0.2
        moved = pair.weight(after.devices) - w
        np.testing.assert_allclose(moved[free], (sign * symmetric - 0.5 * (s_p + s_d) * w)[free], atol=1e-14)


@pytest.mark.parametrize(("name", "g_star"), [("ag-a-si", 0.337), ("pcmo", 0.272)])
def test_the_common_mode_settles_at_the_symmetry_point(x64, name, g_star):
    pair = cells.DifferentialPair(law(name), cells.BothSides())
    state = pair.init((60, 60))._replace(devices=jnp.full((2, 60, 60), 0.6))

    def step(state, key):
        n = jax.random.rademacher(key, (60, 60), float)
        return pair.program(state, n)[0], None

    end, _ = jax.lax.scan(step, state, jax.random.split(jax.random.key(0), 500))
    g = np.asarray(end.devices)
    assert g.mean() == pytest.approx(g_star, abs=0.01)
    assert abs((g[0] - g[1]).mean()) < 4 * (g[0] - g[1]).std() / 60


def test_mismatch_of_the_two_devices_brings_asymmetry_back(x64):
    """Under pulses of random sign pairs settle near 0; how far off they are grows in proportion to the mismatch."""
    found = []
    for spread in (0.0, 0.3, 0.6):
        chip = fabricate(
            law("ag-a-si"),
            {"curvature_up": OfLabel(spread), "curvature_down": OfLabel(spread)},
            shape=(2, 40, 40),
            key=jax.random.key(3),
        )
        pair = cells.DifferentialPair(chip, cells.BothSides())
        state = pair.init((40, 40))._replace(devices=jnp.full((2, 40, 40), 0.4))

        def step(state, key, pair=pair):
            state = pair.program(state, jax.random.rademacher(key, (40, 40), float))[0]
            return state, pair.weight(state.devices)

        _, w = jax.lax.scan(step, state, jax.random.split(jax.random.key(0), 1500))
        found.append(np.asarray(w[300:]).mean(0).var())
    # beyond what finite sampling scatters
    beyond = np.sqrt(np.asarray(found[1:]) - found[0])
    assert beyond[0] > 0.02
    assert beyond[1] / beyond[0] == pytest.approx(2, rel=0.2)


@pytest.mark.parametrize("name", [*NAMES, "gst-pcm", "hzo-fefet"])
def test_the_drift_law_predicts_random_pulses(x64, name):
    """E[Δg] = (F·E[n] − A·E|n|)/P for single pulses up and down with unequal odds, within sampling error."""
    device, found = law(name), response(law(name))
    shares, count = np.linspace(0.15, 0.85, 8), 40_000
    g = jnp.asarray(shares)[:, None] * jnp.ones((1, count))
    u = jax.random.uniform(jax.random.key(1), g.shape)
    n = jnp.where(u < 0.2, 1.0, jnp.where(u < 0.3, -1.0, 0.0))  # E[n] = 0.1, E|n| = 0.3
    moved = np.asarray(device.program(g, n) - g)
    error = moved.std(1) / count**0.5
    predicted = found.drift(shares, mean=0.1, activity=0.3)
    free = (shares + 1.5 * found.up.max() / found.pulses < 1) & (shares - 1.5 * found.down.max() / found.pulses > 0)
    assert free.sum() >= 4
    assert (np.abs(moved.mean(1) - predicted) < 4 * error + 1e-6)[free].all()
    # without a wanted change, towards the symmetry point where that attracts
    still = found.drift(shares)
    assert (np.sign(still) == np.sign(found.symmetry_point - shares) * (1 if found.attracting else -1))[free].all()


def test_weights_settle_where_the_cell_says(x64):
    """E[n] = 0: push–pull and a zero-shifted reference end at W = 0, mid-range at 2·(g* − 1/2)."""
    device = law("ag-a-si")
    g_star = response(device).symmetry_point
    for cell, wanted in (
        (cells.SingleReference(device, cells.midpoint(device)), 2 * (g_star - 0.5)),
        (cells.SingleReference(device, cells.at_symmetry_point(device)), 0.0),
        (cells.DifferentialPair(device, cells.BothSides()), 0.0),
    ):
        state = cell.place(cell.init((70, 70)), jnp.full((70, 70), 0.2))

        def step(state, key, cell=cell):
            return cell.program(state, jax.random.rademacher(key, (70, 70), float))[0], None

        end, _ = jax.lax.scan(step, state, jax.random.split(jax.random.key(0), 800))
        assert cell.weight(cell.stored(end)).mean() == pytest.approx(wanted, abs=0.02)


def test_the_penalty_explains_where_analog_sgd_ends(x64):
    """min (w − w0)²/2 with gradient noise by stochastic rounding: it ends where the slope of the penalty says."""
    device, noise, rate = (
        SoftBounds.from_labels(2.0, -2.0, g_min=0.0, g_max=1.0, pulses_up=400.0, pulses_down=400.0),
        1.0,
        0.004,
    )
    found, target, count = response(device), 0.75, 4000
    step = 1 / found.pulses

    def update(g, key):
        first, second = jax.random.split(key)
        slope = g - target + noise * jax.random.normal(first, g.shape)
        n = jnp.floor(-rate * slope / step + jax.random.uniform(second, g.shape))
        return device.program(g, n), g

    _, seen = jax.lax.scan(update, jnp.full((count,), 0.5), jax.random.split(jax.random.key(0), 4000))
    end = float(seen[2000:].mean())
    # E|n| of the rounding of a Gaussian number, by sampling
    draws = -rate * (end - target + noise * np.random.default_rng(0).normal(size=200_000)) / step
    rounded = np.floor(draws + np.random.default_rng(1).uniform(size=draws.size))
    drift = float(found.drift(end, rounded.mean(), np.abs(rounded).mean())[0])
    assert abs(drift) < 0.02 * abs(float(found.drift(end, 0.0, np.abs(rounded).mean())[0]))
    # the same in terms of the penalty: (w − w0) + E|n|·step/rate·penalty' = 0
    slope = np.gradient(found.penalty(), found.share)
    here = float(np.interp(end, found.share, slope))
    assert end - target == pytest.approx(-here * np.abs(rounded).mean() * step / rate, rel=0.05)
    assert target - end > 0.05
