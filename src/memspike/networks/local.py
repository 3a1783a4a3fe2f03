"""Feed-forward spiking layers with traces in their inputs and a fixed random readout each: networks for local rules."""

import math
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.crossbar import Columns, Crossbar
from memspike.networks import base
from memspike.networks.base import AbstractNetwork, Cells, Clock, Corrections, Fabricated, Weights
from memspike.networks.connections import AbstractConnection, Dense, Map
from memspike.networks.recurrent import Reading, programmed_readings, readings_of
from memspike.neurons.lif import TraceLIF
from memspike.parts.errors import InputError
from memspike.parts.parallel import held
from memspike.parts.param import option, part

Real = Float[Array, "..."]


class Traces(NamedTuple):
    """State of a layer: synaptic trace q and membrane trace p of every input, refractoriness r, last spikes s."""

    q: Float[Array, "*batch inputs"]
    p: Float[Array, "*batch inputs"]
    r: Float[Array, "*batch neurons"]
    s: Float[Array, "*batch neurons"]


class Local(NamedTuple):
    """What a layer did: membrane traces of its inputs (and the bias), membranes, spikes, output of its readout."""

    p: Float[Array, "steps *batch inputs"]
    u: Float[Array, "steps *batch neurons"]
    s: Float[Array, "steps *batch neurons"]
    y: Float[Array, "steps *batch classes"]


class LocalActivity(NamedTuple):
    """A run of all layers; `output` is the readout of the last one [steps, *batch, classes]."""

    layers: tuple[Local, ...]

    @property
    def output(self) -> Real:
        """The readout of the last layer."""
        return self.layers[-1].y


class LocalLayer(eqx.Module):
    """A crossbar and its neurons (`TraceLIF`). The last row of the crossbar is a bias, driven as by P = 1.

    `shape` is (rows without the bias, columns). `image` is where the inputs are, () a flat array; a trace belongs to an
    input, so that all positions of a convolution share it. A fixed random readout Y = G·S + c of all neurons, drawn
    with the chip, tells the layer its own error.
    """

    source: ClassVar[str] = TraceLIF.source
    shape: tuple[int, int] = eqx.field(static=True)
    readout: Float[Array, "neurons classes"]
    offset: Float[Array, " classes"]
    crossbar: Crossbar = eqx.field(default_factory=Crossbar)
    neuron: TraceLIF = eqx.field(default_factory=TraceLIF)
    connection: AbstractConnection = part(Dense, "how rows see what drives the layer")
    image: Map = eqx.field(static=True, default=())

    @property
    def inputs(self) -> int:
        """What drives the layer, without the bias."""
        return math.prod(self.image) if self.image else self.shape[0]

    @property
    def map(self) -> Map:
        """Where the neurons are."""
        return self.connection.neurons(self.image, self.shape[1])

    def init(self, batch: tuple[int, ...] = ()) -> Traces:
        """A layer at rest."""
        inputs, neurons = (jnp.zeros((*batch, n)) for n in (self.inputs, math.prod(self.map)))
        return Traces(inputs, inputs, neurons, neurons)

    def drive(self, reading: Reading, traces: Real, *, key: Any = None) -> Real:
        """W·P of every neuron for traces of the inputs and the bias; with a key, noisy."""
        if reading.seen is None:
            return self.connection.linear(Columns(reading.mean, reading.variance), traces, self.image, key=key)
        current = self.connection.currents(self.crossbar, reading.seen, traces, self.image, key=key)
        return current / self.crossbar.cell.unit()

    def run(self, reading: Reading, x: Real, start: Traces, dt: float, *, key: Any = None) -> tuple[Traces, Local]:
        """The layer under input spikes x [steps, *batch, inputs], `dt` seconds a step; the linear part is one matrix
        product.
        """
        (q, p), traces = self.neuron.traces(x, (start.q, start.p), dt)
        traces = held(jnp.concatenate([traces, jnp.ones_like(traces[..., :1])], axis=-1))
        drive = held(self.drive(reading, traces, key=key))
        (r, s), (u, spikes) = self.neuron.fire(drive, (start.r, start.s), dt)
        y = spikes @ self.readout + jnp.broadcast_to(self.offset, (*spikes.shape[:-1], self.offset.shape[0]))
        return Traces(q, p, r, s), Local(traces, u, spikes, y)


