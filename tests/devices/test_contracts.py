"""Ring 1: the contract suites over everything that is registered, unasked."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from memspike import testing
from memspike.arrays.rows import DynamicalRows
from memspike.devices import RampToRamp, ReadNoise
from memspike.neurons import MIF, AbstractNeuron, AbstractSpikingNeuron
from memspike.parts import registry as registry


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
def test_objective(x64, make):
    testing.check_objective(make())


@pytest.mark.parametrize("make", entries(registry.RULES))
def test_rule(x64, make):
    testing.check_rule(make)


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


@pytest.mark.parametrize("wrapper", [RampToRamp, ReadNoise])
def test_wrapper_of_a_fit(x64, wrapper):
    given = {"level": 0.01} if wrapper is ReadNoise else {"up": 0.1, "down": 0.1, "length": 20.0}
    numbers: Any = {name: jnp.asarray(value) for name, value in given.items()}
    testing.check_device(wrapper(**numbers))
