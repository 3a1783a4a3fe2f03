"""The linear ion drift of the first memristor paper."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from memspike.devices.base import AbstractMemoryDevice, Real
from memspike.devices.integrate import Duration, bounded
from memspike.devices.windows import AbstractWindow, Biolek
from memspike.parts.param import Parameter, option, param, part


class LinearIonDrift(AbstractMemoryDevice):
    """A doped and an undoped region in series; the current moves the wall between them.

    dx/dt = µ·R_on/D²·i·f(x, i), R = R_on·x + R_off·(1 − x), x in [0, 1] the doped share: x = 1 is on.
    f is a window object (`memspike.devices.windows`). Valid as a qualitative model: real drift is not linear
    in the field. R_off/R_on, D and µ are those of the source; R_on = 100 Ω is a common choice with it.

    Smoothed here: the bound ahead changes with the sign of the current over `i_turn`.
    """

    source: ClassVar[str] = (
        "Strukov, Snider, Stewart & Williams, Nature 453: 80 (2008), doi 10.1038/nature06932, eq. 5-6"
    )

    r_on: Parameter = param(100.0, "Ω", "resistance fully doped", bounds=(1e-2, 1e9))
    r_off: Parameter = param(16e3, "Ω", "resistance fully undoped", bounds=(1e-2, 1e12))
    mobility: Parameter = param(1e-14, "m²/(V s)", "ion mobility µ", bounds=(1e-20, 1e-8))
    depth: Parameter = param(10e-9, "m", "thickness D", bounds=(1e-9, 1e-6))
    x_0: Parameter = param(0.1, "1", "initial state", bounds=(0, 1))
    i_turn: Parameter = param(1e-8, "A", "current over which the bound ahead changes", bounds=(1e-15, 1))
    window: AbstractWindow = part(Biolek, "how the drift slows down near a bound")
    substeps: int = option(2, "equal parts of a step in time", bounds=(1, 1_000_000))

    def ends(self) -> tuple[Real, Real]:
        """0 is undoped, 1 doped."""
        return jnp.zeros_like(self.r_on), jnp.ones_like(self.r_on)

    def init(self) -> Real:
        """x₀."""
        return jnp.asarray(self.x_0)

    def conductance(self, state: Real) -> Real:
        """1/(R_on·x + R_off·(1 − x)) in S."""
        return 1 / (self.r_on * state + self.r_off * (1 - state))

    def current(self, state: Real, v: Real) -> Real:
        """Ohmic: v/R(x) in A."""
        return self.conductance(state) * v

    def rate(self, state: Real, v: Real) -> Real:
        """dx/dt in 1/s; exactly 0 without current."""
        i = self.current(state, v)
        forward = jax.nn.sigmoid(i / self.i_turn)
        damped = forward * self.window.damp(1 - state) + (1 - forward) * self.window.damp(state)
        return self.mobility * self.r_on / (self.depth * self.depth) * i * damped

    def advance(self, state: Real, v: Real, dt: Duration) -> Real:
        """Exponential Rosenbrock steps within [0, 1]."""
        return bounded(lambda x: self.rate(x, v), state, dt, self.ends(), self.substeps)
