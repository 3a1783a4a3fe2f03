"""How changes, places on a scale and counts become spikes: frames in time → spike trains."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from memspike.data.encoders import AbstractEncoder, AbstractRates, FrameSpikes
from memspike.data.frames import frame_at
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, check_bounds, option, param
from memspike.parts.registry import ENCODERS

Real = Float[Array, "..."]
Trains = Float[Array, "steps *batch rows"]
# a width of 1/(β·(fields − 1)) of the range: β of Bohte, Kok & La Poutré
BETA = 1.5
SLACK = 1e-4


def frames_shown(frames: int, frame_time: float, dt: float) -> Int[np.ndarray, " steps"]:
    """The number of the frame of every step of a trial."""
    steps = FrameSpikes(frame_time=frame_time, dt=dt).steps(frames)
    return frame_at(steps, frame_time, dt, frames)


def places(at: Int[np.ndarray, " steps"], like: Real) -> tuple[Real, Real]:
    """The number of every step within its frame, and the steps of that frame, with axes for channels as `like`."""
    first = np.searchsorted(at, at, side="left")
    own = np.searchsorted(at, at, side="right") - first
    axes = (-1, *(1 for _ in like.shape[1:]))
    place, length = (jnp.asarray(v, like.dtype).reshape(axes) for v in (np.arange(len(at)) - first, own))
    return place, length


class AbstractSpikes(AbstractEncoder):
    """Frames that last `frame_time` each → spikes, 0 or 1 a step and row, that no rate makes."""

    frame_time: float = option(5e-3, "how long a frame lasts in the network", unit="s", bounds=(1e-12, 1e6))

    def __check_init__(self) -> None:
        check_bounds(self)

    def lasts(self) -> float:
        """`frame_time`."""
        return self.frame_time

    def fitted(self, shape: tuple[int, ...]) -> Any:
        """The same."""
        return self

    def steps(self, shape: tuple[int, ...], dt: float) -> int:
        """All frames."""
        return FrameSpikes(frame_time=self.frame_time, dt=dt).steps(shape[0])


@ENCODERS.register(
    "delta", "frames as spikes of change: a row upwards and a row downwards for every channel (send on delta)"
)
class Delta(AbstractSpikes):
    """A spike whenever a channel has moved by `threshold` from where it was at its last spike, at most one a step.

    A channel is at 0 before the first frame. The rows of upward spikes come first, those of downward ones after.
    Source: send on delta, Miśkowicz, Sensors 6: 49 (2006), doi 10.3390/s6010049.
    """

    threshold: Parameter = param(0.1, "1", "change of a value, of full scale, that sends a spike", bounds=(1e-4, 1))

    def channels(self, shape: tuple[int, ...]) -> int:
        """Two rows a channel."""
        return 2 * shape[-1]

    def encode(self, x: Real, steps: int, dt: float, *, key: PRNGKeyArray) -> Trains:
        """Spike trains of changes."""
        frames = jnp.moveaxis(x, -2, 0)
        least = self.threshold * (1 - SLACK)  # a change of as much as the threshold is one in any precision

        def step(known: Real, frame: Real) -> tuple[Real, Real]:
            change = frame - known
            up, down = change >= least, change <= -least
            sent = jnp.concatenate([up, down], axis=-1).astype(frame.dtype)
            return known + self.threshold * (up.astype(frame.dtype) - down.astype(frame.dtype)), sent

        return jax.lax.scan(step, jnp.zeros_like(frames[0]), frames[frames_shown(len(frames), self.frame_time, dt)])[1]


@ENCODERS.register("spikes", "counts of spikes in frames as that many spikes, one channel a row")
class Spikes(AbstractSpikes):
    """A frame with n spikes in a channel has n spikes in the steps of the frame, evenly spaced; at most one a step.

    Source: a definition of this library.
    """

    count: float | None = option(
        None, "spikes of a full-scale value; none: the largest count of the data", bounds=(1e-6, 1e9)
    )

    def channels(self, shape: tuple[int, ...]) -> int:
        """One row a channel."""
        return shape[-1]

    def encode(self, x: Real, steps: int, dt: float, *, key: PRNGKeyArray) -> Trains:
        """Spike trains of counts; nothing is random. InputError where `count` is none."""
        if self.count is None:
            raise InputError("encoder.count is none; how many spikes is a value of 1? Set encoder.count.")
        counts = jnp.round(jnp.moveaxis(x, -2, 0) * self.count)
        at = frames_shown(len(counts), self.frame_time, dt)
        place, length = places(at, counts)
        share = jnp.minimum(counts[at], length) / length
        half = jnp.asarray(0.5, counts.dtype)
        return jnp.floor(share * (place + 1) + half) - jnp.floor(share * place + half)


@ENCODERS.register("frame-latency", "frames as one spike each, a large value early, one channel a row")
class FrameLatency(AbstractSpikes):
    """Of the K steps of a frame a channel spikes at number ⌊(1 − value)·K⌋ from 0 on, at most the last; 0 is silent.

    Source: rank-order codes, Thorpe, Delorme & Van Rullen, Neural Netw. 14: 715 (2001), doi
    10.1016/S0893-6080(01)00083-1; the mapping is a definition of this library.
    """

    def channels(self, shape: tuple[int, ...]) -> int:
        """One row a channel."""
        return shape[-1]

    def encode(self, x: Real, steps: int, dt: float, *, key: PRNGKeyArray) -> Trains:
        """Spike trains of values; nothing is random."""
        frames = jnp.moveaxis(x, -2, 0)
        at = frames_shown(len(frames), self.frame_time, dt)
        place, length = places(at, frames)
        value = frames[at]
        step = jnp.minimum(jnp.floor((1 - value) * length), length - 1)
        return ((place == step) & (value > 0)).astype(frames.dtype)


@ENCODERS.register("population", "frames as rates of several rows a channel, each with a field of its own on the scale")
class Population(AbstractRates):
    """Gaussian receptive fields: a channel has `fields` rows, whose centres lie evenly from 0 to 1.

    The rate of a row is max_rate·exp(−(value − centre)²/(2·width²)) with width = 1/(1.5·(fields − 1)); trains as those
    of `FrameSpikes`. Rows of a channel lie side by side. Source: Bohte, Kok & La Poutré, Neurocomputing 48: 17 (2002),
    doi 10.1016/S0925-2312(01)00658-0, whose fields give latencies.
    """

    fields: int = option(8, "rows of a channel", bounds=(2, 10**4))
    frame_time: float = option(5e-3, "how long a frame lasts in the network", unit="s", bounds=(1e-12, 1e6))

    def lasts(self) -> float:
        """`frame_time`."""
        return self.frame_time

    def channels(self, shape: tuple[int, ...]) -> int:
        """So many rows a channel."""
        return self.fields * shape[-1]

    def steps(self, shape: tuple[int, ...], dt: float) -> int:
        """All frames."""
        return FrameSpikes(frame_time=self.frame_time, dt=dt).steps(shape[0])

    def levels(self, x: Float[Array, "*batch channels"]) -> Float[Array, "*batch rows"]:
        """Rates of all rows over `max_rate`."""
        centre = jnp.linspace(0, 1, self.fields, dtype=x.dtype).reshape(*(1,) * x.ndim, -1)
        level = jnp.exp(-0.5 * (BETA * (self.fields - 1) * (x[..., None] - centre)) ** 2)
        return level.reshape(*x.shape[:-1], -1)

    def encode(self, x: Real, steps: int, dt: float, *, key: PRNGKeyArray) -> Trains:
        """Spike trains of all rows."""
        encode = FrameSpikes(max_rate=self.max_rate, frame_time=self.frame_time, dt=dt)
        return encode(jnp.moveaxis(self.levels(x), -2, 0), key=key)
