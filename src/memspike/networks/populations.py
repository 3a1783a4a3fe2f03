"""One population and one crossbar: a winner-take-all layer, and a memory that completes patterns.

In the first whoever spikes silences the others; in the second all membranes drive each other.
"""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.networks import base
from memspike.networks.base import AbstractNetwork, Cells, Clock, Corrections, Weights
from memspike.networks.recurrent import Reading, driven, fold, programmed_readings, readings_of
from memspike.neurons.analog import Analog
from memspike.neurons.base import AbstractNeuron
from memspike.neurons.filters import AbstractFilter, ExponentialFilter
from memspike.neurons.lif import ALIF, AbstractSpikingNeuron
from memspike.neurons.mif import MIF
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, check_bounds, option, param
from memspike.parts.random import normal
from memspike.parts.refusals import Analog as NoConverters

Real = Float[Array, "..."]


class Episode(NamedTuple):
    """Spikes of a presentation, the adaptation that the neurons take along to the next, and by how much each membrane
    stood out before a spike put it back.
    """

    z: Float[Array, "steps *batch columns"]
    adaptation: Float[Array, "*batch columns"]
    height: Float[Array, "steps *batch columns"]

    @property
    def output(self) -> Float[Array, "steps *batch columns"]:
        """The spikes."""
        return self.z


