"""Periphery against plain numpy models: quantisers, errors, noise, gradients, order of combination, sharing."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from memspike import InputError, arrays
from memspike.arrays import converters
from memspike.arrays.converters import ADC, DAC, Identity, SenseAmplifier
from memspike.arrays.periphery import AfterConversion, BeforeConversion, Periphery
from memspike.devices.variation.fabricate import Absolute, fabricate

FULL = 20e-6

run = eqx.filter_jit(lambda stage, x, key=None: stage(x, key=key))
codes = eqx.filter_jit(lambda adc, x: adc.codes(x))
volts = eqx.filter_jit(lambda stage, x, key=None: stage.volts(x, key=key))
sense = eqx.filter_jit(lambda periphery, i, gains, key=None: periphery.sense(i, gains, key=key))


def levels(bits, full, bipolar):
    """Every output of an ideal converter, by counting."""
    top = 2 ** (bits - 1) - 1 if bipolar else 2**bits - 1
    return np.arange(-top if bipolar else 0, top + 1) * full / top


def nearest(x, bits, full, bipolar):
    """The ideal converter by its transition levels: codes are counted, not rounded."""
    out = levels(bits, full, bipolar)
    return out[np.searchsorted(0.5 * (out[1:] + out[:-1]), x)]


KINDS = st.booleans().flatmap(lambda b: st.tuples(st.integers(2 if b else 1, 24), st.just(b)))


@settings(max_examples=100, deadline=None)
@given(kind=KINDS, share=st.floats(-1, 1), log=st.floats(-12, 0))
def test_error_is_at_most_half_a_step_in_the_whole_range(kind, share, log):
    bits, bipolar = kind
    with jax.enable_x64(True):
        adc = ADC(bits, 10**log, bipolar=bipolar)
        x = 10**log * (share if bipolar else abs(share))
        found = run(adc, jnp.asarray(x))
        assert abs(float(found) - x) <= 0.5 * float(adc.lsb) * (1 + 1e-6)
        assert float(found) == pytest.approx(float(codes(adc, jnp.asarray(x)) * adc.lsb), rel=1e-14)
        driven = run(DAC(bits, 10**log * 1e3, bipolar=bipolar), jnp.asarray(x * 1e3))
        assert float(driven) == pytest.approx(float(found) * 1e3, rel=1e-9)


@pytest.mark.parametrize("bipolar", [True, False])
@pytest.mark.parametrize("bits", [1, 2, 3, 6, 9])
def test_all_codes_appear_in_order(bits, bipolar):
    bits = bits + bipolar
    adc = ADC(bits, FULL, bipolar=bipolar)
    wanted = levels(bits, FULL, bipolar)
    sweep = jnp.linspace(-1.3 * FULL, 1.3 * FULL, 40 * 2**bits)
    found = np.asarray(run(adc, sweep))
    assert (np.diff(found) >= 0).all()
    np.testing.assert_allclose(np.unique(found), wanted, rtol=1e-6, atol=1e-6 * FULL)
    counted = np.unique(codes(adc, sweep))
    np.testing.assert_array_equal(counted, np.round(wanted / wanted[-1] * (len(wanted) - 1) / (1 + bipolar)))
    assert len(wanted) == 2**bits - bipolar
    if bipolar:
        np.testing.assert_array_equal(run(adc, -sweep), -found)


@pytest.mark.parametrize("bits", range(2, 25))
def test_ends_and_zero_are_exact_in_single_precision(bits):
    wanted = np.array([0, FULL, FULL], np.float32)
    for converter in (ADC(bits, FULL), ADC(bits, FULL, bipolar=False), DAC(bits, FULL)):
        np.testing.assert_array_equal(run(converter, jnp.asarray([0.0, FULL, 3 * FULL])), wanted)
    top = 2 ** (bits - 1) - 1
    np.testing.assert_array_equal(codes(ADC(bits, FULL), jnp.asarray([-9 * FULL, 0.0, FULL])), [-top, 0, top])
    assert float(run(ADC(bits, FULL, bipolar=False), jnp.asarray(-FULL))) == 0


@pytest.mark.parametrize("bits", [4, 8, 12])
def test_quantisation_noise_of_a_uniform_input(x64, bits):
    adc = ADC(bits, FULL)
    i = jax.random.uniform(jax.random.key(0), (200_000,), minval=-FULL, maxval=FULL)
    error = np.asarray((run(adc, i) - i) / adc.lsb)
    assert error.var() == pytest.approx(1 / 12, rel=0.01)
    assert error.mean() == pytest.approx(0, abs=5 * (1 / 12 / 2e5) ** 0.5)
    assert np.abs(error).max() <= 0.5 + 1e-9


INL = np.array([0.4, -0.9, 0.3, 0.0, 1.2, -0.5, -0.2])


@pytest.mark.parametrize("bipolar", [True, False])
@pytest.mark.parametrize("table", [None, INL, np.sin(np.arange(63))])
def test_offset_gain_and_inl_of_every_column(x64, bipolar, table):
    rng = np.random.default_rng(3)
    columns, bits = 5, 6
    offset, gain = rng.normal(0, 0.05 * FULL, columns), rng.normal(0, 0.1, columns)
    adc = ADC(bits, FULL, bipolar=bipolar, offset=jnp.asarray(offset), gain_error=jnp.asarray(gain), inl=table)
    i = rng.uniform(-1.3 * FULL, 1.3 * FULL, (4, 300, columns))
    low = -FULL if bipolar else 0.0
    seen = np.clip(i * (1 + gain) + offset, low, FULL)
    step = levels(bits, FULL, bipolar)[-1] - levels(bits, FULL, bipolar)[-2]
    if table is not None:
        seen = seen + step * np.interp(seen, np.linspace(low, FULL, len(table)), table)
    np.testing.assert_allclose(run(adc, jnp.asarray(i)), nearest(seen, bits, FULL, bipolar), rtol=1e-12, atol=1e-20)


def test_dac_with_errors_of_every_row(x64):
    rng = np.random.default_rng(4)
    offset, gain = rng.normal(0, 2e-3, 7), rng.normal(0, 0.02, 7)
    dac = DAC(5, 0.3, offset=jnp.asarray(offset), gain_error=jnp.asarray(gain))
    v = rng.uniform(-0.4, 0.4, (50, 7))
    wanted = (1 + gain) * nearest(np.clip(v, -0.3, 0.3), 5, 0.3, True) + offset
    np.testing.assert_allclose(run(dac, jnp.asarray(v)), wanted, rtol=1e-12)


@pytest.mark.parametrize("converter", [ADC(5, FULL), DAC(5, FULL), ADC(24, FULL, inl=INL), ADC(3, FULL, noise=1e-9)])
def test_gradient_is_one_inside_and_zero_where_clipped(converter):
    x = FULL * jnp.asarray([-jnp.inf, -5.0, -1.01, -1.0, -0.37, 0.0, 0.1, 1.0, 1.01, 9.0])
    gradient = jax.jit(jax.grad(lambda x: converter(x).sum()))(x)
    np.testing.assert_allclose(gradient, [0, 0, 0, 1, 1, 1, 1, 1, 0, 0], rtol=1e-6)
    noisy = jax.jit(jax.grad(lambda x: converter(x, key=jax.random.key(0)).sum()))(FULL * jnp.asarray([0.0, 0.5, -2.0]))
    np.testing.assert_allclose(noisy, [1, 1, 0], rtol=1e-6)


def test_gradients_of_the_errors_are_those_of_the_ideal_transfer(x64):
    """Finite differences of the clipped straight line; the full scale in closed form."""
    i = jnp.asarray(np.random.default_rng(5).uniform(-1.2 * FULL, 1.2 * FULL, 40))
    weights = np.random.default_rng(6).normal(size=40)
    adc = ADC(6, FULL, offset=0.05 * FULL, gain_error=0.1, noise=0.02 * FULL)
    key = jax.random.key(1)
    gradient = eqx.filter_jit(eqx.filter_grad(lambda adc: (adc(i, key=key) * weights).sum()))(adc)
    xi = np.asarray(jax.random.normal(key, i.shape, i.dtype))
    start = {"offset": 0.05 * FULL, "gain_error": 0.1, "noise": 0.02 * FULL}

    def ideal(p):
        return np.clip((1 + p["gain_error"]) * (np.asarray(i) + p["noise"] * xi) + p["offset"], -FULL, FULL)

    for name, value in start.items():
        h = 1e-7 * max(value, FULL)
        slope = (ideal(start | {name: value + h}) - ideal(start | {name: value - h})) / (2 * h)
        assert float(getattr(gradient, name)) == pytest.approx(slope @ weights, rel=1e-6), name
    seen = (1 + 0.1) * (np.asarray(i) + 0.02 * FULL * xi) + 0.05 * FULL
    clipped = np.abs(seen) > FULL
    rounding = (nearest(seen, 6, FULL, True) - seen) / FULL
    assert 3 < clipped.sum() < 20
    assert float(gradient.range) == pytest.approx(np.where(clipped, np.sign(seen), rounding) @ weights, rel=1e-9)
    assert float(gradient.bits) == 0


def test_noise_statistics(x64):
    i, key, draws = jnp.full(100_000, 3e-6), jax.random.key(2), 1e5
    noisy = np.asarray(run(ADC(14, FULL, noise=0.2e-6), i, key))
    assert noisy.mean() == pytest.approx(3e-6, abs=5 * 0.2e-6 / draws**0.5)
    assert noisy.std() == pytest.approx(0.2e-6, rel=0.01)
    driven = np.asarray(run(DAC(14, 1.0, noise=2e-3), jnp.full(100_000, 0.25), key))
    assert driven.std() == pytest.approx(2e-3, rel=0.01)
    amplifier = SenseAmplifier(50e3, noise_density=3e-12, bandwidth=4e6)
    assert np.asarray(volts(amplifier, i, key)).std() == pytest.approx(50e3 * 3e-12 * 2e3, rel=0.01)
    assert np.asarray(run(amplifier, i, key)).std() == pytest.approx(6e-9, rel=0.01)
    for stage in (ADC(8, FULL, noise=1e-6), DAC(8, 1.0, noise=1e-6), amplifier):
        np.testing.assert_array_equal(run(stage, i), run(stage, i)[0])
        np.testing.assert_array_equal(run(stage, i, key), run(stage, i, key))
        assert (np.asarray(run(stage, i, key)) != np.asarray(run(stage, i, jax.random.key(3)))).any()


def test_a_chip_draws_its_own_offsets():
    chip = fabricate(
        ADC(8, FULL), {"offset": Absolute(1e-7), "gain_error": Absolute(0.02)}, shape=(5000,), key=jax.random.key(0)
    )
    assert chip.offset.shape == chip.gain_error.shape == (5000,)
    assert np.asarray(chip.offset).std() == pytest.approx(1e-7, rel=0.05)
    found = np.asarray(run(chip, jnp.full((3, 5000), 0.5 * FULL)))
    wanted = nearest((1 + np.asarray(chip.gain_error)) * 0.5 * FULL + np.asarray(chip.offset), 8, FULL, True)
    assert (np.abs(found - wanted[None]) < 1e-6 * FULL).mean() > 0.999
    dac = fabricate(DAC(8, 1.0), {"offset": Absolute(1e-3)}, shape=(6,), key=jax.random.key(1))
    np.testing.assert_allclose(run(dac, jnp.zeros((2, 6))), np.broadcast_to(dac.offset, (2, 6)))


def test_vmap_is_a_loop_and_a_sweep_of_bits_is_one_program(x64):
    amplifier = SenseAmplifier(40e3, swing=0.5, noise_density=1e-12, bandwidth=1e6)
    stages = (ADC(5, FULL, noise=1e-7, inl=INL), DAC(5, FULL, noise=1e-7), amplifier, Identity())
    i = jax.random.uniform(jax.random.key(0), (6, 4), minval=-FULL, maxval=FULL)
    keys = jax.random.split(jax.random.key(1), 6)
    for stage in stages:
        mapped = eqx.filter_jit(eqx.filter_vmap(run, in_axes=(None, 0, 0)))(stage, i, keys)
        np.testing.assert_allclose(mapped, [run(stage, x, k) for x, k in zip(i, keys, strict=True)], rtol=1e-12)
    traced = []

    @jax.jit
    def error(bits):
        traced.append(bits)
        return jnp.square(ADC(bits, FULL)(i) - i).mean()

    found = jax.vmap(error)(jnp.arange(2.0, 13.0))
    wanted = [np.square(nearest(np.asarray(i), b, FULL, True) - np.asarray(i)).mean() for b in range(2, 13)]
    np.testing.assert_allclose(found, wanted, rtol=1e-9)
    assert len(traced) == 1


def test_calibration_to_a_quantile(x64):
    i = jnp.asarray(np.random.default_rng(0).standard_t(3, (400, 8)) * 1e-6)
    adc = ADC(6, 1.0)
    assert float(converters.calibrated_converter(adc, i).range) == float(jnp.abs(i).max())
    assert float(converters.calibrated_converter(adc, i, 0.99).range) == pytest.approx(
        np.quantile(np.abs(i), 0.99), rel=1e-12
    )
    unipolar = converters.calibrated_converter(ADC(6, 1.0, bipolar=False, offset=1e-7, gain_error=0.5), i)
    assert float(unipolar.range) == pytest.approx(1.5 * np.asarray(i).max() + 1e-7, rel=1e-12)
    assert unipolar.bipolar is False
    every = jax.vmap(lambda column: converters.calibrated_converter(adc, column).range, in_axes=1)(i)
    np.testing.assert_array_equal(ADC(6, every).range, np.abs(i).max(axis=0))


SAMPLES = {
    "normal": lambda rng: rng.normal(0, 1e-6, 4000),
    "heavy tails": lambda rng: rng.standard_t(2, 4000) * 1e-6,
    "uniform": lambda rng: rng.uniform(-1e-6, 1e-6, 4000),
    "sparse": lambda rng: rng.exponential(1e-6, 4000) * (rng.random(4000) < 0.1),
    "two values": lambda rng: np.repeat([0.5e-6, 1e-6], [900, 10]),
}


@pytest.mark.parametrize(("bits", "bipolar"), [(2, True), (4, True), (4, False), (7, True)])
@pytest.mark.parametrize("kind", SAMPLES)
def test_range_of_least_squares_against_brute_force(x64, kind, bits, bipolar):
    i = SAMPLES[kind](np.random.default_rng(1))
    top = 2 ** (bits - 1) - 1 if bipolar else 2**bits - 1

    def error(full):
        low = -top if bipolar else 0
        return np.square(np.clip(np.round(i / full * top), low, top) * full / top - i).mean()

    best = min(error(full) for full in np.abs(i).max() * np.linspace(2e-3, 2.0, 2000))
    found = converters.calibrated_least_squares(ADC(bits, 1.0, bipolar=bipolar), jnp.asarray(i))
    assert error(float(found.range)) <= best * 1.001 + 1e-30
    assert error(float(found.range)) <= error(np.abs(i).max()) * (1 + 1e-9)
    if kind == "normal" and bits == 2:
        # the best quantiser of a normal variable with three levels, Max, IRE Trans. Inf. Theory 6: 7 (1960), Table I
        assert float(found.range) == pytest.approx(1.224e-6, rel=0.03)


def test_amplifier_settles_like_its_pole(x64):
    tau, r_f, i = 2e-6, 30e3, 4e-6
    for t in (1e-7, 2e-6, 2e-5):
        pole = solve_ivp(lambda _, v: (r_f * i - v) / tau, (0, t), [0.0], rtol=1e-10, atol=1e-14)
        amplifier = SenseAmplifier(r_f, tau=tau, integration=t, offset=1e-3)
        assert float(volts(amplifier, jnp.asarray(i))) == pytest.approx(pole.y[0, -1] + 1e-3, rel=1e-7)
    gradient = jax.jit(jax.grad(lambda tau: SenseAmplifier(r_f, tau=tau).volts(jnp.asarray(i))))(jnp.asarray(0.0))
    assert float(gradient) == 0


def test_amplifier_offset_trim_and_swing(x64):
    rng = np.random.default_rng(8)
    gain, offset = rng.normal(0, 0.1, 6), rng.normal(0, 0.05, 6)
    i = rng.uniform(-40e-6, 40e-6, (30, 6))
    amplifier = SenseAmplifier(25e3, gain_error=jnp.asarray(gain), offset=jnp.asarray(offset), swing=0.8)
    wanted = np.clip(25e3 * (1 + gain) * i + offset, -0.8, 0.8)
    np.testing.assert_allclose(volts(amplifier, jnp.asarray(i)), wanted, rtol=1e-12)
    np.testing.assert_allclose(run(amplifier, jnp.asarray(i)), wanted / 25e3, rtol=1e-12)
    trimmed = SenseAmplifier(25e3, gain_error=jnp.asarray(gain), trim=jnp.asarray(1 / (1 + gain)))
    np.testing.assert_allclose(run(trimmed, jnp.asarray(i)), i, rtol=1e-12)
    slope = jax.jit(jax.grad(lambda x: SenseAmplifier(25e3, swing=0.8)(x).sum()))(jnp.asarray(i))
    np.testing.assert_allclose(slope, np.abs(25e3 * i) <= 0.8, rtol=1e-12)


def test_gradients_of_the_amplifier_are_finite_differences(x64):
    values = {"r_f": 30e3, "gain_error": 0.05, "trim": 0.9, "offset": 1e-3, "swing": 0.1}
    values |= {"noise_density": 1e-11, "bandwidth": 1e6, "tau": 1e-6, "integration": 1.5e-6}
    i, key = jnp.linspace(-8e-6, 8e-6, 9), jax.random.key(0)
    loss = jax.jit(lambda p: (SenseAmplifier(**p).volts(i, key=key) * jnp.arange(9.0)).sum())
    gradient = jax.jit(jax.grad(loss))({k: jnp.asarray(v) for k, v in values.items()})
    for name, value in values.items():
        h = 1e-6 * value
        slope = float(loss(values | {name: value + h}) - loss(values | {name: value - h})) / (2 * h)
        assert float(gradient[name]) == pytest.approx(slope, rel=1e-5), name


def test_comparator(x64):
    amplifier = SenseAmplifier(1e5, offset=0.02, comparator_offset=jnp.asarray([0.0, 0.1, -0.3]), swing=1.0)
    i = np.random.default_rng(0).uniform(-5e-6, 5e-6, (50, 3))
    wanted = i * 1e5 + 0.02 > np.array([0.0, 0.1, -0.3])
    np.testing.assert_array_equal(amplifier.decide(jnp.asarray(i)), wanted)
    assert 0 < wanted.mean() < 1
    slope = jax.jit(jax.grad(lambda x: amplifier.decide(x).sum()))(jnp.asarray([0.0, 5e-6, 2e-5]))
    np.testing.assert_allclose(slope, [1e5 / 2, 1e5 / 2, 0], rtol=1e-12)


def lines(shape=(2, 7, 5), size=8e-6, seed=0):
    return np.random.default_rng(seed).uniform(0, size, shape)


@pytest.mark.parametrize("gains", [(1.0, -1.0), (1.0, 4.0, 16.0), (1.0,)])
def test_orders_against_numpy(x64, gains):
    i = lines((len(gains), 3, 5))
    weights = np.array(gains)[:, None, None]
    adc = ADC(5, 10e-6, gain_error=0.03)
    amplifier = SenseAmplifier(50e3, offset=0.01)
    convert = lambda x: nearest(np.clip(1.03 * (x + 0.01 / 50e3), -10e-6, 10e-6), 5, 10e-6, True)  # noqa: E731
    ideal = Periphery(order=AfterConversion())
    np.testing.assert_allclose(sense(ideal, jnp.asarray(i), gains), (weights * i).sum(0), rtol=1e-9, atol=1e-18)
    assert ideal.conversions(len(gains), 5) == 0
    before, after = (Periphery(Identity(), amplifier, adc, order) for order in (BeforeConversion(), AfterConversion()))
    np.testing.assert_allclose(
        sense(before, jnp.asarray(i), gains), convert((weights * i).sum(0)), rtol=1e-9, atol=1e-18
    )
    np.testing.assert_allclose(
        sense(after, jnp.asarray(i), gains), (weights * convert(i)).sum(0), rtol=1e-9, atol=1e-18
    )
    assert before.conversions(len(gains), 5) == 5
    assert after.conversions(len(gains), 5) == 5 * len(gains)


@settings(max_examples=30, deadline=None)
@given(common=st.floats(0, 5e-5), difference=st.floats(-4e-6, 4e-6))
def test_a_common_mode_beyond_the_range_clips_only_after_conversion(common, difference):
    with jax.enable_x64(True):
        full = 10e-6
        i = jnp.asarray([[common + max(difference, 0.0)], [common + max(-difference, 0.0)]])
        adc = ADC(12, full)
        before = sense(Periphery(adc=adc, order=BeforeConversion()), i, (1.0, -1.0))[0]
        after = sense(Periphery(adc=adc, order=AfterConversion()), i, (1.0, -1.0))[0]
        assert float(before) == pytest.approx(difference, abs=0.5001 * float(adc.lsb))
        kept = float(min(i[0, 0], full) - min(i[1, 0], full))
        assert float(after) == pytest.approx(kept, abs=1.0001 * float(adc.lsb))
        if common > full:
            assert float(after) == 0


def test_offsets_cancel_where_lines_share_a_converter_and_add_where_not(x64):
    i = jnp.asarray(lines())
    shared = Periphery(adc=ADC(20, 20e-6, offset=jnp.linspace(-1e-6, 1e-6, 5)), order=AfterConversion())
    np.testing.assert_allclose(sense(shared, i, (1.0, -1.0)), i[0] - i[1], atol=1e-10)
    alone = sense(Periphery(adc=shared.adc), i, (1.0, -1.0))
    np.testing.assert_allclose(alone, i[0] - i[1] + jnp.linspace(-1e-6, 1e-6, 5)[None], atol=1e-10)
    own = np.random.default_rng(1).normal(0, 1e-6, (2, 5))
    separate = Periphery(adc=ADC(20, 20e-6, offset=jnp.asarray(own)), order=AfterConversion())
    np.testing.assert_allclose(sense(separate, i, (1.0, -1.0)), i[0] - i[1] + (own[0] - own[1])[None], atol=1e-10)
    flat = sense(separate, i[:, 0], (1.0, -1.0))
    np.testing.assert_allclose(flat, i[0, 0] - i[1, 0] + own[0] - own[1], atol=1e-10)


def test_noise_of_the_lines_is_independent_and_the_gradient_is_straight(x64):
    i, key = jnp.full((2, 100_000), 3e-6), jax.random.key(0)
    adc = ADC(16, FULL, noise=1e-7)
    for order, scale in ((BeforeConversion(), 1.0), (AfterConversion(), 2**0.5)):
        periphery = Periphery(adc=adc, amplifier=SenseAmplifier(1e3, noise_density=1e-7), order=order)
        found = np.asarray(sense(periphery, i, (1.0, -1.0), key))
        assert found.std() == pytest.approx(scale * 2**0.5 * 1e-7, rel=0.01)
        slope = jax.jit(jax.grad(lambda i: periphery.sense(i, (1.0, -3.0), key=key).sum()))(i[:, :4])  # noqa: B023
        np.testing.assert_allclose(slope, [[1.0] * 4, [-3.0] * 4], rtol=1e-12)


def test_a_wafer_is_a_vmap(x64):
    i = jnp.asarray(lines())
    spread = {"adc.offset": Absolute(1e-6), "adc.gain_error": Absolute(0.01)}
    nominal = Periphery(adc=ADC(6, FULL), order=AfterConversion())
    draw = eqx.filter_jit(lambda key: fabricate(nominal, spread, shape=(2, 5), key=key))
    keys = jax.random.split(jax.random.key(0), 3)
    wafer = eqx.filter_jit(eqx.filter_vmap(lambda key: draw(key).sense(i, (1.0, -1.0))))(keys)
    np.testing.assert_allclose(wafer, [sense(draw(key), i, (1.0, -1.0)) for key in keys], rtol=1e-12, atol=1e-20)
    assert float(jnp.abs(wafer[0] - wafer[1]).max()) > 1e-7


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize(("columns", "each"), [(8, 4), (10, 4), (5, 1), (3, 8)])
def test_shared_converters(x64, columns, each, interleaved):
    """The turn of every column by dealing the columns out to the converters."""
    shared = arrays.Shared(each, interleaved=interleaved, droop=200.0)
    count = shared.converters(columns)
    assert count == int(np.ceil(columns / each))
    served = [[] for _ in range(count)]
    turn = []
    for column in range(columns):
        queue = served[column % count if interleaved else column // each]
        turn.append(len(queue))
        queue.append(column)
    assert max(map(len, served)) <= each
    np.testing.assert_allclose(shared.sample_times(columns, 2e-6), np.array(turn) * 2e-6, rtol=1e-12)
    held = solve_ivp(lambda _, x: -200.0 * x, (0, 1e-2), [1.0], t_eval=np.array(sorted(set(turn))) * 1e-3, rtol=1e-10)
    wanted = dict(zip(sorted(set(turn)), held.y[0], strict=True))
    np.testing.assert_allclose(shared.held(columns, 1e-3), [wanted[k] for k in turn], rtol=1e-6)
    np.testing.assert_array_equal(arrays.Shared(each, interleaved=interleaved).held(columns, 1e-3), 1)


def of_lines(count, order):
    return Periphery(adc=ADC(8, FULL, offset=jnp.zeros((count, 4))), order=order).sense(jnp.zeros((2, 4)), (1.0, -1.0))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ADC(0, FULL), r"ADC.bits \(resolution\) is 0 bit; allowed: 1 to 24 bit"),
        (lambda: ADC(float("nan"), FULL), "is nan bit"),
        (lambda: ADC(7.5, FULL), "is 7.5; allowed: whole numbers from 2 to 24"),
        (lambda: ADC(1, FULL), "bits of a bipolar converter is 1; allowed: whole numbers from 2 to 24"),
        (lambda: DAC(2.5, FULL, bipolar=False), "DAC.bits of a unipolar converter is 2.5; .* from 1 to 24"),
        (lambda: ADC(8, 0.0), r"ADC.range .* is 0 A"),
        (lambda: ADC(8, -1e-6), r"ADC.range .* is -1e-06 A"),
        (lambda: DAC(8, float("inf")), r"DAC.range .* is inf V"),
        (lambda: ADC(8, FULL, offset=jnp.asarray([0.0, jnp.nan])), "ADC.offset .* is nan A"),
        (lambda: ADC(8, FULL, noise=-1.0), "ADC.noise"),
        (lambda: ADC(8, FULL, inl=[0.3, float("inf")]), "two or more finite deviations"),
        (lambda: ADC(8, FULL, offset=jnp.zeros(3))(jnp.zeros((2, 4))), r"\(3,\).* do not broadcast .* \(2, 4\)"),
        (lambda: SenseAmplifier(0.0), "SenseAmplifier.r_f"),
        (lambda: SenseAmplifier(1e4, swing=0.0), "SenseAmplifier.swing"),
        (lambda: arrays.Shared(0), "columns_per_adc is 0 .*a whole number from 1 to"),
        (
            lambda: converters.calibrated_converter(ADC(8, FULL), jnp.ones(3), 1.5),
            "quantile is 1.5; allowed: above 0, up to 1",
        ),
        (lambda: converters.calibrated_converter(ADC(8, FULL), jnp.zeros(3)), "3 sample currents give no range"),
        (lambda: converters.calibrated_converter(ADC(8, FULL), jnp.zeros(0)), "0 sample currents"),
        (lambda: converters.calibrated_least_squares(ADC(8, FULL), jnp.asarray([1.0, jnp.nan])), "finite ones"),
        (
            lambda: converters.calibrated_least_squares(ADC(8, FULL, bipolar=False), -jnp.ones(4)),
            "not all 0 or clipped",
        ),
        (lambda: Periphery().sense(jnp.zeros((2, 3)), (1.0,)), "same number of lines"),
        (lambda: of_lines(2, BeforeConversion()), "at most"),
        (lambda: of_lines(3, AfterConversion()), r"behind 2 lines has shape \(3, 4\); allowed: \[2, columns\]"),
    ],
)
def test_refusals(make, words):
    with pytest.raises(InputError, match=words) as caught:
        make()
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
