"""`simulation.accuracy=spice`: a configuration with a step and a method as accurate as a circuit simulator."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from memspike.config import build
from memspike.config.networks import FeedforwardTopology
from memspike.data.base import Dataset
from memspike.data.trials import Examples
from memspike.networks.accuracy import Step, fine_enough, runs_of
from memspike.networks.feedforward import Feedforward
from memspike.neurons.mif import MIF, forward_euler, frozen_memristors, staggered_exponential
from memspike.parts.errors import InputError

WANTED = "The accuracy of a circuit simulator (simulation.accuracy=spice) needs"
SHOWN = 3
# of trial weights to the first ones: training makes weights larger, and membranes with them
LARGER = (1.0, 4.0)


def accurate(settings: Any, data: Dataset | None = None) -> Any:
    """The settings with the step, and the method, that `simulation.accuracy` asks for, as numbers.

    For spice that is the first of `simulation.dt`, its half, its quarter … at which a trial is estimated to be within
    0.5 mV of the exact membranes: of three test examples, with the first weights and with four times as large ones.
    Where the accuracy is that of the run, nothing changes. InputError for what has no such step.
    """
    time = getattr(settings, "simulation", None)
    if time is None or time.accuracy == "run":
        return settings
    settings = _with_method(settings)
    built = build.classifier(settings, data)
    check_circuit(built.learner.network)
    step = _trial(built)
    found = dataclasses.replace(settings, simulation=dataclasses.replace(time, dt=step.dt))
    fine = settings.evaluation.fine_dt
    if fine is not None and fine >= step.dt:
        found = dataclasses.replace(found, evaluation=dataclasses.replace(settings.evaluation, fine_dt=None))
    return found


def _with_method(settings: Any) -> Any:
    """The settings with neurons that take accurate steps; InputError for what no step makes a circuit."""
    if not isinstance(settings.network, FeedforwardTopology):
        name = type(settings.network).__name__.removesuffix("Topology").lower()
        raise InputError(f"{WANTED} a feedforward network of MIF neurons; network is {name}.")
    if settings.training.update_every is not None:
        raise InputError(f"{WANTED} weights that stay in a trial; training.update_every is set, which counts steps.")

    def accurate_neuron(neuron: Any) -> Any:
        explicit = isinstance(neuron, MIF) and neuron.integrator is forward_euler
        return dataclasses.replace(neuron, integrator=staggered_exponential) if explicit else neuron

    layers = tuple(dataclasses.replace(one, neuron=accurate_neuron(one.neuron)) for one in settings.network.layers)
    network = dataclasses.replace(settings.network, layers=layers)
    return dataclasses.replace(settings, network=network, neuron=accurate_neuron(settings.neuron))


def check_circuit(network: Any) -> None:
    """InputError unless the network is a circuit of MIF neurons, whose steps only approximate it."""
    if not isinstance(network, Feedforward):
        raise InputError(f"{WANTED} a feedforward network of MIF neurons; this one is a {type(network).__name__}.")
    for k, layer in enumerate(network.layers):
        neuron = layer.neuron
        if not isinstance(neuron, MIF):
            raise InputError(f"{WANTED} MIF neurons in every layer; those of layer {k} are {type(neuron).__name__}.")
        if neuron.integrator is frozen_memristors:
            raise InputError(
                f"{WANTED} memristors that move; those of layer {k} are held by neuron.integrator=frozen-memristors."
            )
        if layer.recurrent is not None:
            raise InputError(
                f"{WANTED} layers without a delay of a step; layer {k} is recurrent, and hears itself a step later."
            )


def _trial(built: build.Built) -> Step:
    """The step at which all trials are accurate."""
    learner, trials, network = built.learner, built.population.trials, built.learner.network
    assert isinstance(network, Feedforward)
    assert isinstance(trials, Examples)
    dt = learner.clock.dt
    x = trials.shown(jnp.asarray(built.data.x_test[:SHOWN]), dt, key=jax.random.key(0))
    first = network.init_weights(float(getattr(learner.start, "gain", 1.0)), key=jax.random.key(0))
    times, worst = 1, 0.0
    for larger in LARGER:
        lines = network.program(tuple(jnp.clip(larger * w, -1, 1) for w in first))
        run = runs_of(network, lines, x, steps=learner.clock.steps, dt=dt)
        own, estimate = fine_enough(run)
        times, worst = max(times, own), max(worst, estimate)
    return Step(dt / times, worst)
