"""The thermal neuristor of vanadium dioxide, with hysteresis."""

from typing import ClassVar, NamedTuple

import jax.numpy as jnp

from memspike.devices.base import AbstractStateDevice, Real
from memspike.devices.integrate import Duration, exponential_step, keep, repeat
from memspike.parts.param import Parameter, option, param

# keeps (T − T_r)/T_pr finite where a minor loop closes
SMALLEST_PROXIMITY = 1e-3  # K


class VO2State(NamedTuple):
    """Temperature in K, direction (+1 heating, −1 cooling), and the last reversal: its T and its offset in K."""

    t: Real
    direction: Real
    t_reversal: Real
    proximity: Real


class VO2(AbstractStateDevice):
    """A resistor that heats itself through a hysteretic insulator–metal transition.

    C_th·dT/dt = v²/R − S_th·(T − T₀), R = R₀·e^(E_a/T)·g + R_m,
    g = ½ + ½·tanh(β·(δ·w/2 + T_c − T − T_p)), δ = sign(dT/dt), T_p = T_pr·P((T − T_r)/T_pr),
    P(y) = ½·(1 − sin γy)·(1 + tanh(π² − 2πy)).

    After a reversal at T_r the offset T_pr is what keeps g continuous. The source writes it with artanh(2g_r − 1);
    here the same number is carried as (δ_new − δ_old)·w/2 + T_p,old, which cannot overflow. A device that has
    rested starts on the major heating branch (T_pr = 0). Guarded: y = (T − T_r)·T_pr/(T_pr² + (1 mK)²), y ≥ 0.
    """

    source: ClassVar[str] = (
        "Zhang, Qiu & Di Ventra, Collective dynamics and long-range order in thermal neuristor networks, "
        "arXiv 2312.12899; hysteresis: de Almeida et al., Opt. Eng. 41: 2582 (2002), doi 10.1117/1.1501095"
    )
    volatile: ClassVar[bool] = True

    r_0: Parameter = param(5.359e-3, "Ω", "prefactor of the insulator", bounds=(1e-5, 1))
    e_a: Parameter = param(5220.5, "K", "activation energy over Boltzmann's constant", bounds=(1e3, 8e3))
    r_m: Parameter = param(262.5 * 4.90, "Ω", "resistance of the metal", bounds=(1, 1e6))
    width: Parameter = param(7.194, "K", "w: width of the hysteresis", bounds=(0.1, 30))
    t_c: Parameter = param(332.81, "K", "centre of the hysteresis", bounds=(300, 400))
    steepness: Parameter = param(0.2528, "1/K", "β of the transition", bounds=(1e-2, 5))
    gamma: Parameter = param(0.9563, "1", "γ of the proximity function", bounds=(0.5, 1))
    c_th: Parameter = param(49.63e-12, "J/K", "thermal capacitance", bounds=(1e-15, 1e-3))
    s_th: Parameter = param(0.2056e-3, "W/K", "thermal conductance to the ambient", bounds=(1e-8, 1))
    t_0: Parameter = param(325.0, "K", "ambient temperature", bounds=(250, 400))
    substeps: int = option(4, "equal parts of a step in time", bounds=(1, 1_000_000))

    def init(self) -> VO2State:
        """At the ambient temperature, on the major heating branch."""
        t = jnp.asarray(self.t_0)
        return VO2State(t, jnp.ones_like(t), t, jnp.zeros_like(t))

    def _offset(self, state: VO2State) -> Real:
        """T_p in K."""
        far = state.proximity
        y = jnp.maximum((state.t - state.t_reversal) * far / (far * far + SMALLEST_PROXIMITY**2), 0.0)
        return far * 0.5 * (1 - jnp.sin(self.gamma * y)) * (1 + jnp.tanh(jnp.pi * (jnp.pi - 2 * y)))

    def insulating(self, state: VO2State) -> Real:
        """The share g that is insulating."""
        centre = state.direction * self.width / 2 + self.t_c - state.t - self._offset(state)
        return 0.5 + 0.5 * jnp.tanh(self.steepness * centre)

    def resistance(self, state: VO2State) -> Real:
        """R in Ω."""
        return self.r_0 * jnp.exp(self.e_a / state.t) * self.insulating(state) + self.r_m

    def conductance(self, state: VO2State) -> Real:
        """1/R in S."""
        return 1 / self.resistance(state)

    def current(self, state: VO2State, v: Real) -> Real:
        """Ohmic: v/R in A."""
        return v / self.resistance(state)

    def rate(self, state: VO2State, v: Real) -> VO2State:
        """dT/dt in K/s; the memory moves only at reversals."""
        heating = (v * self.current(state, v) - self.s_th * (state.t - self.t_0)) / self.c_th
        still = jnp.zeros_like(heating)
        return VO2State(heating, still, still, still)

    def turn(self, state: VO2State, v: Real) -> VO2State:
        """The memory after a look at the sign of dT/dt: unchanged, or a new reversal at the same R."""
        speed = self.rate(state, v).t
        direction = jnp.where(speed > 0, 1.0, jnp.where(speed < 0, -1.0, state.direction))
        turned = direction != state.direction
        proximity = (direction - state.direction) * self.width / 2 + self._offset(state)
        return VO2State(
            state.t,
            direction,
            jnp.where(turned, state.t, state.t_reversal),
            jnp.where(turned, proximity, state.proximity),
        )

    def advance(self, state: VO2State, v: Real, dt: Duration) -> VO2State:
        """Exponential Rosenbrock steps of T between the ambient and the temperature of the metal."""
        hottest = jnp.maximum(state.t, self.t_0 + v * v / (self.r_m * self.s_th))
        coldest = jnp.minimum(state.t, self.t_0)

        def step(s: VO2State, h: Duration) -> VO2State:
            s = self.turn(s, v)
            moved = exponential_step(lambda t: self.rate(s._replace(t=t), v).t, s.t, h)
            return s._replace(t=keep(moved, coldest, hottest))

        return repeat(step, state, dt, self.substeps)
