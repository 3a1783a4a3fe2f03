"""Rings 1-3 for the neuron: rest, waveforms of the authors and of ngspice, diffrax, order, divergence."""

import math

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memspike as ms
from memspike.neurons import AlphaFilter, MIFState, forward_euler, frozen_memristors
from memspike.report.membrane_figures import alpha_response


def response(peak, neuron=None, dt=10e-6, duration=10e-3):
    neuron = neuron or ms.neurons.mif()
    t, states = alpha_response(neuron, peak, dt=dt, duration=duration)
    v = np.concatenate([[float(neuron.rest())], np.asarray(states.v)]) * 1e3
    return np.concatenate([[0.0], np.asarray(t) * 1e3]), v, np.asarray(states.x1)


def width(t, v, rest):
    """Full width at half height above rest, by linear interpolation."""
    half = rest + 0.5 * (v.max() - rest)
    above = np.flatnonzero(v > half)
    i, j = above[0], above[-1]
    rise = np.interp(half, v[i - 1 : i + 1], t[i - 1 : i + 1])
    fall = np.interp(-half, -v[j : j + 2], t[j : j + 2])
    return fall - rise


def test_rest_state(x64):
    state = ms.neurons.mif().init()
    assert float(state.v) * 1e3 == pytest.approx(18.31, abs=0.005)
    assert float(state.x1) == pytest.approx(0.00752, rel=1e-3)
    assert float(state.x2) == pytest.approx(8.6e-5, rel=2e-3)
    conductance = ms.neurons.mif().m1.conductance(state.x1) * 1e6
    assert float(conductance) == pytest.approx(17.4, abs=0.06)


# peak mV, time of the peak ms, width ms, minimum mV, its time ms, largest x1: converged values of a
# circuit simulator for the same circuit
NGSPICE = {
    2e-6: (59.6, 0.48, 1.56, 15.3, 6.08, 0.038),
    5e-6: (80.6, 0.25, 1.45, 13.0, 6.40, 0.085),
    10e-6: (97.9, 0.16, 1.41, 11.1, 6.79, 0.153),
    20e-6: (118.7, 0.11, 1.37, 9.4, 7.28, 0.271),
}


@pytest.mark.parametrize("peak", NGSPICE)
def test_waveform_equals_the_circuit_simulator(x64, peak):
    v_peak, t_peak, fwhm, v_min, t_min, x_max = NGSPICE[peak]
    t, v, x1 = response(peak)
    assert v.max() == pytest.approx(v_peak, rel=0.01)
    assert t[v.argmax()] == pytest.approx(t_peak, abs=0.0101)
    assert width(t, v, v[0]) == pytest.approx(fwhm, rel=0.01)
    assert v.min() == pytest.approx(v_min, rel=0.01)
    assert t[v.argmin()] == pytest.approx(t_min, rel=0.01)
    assert x1.max() == pytest.approx(x_max, rel=0.01)


def test_first_study_of_the_authors(x64):
    """Batteries at −25 and +25 mV, x = 0.0238, forward Euler at 10 µs: their stored waveform."""
    neuron = ms.neurons.mif_symmetric(integrator=forward_euler)
    start = MIFState(jnp.zeros(()), jnp.asarray(0.0238), jnp.asarray(0.0238))
    t = jnp.arange(1000.0) * 10e-6
    current = 5e-6 * math.e * AlphaFilter().kernel(t)
    v = np.asarray(jax.lax.scan(lambda s, i: neuron.step(s, i, 10e-6), start, current)[1]) * 1e3
    assert v.max() == pytest.approx(45.7, rel=0.01)
    assert v.argmax() + 1 == pytest.approx(49, abs=2)
    assert v.min() == pytest.approx(-12.0, rel=0.01)
    assert v[-1] == pytest.approx(-9.1, rel=0.01)


@pytest.mark.parametrize(("dt", "peak"), [(50e-6, 154.1), (20e-6, 129.8), (10e-6, 127.04), (0.5e-6, 126.90)])
def test_a_constant_current_from_rest_as_ngspice_has_it(x64, dt, peak):
    """5 µA switched on: ngspice 39 peaks at 126.94 mV after 43.3 µs; a step of 50 µs is longer than the rise."""
    neuron = ms.neurons.mif()
    current = jnp.full(round(400e-6 / dt), 5e-6)
    v = np.asarray(jax.lax.scan(lambda s, i: neuron.step(s, i, dt), neuron.init(), current)[1]) * 1e3
    assert v.max() == pytest.approx(peak, abs=0.06)
    if dt < 1e-6:
        assert v.max() == pytest.approx(126.94, abs=0.06)
        assert (v.argmax() + 1) * dt == pytest.approx(43.3e-6, abs=0.6e-6)


