"""A network of LIF neurons as a NIR graph: seconds, r = 1, one array a parameter, and what is lost by it."""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from memspike.arrays.fidelity import Ideal
from memspike.arrays.rows import StaticRows
from memspike.experiments.trained import TrainedRun
from memspike.interop import nir_file, nir_linear, nir_neurons
from memspike.networks.base import Weights
from memspike.networks.connections import Convolution
from memspike.networks.feedforward import Feedforward
from memspike.networks.layers import INPUT, Layer
from memspike.networks.recurrent import Recurrent
from memspike.neurons.analog import Analog
from memspike.neurons.filters import ExponentialFilter, SteppedExponentialFilter
from memspike.neurons.lif import ALIF, LIF
from memspike.parts.errors import InputError

Values = Float[np.ndarray, "..."]
Lines = tuple[Float[np.ndarray, "_ _ _"] | None, ...]
SPICE = "memspike spice writes its circuit"
# steps in time constants of a filter after which nothing is left in single precision, not even at mid-step
AT_ONCE = 208


class Exported(NamedTuple):
    """A graph of the package nir, and one sentence for everything of the network that it cannot say."""

    graph: Any
    lost: tuple[str, ...]


class _Graph:
    """Nodes and edges, one added behind another."""

    def __init__(self, nir: Any, dt: float, lines: Lines | None):
        self.nir, self.dt, self.lines = nir, dt, lines
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []

    def put(self, name: str, node: Any, *after: str) -> str:
        """A node that is driven by those named."""
        self.nodes[name] = node
        self.edges += [(one, name) for one in after]
        return name

    def about(self, k: int) -> dict[str, Any]:
        """Metadata of the weights on crossbar `k`: the conductances in S behind them."""
        own = None if self.lines is None else self.lines[k]
        return {} if own is None else {"conductances_s": np.asarray(own, np.float32)}

    def linear(self, name: str, w: Values, bias: Values | None, k: int) -> tuple[str, Any]:
        """A Linear or Affine node of weights [rows, columns]."""
        w, about = np.asarray(w.T, np.float32), self.about(k)
        if bias is None:
            return name, self.nir.Linear(weight=w, metadata=about)
        return name, self.nir.Affine(weight=w, bias=np.asarray(bias, np.float32), metadata=about)


def _kept(tau: Any, dt: float, count: int) -> Values:
    """What each membrane keeps of itself in a step, exactly as the simulation has it."""
    found = _spread_over(jnp.exp(-dt / tau), count)
    if found.max() >= 1:
        raise InputError(f"A membrane with tau = {float(jnp.max(jnp.asarray(tau))):g} s leaks nothing in {dt:g} s.")
    return found


def check_neuron(where: str, neuron: Any, *, fires: bool = True) -> None:
    """InputError with a way out for neurons that no node of NIR is."""
    name = type(neuron).__name__
    if not isinstance(neuron, LIF | ALIF):
        inner = f"{name} of {type(neuron.neuron).__name__}" if isinstance(neuron, Analog) else name
        raise InputError(f"{where} has {inner} neurons, which NIR has no node for; {SPICE}.")
    if isinstance(neuron, ALIF):
        raise InputError(f"{where} has ALIF neurons, whose threshold adapts; NIR has no node for them; train with lif.")
    if neuron.refractory and fires:
        raise InputError(
            f"{where} has a refractory period of {neuron.refractory} steps, which NIR cannot say; 0 can be."
        )
    if neuron.soft and fires:
        raise InputError(
            f"{where} has a soft reset (a spike subtracts the threshold), which NIR cannot say: readers would reset to "
            "zero; train with neuron.soft=false."
        )


