"""The diffusive memristor as a compact model of two ion populations."""

from typing import ClassVar, NamedTuple

import jax.numpy as jnp

from memspike.devices.base import AbstractStateDevice, Real
from memspike.devices.integrate import Duration, exponential_step, keep, repeat
from memspike.devices.smooth import edge, magnitude
from memspike.parts.param import Parameter, option, param


class DiffusiveState(NamedTuple):
    """Shares of the gap bridged by the fast (f) and by the slow (r) population; f + r ≤ 1."""

    f: Real
    r: Real


class Diffusive(AbstractStateDevice):
    """Silver drifts into the gap under voltage and diffuses away by itself, part of it slowly.

    df/dt = µ·|v|/(α + 1 − f − r) − γ₁·f − β·f,  dr/dt = β·f − γ₂·r,  s = f + r,
    R = R_on·s + R_off·(e^((1−s)/λ) − 1)/(e^(1/λ) − 1), i = v/R. No noise. Rates in 1/s, as published.

    Smoothed here: |v| is v²/√(v² + v_smooth²); where the source clips s at 1, the growth fades as
    1 − e^(−(1−s)/edge_width), so the bridge is never overfilled.
    """

    source: ClassVar[str] = (
        "Zhuo et al., Adv. Electron. Mater. (2022), as restated by T. Wang et al., IEEE Trans. Circuits Syst. "
        "Artif. Intell. (2024), doi 10.1109/TCASAI.2024.3484370"
    )
    volatile: ClassVar[bool] = True

    r_on: Parameter = param(17e3, "Ω", "resistance of the complete bridge", bounds=(1, 1e9))
    r_off: Parameter = param(1e10, "Ω", "resistance of the empty gap", bounds=(1e3, 1e14))
    length: Parameter = param(0.1, "1", "λ: decay of the gap's resistance, a share of the gap", bounds=(0.03, 10))
    drift: Parameter = param(16.0, "1/(V s)", "µ: growth per volt", bounds=(1e-6, 1e6))
    alpha: Parameter = param(0.1, "1", "gap left to the drift at the complete bridge", bounds=(1e-2, 10))
    beta: Parameter = param(0.35, "1/s", "rate from the fast to the slow population", bounds=(1e-9, 1e3))
    gamma_1: Parameter = param(50.0, "1/s", "loss of the fast population", bounds=(1e-9, 1e6))
    gamma_2: Parameter = param(0.42, "1/s", "loss of the slow population", bounds=(1e-9, 1e6))
    v_smooth: Parameter = param(1e-3, "V", "rounding of |v| at zero", bounds=(1e-4, 1))
    edge_width: Parameter = param(0.02, "1", "share of the gap over which completion is felt", bounds=(5e-3, 1))
    substeps: int = option(10, "equal parts of a step in time", bounds=(1, 1_000_000))

    def init(self) -> DiffusiveState:
        """An empty gap."""
        return DiffusiveState(jnp.zeros_like(self.drift), jnp.zeros_like(self.drift))

    def resistance(self, state: DiffusiveState) -> Real:
        """R(f + r) in Ω."""
        s = state.f + state.r
        return self.r_on * s + self.r_off * jnp.expm1((1 - s) / self.length) / jnp.expm1(1 / self.length)

    def conductance(self, state: DiffusiveState) -> Real:
        """1/R in S."""
        return 1 / self.resistance(state)

    def current(self, state: DiffusiveState, v: Real) -> Real:
        """Ohmic: v/R in A."""
        return v / self.resistance(state)

    def rate(self, state: DiffusiveState, v: Real) -> DiffusiveState:
        """df/dt and dr/dt in 1/s."""
        f, r = state
        left = 1 - f - r
        growth = self.drift * magnitude(v, self.v_smooth) * edge(left, self.edge_width) / (self.alpha + left)
        return DiffusiveState(growth - (self.gamma_1 + self.beta) * f, self.beta * f - self.gamma_2 * r)

    def advance(self, state: DiffusiveState, v: Real, dt: Duration) -> DiffusiveState:
        """Half a step of r, a step of f, half a step of r, each by its own exponential Rosenbrock step."""

        def slow(s: DiffusiveState, h: Duration) -> DiffusiveState:
            moved = exponential_step(lambda r: self.rate(s._replace(r=r), v).r, s.r, h)
            return s._replace(r=keep(moved, 0.0, 1 - s.f))

        def step(s: DiffusiveState, h: Duration) -> DiffusiveState:
            s = slow(s, h / 2)
            moved = exponential_step(lambda f: self.rate(s._replace(f=f), v).f, s.f, h)
            return slow(s._replace(f=keep(moved, 0.0, 1 - s.r)), h / 2)

        return repeat(step, state, dt, self.substeps)
