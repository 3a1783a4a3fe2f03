"""How pixels and frames become row voltages or spikes."""

import dataclasses
import math
from abc import abstractmethod
from itertools import pairwise
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.data.frames import frame_at, steps_of
from memspike.networks.simulate import Events
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, check_bounds, check_count, option, param
from memspike.parts.registry import ENCODERS

Real = Float[Array, "..."]
Chance = PRNGKeyArray | None


class AbstractEncoder(eqx.Module):
    """Examples [*batch, ...] with values in [0, 1] → what drives the rows of the first crossbar in a trial."""

    @abstractmethod
    def channels(self, shape: tuple[int, ...]) -> int:
        """Rows that an example of that shape needs."""

    @abstractmethod
    def steps(self, shape: tuple[int, ...], dt: float) -> int | None:
        """Steps of `dt` seconds that a trial takes, if the encoder says so."""

    @abstractmethod
    def lasts(self) -> float | None:
        """Seconds that a frame is shown; None where an example is shown all at once."""

    @abstractmethod
    def fitted(self, shape: tuple[int, ...]) -> "AbstractEncoder":
        """The encoder for examples of that shape; InputError where they cannot be encoded."""

    @abstractmethod
    def encode(
        self, x: Float[Array, "*batch _ _"], steps: int, dt: float, *, key: PRNGKeyArray
    ) -> Events | Float[Array, "steps *batch rows"]:
        """The drive of trials in `steps` of `dt` seconds: row voltages at events, or spikes."""


def _flat(x: Float[Array, "*batch _ _"]) -> Float[Array, "*batch pixels"]:
    return x.reshape(*x.shape[:-2], -1)


class AbstractEvents(AbstractEncoder):
    """Pixels in [0, 1] become short row pulses at the event times.

    One more row is a bias and gets `read_voltage` at every event.

    InputError for times that descend or are less than a pulse apart.
    """

    read_voltage: Parameter = param(
        100e-3, "V", "row voltage of a full-scale pixel and of the bias row", bounds=(1e-6, 10)
    )
    times: tuple[float, ...] = option((0.0,), "instants of the row pulses, ascending", unit="s", bounds=(0, 1e6))
    width: float = option(10e-6, "length of a row pulse", unit="s", bounds=(1e-15, 1e3))
    interval: float = option(
        50e-6, "from frame to frame, or from pulse to pulse of a train", unit="s", bounds=(1e-15, 1e3)
    )

    def __check_init__(self) -> None:
        check_bounds(self)
        gaps = [b - a for a, b in pairwise(self.times)]
        if not self.times or any(gap < self.width for gap in gaps):
            raise InputError(
                f"The times of row pulses are {list(self.times)} s; needed: one or more, ascending, at least the width "
                f"of a pulse, {self.width:g} s, apart."
            )

    def steps(self, shape: tuple[int, ...], dt: float) -> None:
        """A trial may be as long as one likes."""

    def encode(self, x: Float[Array, "*batch _ _"], steps: int, dt: float, *, key: PRNGKeyArray) -> Events:
        """Row pulses; those of a train begin by chance."""
        return self(_flat(x), key=key)

    @abstractmethod
    def heights(
        self, pixels: Float[Array, "*batch pixels"], *, key: Chance = None
    ) -> Float[Array, "events *batch rows_less_one"]:
        """Row voltages in V at every event, without the bias row."""

    def __call__(self, pixels: Float[Array, "*batch pixels"], *, key: Chance = None) -> Events:
        """Row voltages in V of `pixels` and of the bias row, one event for each of the `times`."""
        heights = self.heights(pixels, key=key)
        bias = self.read_voltage * jnp.ones_like(heights[..., :1])
        return Events(jnp.concatenate([heights, bias], axis=-1), self.times, self.width)


class AbstractAmplitudes(AbstractEvents):
    """Pixels are the heights of the pulses, read_voltage·(pixel − offset); with an offset they have both signs."""

    offset: Parameter = param(0.0, "1", "pixel value that gives no voltage", bounds=(-1, 1))


