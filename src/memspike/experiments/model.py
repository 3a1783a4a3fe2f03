"""From a checked configuration to objects; from here on there are no strings."""

import inspect
from itertools import pairwise
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.converters import ADC, DAC, Identity
from memspike.arrays.crossbar import Crossbar, Seen
from memspike.arrays.fidelity import AbstractWires, Ideal, Resistive
from memspike.arrays.ledger import Drive, Pulse
from memspike.arrays.periphery import AfterConversion, BeforeConversion, Periphery
from memspike.arrays.rows import DynamicalRows, StaticRows
from memspike.arrays.tiles import Tiles
from memspike.cells.base import AbstractCell
from memspike.cells.differential import DifferentialPair
from memspike.cells.multi import MultiDevice
from memspike.data.base import Dataset
from memspike.data.encoders import ENCODERS, AbstractEvents, AmplitudeEvents
from memspike.devices.base import AbstractPulseDevice
from memspike.devices.constant_step import ConstantStep
from memspike.devices.description import find
from memspike.devices.metastable_switch import MetastableSwitch
from memspike.experiments.config import (
    ArrayConfig,
    ExperimentConfig,
    InputConfig,
    NetworkConfig,
    SynapseConfig,
    TrainingConfig,
)
from memspike.learning.losses import AbstractReadout, SmoothMaximum, TimeMean, Windowed, predict
from memspike.networks.feedforward import Conductances, Feedforward
from memspike.networks.layer import Layer
from memspike.networks.simulate import simulate
from memspike.neurons.base import AbstractNeuron
from memspike.parts.errors import InputError, unknown
from memspike.parts.registry import FILTERS, INTEGRATORS, LOSSES, NEURONS, RULES, SCHEMES, SYNAPSES

Real = Float[Array, "..."]
Reads = tuple[Seen, ...] | Conductances


class Classifier(eqx.Module):
    """A network with its input encoder, its readout and its clock."""

    network: Feedforward
    encoder: AbstractEvents
    readout: AbstractReadout
    steps: int = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    checkpoint: bool = eqx.field(static=True, default=True)

    def traces(self, seen: Reads, pixels: Float[Array, "*batch pixels"], *, key: PRNGKeyArray | None = None) -> tuple:
        """Membrane voltages in V of every layer, [steps, ..., neurons]; `seen` as of `network.transfer`."""
        return simulate(
            self.network,
            seen,
            self.encoder(pixels),
            steps=self.steps,
            dt=self.dt,
            key=key,
            checkpoint=self.checkpoint,
        )

    def above_rest(self, seen: Reads, pixels: Real, *, key: PRNGKeyArray | None = None) -> tuple[Real, ...]:
        """Membrane voltages of every layer, less the rest voltage, in V."""
        traces = self.traces(seen, pixels, key=key)
        return tuple(v - layer.neuron.rest() for v, layer in zip(traces, self.network.layers, strict=True))

    def predict(self, seen: Reads, pixels: Real, *, key: PRNGKeyArray | None = None) -> Array:
        """Class of each image; with a key, under read noise."""
        return predict(self.readout, self.above_rest(seen, pixels, key=key)[-1])

    def at_step(self, dt: float) -> "Classifier":
        """The same network simulated with another time step."""
        steps = max(1, round(self.steps * self.dt / dt))
        return Classifier(self.network, self.encoder, self.readout, steps, dt, self.checkpoint)


def _cell(synapse: SynapseConfig) -> AbstractCell:
    device = synaptic_device(synapse)
    if synapse.devices_per_side == 1:
        return DifferentialPair(device)
    return MultiDevice(device, per_side=synapse.devices_per_side)


def _rows(cell: AbstractCell, synapse: SynapseConfig) -> Any:
    SYNAPSES.get(synapse.model)
    if synapse.model == "static":
        return StaticRows()
    low, high = (float(g) for g in cell.conductance_range())
    return DynamicalRows(MetastableSwitch(r_on=1 / high, r_off=1 / (low or 1e-12), tau=synapse.tau))


def synaptic_device(synapse: SynapseConfig) -> AbstractPulseDevice:
    """The device of the crossbars: the named one, or a linear one between g_min and g_max."""
    if synapse.device is None:
        return ConstantStep(g_min=synapse.g_min, g_max=synapse.g_max)
    device = find(synapse.device)
    if not isinstance(device, AbstractPulseDevice):
        raise InputError(
            f"synapse.device is '{synapse.device}', a {type(device).__name__}; a pulse device is needed, "
            "see: memspike list devices."
        )
    return device


