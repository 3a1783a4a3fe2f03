"""One population whose membranes drive each other through one crossbar: a memory that completes patterns."""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.networks import base
from memspike.networks.base import AbstractNetwork, Cells, Corrections, Weights
from memspike.networks.recurrent import Reading, driven, fold, programmed_readings, readings_of
from memspike.networks.timeline import Clock
from memspike.neurons.base import AbstractNeuron
from memspike.neurons.filters import AbstractFilter, ExponentialFilter
from memspike.neurons.mif import MIF
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, check_bounds, param


class Recalled(NamedTuple):
    """Membrane voltages in V of all neurons; `output` is the same."""

    v: Float[Array, "steps neurons"]

    @property
    def output(self) -> Float[Array, "steps neurons"]:
        """The membranes."""
        return self.v


def _filter() -> ExponentialFilter:
    return ExponentialFilter(tau=0.1e-3)


class Associative(AbstractNetwork):
    """I_j = I_ext,j + coupling·filter(Σ_i≠j G_ij·u_i), u_i = v_i − rest within [0, swing]: no spike is detected.

    The membrane of a neuron at the start of a step drives its row through a buffer with one supply: nothing below
    rest passes, and it saturates at `swing`, without which a strong loop would run away. Columns are at virtual ground.
    Where the cells have a reference, conductances below it inhibit. Circuit and constants: reconstruction.
    """

    names: ClassVar[tuple[str, ...]] = ("associative",)  # pyright: ignore[reportIncompatibleMethodOverride]
    drawn, weights = base.as_designed, base.stored_weights

    neurons: int = eqx.field(static=True)
    crossbar: Crossbar = eqx.field(default_factory=Crossbar)
    neuron: AbstractNeuron = eqx.field(default_factory=MIF)
    filter: AbstractFilter = eqx.field(default_factory=_filter)
    coupling: Parameter = param(1.0, "1", "current into a membrane over that of its column", bounds=(0, 1e6))

    swing: Parameter = param(0.12, "V", "largest row voltage that a buffer gives", bounds=(1e-6, 1e3))

    def __check_init__(self) -> None:
        check_bounds(self)
        if not self.crossbar.periphery.ideal:
            raise InputError("An Associative network is analog throughout; its crossbar takes no converters.")

    @property
    def crossbars(self) -> tuple[Crossbar, ...]:
        """The one crossbar."""
        return (self.crossbar,)

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Of the one matrix."""
        return ((self.neurons, self.neurons),)

    def init_weights(self, gain: float = 1.0, *, key: PRNGKeyArray) -> Weights:
        """Uniform weights in [0, gain]."""
        return (gain * jax.random.uniform(key, self.shapes[0]),)

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
        """A trial from rest under external currents x in A."""
        return Recalled(self.recall(readings, x, clock.dt, key=key))

    def recall(
        self,
        reading: Reading,
        current: Float[Array, "steps neurons"],
        dt: float,
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "steps neurons"]:
        """Membrane voltages in V at the end of every step, from rest, for external currents in A at mid-step."""
        rest, unit = self.neuron.rest(), self.crossbar.cell.unit()

        def step(carry: tuple, now: tuple) -> tuple[tuple, Float[Array, " neurons"]]:
            state, synapse = carry
            external, t = now
            above = jnp.clip(self.neuron.voltage(state) - rest, 0.0, self.swing)
            column = unit * driven(self.crossbar, reading, above, 1.0, key=fold(key, t))
            synapse, arriving = self.filter.step(synapse, column, dt)
            state, v = self.neuron.step(state, external + self.coupling * arriving, dt)
            return (state, synapse), v

        shape = current.shape[1:]
        start = (self.neuron.init(shape), self.filter.init(shape))
        return jax.lax.scan(step, start, (current, jnp.arange(current.shape[0], dtype=jnp.int32)))[1]
