"""Devices that forget: a threshold switch, and switches by ions and by heat; the metastable switch has its own file."""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from memspike.devices.base import AbstractStateDevice, Real
from memspike.devices.numerics import Duration, bounded, edge, exponential_step, keep, magnitude, repeat, root_magnitude
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


class DiffusiveState(NamedTuple):
    """Shares of the gap bridged by the fast (f) and by the slow (r) population; f + r ≤ 1."""

    f: Real
    r: Real


class Diffusive(AbstractStateDevice):
    """Silver drifts into the gap under voltage and diffuses away by itself, part of it slowly.

    df/dt = µ·|v|/(α + 1 − f − r) − γ₁·f − β·f,  dr/dt = β·f − γ₂·r,  s = f + r,
    R = R_on·s + R_off·(e^((1−s)/λ) − 1)/(e^(1/λ) − 1), i = v/R. No noise. Rates in 1/s, as published.

    At the complete bridge s stays 1 while it would grow on; the slow population then grows at the cost of the fast one.
    Smoothed here: |v| is v²/√(v² + v_smooth²), and over the last `edge_width` of the gap a growth of f falls to 0.
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
    edge_width: Parameter = param(1e-3, "1", "share of the gap over which completion is felt", bounds=(1e-5, 1))
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
        growth = self.drift * magnitude(v, self.v_smooth) / (self.alpha + left) - (self.gamma_1 + self.beta) * f
        growth = growth * jnp.where(growth > 0, edge(left, self.edge_width), 1.0)
        return DiffusiveState(growth, self.beta * f - self.gamma_2 * r)

    def advance(self, state: DiffusiveState, v: Real, dt: Duration) -> DiffusiveState:
        """Half a step of r, a step of f, half a step of r, each by its own exponential Rosenbrock step."""

        def slow(s: DiffusiveState, h: Duration) -> DiffusiveState:
            moved = keep(exponential_step(lambda r: self.rate(s._replace(r=r), v).r, s.r, h), 0.0, 1.0)
            return DiffusiveState(jnp.minimum(s.f, 1 - moved), moved)

        def step(s: DiffusiveState, h: Duration) -> DiffusiveState:
            s = slow(s, h / 2)
            moved = exponential_step(lambda f: self.rate(s._replace(f=f), v).f, s.f, h)
            return slow(s._replace(f=keep(moved, 0.0, 1 - s.r)), h / 2)

        return repeat(step, state, dt, self.substeps)


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
        """The memory after a look at the sign of dT/dt at `v` volts: unchanged, or a new reversal at the same R."""
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
