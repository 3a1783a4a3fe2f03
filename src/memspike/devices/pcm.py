"""Phase-change memory: written by partial-SET pulses, or by write–verify."""

from abc import abstractmethod
from dataclasses import MISSING
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from memspike.devices.base import (
    AbstractPulseDevice,
    Key,
    Moments,
    Pulses,
    Real,
    Seconds,
    clipped,
    counts,
    select,
    span,
)
from memspike.devices.part import AbstractPart
from memspike.parts.param import Parameter, param, part
from memspike.parts.random import normal


class AbstractPhaseChange(AbstractPulseDevice):
    """A device whose state has the programmed conductance `g` (S) and the `age` of the last write (s)."""

    def stored(self, state: Any) -> Real:
        """The programmed conductance: G at the reference time after the last write."""
        return state.g

    def wait(self, state: Any, dt: Seconds) -> Any:
        """Everything is `dt` older."""
        return state._replace(age=state.age + dt)

    def current(self, state: Any, v: Real) -> Real:
        """Ohmic: G·v in A."""
        return self.conductance(state) * v


class PCMState(NamedTuple):
    """Conductance at T0 after the last pulse (S), programming history P (1), age of the last write (s)."""

    g: Real
    history: Real
    age: Real


JOSHI_RANGE = 25e-6


def _root(share: Real | float) -> Real:
    """√share with a finite slope at 0."""
    share = jnp.asarray(share)
    return jnp.where(share > 0, jnp.sqrt(jnp.where(share > 0, share, 1.0)), 0.0)


