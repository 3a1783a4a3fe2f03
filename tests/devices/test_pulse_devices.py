"""Laws of the pulse devices against their published equations, written here independently."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memspike import InputError, devices
from memspike.devices import labels
from memspike.devices.asymmetry import asymmetry
from memspike.devices.base import span
from memspike.devices.presets import neurosim
from memspike.learning.programming.bit_lines import bit_line_counts
from memspike.learning.programming.counting import stochastic_rounding
from memspike.parts.registry import DEVICES

ANCHORS = [(2.40, 0.4992), (-4.88, -0.2003), (0.5, 2.5199), (1.94, 0.6292), (-0.61, -2.0633), (3.68, 0.3006)]
STRONG = {"ag-a-si": 0.337, "pcmo": 0.272}


def law(name):
    return neurosim.from_table(name).device.device


def share(device, g):
    return (np.asarray(g) - float(device.g_min)) / float(device.g_max - device.g_min)


# 1. labels


@pytest.mark.parametrize(("nl", "a"), [*ANCHORS, (-6.76, -0.1003)])
def test_label_to_curvature_anchors(nl, a):
    assert 1 / labels.curvature(nl) == pytest.approx(a, abs=6e-5)
    assert labels.label(1 / a) == pytest.approx(nl, abs=5e-3)


def test_labels_are_monotone_and_round_trip():
    nl = np.linspace(-9, 9, 401)
    k = labels.curvature(nl)
    assert (np.diff(k) > 0).all()
    np.testing.assert_allclose(labels.label(k), nl, atol=1e-9)


def test_small_label_limit_is_linear(x64):
    assert 1 / labels.curvature(0.01) == pytest.approx(126.27, rel=2e-3)
    device = devices.SoftBounds.from_labels(1e-5, -1e-5)
    steps = np.diff([share(device, device.program(device.init(), n)) for n in range(101)])
    np.testing.assert_allclose(steps, 0.01, rtol=1e-4)


def test_label_is_the_largest_deviation_from_the_straight_line():
    u = np.linspace(0, 1, 200_001)
    for k in (0.5, 2.0, 10.0):
        curve = np.expm1(-k * u) / np.expm1(-k)
        assert labels.label(k) == pytest.approx(10.1015 * (curve - u).max(), rel=1e-6)


# 2. closed form against the equations of the manual


def manual(g, n, a_up, a_down, p_up, p_down):
    """NeuroSim: where on the curve am I, go n pulses on, clip; normalised."""
    a, p = (a_up, p_up) if n > 0 else (a_down, p_down)
    a = a * p
    b = 1 / (1 - np.exp(-p / a))
    x = -a * np.log(1 - g / b)
    return np.clip(b * (1 - np.exp(-(x + n) / a)), 0, 1)


@pytest.mark.parametrize("name", list(neurosim.TABLE))
@pytest.mark.parametrize("n", [1, -1, 7, -7])
def test_affine_map_is_the_manuals(x64, name, n):
    device, row = law(name), neurosim.TABLE[name]
    a_up, a_down = (1 / labels.curvature(nl) for nl in row.labels)
    g = np.linspace(0.02, 0.98, 25)
    state = device.place(device.init((25,)), device.g_min + (device.g_max - device.g_min) * g)
    np.testing.assert_allclose(
        share(device, device.program(state, n)), manual(g, n, a_up, a_down, *row.levels), rtol=1e-12, atol=1e-12
    )


COMPOSABLE = ["soft-bounds", "linear-step", "power-step", "log-step", "piecewise-step", "ideal"]


@pytest.mark.parametrize("name", COMPOSABLE)
@settings(max_examples=25, deadline=None)
@given(a=st.integers(1, 40), b=st.integers(1, 40), sign=st.sampled_from([1, -1]), start=st.floats(0.2, 0.8))
def test_pulses_of_one_sign_compose(name, a, b, sign, start):
    with jax.enable_x64(True):
        device = DEVICES.get(name).value()
        state = device.place(device.init(), device.g_min + (device.g_max - device.g_min) * start)
        twice = device.program(device.program(state, sign * a), sign * b)
        np.testing.assert_allclose(
            share(device, twice), share(device, device.program(state, sign * (a + b))), atol=1e-12
        )


@pytest.mark.parametrize("name", list(neurosim.TABLE))
def test_a_full_sweep_takes_the_stated_pulses(x64, name):
    device, row = law(name), neurosim.TABLE[name]
    top = device.program(device.init(), row.levels[0])
    assert share(device, top) == pytest.approx(1, abs=1e-9)
    assert share(device, device.program(device.init(), row.levels[0] - 1)) < 1
    assert share(device, device.program(top, -row.levels[1])) == pytest.approx(0, abs=1e-9)
    assert share(device, device.program(top, 1 - row.levels[1])) > 0


def test_the_rates_form_has_its_asymptotes_at_the_bounds(x64):
    device = devices.SoftBounds.from_rates(0.02, 0.09, g_min=0.0, g_max=1.0)
    g = jnp.linspace(0.0, 1.0, 9)
    np.testing.assert_allclose(device.program(g, 5), 1 - (1 - g) * np.exp(-0.1), rtol=1e-12)
    np.testing.assert_allclose(device.program(g, -5), g * np.exp(-0.45), rtol=1e-12, atol=1e-16)


# 3. and 4. named devices, symmetry points


def test_ag_a_si():
    device = law("ag-a-si")
    assert float(device.g_max) == pytest.approx(38.462e-9, rel=1e-4)
    assert float(device.g_min) == pytest.approx(3.0769e-9, rel=1e-4)
    assert float(device.program(device.init(), 97)) == pytest.approx(float(device.g_max), rel=1e-6)


def formula(device):
    s_p = -np.expm1(-float(device.curvature_up) / float(device.pulses_up))
    s_d = -np.expm1(float(device.curvature_down) / float(device.pulses_down))
    b_p = 1 / -np.expm1(-float(device.curvature_up))
    b_d = 1 / -np.expm1(-float(device.curvature_down))
    return (s_p * b_p + s_d * b_d) / (s_p + s_d)


TABLE_G_STAR = {
    "ag-a-si": 0.337, "taox-tio2": 0.504, "taox-hfox": 0.465, "pcmo": 0.272, "alox-hfo2": 0.581, "epiram": 0.500,
}  # fmt: skip
TABLE_ANL = {
    "ag-a-si": 0.655, "taox-tio2": 0.355, "taox-hfox": 0.066, "pcmo": 0.834, "alox-hfo2": 0.249, "gst-pcm": -0.221,
    "epiram": 0.099, "hzo-fefet": 0.028,
}  # fmt: skip


@pytest.mark.parametrize(("name", "g_star"), TABLE_G_STAR.items())
def test_symmetry_point_of_the_table(x64, name, g_star):
    device = law(name)
    found = asymmetry(device)
    assert formula(device) == pytest.approx(g_star, abs=3e-3)
    assert found.symmetry_point == pytest.approx(formula(device), abs=2e-3)
    assert found.attracting


@pytest.mark.parametrize(("name", "anl"), TABLE_ANL.items())
def test_half_range_asymmetry_of_the_table(x64, name, anl):
    # share reached by half of a sweep from G_min less that left by half of one from G_max: 0 where they retrace
    device, (up, down) = law(name), neurosim.TABLE[name].levels
    risen, fallen = device.program(device.g_min, up / 2), device.program(device.g_max, -down / 2)
    assert float((risen - fallen) / span(device)) == pytest.approx(anl, abs=2e-3)


@pytest.mark.parametrize(("name", "g_star"), STRONG.items())
def test_random_pulses_drive_to_the_symmetry_point(name, g_star):
    device = law(name)
    state = device.place(device.init((4000,)), jnp.full((4000,), 0.5 * (device.g_min + device.g_max)))

    def step(g, key):
        return device.program(g, jax.random.choice(key, jnp.asarray([1.0, -1.0]), g.shape)), None

    end = jax.lax.scan(step, state, jax.random.split(jax.random.key(0), 600))[0]
    assert share(device, end).mean() == pytest.approx(g_star, abs=0.01)


def test_the_pcm_row_repels(x64):
    device = law("gst-pcm")
    found = asymmetry(device)
    assert found.symmetry_point == pytest.approx(0.565, abs=3e-3)
    assert not found.attracting
    ends = []
    for side in (-0.02, 0.02):
        g = device.place(device.init(), device.g_min + (device.g_max - device.g_min) * (0.565 + side))
        for _ in range(300):
            g = device.program(device.program(g, 1), -1)
        ends.append(float(share(device, g)))
    assert ends[0] < 0.4
    assert ends[1] > 0.7


# 5. push–pull pair


@pytest.mark.parametrize("name", ["ag-a-si", "pcmo", "taox-tio2"])
@pytest.mark.parametrize("n", [1, 3])
def test_push_pull_identity(x64, name, n):
    device = law(name)
    rng = np.random.default_rng(0)
    plus, minus = rng.uniform(0.2, 0.8, (2, 50))
    to_siemens = lambda s: device.g_min + (device.g_max - device.g_min) * jnp.asarray(s)  # noqa: E731

    def moved(sign):
        up = share(device, device.program(to_siemens(plus), sign * n))
        down = share(device, device.program(to_siemens(minus), -sign * n))
        return (up - down) - (plus - minus)

    k_p, k_d = float(device.curvature_up), float(device.curvature_down)
    s_p, s_d = -np.expm1(-n * k_p / float(device.pulses_up)), -np.expm1(n * k_d / float(device.pulses_down))
    b_p, b_d = 1 / -np.expm1(-k_p), 1 / -np.expm1(-k_d)
    w, c = plus - minus, plus + minus
    common = 0.5 * (s_p * (2 * b_p - c) + s_d * (c - 2 * b_d))
    for sign in (1, -1):
        np.testing.assert_allclose(moved(sign), sign * common - 0.5 * (s_p + s_d) * w, atol=1e-13)


def test_common_mode_settles_at_the_symmetry_point():
    device = devices.SoftBounds.from_rates(0.02, 0.09, g_min=0.0, g_max=1.0)
    plus, minus = jnp.full((2000,), 0.9), jnp.full((2000,), 0.4)

    def step(pair, key):
        n = jax.random.choice(key, jnp.asarray([1.0, -1.0]), pair[0].shape)
        return (device.program(pair[0], n), device.program(pair[1], -n)), None

    plus, minus = jax.lax.scan(step, (plus, minus), jax.random.split(jax.random.key(1), 800))[0]
    s_p, s_d = -np.expm1(-0.02), -np.expm1(-0.09)
    assert float((plus + minus).mean()) / 2 == pytest.approx(s_p / (s_p + s_d), abs=4e-3)


# 6. drift under pulses that cancel on average


@pytest.mark.parametrize("name", STRONG)
def test_where_weights_drift_without_a_signal(name):
    """Push–pull and a reference at g* settle at 0; a reference at mid-range settles at 2·w_s·(g* − ½)."""
    device, g_star = law(name), STRONG[name]
    span = device.g_max - device.g_min
    start = jnp.full((3000,), device.g_min + 0.7 * span)

    def step(pair, key):
        n = jax.random.choice(key, jnp.asarray([1.0, -1.0]), pair[0].shape)
        return (device.program(pair[0], n), device.program(pair[1], -n)), None

    plus, minus = jax.lax.scan(step, (start, start * 0.5), jax.random.split(jax.random.key(2), 600))[0]
    g = share(device, plus)
    assert (g - share(device, minus)).mean() == pytest.approx(0, abs=0.02)
    assert 2 * (g - g_star).mean() == pytest.approx(0, abs=0.02)
    assert 2 * (g - 0.5).mean() == pytest.approx(2 * (g_star - 0.5), abs=0.02)


def test_the_drift_law(x64):
    """E[Δg] = (F·E[n] − A·E|n|)/P of the response functions, for random pulses with a bias."""
    device = law("ag-a-si")
    bias, g0 = 0.3, 0.6
    rng = np.random.default_rng(3)
    n = np.where(rng.uniform(size=200_000) < 0.5 * (1 + bias), 1, -1)
    g = jnp.full(n.shape, device.g_min + g0 * (device.g_max - device.g_min))
    mean = (share(device, device.program(g, jnp.asarray(n))) - g0).mean()
    curve = asymmetry(device, 1001)
    up, down = (np.interp(g0, curve.share, q) for q in (curve.up, curve.down))
    predicted = 0.5 * (up + down) * bias - 0.5 * (down - up)
    error = np.sqrt(1 - bias**2) * 0.5 * (up + down) / np.sqrt(n.size)
    assert mean == pytest.approx(predicted, abs=4 * error)


# 7. whole pulses


@settings(max_examples=20, deadline=None)
@given(wanted=st.floats(-5, 5))
def test_stochastic_rounding_is_unbiased(wanted):
    drawn = np.asarray(stochastic_rounding(jnp.full(20_000, wanted), key=jax.random.key(0)))
    assert set(np.unique(drawn)) <= {np.floor(wanted), np.ceil(wanted), np.floor(wanted) + 1}
    assert drawn.mean() == pytest.approx(wanted, abs=4 * 0.5 / np.sqrt(20_000) + 1e-5)


def test_bit_line_update_is_unbiased():
    rng = np.random.default_rng(4)
    x, d = (jnp.asarray(rng.normal(size=n).astype(np.float32)) for n in (5, 7))
    keys = jax.random.split(jax.random.key(5), 4000)
    n = jax.vmap(lambda k: bit_line_counts(x, d, gain=1.5, key=k))(keys)
    wanted = 1.5 * np.outer(x, d)
    np.testing.assert_allclose(n.mean(axis=0), wanted, atol=5 * np.asarray(n).std(axis=0).max() / np.sqrt(4000))
    assert (np.abs(np.asarray(n)) <= 31).all()


@pytest.mark.parametrize("length", [5, 32, 33, 70])
def test_bit_streams_have_any_length(length):
    """Bits that are always sent meet in every slot; the mean is right where they are not."""
    x, d = jnp.asarray([1.0, -1.0, 0.0], jnp.float32), jnp.asarray([-1.0, 1.0], jnp.float32)
    n = bit_line_counts(x, d, gain=1e6, length=length, key=jax.random.key(0))
    np.testing.assert_array_equal(n, length * np.outer(x, d))
    keys = jax.random.split(jax.random.key(1), 4000)
    some = np.asarray(jax.vmap(lambda k: bit_line_counts(x, d, gain=0.3 * length, length=length, key=k))(keys))
    wanted = 0.3 * length * np.outer(x, d)
    np.testing.assert_allclose(some.mean(0), wanted, atol=5 * some.std(0).max() / 4000**0.5)
    spread = np.abs(wanted) * (1 - 0.3)
    np.testing.assert_allclose(some.var(0), spread, atol=0.12 * spread.max())


# imports


def test_neurosim_import_spellings_and_errors():
    given_set = {
        "maxConductance": 3.8462e-8, "minConductance": 3.0769e-9, "maxNumLevelLTP": 97, "maxNumLevelLTD": 100,
        "NL_LTP": 2.4, "NL_LTD": -4.88, "sigmaCtoC": 0.035, "sigmaDtoD": 0.1, "writeVoltageLTP": 3.2,
    }  # fmt: skip
    imported = devices.from_neurosim(given_set)
    np.testing.assert_allclose(imported.device.device.curvature_up, law("ag-a-si").curvature_up, rtol=1e-6)
    assert float(imported.device.up) == pytest.approx(0.035)
    assert imported.pulse.v_up == 3.2
    chip = devices.fabricate(imported.device, imported.spread, shape=(2000,), key=jax.random.key(0))
    drawn = labels.label(np.asarray(chip.device.curvature_up))
    assert drawn.mean() == pytest.approx(2.4, abs=0.01)
    assert drawn.std() == pytest.approx(0.1, rel=0.1)
    with pytest.raises(InputError, match="lacks gmax"):
        devices.from_neurosim({"Gmin": 1e-9, "levels": 10, "NL_LTP": 1, "NL_LTD": -1})
    with pytest.raises(InputError, match=r"nl_lpt|NL_LPT.*Did you mean .*'nlltp'"):
        devices.from_neurosim(given_set | {"NL_LPT": 1})
    with pytest.raises(InputError, match="a number is needed"):
        devices.from_neurosim(given_set | {"NL_LTP": "2.4"})


def walk(step, w, n):
    for _ in range(n):
        w = w + step(w)
    return w


def in_weights(imported, w, n, w_min, w_max):
    device = imported.device
    while hasattr(device, "device"):
        device = device.device
    g = device.g_min + (w - w_min) / (w_max - w_min) * (device.g_max - device.g_min)
    return w_min + (w_max - w_min) * share(device, device.program(jnp.asarray(g), n))


def test_aihwkit_linear_and_soft_bounds(x64):
    p = {"dw_min": 0.01, "up_down": 0.2, "w_max": 1.2, "w_min": -0.8, "gamma_up": 0.4, "gamma_down": 0.7}
    linear = devices.from_aihwkit({"device": "LinearStepDevice", **p})
    soft = devices.from_aihwkit({"device": "SoftBounds", **p})
    for imported, up, down in ((linear, 0.4, 0.7), (soft, 1.0, 1.0)):
        for w in (-0.5, 0.0, 0.6):
            wanted = walk(lambda w, up=up: 0.01 * (1 - up * w / 1.2), w, 9)
            assert in_weights(imported, w, 9, -0.8, 1.2) == pytest.approx(wanted, abs=1e-12)
            wanted = walk(lambda w, down=down: -0.008 * (1 - down * w / -0.8), w, 9)
            assert in_weights(imported, w, -9, -0.8, 1.2) == pytest.approx(wanted, abs=1e-12)


ASYMMETRIC = {"dw_min": 0.01, "up_down": 0.2, "w_max": 1.0, "w_min": -1.0}
EXPONENTIAL = {"a": -0.5, "b": -0.5, "gamma_up": 5.0, "gamma_down": 5.0, "A_up": -1.18445, "A_down": -0.081404}


@pytest.mark.parametrize(
    ("law", "parameters", "steps"),
    [
        (
            "LinearStep",
            {"dw_min": 0.01, "up_down": -0.3, "w_max": 0.9, "w_min": -0.7, "gamma_up": 0.6, "gamma_down": 0.4},
            [(0.0093333, -0.0071428), (0.007, -0.01), (0.0046667, -0.012857)],
        ),
        ("SoftBounds", ASYMMETRIC | {"w_max": 0.9}, [(0.015556, -0.004), (0.01, -0.008), (0.0044444, -0.012)]),
        ("ConstantStep", ASYMMETRIC, [(0.01, -0.008)] * 3),
        (
            "ExpStep",
            ASYMMETRIC | {"dw_min": 0.00135, "up_down": 0.259359} | EXPONENTIAL,
            [(0.0018081, -0.0012839), (0.0014813, -0.0019914), (0.0013876, -0.0044608)],
        ),
        (
            "PowStep",
            ASYMMETRIC | {"pow_gamma": 1.5, "pow_up_down": -0.2},
            [(0.0070806, -0.00099999), (0.0043528, -0.0028284), (0.0018947, -0.0051962)],
        ),
    ],
)
def test_one_pulse_is_that_of_aihwkit(x64, law, parameters, steps):
    """Weights -0.5, 0 and 0.5 after one pulse up or down in aihwkit 1.2.0, without variation and noise."""
    imported = devices.from_aihwkit({"device": law, **parameters})
    rel = 5e-3 if law == "PowStep" else 2e-4  # our power law is a flow
    for w, pair in zip((-0.5, 0.0, 0.5), steps, strict=True):
        for n, step in zip((1, -1), pair, strict=True):
            found = in_weights(imported, w, n, parameters["w_min"], parameters["w_max"]) - w
            assert found == pytest.approx(step, rel=rel)


def test_aihwkit_exponential_steps(x64):
    reram = devices.aihwkit.from_preset("reram-es")
    s = 0.00135
    wanted = walk(lambda w: s * max(1 + 1.18445 * np.exp(5 * (-0.5 * w - 0.5)), 0), -0.2, 50)
    assert in_weights(reram, -0.2, 50, -1, 1) == pytest.approx(wanted, abs=2e-3)
    wanted = walk(lambda w: s * max(1 + 1.18445 * np.exp(5 * (-0.5 * w - 0.5)), 0), -0.2, 8)
    assert in_weights(reram, -0.2, 8, -1, 1) == pytest.approx(wanted, abs=1e-12)
    s = 0.00135 * (1 - 0.259359)
    wanted = walk(lambda w: -s * max(1 + 0.081404 * np.exp(-5 * (-0.5 * w - 0.5)), 0), 0.5, 50)
    assert in_weights(reram, 0.5, -50, -1, 1) == pytest.approx(wanted, abs=2e-3)


def test_aihwkit_pcm_curve(x64):
    """The discrete rule with its noise is known to run from 0.290 to 1.268 in 20 pulses; 1 unit is 7.4 µS."""
    walked = walk(lambda w: 0.01 * (1 + 27.235 * np.exp(-2.5 * w)), 0.01, 20)
    imported = devices.aihwkit.from_preset("pcm-exp-step")
    assert in_weights(imported, 0.01, 20, 0, 2) == pytest.approx(walked, abs=0.02)
    device = imported.device
    state = device.place(device.init((4000,)), jnp.full((4000,), 0.01 * 7.4e-6))
    for k in range(20):
        state = device.program(state, 1, key=jax.random.key(k))
        if k in (0, 19):
            known = {0: 0.290, 19: 1.268}[k]
            assert float(device.stored(state).mean()) / 7.4e-6 == pytest.approx(known, abs=0.06)


def test_aihwkit_noise_and_errors():
    om = devices.aihwkit.from_preset("reram-array-om").device
    assert float(om.level) == pytest.approx(1.4113 * 0.0949 / 2)
    assert float(om.device.up) == pytest.approx(0.4158 * 0.0949 / 2)
    assert float(devices.aihwkit.from_preset("ecram").device.relative) == pytest.approx(0.3)
    with pytest.raises(InputError, match="Unknown aihwkit device"):
        devices.from_aihwkit({"device": "Vector"})
    with pytest.raises(InputError, match="Did you mean 'dw_min'"):
        devices.from_aihwkit({"device": "SoftBounds", "dwmin": 0.1})
    with pytest.raises(InputError, match="reversed or empty"):
        devices.from_aihwkit({"device": "SoftBounds", "w_max": -1.0, "w_min": 0.5})


def test_aihwkit_default_range_keeps_the_spread_of_w_min(x64):
    """Every preset with its published spread: no cell at 0 S, mean and s.d. of g_min as published."""
    for name in devices.aihwkit.PRESETS:
        imported = devices.aihwkit.from_preset(name)
        path = next((p for p in imported.spread if p.endswith("g_min")), None)
        if path is None:
            continue
        chip = devices.fabricate(imported.device, imported.spread, shape=(20_000,), key=jax.random.key(0))
        low, sd = np.asarray(chip.g_min), imported.spread[path].sd  # pyright: ignore[reportAttributeAccessIssue]
        assert (low <= 0).mean() < 2e-4
        assert low.mean() == pytest.approx(float(imported.device.g_min), rel=0.01)
        assert low.std() == pytest.approx(sd, rel=0.02)
        assert not any("cut off" in note for note in imported.notes)


def test_a_range_that_cuts_the_spread_off_is_said():
    parameters = devices.aihwkit.PRESETS["reram-array-om"][1]
    imported = devices.from_aihwkit(parameters, g_min=1e-6, g_max=10e-6)
    assert float(imported.device.g_min) == pytest.approx(1e-6)
    assert any("35% of the cells below 0 S" in note and "1.03e-05 S avoids it" in note for note in imported.notes)


def test_aihwkit_spread_of_the_balance(x64):
    """aihwkit: scale_up = (gain + r)·dw_min and scale_down = (gain − r)·dw_min, gain 1 ± 0.2 and r 0 ± 0.1."""
    parameters = {"device": "SoftBounds", "w_min": -1.0, "w_max": 1.0, "dw_min_dtod": 0.2, "up_down_dtod": 0.1}
    imported = devices.from_aihwkit(parameters)
    chip = devices.fabricate(imported.device, imported.spread, shape=(20_000,), key=jax.random.key(0)).device
    nominal = imported.device.device
    up, down = (np.asarray(getattr(chip, f"step_{s}") / getattr(nominal, f"step_{s}")) for s in ("up", "down"))
    assert ((up + down) / 2).std() == pytest.approx(0.2, rel=0.03)
    assert ((up - down) / (up + down)).std() == pytest.approx(0.1, rel=0.03)
    assert abs(np.corrcoef(up + down, (up - down) / (up + down))[0, 1]) < 0.03
