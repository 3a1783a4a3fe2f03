"""Phase-change memory that is programmed by write–verify: what is left is error, drift and 1/f noise."""

from abc import abstractmethod
from dataclasses import MISSING
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from memspike.devices.base import AbstractPulseDevice, Key, Moments, Pulses, Real, Seconds, clipped, counts, span
from memspike.devices.part import AbstractPart
from memspike.parts.param import Parameter, param, part
from memspike.parts.random import normal

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


class PCMJoshi(AbstractPulseDevice):
    """Write–verified PCM: programming error, drift with a state-dependent exponent that scatters, 1/f noise.

    A write to G leaves N(G, σ_prog(g)) with g = G/G_max; then G(t) = G·(t/t_c)^(−ν) for t > t_c, with ν drawn as
    |N(μ_ν(g), σ_ν(g))| at the write; a read adds N(0, G(t)·Q(g)·√ln((t + t_read)/(2·t_read))). `place` with a key
    is such a write; `program` moves the target by n·(G_max − G_min)/`levels`, write–verified each time
    (reconstruction: the source writes to targets only). Valid from t_c on; before it the conductance is that
    at t_c.
    """

    source: ClassVar[str] = (
        "Joshi et al., Nat. Commun. 11: 2473 (2020), doi 10.1038/s41467-020-16108-9; Nandakumar et al., ICECS 2019, "
        "IEEE 8964852; constants as in aihwkit's PCMLikeNoiseModel"
    )

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
            g = jnp.clip(g + self.error_scale * self.error(share) * normal(first, g.shape), self.g_min, self.g_max)
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

    def stored(self, state: JoshiState) -> Real:
        """The programmed conductance."""
        return state.g

    def wait(self, state: JoshiState, dt: Seconds) -> JoshiState:
        """Everything is `dt` older."""
        return state._replace(age=state.age + dt)

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

    def current(self, state: JoshiState, v: Real) -> Real:
        """Ohmic: G·v in A."""
        return self.conductance(state) * v
