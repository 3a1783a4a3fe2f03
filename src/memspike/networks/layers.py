"""One layer: crossbars, what their columns feed, and what its neurons send on."""

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.arrays.crossbar import Crossbar, Seen
from memspike.arrays.rows import AbstractRows, DynamicalRows, StaticRows
from memspike.devices.base import Key
from memspike.networks.connections import AbstractConnection, Dense, Map
from memspike.neurons.base import AbstractNeuron
from memspike.neurons.filters import AbstractFilter, AlphaFilter
from memspike.neurons.lif import AbstractSpikingNeuron
from memspike.neurons.mif import MIF
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, option, param, parameters, part

Real = Float[Array, "..."]
INPUT = -1
"""The number of the input among the sources of a layer."""


class Trace(NamedTuple):
    """Neurons of a layer: voltage in V at step ends, and voltage above rest in mid-step (row drive)."""

    v: Float[Array, "steps *batch columns"]
    above_rest: Float[Array, "steps *batch columns"]


class Layer(eqx.Module):
    """Row voltages → crossbar currents → filter → neurons; `shape` is (rows, columns) of the crossbar.

    `image` is what drives it, without bias rows; () is all there is, flat. `sources` are the numbers of the layers
    that drive it, one after the other in the rows of a patch or of the crossbar; the layer before by default. In the
    last row is the bias: of the input, or held at `bias`. The `recurrent` crossbar [neurons, neurons] carries what the
    neurons sent a step before, into the same filter.

    What pulses of input rows bring to a column is amplified by `input_gain` in front of the filter, which itself has
    unit gain. The stage is a current mirror, or an amplifier; currents of rows that are held, and of neurons, join
    behind it.

    Neurons with a membrane drive rows by its voltage above rest, through a buffer. Spiking ones drive them by pulses
    of `spike_voltage` that last a step; currents are scaled to units of weight, so that a spike through w = 1 counts 1
    in all. Parameters of neurons may have a value for each column, or each neuron.

    InputError for parts that do not go together, and for parameters of neurons of another shape.
    """

    shape: tuple[int, int] = eqx.field(static=True)
    crossbar: Crossbar = eqx.field(default_factory=Crossbar)
    rows: AbstractRows = eqx.field(default_factory=StaticRows)
    filter: AbstractFilter = eqx.field(default_factory=AlphaFilter)
    neuron: Any = eqx.field(default_factory=MIF)
    connection: AbstractConnection = part(Dense, "how rows see what drives the layer")
    image: Map = eqx.field(static=True, default=())
    sources: tuple[int, ...] | None = eqx.field(static=True, default=None)
    bias: float | None = option(None, "voltage of a bias row, held during a trial", unit="V", bounds=(-10, 10))
    input_bias: bool = option(True, "the bias row of the input, where it has one, drives a row here")
    recurrent: Crossbar | None = None
    loops: bool = option(False, "neurons of a recurrent layer are connected with themselves, too")
    spike_voltage: Parameter = param(0.2, "V", "row voltage of a spike", bounds=(1e-6, 10))
    input_gain: Parameter = param(
        1.0,
        "1",
        "current into the synaptic filter over that of the column while input rows are pulsed",
        bounds=(0, 1e9),
    )

    def __check_init__(self) -> None:
        if not isinstance(self.neuron, AbstractNeuron | AbstractSpikingNeuron):
            raise InputError(f"The neuron is a {type(self.neuron).__name__}; one with a membrane or spikes is needed.")
        if self.image:
            self.connection.rows(self.image)
        if isinstance(self.rows, DynamicalRows) and not isinstance(self.connection, Dense):
            raise InputError(
                "Devices that move while they are read need an array of their own for every position; a convolution "
                "needs static reading."
            )
        columns, count = self.shape[1], math.prod(self.map)
        for p in parameters(self.neuron):
            shape = jnp.shape(p.value)
            if shape and shape not in ((columns,), (count,)):
                wanted = f"{columns}" if columns == count else f"{columns} (one a column) or {count}"
                raise InputError(f"neuron.{p.path} has {math.prod(shape)} values; 1 or {wanted} are needed.")

    @property
    def map(self) -> Map:
        """Where the neurons are."""
        return self.connection.neurons(self.image, self.shape[1])

    @property
    def spiking(self) -> bool:
        """Whether neurons send spikes, and not their membranes."""
        return isinstance(self.neuron, AbstractSpikingNeuron)

    def crossbars(self) -> tuple[Crossbar, ...]:
        """The crossbar, and the recurrent one where there is one."""
        return (self.crossbar,) if self.recurrent is None else (self.crossbar, self.recurrent)

    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Their rows and columns."""
        n = math.prod(self.map)
        return (self.shape,) if self.recurrent is None else (self.shape, (n, n))

    def connected(self) -> tuple[Any, ...]:
        """For every crossbar 1 where a device is used, 0 on the diagonal of a recurrent one; None if all are."""
        if self.recurrent is None:
            return (None,)
        return (None, None if self.loops else 1 - jnp.eye(math.prod(self.map)))

    def of_rank(self, rank: int) -> "Layer":
        """The layer with parameters of neurons that broadcast in arrays of that rank, the neurons last."""
        columns, count = self.shape[1], math.prod(self.map)

        def one(leaf: Any) -> Any:
            if jnp.shape(leaf) not in ((columns,), (count,)):
                return leaf
            each = jnp.tile(leaf, count // leaf.size)
            return each.reshape((1,) * (rank - 1) + (count,))

        return eqx.tree_at(lambda layer: layer.neuron, self, jax.tree.map(one, self.neuron))

    def read(self, seen: Seen, v: Real, *, key: Key = None) -> Real:
        """Currents in A into the neurons for row voltages in V; with a key, with fresh read noise."""
        return self.connection.currents(self.crossbar, seen, v, self.image, key=key)

    def rest(self) -> Any:
        """Voltage in V that stands for nothing."""
        return jnp.zeros(()) if isinstance(self.neuron, AbstractSpikingNeuron) else self.neuron.rest()

    def step(self, state: Any, current: Real, dt: float, *, fires: bool = True) -> tuple[Any, Trace]:
        """The neurons `dt` seconds later under a current in A.

        Spiking ones that do not fire are leaky integrators of what arrives: their membranes without threshold and
        reset, in units of weight times `spike_voltage`.
        """
        neuron = self.neuron
        if not isinstance(neuron, AbstractSpikingNeuron):
            before = neuron.voltage(state)
            state, v = neuron.step(state, current, dt)
            return state, Trace(v, 0.5 * (before + v) - neuron.rest())
        drive = current / (self.spike_voltage * self.crossbar.cell.unit()).astype(current.dtype)
        if fires:
            state = neuron.step(state, drive, dt)
            sent = state.z * self.spike_voltage
        else:
            state = state._replace(v=neuron.gates(state, dt).leak * state.v + drive)
            sent = state.v * self.spike_voltage
        return state, Trace(sent, sent)