def reference(peak, times, neuron):
    """The same circuit by an adaptive solver of another library at rtol 1e-8."""
    start = neuron.init()

    def field(t, y, _):
        v, x1, x2 = y
        current = peak * math.e * AlphaFilter().kernel(t)
        out = neuron.m1.current(x1, v - neuron.e1) + neuron.m2.current(x2, v - neuron.e2)
        return (
            (current - out) / neuron.capacitance,
            neuron.m1.rate(x1, v - neuron.e1),
            neuron.m2.rate(x2, v - neuron.e2),
        )

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        diffrax.Tsit5(),
        0.0,
        float(times[-1]),
        1e-6,
        (start.v, start.x1, start.x2),
        saveat=diffrax.SaveAt(ts=times),
        stepsize_controller=diffrax.PIDController(rtol=1e-8, atol=1e-10),
        max_steps=100_000,
    )
    assert solution.ys is not None
    return np.asarray(solution.ys[0])


@pytest.fixture(scope="module")
def errors():
    """Largest deviation in mV from the adaptive solver on the 5 µA spike, by step in µs."""
    with jax.enable_x64(True):
        neuron = ms.neurons.mif()
        found = {}
        for step in (1, 2, 5, 10, 20):
            dt = step * 1e-6
            t, states = alpha_response(neuron, 5e-6, dt=dt)
            exact = reference(5e-6, t, neuron)
            found[step] = float(np.abs(np.asarray(states.v) - exact).max() * 1e3)
        return found


def test_agrees_with_adaptive_solver(errors):
    assert errors[10] < 0.1
    assert errors[5] < 0.025


def test_second_order(errors):
    steps = sorted(errors)
    slope = np.polyfit(np.log(steps), np.log([errors[s] for s in steps]), 1)[0]
    assert slope == pytest.approx(2.0, abs=0.1)


def test_float32_does_not_lose_the_slow_state():
    """At a tiny step a float32 run must stay on the float64 one: the reason for expm1."""
    with jax.enable_x64(True):
        double = np.asarray(alpha_response(ms.neurons.mif(), 5e-6, dt=0.2e-6, duration=2e-3)[1].v)
    single = np.asarray(alpha_response(ms.neurons.mif(), 5e-6, dt=0.2e-6, duration=2e-3)[1].v)
    assert single.dtype == np.float32
    assert np.abs(single - double).max() < 50e-6


@pytest.mark.parametrize(("name", "scale"), [("mif_megaohm", 1e3), ("mif_gigaohm", 1e6)])
def test_impedance_scaling_keeps_the_waveform(x64, name, scale):
    _, v, _ = response(5e-6)
    _, scaled, _ = response(5e-6 / scale, getattr(ms.neurons, name)())
    np.testing.assert_allclose(scaled, v, rtol=1e-9)


def test_batteries_are_a_gauge(x64):
    _, v, _ = response(5e-6)
    _, lower, _ = response(5e-6, ms.neurons.mif_symmetric())
    np.testing.assert_allclose(lower, v - 25.0, atol=1e-9)


def test_constant_current_gives_one_spike_and_a_plateau(x64):
    neuron = ms.neurons.mif()

    def hold(current):
        v = jax.lax.scan(lambda s, _: neuron.step(s, jnp.asarray(current), 1e-6), neuron.init(), None, length=20_000)[1]
        return np.asarray(v) * 1e3

    for current, peak, plateau in ((1e-6, 51.6, 30.2), (5e-6, 127.0, 41.5), (10e-6, 190.0, 47.0)):
        v = hold(current)
        assert v.max() == pytest.approx(peak, rel=0.02)
        assert v[-1] == pytest.approx(plateau, rel=0.02)
        assert int(ms.neurons.SpikeObserver(threshold=plateau * 1.2e-3).count(jnp.asarray(v * 1e-3))) == 1


def test_forward_euler_diverges_where_the_exponential_step_does_not(x64):
    def last(integrator, peak):
        _, states = alpha_response(ms.neurons.mif(integrator=integrator), peak)
        return np.asarray(states.v)

    exponential = ms.neurons.staggered_exponential
    assert np.isfinite(last(forward_euler, 10e-6)).all()
    assert np.abs(last(forward_euler, 10e-6) - last(exponential, 10e-6)).max() < 10e-3
    assert not (np.abs(last(forward_euler, 20e-6)) < 1.0).all()
    assert (np.abs(last(exponential, 20e-6)) < 0.13).all()
    assert np.isfinite(last(exponential, 1.0)).all()


