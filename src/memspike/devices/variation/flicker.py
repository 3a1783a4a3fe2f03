"""1/f noise with a memory: a conductance that wanders, so that two reads soon after each other err alike."""

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from memspike.devices.base import AbstractPulseDevice, Key, Moments, Pulses, Real, Seconds
from memspike.devices.pcm import JOSHI_RANGE, PCM
from memspike.devices.variation.base import AbstractWrapper
from memspike.parts.param import Parameter, option, param, part
from memspike.parts.random import uniform

TURN = 2 * jnp.pi


class Flickering(NamedTuple):
    """State of the device inside; phases (rad) and frequencies (Hz) of its oscillations, one array a band."""

    inner: Any
    phases: tuple[Real, ...]
    frequencies: tuple[Real, ...]


class Flicker(AbstractWrapper):
    """Reads see G·(1 + x(t)) with a one-sided spectral density of x of Q²/f between `slowest` and `fastest`.

    x is one oscillation in each of `bands` bands of equal logarithmic width; every device has its own frequency,
    log-uniform inside the band, its own phase, and the amplitude that gives the band its variance Q²·ln(f_high/f_low).
    Over devices the spectrum is then exactly 1/f, and one device remembers where it was. A pulse does not touch x.
    Q = strength·min(scale/g^exponent, highest), g = G/25 µS. A device made without a key has no noise.

    Valid for noise that is small against 1; the white noise of single reads is that of the device inside.
    """

    source: ClassVar[str] = (
        "Q: Joshi et al., Nat. Commun. 11: 2473 (2020), doi 10.1038/s41467-020-16108-9, as in aihwkit; "
        "oscillations of random frequency: reconstruction"
    )

    device: AbstractPulseDevice = part(PCM, "the device inside")
    strength: Parameter = param(1.0, "1", "factor on Q", bounds=(0, 100))
    scale: Parameter = param(0.0088, "1", "Q at g = 1", bounds=(0, 1))
    exponent: Parameter = param(0.65, "1", "falls with g to this power", bounds=(-5, 5))
    highest: Parameter = param(0.2, "1", "highest Q", bounds=(0, 1))
    slowest: Parameter = param(1e-6, "Hz", "lowest frequency", bounds=(1e-12, 1e9))
    fastest: Parameter = param(1e2, "Hz", "highest frequency", bounds=(1e-12, 1e9))
    bands: int = option(8, "oscillations of a device, one a band of frequencies", bounds=(1, 1000))

    def _width(self) -> Real:
        """Logarithmic width of a band."""
        return jnp.log(self.fastest / self.slowest) / self.bands

    def init(self, shape: tuple[int, ...] = (), *, key: Key = None) -> Flickering:
        """Fresh devices, in the middle of their wandering."""
        inner = self.device.init(shape, key=key)
        blank = jnp.zeros_like(self.device.stored(inner))
        if key is None:
            return Flickering(inner, (blank,) * self.bands, (blank,) * self.bands)
        drawn = uniform(jax.random.fold_in(key, 0), (2, self.bands, *blank.shape), blank.dtype)
        low = jnp.log(jnp.asarray(self.slowest, blank.dtype))
        frequencies = [jnp.exp(low + self._width() * (k + drawn[1, k])) for k in range(self.bands)]
        return Flickering(inner, tuple(TURN * drawn[0]), tuple(frequencies))

    def program(self, state: Flickering, pulses: Pulses, *, key: Key = None) -> Flickering:
        """The device inside is programmed."""
        inner = self.device.program(state.inner, pulses, key=key)
        shape = self.device.stored(inner).shape
        phases, frequencies = (tuple(jnp.broadcast_to(x, shape) for x in each) for each in state[1:])
        return Flickering(inner, phases, frequencies)

    def reset(self, state: Flickering, *, key: Key = None) -> Flickering:
        """The device inside is RESET."""
        return state._replace(inner=self.device.reset(state.inner, key=key))

    def place(self, state: Flickering, g: Real, *, key: Key = None) -> Flickering:
        """The device inside is placed."""
        return state._replace(inner=self.device.place(state.inner, g, key=key))

    def stored(self, state: Flickering) -> Real:
        """The programmed conductance in S, without the noise."""
        return self.device.stored(state.inner)

    def wait(self, state: Flickering, dt: Seconds) -> Flickering:
        """`dt` seconds later: other phases."""
        pairs = zip(state.phases, state.frequencies, strict=True)
        phases = tuple(jnp.mod(phase + TURN * f * dt, TURN) for phase, f in pairs)
        return Flickering(self.device.wait(state.inner, dt), phases, state.frequencies)

    def deviation(self, state: Flickering, t: Seconds = 0.0) -> Real:
        """x in `t` seconds: the relative deviation of the conductance."""
        share = jnp.maximum(self.stored(state) / JOSHI_RANGE, 1e-6)
        q = self.strength * jnp.minimum(self.scale * share**-self.exponent, self.highest)
        pairs = zip(state.phases, state.frequencies, strict=True)
        waves = sum((jnp.sin(phase + TURN * f * t) for phase, f in pairs), jnp.zeros_like(share))
        return q * jnp.sqrt(2 * self._width()) * waves

    def conductance(self, state: Flickering, t: Seconds = 0.0, *, key: Key = None) -> Real:
        """What a read sees in `t` seconds, in S; with a key, with the white noise of the device inside."""
        seen = self.device.conductance(state.inner, t, key=key)
        return jnp.maximum(seen * (1 + self.deviation(state, t)), 0.0)

    def read_moments(self, state: Flickering, t: Seconds = 0.0) -> Moments:
        """Moments over the white noise of the device inside; the wandering is part of the mean."""
        inner, factor = self.device.read_moments(state.inner, t), 1 + self.deviation(state, t)
        return Moments(jnp.maximum(inner.mean * factor, 0.0), jnp.where(factor > 0, inner.sd * factor, 0.0))
