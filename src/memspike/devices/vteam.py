"""VTEAM: a memristor with voltage thresholds."""

from collections.abc import Callable
from typing import ClassVar

import jax.numpy as jnp

from memspike.devices.base import AbstractMemoryDevice, Real
from memspike.devices.integrate import Duration, bounded
from memspike.devices.smooth import edge, positive_part, power
from memspike.parts.param import Parameter, option, param


def linear_resistance(x: Real, r_on: Parameter, r_off: Parameter) -> Real:
    """R = x·R_on + (1 − x)·R_off in Ω."""
    return x * r_on + (1 - x) * r_off


def exponential_resistance(x: Real, r_on: Parameter, r_off: Parameter) -> Real:
    """R = R_off·(R_on/R_off)^x in Ω."""
    return r_off * jnp.exp(x * jnp.log(r_on / r_off))


class VTEAM(AbstractMemoryDevice):
    """Nothing moves between two thresholds; beyond them the wall moves as a power of the excess voltage.

    dw/dt = k_off·(v/v_off − 1)^α_off for v > v_off > 0, k_on·(v/v_on − 1)^α_on for v < v_on < 0, else 0;
    R is linear or exponential in w. The state is x = (w_off − w)/(w_off − w_on) in [0, 1]: **x = 1 is on**
    (R_on), so a positive voltage beyond v_off switches off, as in the source. Defaults: those of MemTorch.

    Smoothed here: the excess y is y²/(y + smoothing) (exactly 0 below the threshold), and the speed towards a
    bound fades as 1 − e^(−distance/edge_width), never away from it; both vanish for widths → 0.
    """

    source: ClassVar[str] = "Kvatinsky et al., IEEE TCAS-II 62(8): 786 (2015), doi 10.1109/TCSII.2015.2433536"

    r_on: Parameter = param(50.0, "Ω", "resistance fully on", bounds=(1e-2, 1e12))
    r_off: Parameter = param(1000.0, "Ω", "resistance fully off", bounds=(1e-2, 1e12))
    depth: Parameter = param(3e-9, "m", "way of the wall, w_off − w_on", bounds=(0.5e-9, 1e-6))
    k_on: Parameter = param(-10.0, "m/s", "speed of switching on, negative", bounds=(-1e3, -1e-12))
    k_off: Parameter = param(5e-4, "m/s", "speed of switching off", bounds=(1e-12, 1e3))
    alpha_on: Parameter = param(3.0, "1", "exponent of switching on", bounds=(1, 5))
    alpha_off: Parameter = param(1.0, "1", "exponent of switching off", bounds=(1, 5))
    v_on: Parameter = param(-0.2, "V", "threshold of switching on, negative", bounds=(-10, -0.01))
    v_off: Parameter = param(0.02, "V", "threshold of switching off", bounds=(0.01, 10))
    smoothing: Parameter = param(1e-2, "1", "rounding of the thresholds, relative to them", bounds=(1e-4, 1))
    edge_width: Parameter = param(0.02, "1", "share of the way over which a bound is felt", bounds=(5e-3, 1))
    resistance: Callable = option(linear_resistance, "R of the state: linear_resistance or exponential_resistance")
    substeps: int = option(4, "equal parts of a step in time", bounds=(1, 1_000_000))

    def ends(self) -> tuple[Real, Real]:
        """0 is off, 1 is on."""
        return jnp.zeros_like(self.r_on), jnp.ones_like(self.r_on)

    def init(self) -> Real:
        """Fully off."""
        return self.ends()[0]

    def conductance(self, state: Real) -> Real:
        """1/R(x) in S."""
        return 1 / self.resistance(state, self.r_on, self.r_off)

    def current(self, state: Real, v: Real) -> Real:
        """Ohmic: v/R(x) in A."""
        return self.conductance(state) * v

    def rate(self, state: Real, v: Real) -> Real:
        """dx/dt in 1/s; exactly 0 between the thresholds."""
        on = power(positive_part(v / self.v_on - 1, self.smoothing), self.alpha_on) * (-self.k_on / self.depth)
        off = power(positive_part(v / self.v_off - 1, self.smoothing), self.alpha_off) * (self.k_off / self.depth)
        return on * edge(1 - state, self.edge_width) - off * edge(state, self.edge_width)

    def advance(self, state: Real, v: Real, dt: Duration) -> Real:
        """Exponential Rosenbrock steps within [0, 1]."""
        return bounded(lambda x: self.rate(x, v), state, dt, self.ends(), self.substeps)