class Competitive(AbstractNetwork):
    """v[t] of every column is driven by the row spikes of step t; of the neurons above threshold the highest fires.

    A spike puts all membranes to 0 and blocks all neurons for the time of the `inhibition` (None: the refractory period
    of `neuron`, or where it has none, as `Analog`, the rest of the presentation), so that with one as long as a
    presentation it has one winner, or none. Adapting thresholds (`ALIF`) make frequent winners reluctant (homeostasis,
    as in Querlioz et al., IEEE TNANO 12: 288 (2013), doi 10.1109/TNANO.2013.2250995). The circuit of the inhibition is
    not modelled. Currents are in units of the logical weight; a spike is a row pulse of `read_voltage`. `noise`
    disturbs every neuron at every step.

    InputError for neurons without a refractory period where no `inhibition` is given.
    """

    names: ClassVar[tuple[str, ...]] = ("competitive",)  # pyright: ignore[reportIncompatibleMethodOverride]
    drawn, weights = base.as_designed, base.stored_weights
    crossbars, init_weights = base.the_one, base.uniform_weights  # pyright: ignore

    shape: tuple[int, int] = eqx.field(static=True)
    crossbar: Crossbar = eqx.field(default_factory=Crossbar)
    neuron: AbstractSpikingNeuron | Analog = eqx.field(default_factory=lambda: ALIF(refractory=60, soft=False))
    noise: Parameter = param(
        0.0, "1", "s.d. of what is added to a membrane in a step, in units of weight", bounds=(0, 1e6)
    )
    read_voltage: Parameter = param(0.2, "V", "row voltage of a spike", bounds=(1e-6, 10))
    classes: int = option(4, "classes that the neurons may be named by", bounds=(1, 10**6))
    inhibition: float | None = option(
        None, "time for which a spike silences all; none: the refractory period", unit="s", bounds=(1e-15, 1e9)
    )

    def __check_init__(self) -> None:
        check_bounds(self)
        if self.inhibition is None and getattr(self.neuron, "refractory", 1) < 1:
            raise InputError("The neurons of a Competitive layer need a refractory period, which is their inhibition.")

    def silence(self, steps: int, dt: float) -> int:
        """Steps for which a spike silences all, in a presentation of so many."""
        if self.inhibition is not None:
            return max(1, round(self.inhibition / dt))
        return getattr(self.neuron, "refractory", steps)

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Of the one matrix."""
        return (self.shape,)

    def read(
        self, cells: Cells, moments: tuple[float, ...] = (0.0,), *, noise: bool = True, corrections: Corrections = None
    ) -> Reading:
        """Read statistics of the crossbar at the first of the moments, which holds for a whole presentation."""
        return readings_of(self.crossbars, cells, moments[:1], noise, corrections)[0].part(0)

    def programmed(self, weights: Weights | None, cells: Cells | None, corrections: Corrections = None) -> Reading:
        """A noiseless reading of exactly these weights, through the wires and converters."""
        return programmed_readings(self, weights, cells, corrections)[0].part(0)

    def run(
        self, readings: Reading, x: Float[Array, "steps rows"], clock: Clock, *, key: PRNGKeyArray | None = None
    ) -> Episode:
        """A presentation to neurons without adaptation."""
        return self.present(readings, x, jnp.zeros(self.shape[1]), clock.dt, key=key)

    def present(
        self,
        reading: Reading,
        x: Float[Array, "steps rows"],
        adaptation: Float[Array, " columns"],
        dt: float,
        *,
        key: PRNGKeyArray | None = None,
    ) -> Episode:
        """A presentation from rest; with a key, with the noise of reads and of the neurons.

        InputError where `x` has another number of rows than the layer.
        """
        if x.shape[1] != self.shape[0]:
            raise InputError(f"The input has {x.shape[1]} rows; the layer has {self.shape[0]}.")
        keys = (None, None) if key is None else jax.random.split(key)
        arriving = driven(self.crossbar, reading, x, self.read_voltage, key=keys[0])
        if keys[1] is not None:
            arriving = arriving + self.noise * normal(keys[1], arriving.shape)

        neuron: Any = self.neuron
        silence = jnp.asarray(float(self.silence(x.shape[0], dt)), arriving.dtype)

        def step(carry: tuple[Any, Real], current: Float[Array, " columns"]) -> tuple[Any, tuple[Real, Real]]:
            state, left = carry
            state = neuron.step(state, current, dt)
            free = jnp.where(left > 0, 0.0, neuron.spikes(state))
            height = neuron.height(state)
            highest = jnp.argmax(jnp.where(free > 0, height, -jnp.inf))
            z = free * jax.nn.one_hot(highest, self.shape[1], dtype=free.dtype)
            left = jnp.where(z.sum() > 0, silence, jnp.maximum(left - 1, 0.0))
            return (neuron.inhibited(state, z, left), left), (z, height)

        adapts = isinstance(neuron, ALIF)
        start = neuron.init((self.shape[1],))
        start = start._replace(a=adaptation) if adapts else start
        (state, _), (z, height) = jax.lax.scan(step, (start, jnp.zeros_like(silence)), arriving)
        return Episode(z, state.a + z[-1] if adapts else adaptation, height)


class Recalled(NamedTuple):
    """Membrane voltages in V of all neurons; `output` is the same."""

    v: Float[Array, "steps neurons"]

    @property
    def output(self) -> Float[Array, "steps neurons"]:
        """The membranes."""
        return self.v


class Associative(AbstractNetwork):
    """I_j = I_ext,j + coupling·filter(Σ_i≠j G_ij·u_i), u_i = v_i − rest within [0, swing]: no spike is detected.

    The membrane of a neuron at the start of a step drives its row through a buffer with one supply: nothing below
    rest passes, and it saturates at `swing`, without which a strong loop would run away. Columns are at virtual ground.
    Where the cells have a reference, conductances below it inhibit. Circuit and constants: reconstruction.
    """

    names: ClassVar[tuple[str, ...]] = ("associative",)  # pyright: ignore[reportIncompatibleMethodOverride]
    drawn, weights = base.as_designed, base.stored_weights
    crossbars, init_weights = base.the_one, base.uniform_weights  # pyright: ignore

    neurons: int = eqx.field(static=True)
    crossbar: Crossbar = eqx.field(default_factory=Crossbar)
    neuron: AbstractNeuron = eqx.field(default_factory=MIF)
    filter: AbstractFilter = eqx.field(default_factory=lambda: ExponentialFilter(tau=0.1e-3))
    coupling: Parameter = param(1.0, "1", "current into a membrane over that of its column", bounds=(0, 1e6))

    swing: Parameter = param(0.12, "V", "largest row voltage that a buffer gives", bounds=(1e-6, 1e3))

    def __check_init__(self) -> None:
        check_bounds(self)
        if not self.crossbar.periphery.ideal:
            raise NoConverters()

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Of the one matrix."""
        return ((self.neurons, self.neurons),)

    def read(
        self, cells: Cells, moments: tuple[float, ...] = (0.0,), *, noise: bool = True, corrections: Corrections = None
    ) -> Reading:
        """Read statistics of the crossbar now, without the connections of neurons with themselves."""
        return self._others(readings_of(self.crossbars, cells, moments[:1], noise, corrections)[0].part(0))

    def programmed(self, weights: Weights | None, cells: Cells | None, corrections: Corrections = None) -> Reading:
        """A noiseless reading of exactly these weights, without self-connections."""
        return self._others(programmed_readings(self, weights, cells, corrections)[0].part(0))

    def _others(self, seen: Reading) -> Reading:
        others = 1 - jnp.eye(self.neurons)
        return Reading(seen.mean * others, seen.variance * others)

    def run(
        self, readings: Reading, x: Float[Array, "steps neurons"], clock: Clock, *, key: PRNGKeyArray | None = None
    ) -> Recalled:
        """Membranes at the end of every step, from rest, for external currents x in A at mid-step."""
        rest, unit, dt = self.neuron.rest(), self.crossbar.cell.unit(), clock.dt

        def step(carry: tuple, now: tuple) -> tuple[tuple, Float[Array, " neurons"]]:
            state, synapse = carry
            external, t = now
            above = jnp.clip(self.neuron.voltage(state) - rest, 0.0, self.swing)
            column = unit * driven(self.crossbar, readings, above, 1.0, key=fold(key, t))
            synapse, arriving = self.filter.step(synapse, column, dt)
            state, v = self.neuron.step(state, external + self.coupling * arriving, dt)
            return (state, synapse), v

        start = (self.neuron.init(x.shape[1:]), self.filter.init(x.shape[1:]))
        return Recalled(jax.lax.scan(step, start, (x, jnp.arange(x.shape[0], dtype=jnp.int32)))[1])
