"""What real devices add to their law: wrappers that go around any pulse device, and around each other."""

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from memspike.devices.base import AbstractPulseDevice, Key, Moments, Pulses, Real, Seconds, counts, select, span
from memspike.devices.pcm import JOSHI_RANGE, PCM
from memspike.devices.step import SoftBounds
from memspike.parts.param import Parameter, option, param, part
from memspike.parts.random import normal, uniform


class Varied(NamedTuple):
    """State of a wrapped device: that of the device inside, and what the wrapper remembers."""

    inner: Any
    memory: Any


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
        """What the wrapper remembers of fresh devices; `g`, in S, has their shape."""

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
        own, theirs = (None, None) if key is None else jax.random.split(key)
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


class CycleToCycle(AbstractWriteVariation):
    """Every write of n pulses misses its mean by a Gaussian error, √n times that of one pulse.

    The s.d. of one pulse is the sum of a share of the range (`up`, `down`), of the conductance above G_min
    (`proportional`) and of the mean step (`relative`). Order: update, noise, clip. The share of the range alone is
    NeuroSim's cycle-to-cycle variation; the other two are those of aihwkit's step devices.
    """

    source: ClassVar[str] = (
        "NeuroSim user manual V3.0: Chen, Peng & Yu, IEEE TCAD 37(12): 3067 (2018), doi 10.1109/TCAD.2018.2789723; "
        "aihwkit: Rasch et al., arXiv 2104.02184 (2021)"
    )

    device: AbstractPulseDevice = part(SoftBounds, "the device inside")
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


class WriteNoise(AbstractVariation):
    """After every write, reads see the conductance with one fixed Gaussian offset of s.d. `level`·range.

    The hidden conductance keeps the update: the write noise of aihwkit's presets.
    """

    source: ClassVar[str] = "aihwkit write_noise_std: Rasch et al., arXiv 2104.02184 (2021)"

    device: AbstractPulseDevice = part(SoftBounds, "the device inside")
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


class StuckCells(AbstractReadVariation):
    """Cells that no pulse moves: `fault` −1 is stuck at G_min, +1 at G_max, 0 works."""

    source: ClassVar[str] = (
        "definition; measured shares of dead cells: Gong et al., IEDM 2022, IEEE 10019569 (aihwkit ReRamArray presets)"
    )

    device: AbstractPulseDevice = part(SoftBounds, "the device inside")
    fault: Parameter = param(0.0, "1", "−1 stuck at G_min, 0 works, +1 stuck at G_max", bounds=(-1, 1))

    def held(self, g: Real) -> Real:
        """The bound where the cell is stuck."""
        return jnp.where(self.fault > 0.5, self.g_max, jnp.where(self.fault < -0.5, self.g_min, g))

    def seen(self, memory: tuple[()], g: Real) -> Real:
        """The bound where the cell is stuck: no drift, no noise."""
        return self.held(g)


class FiniteLevels(AbstractReadVariation):
    """Reads see the nearest of `levels` equidistant conductances; the hidden state stays continuous.

    So small pulses still add up inside, as in a filament that must cross a barrier to show a new level.
    """

    source: ClassVar[str] = (
        "definition; level counts of devices: NeuroSim user manual V3.0, doi 10.1109/TCAD.2018.2789723"
    )

    device: AbstractPulseDevice = part(SoftBounds, "the device inside")
    levels: Parameter = param(64.0, "1", "number of distinct conductances", bounds=(2, 1e6))

    def held(self, g: Real) -> Real:
        """The hidden conductance."""
        return g

    def seen(self, memory: tuple[()], g: Real) -> Real:
        """The nearest level; the gradient is that of the hidden conductance (straight through)."""
        step = span(self) / (self.levels - 1)
        nearest = self.g_min + jnp.round((g - self.g_min) / step) * step
        return g + jax.lax.stop_gradient(nearest - g)


class LimitedEndurance(AbstractWriteVariation):
    """A device answers to `endurance` pulses in its life and then stays where it is."""

    source: ClassVar[str] = (
        "definition; endurance differs by orders of magnitude between devices, see Yu, doi 10.1109/JPROC.2018.2790840"
    )

    device: AbstractPulseDevice = part(SoftBounds, "the device inside")
    endurance: Parameter = param(1e6, "1", "pulses until the device stops to answer", bounds=(0, 1e18))

    def start(self, g: Real) -> Real:
        """No pulse used."""
        return jnp.zeros_like(g)

    def written(self, before: Varied, after: Any, pulses: Real, *, key: Key) -> Varied:
        """The device as it was once its pulses are used up."""
        alive = before.memory < self.endurance
        return Varied(select(alive, after, before.inner), before.memory + jnp.abs(pulses))


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
