"""A smooth volatile switch with a threshold and a hold voltage."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from memspike.devices.base import AbstractStateDevice, Real
from memspike.devices.integrate import Duration, bounded
from memspike.parts.param import Parameter, option, param


class ThresholdSwitch(AbstractStateDevice):
    """Switches on above v_th and off below v_hold, because the switching voltage falls with the share x that is on.

    τ·dx/dt = σ((v − v_sw(x))/k) − x, v_sw = v_th − (v_th − v_hold)·x, G = x/R_on + (1 − x)/R_off, i = G·v.

    Locally active: with a capacitor it fires tonically. A **reconstruction**: the state-dependent threshold is
    this library's smooth form of a threshold switch, with the resistances of the MIF neuron's memristor; it is
    not a published compact model. One-sided: a negative voltage does not switch it on.
    """

    source: ClassVar[str] = (
        "reconstruction: metastable switch of Kang et al., IEEE TCAS-I 68(12): 4837 (2021), "
        "doi 10.1109/TCSI.2021.3126555, with a threshold that depends on the state"
    )
    volatile: ClassVar[bool] = True

    r_on: Parameter = param(1e3, "Ω", "resistance fully on", bounds=(1e-3, 1e15))
    r_off: Parameter = param(100e3, "Ω", "resistance fully off", bounds=(1e-3, 1e15))
    v_th: Parameter = param(110e-3, "V", "voltage where an off device switches on", bounds=(1e-3, 10))
    v_hold: Parameter = param(20e-3, "V", "voltage where an on device switches off", bounds=(1e-3, 10))
    v_scale: Parameter = param(3e-3, "V", "voltage scale k of the switching", bounds=(1e-4, 10))
    tau: Parameter = param(10e-6, "s", "time constant of the switch", bounds=(1e-12, 1e9))
    substeps: int = option(4, "equal parts of a step in time", bounds=(1, 1_000_000))

    def _target(self, state: Real, v: Real) -> Real:
        """The share that would be on at a switching voltage held at its present value."""
        switching = self.v_th - (self.v_th - self.v_hold) * state
        return jax.nn.sigmoid((v - switching) / self.v_scale)

    def init(self) -> Real:
        """The off state settled at 0 V: the lowest fixed point, approached from below."""
        start = jnp.zeros_like(self.v_th + self.v_hold + self.v_scale)
        return jax.lax.fori_loop(0, 40, lambda _, x: self._target(x, jnp.zeros_like(x)), start)

    def conductance(self, state: Real) -> Real:
        """G = x/R_on + (1 − x)/R_off in S."""
        return state / self.r_on + (1 - state) / self.r_off

    def current(self, state: Real, v: Real) -> Real:
        """i = G(x)·v in A."""
        return self.conductance(state) * v

    def rate(self, state: Real, v: Real) -> Real:
        """dx/dt in 1/s."""
        return (self._target(state, v) - state) / self.tau

    def advance(self, state: Real, v: Real, dt: Duration) -> Real:
        """Exponential Rosenbrock steps within [0, 1]."""
        ends = (jnp.zeros_like(self.tau), jnp.ones_like(self.tau))
        return bounded(lambda x: self.rate(x, v), state, dt, ends, self.substeps)
