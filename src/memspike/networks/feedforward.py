"""Layers one after the other: what the neurons of a layer send drives rows of later crossbars."""

import math
from itertools import pairwise
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar, Seen
from memspike.arrays.rows import DynamicalRows
from memspike.networks import base
from memspike.networks.base import AbstractNetwork, Cells, Clock, Conductances, Corrections, Weights
from memspike.networks.connections import Map
from memspike.networks.layers import INPUT, Layer
from memspike.networks.segments import in_segments
from memspike.networks.simulate import Events, simulate
from memspike.parts.errors import InputError
from memspike.parts.param import option


class Membranes(NamedTuple):
    """A run: what every layer sends, [steps, *batch, neurons] in V: membranes above rest, or the pulses of spikes.

    `output` is that of the last layer, which sends its membranes whatever its neurons are, unless they are to fire.
    """

    layers: tuple[Float[Array, "steps *batch _"], ...]

    @property
    def output(self) -> Float[Array, "steps *batch _"]:
        """Of the last layer."""
        return self.layers[-1]


class Feedforward(AbstractNetwork):
    """Layers in a row, each driven by the one before, or by any earlier ones and the input (`Layer.sources`).

    `inputs` is where the pixels of the input are, () a flat array; with `input_bias` its last row is a bias. Programmed
    conductances are the state, `Lines` for each crossbar.

    InputError where layers do not fit one another.
    """

    drawn, weights = base.as_designed, base.stored_weights

    layers: tuple[Layer, ...]
    checkpoint: bool = option(True, "recompute the inside of a step of membranes in the backward pass: less memory")
    segment: int | None = option(
        None, "steps whose inside is recomputed together: memory of one segment, not of a trial", bounds=(1, 10**9)
    )
    inputs: Map = eqx.field(static=True, default=())
    input_bias: bool = option(False, "the last row of the input is a bias")
    input_voltage: float = option(1.0, "row voltage of 1 in an input that is no events", unit="V", bounds=(1e-6, 10))
    spiking_output: bool = option(False, "spiking neurons of the last layer fire, too; otherwise they integrate")

    @property
    def crossbars(self) -> tuple[Crossbar, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One a layer, and its recurrent one."""
        return tuple(crossbar for layer in self.layers for crossbar in layer.crossbars())

    @property
    def names(self) -> tuple[str, ...]:
        """Layers by number, "recurrent" for the other crossbar of one."""
        each = enumerate(self.layers, start=1)
        return tuple(f"layer {k}{what}" for k, one in each for what in ("", " recurrent")[: len(one.crossbars())])

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of every crossbar."""
        return tuple(shape for layer in self.layers for shape in layer.shapes())

    def fires(self, k: int) -> bool:
        """Whether spiking neurons of layer `k` fire."""
        return self.spiking_output or k + 1 < len(self.layers)

    @property
    def input_rows(self) -> int:
        """Rows of the input, its bias included."""
        return math.prod(self.inputs) + self.input_bias if self.inputs else self.layers[0].shape[0]

    def sources(self, k: int) -> tuple[int, ...]:
        """The layers that drive layer `k`, `INPUT` for the input."""
        own = self.layers[k].sources
        return (k - 1,) if own is None else own

    def source_maps(self, k: int) -> tuple[Map, ...]:
        """Where the neurons of its sources are; flat for a layer that is no convolution."""
        pixels = self.inputs or (self.layers[0].shape[0],)
        maps = [pixels if s == INPUT else self.layers[s].map for s in self.sources(k)]
        return tuple(m if len(self.layers[k].image) > 1 else (math.prod(m),) for m in maps)

    def __check_init__(self) -> None:
        last = len(self.layers) - 1
        for k in range(len(self.layers)):
            self._check_layer(k)
        if self.segment is not None and any(isinstance(layer.rows, DynamicalRows) for layer in self.layers):
            raise InputError(
                f"segment is {self.segment}; devices that move while they are read remember a whole trial: leave it "
                "out, or read statically."
            )
        if self.layers[last].spiking and self.layers[last].recurrent is not None and not self.spiking_output:
            raise InputError(
                f"Layer {last} is the last one; its spiking neurons integrate and do not fire, so that it cannot be "
                "recurrent."
            )

    def _check_layer(self, k: int) -> None:
        """InputError where the sources of a layer do not exist or do not fit."""
        layer, sources = self.layers[k], self.sources(k)
        if not sources or not all(INPUT <= s < k for s in sources):
            allowed = "-1, the input" if k == 0 else f"-1, the input, to {k - 1}, the layers before it"
            raise InputError(f"The sources of layer {k} are {list(sources)}; allowed: {allowed}.")
        maps, rows = self.source_maps(k), layer.shape[0]
        if len({m[:-1] for m in maps}) > 1 or (layer.image and len(maps[0]) != len(layer.image)):
            sizes = ", ".join(" × ".join(map(str, m)) for m in maps)
            raise InputError(
                f"The sources of layer {k} have {sizes} neurons; images of one height and width are needed."
            )
        own = int(layer.bias is not None or (self.input_bias and layer.input_bias and INPUT in sources))
        count = sum(math.prod(m) for m in maps)
        needed = layer.connection.rows(layer.image or (count,)) + own
        if rows != needed or math.prod(layer.image or (count,)) != count:
            drivers = f"layer {k - 1} has" if sources == (k - 1,) else f"its sources {list(sources)} have"
            told = "they must be equal" if needed == count else f"{needed} are needed"
            raise InputError(f"Layer {k} has {rows} rows but {drivers} {count} neurons; {told}.")

    def program(self, weights: Weights, *, key: PRNGKeyArray | None = None) -> Conductances:
        """Conductances for one weight matrix [rows, columns] a crossbar; with a key, with programming spread.

        InputError for a matrix of another shape.
        """
        for name, shape, w in zip(self.names, self.shapes, weights, strict=True):
            if tuple(w.shape) != shape:
                raise InputError(f"The weights of {name} have shape {tuple(w.shape)}; expected {shape}.")
        keys = [None] * len(weights) if key is None else list(jax.random.split(key, len(weights)))
        return tuple(c.program(w, key=k) for c, w, k in zip(self.crossbars, weights, keys, strict=True))

    def read(
        self, cells: Cells, moments: tuple[float, ...] = (0.0,), *, noise: bool = True, corrections: Corrections = None
    ) -> tuple[Seen, ...]:
        """What reads at the first of the moments see: drifted, with the read noise of the devices."""
        found, t = [], jnp.asarray(moments[0], jnp.result_type(float))
        for crossbar, state, own in base.corrected(self, cells, corrections):
            mean, sd = crossbar.cell.read_moments(state, t)
            found.append(crossbar.transfer(mean, correction=own, sd=sd if noise else jnp.zeros_like(sd)))
        return tuple(found)

    def programmed(
        self, weights: Weights | None, cells: Cells | None, corrections: Corrections = None
    ) -> tuple[Seen, ...]:
        """What reads of exactly these weights see, with the array's own read noise."""
        lines = base.exact_lines(self, weights, cells)
        return tuple(c.transfer(g, correction=own) for c, g, own in base.corrected(self, lines, corrections))

    def run(
        self,
        readings: tuple[Seen, ...] | Conductances,
        x: Events | Float[Array, "steps *batch rows"],
        clock: Clock,
        *,
        key: PRNGKeyArray | None = None,
    ) -> Membranes:
        """A trial from rest: membranes above their rest voltage, or spikes. InputError as in `simulate`."""
        if self.segment is not None and self.segment < clock.steps:
            return self.membranes(in_segments(self, readings, x, clock, self.segment, key=key))
        options = {"steps": clock.steps, "dt": clock.dt, "key": key, "checkpoint": self.checkpoint}
        return self.membranes(simulate(self, readings, x, **options))

    def membranes(self, v: tuple[Float[Array, "steps *batch _"], ...]) -> Membranes:
        """Voltages in V of all layers, above rest."""
        return Membranes(tuple(one - layer.of_rank(one.ndim).rest() for one, layer in zip(v, self.layers, strict=True)))

    def init_weights(self, gain: float = 1.0, *, key: PRNGKeyArray) -> Weights:
        """Normal weights with s.d. gain/√rows, one matrix a crossbar; 0 where neurons are not connected."""
        keys = jax.random.split(key, len(self.shapes))
        masks = (mask for layer in self.layers for mask in layer.connected())
        drawn = (jax.random.normal(k, s) * (gain / math.sqrt(s[0])) for k, s in zip(keys, self.shapes, strict=True))
        return tuple(w if mask is None else w * mask for w, mask in zip(drawn, masks, strict=True))


def feedforward(sizes: tuple[int, ...] | list[int], **parts: Any) -> Feedforward:
    """A network with `sizes` rows and neurons, e.g. (784, 100, 10); every layer has the same parts.

    `parts` are the keyword arguments of `Layer` (crossbar, rows, filter, neuron).

    InputError for less than two sizes, or sizes that are not whole numbers from 1 on.
    """
    if len(sizes) < 2 or any(int(n) != n or n < 1 for n in sizes):
        raise InputError(f"Network sizes are {list(sizes)}; needed: two or more whole numbers ≥ 1.")
    return Feedforward(tuple(Layer(shape=(int(n), int(m)), **parts) for n, m in pairwise(sizes)))