class AbstractFrames(AbstractAmplitudes):
    """One event for every frame, the first axis of an example; pixels are flat, frame by frame."""

    def lasts(self) -> float:
        """From one event to the next."""
        return self.times[1] - self.times[0] if len(self.times) > 1 else self.interval

    def fitted(self, shape: tuple[int, ...]) -> Any:
        """The same with one event a frame; InputError where `times` say otherwise."""
        if len(self.times) == shape[0]:
            return self
        if len(self.times) > 1 or self.interval < self.width:
            raise InputError(
                f"The encoder {type(self).__name__} needs the start of the first frame alone as times, and an interval "
                f"of at least width; times are {list(self.times)} s, interval {self.interval:g} s, "
                f"width {self.width:g} s."
            )
        first = min(self.times)
        return dataclasses.replace(self, times=tuple(first + k * self.interval for k in range(shape[0])))

    def frame_size(self, pixels: int) -> int:
        """Pixels of one frame, of as many frames as there are `times`."""
        if pixels % len(self.times):
            raise InputError(f"An input of {pixels} pixels does not fall into {len(self.times)} frames of equal size.")
        return pixels // len(self.times)


@ENCODERS.register("image", "all rows at each of the times")
class AmplitudeEvents(AbstractAmplitudes):
    """Each pixel has a row of its own, pulsed alike at every event.

    Source: the input impulses of MEMprop, Zhou et al., arXiv 2206.12992.
    """

    def lasts(self) -> None:
        """All at once."""

    def fitted(self, shape: tuple[int, ...]) -> "AmplitudeEvents":
        """The same."""
        return self

    def channels(self, shape: tuple[int, ...]) -> int:
        """One row a pixel and the bias."""
        return math.prod(shape) + 1

    def heights(
        self, pixels: Float[Array, "*batch pixels"], *, key: Chance = None
    ) -> Float[Array, "events *batch pixels"]:
        """The same at every event."""
        v = self.read_voltage * (pixels - self.offset)
        return jnp.broadcast_to(v, (len(self.times), *v.shape))


@ENCODERS.register("frames", "frame by frame, each on rows of its own: a delay line")
class FrameEvents(AbstractFrames):
    """A delay line: each pixel has a row of its own, pulsed only at the event of its frame; 0 V at all others.

    A frame is a row of an image, or all channels of a spectrogram at one time.

    Source: the input impulses of MEMprop, Zhou et al., arXiv 2206.12992; the delay line is a choice of this library.
    """

    def channels(self, shape: tuple[int, ...]) -> int:
        """One row a pixel and the bias."""
        return math.prod(shape) + 1

    def heights(
        self, pixels: Float[Array, "*batch pixels"], *, key: Chance = None
    ) -> Float[Array, "events *batch pixels"]:
        """Zero but for the pixels of the frame."""
        *batch, count = pixels.shape
        frames = len(self.times)
        own = jnp.repeat(jnp.eye(frames, dtype=pixels.dtype), self.frame_size(count), axis=1)
        own = own.reshape(frames, *(1 for _ in batch), count)
        return own * (self.read_voltage * (pixels - self.offset))[None]


@ENCODERS.register("channels", "frame by frame, all on the same rows")
class ChannelEvents(AbstractFrames):
    """One row a channel, pulsed by the pixels of one frame after the other.

    Source: the input impulses of MEMprop, Zhou et al., arXiv 2206.12992; one frame after the other is a choice of this
    library.
    """

    def channels(self, shape: tuple[int, ...]) -> int:
        """One row a channel and the bias."""
        return self.frame_size(math.prod(shape)) + 1

    def heights(
        self, pixels: Float[Array, "*batch pixels"], *, key: Chance = None
    ) -> Float[Array, "events *batch channels"]:
        """The frame of the event."""
        *batch, count = pixels.shape
        frames = pixels.reshape(*batch, len(self.times), self.frame_size(count))
        return self.read_voltage * (jnp.moveaxis(frames, -2, 0) - self.offset)


