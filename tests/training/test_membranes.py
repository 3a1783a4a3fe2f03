"""Range and spikes of membranes: against counting by hand."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike import experiments
from memspike.arrays.crossbar import Crossbar
from memspike.cells import RangeReference
from memspike.devices import pulsed_mif_synapse
from memspike.networks.accuracy import at_starts, refined
from memspike.networks.base import Clock
from memspike.networks.feedforward import Membranes
from memspike.networks.populations import Associative, Competitive
from memspike.networks.recurrent import Recurrent
from memspike.neurons import MIF
from memspike.neurons.analog import Analog
from memspike.neurons.driver import Driver
from memspike.neurons.filters import ExponentialFilter
from memspike.report.kinds import membranes
from memspike.training.membranes import analog, membranes_of, swing


def ranged():
    return Crossbar(RangeReference(pulsed_mif_synapse()))


def test_swing_counts_spikes_and_time_out_of_range():
    rest = float(MIF().rest())
    v = np.full((10, 2, 3), 20e-3)
    v[2, 0, 0] = v[5, 0, 0] = 60e-3  # two spikes
    v[3:6, 1, 1] = 140e-3  # one, too high for three steps
    v[9, 1, 2] = -60e-3  # too low for one
    quiet = np.full((10, 2, 2), 10e-3)
    found = swing(Membranes((jnp.asarray(v - rest), jnp.asarray(quiet - rest))))
    np.testing.assert_allclose([found.low, found.high], [-60e-3, 140e-3], rtol=1e-5)
    assert float(found.outside) == pytest.approx(4 / 100)
    assert float(found.active) == pytest.approx(2 / 10)
    assert float(found.spikes) == pytest.approx(1.5)


def test_a_run_tells_its_membranes_and_its_ablation_is_one_option(tmp_path):
    keys = ["training.epochs=2", "data.train=320", "data.test=60", "evaluation.chips=0", "evaluation.fine_dt=none"]
    found = {}
    for integrator in ("staggered-exponential", "frozen-memristors"):
        settings = experiments.resolve("memprop-digits", [*keys, f"neuron.integrator={integrator}"]).settings
        found[integrator] = experiments.run(settings, tmp_path / integrator)
    for result in found.values():
        assert result["membrane_low"] < 18e-3 < result["membrane_high"]
        assert 0 <= result["membrane_outside"] < 1
        assert result["membrane_step"] == 50e-6
    circuit, linear = found["staggered-exponential"], found["frozen-memristors"]
    assert 1e-3 < circuit["membrane_deviation"] < 0.2, "50 µs are coarse for neurons that switch"
    assert 0 < linear["membrane_deviation"] < circuit["membrane_deviation"]
    assert f"{1e3 * circuit['membrane_deviation']:.3g} mV at steps of 50 µs" in dict(membranes(circuit)).values()
    assert len({result["membrane_low"] for result in found.values()}) == 2


def by_hand(neuron, filter, drive, steps, dt, times):
    """Membranes above rest at the ends of the coarse steps, of `drive(t, v)` in A taken at the start of fine ones."""
    v = neuron.rest() * jnp.ones(SIZE)
    state, source, found = neuron.init((SIZE,)), filter.init((SIZE,)), []
    for n in range(steps * times):
        source, current = filter.step(source, drive(n, v - neuron.rest()), dt / times)
        state, v = neuron.step(state, current, dt / times)
        found.append(v - neuron.rest())
    return np.asarray(found)[times - 1 :: times]


SIZE, STEPS, DT, TIMES = 3, 12, 50e-6, 4


def same_network():
    """A recurrent and an associative network of the same neurons, and the weights between these."""
    w = 0.5 * jax.random.normal(jax.random.key(1), (SIZE, SIZE)) * (1 - jnp.eye(SIZE))
    neuron = Analog(MIF(), ExponentialFilter(tau=0.1e-3))
    return Recurrent((SIZE, SIZE, 2), neuron), Associative(SIZE, ranged(), filter=neuron.filter), w


def test_membranes_of_recurrent_neurons_are_found_and_refined(x64):
    network, _, w = same_network()
    neuron: Any = network.neuron
    one = jnp.eye(SIZE)
    weights = (one, w, jnp.zeros((SIZE, 2)))
    x = jnp.zeros((STEPS, SIZE)).at[1, 0].set(4.0).at[2, 1].set(2.0)
    readings = network.programmed(weights, None)
    fine: Any = refined(x, TIMES)
    found = membranes_of(network, network.run(readings, fine, Clock(DT / TIMES, (len(fine),)))).layers[0]

    def drive(n, above):
        return neuron.current * (x[n // TIMES] + (above / neuron.voltage) @ w)

    slow = by_hand(neuron.neuron, neuron.filter, drive, STEPS, DT, TIMES)
    np.testing.assert_allclose(found[TIMES - 1 :: TIMES], slow, rtol=1e-5, atol=1e-8)
    assert np.abs(slow).max() > 10e-3
    assert analog(network)


def test_membranes_of_a_memory_are_found_and_refined(x64):
    _, network, w = same_network()
    spikes = jnp.zeros((STEPS, SIZE)).at[1, 0].set(1.0).at[3, 1].set(1.0)
    fine = at_starts(spikes, TIMES)
    assert fine[TIMES * 3].tolist() == [0.0, 1.0, 0.0]
    assert float(fine.sum()) == 2
    current, dt = Driver(network.neuron).current(fine, DT / TIMES), DT / TIMES
    lines = network.programmed((jnp.clip(w, 0, 1),), None)
    found = membranes_of(network, network.run(lines, current, Clock(dt, (len(fine),)))).layers[0]
    filter, neuron, unit = network.filter, network.neuron, network.crossbar.cell.unit()
    state, source, slow = neuron.init((SIZE,)), filter.init((SIZE,)), []
    for i in current:
        above = jnp.clip(neuron.voltage(state) - neuron.rest(), 0, network.swing)
        source, arriving = filter.step(source, unit * (above @ lines.mean), dt)
        state, v = neuron.step(state, i + network.coupling * arriving, dt)
        slow.append(v - neuron.rest())
    np.testing.assert_allclose(found, slow, rtol=1e-5, atol=1e-9)
    assert analog(network)


def test_membranes_of_neurons_that_compete_are_those_before_they_are_silenced():
    neuron = Analog(MIF(), ExponentialFilter(tau=0.1e-3))
    network = Competitive((2, SIZE), ranged(), neuron, inhibition=1.0)
    reading = network.programmed((jnp.asarray([[0.9, 0.1, 0.2], [0.8, 0.3, 0.1]]),), None)
    x = jnp.zeros((STEPS, 2)).at[1:4].set(1.0)
    episode = network.run(reading, x, Clock(DT, (STEPS,)))
    (v,) = membranes_of(network, episode).layers
    first = int(np.argmax(np.asarray(episode.z).sum(1) > 0))
    assert episode.z[first].tolist() == [1.0, 0.0, 0.0]
    assert float(v[first, 0] + MIF().rest()) > 30e-3, "the crossing itself is seen"
    np.testing.assert_allclose(v[4:], 0, atol=1e-6, err_msg="silenced, and no input")
    assert analog(network)
    spiking = Competitive((2, SIZE), ranged())
    assert not analog(spiking)
    assert not membranes_of(spiking, spiking.run(reading, x, Clock(DT, (STEPS,)))).layers


@pytest.mark.parametrize("name", ["memory-retrieval", "stdp-patterns-waveform"])
def test_a_run_of_waveforms_tells_how_far_membranes_are_from_fine_steps(name, tmp_path):
    few = {"memory-retrieval": ["task.patterns=1", "task.cues=1"], "stdp-patterns-waveform": ["task.presentations=4"]}
    keys = ["seeds=1", "training.epochs=1", *few[name]]
    if name == "stdp-patterns-waveform":
        keys += ["task.test_presentations=4", "task.test_flips=[0.1]"]
    found = {}
    for dt in ("10us", "20us"):
        settings = experiments.resolve(name, [*keys, f"simulation.dt={dt}"]).settings
        found[dt] = experiments.run(settings, tmp_path / dt)
    coarse, fine = (found[dt]["membrane_deviation"] for dt in ("20us", "10us"))
    assert 0 < fine < coarse < 50e-3
    assert found["10us"]["membrane_step"] == pytest.approx(10e-6)
    assert f"{1e3 * fine:.3g} mV at steps of 10 µs" in dict(membranes(found["10us"])).values()
