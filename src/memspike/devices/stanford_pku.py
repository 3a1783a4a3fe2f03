"""The Stanford–PKU model of filamentary RRAM, version 1."""

from typing import ClassVar

import jax.numpy as jnp

from memspike.devices.base import AbstractMemoryDevice, Real
from memspike.devices.integrate import Duration, bounded
from memspike.devices.smooth import edge, gate
from memspike.parts.param import Parameter, option, param

BOLTZMANN = 8.617333262e-5  # eV/K
NANOMETRE = 1e-9
# e^40 times any attempt speed is faster than every voltage step; more would overflow float32
LARGEST_EXPONENT = 40.0


class StanfordPKU(AbstractMemoryDevice):
    """A tunnelling gap g that field and Joule heat close (v > 0) and open (v < 0).

    i = I₀·e^(−g/g₀)·sinh(v/V₀), T = T₀ + v·i·R_th,
    dg/dt = −v₀·e^(−E_a/kT)·sinh(γ·a₀·q·v/(t_ox·k·T)), γ = γ₀ − β·(g/1 nm)³, 0 where γ|v|/t_ox < F_min.
    The state x in [0, 1] is the share of the way closed: g = g_max − x·(g_max − g_min), so x = 1 is on.
    The temperature is algebraic (it settles much faster than the gap). No cycle-to-cycle noise.

    Smoothed here: the step at F_min is a cubic over `smoothing`·F_min, and each of the two exponentials of
    the sinh fades towards its own bound as 1 − e^(−distance/edge_width), where the source clips the gap.
    """

    source: ClassVar[str] = (
        "Stanford University RRAM model v1.0, nanoHUB, doi 10.4231/D37H1DN48; Guan, Yu & Wong, "
        "IEEE EDL 33(10): 1405 (2012), doi 10.1109/LED.2012.2210856"
    )

    i_0: Parameter = param(1e-3, "A", "current scale I₀", bounds=(1e-9, 1))
    g_0: Parameter = param(0.25e-9, "m", "decay length of the current", bounds=(0.05e-9, 5e-9))
    v_0: Parameter = param(0.25, "V", "voltage scale of the current", bounds=(0.05, 10))
    speed: Parameter = param(10.0, "m/s", "v₀: attempt speed of the gap", bounds=(1e-6, 1e6))
    gamma_0: Parameter = param(16.0, "1", "field enhancement at zero gap", bounds=(10, 40))
    beta: Parameter = param(0.8, "1", "fall of the enhancement with the cube of the gap in nm", bounds=(0, 1.2))
    e_a: Parameter = param(0.6, "eV", "activation energy", bounds=(0.1, 3))
    a_0: Parameter = param(0.25e-9, "m", "hopping distance", bounds=(0.05e-9, 1e-9))
    t_ox: Parameter = param(12e-9, "m", "oxide thickness", bounds=(2e-9, 100e-9))
    gap_min: Parameter = param(0.2e-9, "m", "smallest gap", bounds=(0.05e-9, 0.5e-9))
    gap_max: Parameter = param(1.7e-9, "m", "largest gap", bounds=(0.6e-9, 2e-9))
    r_th: Parameter = param(2100.0, "K/W", "thermal resistance", bounds=(0, 1e7))
    t_0: Parameter = param(298.0, "K", "ambient temperature", bounds=(200, 500))
    f_min: Parameter = param(1.4e9, "V/m", "field below which the gap stays", bounds=(1e7, 1e11))
    smoothing: Parameter = param(0.05, "1", "rounding of F_min, relative to it", bounds=(1e-3, 1))
    edge_width: Parameter = param(0.02, "1", "share of the way over which a bound is felt", bounds=(5e-3, 1))
    substeps: int = option(4, "equal parts of a step in time", bounds=(1, 1_000_000))

    def ends(self) -> tuple[Real, Real]:
        """0 is the largest gap, 1 the smallest."""
        return jnp.zeros_like(self.gap_min), jnp.ones_like(self.gap_min)

    def init(self) -> Real:
        """The largest gap."""
        return self.ends()[0]

    def gap(self, state: Real) -> Real:
        """The gap in m."""
        return self.gap_max - state * (self.gap_max - self.gap_min)

    def conductance(self, state: Real) -> Real:
        """I₀·e^(−g/g₀)/V₀ in S."""
        return self.i_0 * jnp.exp(-self.gap(state) / self.g_0) / self.v_0

    def current(self, state: Real, v: Real) -> Real:
        """I₀·e^(−g/g₀)·sinh(v/V₀) in A, v/V₀ capped at ±40."""
        bend = jnp.clip(v / self.v_0, -LARGEST_EXPONENT, LARGEST_EXPONENT)
        return self.i_0 * jnp.exp(-self.gap(state) / self.g_0) * jnp.sinh(bend)

    def temperature(self, state: Real, v: Real) -> Real:
        """T₀ + v·i·R_th in K."""
        return self.t_0 + v * self.current(state, v) * self.r_th

    def rate(self, state: Real, v: Real) -> Real:
        """dx/dt in 1/s; exactly 0 below F_min."""
        thermal = BOLTZMANN * self.temperature(state, v)
        nanometres = self.gap(state) / NANOMETRE
        field = (self.gamma_0 - self.beta * nanometres * nanometres * nanometres) * v / self.t_ox
        bend, barrier = field * self.a_0 / thermal, self.e_a / thermal
        open_ = gate(jnp.abs(field) / self.f_min - 1, self.smoothing)
        speed = 0.5 * open_ * self.speed / (self.gap_max - self.gap_min)
        closing = jnp.exp(jnp.minimum(bend - barrier, LARGEST_EXPONENT)) * edge(1 - state, self.edge_width)
        opening = jnp.exp(jnp.minimum(-bend - barrier, LARGEST_EXPONENT)) * edge(state, self.edge_width)
        return speed * (closing - opening)

    def advance(self, state: Real, v: Real, dt: Duration) -> Real:
        """Exponential Rosenbrock steps within [0, 1]."""
        return bounded(lambda x: self.rate(x, v), state, dt, self.ends(), self.substeps)
