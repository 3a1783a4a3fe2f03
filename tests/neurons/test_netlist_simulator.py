"""Ring 3 for netlists: spike times of ngspice on decks written by hand, and a differentiable simulator of others."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import memspike as ms
from memspike.devices.volatile import VO2
from memspike.neurons.netlist.circuits import MIF_DECK, PEARSON_ANSON_DECK, TWO_MEMRISTORS_DECK
from memspike.neurons.netlist.elements import Capacitor, Memristor, Resistor, VoltageSource

# the two devices as ngspice needs them, their states on capacitors
MIF_PAIR = """
.subckt mif-pair p n
Cx x 0 1m
Bx 0 x I=(1-V(x))*0.5*(1+tanh((V(p,n)-0.11)/0.03))-V(x)*0.5*(1+tanh((0.005-V(p,n))/0.03))
Bg p n I=V(p,n)*(V(x)/1k+(1-V(x))/100k)
.ends
"""
NBO2 = """
.subckt nbo2 p n
Cx x 0 2.3e-15
Bx 0 x I=I(Vm)*V(p,n)-(V(x)-298)/1.27e6
Vm p q 0
Bg q n I=V(p,n)/60*exp((0.0799030662741*V(p,n)*V(p,n)/pow(V(p,n)*V(p,n)+1e-6,0.75)-0.215)/(8.617333262e-5*V(x)))
.ends
"""


@pytest.fixture
def ngspice(tmp_path):
    """Run a deck with more cards and an analysis → times and the voltage of a node."""
    program = shutil.which("ngspice")
    if program is None:
        if os.environ.get("MEMSPIKE_REQUIRE_NGSPICE"):
            pytest.fail("ngspice is required and is not on the PATH")
        pytest.skip("no ngspice on the PATH")

    def run(deck, more, analysis, node):
        says = f"set num_threads=1\n{analysis}\nset wr_singlescale numdgt=15\nwrdata out.txt v({node})\n"
        (tmp_path / "deck.cir").write_text(f"{deck.replace('.end', '')}{more}.control\n{says}.endc\n.end\n")
        command = [program, "-b", "deck.cir"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
        assert (tmp_path / "out.txt").exists(), done.stdout[-2000:] + done.stderr[-2000:]
        return np.loadtxt(tmp_path / "out.txt").T

    return run


def crossings(t, v, level, sign=1):
    """Times at which v rises (or with sign −1 falls) through a level, by linear interpolation."""
    v, level = sign * np.asarray(v), sign * level
    at = np.flatnonzero((v[:-1] < level) & (v[1:] >= level))
    return t[at] + (level - v[at]) / (v[at + 1] - v[at]) * (t[at + 1] - t[at])


def waveform(neuron, current, dt):
    """Times from 0 on and the membrane, at the start and after every step."""
    start = neuron.init()
    state, v = jax.jit(lambda i: jax.lax.scan(lambda s, now: neuron.step(s, now, dt), start, i))(current)
    ms.neurons.check_solved(state)
    return np.arange(len(v) + 1) * dt, np.r_[float(neuron.rest()), np.asarray(v)]


def test_the_published_pair(x64, ngspice):
    dt = 2e-6
    middle = (jnp.arange(2000, dtype=float) + 0.5) * dt
    tau = 0.3e-3
    t, v = waveform(ms.neurons.mif_netlist(), 5e-6 * np.e * middle / tau * jnp.exp(-middle / tau), dt)
    drive = f"Bin 0 v I=5u*{np.e:.15g}*time/0.3m*exp(-time/0.3m)\n"
    t_, v_ = ngspice(MIF_DECK, MIF_PAIR + drive, "tran 1u 4m 0 0.5u", "v")
    assert np.abs(np.interp(t_, t, v) - v_).max() < 0.05e-3
    for sign in (1, -1):
        np.testing.assert_allclose(crossings(t, v, 0.05, sign), crossings(t_, v_, 0.05, sign), rtol=1e-3)


@pytest.mark.parametrize("dt", [2.5e-9, 1e-9])
def test_an_oscillator_with_a_hard_switch(x64, ngspice, dt):
    t, v = waveform(ms.neurons.pearson_anson(), jnp.zeros(round(1.5e-6 / dt)), dt)
    t_, v_ = ngspice(PEARSON_ANSON_DECK, "", "tran 1n 1.5u 0 0.02n uic", "v")
    ours, theirs = crossings(t, v, 0.5), crossings(t_, v_, 0.5)
    assert len(ours) == len(theirs) >= 11
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)


def test_a_neuron_of_two_memristors(x64, ngspice):
    dt = 0.25e-9
    middle = (jnp.arange(4800, dtype=float) + 0.5) * dt
    t, v = waveform(ms.neurons.two_memristor_neuron(), 120e-6 * jnp.clip((middle - 10e-9) / 10e-9, 0.0, 1.0), dt)
    drive = "Iin 0 a pwl(0 0 10n 0 20n 120u)\n"
    t_, v_ = ngspice(TWO_MEMRISTORS_DECK, NBO2 + drive, "tran 0.1n 1.2u 0 0.05n", "b")
    ours, theirs = crossings(t, v, 0.2), crossings(t_, v_, 0.2)
    assert len(ours) == len(theirs) >= 3
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)


V_IN, R_IN, C_IN = 13.0, 12e3, 145e-12


def thermal_neuristor(resistance=R_IN):
    """A VO2 device and a capacitor behind a resistor: it heats, discharges the capacitor, cools, and so on."""
    return ms.neurons.Netlist(
        (
            VoltageSource(V_IN, "V1", ("s", "0")),
            Resistor(resistance, "R1", ("s", "v")),
            Capacitor(C_IN, "C1", ("v", "0"), initial=0.0),
            Memristor(VO2(), "X1", ("v", "0")),
        )
    )


def test_an_oscillator_with_a_memory_of_reversals(x64):
    dt, fine, length = 5e-9, 0.5e-9, 7.5e-6
    t, v = waveform(thermal_neuristor(), jnp.zeros(round(length / dt)), dt)
    device = VO2(substeps=1)

    def split(carry, _):  # the capacitor exactly for a resistance that is held, then the device for a voltage that is
        state, v = carry
        g = device.conductance(state)
        end = V_IN / R_IN / (1 / R_IN + g)
        after = end + (v - end) * jnp.exp(-(1 / R_IN + g) / C_IN * fine)
        return (device.advance(state, 0.5 * (v + after), fine), after), after

    _, slow = jax.lax.scan(split, (device.init(), jnp.zeros(())), None, length=round(length / fine))
    ours, theirs = crossings(t, v, 6.0), crossings(np.arange(1, len(slow) + 1) * fine, slow, 6.0)
    assert len(ours) == len(theirs) == 3
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)
    (fall,) = crossings(t, v, 3.0, -1)[:1]

    def after(resistance):  # behind the first reversals
        neuron, steps = thermal_neuristor(resistance), round((fall + 0.5e-6) / dt)
        return jax.lax.scan(lambda s, i: neuron.step(s, i, dt), neuron.init(), jnp.zeros(steps))[1][-1]

    slope = (after(R_IN + 1e-2) - after(R_IN - 1e-2)) / 2e-2
    assert float(jax.grad(after)(R_IN)) == pytest.approx(float(slope), rel=1e-4)


VOLTAX = """
import json
import jax.numpy as jnp
import voltax

