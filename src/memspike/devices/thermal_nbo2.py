"""The thermal threshold switch of niobium dioxide."""

from typing import ClassVar

import jax.numpy as jnp

from memspike.devices.base import AbstractStateDevice, Real
from memspike.devices.integrate import Duration, exponential_step, keep, repeat
from memspike.devices.smooth import root_magnitude
from memspike.parts.param import Parameter, option, param

BOLTZMANN = 8.617333262e-5  # eV/K
LARGEST_EXPONENT = 30.0


class ThermalNbO2(AbstractStateDevice):
    """Poole–Frenkel conduction heated by its own current: it runs away at a threshold voltage.

    i = (v/R₀)·exp(−(E_a − ω·√(|v|/d))/kT), C_th·dT/dt = i·v − (T − T₀)/R_th.

    The structure (Poole–Frenkel conduction with Joule heating, no metal–insulator transition needed) is that of
    the source; the **parameters are not confirmed by a source**. Without a series resistance the temperature of
    a switched-on device means nothing.

    Smoothed here: √|v| is v²/(v² + v_smooth²)^¾. The exponent is capped at 30.
    """

    source: ClassVar[str] = (
        "Slesazeck et al., RSC Adv. 5: 102318 (2015), doi 10.1039/C5RA19300A (structure; parameters not confirmed)"
    )
    volatile: ClassVar[bool] = True

    r_0: Parameter = param(60.0, "Ω", "resistance without a barrier", bounds=(1, 1e6))
    e_a: Parameter = param(0.215, "eV", "activation energy", bounds=(0.05, 1))
    omega: Parameter = param(1.13e-5, "eV √(m/V)", "barrier lowering by the field", bounds=(1e-7, 5e-5))
    depth: Parameter = param(20e-9, "m", "film thickness d", bounds=(2e-9, 1e-6))
    r_th: Parameter = param(1.27e6, "K/W", "thermal resistance", bounds=(1e3, 1e9))
    c_th: Parameter = param(2.3e-15, "J/K", "thermal capacitance", bounds=(1e-18, 1e-9))
    t_0: Parameter = param(298.0, "K", "ambient temperature", bounds=(200, 500))
    v_smooth: Parameter = param(1e-3, "V", "rounding of √|v| at zero", bounds=(1e-4, 0.1))
    substeps: int = option(4, "equal parts of a step in time", bounds=(1, 1_000_000))

    def _lowering(self, v: Real) -> Real:
        """ω·√(|v|/d) in eV."""
        return self.omega * root_magnitude(v, self.v_smooth) / jnp.sqrt(self.depth)

    def init(self) -> Real:
        """The ambient temperature."""
        return jnp.asarray(self.t_0)

    def conductance(self, state: Real) -> Real:
        """e^(−E_a/kT)/R₀ in S."""
        return jnp.exp(-self.e_a / (BOLTZMANN * state)) / self.r_0

    def current(self, state: Real, v: Real) -> Real:
        """(v/R₀)·exp(−(E_a − ω·√(|v|/d))/kT) in A."""
        exponent = (self._lowering(v) - self.e_a) / (BOLTZMANN * state)
        return v / self.r_0 * jnp.exp(jnp.minimum(exponent, LARGEST_EXPONENT))

    def rate(self, state: Real, v: Real) -> Real:
        """dT/dt in K/s."""
        return (self.current(state, v) * v - (state - self.t_0) / self.r_th) / self.c_th

    def advance(self, state: Real, v: Real, dt: Duration) -> Real:
        """Exponential Rosenbrock steps, never colder than the ambient nor hotter than the most power can make it."""
        excess = (self._lowering(v) - self.e_a) / (BOLTZMANN * self.t_0)
        power = v * v / self.r_0 * jnp.exp(jnp.clip(excess, 0.0, LARGEST_EXPONENT))
        hottest = jnp.maximum(state, self.t_0 + self.r_th * power)
        coldest = jnp.minimum(state, self.t_0)

        def step(x: Real, h: Duration) -> Real:
            return keep(exponential_step(lambda t: self.rate(t, v), x, h), coldest, hottest)

        return repeat(step, state, dt, self.substeps)
