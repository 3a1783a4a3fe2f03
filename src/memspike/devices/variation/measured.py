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
    """State of the device inside; direction of the last pulses (0: none since RESET), deviation of the speed from 1."""

    inner: Any
    direction: Real
    deviation: Real


class RampToRamp(AbstractWrapper):
    """Pulses of a ramp count max(1 + δ, 0) times; δ ~ N(0, σ²) is drawn anew where the direction turns or after RESET.

    σ is `up` or `down`. Within a ramp δ is forgotten over `length` pulses: δ' = δ·e^(−n/length) + noise that keeps its
    s.d. Without a key every ramp has the speed of the law.
    """

    source: ClassVar[str] = "definition: a random effect of the ramp, as `memspike fit` estimates it"

    device: AbstractPulseDevice = part(SoftBounds, "the device inside")
    up: Parameter = param(0.0, "1", "s.d. of the speed of an upward ramp", bounds=(0, 10))
    down: Parameter = param(0.0, "1", "s.d. of the speed of a downward ramp", bounds=(0, 10))
    length: Parameter = param(1e9, "1", "pulses over which a ramp forgets its speed", bounds=(1e-3, 1e12))

    def init(self, shape: tuple[int, ...] = (), *, key: Key = None) -> Ramping:
        """Fresh devices, before their first ramp."""
        inner = self.device.init(shape, key=key)
        blank = jnp.zeros_like(self.device.stored(inner))
        return Ramping(inner, blank, blank)

    def program(self, state: Ramping, pulses: Pulses, *, key: Key = None) -> Ramping:
        """The device inside takes the pulses, times the speed of the ramp."""
        own, theirs = (None, None) if key is None else jax.random.split(key)
        n = counts(pulses).astype(state.deviation.dtype)
        sign = jnp.sign(n) + jnp.zeros_like(state.direction)
        deviation = jnp.zeros_like(sign)
        if own is not None:
            kept = jnp.where(sign * state.direction < 0, 0.0, jnp.exp(-jnp.abs(n) / self.length))
            kept = jnp.where((sign != 0) & (state.direction == 0), 0.0, kept)
            new = jnp.where(sign > 0, self.up, self.down) * normal(own, sign.shape, sign.dtype)
            deviation = kept * state.deviation + jnp.sqrt(1 - kept * kept) * new
        inner = self.device.program(state.inner, n * jnp.maximum(1 + deviation, 0.0), key=theirs)
        return Ramping(inner, jnp.where(sign == 0, state.direction, sign), deviation)

    def reset(self, state: Ramping, *, key: Key = None) -> Ramping:
        """The device inside is RESET; the next pulses begin a ramp."""
        inner = self.device.reset(state.inner, key=key)
        return Ramping(inner, jnp.zeros_like(state.direction), jnp.zeros_like(state.deviation))

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
    """Every read misses G by a Gaussian error of variance (`level`·range)² + (`slope`·G)², and is not below zero."""

    source: ClassVar[str] = "definition: additive white noise of a read, as `memspike fit` estimates it"

    device: AbstractPulseDevice = part(SoftBounds, "the device inside")
    level: Parameter = param(0.0, "1", "s.d. of one read over the range", bounds=(0, 10))
    slope: Parameter = param(0.0, "1", "s.d. of one read over the conductance", bounds=(0, 10))

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
        sd = self._sd(self.device.conductance(state.inner, t), 0.0)
        return jnp.maximum(g + sd * normal(own, g.shape, g.dtype), 0.0)

    def _sd(self, g: Real, inner: Real | float) -> Real:
        """S.d. of a read in S, together with that of the device inside; its slope is 0 where there is no noise."""
        variance = (self.level * span(self)) ** 2 + (self.slope * g) ** 2 + inner**2
        return jnp.where(variance > 0, jnp.sqrt(jnp.where(variance > 0, variance, 1.0)), 0.0)

    def read_moments(self, state: Noisy, t: Seconds = 0.0) -> Moments:
        """Those of the device inside and of the noise, clipped at zero."""
        inner = self.device.read_moments(state.inner, t)
        sd = self._sd(self.device.conductance(state.inner, t), inner.sd)
        return clipped(inner.mean, sd, 0.0, jnp.inf)