t = jnp.arange(401) * 5e-6
drive = 5e-6 * t / 0.3e-3 * jnp.exp(1 - t / 0.3e-3)
points = " ".join(f"{s:.9g} {i:.12g}" for s, i in zip(t.tolist(), drive.tolist(), strict=True))
circuit = voltax.parse_netlist(DECK + f"Iin 0 v PWL({points})")
print(json.dumps(voltax.transient(circuit, t, method="trap").v("v").tolist()))
"""


def test_a_differentiable_simulator_of_others(x64):
    """In a process of its own, as it switches double precision on when it is imported."""
    if importlib.util.find_spec("voltax") is None:
        pytest.skip("voltax is not installed")
    deck = "\n".join(MIF_DECK.replace("mif-pair", "pair").splitlines()[1:-1]) + MIF_PAIR.replace("mif-pair", "pair")
    command = [sys.executable, "-c", f"DECK = {deck!r}\n{VOLTAX}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    theirs = np.asarray(json.loads(done.stdout.splitlines()[-1]))
    middle = (jnp.arange(400, dtype=float) + 0.5) * 5e-6
    tau = 0.3e-3
    _, ours = waveform(ms.neurons.mif_netlist(), 5e-6 * np.e * middle / tau * jnp.exp(-middle / tau), 5e-6)
    assert np.abs(ours - theirs).max() < 0.2e-3