def _check_layer(where: str, layer: Layer, dt: float, fires: bool) -> None:
    """InputError for what of a layer has no words in NIR."""
    check_neuron(where, layer.neuron, fires=fires)
    if not isinstance(layer.rows, StaticRows):
        raise InputError(f"{where} has devices that move while they are read, which NIR cannot say; {SPICE}.")
    filter: Any = layer.filter
    if isinstance(filter, SteppedExponentialFilter):
        return
    if not isinstance(filter, ExponentialFilter) or dt / float(jnp.max(filter.tau)) < AT_ONCE:
        raise InputError(
            f"{where} has a synaptic filter ({type(filter).__name__}) read in mid-step, which NIR cannot say; a "
            f"stepped-exponential one can be, and one that hands on what it gets: an exponential one with tau below "
            f"{dt / AT_ONCE:.2g} s."
        )


def _pixels(network: Feedforward, source: int) -> tuple[int, ...]:
    """Where the neurons of a source are: (neurons,) or (height, width, channels)."""
    return network.inputs or (network.layers[0].shape[0],) if source == INPUT else network.layers[source].map


def _in_file(at: tuple[int, ...]) -> tuple[int, ...]:
    return (at[2], *at[:2]) if len(at) == 3 else at


def _order(at: tuple[int, ...]) -> np.ndarray:
    return nir_linear.places(*_in_file(at)) if len(at) == 3 else np.arange(math.prod(at))


