"""Memristors that remember: ions that drift, filaments that grow, a wall that moves."""

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp

from memspike.devices.base import AbstractMemoryDevice, Real
from memspike.devices.numerics import Duration, bounded, edge, gate, positive_part, power, resolved
from memspike.devices.part import AbstractPart
from memspike.parts.param import Parameter, option, param, part


class AbstractWindow(AbstractPart):
    """How ion drift slows down near a bound: a factor in [0, 1] (Prodromakis: [0, j]) on the speed towards it.

    No window can lock the state at a bound: where Joglekar's and Prodromakis's published ones damp both directions,
    the motion away from the nearer bound is undamped here.
    """

    @abstractmethod
    def damp(self, distance: Real) -> Real:
        """The factor at `distance` from the bound ahead, as a share of the whole way."""


class NoWindow(AbstractWindow):
    """1 everywhere: the state runs into the bound and stops."""

    source: ClassVar[str] = "Strukov et al., Nature 453: 80 (2008), doi 10.1038/nature06932"

    def damp(self, distance: Real) -> Real:
        """1."""
        return jnp.ones_like(distance)


class Joglekar(AbstractWindow):
    """f = 1 − (2x − 1)^(2p) in the half before the bound, 1 in the other half (published: in both)."""

    source: ClassVar[str] = "Joglekar & Wolf, Eur. J. Phys. 30: 661 (2009), doi 10.1088/0143-0807/30/4/001"

    p: Parameter = param(2.0, "1", "exponent; a larger one makes a sharper edge", bounds=(1, 20))

    def damp(self, distance: Real) -> Real:
        """1 − (1 − 2d)^(2p) for d < ½."""
        late = jnp.maximum(1 - 2 * distance, 0.0)
        return 1 - power(late * late, self.p)


class Biolek(AbstractWindow):
    """f = 1 − (x − stp(−i))^(2p): already a function of the distance to the bound ahead alone."""

    source: ClassVar[str] = "Biolek, Biolek & Biolkova, Radioengineering 18(2): 210 (2009)"

    p: Parameter = param(2.0, "1", "exponent; a larger one makes a sharper edge", bounds=(1, 20))

    def damp(self, distance: Real) -> Real:
        """1 − (1 − d)^(2p)."""
        done = 1 - distance
        return 1 - power(done * done, self.p)


class Prodromakis(AbstractWindow):
    """f = j·(1 − ((x − ½)² + ¾)^p) in the half before the bound, its maximum in the other (published: in both)."""

    source: ClassVar[str] = "Prodromakis et al., IEEE TED 58(9): 3099 (2011), doi 10.1109/TED.2011.2158004"

    p: Parameter = param(2.0, "1", "exponent", bounds=(1, 20))
    j: Parameter = param(1.0, "1", "scale of the window", bounds=(1e-2, 100))

    def damp(self, distance: Real) -> Real:
        """j·(1 − ((½ − d)² + ¾)^p) for d < ½."""
        late = jnp.maximum(0.5 - distance, 0.0)
        return self.j * (1 - power(late * late + 0.75, self.p))


class LinearIonDrift(AbstractMemoryDevice):
    """A doped and an undoped region in series; the current moves the wall between them.

    dx/dt = µ·R_on/D²·i·f(x, i), R = R_on·x + R_off·(1 − x), x in [0, 1] the doped share: x = 1 is on.
    f is a window object (`AbstractWindow`). Valid as a qualitative model: real drift is not linear in the field.
    R_off/R_on, D and µ are those of the source; R_on = 100 Ω is a common choice with it.

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
    substeps: int = option(32, "equal parts of a step in time", bounds=(1, 1_000_000))

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
        """Exponential Rosenbrock steps within [0, 1], shorter where the resistance collapses."""
        return resolved(lambda x: self.rate(x, v), state, dt, self.ends(), self.substeps)


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

    Smoothed here: the law is the published one but for excesses 0 < y < smoothing, where y is y²/s·(2 − y/s), and for
    the last `edge_width` of the way, where the speed towards the bound (never away from it) falls to 0.
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
    smoothing: Parameter = param(1e-3, "1", "rounding of the thresholds, relative to them", bounds=(1e-6, 1))
    edge_width: Parameter = param(5e-4, "1", "share of the way over which a bound is felt", bounds=(1e-5, 1))
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


class Yakopcic(AbstractMemoryDevice):
    """A sinh conductor whose amplitude x moves beyond voltage thresholds, slower near its bounds.

    i = a·x·sinh(b·v) with a = a₁ for v > 0, a₂ for v < 0;
    dx/dt = A_p·(e^v − e^v_p)·f_p(x) for v > v_p, −A_n·(e^−v − e^v_n)·f_n(x) for v < −v_n, else 0, v in volts;
    f_p = e^(−α_p·d)·(1 − d/(1 − x_p)) with d = x − x_p beyond x_p, else 1; f_n mirrored from 1 − x_n downwards.
    η = 1: reverse the terminals for −1. Valid below about 30 V, where e^v is capped.

    Smoothed here: the excesses over the thresholds and d, y²/s·(2 − y/s) below s = `smoothing` and as published from
    there on; a₁ turns to a₂ over `v_turn`. The state stops at `x_min`, as a device at 0 would be open.
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
    substeps: int = option(4, "equal parts of a step in time", bounds=(1, 1_000_000))

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
        d = positive_part(run, jnp.minimum(self.smoothing, room))
        return jnp.exp(-decay * d) * (1 - d / room)

    def rate(self, state: Real, v: Real) -> Real:
        """dx/dt in 1/s; exactly 0 between the thresholds."""
        up = self.rate_p * positive_part(jnp.exp(jnp.minimum(v, 30.0)) - jnp.exp(self.v_p), self.smoothing)
        down = self.rate_n * positive_part(jnp.exp(jnp.minimum(-v, 30.0)) - jnp.exp(self.v_n), self.smoothing)
        growth = self._window(state - self.x_p, jnp.asarray(1 - self.x_p), self.alpha_p)
        decay = self._window(1 - self.x_n - state, jnp.asarray(1 - self.x_n), self.alpha_n)
        return up * growth - down * decay

    def advance(self, state: Real, v: Real, dt: Duration) -> Real:
        """Exponential Rosenbrock steps within the ends."""
        return bounded(lambda x: self.rate(x, v), state, dt, self.ends(), self.substeps)


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

    Smoothed here: the step at F_min is a cubic from F_min to (1 + smoothing)·F_min, and each of the two exponentials of
    the sinh fades over the last `edge_width` of the way to its own bound, where the source clips the gap.
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
    smoothing: Parameter = param(1e-3, "1", "rounding of F_min, relative to it", bounds=(1e-5, 1))
    edge_width: Parameter = param(5e-4, "1", "share of the way over which a bound is felt", bounds=(1e-5, 1))
    substeps: int = option(32, "equal parts of a step in time", bounds=(1, 1_000_000))

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
        """Exponential Rosenbrock steps within [0, 1], shorter where the gap runs away or collapses."""
        return resolved(lambda x: self.rate(x, v), state, dt, self.ends(), self.substeps)
