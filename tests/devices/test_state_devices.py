"""State devices: loops, gradients over the whole parameter box, pulses. Published laws: `test_published_laws.py`."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memspike as ms
from memspike import testing
from memspike.devices import SWEEPS, VO2, VTEAM, AbstractMemoryDevice, DiffusiveState, Pulsed, VO2State, sweep
from memspike.neurons import RelaxationOscillator
from memspike.parts.param import own_parameters
from memspike.parts.registry import DEVICES
from memspike.testing.devices import check_state_device, highest_voltage

NAMES = ["vteam", "yakopcic", "stanford-pku", "linear-ion-drift", "threshold-switch", "nbo2", "diffusive", "vo2"]


def make(name):
    return DEVICES.get(name).value()


def loop(name, factor=1.0, steps=2000):
    amplitude, frequency, load = SWEEPS[name]
    return sweep(make(name), amplitude, frequency * factor, load=load, steps=steps)


def test_diffusive_is_the_published_law_away_from_completion(x64):
    device = make("diffusive")
    for f, r in ((0.0, 0.0), (0.3, 0.2), (0.1, 0.7)):
        rate = device.rate(DiffusiveState(jnp.asarray(f), jnp.asarray(r)), jnp.asarray(-1.2))
        assert float(rate.f) == pytest.approx(16 * 1.2 / (1.1 - f - r) - 50 * f - 0.35 * f, rel=1e-3)
        assert float(rate.r) == pytest.approx(0.35 * f - 0.42 * r)


# --- loops


def lobe(found):
    """Area of the larger of the two lobes as a share of the rectangle around the loop."""
    v, i = np.asarray(found.v), np.asarray(found.i)
    half = len(v) // 2 + 1
    areas = [abs(np.trapezoid(i[part], v[part])) for part in (slice(None, half), slice(half - 1, None))]
    return max(areas) / (np.abs(i).max() * np.abs(v).max())


@pytest.mark.parametrize("name", NAMES)
def test_loop_is_pinched_and_closes_at_high_frequency(x64, name):
    slow, fast = loop(name), loop(name, 1e5)
    for k in (0, 1000, 2000):
        assert float(slow.v[k]) == 0.0
        assert float(slow.i[k]) == 0.0
    assert (np.asarray(slow.i * slow.v) >= 0).all()
    assert lobe(slow) > 0.01
    assert lobe(fast) < 0.1 * lobe(slow)


@pytest.mark.parametrize("name", ["diffusive", "vo2"])
def test_float32_loop_is_the_float64_loop(name):
    single = loop(name)
    with jax.enable_x64(True):
        double = np.asarray(loop(name).i)
    assert single.i.dtype == np.float32
    assert np.abs(np.asarray(single.i) - double).max() < 1e-3 * np.abs(double).max()


def test_every_state_preset_has_a_sweep():
    assert set(NAMES) <= set(SWEEPS) <= {entry.name for entry in DEVICES}


# --- gradients everywhere


def boxed(info, u):
    low, high = info.bounds
    if low > 0 and high > 100 * low:
        return low * (high / low) ** u
    if high < 0 and low < 100 * high:
        return high * (low / high) ** u
    return low + (high - low) * u


def a_state(device, u, w):
    if isinstance(device, AbstractMemoryDevice):
        low, high = device.ends()
        return low + (high - low) * u
    if isinstance(device, VO2):
        turned = jnp.where(w > 0.5, 1.0, -1.0)
        return VO2State(300 + 100 * u, turned, 300 + 100 * w, turned * device.width * u)
    name = type(device).__name__
    return {"Diffusive": DiffusiveState(u, (1 - u) * w), "ThermalNbO2": 200 + 2000 * u}.get(name, u)


@eqx.filter_jit
def gradients(device, u, w, v, dt):
    def outputs(arrays, x, volts):
        d = eqx.combine(arrays, eqx.filter(device, eqx.is_inexact_array, inverse=True))
        after = jax.tree.map(lambda leaf: leaf.sum(), d.advance(x, volts, dt))
        return d.current(x, volts) + sum(jax.tree.leaves(after))

    arguments = (eqx.filter(device, eqx.is_inexact_array), a_state(device, u, w), v)
    return jax.value_and_grad(outputs, (0, 1, 2))(*arguments)


@pytest.mark.parametrize("double", [False, True], ids=["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_finite_over_the_whole_box(name, double):
    with jax.enable_x64(double):
        device = make(name)
        infos = list(own_parameters(device))
        highest = highest_voltage(device)

        share = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0.0, 1.0))

        @settings(max_examples=20, deadline=None, derandomize=True)
        @given(st.lists(share, min_size=len(infos) + 4, max_size=len(infos) + 4))
        def check(drawn):
            (u, w, volts, time), shares = drawn[:4], drawn[4:]
            values = [jnp.asarray(boxed(p, s), dtype=float) for p, s in zip(infos, shares, strict=True)]
            inside = [jnp.clip(x, *p.bounds) for x, p in zip(values, infos, strict=True)]
            some = eqx.tree_at(lambda d: [getattr(d, p.path) for p in infos], device, inside)
            numbers = (u, w, 2 * highest * (2 * volts - 1), 1e-12 * 1e12**time)
            found = gradients(some, *(jnp.asarray(x, dtype=float) for x in numbers))
            assert all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(found))

        check()


# --- laws


def test_a_broken_device_is_caught(x64):
    class Leaky(VTEAM):
        def rate(self, state, v):
            return super().rate(state, v) - 1e-3 * state

    class Offset(VTEAM):
        def current(self, state, v):
            return super().current(state, v) + 1e-9

    for broken, message in ((Leaky, "forgets at 0 V"), (Offset, "without voltage")):
        with pytest.raises(AssertionError, match=message):
            testing.check_device(broken())


def test_vo2_keeps_the_contract_through_its_transition(x64):
    check_state_device(make("vo2"), v_max=12.0)


def test_vteam_stands_still_between_its_thresholds(x64):
    x = jnp.linspace(0.0, 1.0, 5)[:, None]
    v = jnp.linspace(-0.2, 0.02, 23)[None]
    np.testing.assert_array_equal(VTEAM().rate(x, v), 0.0)
    exponential = VTEAM(resistance=ms.devices.exponential_resistance)
    assert float(1 / exponential.conductance(jnp.asarray(0.5))) == pytest.approx(math.sqrt(50 * 1000))


@pytest.mark.parametrize("name", ["NoWindow", "Joglekar", "Biolek", "Prodromakis"])
def test_no_window_locks_the_state_at_a_bound(x64, name):
    device = ms.devices.LinearIonDrift(window=getattr(ms.devices, name)())
    on = device.advance(jnp.asarray(0.5), jnp.asarray(2.0), 1e3)
    assert float(on) == pytest.approx(1.0, abs=1e-6)
    back = jax.lax.fori_loop(0, 1000, lambda _, x: device.advance(x, jnp.asarray(-2.0), 5e-3), on)
    assert float(back) < 0.5
    if name == "NoWindow":
        check_state_device(device)


def fire(neuron, current, dt, steps):
    run = jax.jit(lambda i: jax.lax.scan(lambda s, _: neuron.step(s, i, dt), neuron.init(), None, length=steps)[1])
    return np.asarray(run(jnp.asarray(current)))


def period(v, level):
    up = np.flatnonzero((v[1:] >= level) & (v[:-1] < level))
    return np.diff(up + (level - v[up]) / (v[up + 1] - v[up])).mean()


def test_threshold_switch_fires_tonically(x64):
    neuron = RelaxationOscillator()
    for current, steps in ((5e-6, 81), (8e-6, 51), (12e-6, 37), (16e-6, 30), (20e-6, 27)):
        v = fire(neuron, current, 10e-6, 2000)[500:]
        assert period(v, 0.06) == pytest.approx(steps, rel=0.04)
        assert v.min() == pytest.approx(26e-3, abs=3e-3)
        assert v.max() == pytest.approx(101e-3, abs=4e-3)
    quiet = fire(neuron, 2e-6, 10e-6, 2000)[1000:]
    assert np.ptp(quiet) < 1e-6


def test_nbo2_oscillates(x64):
    v = fire(ms.neurons.nbo2_oscillator(), 0.0, 1e-9, 2000)[500:]
    assert 1 / (period(v, 0.5) * 1e-9) == pytest.approx(8.9e6, rel=0.05)
    assert v.min() == pytest.approx(0.30, rel=0.05)
    assert v.max() == pytest.approx(0.71, rel=0.05)


def test_a_memory_cannot_be_the_switch():
    with pytest.raises(ms.InputError, match="volatile device is needed"):
        RelaxationOscillator(device=VTEAM())


def test_vo2_minor_loop_stays_inside_the_major_one(x64):
    device = VO2()

    def along(temperatures):
        def step(s, t):
            turned = jnp.sign(t - s.t)
            flip = turned != s.direction
            proximity = (turned - s.direction) * device.width / 2 + device._offset(s)
            s = s._replace(
                direction=turned,
                t_reversal=jnp.where(flip, s.t, s.t_reversal),
                proximity=jnp.where(flip, proximity, s.proximity),
            )._replace(t=t)
            return s, device.insulating(s)

        return np.asarray(jax.lax.scan(step, device.init(), jnp.asarray(temperatures))[1])

    def major(t, sign):
        return 0.5 + 0.5 * np.tanh(0.2528 * (sign * 7.194 / 2 + 332.81 - t))

    up, back, again = np.linspace(325.1, 336, 400), np.linspace(336, 331, 200)[1:], np.linspace(331, 350, 400)[1:]
    t = np.concatenate([up, back, again])
    g = along(t)
    assert (g <= major(t, 1) + 1e-6).all()
    assert (g >= major(t, -1) - 1e-6).all()
    assert np.abs(np.diff(g)).max() < 0.01
    np.testing.assert_allclose(g[:400], major(up, 1), rtol=1e-9)
    assert g[-1] == pytest.approx(major(350.0, 1), abs=1e-3)
    assert (g[400:599] < major(back, 1) - 1e-6).all()


def test_vo2_snaps_at_a_threshold_voltage(x64):
    found = loop("vo2", 0.1)
    v = np.asarray(found.v)[:1000]
    assert 7.0 < v.max() < 10.0
    assert np.asarray(found.i).max() > 10 * v.max() / 50e3


def test_diffusive_relaxes_at_zero_volts(x64):
    device = make("diffusive")
    on = device.advance(device.init(), jnp.asarray(2.0), 0.5)
    assert float(on.f + on.r) > 0.9
    later = device.advance(on, jnp.asarray(0.0), 0.1)
    assert float(later.f) < 0.01 * float(on.f)
    assert float(device.advance(on, jnp.asarray(0.0), 30.0).r) < 1e-4
    assert (np.asarray(jax.tree.leaves(device.advance(on, jnp.asarray(50.0), 1e6))) <= 1.0).all()


@pytest.mark.parametrize("name", ["vteam", "yakopcic", "stanford-pku", "linear-ion-drift"])
def test_pulses_compose_and_go_back(x64, name):
    volts = {"vteam": (-0.22, 0.3, 1e-8), "yakopcic": (0.3, -0.3, 1e-4), "stanford-pku": (1.5, -1.5, 1e-8)}
    up, down, width = volts.get(name, (1.0, -1.0, 0.1))
    device = Pulsed(device=make(name), v_up=up, v_down=down, width=width)  # pyright: ignore[reportCallIssue]
    program = jax.jit(lambda x, n: device.program(x, n))
    low, high = float(device.g_min), float(device.g_max)
    state = device.place(device.init((3,)), jnp.asarray([0.0, 0.01, 0.3]) * (high - low) + low)
    once = program(program(state, 3), 2)
    np.testing.assert_allclose(once, program(state, 5), rtol=1e-12)
    assert (np.asarray(device.stored(once)) > np.asarray(device.stored(state))).all()
    assert (np.asarray(device.stored(program(once, -2))) < np.asarray(device.stored(once))).all()
    mixed = program(state, jnp.asarray([0, -4, 2]))
    np.testing.assert_allclose(mixed[2], program(state, 2)[2], rtol=1e-12)
    assert float(mixed[0]) == float(state[0])
    wanted = low + (high - low) * jnp.asarray([0.1, 0.5, 0.9])
    np.testing.assert_allclose(device.stored(device.place(state, wanted)), wanted, rtol=1e-9)
    np.testing.assert_allclose(device.place(state, device.stored(once)), once, rtol=1e-9)
    slope = jax.grad(lambda g: device.place(state, g)[1])(wanted[1])
    assert float(slope) == pytest.approx(float(1 / jax.grad(device.stored)(device.place(state, wanted)[1])), rel=1e-6)


def test_every_cell_may_be_another_device(x64):
    thresholds = jnp.asarray([0.02, 0.03, 0.04])
    state, counts = jnp.full((2, 3), 0.5), jnp.asarray([[-3], [2]])
    together = Pulsed(device=VTEAM(v_off=thresholds[None]))  # pyright: ignore[reportCallIssue]
    moved = together.program(state, counts)
    for k in range(3):
        alone = Pulsed(device=VTEAM(v_off=thresholds[k]))  # pyright: ignore[reportCallIssue]
        np.testing.assert_allclose(moved[:, k], alone.program(state[:, k], counts[:, 0]), rtol=1e-12)
    assert together.init((2, 3)).shape == (2, 3)


def test_pulsed_needs_a_memory():
    with pytest.raises((ms.InputError, TypeError)):
        Pulsed(device=make("diffusive"))  # pyright: ignore[reportCallIssue]