class PCM(AbstractPhaseChange):
    """Partial SET with a memory of the pulses since RESET, power-law drift and white read noise.

    One SET pulse: P ← P·e^(−1/a), then G ← clip(G + N(m1·G + c1 + A1·P, m2·G + c2 + A2·P), 0.1 µS, G_max).
    A read t seconds after the last write: G·(t/T0)^(−ν) plus N(0, m3·G_d + c3), clipped again.
    RESET: P ← 1, G ← N(0.1, 0.01) µS, clipped to [G_min, G_max]. **A negative count is a full RESET**: there
    is no partial RESET. G is what is measured T0 after the pulse; a younger device reads higher.

    With `state_drift` 1 the exponent is |μ(g) + nu_deviation·σ(g)|, the mean and s.d. over devices of `PCMJoshi` at
    g = G/25 µS: low conductances drift more, and every device has its own exponent (reconstruction: there it is drawn
    at each write). `deviation` and `persistent` split the noise of a pulse into a part that belongs to the device and
    one drawn for each pulse (reconstruction; 0 by default, as in the source: everything is drawn per pulse).
    Valid for the mushroom cell the constants were fitted to, G up to about 12 µS.
    """

    source: ClassVar[str] = (
        "released code of Demirağ et al., arXiv 2108.01804, after Nandakumar et al., J. Appl. Phys. 124: 152135 "
        "(2018), doi 10.1063/1.5042408"
    )

    g_min: Parameter = param(0.01e-6, "S", "lowest conductance, after a RESET", bounds=(0, 1))
    floor: Parameter = param(0.1e-6, "S", "lowest conductance after a SET and in a read", bounds=(0, 1))
    g_max: Parameter = param(12e-6, "S", "highest conductance", bounds=(1e-12, 1))
    memory: Parameter = param(2.6, "1", "pulses a over which the history P decays", bounds=(0.01, 1e6))
    mean_slope: Parameter = param(-0.084, "1", "m1: mean step per conductance", bounds=(-1, 1))
    mean_offset: Parameter = param(0.880e-6, "S", "c1: mean step at G = 0, P = 0", bounds=(-1, 1))
    mean_history: Parameter = param(1.40e-6, "S", "A1: mean step by history", bounds=(-1, 1))
    noise_slope: Parameter = param(0.091, "1", "m2: s.d. of a step per conductance", bounds=(-1, 1))
    noise_offset: Parameter = param(0.260e-6, "S", "c2: s.d. of a step at G = 0, P = 0", bounds=(0, 1))
    noise_history: Parameter = param(2.15e-6, "S", "A2: s.d. of a step by history", bounds=(0, 1))
    read_slope: Parameter = param(0.03, "1", "m3: s.d. of a read per conductance", bounds=(0, 10))
    read_offset: Parameter = param(0.13e-6, "S", "c3: s.d. of a read at G = 0", bounds=(0, 1))
    nu: Parameter = param(0.04, "1", "drift exponent ν", bounds=(-1, 1))
    t0: Parameter = param(38.6, "s", "time after a pulse at which the constants hold", bounds=(1e-9, 1e9))
    t_first: Parameter = param(1e-6, "s", "age below which drift is not extrapolated", bounds=(1e-12, 1e6))
    reset_mean: Parameter = param(0.1e-6, "S", "conductance after RESET", bounds=(0, 1))
    reset_sd: Parameter = param(0.01e-6, "S", "its s.d.", bounds=(0, 1))
    persistent: Parameter = param(0.0, "1", "share of the step variance that belongs to the device", bounds=(0, 1))
    deviation: Parameter = param(
        0.0, "1", "this device's persistent deviation, in s.d. (fabricate: Absolute(1))", bounds=(-10, 10)
    )

    state_drift: Parameter = param(
        0.0,
        "1",
        "share of the drift exponent that follows the state: 0 as the source, 1 as in Joshi et al.",
        bounds=(0, 1),
    )
    nu_deviation: Parameter = param(
        0.0, "1", "this device's deviation of the exponent, in s.d. (fabricate: Absolute(1))", bounds=(-10, 10)
    )

    def init(self, shape: tuple[int, ...] = (), *, key: Key = None) -> PCMState:
        """Devices after a RESET."""
        shape = shape or jnp.broadcast_shapes(*(jnp.shape(p) for p in jax.tree.leaves(self)))
        blank = jnp.zeros(shape, jnp.result_type(float))
        return self.reset(PCMState(blank, blank, blank), key=key)

    def _set_pulse(self, state: PCMState, key: Key) -> PCMState:
        """One partial SET of every device."""
        history = state.history * jnp.exp(-1 / self.memory)
        mean = self.mean_slope * state.g + self.mean_offset + self.mean_history * history
        sd = self._sd(state.g, history)
        step = mean + _root(self.persistent) * sd * self.deviation
        if key is not None:
            step = step + _root(1 - self.persistent) * sd * normal(key, state.g.shape)
        return PCMState(jnp.clip(state.g + step, self.floor, self.g_max), history, jnp.zeros_like(state.age))

    def _sd(self, g: Real, history: Real) -> Real:
        return jnp.maximum(self.noise_slope * g + self.noise_offset + self.noise_history * history, 0.0)

    def program(self, state: PCMState, pulses: Pulses, *, key: Key = None) -> PCMState:
        """n > 0: n partial SETs, one after the other; n < 0: RESET. Devices with n = 0 keep their age."""
        n = jnp.broadcast_to(counts(pulses), jnp.broadcast_shapes(jnp.shape(pulses), state.g.shape))
        state = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, n.shape), state)

        ours, theirs = (None, None) if key is None else jax.random.split(key)

        def pulse(k: Array, now: PCMState) -> PCMState:
            after = self._set_pulse(now, None if ours is None else jax.random.fold_in(ours, k))
            return jax.tree.map(lambda a, b: jnp.where(n > k.astype(n.dtype), a, b), after, now)

        written = jax.lax.fori_loop(0, jnp.max(n, initial=0).astype(jnp.int32), pulse, state)
        # a loop of no or one turn: under vmap a branch would be computed for every write
        erase = (n < 0).any().astype(jnp.int32)
        return jax.lax.fori_loop(0, erase, lambda _, now: select(n < 0, self.reset(state, key=theirs), now), written)

    def reset(self, state: PCMState, *, key: Key = None) -> PCMState:
        """Full RESET: history 1, age 0."""
        g = jnp.zeros_like(state.g) + self.reset_mean
        if key is not None:
            g = g + self.reset_sd * normal(key, g.shape)
        return PCMState(jnp.clip(g, self.g_min, self.g_max), jnp.ones_like(state.history), jnp.zeros_like(state.age))

    def place(self, state: PCMState, g: Real, *, key: Key = None) -> PCMState:
        """`g` inside the range; history and age stay."""
        return state._replace(g=jnp.zeros_like(state.g) + jnp.clip(g, self.g_min, self.g_max))

    def exponent(self, g: Real) -> Real:
        """The drift exponent ν of a device programmed to `g` S."""
        share = jnp.maximum(g / JOSHI_RANGE, 1e-6)
        mean = jnp.clip(-0.0155 * jnp.log(share) + 0.0244, 0.049, 0.1)
        sd = jnp.clip(-0.0125 * jnp.log(share) - 0.0059, 0.008, 0.045)
        own = jnp.abs(mean + self.nu_deviation * sd)
        return (1 - self.state_drift) * self.nu + self.state_drift * own

    def drift(self, age: Seconds, g: Real) -> Real:
        """The factor (t/T0)^(−ν) of a device programmed to `g` S whose last write is `age` seconds ago."""
        return jnp.exp(-self.exponent(g) * jnp.log(jnp.maximum(age, self.t_first) / self.t0))

    def read_moments(self, state: PCMState, t: Seconds = 0.0) -> Moments:
        """A Gaussian whose s.d. grows with the drifted conductance, clipped like every read."""
        g = self.conductance(state, t)
        return clipped(g, self._read_sd(g), self.floor, self.g_max)

    def _read_sd(self, g: Real) -> Real:
        return self.read_slope * g + self.read_offset

    def conductance(self, state: PCMState, t: Seconds = 0.0, *, key: Key = None) -> Real:
        """Drifted conductance in `t` seconds; with a key, one noisy read."""
        g = state.g * self.drift(state.age + t, state.g)
        if key is None:
            return g
        return jnp.clip(g + self._read_sd(g) * normal(key, g.shape), self.floor, self.g_max)


