"""What real devices add to their law: wrappers that go around any pulse device, and around each other."""

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from memspike.devices.base import AbstractPulseDevice, Key, Moments, Pulses, Real, Seconds, counts, select, span
from memspike.devices.soft_bounds import SoftBounds
from memspike.parts.param import Parameter, param
from memspike.parts.random import normal


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

    def current(self, state: Varied, v: Real) -> Real:
        """Ohmic: G·v in A."""
        return self.conductance(state) * v


class CycleToCycle(AbstractVariation):
    """Every write of n pulses misses its mean by a Gaussian error, √n times that of one pulse.

    The s.d. of one pulse is the sum of a share of the range (`up`, `down`), of the conductance above G_min
    (`proportional`) and of the mean step (`relative`). Order: update, noise, clip. The share of the range alone is
    NeuroSim's cycle-to-cycle variation; the other two are those of aihwkit's step devices.
    """

    source: ClassVar[str] = (
        "NeuroSim user manual V3.0: Chen, Peng & Yu, IEEE TCAD 37(12): 3067 (2018), doi 10.1109/TCAD.2018.2789723; "
        "aihwkit: Rasch et al., arXiv 2104.02184 (2021)"
    )
    volatile: ClassVar[bool] = False

    device: AbstractPulseDevice = eqx.field(default_factory=SoftBounds)
    up: Parameter = param(0.0, "1", "s.d. of one upward pulse over the range", bounds=(0, 10))
    down: Parameter = param(0.0, "1", "s.d. of one downward pulse over the range", bounds=(0, 10))
    proportional: Parameter = param(0.0, "1", "s.d. of one pulse over G − G_min", bounds=(0, 10))
    relative: Parameter = param(0.0, "1", "s.d. of one pulse over its mean step", bounds=(0, 1e3))

    def start(self, g: Real) -> tuple[()]:
        """Nothing is remembered."""
        return ()

    def written(self, before: Varied, after: Any, pulses: Real, *, key: Key) -> Varied:
        """The inner device displaced by the error."""
        if key is None:
            return Varied(after, ())
        old, new = self.device.stored(before.inner), self.device.stored(after)
        root = jnp.sqrt(jnp.abs(pulses))
        fixed = span(self) * jnp.where(pulses > 0, self.up, self.down) + self.proportional * (old - self.g_min)
        spread = fixed * root + self.relative * jnp.abs(new - old) / jnp.maximum(root, 1.0)
        missed = new + jnp.where(pulses == 0, 0.0, spread) * normal(key, new.shape)
        return Varied(self.device.place(after, missed), ())

    def held(self, g: Real) -> Real:
        """That of the device inside."""
        return g

    def seen(self, memory: tuple[()], g: Real) -> Real:
        """That of the device inside."""
        return g


class WriteNoise(AbstractVariation):
    """After every write, reads see the conductance with one fixed Gaussian offset of s.d. `level`·range.

    The hidden conductance keeps the update: the write noise of aihwkit's presets.
    """

    source: ClassVar[str] = "aihwkit write_noise_std: Rasch et al., arXiv 2104.02184 (2021)"
    volatile: ClassVar[bool] = False

    device: AbstractPulseDevice = eqx.field(default_factory=SoftBounds)
    level: Parameter = param(0.0, "1", "s.d. of the offset over the range", bounds=(0, 10))

    def start(self, g: Real) -> Real:
        """No offset."""
        return jnp.zeros_like(g)

    def written(self, before: Varied, after: Any, pulses: Real, *, key: Key) -> Varied:
        """A new offset for what was written."""
        if key is None:
            return Varied(after, jnp.where(pulses == 0, before.memory, 0.0))
        drawn = self.level * span(self) * normal(key, before.memory.shape)
        return Varied(after, jnp.where(pulses == 0, before.memory, drawn))

    def held(self, g: Real) -> Real:
        """The hidden conductance."""
        return g

    def seen(self, memory: Real, g: Real) -> Real:
        """The conductance with its offset, not below zero."""
        return jnp.maximum(g + memory, 0.0)


class StuckCells(AbstractVariation):
    """Cells that no pulse moves: `fault` −1 is stuck at G_min, +1 at G_max, 0 works."""

    source: ClassVar[str] = (
        "definition; measured shares of dead cells: Gong et al., IEDM 2022, IEEE 10019569 (aihwkit ReRamArray presets)"
    )
    volatile: ClassVar[bool] = False

    device: AbstractPulseDevice = eqx.field(default_factory=SoftBounds)
    fault: Parameter = param(0.0, "1", "−1 stuck at G_min, 0 works, +1 stuck at G_max", bounds=(-1, 1))

    def start(self, g: Real) -> tuple[()]:
        """Nothing is remembered."""
        return ()

    def written(self, before: Varied, after: Any, pulses: Real, *, key: Key) -> Varied:
        """What is inside a stuck cell is never seen."""
        return Varied(after, ())

    def held(self, g: Real) -> Real:
        """The bound where the cell is stuck."""
        return jnp.where(self.fault > 0.5, self.g_max, jnp.where(self.fault < -0.5, self.g_min, g))

    def seen(self, memory: tuple[()], g: Real) -> Real:
        """The bound where the cell is stuck: no drift, no noise."""
        return self.held(g)


class FiniteLevels(AbstractVariation):
    """Reads see the nearest of `levels` equidistant conductances; the hidden state stays continuous.

    So small pulses still add up inside, as in a filament that must cross a barrier to show a new level.
    """

    source: ClassVar[str] = (
        "definition; level counts of devices: NeuroSim user manual V3.0, doi 10.1109/TCAD.2018.2789723"
    )
    volatile: ClassVar[bool] = False

    device: AbstractPulseDevice = eqx.field(default_factory=SoftBounds)
    levels: Parameter = param(64.0, "1", "number of distinct conductances", bounds=(2, 1e6))

    def start(self, g: Real) -> tuple[()]:
        """Nothing is remembered."""
        return ()

    def written(self, before: Varied, after: Any, pulses: Real, *, key: Key) -> Varied:
        """The hidden state moves freely."""
        return Varied(after, ())

    def held(self, g: Real) -> Real:
        """The hidden conductance."""
        return g

    def seen(self, memory: tuple[()], g: Real) -> Real:
        """The nearest level; the gradient is that of the hidden conductance (straight through)."""
        step = span(self) / (self.levels - 1)
        nearest = self.g_min + jnp.round((g - self.g_min) / step) * step
        return g + jax.lax.stop_gradient(nearest - g)


class LimitedEndurance(AbstractVariation):
    """A device answers to `endurance` pulses in its life and then stays where it is."""

    source: ClassVar[str] = (
        "definition; endurance differs by orders of magnitude between devices, see Yu, doi 10.1109/JPROC.2018.2790840"
    )
    volatile: ClassVar[bool] = False

    device: AbstractPulseDevice = eqx.field(default_factory=SoftBounds)
    endurance: Parameter = param(1e6, "1", "pulses until the device stops to answer", bounds=(0, 1e18))

    def start(self, g: Real) -> Real:
        """No pulse used."""
        return jnp.zeros_like(g)

    def written(self, before: Varied, after: Any, pulses: Real, *, key: Key) -> Varied:
        """The device as it was once its pulses are used up."""
        alive = before.memory < self.endurance
        return Varied(select(alive, after, before.inner), before.memory + jnp.abs(pulses))

    def held(self, g: Real) -> Real:
        """That of the device inside."""
        return g

    def seen(self, memory: Real, g: Real) -> Real:
        """That of the device inside."""
        return g
