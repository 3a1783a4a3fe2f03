"""What real devices add to their law: wrappers that go around any pulse device, and around each other."""

from abc import abstractmethod
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from memspike.devices.base import AbstractPulseDevice, Key, Moments, Pulses, Real, Seconds, counts
from memspike.parts.param import Parameter


class Varied(NamedTuple):
    """State of a wrapped device: that of the device inside, and what the wrapper remembers."""

    inner: Any
    memory: Any


def _keys(key: Key) -> tuple[Key, Key]:
    if key is None:
        return None, None
    first, second = jax.random.split(key)
    return first, second


class AbstractWrapper(AbstractPulseDevice):
    """A device around a device, whose state it keeps as `inner` of its own; both have the same range."""

    device: eqx.AbstractVar[AbstractPulseDevice]

    @property
    def g_min(self) -> Parameter:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Lowest conductance of the device inside, in S."""
        return self.device.g_min

    @property
    def g_max(self) -> Parameter:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Highest conductance of the device inside, in S."""
        return self.device.g_max

    def current(self, state: Any, v: Real) -> Real:
        """Ohmic: G·v in A."""
        return self.conductance(state) * v


class AbstractVariation(AbstractWrapper):
    """A wrapper that may change what a pulse leaves behind and what a read shows."""

    @abstractmethod
    def start(self, g: Real) -> Any:
        """What the wrapper remembers of fresh devices of the shape of `g`."""

    @abstractmethod
    def written(self, before: Varied, after: Any, pulses: Real, *, key: Key) -> Varied:
        """The state after a write of `pulses` (for a RESET: −1, no key), given the inner state before and after."""

    @abstractmethod
    def held(self, g: Real) -> Real:
        """The programmed conductance in S, given that of the device inside."""

    @abstractmethod
    def seen(self, memory: Any, g: Real) -> Real:
        """The conductance in S that a read sees, given that of the device inside."""

    def init(self, shape: tuple[int, ...] = (), *, key: Key = None) -> Varied:
        """Fresh devices."""
        inner = self.device.init(shape, key=key)
        return Varied(inner, self.start(self.device.stored(inner)))

    def program(self, state: Varied, pulses: Pulses, *, key: Key = None) -> Varied:
        """The device inside is programmed, then the wrapper has its say."""
        own, theirs = _keys(key)
        after = self.device.program(state.inner, pulses, key=theirs)
        return self.written(state, after, counts(pulses), key=own)

    def reset(self, state: Varied, *, key: Key = None) -> Varied:
        """The device inside is RESET, with its own scatter only; it counts as one pulse."""
        return self.written(state, self.device.reset(state.inner, key=key), counts(-1), key=None)

    def place(self, state: Varied, g: Real, *, key: Key = None) -> Varied:
        """The device inside is placed; the wrapper's memory stays."""
        return Varied(self.device.place(state.inner, g, key=key), state.memory)

    def stored(self, state: Varied) -> Real:
        """The programmed conductance in S."""
        return self.held(self.device.stored(state.inner))

    def wait(self, state: Varied, dt: Seconds) -> Varied:
        """Time passes for the device inside."""
        return Varied(self.device.wait(state.inner, dt), state.memory)

    def conductance(self, state: Varied, t: Seconds = 0.0, *, key: Key = None) -> Real:
        """What a read sees in `t` seconds, in S."""
        return self.seen(state.memory, self.device.conductance(state.inner, t, key=key))

    def read_moments(self, state: Varied, t: Seconds = 0.0) -> Moments:
        """Those of the device inside, as far as reads see its conductance."""
        inner = self.device.read_moments(state.inner, t)
        mean, sd = jax.jvp(lambda x: self.seen(state.memory, x), (inner.mean,), (inner.sd,))
        return Moments(mean, jnp.abs(sd))


class AbstractWriteVariation(AbstractVariation):
    """A wrapper that changes what a pulse leaves behind, and no read."""

    def held(self, g: Real) -> Real:
        """That of the device inside."""
        return g

    def seen(self, memory: Any, g: Real) -> Real:
        """That of the device inside."""
        return g


class AbstractReadVariation(AbstractVariation):
    """A wrapper that changes what a read shows, and no pulse; it remembers nothing."""

    def start(self, g: Real) -> tuple[()]:
        """Nothing is remembered."""
        return ()

    def written(self, before: Varied, after: Any, pulses: Real, *, key: Key) -> Varied:
        """The device inside moves freely."""
        return Varied(after, ())
