"""The memristive integrate-and-fire neuron: a capacitor and two volatile memristors with batteries.

How it is advanced by one step, and its published parameter sets.
"""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.devices import numerics
from memspike.devices.base import AbstractRelaxingDevice
from memspike.devices.metastable import MetastableSwitch
from memspike.neurons.base import AbstractNeuron
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, option, param, part
from memspike.parts.registry import INTEGRATORS, NEURONS

Real = Float[Array, "..."]


@INTEGRATORS.register("frozen-memristors", "an ablation: memristors stay as they are, and the membrane is linear")
def frozen_memristors(neuron: Any, state: Any, current: Real, dt: float) -> Any:
    """v by its exact step with the memristors as they are; from rest on a neuron is then a leaky integrator.

    What a network learns with it is what its memristors do not do.

    `current` is in A, `dt` in s. Source: an ablation of this library.
    """
    leak, slope = neuron.membrane_current(state)
    gain = numerics.risen(slope * (dt / neuron.capacitance)) / slope
    return state._replace(v=state.v + gain * (current - leak))


@INTEGRATORS.register(
    "staggered-exponential", "exact update of each memristor, then of the membrane; second order, always stable"
)
def staggered_exponential(neuron: Any, state: Any, current: Real, dt: float) -> Any:
    """Memristors by their exact step at the old v, then v by its exact step with the new memristors.

    Each sub-flow is exact, so no step size can blow up; with the current taken in mid-step the error
    falls with dt² (0.08 mV on a 5 µA spike at 10 µs). For devices whose current is not linear in v
    the membrane step is the exponential Rosenbrock step.

    `current` is in A, `dt` in s. Source: exponential integrators as in Hochbruck & Ostermann, Acta Numerica 19: 209
    (2010), doi 10.1017/S0962492910000048; the order of the sub-steps is a choice of this library.
    """
    x1 = neuron.m1.advance(state.x1, state.v - neuron.e1, dt)
    x2 = neuron.m2.advance(state.x2, state.v - neuron.e2, dt)
    return frozen_memristors(neuron, state._replace(x1=x1, x2=x2), current, dt)


@INTEGRATORS.register("forward-euler", "explicit step of the original prototypes; diverges for x1 + x2 above ~0.18")
def forward_euler(neuron: Any, state: Any, current: Real, dt: float) -> Any:
    """All derivatives at the old state. Unstable where dt·(G1 + G2)/C > 2; here to show just that.

    `current` is in A, `dt` in s. Source: the explicit step of prototypes of MEMprop, Zhou et al., arXiv 2206.12992.
    """
    leak, _ = neuron.membrane_current(state)
    dx1 = neuron.m1.rate(state.x1, state.v - neuron.e1)
    dx2 = neuron.m2.rate(state.x2, state.v - neuron.e2)
    return state._replace(
        v=state.v + dt * (current - leak) / neuron.capacitance,
        x1=jax.tree.map(lambda x, d: x + dt * d, state.x1, dx1),
        x2=jax.tree.map(lambda x, d: x + dt * d, state.x2, dx2),
    )


class MIFState(NamedTuple):
    """Membrane voltage in V and the states of the two memristors."""

    v: Real
    x1: Any
    x2: Any


