"""State devices against their published laws: written again with their hard edges, solved by scipy.

Nothing of the library is in the oracle. Pulses and sweeps are those of the presets; every conductance after a pulse
agrees within 0.5 %, every current of a loop within 0.5 % of its largest.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from memspike.devices import SWEEPS, DiffusiveState, Pulsed, StanfordPKU, sweep
from memspike.parts.registry import DEVICES

K = 8.617333262e-5  # eV/K
WITHIN = 5e-3


def make(name):
    return DEVICES.get(name).value()


def sigma(z):
    return 0.5 * (1 + math.tanh(z / 2))


def metastable(r_on, r_off, v_on, v_off, k, tau):
    def law(x, v):
        up, down = sigma((v - v_on) / k), sigma((v_off - v) / k)
        return ((1 - x) * up - x * down) / tau, v * (x / r_on + (1 - x) / r_off)

    return law


def vteam(x, v):
    speed = (-10 * (v / -0.2 - 1) ** 3 if v < -0.2 else 0.0) + (5e-4 * (v / 0.02 - 1) if v > 0.02 else 0.0)
    return -speed / 3e-9, v / (1000 + x * (50 - 1000))


def mif_synapse(x, v):
    speed = (-6e-4 * (v / -0.106 - 1) if v < -0.106 else 0.0) + (2e-4 * (v / 0.106 - 1) if v > 0.106 else 0.0)
    return -speed / 3e-9, v / (200e3 * 0.1**x)


def yakopcic(x, v):
    g = 4000 * (math.exp(v) - math.exp(0.16)) * (v > 0.16) - 4000 * (math.exp(-v) - math.exp(0.15)) * (v < -0.15)
    up = math.exp(-(x - 0.3)) * (1 - x) / 0.7 if x > 0.3 else 1.0
    down = math.exp(5 * (x - 0.5)) * x / 0.5 if x < 0.5 else 1.0
    return g * (up if v > 0 else down), 0.17 * x * math.sinh(0.05 * v)


def stanford(x, v, step=0.0):
    """`step` > 0: F_min as a ramp over that share of it, which a solver can follow where the load holds F there."""
    gap = 1.7e-9 - x * 1.5e-9
    i = 1e-3 * math.exp(-gap / 0.25e-9) * math.sinh(v / 0.25)
    t = 298 + abs(v * i) * 2100
    gamma = 16 - 0.8 * (gap / 1e-9) ** 3
    speed = -10 * math.exp(-0.6 / (K * t)) * math.sinh(gamma * 0.25e-9 * v / (12e-9 * K * t))
    above = gamma * abs(v) / 12e-9 / 1.4e9 - 1
    return -speed / 1.5e-9 * (min(max(above / step, 0.0), 1.0) if step else float(above >= 0)), i


def drift(x, v):
    i = v / (100 * x + 16e3 * (1 - x))
    return 1e-14 * 100 / 10e-9**2 * i * (1 - (x - (i < 0)) ** 4), i


def threshold(x, v):
    return (sigma((v - (0.11 - 0.09 * x)) / 3e-3) - x) / 10e-6, v * (x / 1e3 + (1 - x) / 100e3)


def nbo2(t, v):
    i = v / 60 * math.exp(-(0.215 - 1.13e-5 * math.sqrt(abs(v) / 20e-9)) / (K * t))
    return (i * v - (t - 298) / 1.27e6) / 2.3e-15, i


def bridge_rates(y, v):
    f, r = y
    return 16 * abs(v) / (1.1 - min(f + r, 1.0)) - 50 * f - 0.35 * f, 0.35 * f - 0.42 * r


def bridge_resistance(y):
    s = np.minimum(y[0] + y[1], 1.0)
    return 17e3 * s + 1e10 * np.expm1((1 - s) / 0.1) / np.expm1(10)


# law, state at rest (of the conductive end: 1)
BOXED = {
    "vteam": (vteam, 0.0),
    "mif-synapse": (mif_synapse, 0.0),
    "yakopcic": (yakopcic, 0.11),
    "stanford-pku": (stanford, 0.0),
    "linear-ion-drift": (drift, 0.1),
}
LAWS = {
    **BOXED,
    "mif-pair": (metastable(1e3, 100e3, 0.11, 5e-3, 15e-3, 1e-3), None),
    "knowm": (metastable(500.0, 1500.0, 0.27, -0.27, 25.7227e-3, 1e-4), None),
    "threshold-switch": (threshold, None),
    "nbo2": (nbo2, 298.0),
}


def rested(law, start):
    """The state at rest: as published, or the lowest that does not move at 0 V."""
    return brentq(lambda x: law(x, 0.0)[0], 0.0, 1.0, xtol=1e-14) if start is None else start


def boxed(law):
    """A law that stops at the bounds 0 and 1, as the sources clip the state."""

    def clipped(x, v):
        rate, i = law(min(max(x, 0.0), 1.0), v)
        return (0.0 if (x >= 1 and rate > 0) or (x <= 0 and rate < 0) else rate), i

    return clipped


def solved(law, start, volts, times):
    """The state at `times` of a device whose voltage is `volts(t, x)`."""

    def field(t, y):
        return [law(float(y[0]), volts(t, float(y[0])))[0]]

    longest = (times[-1] - times[0]) / 500
    found = solve_ivp(field, (times[0], times[-1]), [start], "LSODA", times, rtol=1e-8, atol=1e-10, max_step=longest)
    assert found.success
    return found.y[0]


def published_bridge(volts, times, start=(0.0, 0.0)):
    """f and r at `times`: free, or held at f + r = 1 as long as the sum would grow, while r grows at the cost of f."""

    def free(t, y):
        return bridge_rates(y, volts(t))

    def held(t, y):
        b = bridge_rates(y, volts(t))[1]
        return -b, b

    def complete(t, y):
        return y[0] + y[1] - 1

    def let_go(t, y):
        return sum(bridge_rates(y, volts(t)))

    vars(complete).update(terminal=True, direction=1)
    vars(let_go).update(terminal=True, direction=-1)
    found, now, y, holds = np.zeros((2, len(times))), times[0], np.asarray(start), False
    while now < times[-1]:
        law, event = (held, let_go) if holds else (free, complete)
        longest = (times[-1] - times[0]) / 500
        part = solve_ivp(law, (now, times[-1]), y, "LSODA", None, True, event, rtol=1e-9, atol=1e-12, max_step=longest)
        inside = (times >= now) & (times <= part.t[-1])
        found[:, inside] = part.sol(times[inside])
        now, y, holds = part.t[-1], part.y[:, -1], not holds
    return found


# --- loops


def published_loop(name, times):
    amplitude, frequency, load = SWEEPS[name]

    def source(t):
        return amplitude * math.sin(2 * math.pi * frequency * t)

    if name == "diffusive":
        return np.asarray([source(t) for t in times]) / bridge_resistance(published_bridge(source, times))
    if name == "vo2":
        return published_neuristor(times)
    law, start = LAWS[name]
    law = boxed(partial(law, step=1e-5) if name == "stanford-pku" else law) if name in BOXED else law

    def voltage(t, x):
        u = source(t)
        if load == 0 or u == 0:
            return u
        return brentq(lambda v: v + load * law(x, v)[1] - u, min(u, 0.0), max(u, 0.0), xtol=1e-12)

    x = solved(law, rested(law, start), voltage, times)
    return np.asarray([law(s, voltage(t, s))[1] for t, s in zip(times, x, strict=True)])


def published_neuristor(times):
    """VO2 with the published artanh form of its memory; each monotone stretch on its own."""
    r0, ea, rm, w, tc, beta, gamma = 5.359e-3, 5220.5, 262.5 * 4.90, 7.194, 332.81, 0.2528, 0.9563
    cth, sth, t0 = 49.63e-12, 0.2056e-3, 325.0
    amplitude, frequency, load = SWEEPS["vo2"]

    def share(t, delta, reversal):
        offset = 0.0
        if reversal is not None:
            t_r, g_r = reversal
            t_pr = delta * w / 2 + tc - math.atanh(2 * g_r - 1) / beta - t_r
            y = (t - t_r) / t_pr
            offset = t_pr * 0.5 * (1 - math.sin(gamma * y)) * (1 + math.tanh(math.pi**2 - 2 * math.pi * y))
        return 0.5 + 0.5 * math.tanh(beta * (delta * w / 2 + tc - t - offset))

    def resistance(t, *memory):
        return r0 * math.exp(ea / t) * share(t, *memory) + rm

    def field(s, y, *memory):
        r = resistance(y[0], *memory)
        v = amplitude * math.sin(2 * math.pi * frequency * s) * r / (r + load)
        return [(v * v / r - sth * (y[0] - t0)) / cth]

    def turning(s, y, *memory):
        return memory[0] * field(s, y, *memory)[0]

    vars(turning).update(terminal=True, direction=-1)
    i, start, t, memory = np.zeros_like(times), 0.0, t0, (1.0, None)
    while start < times[-1]:
        span = (start, times[-1])
        part = solve_ivp(field, span, [t], "Radau", None, True, turning, args=memory, rtol=1e-8, atol=1e-8)
        inside = (times >= start) & (times <= part.t[-1])
        r = np.asarray([resistance(float(part.sol(s)[0]), *memory) for s in times[inside]])
        i[inside] = amplitude * np.sin(2 * np.pi * frequency * times[inside]) / (r + load)
        start, t = part.t[-1] + 1e-15, float(part.y[0, -1])
        memory = (-memory[0], (t, share(t, *memory)))
    return i


@pytest.mark.parametrize("name", SWEEPS)
def test_loop_is_that_of_the_published_law(x64, name):
    amplitude, frequency, load = SWEEPS[name]
    found = sweep(make(name), amplitude, frequency, load=load)
    times = np.asarray(found.t)[::20]
    if name == "stanford-pku":
        # through its load the published law stops setting at F_min, which the other half meets at its peak exactly:
        # whether it resets is left to rounding there; resets are compared under pulses
        times = times[:51]
    exact = published_loop(name, times)
    assert np.abs(np.asarray(found.i)[::20][: len(times)] - exact).max() < WITHIN * np.abs(exact).max()


def test_every_state_device_is_here():
    """A new state device has a published law here, or says in SWEEPS that it has none to be compared with."""
    assert {*LAWS, "diffusive", "vo2"} == set(SWEEPS)


# --- pulses: volts, seconds, how many, start

PULSES = [
    ("vteam", -0.22, 10e-9, 40, 0.0),
    ("vteam", 0.3, 10e-9, 60, 1.0),
    ("vteam", -0.2005, 1e-6, 10, 0.0),
    ("mif-synapse", -0.2, 0.2e-6, 40, 0.0),
    ("mif-synapse", 0.2, 0.2e-6, 100, 1.0),
    ("yakopcic", 0.3, 0.1e-3, 40, 0.11),
    ("yakopcic", -0.3, 0.1e-3, 40, 1.0),
    ("linear-ion-drift", 1.0, 0.1, 10, 0.1),
    ("linear-ion-drift", -1.0, 0.1, 10, 0.999),
    ("stanford-pku", 1.40, 100e-9, 10, 0.0),
    ("stanford-pku", 1.45, 100e-9, 5, 0.0),
    ("stanford-pku", 1.5, 10e-9, 20, 0.0),
    ("stanford-pku", 1.6, 1e-9, 100, 0.0),
    ("stanford-pku", -1.5, 10e-9, 20, 0.999),
    ("stanford-pku", -1.1, 1e-6, 3, 0.999),
]


@pytest.mark.parametrize(("name", "v", "width", "count", "start"), PULSES, ids=lambda x: f"{x}")
def test_pulses_are_those_of_the_published_law(x64, name, v, width, count, start):
    law, device = boxed(BOXED[name][0]), make(name)
    pulsed = Pulsed(device=device, v_up=v, v_down=v, width=width)  # pyright: ignore[reportCallIssue]
    found = pulsed.stored(pulsed.program(jnp.full(count, start), jnp.arange(1.0, count + 1)))
    times = width * np.arange(count + 1)
    x = np.clip(solved(law, start, lambda t, x: v, times)[1:], 0, 1)
    exact = np.asarray([law(s, 1e-6)[1] / 1e-6 for s in x])
    np.testing.assert_allclose(found, exact, rtol=WITHIN)


def test_the_preset_ten_pulses_up(x64):
    """1.463 mS by the published law: R(x) = 1 kΩ − 950 Ω·x with x = 10·10 ns·(10 m/s)·0.1³/3 nm."""
    device = make("pulsed-vteam")
    exact = 1 / (1000 - 950 * 10 * 10e-9 * 10 * 0.1**3 / 3e-9)
    assert exact == pytest.approx(1.463e-3, rel=1e-3)
    assert float(device.stored(device.program(device.init(), 10))) == pytest.approx(exact, rel=1e-9)


# --- the law itself, exactly, beyond the stated margins

POINTS = {
    "vteam": ((2e-3, 0.2, 0.5, 0.9994), (-0.4, -0.2003, -0.1, 0.01, 0.02003, 0.3)),
    "mif-synapse": ((2e-3, 0.5, 0.9994), (-0.2, -0.1062, 0.0, 0.1062, 0.3)),
    "yakopcic": ((0.1, 0.45, 0.9), (-0.4, -0.152, -0.1, 0.1, 0.162, 0.45)),
    "stanford-pku": ((2e-3, 0.5, 0.8, 0.9994), (-1.6, -0.9, 0.9, 1.394, 1.6)),
    "linear-ion-drift": ((0.1, 0.5, 0.95), (-1.0, 0.3, 1.0)),
    "nbo2": ((298.0, 450.0, 800.0), (-0.8, 0.05, 0.5, 1.0)),
}


@pytest.mark.parametrize("name", POINTS)
def test_rate_and_current_are_the_published_ones_away_from_edges(x64, name):
    device, law = make(name), LAWS[name][0]
    tolerance = 1e-3 if name == "nbo2" else 1e-7  # √|v| is rounded at 1 mV everywhere
    for x in POINTS[name][0]:
        for v in POINTS[name][1]:
            rate, i = law(x, v)
            assert float(device.rate(jnp.asarray(x), jnp.asarray(v))) == pytest.approx(rate, rel=tolerance, abs=1e-300)
            assert float(device.current(jnp.asarray(x), jnp.asarray(v))) == pytest.approx(i, rel=tolerance)


def test_stanford_jumps_at_its_threshold_field(x64):
    """Nothing below F_min; the published speed from 0.1 % above it on."""
    v_min = 1.4e9 * 12e-9 / (16 - 0.8 * 1.7**3)
    device = StanfordPKU()
    assert float(device.rate(jnp.asarray(0.0), jnp.asarray(v_min * 0.99999))) == 0
    v = v_min * 1.0011
    assert float(device.rate(jnp.asarray(0.0), jnp.asarray(v))) == pytest.approx(stanford(0.0, v)[0], rel=1e-7)


# --- the diffusive device held on and let go


def held(device, v, seconds, state=None, dt=1e-4):
    start = device.init() if state is None else state
    step = jax.jit(lambda s: jax.lax.fori_loop(0, round(seconds / dt), lambda _, x: device.advance(x, v, dt), s))
    return step(start)


@pytest.mark.parametrize("v", [1.0, 1.5])
def test_diffusive_device_held_on_and_let_go(x64, v):
    device, volts = make("diffusive"), jnp.asarray(v)
    on = held(device, volts, 1.0)
    exact = published_bridge(lambda t: v if t < 1 else 0.0, np.asarray([0.0, 1.0, 1.1]))
    np.testing.assert_allclose(float(device.resistance(on)), 17e3, rtol=WITHIN)
    np.testing.assert_allclose(on, exact[:, 1], rtol=WITHIN)
    np.testing.assert_allclose(held(device, jnp.asarray(0.0), 0.1, on), exact[:, 2], rtol=WITHIN)


def test_diffusive_hold_voltage(x64):
    """A bridge of fast silver alone lasts as long as µ·v/α ≥ γ₁: 0.3125 V."""
    device, bridge = make("diffusive"), DiffusiveState(jnp.asarray(1.0), jnp.asarray(0.0))
    for v, lasts in ((0.3125 * 1.005, True), (0.3125 * 0.995, False)):
        resistance = float(device.resistance(held(device, jnp.asarray(v), 1e-3, bridge, 1e-5)))
        assert (resistance < 17e3 * 1.005) == lasts
