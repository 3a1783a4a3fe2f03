"""A relaxation oscillator: one capacitor and one threshold switch."""

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.devices.base import AbstractStateDevice
from memspike.devices.numerics import bisect
from memspike.devices.volatile import ThermalNbO2, ThresholdSwitch
from memspike.neurons.base import AbstractNeuron
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, option, param, part
from memspike.parts.registry import NEURONS

Real = Float[Array, "..."]


class RelaxationState(NamedTuple):
    """Membrane voltage in V and the state of the switch."""

    v: Real
    x: Any


class RelaxationOscillator(AbstractNeuron):
    """One node to ground: C ‖ a volatile switch ‖ a load to a supply: C·dv/dt = I + load·(supply − v) − i(x, v).

    A switch with a hold voltage below its threshold voltage (locally active) fires tonically under a constant
    current above its rheobase: charge up to the threshold, discharge down to the hold voltage, again.

    `rest` is 0 V without a supply. With one it is the voltage the supply holds across the switch in the state
    `device.init()`: where the circuit oscillates no fixed point is reached, so this is only where it begins.

    InputError for a device that keeps its state at 0 V.
    """

    source: ClassVar[str] = (
        "Pearson–Anson oscillator with a volatile memristor; conditions: Yi, arXiv 2403.01036; smooth switch: "
        "reconstruction on the circuit of Kang et al., IEEE TCAS-I 68(12): 4837 (2021), doi 10.1109/TCSI.2021.3126555"
    )

    device: AbstractStateDevice = part(lambda: ThresholdSwitch(substeps=1), "the volatile switch")
    capacitance: Parameter = param(40e-9, "F", "membrane capacitance", bounds=(1e-21, 1))
    load: Parameter = param(0.0, "S", "conductance to the supply", bounds=(0, 1e3))
    supply: Parameter = param(0.0, "V", "voltage of the supply", bounds=(-100, 100))
    substeps: int = option(10, "equal parts of a step in time", bounds=(1, 1_000_000))

    def __check_init__(self) -> None:
        if not self.device.volatile:
            raise InputError(
                f"RelaxationOscillator.device is a {type(self.device).__name__}, which keeps its state at 0 V; "
                "a volatile device is needed."
            )

    def outflow(self, x: Any, v: Real) -> tuple[Real, Real]:
        """Current in A out of the node through switch and load, and its slope in S with respect to v."""

        def out(u: Real) -> Real:
            return self.device.current(x, u) - self.load * (self.supply - u)

        return jax.jvp(out, (v,), (jnp.ones_like(v),))

    def rest(self) -> Real:
        """The voltage where supply and switch balance at the state `device.init()`."""
        x = self.device.init()
        still = self.outflow(x, jnp.zeros_like(self.supply))[0]
        bound = jnp.broadcast_to(self.supply, still.shape)
        ends = jax.lax.stop_gradient((jnp.minimum(bound, 0.0), jnp.maximum(bound, 0.0)))
        low, high = bisect(lambda v: ~(self.outflow(x, v)[0] > 0), *ends, 60)
        v = jax.lax.stop_gradient(0.5 * (low + high))
        out, slope = self.outflow(x, v)
        powered = self.load * self.supply != 0
        # one Newton step carries the derivative through the bisection
        return jnp.where(powered, v - out / jax.lax.stop_gradient(slope), jnp.zeros_like(v))

    def init(self, shape: tuple[int, ...] = ()) -> RelaxationState:
        """`shape` neurons at `rest`, their switches as `device.init()`."""
        state = RelaxationState(self.rest(), self.device.init())
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, shape or jnp.shape(leaf)), state)

    def voltage(self, state: RelaxationState) -> Real:
        """The voltage v in V."""
        return state.v

    def step(self, state: RelaxationState, current: Real, dt: float) -> tuple[RelaxationState, Real]:
        """`substeps` staggered parts: the switch at the old v, then v by its exponential step with the new switch."""
        h = dt / self.substeps

        def part(s: RelaxationState, _: None) -> tuple[RelaxationState, None]:
            x = self.device.advance(s.x, s.v, h)
            out, slope = self.outflow(x, s.v)
            gain = -jnp.expm1(slope * (-h / self.capacitance)) / slope
            return RelaxationState(s.v + gain * (current - out), x), None

        shapes = jax.eval_shape(lambda s: part(s, None)[0], state)
        start = jax.tree.map(lambda leaf, like: jnp.broadcast_to(leaf, like.shape), state, shapes)
        state, _ = jax.lax.scan(part, start, None, length=self.substeps)
        return state, state.v


def threshold_neuron() -> RelaxationOscillator:
    """A smooth threshold switch and 40 nF: quiet below about 3 µA, tonic spikes above (a reconstruction)."""
    return RelaxationOscillator()


def nbo2_oscillator() -> RelaxationOscillator:
    """A niobium dioxide switch, 100 pF, fed from 2 V through 3 kΩ: oscillates by itself at 9 MHz; steps of 1 ns."""
    return RelaxationOscillator(
        device=ThermalNbO2(substeps=1), capacitance=100e-12, load=1 / 3e3, supply=2.0, substeps=10
    )


NEURONS.add(
    "threshold-switch-oscillator",
    threshold_neuron,
    (threshold_neuron.__doc__ or "").rstrip("."),
    RelaxationOscillator.source,
)
