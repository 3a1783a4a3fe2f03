"""The metastable switch, the memristor of MIF neurons, and its exact step with the derivatives of that step."""

from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from memspike.devices.base import AbstractRelaxingDevice, Real
from memspike.devices.numerics import Duration, risen
from memspike.parts.param import Parameter, param


class MetastableSwitch(AbstractRelaxingDevice):
    """A memristor as a large population of two-state switches; x is the share that is on.

    τ·dx/dt = (1 − x)·σ((v − v_on)/k) − x·σ((v_off − v)/k),  G = x/R_on + (1 − x)/R_off,  i = G·v,
    with σ(z) = 1/(1 + e^−z). The rate is linear in x, so a step at constant v is exact.

    `v_off` is signed: Knowm writes the off rate as 1 − 1/(1 + e^−β(V + V_OFF)), hence
    v_off = −V_OFF. With v_off > 0, as in the MIF neuron, the device switches off by itself at 0 V.
    Valid for voltages where the two barriers may be treated as fixed; no series Schottky branch (φ = 1).

    The state x is dimensionless, in [0, 1], of any shape that broadcasts with `v`.
    """

    source: ClassVar[str] = (
        "Nugent & Molter, PLoS ONE 9(2): e85175 (2014), mean of the metastable switch; MIF form with signed "
        "v_off: Kang et al., IEEE TCAS-I 68(12): 4837 (2021), doi 10.1109/TCSI.2021.3126555"
    )
    volatile: ClassVar[bool] = True

    r_on: Parameter = param(1e3, "Ω", "resistance fully on", bounds=(1e-3, 1e15))
    r_off: Parameter = param(100e3, "Ω", "resistance fully off", bounds=(1e-3, 1e15))
    v_on: Parameter = param(110e-3, "V", "voltage where the on rate is half its maximum", bounds=(-10, 10))
    v_off: Parameter = param(5e-3, "V", "voltage where the off rate is half its maximum", bounds=(-10, 10))
    v_scale: Parameter = param(15e-3, "V", "voltage scale k of both rates", bounds=(1e-4, 10))
    tau: Parameter = param(1e-3, "s", "time constant of the switches", bounds=(1e-12, 1e9))

    def _shares(self, v: Real) -> tuple[Real, Real]:
        """Shares that switch on and off within one τ at `v` volts."""
        scale = 1 / self.v_scale
        return jax.nn.sigmoid((v - self.v_on) * scale), jax.nn.sigmoid((self.v_off - v) * scale)

    def relaxation(self, v: Real) -> Real:
        """Rate in 1/s at which the state forgets its past at `v` volts: x(t) = x∞ + (x₀ − x∞)·e^(−rate·t)."""
        up, down = self._shares(v)
        return (up + down) / self.tau

    def init(self) -> Real:
        """State at rest: the equilibrium at 0 V."""
        return self.equilibrium(jnp.zeros_like(self.v_on))

    def conductance(self, state: Real) -> Real:
        """G = x/R_on + (1 − x)/R_off in S."""
        lowest = 1 / self.r_off
        return lowest + state * (1 / self.r_on - lowest)

    def current(self, state: Real, v: Real) -> Real:
        """Current i = G(x)·v in A."""
        return self.conductance(state) * v

    def rate(self, state: Real, v: Real) -> Real:
        """dx/dt in 1/s."""
        up, down = self._shares(v)
        return (up * (1 - state) - down * state) / self.tau

    def equilibrium(self, v: Real) -> Real:
        """x∞ = r_on/(r_on + r_off) at `v` volts."""
        up, down = self._shares(v)
        return up / (up + down)

    def advance(self, state: Real, v: Real, dt: Duration) -> Real:
        """Exact for constant v: x + (1 − e^(−(r_on + r_off)·dt))·(x∞ − x)."""
        return _relaxed(self, state, v, dt)


def _full(value: Any, tangent: Any) -> Any:
    return jnp.zeros_like(value) if isinstance(tangent, SymbolicZero) else tangent


def _relaxed_by(device: MetastableSwitch, state: Real, v: Real, dt: Duration) -> Real:
    up, down = device._shares(v)
    total = up + down
    return state + risen(total * (dt / device.tau)) * (up / total - state)


@jax.custom_jvp
def _relaxed(device: MetastableSwitch, state: Real, v: Real, dt: Duration) -> Real:
    return _relaxed_by(device, state, v, dt)


@partial(_relaxed.defjvp, symbolic_zeros=True)
def _relaxed_jvp(primals: Any, tangents: Any) -> tuple[Real, Real]:
    """Derivatives in state and voltage from the numbers of the step itself; those in parameters are JAX's own."""
    device, state, v, dt = primals
    if any(not isinstance(t, SymbolicZero) for t in jax.tree.leaves((tangents[0], tangents[3]))):
        return jax.jvp(_relaxed_by, primals, jax.tree.map(_full, primals, tangents))
    up, down = device._shares(v)
    total, span, scale = up + down, dt / device.tau, 1 / device.v_scale
    gone, rest = risen(total * span), 1 / total
    ahead = up * rest - state
    up_slope, down_slope = up * (1 - up) * scale, down * (down - 1) * scale
    slope = up_slope + down_slope
    by_v = (1 - gone) * (span * slope) * ahead + gone * (up_slope - up * rest * slope) * rest
    of_state, of_v = (_full(*pair) for pair in zip((state, v), tangents[1:3], strict=True))
    return state + gone * ahead, (1 - gone) * of_state + by_v * of_v
