"""Lists of layers → networks: what each kind of network makes of its layers."""

import dataclasses
import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from memspike.arrays.rows import AbstractRows, DynamicalRows, StaticRows
from memspike.config.sections import LayerSettings
from memspike.devices.metastable import MetastableSwitch
from memspike.networks.base import AbstractNetwork
from memspike.networks.connections import Dense, Map
from memspike.networks.feedforward import Feedforward
from memspike.networks.layers import INPUT, Layer
from memspike.networks.local import LocalLayer, LocalNetwork
from memspike.networks.populations import Associative, Competitive
from memspike.networks.recurrent import Recurrent
from memspike.neurons.analog import Analog
from memspike.neurons.base import AbstractNeuron
from memspike.neurons.filters import AbstractFilter, AlphaFilter, ExponentialFilter
from memspike.neurons.lif import ALIF, AbstractSpikingNeuron, TraceLIF
from memspike.parts.errors import InputError
from memspike.parts.param import option, part
from memspike.parts.refusals import NoNames, OtherNeurons


class Ingredients(NamedTuple):
    """What layers have where they say nothing, and how their crossbars are made.

    `crossbar(layer, shape, where)` makes that of a matrix; `charge` normalises input spikes, which are no voltages in V
    where the input `spikes`. The last of the `inputs` may be a `bias`; the others are pixels of examples of the shape
    `image`, or of their channels. `width` is that of row pulses in s, None where rows are held.
    """

    neuron: eqx.Module
    crossbar: Any
    inputs: int
    outputs: int
    charge: float = 1.0
    image: Map = ()
    bias: bool = False
    spikes: bool = False
    width: float | None = None

    @property
    def pixels(self) -> Map:
        """Where the pixels of the input are: (height, width, channels), or (rows,) where they are no image."""
        count = self.inputs - self.bias
        if len(self.image) not in (2, 3) or math.prod(self.image) != count:
            return (count,)
        return (*self.image, 1) if len(self.image) == 2 else self.image


def usual_gain(filter: AbstractFilter, width: float) -> float:
    """tau/width: with it a pulse has the peak that a charge of its current times tau would have."""
    return float(f"{float(filter.tau) / width:.7g}")


def _sized(layers: Sequence[LayerSettings], outputs: int) -> list[LayerSettings]:
    """The layers with the last one of `outputs` neurons, which may be left out of the list."""
    own = list(layers)
    if not own or own[-1].size is not None:
        own.append(LayerSettings())
    for k, layer in enumerate(own[:-1]):
        if layer.size is None:
            raise InputError(f"network.layers.{k}.size is not given; only the last layer takes its size from the data.")
    return [*own[:-1], dataclasses.replace(own[-1], size=outputs)]


@contextmanager
def _named(where: str) -> Iterator[None]:
    """An InputError says where, if it does not."""
    try:
        yield
    except InputError as error:
        text = str(error)
        raise error if text.startswith(("network.", "array.")) else InputError(f"{where}: {text}") from None


def _check_plain(layers: Sequence[LayerSettings], kind: str, *also: str) -> None:
    """InputError for what layers of a feedforward network alone can have, except what these have `also`."""
    usual = LayerSettings()
    for k, layer in enumerate(layers):
        for name in ("connection", "sources", "recurrent", "loops", "bias", "input_gain"):
            if name not in also and getattr(layer, name) != getattr(usual, name):
                raise InputError(
                    f"network.layers.{k}.{name} is set, which layers of a feedforward network alone have; this network "
                    f"is {kind}."
                )


def _neuron(layer: LayerSettings, base: Ingredients, wanted: Any, where: str, what: str) -> Any:
    """The neuron of a layer, if it is of a kind that the network can hold."""
    neuron = base.neuron if layer.neuron is None else layer.neuron
    if not isinstance(neuron, wanted):
        raise OtherNeurons(where, type(neuron).__name__, what)
    return neuron


class AbstractTopology(eqx.Module):
    """A kind of network and its layers."""

    layers: eqx.AbstractVar[tuple[LayerSettings, ...]]

    @abstractmethod
    def build(self, base: Ingredients) -> AbstractNetwork:
        """The network; InputError where a part does not fit."""