class LocalNetwork(AbstractNetwork):
    """Layers in a row, each trained by its own readout; a layer sees the spikes of the one before at the same step.

    A chip draws its readouts uniform in ±amplitude/√neurons.
    """

    weights, crossbars, names = base.stored_weights, base.of_layers, base.by_number  # pyright: ignore

    layers: tuple[LocalLayer, ...]
    amplitude: float = option(2.0, "random readouts are uniform in ±amplitude/√neurons", bounds=(0, 1e6))

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Rows, with the bias, and columns of every crossbar."""
        return tuple((layer.shape[0] + 1, layer.shape[1]) for layer in self.layers)

    def drawn(self, *, key: PRNGKeyArray) -> Fabricated:
        """The network with random readouts, and a key for its devices."""
        for_readouts, for_devices = jax.random.split(key)
        return Fabricated(self.with_readouts(for_readouts), for_devices)

    def with_readouts(self, key: PRNGKeyArray) -> "LocalNetwork":
        """The network with random readouts."""
        found = []
        for k, layer in enumerate(self.layers):
            shapes = layer.readout.shape, layer.offset.shape
            reach = self.amplitude / math.sqrt(math.prod(layer.map))
            keys = jax.random.split(jax.random.fold_in(key, k))
            drawn = [
                jax.random.uniform(one, n, minval=-reach, maxval=reach) for one, n in zip(keys, shapes, strict=True)
            ]
            found.append(eqx.tree_at(lambda one: (one.readout, one.offset), layer, tuple(drawn)))
        return LocalNetwork(tuple(found), self.amplitude)

    def init_weights(self, gain: float = 1.0, *, key: PRNGKeyArray) -> Weights:
        """Normal weights with s.d. gain/√rows; no bias."""
        keys = jax.random.split(key, len(self.layers))
        drawn = [jax.random.normal(k, s) * (gain / math.sqrt(s[0])) for k, s in zip(keys, self.shapes, strict=True)]
        return tuple(w.at[-1].set(0.0) for w in drawn)

    def init(self, batch: tuple[int, ...] = ()) -> tuple[Traces, ...]:
        """All layers at rest."""
        return tuple(layer.init(batch) for layer in self.layers)

    def read(
        self, cells: Cells, moments: tuple[float, ...] = (0.0,), *, noise: bool = True, corrections: Corrections = None
    ) -> tuple[Reading, ...]:
        """Read statistics of the crossbars at the first of the moments, which holds for a whole trial."""
        return tuple(r.part(0) for r in readings_of(self.crossbars, cells, moments[:1], noise, corrections))

    def programmed(
        self, weights: Weights | None, cells: Cells | None, corrections: Corrections = None
    ) -> tuple[Reading, ...]:
        """Noiseless readings of exactly these weights, through the wires and converters."""
        return tuple(r.part(0) for r in programmed_readings(self, weights, cells, corrections))

    def advance(
        self,
        readings: tuple[Reading, ...],
        x: Float[Array, "steps *batch inputs"],
        start: tuple[Traces, ...],
        dt: float,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[tuple[Traces, ...], tuple[Local, ...]]:
        """All layers under input spikes, `dt` seconds a step, from `start` on; with a key reads are noisy.

        InputError where `x` has another number of channels than the first layer.
        """
        if x.shape[-1] != self.layers[0].inputs:
            raise InputError(f"The input has {x.shape[-1]} channels; the first layer has {self.layers[0].inputs} rows.")
        ends, done = [], []
        for k, (layer, reading, begin) in enumerate(zip(self.layers, readings, start, strict=True)):
            own = None if key is None else jax.random.fold_in(key, k)
            end, local = layer.run(reading, x, begin, dt, key=own)
            ends.append(end)
            done.append(local)
            x = local.s
        return tuple(ends), tuple(done)

    def run(
        self, readings: tuple[Reading, ...], x: Any, clock: Clock, *, key: PRNGKeyArray | None = None
    ) -> LocalActivity:
        """A trial from rest."""
        return LocalActivity(self.advance(readings, x, self.init(x.shape[1:-1]), clock.dt, key=key)[1])


def local_network(
    sizes: tuple[int, ...], classes: int, *, amplitude: float = 2.0, key: PRNGKeyArray | None = None, **layer: Any
) -> LocalNetwork:
    """Dense layers of `sizes`, each with a readout for `classes` classes: random with a key, else still to be drawn.

    Further keywords are those of `LocalLayer`. InputError for fewer than two sizes or sizes below 1.
    """
    if len(sizes) < 2 or any(int(n) != n or n < 1 for n in (*sizes, classes)):
        raise InputError(
            f"Network sizes are {list(sizes)} for {classes} classes; needed: two or more whole numbers ≥ 1."
        )
    blank = [(jnp.zeros((n, classes)), jnp.zeros(classes)) for n in sizes[1:]]
    layers = [LocalLayer(s, *b, **layer) for s, b in zip(pairwise(sizes), blank, strict=True)]
    network = LocalNetwork(tuple(layers), amplitude)
    return network if key is None else network.with_readouts(key)