def wires(array: ArrayConfig) -> AbstractWires:
    """The wires that a configuration asks for."""
    if array.ideal:
        return Ideal()
    return Resistive(
        r_row=array.r_row,
        r_column=array.r_column,
        r_driver=array.r_row if array.r_driver is None else array.r_driver,
        r_sense=array.r_column if array.r_sense is None else array.r_sense,
        two_sided=array.two_sided,
    )


def periphery(array: ArrayConfig) -> Periphery:
    """The converters that a configuration asks for."""
    dac = DAC(bits=array.dac_bits, range=array.dac_range) if array.dac_bits else Identity()
    adc = ADC(bits=array.adc_bits, range=array.adc_range) if array.adc_bits and array.adc_range else Identity()
    return Periphery(dac=dac, adc=adc, order=BeforeConversion() if array.subtract_first else AfterConversion())


def _tiles(array: ArrayConfig, shapes: list[tuple[int, int]], lines: int) -> list[Tiles | None]:
    """The tiles of each layer of `shapes` physical devices, none larger than the layer itself."""
    if array.tile is None:
        return [None] * len(shapes)
    tiles = Tiles(*array.tile, array.analog_sums)
    if not any(tiles.rows <= rows and tiles.columns <= columns for rows, columns in shapes):
        largest = max(shapes, key=lambda shape: shape[0] * shape[1])
        raise InputError(
            f"array.tile is {list(array.tile)}, larger than every array of the network; the largest has "
            f"{largest[0]} × {largest[1]} devices."
        )
    for shape in shapes:
        tiles.within(shape).check(shape, lines)
    return [tiles.within(shape) for shape in shapes]


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


def encoder(given: InputConfig, data: Dataset) -> AbstractEvents:
    """The input encoder that a configuration names, for the images of a data set."""
    if given.encoder not in ENCODERS:
        raise unknown("input.encoder", given.encoder, ENCODERS)
    times = given.times
    if ENCODERS[given.encoder] is not AmplitudeEvents:
        times = tuple(times[0] + k * given.interval for k in range(data.x_train.shape[1]))
    return ENCODERS[given.encoder](given.read_voltage, given.offset, times, given.width)


def classifier(config: ExperimentConfig, data: Dataset) -> Classifier:
    """The network for a data set: its pixels and a bias row in, one neuron a class out."""
    net, synapse, evaluation = config.network, config.synapse, config.evaluation
    for registry, name in ((RULES, config.training.rule), (SCHEMES, config.training.scheme)):
        registry.get(name)
    neuron = _neuron(net)
    filters = [FILTERS.get(net.input_filter).value(tau=net.input_tau)]
    filters += [FILTERS.get(net.filter).value(tau=net.tau)] * len(net.hidden)
    cell = _cell(synapse)
    drive = Drive(Pulse(energy=synapse.pulse_energy, width=0.0), Pulse(energy=synapse.pulse_energy, width=0.0))
    source = encoder(config.input, data)
    shapes = list(pairwise((source.rows(data.pixels), *net.hidden, data.classes)))
    lines = cell.gains().shape[0]
    layers = tuple(
        Layer(
            shape,
            Crossbar(
                cell,
                wires(config.array),
                tile,
                periphery(config.array),
                evaluation.programming_spread,
                evaluation.read_noise,
                drive=drive,
            ),
            _rows(cell, synapse),
            f,
            neuron,
        )
        for shape, tile, f in zip(
            shapes, _tiles(config.array, [(n, m * lines) for n, m in shapes], lines), filters, strict=True
        )
    )
    simulation = config.simulation
    return Classifier(
        Feedforward(layers),
        source,
        readout(config.training),
        simulation.steps,
        simulation.dt,
        simulation.checkpoint,
    )


def pixels(images: Array, full_scale: float) -> Float[Array, "batch pixels"]:
    """Bytes [batch, height, width] → flat pixel values in [0, 1]."""
    return images.reshape(images.shape[0], -1).astype(jnp.result_type(float)) / full_scale


def one_hot(labels: Array, classes: int, smoothing: float) -> Float[Array, "batch classes"]:
    """Target probabilities with a share `smoothing` spread over all classes."""
    return (1 - smoothing) * jax.nn.one_hot(labels, classes) + smoothing / classes
