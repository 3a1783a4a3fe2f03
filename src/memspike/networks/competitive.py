"""A winner-take-all layer: spikes arrive through one crossbar, and whoever spikes silences the others."""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.networks import base
from memspike.networks.base import AbstractNetwork, Cells, Corrections, Weights
from memspike.networks.recurrent import Reading, driven, programmed_readings, readings_of
from memspike.networks.timeline import Clock
from memspike.neurons.lif import ALIF, SpikingState
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, check_bounds, option, param
from memspike.parts.random import normal


def _neuron() -> ALIF:
    return ALIF(refractory=60, soft=False)


class Episode(NamedTuple):
    """Spikes [steps, columns] of a presentation, and the adaptation that the neurons take along to the next."""

    z: Float[Array, "steps columns"]
    adaptation: Float[Array, " columns"]

    @property
    def output(self) -> Float[Array, "steps columns"]:
        """The spikes."""
        return self.z


class Competitive(AbstractNetwork):
    """v[t] of every column is driven by the row spikes of step t; of the neurons above threshold the highest fires.

    A spike puts all membranes to 0 and blocks all neurons for the refractory period of `neuron`, so that with a period
    as long as a presentation it has one winner, or none. Adapting thresholds make frequent winners reluctant
    (homeostasis, as in Querlioz et al., IEEE TNANO 12: 288 (2013), doi 10.1109/TNANO.2013.2250995). The circuit of
    the inhibition is not modelled. Currents are in units of the logical weight; a spike is a row pulse of
    `read_voltage`. `noise` disturbs every neuron at every step.
    """

    names: ClassVar[tuple[str, ...]] = ("competitive",)  # pyright: ignore[reportIncompatibleMethodOverride]
    drawn, weights = base.as_designed, base.stored_weights

    shape: tuple[int, int] = eqx.field(static=True)
    crossbar: Crossbar = eqx.field(default_factory=Crossbar)
    neuron: ALIF = eqx.field(default_factory=_neuron)
    noise: Parameter = param(
        0.0, "1", "s.d. of what is added to a membrane in a step, in units of weight", bounds=(0, 1e6)
    )
    read_voltage: Parameter = param(0.2, "V", "row voltage of a spike", bounds=(1e-6, 10))
    classes: int = option(4, "classes that the neurons may be named by", bounds=(1, 10**6))

    def __check_init__(self) -> None:
        check_bounds(self)
        if self.neuron.refractory < 1:
            raise InputError("The neurons of a Competitive layer need a refractory period, which is their inhibition.")

    @property
    def crossbars(self) -> tuple[Crossbar, ...]:
        """The one crossbar."""
        return (self.crossbar,)

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Of the one matrix."""
        return (self.shape,)

    def init_weights(self, gain: float = 1.0, *, key: PRNGKeyArray) -> Weights:
        """Uniform weights in [0, gain]."""
        return (gain * jax.random.uniform(key, self.shapes[0]),)

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
        """A presentation from rest; with a key, with the noise of reads and of the neurons."""
        if x.shape[1] != self.shape[0]:
            raise InputError(f"The input has {x.shape[1]} rows; the layer has {self.shape[0]}.")
        keys = (None, None) if key is None else jax.random.split(key)
        arriving = driven(self.crossbar, reading, x, self.read_voltage, key=keys[0])
        if keys[1] is not None:
            arriving = arriving + self.noise * normal(keys[1], arriving.shape)

        def step(
            state: SpikingState, current: Float[Array, " columns"]
        ) -> tuple[SpikingState, Float[Array, " columns"]]:
            state = self.neuron.step(state, current, dt)
            highest = jax.nn.one_hot(jnp.argmax(jnp.where(state.z > 0, state.v, -jnp.inf)), self.shape[1])
            z = state.z * highest
            fired = z.sum() > 0
            blocked = jnp.where(fired, jnp.full_like(z, self.neuron.refractory + 1), state.blocked)
            return state._replace(z=z, v=jnp.where(fired, 0.0, state.v), blocked=blocked), z

        start = self.neuron.init((self.shape[1],))._replace(a=adaptation)
        state, z = jax.lax.scan(step, start, arriving)
        return Episode(z, state.a + z[-1])