# lowest g of the laws below
FLOOR = 1e-3


class AbstractLaw(AbstractPart):
    """A fitted function of g = G/G_max."""

    @abstractmethod
    def __call__(self, g: Real) -> Real:
        """The value at g = G/G_max."""


class Cubic(AbstractLaw):
    """c0 + c1·g + c2·g² + c3·g³, not below zero."""

    c0: Parameter = param(0.0, "1", "constant term", bounds=(-1e3, 1e3))
    c1: Parameter = param(0.0, "1", "linear term", bounds=(-1e3, 1e3))
    c2: Parameter = param(0.0, "1", "quadratic term", bounds=(-1e3, 1e3))
    c3: Parameter = param(0.0, "1", "cubic term", bounds=(-1e3, 1e3))

    def __call__(self, g: Real) -> Real:
        """The polynomial."""
        return jnp.maximum(self.c0 + g * (self.c1 + g * (self.c2 + g * self.c3)), 0.0)


class Logarithmic(AbstractLaw):
    """slope·ln g + offset, kept between low and high."""

    slope: Parameter = param(0.0, "1", "per e-fold of g", bounds=(-10, 10))
    offset: Parameter = param(0.0, "1", "at g = 1", bounds=(-10, 10))
    low: Parameter = param(0.0, "1", "lowest value", bounds=(-10, 10))
    high: Parameter = param(1.0, "1", "highest value", bounds=(-10, 10))

    def __call__(self, g: Real) -> Real:
        """The clipped logarithm."""
        return jnp.clip(self.slope * jnp.log(jnp.maximum(g, FLOOR)) + self.offset, self.low, self.high)


class InversePower(AbstractLaw):
    """scale/g^exponent, at most `high`."""

    scale: Parameter = param(0.0088, "1", "at g = 1", bounds=(0, 10))
    exponent: Parameter = param(0.65, "1", "exponent", bounds=(-10, 10))
    high: Parameter = param(0.2, "1", "highest value", bounds=(0, 10))

    def __call__(self, g: Real) -> Real:
        """The capped power law."""
        return jnp.minimum(self.scale * jnp.exp(-self.exponent * jnp.log(jnp.maximum(g, FLOOR))), self.high)


class Switched(AbstractLaw):
    """One law below a conductance and another above."""

    below: AbstractLaw = part(MISSING, "law at low conductance")
    above: AbstractLaw = part(MISSING, "law at high conductance")
    switch: Parameter = param(0.5, "1", "g where the second law takes over", bounds=(0, 10))

    def __call__(self, g: Real) -> Real:
        """The law that holds at g."""
        return jnp.where(g < self.switch, self.below(g), self.above(g))


class JoshiState(NamedTuple):
    """Programmed conductance (S), drift exponent drawn at that write (1), age of the write (s)."""

    g: Real
    nu: Real
    age: Real


