"""Networks and crossbars as decks, by ngspice and by the library."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike import InputError, arrays, neurons
from memspike.arrays import Crossbar, Resistive
from memspike.arrays.rows import DynamicalRows
from memspike.cells import DifferentialPair
from memspike.devices import ConstantStep
from memspike.interop.spice import Wanted, operating_point
from memspike.interop.spice.crossbars import Matrix, devices, reduced, warning, wired_devices
from memspike.interop.spice.network import Setting, check_network, chosen_layers, input_rows, stairs
from memspike.interop.spice.simulator import simulate
from memspike.interop.spice.verify import Plan, Subject, compared, deck_of, fine_step, verdict
from memspike.networks import Clock, Convolution, Events, Layer, feedforward

CELL = DifferentialPair(device=ConstantStep(g_min=10e-6, g_max=100e-6))
DT, STEPS = 50e-6, 12
FAST = neurons.AlphaFilter(tau=0.1e-3)


def network(**parts):
    given = {"crossbar": Crossbar(cell=CELL), "filter": FAST, "input_gain": 10.0, **parts}
    made = feedforward((6, 5, 3), **given)
    return dataclasses.replace(made, layers=(made.layers[0], dataclasses.replace(made.layers[1], input_gain=1.0)))


def subject(made, inputs):
    """A network with random weights under one input, whose class is that of the highest membrane."""
    weights = made.init_weights(3.0, key=jax.random.key(3))
    lines = made.program(tuple(jnp.clip(w, -1, 1) for w in weights))

    def decide(sample, output, dt):
        return int(np.asarray(output).max(0).argmax())

    return Subject(made, lines, Clock(DT, (STEPS,)), decide, lambda sample: inputs, (0.0, STEPS * DT))


def plan(made, inputs, **changes):
    of = subject(made, inputs)
    layers = chosen_layers(made, changes.pop("layers", None))
    return Plan(of, Setting(layers, 2e-6, STEPS * DT, **changes), ["a test"], [0])


PULSES = Events(jnp.asarray([[0.1, 0.0, 0.05, 0.0, 0.1, 0.1], [0.0, 0.0, 0.1, 0.02, 0.0, 0.1]]), (0.0, 150e-6))
TOUCHING = Events(PULSES.v, (20e-6, 20e-6 + 10e-6))
HELD = jnp.asarray(np.random.default_rng(0).uniform(0, 0.01, (STEPS, 6)), jnp.float32)
WIRED = Resistive(r_row=200.0, r_column=200.0)
SMALL = DifferentialPair(device=ConstantStep(g_min=1e-8, g_max=1e-7))
CASES = {
    "reduced": ({}, PULSES, {}),
    "devices": ({}, PULSES, {"crossbars": "devices"}),
    "wires, reduced": ({"crossbar": Crossbar(cell=CELL, wires=WIRED)}, PULSES, {}),
    "wires, devices": (
        {"crossbar": Crossbar(cell=CELL, wires=Resistive(r_row=200.0, r_column=200.0, two_sided=True))},
        PULSES,
        {"crossbars": "devices"},
    ),
    "pulses without a pause": ({}, TOUCHING, {}),
    "held rows": ({}, HELD, {}),
    "one stage": ({"filter": neurons.ExponentialFilter(tau=0.2e-3)}, PULSES, {}),
    "megaohms": (
        {"neuron": neurons.mif_megaohm(), "crossbar": Crossbar(cell=SMALL)},
        PULSES,
        {},
    ),
    "second layer": ({}, PULSES, {"layers": [2]}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_networks_agree_with_ngspice(simulator, case):
    parts, inputs, changes = CASES[case]
    given = plan(network(**parts), inputs, **dict(changes))
    deck = deck_of(given, 0, "a test")
    found = compared(given, 0, simulator, deck)
    assert found.library == found.simulator
    assert np.ptp(found.ours) > 20e-3, "nothing happens"
    for k in given.setting.layers:
        assert found.membranes[k].largest < 0.3e-3
        assert found.states[k].largest < 3e-3
        assert found.currents[k].rms < 5e-3
    facts, passed = verdict([found], simulator, given, 1e-3)
    assert passed
    assert facts["same_predictions"] == 1
    last = given.setting.layers[-1]
    assert found.measured["peak_0"] == pytest.approx(found.theirs[:, 0].max(), abs=1e-4)
    assert len([k for k in found.measured if k.startswith("mean_")]) == given.of.network.layers[last - 1].shape[1]


def test_every_neuron_has_its_own_parameters(simulator):
    switch = neurons.MIF().m1
    own = dataclasses.replace(switch, tau=jnp.asarray([0.5e-3, 1e-3, 2e-3]))
    made = network()
    varied = neurons.mif(m1=own, capacitance=jnp.asarray([1e-9, 2e-9, 1.5e-9]))
    last = dataclasses.replace(made.layers[1], neuron=varied)
    given = plan(dataclasses.replace(made, layers=(made.layers[0], last)), PULSES)
    found = compared(given, 0, simulator, deck_of(given, 0, "a test"))
    same = plan(made, PULSES)
    other = compared(same, 0, simulator, deck_of(same, 0, "a test"))
    assert found.membranes[2].largest < 0.3e-3
    assert np.abs(found.ours - other.ours).max() > 5e-3


def test_a_verdict_notices(simulator):
    given = plan(network(), PULSES)
    deck = deck_of(given, 0, "a test")
    other = deck._replace(text=deck.text.replace("p_gain=10", "p_gain=10.5"))
    found = compared(given, 0, simulator, other)
    assert not verdict([found], simulator, given, 1e-3).passed
    assert found.membranes[1].largest > 1e-3
    swapped = found._replace(simulator=(found.library or 0) + 1)
    assert not verdict([swapped], simulator, given, 1.0).passed


def test_a_deck_says_what_it_is():
    text = deck_of(plan(network(), PULSES), 0, "memspike 0").text
    head = text.split("\n\n")[0]
    assert all(line.startswith("* ") for line in head.splitlines())
    assert "a test" in head
    assert "test example 0" in head
    assert "1 rows of layer 1 stay at 0 V" in head
    assert text.count(".subckt neuron_1 ") == 1
    assert ".subckt neuron_2 " not in text  # it is the same
    assert text.count("\nG1_") == 5 * 5
    assert "set num_threads=1" in text
    assert len(max(text.splitlines(), key=len)) < 200


def test_steps_follow_the_tolerance():
    of = subject(network(), PULSES)
    rough, fine = fine_step(of, 0, 5e-3), fine_step(of, 0, 0.2e-3)
    assert fine < rough <= DT
    assert (DT / fine) % 1 == 0
    assert Wanted().tolerance == 1e-3


def corners(card):
    (found,) = re.findall(r"PWL\((.*)\)", card)
    return np.asarray(found.split(), float)


def test_sources_of_rows():
    times, volts = stairs([(0.0, 1.0), (1.0, 0.0)], 0.1)
    assert (times, volts) == ([0.0, 0.1, 1.0, 1.1], [0.0, 1.0, 1.0, 0.0])
    for inputs in (PULSES, TOUCHING, np.asarray(HELD)):
        rows = input_rows("1", inputs, STEPS * DT)
        assert len(rows.nodes) == 6
        for block in "\n".join(rows.cards).replace("\n+", " ").splitlines():
            numbers = corners(block)
            assert len(numbers) % 2 == 0
            assert (np.diff(numbers[::2]) > 0).all()
    assert input_rows("1", PULSES, STEPS * DT).nodes[1] is None
    single = input_rows("1", Events(PULSES.v[:1], (10e-6,)), STEPS * DT).cards[0]
    t, v = corners(single).reshape(-1, 2).T
    assert np.trapezoid(v, t) == pytest.approx(0.1 * 10e-6, rel=1e-6)  # the charge of a rectangle


def check_point(simulator, shape, wires):
    rng = np.random.default_rng(0)
    crossbar = Crossbar(cell=CELL, wires=wires)
    lines, v = rng.uniform(10e-6, 100e-6, (2, *shape)), rng.uniform(-0.2, 0.2, shape[0])
    plot = simulate(simulator, operating_point(crossbar, lines, v)).plot
    ours = np.asarray(crossbar.read(crossbar.transfer(jnp.asarray(lines)), jnp.asarray(v)))
    theirs = np.asarray([plot.of(f"v(i_1_{j})")[0] for j in range(shape[1])])
    assert np.abs(ours - theirs).max() < 1e-9 * np.abs(ours).max()
    assert np.abs(ours - v @ (lines[0] - lines[1])).max() > 1e-3 * np.abs(ours).max()


WIRES = {
    "equal": Resistive(),
    "rows alone": Resistive(r_column=0.0, r_sense=0.0),
    "columns alone": Resistive(r_row=0.0, r_driver=0.0, r_sense=3.0),
    "two-sided": Resistive(r_row=2.0, two_sided=True),
    "feet alone": Resistive(r_row=0.0, r_driver=0.0, r_column=0.0, r_sense=50.0),
}


@pytest.mark.parametrize("wires", WIRES)
def test_wires_at_an_operating_point(simulator, x64, wires):
    check_point(simulator, (16, 8), WIRES[wires])


@pytest.mark.full
def test_many_wires_at_an_operating_point(simulator, x64):
    check_point(simulator, (64, 32), Resistive())


def test_what_takes_long_is_told():
    crossbar = Crossbar(cell=CELL, wires=Resistive())
    matrix = Matrix("1", crossbar, np.ones((2, 64, 40)), [None] * 64)
    assert wired_devices([matrix]) == 5120
    assert wired_devices([matrix._replace(crossbar=Crossbar(cell=CELL))]) == 0
    assert warning(4000) is None
    assert "5,120 devices with wires" in str(warning(5120))
    assert "37 s" in str(warning(5120))
    assert "minutes" in str(warning(10_000))


def test_silent_rows_and_absent_devices_have_no_cards():
    crossbar = Crossbar(cell=CELL)
    lines = np.zeros((2, 2, 2))
    lines[0, 0, 0] = 1e-5
    matrix = Matrix("1", crossbar, lines, ["a", None])
    assert reduced(matrix) == ["G1_0_0 0 i_1_0 a 0 1e-05"]
    (resistor,) = [line.split() for line in devices(matrix) if line.startswith("R")]
    assert resistor[:3] == ["R1_0_0", "a", "f_1_0"]
    assert float(resistor[3]) == pytest.approx(1e5)


def layered(**changes):
    made = network()
    return dataclasses.replace(made, layers=(dataclasses.replace(made.layers[0], **changes), made.layers[1]))


REFUSED = {
    "The neurons of layer 1 are LIFs": lambda: layered(neuron=neurons.LIF()),
    "The memristors of layer 1 are frozen": lambda: layered(neuron=neurons.mif(integrator=neurons.frozen_memristors)),
    "The reading of layer 1 is a DynamicalRows": lambda: layered(rows=DynamicalRows()),
    "Layer 1 is recurrent": lambda: layered(recurrent=Crossbar(cell=CELL)),
    "The crossbar of layer 1 lies on tiles": lambda: layered(crossbar=Crossbar(cell=CELL, tiles=arrays.Tiles(4, 4))),
    "The network is a Layer": lambda: Layer(shape=(2, 2)),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_has_no_netlist_is_refused_by_name(words):
    with pytest.raises(InputError, match=words):
        check_network(REFUSED[words]())


def test_convolutions_forms_and_layers_are_refused_by_name():
    shape = Layer(shape=(9, 2), image=(4, 4, 1), connection=Convolution(kernel=3))
    made = dataclasses.replace(feedforward((16, 4)), layers=(shape,), inputs=(4, 4, 1))
    with pytest.raises(InputError, match="The connection of layer 1 is a Convolution"):
        check_network(made)
    with pytest.raises(InputError, match="Unknown form of crossbars 'whole'; allowed: devices, reduced"):
        check_network(network(), "whole")
    for given in ([0], [3], [1, 3]):
        with pytest.raises(InputError, match="neighbouring layers out of 1 to 2"):
            chosen_layers(network(), given)