def _spread_over(values: Any, count: int) -> Values:
    """A value for every neuron, from one, one a column, or one a neuron."""
    given = np.ravel(np.asarray(values, np.float64))
    return np.tile(given, count // given.size)


class _Writer:
    """Layers of a feed-forward network, one after the other."""

    def __init__(self, network: Feedforward, weights: Weights, graph: _Graph):
        self.network, self.graph = network, graph
        self.weights = [np.asarray(w, np.float64) for w in weights]
        self.ends: dict[int, str] = {}
        self.crossbar = 0

    def _from(self, source: int, flat: bool) -> str:
        """The node that sends the signals of a source, flattened where a matrix follows on an image."""
        name, at = self.ends[source], _pixels(self.network, source)
        if not flat or len(at) != 3:
            return name
        own = f"flatten_{name}"
        if own not in self.graph.nodes:
            node = self.graph.nir.Flatten(input_type={"input": np.array(_in_file(at))}, start_dim=0, end_dim=-1)
            self.graph.put(own, node, name)
        return own

    def layer(self, k: int) -> None:
        """Its weights, its neurons and what drives them."""
        network, layer = self.network, self.network.layers[k]
        where, fires = f"Layer {k}", network.fires(k)
        _check_layer(where, layer, self.graph.dt, fires)
        at, count = layer.map, math.prod(layer.map)
        decay = _kept(layer.neuron.tau, self.graph.dt, count)
        synapse = None
        if isinstance(layer.filter, SteppedExponentialFilter):
            synapse = _kept(layer.filter.tau, self.graph.dt, count)
        gain = (1 / (1 - decay) if synapse is None else 1 - synapse)[_order(at)]
        volts = float(layer.spike_voltage)
        w, bias = self.weights[self.crossbar], None
        sources = network.sources(k)
        for s in sources:
            if s == INPUT and network.input_bias and (len(_pixels(network, s)) == 3 or not layer.input_bias):
                raise InputError(f"{where} sees an image with a bias of the input, which NIR cannot say.")
        if layer.bias is not None:
            w, bias = w[:-1], w[-1] * (layer.bias / volts)
        if isinstance(layer.connection, Convolution):
            drivers = [self._kernel(k, w, bias, gain)]
        else:
            drivers = self._matrices(k, w, bias, gain)
        self.crossbar += 1
        if layer.recurrent is not None:
            mask = layer.connected()[1]
            back = self.weights[self.crossbar] * (1.0 if mask is None else np.asarray(mask))
            turn = _order(at)
            drivers.append(
                self.graph.put(*self.graph.linear(f"rec{k}", back[turn][:, turn] * gain, None, self.crossbar))
            )
            self.crossbar += 1
        theta = _spread_over(layer.neuron.theta, count)[_order(at)] if fires else None
        shape = _in_file(at)
        turned = nir_neurons.Membrane(decay[_order(at)], gain, theta, synapse)
        node = nir_neurons.written(self.graph.nir, turned, shape, self.graph.dt)
        self.ends[k] = self.graph.put(f"{'lif' if fires else 'li'}{k}", node, *drivers)
        if layer.recurrent is not None:
            self.graph.edges.append((self.ends[k], f"rec{k}"))

    def _scale(self, source: int, layer: Layer) -> float:
        """What a 1 of a source is as a row voltage over that of a spike here."""
        volts = self.network.input_voltage if source == INPUT else float(self.network.layers[source].spike_voltage)
        return volts / float(layer.spike_voltage)

    def _matrices(self, k: int, w: Values, bias: Values | None, gain: Values) -> list[str]:
        """One matrix a source; the bias is in the first."""
        layer, found, start = self.network.layers[k], [], 0
        for number, source in enumerate(self.network.sources(k)):
            at = _pixels(self.network, source)
            rows = math.prod(at) + (source == INPUT and self.network.input_bias)
            turn = np.append(_order(at), math.prod(at))[:rows]
            own = w[start : start + rows][turn] * gain * self._scale(source, layer)
            own_bias = bias * gain if bias is not None and number == 0 else None
            name = f"fc{k}" if number == 0 else f"fc{k}_{number}"
            node = self.graph.linear(name, own, own_bias, self.crossbar)
            found.append(self.graph.put(*node, self._from(source, flat=True)))
            start += rows
        return found

    def _kernel(self, k: int, w: Values, bias: Values | None, gain: Values) -> str:
        """A Conv2d, with a pool behind it where there is one."""
        layer, nir = self.network.layers[k], self.graph.nir
        connection: Any = layer.connection
        (source,) = self.network.sources(k)
        channels = layer.shape[1]
        each = gain.reshape(channels, -1)
        if np.any(each != each[:, :1]):
            raise InputError(
                f"Layer {k} is a convolution whose neurons differ from place to place; NIR needs one kernel."
            )
        side, (height, width, inner) = connection.kernel, layer.image
        own = (w * each[:, 0] * self._scale(source, layer)).reshape(side, side, inner, channels).transpose(3, 2, 0, 1)
        pair = (connection.padding,) * 2
        node = nir.Conv2d(
            input_shape=(height, width),
            weight=np.asarray(own, np.float32),
            stride=(connection.stride,) * 2,
            padding=pair,
            dilation=(1, 1),
            groups=1,
            bias=np.asarray(np.zeros(channels) if bias is None else bias * each[:, 0], np.float32),
            metadata=self.graph.about(self.crossbar),
        )
        name = self.graph.put(f"conv{k}", node, self._from(source, flat=False))
        if connection.pool == 1:
            return name
        pool, none = np.array((connection.pool,) * 2), np.zeros(2, int)
        return self.graph.put(f"pool{k}", nir.AvgPool2d(kernel_size=pool, stride=pool, padding=none), name)


def _feedforward(network: Feedforward, weights: Weights, graph: _Graph) -> None:
    writer = _Writer(network, weights, graph)
    at = _pixels(network, INPUT)
    shape = (at[0] + 1,) if network.input_bias and len(at) == 1 else _in_file(at)
    writer.ends[INPUT] = graph.put("input", graph.nir.Input(input_type={"input": np.array(shape)}))
    for k in range(len(network.layers)):
        writer.layer(k)
    last = len(network.layers) - 1
    end = _in_file(network.layers[last].map)
    graph.put("output", graph.nir.Output(output_type={"output": np.array(end)}), writer.ends[last])


def _recurrent(network: Recurrent, weights: Weights, graph: _Graph) -> None:
    check_neuron("The network", network.neuron)
    neuron: Any = network.neuron
    inputs, neurons, outputs = network.sizes
    w = [np.asarray(one, np.float64) for one in weights]
    decay, kept = _kept(neuron.tau, graph.dt, neurons), _kept(network.tau_out, graph.dt, outputs)
    gain, theta = 1 / (1 - decay), _spread_over(neuron.theta, neurons)
    back = w[1] * np.asarray(network.others())
    graph.put("input", graph.nir.Input(input_type={"input": np.array([inputs])}))
    first = graph.put(*graph.linear("fc0", w[0] * gain, None, 0), "input")
    again = graph.put(*graph.linear("rec0", back * gain, None, 1), "lif0")
    spiking, readout = nir_neurons.Membrane(decay, gain, theta), nir_neurons.Membrane(kept, 1 / (1 - kept), None)
    graph.put("lif0", nir_neurons.written(graph.nir, spiking, (neurons,), graph.dt), first, again)
    read = graph.put(*graph.linear("fc1", w[2] / (1 - kept), None, 2), "lif0")
    graph.put("li1", nir_neurons.written(graph.nir, readout, (outputs,), graph.dt), read)
    graph.put("output", graph.nir.Output(output_type={"output": np.array([outputs])}), "li1")


def _lost(network: Any) -> list[str]:
    """What of the arrays a graph of numbers cannot hold."""
    found = []
    if any(not isinstance(c.wires, Ideal) for c in network.crossbars):
        found.append("wires: the weights are those of the devices, without what the resistance of wires does to reads")
    if any(not c.periphery.ideal or c.tiles is not None for c in network.crossbars):
        found.append("tiles and converters: the weights are read without them")
    noisy = any(float(jnp.max(c.read_noise)) > 0 for c in network.crossbars)
    noisy = noisy or any(type(c.cell.device).__name__ != "ConstantStep" for c in network.crossbars)
    if noisy:
        found.append("read noise and drift of the devices: the weights are those of one moment")
    return found


def to_nir(
    network: Any, weights: Weights, dt: float, *, lines: Lines | None = None, about: dict[str, Any] | None = None
) -> Exported:
    """A network and its weights [rows, columns] as a graph of the package nir, for steps of `dt` seconds.

    τ is dt/(1 − decay), so that a forward Euler step is ours; the gain is in the weights. `lines` are conductances in S
    of every crossbar, None of those in digital memory, and `about` further metadata: arrays, numbers and short texts.
    InputError with the name of the layer for what NIR cannot say.
    """
    if not (math.isfinite(dt) and dt > 0):
        raise InputError(f"dt is {dt:g} s; above 0 is needed.")
    nir = nir_file.package()
    graph = _Graph(nir, dt, lines)
    if isinstance(network, Feedforward):
        _feedforward(network, weights, graph)
    elif isinstance(network, Recurrent):
        _recurrent(network, weights, graph)
    else:
        raise InputError(
            f"A {type(network).__name__} network has no form in NIR; feed-forward and recurrent ones have."
        )
    metadata = {"dt": np.float64(dt), "writer": "memspike", "at_threshold": "spike above", **(about or {})}
    whole = nir.NIRGraph(nodes=graph.nodes, edges=graph.edges, metadata=metadata, type_check=True)
    return Exported(whole, tuple(_lost(network)))


def nir_of_run(run: TrainedRun, *, chip: int = 0, age: float = 0.0) -> Exported:
    """Chip number `chip` of a trained run, `age` seconds after its last write, with its conductances as metadata.

    InputError as of `to_nir`, for another chip, and for an age below 0.
    """
    if not (math.isfinite(age) and age >= 0):
        raise InputError(f"The age is {age:g} s; 0 s or later is needed.")
    network, cells = run.chip(chip)
    t = jnp.asarray(age, jnp.result_type(float))
    pairs, on_devices = list(zip(network.crossbars, cells, strict=True)), run.conductances()
    seen = [np.asarray(c.cell.read(state, t) if age else c.cell.stored(state)) for c, state in pairs]
    weights = tuple(c.cell.weight(jnp.asarray(g)) for (c, _), g in zip(pairs, seen, strict=True))
    lines = tuple(g if name in on_devices else None for name, g in zip(run.names, seen, strict=True))
    devices = [
        type(c.cell.device).__name__ if g is not None else "digital memory"
        for (c, _), g in zip(pairs, lines, strict=True)
    ]
    about = {
        "device": ", ".join(dict.fromkeys(devices)),
        "age_s": np.float64(age),
        "seed": np.int64(run.seeds[chip]),
    }
    return to_nir(network, weights, run.settings.simulation.dt, lines=lines, about=about)
