"""What a fit of measured pulses finds around the law: ramps that differ in speed, and noise of the read."""

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from memspike.devices.base import AbstractPulseDevice, Key, Moments, Pulses, Real, Seconds, clipped, counts, span
from memspike.devices.step import SoftBounds
from memspike.devices.variation.wrappers import AbstractWrapper
from memspike.parts.param import Parameter, param, part
from memspike.parts.random import normal


class Ramping(NamedTuple):
    """State of the device inside; direction of the last pulses (0: none since RESET) and speed of this ramp."""

    inner: Any
    direction: Real
    speed: Real


class RampToRamp(AbstractWrapper):
    """Pulses of one ramp count max(1 + σ·ξ, 0) times; ξ ~ N(0, 1) is drawn anew where the direction turns or after RESET.

    σ is `up` or `down`. Without a key every ramp has the speed of the law.
    """

    source: ClassVar[str] = "definition: a random effect of the ramp, as `memspike fit` estimates it"

    device: AbstractPulseDevice = part(SoftBounds, "the device inside")
    up: Parameter = param(0.0, "1", "s.d. of the speed of an upward ramp", bounds=(0, 10))
    down: Parameter = param(0.0, "1", "s.d. of the speed of a downward ramp", bounds=(0, 10))

    def init(self, shape: tuple[int, ...] = (), *, key: Key = None) -> Ramping:
        """Fresh devices, before their first ramp."""
        inner = self.device.init(shape, key=key)
        blank = jnp.zeros_like(self.device.stored(inner))
        return Ramping(inner, blank, blank + 1)

    def program(self, state: Ramping, pulses: Pulses, *, key: Key = None) -> Ramping:
        """The device inside takes the pulses, times the speed of the ramp."""
        own, theirs = (None, None) if key is None else jax.random.split(key)
        n = counts(pulses).astype(state.speed.dtype)
        sign = jnp.sign(n) + jnp.zeros_like(state.direction)
        speed = jnp.ones_like(sign)
        if own is not None:
            drawn = 1 + jnp.where(sign > 0, self.up, self.down) * normal(own, sign.shape, sign.dtype)
            speed = jnp.where((sign == 0) | (sign == state.direction), state.speed, jnp.maximum(drawn, 0.0))
        inner = self.device.program(state.inner, n * speed, key=theirs)
        return Ramping(inner, jnp.where(sign == 0, state.direction, sign), speed)

    def reset(self, state: Ramping, *, key: Key = None) -> Ramping:
        """The device inside is RESET; the next pulses begin a ramp."""
        inner = self.device.reset(state.inner, key=key)
        return Ramping(inner, jnp.zeros_like(state.direction), jnp.ones_like(state.speed))

    def place(self, state: Ramping, g: Real, *, key: Key = None) -> Ramping:
        """The device inside is placed; the ramp goes on."""
        return state._replace(inner=self.device.place(state.inner, g, key=key))

    def stored(self, state: Ramping) -> Real:
        """The programmed conductance in S."""
        return self.device.stored(state.inner)

    def wait(self, state: Ramping, dt: Seconds) -> Ramping:
        """Time passes for the device inside."""
        return state._replace(inner=self.device.wait(state.inner, dt))

    def conductance(self, state: Ramping, t: Seconds = 0.0, *, key: Key = None) -> Real:
        """That of the device inside, in S."""
        return self.device.conductance(state.inner, t, key=key)

    def read_moments(self, state: Ramping, t: Seconds = 0.0) -> Moments:
        """Those of the device inside."""
        return self.device.read_moments(state.inner, t)


class Noisy(NamedTuple):
    """State of the device inside, which is all there is."""

    inner: Any


class ReadNoise(AbstractWrapper):
    """Every read misses the conductance by a new Gaussian error of s.d. `level`·range, and is not below zero."""

    source: ClassVar[str] = "definition: additive white noise of a read, as `memspike fit` estimates it"

    device: AbstractPulseDevice = part(SoftBounds, "the device inside")
    level: Parameter = param(0.0, "1", "s.d. of one read over the range", bounds=(0, 10))

    def init(self, shape: tuple[int, ...] = (), *, key: Key = None) -> Noisy:
        """Fresh devices."""
        return Noisy(self.device.init(shape, key=key))

    def program(self, state: Noisy, pulses: Pulses, *, key: Key = None) -> Noisy:
        """The device inside is programmed."""
        return Noisy(self.device.program(state.inner, pulses, key=key))

    def reset(self, state: Noisy, *, key: Key = None) -> Noisy:
        """The device inside is RESET."""
        return Noisy(self.device.reset(state.inner, key=key))

    def place(self, state: Noisy, g: Real, *, key: Key = None) -> Noisy:
        """The device inside is placed."""
        return Noisy(self.device.place(state.inner, g, key=key))

    def stored(self, state: Noisy) -> Real:
        """The programmed conductance in S."""
        return self.device.stored(state.inner)

    def wait(self, state: Noisy, dt: Seconds) -> Noisy:
        """Time passes for the device inside."""
        return Noisy(self.device.wait(state.inner, dt))

    def conductance(self, state: Noisy, t: Seconds = 0.0, *, key: Key = None) -> Real:
        """What a read sees in `t` seconds, in S; with a key, with its noise."""
        own, theirs = (None, None) if key is None else jax.random.split(key)
        g = self.device.conductance(state.inner, t, key=theirs)
        if own is None:
            return g
        return jnp.maximum(g + self.level * span(self) * normal(own, g.shape, g.dtype), 0.0)

    def read_moments(self, state: Noisy, t: Seconds = 0.0) -> Moments:
        """Those of the device inside and of the noise, clipped at zero."""
        inner = self.device.read_moments(state.inner, t)
        return clipped(inner.mean, jnp.hypot(inner.sd, self.level * span(self)), 0.0, jnp.inf)