class FeedforwardTopology(AbstractTopology):
    """Layers of any neurons, each driving the rows of the next crossbar, or of any later one."""

    layers: tuple[LayerSettings, ...] = eqx.field(
        default=(LayerSettings(size=64),), metadata={"doc": "layers, the last one may be left out"}
    )
    input_filter: AbstractFilter = part(lambda: AlphaFilter(tau=0.3e-3), "synaptic filter of the first layer")
    filter: AbstractFilter = part(lambda: ExponentialFilter(tau=0.1e-3), "synaptic filter of the other layers")
    reading: AbstractRows = part(StaticRows, "what reading does to the synaptic devices")
    checkpoint: bool = option(True, "recompute the inside of a step of membranes in the backward pass: less memory")
    segment: int | None = option(
        None, "steps whose inside is recomputed together: memory of one segment, not of a trial", bounds=(1, 10**9)
    )
    spike_voltage: float = option(0.2, "row voltage of a spike", unit="V", bounds=(1e-6, 10))
    bias_voltage: float = option(0.1, "voltage of bias rows, but for that of the input", unit="V", bounds=(1e-6, 10))
    input_gain: float | None = option(
        None,
        "current into the synaptic filter over that of the column while input rows are pulsed; none: tau of the filter "
        "over encoder.width",
        bounds=(0, 1e9),
    )

    def build(self, base: Ingredients) -> Feedforward:
        """Layer after layer; the bias row of the encoder is one of the rows of those that the input drives."""
        found: list[Layer] = []
        layers = _sized(self.layers, base.outputs)
        for k, layer in enumerate(layers):
            where = f"network.layers.{k}"
            with _named(where):
                found.append(self._layer(layer, k, found, base, where))
        if math.prod(found[-1].map) != base.outputs:
            raise InputError(
                f"network.layers.{len(found) - 1} has {math.prod(found[-1].map)} neurons, but the data have "
                f"{base.outputs} classes; the last layer must be dense."
            )
        # spikes of an encoder are numbers: those of the network where it has any, 1 V where all neurons are analog
        spikes = base.spikes and any(layer.spiking for layer in found)
        volts = self.spike_voltage if spikes else 1.0
        shape = {"inputs": base.pixels, "input_bias": base.bias, "input_voltage": volts}
        return Feedforward(tuple(found), self.checkpoint, self.segment, **shape)

    def _layer(self, layer: LayerSettings, k: int, before: list[Layer], base: Ingredients, where: str) -> Layer:
        """Layer number `k`, given those before it."""
        if layer.loops and not layer.recurrent:
            raise InputError(f"{where}.loops is true, but the layer is not recurrent; set {where}.recurrent=true.")
        sources = _sources(layer, k, where)
        maps = [base.pixels if s == INPUT else before[s].map for s in sources]
        image = (sum(math.prod(m) for m in maps),)
        if not isinstance(layer.connection, Dense):
            image = _stacked(maps, where)
        encoder = base.bias and INPUT in sources
        held = self.bias_voltage if layer.bias and not encoder else None
        rows = layer.connection.rows(image) + int(encoder and layer.bias is not False) + int(held is not None)
        size = layer.size or 0
        filter = layer.filter or (self.filter if k else self.input_filter)
        gain = self.gain_of(layer, filter, base.width, where) if INPUT in sources else 1.0
        neuron = _neuron(
            layer, base, AbstractNeuron | AbstractSpikingNeuron, where, "membranes or spikes, such as mif or lif"
        )
        crossbar = base.crossbar(layer, (rows, size), where)
        count = math.prod(layer.connection.neurons(image, size))
        return Layer(
            (rows, size),
            crossbar,
            _reading(layer.reading or self.reading, crossbar.cell),
            filter,
            neuron,
            layer.connection,
            image,
            None if layer.sources is None else sources,
            held,
            layer.bias is not False,
            base.crossbar(layer, (count, count), where) if layer.recurrent else None,
            layer.loops,
            self.spike_voltage,
            gain,
        )

    def gain_of(self, layer: LayerSettings, filter: AbstractFilter, width: float | None, where: str) -> float:
        """The gain of a layer that the input drives by pulses of `width` seconds; 1 where rows are held (None).

        InputError for a gain that is given where no row is pulsed.
        """
        own = layer.input_gain is not None
        given = layer.input_gain if own else self.input_gain
        if width is None:
            if given is not None:
                raise InputError(
                    f"{where if own else 'network'}.input_gain is {given:g}, but the encoder sends no row pulses; it "
                    "holds voltages, which have gain 1; leave it out, or set it to none."
                )
            return 1.0
        return usual_gain(filter, width) if given is None else given


def _sources(layer: LayerSettings, k: int, where: str) -> tuple[int, ...]:
    """The numbers of the layers that drive layer number `k`."""
    if layer.sources is None:
        return (k - 1,)
    named = [INPUT if s == "input" else s for s in layer.sources]
    if not named or not all(isinstance(s, int) and INPUT <= s < k for s in named) or len({*named}) < len(named):
        allowed = "-1 (or input)" if k == 0 else f"-1 (or input) to {k - 1}, layers before it, each once"
        raise InputError(f"{where}.sources is {list(layer.sources)}; allowed: {allowed}.")
    return tuple(s for s in named if isinstance(s, int))


