"""How pixels and frames become trains of row pulses of one height: spikes in time, at few instants."""

import dataclasses
import math
from abc import abstractmethod
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.data.encoders import AbstractEvents, Chance
from memspike.parts.errors import InputError
from memspike.parts.param import option
from memspike.parts.registry import ENCODERS

Real = Float[Array, "..."]
Pixels = Float[Array, "*batch pixels"]


class AbstractTrains(AbstractEvents):
    """Every pixel has a row of its own, which is at `read_voltage` during a pulse and at 0 V otherwise.

    There are `pulses` instants, `interval` apart from the first of `times` on; the bias row is pulsed at all of them.
    """

    pulses: int = option(8, "instants at which a pixel may send a pulse; of every frame", bounds=(1, 10**5))

    def fitted(self, shape: tuple[int, ...]) -> Any:
        """The same with the times of all instants; InputError where `times` say otherwise."""
        count = self.pulses * self.frames(shape)
        if len(self.times) == count:
            return self
        if len(self.times) > 1 or self.interval < self.width:
            raise InputError(
                f"Trains of row pulses need the first instant alone as times, and an interval of at least width; times "
                f"are {list(self.times)} s, interval {self.interval:g} s, width {self.width:g} s."
            )
        first = min(self.times)
        return dataclasses.replace(self, times=tuple(first + k * self.interval for k in range(count)))

    @abstractmethod
    def frames(self, shape: tuple[int, ...]) -> int:
        """Frames of an example of that shape, shown one after the other."""

    def channels(self, shape: tuple[int, ...]) -> int:
        """One row a pixel and the bias."""
        return math.prod(shape) + 1


def counted(level: Real, instants: int, key: Chance) -> Float[Array, "instants ..."]:
    """1 at instants of a pulse, else 0: an integrate-and-fire counter of the level in [0, 1] at `instants` instants.

    A pulse comes at every whole number of the sum. The phase from which a pixel counts is random, ½ without a key;
    averaged over it, there are level·instants pulses exactly.
    """
    phase = jnp.full_like(level, 0.5) if key is None else jax.random.uniform(key, level.shape, dtype=level.dtype)
    number = jnp.arange(instants + 1, dtype=level.dtype).reshape(-1, *(1 for _ in level.shape))
    return jnp.diff(jnp.floor(phase[None] + number * jnp.clip(level, 0, 1)[None]), axis=0)


@ENCODERS.register("pulse-rate", "pixels as trains of row pulses, as many as the pixel is bright")
class PulseRate(AbstractTrains):
    """A full-scale pixel sends a pulse at every instant, others evenly spaced ones (`counted`).

    Source: a definition of this library.
    """

    def lasts(self) -> None:
        """All at once."""

    def frames(self, shape: tuple[int, ...]) -> int:
        """All of an example at once."""
        return 1

    def heights(self, pixels: Pixels, *, key: Chance = None) -> Float[Array, "events *batch pixels"]:
        """`read_voltage` at a pulse."""
        return self.read_voltage * counted(pixels, len(self.times), key)


@ENCODERS.register("pulse-latency", "pixels as one row pulse each, a bright one early")
class PulseLatency(AbstractTrains):
    """Of K instants a pixel sends its pulse at number ⌊(1 − pixel)·K⌋ from 0 on; 0 sends none.

    Source: rank-order codes, Thorpe, Delorme & Van Rullen, Neural Netw. 14: 715 (2001), doi
    10.1016/S0893-6080(01)00083-1; the mapping is a definition of this library.
    """

    def lasts(self) -> None:
        """All at once."""

    def frames(self, shape: tuple[int, ...]) -> int:
        """All of an example at once."""
        return 1

    def heights(self, pixels: Pixels, *, key: Chance = None) -> Float[Array, "events *batch pixels"]:
        """`read_voltage` at the pulse."""
        count = len(self.times)
        at = jnp.floor((1 - jnp.clip(pixels, 0, 1)) * count).astype(jnp.int32)
        return self.read_voltage * jax.nn.one_hot(at, count, axis=0, dtype=pixels.dtype)


@ENCODERS.register("frame-pulse-rate", "frame by frame, each as trains of row pulses on rows of its own: a delay line")
class FramePulseRate(AbstractTrains):
    """`PulseRate` of the pixels of each frame at the `pulses` instants of that frame; 0 V at all others.

    Source: a definition of this library.
    """

    def lasts(self) -> float:
        """All instants of a frame."""
        return self.pulses * self.interval

    def frames(self, shape: tuple[int, ...]) -> int:
        """The first axis of an example."""
        return shape[0]

    def heights(self, pixels: Pixels, *, key: Chance = None) -> Float[Array, "events *batch pixels"]:
        """`read_voltage` at a pulse of the frame."""
        frames = len(self.times) // self.pulses
        trains = counted(pixels.reshape(*pixels.shape[:-1], frames, -1), self.pulses, key)
        own = jnp.eye(frames, dtype=pixels.dtype).reshape(frames, *(1 for _ in trains.shape[:-2]), frames, 1)
        return self.read_voltage * (own * trains[None]).reshape(len(self.times), *pixels.shape)