class FrameSpikes(eqx.Module):
    """Frames → spike trains: in each channel an integrate-and-fire counter of the frame's value.

    The rate is max_rate·value while the frame lasts, and a spike comes at every whole number of its integral. Only
    the phase from which a channel counts is random; averaged over it, a step has value·max_rate·dt spikes exactly.

    `frame_time` and `dt` are in s. InputError for a frame shorter than a step.
    """

    max_rate: Parameter = param(1e3, "Hz", "spikes a second of a full-scale value", bounds=(1e-6, 1e9))
    frame_time: float = eqx.field(static=True, default=10e-3)
    dt: float = eqx.field(static=True, default=1e-3)

    def __check_init__(self) -> None:
        check_bounds(self)
        if self.dt <= 0 or self.frame_time < self.dt:
            raise InputError(
                f"FrameSpikes.frame_time is {self.frame_time:g} s with steps of {self.dt:g} s; needed: above 0 and "
                "frames of at least one step."
            )

    def steps(self, frames: int) -> int:
        """Time steps of so many frames. InputError for less than one."""
        check_count("frames", frames)
        return int(steps_of(frames, self.frame_time, self.dt))

    def __call__(
        self, frames: Float[Array, "frames *channels"], *, key: PRNGKeyArray
    ) -> Float[Array, "steps *channels"]:
        """Spikes, 0 or 1 a step, of `frames` with values in [0, 1]; at most one a step, so max_rate·dt counts as 1
        where it is more.
        """
        steps = self.steps(len(frames))
        frame = frame_at(steps, self.frame_time, self.dt, len(frames))
        share = jnp.clip(jnp.minimum(self.max_rate * self.dt, 1.0) * frames, 0, 1)
        phase = jax.random.uniform(key, frames.shape[1:], dtype=frames.dtype)
        counted = jnp.floor(phase[None] + jnp.cumsum(share[frame], axis=0))
        return jnp.minimum(jnp.diff(counted, axis=0, prepend=jnp.zeros_like(counted[:1])), 1)


class AbstractRates(AbstractEncoder):
    """Values as spike rates; at most one spike a step."""

    max_rate: Parameter = param(150.0, "Hz", "spikes a second of a full-scale value", bounds=(1e-6, 1e9))

    def __check_init__(self) -> None:
        check_bounds(self)

    def fitted(self, shape: tuple[int, ...]) -> Any:
        """The same."""
        return self


@ENCODERS.register("frame-rate", "frames as evenly spaced spikes of random phase, one channel a row")
class FrameRate(AbstractRates):
    """`FrameSpikes` of frames that last `frame_time` each. Source: a definition of this library."""

    frame_time: float = option(5e-3, "how long a frame lasts in the network", unit="s", bounds=(1e-12, 1e6))

    def lasts(self) -> float:
        """`frame_time`."""
        return self.frame_time

    def channels(self, shape: tuple[int, ...]) -> int:
        """One row a channel."""
        return shape[-1]

    def steps(self, shape: tuple[int, ...], dt: float) -> int:
        """All frames."""
        return FrameSpikes(frame_time=self.frame_time, dt=dt).steps(shape[0])

    def encode(self, x: Real, steps: int, dt: float, *, key: PRNGKeyArray) -> Float[Array, "steps *batch rows"]:
        """Spike trains of frames."""
        encode = FrameSpikes(max_rate=self.max_rate, frame_time=self.frame_time, dt=dt)
        return encode(jnp.moveaxis(x, -2, 0), key=key)


class AbstractImageRates(AbstractRates):
    """Pixels as spike rates over a whole trial, one pixel a row."""

    def lasts(self) -> None:
        """All at once."""

    def channels(self, shape: tuple[int, ...]) -> int:
        """One row a pixel."""
        return math.prod(shape)

    def steps(self, shape: tuple[int, ...], dt: float) -> None:
        """A trial may be as long as one likes."""


@ENCODERS.register("image-rate", "pixels as evenly spaced spikes of random phase, one pixel a row")
class ImageRate(AbstractImageRates):
    """`FrameSpikes` of an image that lasts a whole trial. Source: a definition of this library."""

    def encode(self, x: Real, steps: int, dt: float, *, key: PRNGKeyArray) -> Float[Array, "steps *batch rows"]:
        """Spike trains of pixels."""
        return FrameSpikes(max_rate=self.max_rate, frame_time=steps * dt, dt=dt)(_flat(x)[None], key=key)


