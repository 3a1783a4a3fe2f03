"""Yakopcic's generalised memristor."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from memspike.devices.base import AbstractMemoryDevice, Real
from memspike.devices.integrate import Duration, bounded
from memspike.devices.smooth import positive_part
from memspike.parts.param import Parameter, option, param


class Yakopcic(AbstractMemoryDevice):
    """A sinh conductor whose amplitude x moves beyond voltage thresholds, slower near its bounds.

    i = a·x·sinh(b·v) with a = a₁ for v > 0, a₂ for v < 0;
    dx/dt = A_p·(e^v − e^v_p)·f_p(x) for v > v_p, −A_n·(e^−v − e^v_n)·f_n(x) for v < −v_n, else 0, v in volts;
    f_p = e^(−α_p·d)·(1 − d/(1 − x_p)) with d = x − x_p beyond x_p, else 1; f_n mirrored from 1 − x_n downwards.
    η = 1: reverse the terminals for −1. Valid below about 30 V, where e^v is capped.

    Smoothed here: the excesses over the thresholds and d are y²/(y + smoothing) (d scaled to keep f = 0 at the
    bound), and a₁ turns to a₂ over `v_turn`. The state ends at `x_min` rather than at 0, where the device
    would be open. All four departures vanish for widths → 0.
    """

    source: ClassVar[str] = "Yakopcic et al., IEEE EDL 32(10): 1436 (2011), doi 10.1109/LED.2011.2163292"

    a_1: Parameter = param(0.17, "A", "amplitude for positive voltage", bounds=(1e-12, 10))
    a_2: Parameter = param(0.17, "A", "amplitude for negative voltage", bounds=(1e-12, 10))
    b: Parameter = param(0.05, "1/V", "curvature of the current", bounds=(1e-3, 10))
    v_p: Parameter = param(0.16, "V", "positive threshold", bounds=(0, 10))
    v_n: Parameter = param(0.15, "V", "negative threshold, its magnitude", bounds=(0, 10))
    rate_p: Parameter = param(4000.0, "1/s", "A_p: speed beyond the positive threshold", bounds=(1e-9, 1e12))
    rate_n: Parameter = param(4000.0, "1/s", "A_n: speed beyond the negative threshold", bounds=(1e-9, 1e12))
    x_p: Parameter = param(0.3, "1", "state where growth starts to slow down", bounds=(0, 0.99))
    x_n: Parameter = param(0.5, "1", "1 − state where shrinking starts to slow down", bounds=(0, 0.98))
    alpha_p: Parameter = param(1.0, "1", "decay of the growth beyond x_p", bounds=(0, 100))
    alpha_n: Parameter = param(5.0, "1", "decay of the shrinking below 1 − x_n", bounds=(0, 100))
    x_0: Parameter = param(0.11, "1", "initial state", bounds=(0.01, 1))
    x_min: Parameter = param(1e-3, "1", "lowest state", bounds=(1e-6, 0.01))
    smoothing: Parameter = param(1e-3, "1", "rounding of thresholds and of the window's corner", bounds=(1e-4, 1))
    v_turn: Parameter = param(1e-3, "V", "voltage over which a₁ turns to a₂", bounds=(1e-4, 1))
    substeps: int = option(2, "equal parts of a step in time", bounds=(1, 1_000_000))

    def ends(self) -> tuple[Real, Real]:
        """From x_min to 1."""
        return jnp.asarray(self.x_min), jnp.ones_like(self.x_min)

    def init(self) -> Real:
        """x₀."""
        return jnp.asarray(self.x_0)

    def conductance(self, state: Real) -> Real:
        """½(a₁ + a₂)·b·x in S."""
        return 0.5 * (self.a_1 + self.a_2) * self.b * state

    def current(self, state: Real, v: Real) -> Real:
        """a·x·sinh(b·v) in A, b·v capped at ±40."""
        amplitude = self.a_2 + (self.a_1 - self.a_2) * jax.nn.sigmoid(v / self.v_turn)
        return amplitude * state * jnp.sinh(jnp.clip(self.b * v, -40.0, 40.0))

    def _window(self, run: Real, room: Real, decay: Parameter) -> Real:
        """Exponential times linear fall to 0 at run = room; 1 where run < 0."""
        d = positive_part(run, self.smoothing) * (1 + self.smoothing / room)
        return jnp.exp(-decay * d) * (1 - d / room)

    def rate(self, state: Real, v: Real) -> Real:
        """dx/dt in 1/s; exactly 0 between the thresholds."""
        up = self.rate_p * positive_part(jnp.exp(jnp.minimum(v, 30.0)) - jnp.exp(self.v_p), self.smoothing)
        down = self.rate_n * positive_part(jnp.exp(jnp.minimum(-v, 30.0)) - jnp.exp(self.v_n), self.smoothing)
        growth = self._window(state - self.x_p, jnp.asarray(1 - self.x_p), self.alpha_p)
        decay = self._window(1 - self.x_n - state, jnp.asarray(1 - self.x_n - self.x_min), self.alpha_n)
        return up * growth - down * decay

    def advance(self, state: Real, v: Real, dt: Duration) -> Real:
        """Exponential Rosenbrock steps within the ends."""
        return bounded(lambda x: self.rate(x, v), state, dt, self.ends(), self.substeps)
