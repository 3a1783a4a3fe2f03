"""From a checked configuration to objects; from here on there are no strings."""

import inspect
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike._errors import InputError
from memspike._registry import FILTERS, INTEGRATORS, LOSSES, NEURONS, RULES, SCHEMES, SYNAPSES
from memspike.arrays.crossbar import Crossbar
from memspike.arrays.rows import DynamicalRows, StaticRows
from memspike.cells.differential import DifferentialPair, Pair
from memspike.data.base import Dataset
from memspike.data.encoders import AmplitudeEvents
from memspike.devices.base import AbstractPulseDevice
from memspike.devices.description import find
from memspike.devices.metastable_switch import MetastableSwitch
from memspike.experiments.config import ExperimentConfig, NetworkConfig, SynapseConfig, TrainingConfig
from memspike.learning.losses import AbstractReadout, SmoothMaximum, TimeMean, Windowed, predict
from memspike.networks.feedforward import Feedforward
from memspike.networks.layer import Layer
from memspike.networks.simulate import simulate
from memspike.neurons.base import AbstractNeuron

Real = Float[Array, "..."]
Pairs = tuple[Pair, ...]


class Classifier(eqx.Module):
    """A network with its input encoder, its readout and its clock."""

    network: Feedforward
    encoder: AmplitudeEvents
    readout: AbstractReadout
    steps: int = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    checkpoint: bool = eqx.field(static=True, default=True)

    def traces(self, pairs: Pairs, pixels: Float[Array, "*batch pixels"], *, key: PRNGKeyArray | None = None) -> tuple:
        """Membrane voltages in V of every layer, [steps, ..., neurons]."""
        return simulate(
            self.network,
            pairs,
            self.encoder(pixels),
            steps=self.steps,
            dt=self.dt,
            key=key,
            checkpoint=self.checkpoint,
        )

    def above_rest(self, pairs: Pairs, pixels: Real, *, key: PRNGKeyArray | None = None) -> tuple[Real, ...]:
        """Membrane voltages of every layer, less the rest voltage, in V."""
        traces = self.traces(pairs, pixels, key=key)
        return tuple(v - layer.neuron.rest() for v, layer in zip(traces, self.network.layers, strict=True))

    def predict(self, pairs: Pairs, pixels: Real, *, key: PRNGKeyArray | None = None) -> Array:
        """Class of each image; with a key, under read noise."""
        return predict(self.readout, self.above_rest(pairs, pixels, key=key)[-1])

    def at_step(self, dt: float) -> "Classifier":
        """The same network simulated with another time step."""
        steps = max(1, round(self.steps * self.dt / dt))
        return Classifier(self.network, self.encoder, self.readout, steps, dt, self.checkpoint)


def _rows(synapse: SynapseConfig) -> Any:
    SYNAPSES.get(synapse.model)
    if synapse.model == "static":
        return StaticRows()
    return DynamicalRows(MetastableSwitch(r_on=1 / synapse.g_max, r_off=1 / synapse.g_min, tau=synapse.tau))


def _with_range(synapse: SynapseConfig) -> SynapseConfig:
    """The synapses with the conductance range of the device they name."""
    if synapse.device is None:
        return synapse
    device = find(synapse.device)
    if not isinstance(device, AbstractPulseDevice):
        raise InputError(
            f"synapse.device is '{synapse.device}', a {type(device).__name__}; a pulse device is needed, "
            "see: memspike list devices."
        )
    return synapse.model_copy(
        update={"g_min": float(jnp.max(device.g_min)) or 1e-12, "g_max": float(jnp.min(device.g_max))}
    )


def _neuron(net: NetworkConfig) -> AbstractNeuron:
    make = NEURONS.get(net.neuron).value
    devices = {part: find(name) for part, name in (("m1", net.m1), ("m2", net.m2)) if name}
    if "parts" not in inspect.signature(make).parameters:
        raise InputError(f"network.neuron is '{net.neuron}', which cannot be trained here; use a mif preset.")
    return make(integrator=INTEGRATORS.get(net.integrator).value, **devices)


def readout(training: TrainingConfig) -> AbstractReadout:
    """The readout that a configuration names."""
    make = LOSSES.get(training.loss).value
    if make is SmoothMaximum:
        return SmoothMaximum(temperature=training.temperature, softness=training.softness)
    if make is Windowed:
        return Windowed(temperature=training.temperature, start=training.window[0], stop=training.window[1])
    return TimeMean(temperature=training.temperature)


def classifier(config: ExperimentConfig, data: Dataset) -> Classifier:
    """The network for a data set: its pixels and a bias row in, one neuron a class out."""
    net, synapse, evaluation = config.network, _with_range(config.synapse), config.evaluation
    for registry, name in ((RULES, config.training.rule), (SCHEMES, config.training.scheme)):
        registry.get(name)
    neuron = _neuron(net)
    filters = [FILTERS.get(net.input_filter).value(tau=net.input_tau)]
    filters += [FILTERS.get(net.filter).value(tau=net.tau)] * len(net.hidden)
    crossbar = Crossbar(
        cell=DifferentialPair(g_min=synapse.g_min, g_max=synapse.g_max),
        programming_spread=evaluation.programming_spread,
        read_noise=evaluation.read_noise,
    )
    sizes = (data.pixels + 1, *net.hidden, data.classes)
    layers = tuple(
        Layer((n, m), crossbar, _rows(synapse), f, neuron)
        for n, m, f in zip(sizes[:-1], sizes[1:], filters, strict=True)
    )
    encoder = AmplitudeEvents(config.input.read_voltage, config.input.offset, config.input.times, config.input.width)
    simulation = config.simulation
    return Classifier(
        Feedforward(layers), encoder, readout(config.training), simulation.steps, simulation.dt, simulation.checkpoint
    )


def pixels(images: Array, full_scale: float) -> Float[Array, "batch pixels"]:
    """Bytes [batch, height, width] → flat pixel values in [0, 1]."""
    return images.reshape(images.shape[0], -1).astype(jnp.result_type(float)) / full_scale


def one_hot(labels: Array, classes: int, smoothing: float) -> Float[Array, "batch classes"]:
    """Target probabilities with a share `smoothing` spread over all classes."""
    return (1 - smoothing) * jax.nn.one_hot(labels, classes) + smoothing / classes