@ENCODERS.register("image-bernoulli", "pixels as independent draws of a spike in every step")
class ImageBernoulli(AbstractImageRates):
    """A spike with the probability max_rate·dt·value, at most 1, in every step.

    Source: the same draw as in `spikegen.rate` of snnTorch, with a rate in Hz.
    """

    def encode(self, x: Real, steps: int, dt: float, *, key: PRNGKeyArray) -> Float[Array, "steps *batch rows"]:
        """Spike trains of pixels."""
        p = jnp.minimum(self.max_rate * dt, 1.0) * _flat(x)
        return jax.random.bernoulli(key, p, (steps, *p.shape)).astype(p.dtype)


class LatencySpikes(eqx.Module):
    """Every pixel spikes once: at `early` if it is bright, at `late` if it is dark, ± a Gaussian `jitter`.

    Before that each pixel is inverted with the probability `flips`. A rank-order code: an intensity is a latency.
    """

    early: Parameter = param(5e-3, "s", "mean latency of a bright pixel", bounds=(0, 1e6))
    late: Parameter = param(30e-3, "s", "mean latency of a dark pixel", bounds=(0, 1e6))
    jitter: Parameter = param(1e-3, "s", "s.d. of every latency", bounds=(0, 1e6))
    flips: Parameter = param(0.1, "1", "probability of a pixel to be inverted", bounds=(0, 1))
    dt: Parameter = param(1e-3, "s", "time step", bounds=(1e-12, 1e3))
    steps: int = eqx.field(static=True, default=60)

    def __check_init__(self) -> None:
        check_bounds(self)

    def __call__(
        self, pixels: Float[Array, "*batch pixels"], *, key: PRNGKeyArray
    ) -> Float[Array, "steps *batch pixels"]:
        """Spikes, 0 or 1, of one presentation; latencies are kept inside of it."""
        for_flips, for_jitter = jax.random.split(key)
        inverted = jax.random.bernoulli(for_flips, self.flips, pixels.shape)
        bright = jnp.where(inverted, 1 - pixels, pixels)
        latency = self.late + bright * (self.early - self.late)
        latency = latency + self.jitter * jax.random.normal(for_jitter, pixels.shape)
        step = jnp.clip(jnp.round(latency / self.dt), 0, self.steps - 1).astype(int)
        return jax.nn.one_hot(step, self.steps, axis=0, dtype=pixels.dtype)


@ENCODERS.register("image-latency", "every pixel spikes once, a bright one early and a dark one late")
class ImageLatency(AbstractEncoder):
    """`LatencySpikes` of an image, one pixel a row.

    Source: rank-order codes, Thorpe, Delorme & Van Rullen, Neural Netw. 14: 715 (2001), doi
    10.1016/S0893-6080(01)00083-1; the mapping is a definition of this library.
    """

    early: Parameter = param(5e-3, "s", "latency of a full-scale pixel", bounds=(0, 1e6))
    late: Parameter = param(30e-3, "s", "latency of a pixel of 0", bounds=(0, 1e6))
    jitter: Parameter = param(1e-3, "s", "s.d. of every latency", bounds=(0, 1e6))

    def __check_init__(self) -> None:
        check_bounds(self)

    def lasts(self) -> None:
        """All at once."""

    def fitted(self, shape: tuple[int, ...]) -> Any:
        """The same."""
        return self

    def channels(self, shape: tuple[int, ...]) -> int:
        """One row a pixel."""
        return math.prod(shape)

    def steps(self, shape: tuple[int, ...], dt: float) -> None:
        """A trial may be as long as one likes."""

    def encode(self, x: Real, steps: int, dt: float, *, key: PRNGKeyArray) -> Float[Array, "steps *batch rows"]:
        """Spike trains of pixels."""
        flips = jnp.zeros_like(self.early)
        return LatencySpikes(self.early, self.late, self.jitter, flips, jnp.asarray(dt), steps)(_flat(x), key=key)
