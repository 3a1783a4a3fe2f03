"""Ring 1: the contract suites over everything that is registered, unasked."""

import inspect

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from memspike import testing
from memspike.arrays.rows import DynamicalRows
from memspike.learning import Trains, Waveforms, stdp, stdp_waveform
from memspike.learning.rules.decolle import Decolle
from memspike.neurons import MIF, AbstractNeuron, AbstractSpikingNeuron, Driver
from memspike.parts import registry as registry


def local_batches():
    """For every local rule the activity of three neurons that spike, and of three that spike a little later."""
    spikes = jnp.zeros((600, 6)).at[10, :3].set(1.0).at[110, 3:].set(1.0)
    v = Driver()(spikes, 10e-6)
    return {stdp: (Trains(spikes[:, :3], spikes[:, 3:]),), stdp_waveform: (Waveforms(v[:, :3], v[:, 3:]),)}


def entries(kind):
    return [pytest.param(entry.value, id=entry.name) for entry in kind]


@pytest.mark.parametrize("make", entries(registry.DEVICES))
def test_device(x64, make):
    testing.check_device(make())


@pytest.mark.parametrize("make", entries(registry.NEURONS))
def test_neuron(x64, make):
    neuron = make()
    if isinstance(neuron, AbstractSpikingNeuron):
        testing.check_spiking_neuron(neuron)
        return
    if not isinstance(neuron, AbstractNeuron):
        testing.check_parameters(neuron)  # a neuron with its synapses inside: its network is the contract
        return
    current = 50e-3 * float(neuron.m1.conductance(neuron.m1.init())) * 2 if isinstance(neuron, MIF) else 1e-6
    testing.check_neuron(neuron, current=current)


@pytest.mark.parametrize("make", entries(registry.FILTERS))
def test_filter(x64, make):
    testing.check_filter(make)


@pytest.mark.parametrize("make", entries(registry.LOSSES))
def test_readout(x64, make):
    testing.check_readout(make())


@pytest.mark.parametrize("make", entries(registry.RULES))
def test_rule(x64, make):
    takes = inspect.signature(make).parameters
    if "plasticity" in takes:
        testing.check_local_rule(make, local_batches()[make])
    elif "problem" not in takes:
        testing.check_rule(make, optax.adam(0.02))
    elif takes["problem"].annotation is Decolle:
        testing.check_decolle_rule(make, optax.sgd(1.0))
    else:
        testing.check_eprop_rule(make, optax.adam(2e-3))


@pytest.mark.parametrize("make", entries(registry.SCHEMES))
def test_scheme(x64, make):
    testing.check_scheme(make())


@pytest.mark.parametrize("make", entries(registry.SYNAPSES))
def test_rows(x64, make):
    rows = make()
    testing.check_parameters(rows)
    v = jnp.asarray(np.random.default_rng(0).uniform(0, 0.1, size=(20, 3, 4)))
    effective = rows.effective(v, jnp.full(20, 1e-4))
    assert effective.shape == v.shape
    assert (np.asarray(effective) <= np.asarray(v)).all()
    np.testing.assert_array_equal(rows.effective(0 * v, jnp.full(20, 1e-4)), 0)


def test_a_broken_device_is_caught(x64):
    """The suite can fail: a device whose step is not that of its rate."""
    device = registry.DEVICES.get("mif-pair").value()

    class Broken(type(device)):
        def advance(self, state, v, dt):
            return super().advance(state, v, 2 * dt)

    with pytest.raises(AssertionError, match="advance against rate"):
        testing.check_device(Broken())


def test_dynamical_needs_a_switch():
    assert float(DynamicalRows().device.tau) == pytest.approx(10e-3)