class PCMJoshi(AbstractPhaseChange):
    """Write–verified PCM: programming error, drift with a state-dependent exponent that scatters, 1/f noise.

    A write to G leaves N(G, σ_prog(g)) with g = G/G_max; then G(t) = G·(t/t_c)^(−ν) for t > t_c, with ν drawn as
    |N(μ_ν(g), σ_ν(g))| at the write; a read adds N(0, G(t)·Q(g)·√ln((t + t_read)/(2·t_read))). `place` with a key
    is such a write: its target is in the range, its error may end above G_max but not below 0, as in the source.
    `program` moves the target by n·(G_max − G_min)/`levels`, write–verified each time (reconstruction: the source
    writes to targets only). Valid from t_c on; before it the conductance is that at t_c.
    """

    source: ClassVar[str] = (
        "Joshi et al., Nat. Commun. 11: 2473 (2020), doi 10.1038/s41467-020-16108-9; Nandakumar et al., ICECS 2019, "
        "IEEE 8964852; constants as in aihwkit's PCMLikeNoiseModel"
    )

    overshoots: ClassVar[bool] = True

    g_min: Parameter = param(0.0, "S", "lowest conductance", bounds=(0, 1))
    g_max: Parameter = param(25e-6, "S", "highest conductance", bounds=(1e-12, 1))
    levels: Parameter = param(
        256.0, "1", "write–verified steps over the range that count as one pulse each", bounds=(1, 1e6)
    )
    error_scale: Parameter = param(1e-6, "S", "unit of the programming error law", bounds=(0, 1))
    t_c: Parameter = param(20.0, "s", "time of the first read after programming", bounds=(1e-9, 1e9))
    t_read: Parameter = param(250e-9, "s", "duration of a read", bounds=(1e-12, 1))
    error: AbstractLaw = part(lambda: Cubic(0.2635, 1.9650, -1.1731), "s.d. of the programming error over error_scale")
    nu_mean: AbstractLaw = part(lambda: Logarithmic(-0.0155, 0.0244, 0.049, 0.1), "mean drift exponent")
    nu_sd: AbstractLaw = part(lambda: Logarithmic(-0.0125, -0.0059, 0.008, 0.045), "s.d. of the drift exponent")
    noise: AbstractLaw = part(InversePower, "Q of the 1/f noise")

    def _share(self, g: Real) -> Real:
        return g / self.g_max

    def _age(self, state: JoshiState, t: Seconds) -> Real:
        return jnp.maximum(state.age + t, self.t_c)

    def init(self, shape: tuple[int, ...] = (), *, key: Key = None) -> JoshiState:
        """Devices programmed to G_min."""
        shape = shape or jnp.broadcast_shapes(jnp.shape(self.g_min), jnp.shape(self.g_max))
        blank = jnp.zeros(shape, jnp.result_type(float))
        return self.reset(JoshiState(blank, blank, blank), key=key)

    def place(self, state: JoshiState, g: Real, *, key: Key = None) -> JoshiState:
        """A write to `g`: age 0, a new drift exponent, and with a key the programming error."""
        g = jnp.zeros_like(state.g) + jnp.clip(g, self.g_min, self.g_max)
        share = self._share(g)
        nu = self.nu_mean(share)
        if key is not None:
            first, second = jax.random.split(key)
            g = jnp.maximum(g + self.error_scale * self.error(share) * normal(first, g.shape), 0.0)
            nu = jnp.abs(nu + self.nu_sd(share) * normal(second, g.shape))
        return JoshiState(g, nu, jnp.zeros_like(state.age))

    def program(self, state: JoshiState, pulses: Pulses, *, key: Key = None) -> JoshiState:
        """n steps of the target, write–verified; devices with n = 0 are left alone."""
        n = counts(pulses)
        state = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, jnp.broadcast_shapes(n.shape, leaf.shape)), state)
        written = self.place(state, state.g + n * span(self) / self.levels, key=key)
        return jax.tree.map(lambda a, b: jnp.where(n == 0, b, a), written, state)

    def reset(self, state: JoshiState, *, key: Key = None) -> JoshiState:
        """RESET to G_min."""
        return self.place(state, jnp.zeros_like(state.g) + self.g_min, key=key)

    def conductance(self, state: JoshiState, t: Seconds = 0.0, *, key: Key = None) -> Real:
        """Drifted conductance in `t` seconds; with a key, one noisy read."""
        g = state.g * jnp.exp(-state.nu * jnp.log(self._age(state, t) / self.t_c))
        if key is None:
            return g
        return jnp.maximum(g + self._read_sd(state, t) * normal(key, g.shape), 0.0)

    def _read_sd(self, state: JoshiState, t: Seconds) -> Real:
        """1/f noise that grows with the age."""
        grown = jnp.sqrt(jnp.log((self._age(state, t) + self.t_read) / (2 * self.t_read)))
        return self.conductance(state, t) * self.noise(self._share(state.g)) * grown

    def read_moments(self, state: JoshiState, t: Seconds = 0.0) -> Moments:
        """A Gaussian that is clipped at 0."""
        return clipped(self.conductance(state, t), self._read_sd(state, t), 0.0, jnp.inf)