def test_memristor_two_is_only_a_leak(x64):
    """x2 stays below 0.024 up to 20 µA."""
    _, states = alpha_response(ms.neurons.mif(), 20e-6)
    assert float(states.x2.max()) < 0.024


@settings(max_examples=25, deadline=None)
@given(
    e1=st.floats(-0.05, 0.05),
    gap=st.floats(0.0, 0.1),
    ratio=st.floats(0.2, 5.0),
    v_off=st.floats(-0.05, 0.05),
)
def test_rest_is_at_rest_for_any_parameters(e1, gap, ratio, v_off):
    with jax.enable_x64(True):
        device = ms.devices.MetastableSwitch(v_off=v_off)
        other = ms.devices.MetastableSwitch(r_off=1e5 * ratio)
        neuron = ms.neurons.MIF(m1=device, m2=other, e1=e1, e2=e1 + gap)
        state = neuron.init()
        assert e1 - 1e-12 <= float(state.v) <= e1 + gap + 1e-12
        assert abs(float(neuron.membrane_current(state)[0])) < 1e-15


def test_gradient_of_the_rest_state(x64):
    """Through the root of the balance of currents, for every parameter."""
    neuron = ms.neurons.mif()
    leaves, treedef = jax.tree.flatten(neuron)

    def rest(values):
        return jax.tree.unflatten(treedef, values).rest()

    gradients = jax.grad(rest)(leaves)
    for i, leaf in enumerate(leaves):
        h = 1e-6 * max(float(jnp.abs(leaf)), 1e-3)
        up, down = (rest([x + s * h if k == i else x for k, x in enumerate(leaves)]) for s in (1, -1))
        assert float(gradients[i]) == pytest.approx(float((up - down) / (2 * h)), rel=1e-4, abs=1e-7)


def test_any_volatile_device_fits(x64):
    """A device with another law, defined here, works as M1: exponential Rosenbrock step of its own current."""

    class Cubic(ms.devices.MetastableSwitch):
        def current(self, state, v):
            return self.conductance(state) * (v + 4.0 * v**3)

    neuron = ms.neurons.MIF(m1=Cubic())
    coarse = np.asarray(alpha_response(neuron, 5e-6, dt=10e-6)[1].v)
    fine = np.asarray(alpha_response(neuron, 5e-6, dt=1e-6)[1].v)[9::10]
    assert np.abs(coarse - fine).max() < 0.3e-3


def test_presets_take_other_parts(x64):
    neuron = ms.neurons.mif(m2=ms.devices.knowm())
    assert isinstance(neuron.m2, ms.devices.MetastableSwitch)
    assert float(neuron.m2.r_on) == 500.0
    assert 0.0 < float(neuron.rest()) < 0.05


def test_a_non_volatile_device_is_refused():
    class Stable(ms.devices.MetastableSwitch):
        volatile = False

    with pytest.raises(ms.InputError, match="volatile device is needed"):
        ms.neurons.MIF(m1=Stable())


def test_observer_counts_upward_crossings():
    v = jnp.asarray([[0.0, 40.0], [35.0, 50.0], [36.0, 10.0], [5.0, 31.0]]) * 1e-3
    np.testing.assert_array_equal(ms.neurons.SpikeObserver().count(v), [1, 2])


def test_with_frozen_memristors_the_membrane_is_a_leaky_integrator(x64):
    """Against the closed form of a capacitor with a constant conductance, and the sum of two responses."""
    neuron = ms.neurons.mif(integrator=frozen_memristors)
    start = neuron.init()
    g = float(neuron.membrane_current(start)[1])
    current = 2e-6 * jnp.sin(jnp.arange(200.0) / 7)
    v = jax.lax.scan(lambda s, i: neuron.step(s, i, 10e-6), start, current)[1] - neuron.rest()
    expected, now, decay = [], 0.0, math.exp(-g * 10e-6 / 1e-9)
    for i in np.asarray(current):
        now = i / g + (now - i / g) * decay
        expected.append(now)
    np.testing.assert_allclose(v, expected, rtol=1e-9, atol=1e-15)
    twice = jax.lax.scan(lambda s, i: neuron.step(s, i, 10e-6), start, 2 * current)[1] - neuron.rest()
    np.testing.assert_allclose(twice, 2 * v, rtol=1e-9, atol=1e-15)