def _stacked(maps: list[Map], where: str) -> Map:
    """The image that several sources make together, their channels one after the other."""
    if any(len(m) != 3 for m in maps) or len({m[:2] for m in maps}) > 1:
        sizes = ", ".join(" × ".join(map(str, m)) for m in maps)
        raise InputError(
            f"{where}.connection is a convolution, which needs images of one height and width; what drives it has "
            f"{sizes} {'neurons' if len(maps) == 1 else 'neurons each'}."
        )
    return (*maps[0][:2], sum(m[2] for m in maps))


def _reading(reading: Any, cell: Any) -> AbstractRows:
    """Dynamical rows without a device of their own move between the conductances of the cells."""
    if not isinstance(reading, DynamicalRows) or reading.device != DynamicalRows().device:
        return reading
    low, high = (float(g) for g in cell.conductance_range())
    return DynamicalRows(MetastableSwitch(r_on=1 / high, r_off=1 / (low or 1e-12), tau=reading.device.tau))


def _analog_filter() -> Any:
    """The field of networks whose neurons may have analog spikes: their filter."""
    return part(lambda: ExponentialFilter(tau=0.1e-3), "synaptic filter of neurons with analog spikes (mif)")


def _analog_current() -> Any:
    """And the scale of what enters their membranes."""
    words = "current into a membrane of theirs for a read_voltage on a weight of 1; none: that of the column"
    return option(None, words, unit="A", bounds=(0, 1e3))


class RecurrentTopology(AbstractTopology):
    """One layer of spiking neurons, all connected with each other, and a leaky readout."""

    layers: tuple[LayerSettings, ...] = eqx.field(
        default=(LayerSettings(size=100),), metadata={"doc": "the layer, and the readout if it has own parts"}
    )
    tau_out: float = option(30e-3, "time constant of the readout", unit="s", bounds=(1e-9, 1e6))
    read_voltage: float = option(0.2, "row voltage of a spike", unit="V", bounds=(1e-6, 10))
    loops: bool = option(False, "neurons are connected with themselves, too")
    adaptive: float = option(1.0, "share of the neurons that adapt (alif)", bounds=(0, 1))
    filter: AbstractFilter = _analog_filter()
    current: float | None = _analog_current()

    def build(self, base: Ingredients) -> Recurrent:
        """Three crossbars: input, recurrent, output; the first two are those of the layer."""
        _check_plain(self.layers, "recurrent")
        layers = _sized(self.layers, base.outputs)
        if len(layers) != 2:
            raise InputError(f"network.layers has {len(layers) - 1} sizes; a recurrent network has one spiking layer.")
        kinds = AbstractSpikingNeuron | AbstractNeuron
        neuron = _neuron(layers[0], base, kinds, "network.layers.0", "spikes, such as lif, alif or mif")
        sizes = (base.inputs, layers[0].size or 0, base.outputs)
        shapes = ((sizes[0], sizes[1]), (sizes[1], sizes[1]), (sizes[1], sizes[2]))
        owners = (layers[0], *layers)
        pairs = enumerate(zip(owners, shapes, strict=True))
        crossbars: Any = tuple(base.crossbar(one, shape, f"network.layers.{k // 2}") for k, (one, shape) in pairs)
        if isinstance(neuron, AbstractNeuron):
            neuron = _analog(neuron, layers[0], self, crossbars[0])
        return Recurrent(
            sizes,
            _per_neuron(neuron, sizes[1], self.adaptive),
            crossbars,
            tau_out=self.tau_out,
            read_voltage=self.read_voltage,
            loops=self.loops,
        )


def _analog(neuron: AbstractNeuron, layer: LayerSettings, given: Any, crossbar: Any) -> Analog:
    """A neuron with analog spikes behind the filter and with the `current` of a recurrent or competitive network."""
    column = given.read_voltage * crossbar.cell.unit()
    current = column if given.current is None else given.current
    return Analog(neuron, layer.filter or given.filter, current, given.read_voltage)


def _per_neuron(neuron: Any, count: int, adaptive: float) -> AbstractSpikingNeuron | Analog:
    """A neuron of which only the first `adaptive` share of a layer adapts."""
    if not isinstance(neuron, ALIF):
        return neuron
    adapts = np.arange(count) < round(adaptive * count)
    return dataclasses.replace(neuron, beta=neuron.beta * adapts.astype(np.float32))