class MIF(AbstractNeuron):
    """One node to ground: C ‖ (memristor M1 in series with E1) ‖ (M2 in series with E2); no reset.

    C·dv/dt = I − i₁(x₁, v − E1) − i₂(x₂, v − E2). A current drives v up, M1 switches on and discharges
    the membrane: the spike is the smooth waveform v(t) itself and is differentiable everywhere.
    There is no threshold and no tonic firing: a constant current gives one onset spike and a plateau.

    Any volatile device of the library can be M1 or M2.

    InputError for a device that keeps its state at 0 V, or has no single state of rest at every voltage.
    """

    source: ClassVar[str] = (
        "Kang et al., IEEE TCAS-I 68(12): 4837 (2021), doi 10.1109/TCSI.2021.3126555; "
        "Zhou et al., arXiv 2206.12992 (MEMprop) and 2203.01426 (SPICEprop)"
    )

    m1: AbstractRelaxingDevice = part(MetastableSwitch, "memristor M1, which discharges the membrane")
    m2: AbstractRelaxingDevice = part(MetastableSwitch, "memristor M2, which restores the rest")
    e1: Parameter = param(0.0, "V", "battery in series with M1", bounds=(-10, 10))
    e2: Parameter = param(50e-3, "V", "battery in series with M2", bounds=(-10, 10))
    capacitance: Parameter = param(1e-9, "F", "membrane capacitance", bounds=(1e-21, 1))
    integrator: Callable = option(staggered_exponential, "how the membrane is advanced", choices=INTEGRATORS)

    def __check_init__(self) -> None:
        for name, device in (("m1", self.m1), ("m2", self.m2)):
            if not device.volatile:
                raise InputError(
                    f"MIF.{name} is a {type(device).__name__}, which keeps its state at 0 V; "
                    "a volatile device is needed."
                )
            if not isinstance(device, AbstractRelaxingDevice):
                raise InputError(
                    f"MIF.{name} is a {type(device).__name__}, which has no single resting state at every voltage; "
                    "a MetastableSwitch or another AbstractRelaxingDevice is needed."
                )

    def membrane_current(self, state: MIFState) -> tuple[Real, Real]:
        """Current in A out of the node through both branches, and its slope in S with respect to v."""

        def out(v: Real) -> Real:
            return self.m1.current(state.x1, v - self.e1) + self.m2.current(state.x2, v - self.e2)

        return jax.jvp(out, (state.v,), (jnp.ones_like(state.v),))

    def equilibrium(self, v: Real) -> MIFState:
        """The state with both memristors settled at a membrane held at `v` volts."""
        return MIFState(v, self.m1.equilibrium(v - self.e1), self.m2.equilibrium(v - self.e2))

    def rest(self) -> Real:
        """The voltage between the batteries where the branch currents cancel and nothing moves."""
        return _rest(self)

    def init(self, shape: tuple[int, ...] = ()) -> MIFState:
        """`shape` neurons at their computed rest state."""
        state = self.equilibrium(self.rest())
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, shape), state)

    def voltage(self, state: MIFState) -> Real:
        """The voltage v in V."""
        return state.v

    def step(self, state: MIFState, current: Real, dt: float) -> tuple[MIFState, Real]:
        """One step of `dt` seconds with the injected `current` in A at mid-step → (state, v in V)."""
        state = self.integrator(self, state, current, dt)
        return state, state.v


@eqx.filter_jit  # traced once however often a program asks
def _rest(neuron: MIF) -> Real:
    shape = jnp.broadcast_shapes(*(jnp.shape(leaf) for leaf in jax.tree.leaves(neuron)))
    low, high = jnp.minimum(neuron.e1, neuron.e2), jnp.maximum(neuron.e1, neuron.e2)

    def balance(v: Real) -> Real:
        return neuron.membrane_current(neuron.equilibrium(v))[0]

    def bisect(f: Callable, guess: Real) -> Real:
        ends = (jnp.broadcast_to(low, guess.shape), jnp.broadcast_to(high, guess.shape))
        below, above = numerics.bisect(lambda v: ~(f(v) > 0), *ends, 60)
        return 0.5 * (below + above)

    guess = jnp.broadcast_to(0.5 * (low + high), shape)
    return jax.lax.custom_root(balance, guess, bisect, lambda g, y: y / g(jnp.ones_like(y)))


def _mif(scale: float, e1: float, e2: float, /, **parts: Any) -> MIF:
    """The published pair, all resistances times `scale`, the capacitance divided by it; `parts` replace any."""
    device = MetastableSwitch(r_on=1e3 * scale, r_off=100e3 * scale)
    own = {"m1": device, "m2": device, "e1": e1, "e2": e2, "capacitance": 1e-9 / scale}
    return MIF(**(own | parts))


def mif(**parts: Any) -> MIF:
    """The published MIF neuron: 1 kΩ / 100 kΩ, 1 nF, batteries 0 and 50 mV; 5 µA make an 81 mV spike."""
    return _mif(1.0, 0.0, 50e-3, **parts)


def mif_symmetric(**parts: Any) -> MIF:
    """The same with batteries −25 and +25 mV, as in the first waveform study: all voltages 25 mV lower."""
    return _mif(1.0, -25e-3, 25e-3, **parts)


def mif_megaohm(**parts: Any) -> MIF:
    """Impedance-scaled by 10³: 1 MΩ / 100 MΩ, 1 pF; the same waveforms for nanoamperes."""
    return _mif(1e3, 0.0, 50e-3, **parts)


def mif_gigaohm(**parts: Any) -> MIF:
    """Impedance-scaled by 10⁶: 1 GΩ / 100 GΩ, 1 fF; the same waveforms for picoamperes."""
    return _mif(1e6, 0.0, 50e-3, **parts)


for _name, _preset in (
    ("mif", mif),
    ("mif-symmetric", mif_symmetric),
    ("mif-megaohm", mif_megaohm),
    ("mif-gigaohm", mif_gigaohm),
):
    NEURONS.add(_name, _preset, (_preset.__doc__ or "").split(".")[0], MIF.source)
