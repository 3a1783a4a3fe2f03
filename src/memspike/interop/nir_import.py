"""A NIR graph as a network on crossbars, with the weights that it says."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar, Seen
from memspike.interop import nir_file, nir_linear, nir_neurons
from memspike.interop.nir_graph import INPUT, Population, Wiring, wiring
from memspike.interop.nir_linear import Shape
from memspike.networks.base import Clock, Conductances, Weights
from memspike.networks.connections import Convolution, Dense
from memspike.networks.feedforward import Feedforward
from memspike.networks.layers import INPUT as OF_INPUT
from memspike.networks.layers import Layer
from memspike.neurons.filters import ExponentialFilter, SteppedExponentialFilter
from memspike.neurons.lif import LIF
from memspike.parts.errors import InputError

Values = Float[np.ndarray, "..."]
# a filter that hands on what it gets, to the last bit: e^(−dt/τ) is 0 in single precision
AT_ONCE, NO_MEMORY = 1e-12, 1e-9


class Imported(NamedTuple):
    """A network of LIF neurons, its weights [rows, columns] of every crossbar within ±1, and its step in s.

    `shape` is that of the input in the file and `output_shape` of the output; `order` and `output_order` are where its
    values are here. Outputs times `scale` are those of the file: spikes count 1. `told` is what a reader should know.
    """

    network: Feedforward
    weights: Weights
    dt: float
    shape: Shape
    order: np.ndarray
    output_shape: Shape
    output_order: np.ndarray
    scale: float
    told: tuple[str, ...]

    def rows(self, x: Any) -> Float[Array, "steps *batch rows"]:
        """Inputs [steps, *batch, *shape] of the file in the order of the rows. InputError for another shape."""
        given, count = np.shape(x), len(self.shape)
        if len(given) <= count or tuple(given[len(given) - count :]) != self.shape:
            raise InputError(f"The input has shape {list(given)}; [steps, …, {str(list(self.shape))[1:]} is needed.")
        flat = np.asarray(x, np.float32).reshape(*given[: len(given) - count], -1)
        found = np.empty_like(flat)
        found[..., self.order] = flat
        return jnp.asarray(found)

    def outputs(self, sent: Float[Array, "steps *batch columns"]) -> Float[Array, "steps ..."]:
        """What the last layer sends, in V, as the file has it: spikes, or membranes."""
        volts = float(self.network.layers[-1].spike_voltage)
        found = sent[..., self.output_order] / volts * self.scale
        return found.reshape(*sent.shape[:-1], *self.output_shape)

    def conductances(self) -> Conductances:
        """What an ideal write sets, in S, [lines, rows, columns] of every crossbar."""
        return self.network.program(self.weights)

    def digital(self) -> tuple[Seen, ...]:
        """What reads would see of numbers in place of devices."""
        found = []
        for crossbar, w in zip(self.network.crossbars, self.weights, strict=True):
            lines = jnp.stack([jnp.maximum(w, 0), jnp.maximum(-w, 0)]) * crossbar.cell.unit()
            found.append(Seen(lines, jnp.zeros_like(lines)))
        return tuple(found)

    def run(self, x: Any, seen: Any = None, *, key: PRNGKeyArray | None = None) -> Float[Array, "steps ..."]:
        """Outputs in the shape of the file for inputs [steps, *batch, *shape], from rest.

        `seen` are conductances, or what reads of them see; None: numbers, no devices.
        """
        rows = self.rows(x)
        clock = Clock(self.dt, (rows.shape[0],))
        ran = self.network.run(self.digital() if seen is None else seen, rows, clock, key=key)
        return self.outputs(ran.output)


class _Part(NamedTuple):
    """A layer that is made: its numbers, where its neurons are here, and its shape in the file."""

    layer: Layer
    weights: tuple[Values, ...]
    places: np.ndarray
    shape: Shape
    scale: float


class _Made(NamedTuple):
    """A layer before its weights are scaled: connection, image, weights with the bias last, loops, membrane."""

    connection: Any
    image: tuple[int, ...]
    weights: Values
    bias: Values
    back: Values | None
    shape: Shape
    places: np.ndarray


def _input(node: Any, name: str) -> tuple[Shape, np.ndarray]:
    """Shape of the input in the file, and where its values are here."""
    given = (node.input_type or {}).get("input")
    if given is None:
        raise InputError(f"The input {name} says no shape.")
    shape = tuple(int(n) for n in np.atleast_1d(np.asarray(given)))
    if not shape or min(shape) < 1 or len(shape) > 3:
        raise InputError(f"The input {name} has shape {list(shape)}; one to three sizes without a batch are needed.")
    return shape, nir_linear.places(*shape) if len(shape) == 3 else np.arange(math.prod(shape))


def _kernel(one: Population, shapes: dict[str, Shape], images: dict[str, Any], gain_of: Any) -> _Made | None:
    """The population as a convolution, None where it is none that a crossbar reads patch by patch."""
    if len(one.chains) != 1 or one.chains[0].source not in images:
        return None
    chain = one.chains[0]
    shape = shapes[chain.source]
    if len(shape) == 1 and chain.source in images:
        return None
    found = nir_linear.kernel(chain, shape)
    if found is None:
        return None
    image = nir_linear.image(shape)
    down, across, channels = found.connection.neurons(image, found.weights.shape[1])
    gain = gain_of(found.shape).reshape(channels, -1)
    if np.any(gain != gain[:, :1]):
        return None
    at = nir_linear.places(channels, down, across)
    own = gain[:, 0]
    return _Made(found.connection, image, found.weights * own, found.bias * own, None, found.shape, at)


def _matrix(one: Population, shapes: dict[str, Shape], places: dict[str, np.ndarray], gain_of: Any) -> _Made:
    """The population as a dense layer, in the order of rows that its sources have here."""
    parts: dict[str, Values] = {}
    bias, shape = np.zeros(()), None
    own = [c for c in one.chains if c.source != one.name]
    if not own:
        raise InputError(f"The neurons {one.name} are driven by themselves alone.")
    for chain in [*own, *(c for c in one.chains if c.source == one.name)]:
        before = shape if chain.source == one.name else shapes[chain.source]
        assert before is not None
        found = nir_linear.dense(chain, before)
        if shape is not None and math.prod(found.shape) != math.prod(shape):
            raise InputError(f"The neurons {one.name} get inputs of shapes {list(shape)} and {list(found.shape)}.")
        shape = found.shape if shape is None else shape
        rows = np.arange(math.prod(shape)) if chain.source == one.name else places[chain.source]
        here = np.empty_like(found.weights)
        here[rows] = found.weights
        parts[chain.source] = parts.get(chain.source, 0.0) + here
        bias = bias + found.bias
    assert shape is not None
    gain = gain_of(shape)
    back = parts.pop(one.name, None)
    weights = np.concatenate([parts[c] for c in dict.fromkeys(c.source for c in own)])
    return _Made(
        Dense(), (), weights * gain, bias * gain, None if back is None else back * gain, shape, np.arange(len(gain))
    )


class _Reader:
    """Builds layers one after the other; remembers where the neurons of each are."""

    def __init__(self, plan: Wiring, dt: float, tau_scale: float, crossbar: Crossbar):
        self.plan, self.dt, self.tau_scale, self.crossbar = plan, dt, tau_scale, crossbar
        shape, places = _input(plan.input, plan.name)
        self.shapes: dict[str, Shape] = {INPUT: shape}
        self.places = {INPUT: places}
        self.images: dict[str, Any] = {INPUT: None} if len(shape) == 3 else {}
        self.numbers = {INPUT: OF_INPUT}
        self.told: list[str] = []

    def membrane(self, one: Population, shape: Shape) -> nir_neurons.Membrane:
        """The neurons of a population; a chain alone is read as it is."""
        if one.node is None:
            n = math.prod(shape)
            return nir_neurons.Membrane(np.zeros(n), np.ones(n), None)
        return nir_neurons.read(one.name, one.node, shape, self.dt, self.tau_scale).membrane

    def part(self, one: Population) -> _Part:
        """The layer of a population."""

        def gain_of(shape: Shape) -> Values:
            return self.membrane(one, shape).gain

        made = _kernel(one, self.shapes, self.images, gain_of) or _matrix(one, self.shapes, self.places, gain_of)
        self._tell(one, made)
        membrane = self.membrane(one, made.shape)
        held = [made.weights, made.bias, *([] if made.back is None else [made.back])]
        scale = max(float(np.abs(v).max()) for v in held) or 1.0
        biased = bool(np.any(made.bias != 0))
        weights = np.concatenate([made.weights, made.bias[None]]) if biased else made.weights
        sources = tuple(dict.fromkeys(self.numbers[c.source] for c in one.chains if c.source != one.name))
        layer = Layer(
            shape=tuple(weights.shape),  # pyright: ignore[reportArgumentType]
            crossbar=self.crossbar,
            filter=self._filter(membrane),
            neuron=self._neuron(membrane, made.places, scale),
            connection=made.connection,
            image=made.image,
            sources=sources,
            bias=0.2 if biased else None,
            recurrent=None if made.back is None else self.crossbar,
            loops=made.back is not None and bool(np.any(np.diagonal(made.back) != 0)),
        )
        self.numbers[one.name] = len(self.numbers) - 1
        self.shapes[one.name], self.places[one.name] = made.shape, made.places
        if isinstance(made.connection, Convolution) and len(made.shape) == 3:
            self.images[one.name] = None
        numbers = (weights / scale, *([] if made.back is None else [made.back / scale]))
        return _Part(layer, numbers, made.places, made.shape, scale)

    def _filter(self, membrane: nir_neurons.Membrane) -> ExponentialFilter | SteppedExponentialFilter:
        """What hands on the currents at once, or the synapse of the neurons."""
        if membrane.synapse is None:
            return ExponentialFilter(tau=AT_ONCE)
        return SteppedExponentialFilter(tau=float(nir_neurons.time_constant(membrane.synapse, self.dt)[0]))

    def _neuron(self, membrane: nir_neurons.Membrane, places: np.ndarray, scale: float) -> LIF:
        """LIF with the decay and threshold of the file, in units of the scaled weights."""

        def here(values: Values) -> Any:
            if np.all(values == values[0]):
                return float(values[0])
            found = np.empty_like(values)
            found[places] = values
            return jnp.asarray(found, jnp.float32)

        tau = nir_neurons.time_constant(membrane.decay, self.dt)
        theta = np.ones_like(tau) if membrane.theta is None else membrane.theta / scale
        return LIF(tau=here(tau), theta=here(theta), soft=False)

    def _tell(self, one: Population, made: _Made) -> None:
        if one.node is not None:
            self.told += nir_neurons.read(one.name, one.node, made.shape, self.dt, self.tau_scale).told
            decay = self.membrane(one, made.shape).decay
            kept = np.exp(-self.dt / nir_neurons.time_constant(decay, self.dt))
            if np.abs(kept - decay).max() > 1e-6:
                self.told.append(
                    f"{one.name}: membranes keep {kept.min():.7g} a step here, {decay.min():.7g} in the file."
                )
        for chain in one.chains:
            names = [name for name, _ in chain.nodes]
            if isinstance(made.connection, Dense) and any(
                nir_neurons.kind(n).startswith("Conv") for _, n in chain.nodes
            ):
                rows, columns = made.weights.shape
                self.told.append(f"{', '.join(names)}: every position has its own devices, {rows} × {columns} of them.")
            if not names and one.node is not None:
                self.told.append(f"{one.name}: nothing linear drives it; a crossbar of weights 1 does here.")


def _dt(graph: Any, given: float | None, plan: Wiring) -> tuple[float, list[str]]:
    """The time step in s, and what is to be told of it."""
    held = dict(graph.metadata or {}).get("dt")
    kept = None if held is None else float(np.asarray(held).reshape(-1)[0])
    dt = kept if given is None else given
    if dt is not None and dt > 0 and math.isfinite(dt):
        other = given is not None and kept is not None and not math.isclose(kept, dt, rel_tol=1e-6)
        return dt, [f"The file was written for a step of {kept:g} s; it is read at {dt:g} s."] if other else []
    if dt is not None:
        raise InputError(f"dt is {dt:g} s; above 0 is needed.")
    leaky = [p.node for p in plan.populations if nir_neurons.kind(p.node) in ("LIF", "LI", *nir_neurons.CURRENT_BASED)]
    r = np.concatenate([np.ravel(node.r) for node in leaky] or [np.ones(1)])
    each = [(node.tau_mem if nir_neurons.kind(node) in nir_neurons.CURRENT_BASED else node.tau) for node in leaky]
    pairs = zip(each, leaky, strict=True)
    steps = np.concatenate([np.ravel(np.asarray(tau) / np.asarray(node.r)) for tau, node in pairs] or [np.ones(1)])
    same = np.allclose(steps, steps[0], rtol=1e-4, atol=0) and not np.allclose(r, 1)
    hint = f" In all its neurons r is tau/{steps[0]:.4g} s, so that dt may be {steps[0]:.4g}." if same else ""
    raise InputError(f"The file says no dt, and {nir_neurons.STEP}; give it: dt=1e-4, or --dt 0.1ms.{hint}")


def from_nir(
    source: Any, *, dt: float | None = None, tau_scale: float = 1.0, crossbar: Crossbar | None = None
) -> Imported:
    """The network in a NIR file or graph, which is left as it is, with weights that ideal writes can set.

    `dt` in s is the step that it is for, by default the one in its metadata; `tau_scale` times its tau are seconds, for
    writers that mean others. All layers lie on the same kind of `crossbar`, differential pairs by default. InputError
    with the name of the node for what networks of memspike cannot be.
    """
    graph = nir_file.read_nir(source) if isinstance(source, str | Path) else source
    if not (math.isfinite(tau_scale) and tau_scale > 0):
        raise InputError(f"tau_scale is {tau_scale:g}; above 0 is needed.")
    plan = wiring(graph)
    nir_neurons.check_metadata("The graph", graph.metadata)
    step, told = _dt(graph, dt, plan)
    reader = _Reader(plan, step, tau_scale, crossbar or Crossbar())
    parts = [reader.part(one) for one in plan.populations]
    last, end = parts[-1], plan.populations[-1].node
    shape = reader.shapes[INPUT]
    fires = nir_neurons.kind(end) in nir_neurons.SPIKING
    network = Feedforward(
        tuple(part.layer for part in parts),
        checkpoint=False,
        inputs=nir_linear.image(shape) if len(shape) == 3 else (math.prod(shape),),
        input_voltage=0.2,
        spiking_output=fires,
    )
    weights = tuple(jnp.asarray(w, jnp.result_type(float)) for part in parts for w in part.weights)
    return Imported(
        network,
        weights,
        step,
        shape,
        reader.places[INPUT],
        last.shape,
        last.places,
        1.0 if fires else last.scale,
        (*told, *reader.told),
    )