class LocalTopology(AbstractTopology):
    """Layers of trace-lif neurons with a fixed random readout each."""

    layers: tuple[LayerSettings, ...] = eqx.field(default=(LayerSettings(size=150),), metadata={"doc": "layers"})
    amplitude: float = option(2.0, "random readouts are uniform in ±amplitude/√neurons", bounds=(0, 1e6))

    def build(self, base: Ingredients) -> LocalNetwork:
        """A chain of layers; every crossbar has a bias row."""
        _check_plain(self.layers, "local", "connection")
        if not self.layers or any(layer.size is None for layer in self.layers):
            raise InputError("network.layers of a local network need a size each, e.g. network.layers=[150].")
        found, image = [], base.pixels
        for k, layer in enumerate(self.layers):
            where = f"network.layers.{k}"
            neuron = _neuron(layer, base, TraceLIF, where, "trace-lif neurons")
            neuron = dataclasses.replace(neuron, gain=neuron.gain / base.charge)
            with _named(where):
                image = image if isinstance(layer.connection, Dense) else _stacked([image], where)
                shape, own = (layer.connection.rows(image), layer.size or 0), image
                image = layer.connection.neurons(image, shape[1])
            crossbar = base.crossbar(layer, (shape[0] + 1, shape[1]), where)
            blank = jnp.zeros((math.prod(image), base.outputs)), jnp.zeros(base.outputs)
            found.append(LocalLayer(shape, *blank, crossbar, neuron, layer.connection, own))
        return LocalNetwork(tuple(found), self.amplitude)


class CompetitiveTopology(AbstractTopology):
    """A winner-take-all layer: whoever spikes first silences the others for the rest of a presentation."""

    layers: tuple[LayerSettings, ...] = eqx.field(default=(LayerSettings(size=8),), metadata={"doc": "the one layer"})
    noise: float = option(0.2, "s.d. of what is added to a membrane in a step, in units of weight", bounds=(0, 1e6))
    read_voltage: float = option(0.2, "row voltage of a spike", unit="V", bounds=(1e-6, 10))
    inhibition: float | None = option(
        None,
        "time for which a spike silences all; none: the refractory period of the neuron, of mif the presentation",
        unit="s",
        bounds=(1e-15, 1e9),
    )
    filter: AbstractFilter = _analog_filter()
    current: float | None = _analog_current()
    threshold: float = option(30e-3, "membrane voltage at which they have fired", unit="V", bounds=(-10, 10))

    def build(self, base: Ingredients) -> Competitive:
        """One crossbar."""
        _check_plain(self.layers, "competitive")
        if len(self.layers) != 1 or self.layers[0].size is None:
            raise InputError(
                f"network.layers has {len(self.layers)} layers; a competitive network has one, with a size."
            )
        layer, shape = self.layers[0], (base.inputs, self.layers[0].size)
        kinds = AbstractSpikingNeuron | AbstractNeuron
        neuron = _neuron(layer, base, kinds, "network.layers.0", "spikes, such as alif, lif or mif")
        crossbar = base.crossbar(layer, shape, "network.layers.0")
        if isinstance(neuron, AbstractNeuron):
            neuron = _analog(neuron, layer, self, crossbar)
            neuron = dataclasses.replace(neuron, threshold=jnp.asarray(self.threshold))
        return Competitive(
            shape,
            crossbar,
            neuron,
            noise=self.noise,
            read_voltage=self.read_voltage,
            classes=base.outputs,
            inhibition=self.inhibition,
        )


class AssociativeTopology(AbstractTopology):
    """Neurons with analog membranes that drive each other through one crossbar: a memory that completes patterns."""

    layers: tuple[LayerSettings, ...] = eqx.field(default=(LayerSettings(size=40),), metadata={"doc": "the one layer"})
    filter: AbstractFilter = part(lambda: ExponentialFilter(tau=0.1e-3), "filter of the column currents")
    coupling: float = option(1.0, "current into a membrane over that of its column", bounds=(0, 1e6))
    swing: float = option(0.12, "largest row voltage that a buffer gives", unit="V", bounds=(1e-6, 1e3))

    def build(self, base: Ingredients) -> Associative:
        """One crossbar from all neurons to all neurons."""
        _check_plain(self.layers, "associative")
        if base.outputs != base.inputs:
            raise NoNames()
        if len(self.layers) != 1 or self.layers[0].size != base.inputs:
            sizes = [layer.size for layer in self.layers]
            raise InputError(
                f"network.layers has the sizes {sizes}; an associative network has one layer, of a neuron an input: "
                f"{base.inputs}."
            )
        layer, where = self.layers[0], "network.layers.0"
        neuron = _neuron(layer, base, AbstractNeuron, where, "a membrane voltage, such as mif")
        crossbar = base.crossbar(layer, (base.inputs, base.inputs), where)
        filter = layer.filter or self.filter
        return Associative(base.inputs, crossbar, neuron, filter, coupling=self.coupling, swing=self.swing)
