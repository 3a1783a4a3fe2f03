"""How pixels and frames become row voltages or spikes."""

from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.networks.simulate import Events
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, check_bounds, check_count, param

Real = Float[Array, "..."]


class AbstractEvents(eqx.Module):
    """Pixels in [0, 1] are the heights of short row pulses, read_voltage·(pixel − offset), at the event times.

    With an offset the pulses have both signs. One more row is a bias and gets `read_voltage` at every event.
    """

    read_voltage: Parameter = param(100e-3, "V", "row voltage of a full-scale pixel", bounds=(1e-6, 10))
    offset: Parameter = param(0.0, "1", "pixel value that gives no voltage", bounds=(-1, 1))
    times: tuple[float, ...] = eqx.field(static=True, default=(0.0,))
    width: float = eqx.field(static=True, default=10e-6)

    def __check_init__(self) -> None:
        check_bounds(self)

    @abstractmethod
    def rows(self, pixels: int) -> int:
        """Rows of the crossbar, with the bias row, for inputs of so many pixels."""

    @abstractmethod
    def heights(self, pixels: Float[Array, "*batch pixels"]) -> Float[Array, "events *batch rows_less_one"]:
        """Row voltages in V at every event, without the bias row."""

    def __call__(self, pixels: Float[Array, "*batch pixels"]) -> Events:
        """Row voltages in V of `pixels` and of the bias row, one event for each of the `times`."""
        heights = self.heights(pixels)
        bias = self.read_voltage * jnp.ones_like(heights[..., :1])
        return Events(jnp.concatenate([heights, bias], axis=-1), self.times, self.width)

    def frame_size(self, pixels: int) -> int:
        """Pixels of one frame, of as many frames as there are `times`."""
        if pixels % len(self.times):
            raise InputError(f"An input of {pixels} pixels does not fall into {len(self.times)} frames of equal size.")
        return pixels // len(self.times)


class AmplitudeEvents(AbstractEvents):
    """Each pixel has a row of its own, pulsed alike at every event."""

    def rows(self, pixels: int) -> int:
        """One a pixel and the bias."""
        return pixels + 1

    def heights(self, pixels: Float[Array, "*batch pixels"]) -> Float[Array, "events *batch pixels"]:
        """The same at every event."""
        v = self.read_voltage * (pixels - self.offset)
        return jnp.broadcast_to(v, (len(self.times), *v.shape))


class FrameEvents(AbstractEvents):
    """A delay line: each pixel has a row of its own, pulsed only at the event of its frame; 0 V at all others.

    Pixels are flat, frame by frame: a frame is a row of an image, or all channels of a spectrogram at one time.
    """

    def rows(self, pixels: int) -> int:
        """One a pixel and the bias."""
        return pixels + 1

    def heights(self, pixels: Float[Array, "*batch pixels"]) -> Float[Array, "events *batch pixels"]:
        """Zero but for the pixels of the frame."""
        *batch, count = pixels.shape
        frames = len(self.times)
        own = jnp.repeat(jnp.eye(frames, dtype=pixels.dtype), self.frame_size(count), axis=1)
        own = own.reshape(frames, *(1 for _ in batch), count)
        return own * (self.read_voltage * (pixels - self.offset))[None]


class ChannelEvents(AbstractEvents):
    """One row a channel, pulsed by the pixels of one frame after the other; pixels are flat, frame by frame."""

    def rows(self, pixels: int) -> int:
        """One a channel and the bias."""
        return self.frame_size(pixels) + 1

    def heights(self, pixels: Float[Array, "*batch pixels"]) -> Float[Array, "events *batch channels"]:
        """The frame of the event."""
        *batch, count = pixels.shape
        frames = pixels.reshape(*batch, len(self.times), self.frame_size(count))
        return self.read_voltage * (jnp.moveaxis(frames, -2, 0) - self.offset)


class FrameSpikes(eqx.Module):
    """Frames → spike trains: in each channel an integrate-and-fire counter of the frame's value.

    The rate is max_rate·value while the frame lasts, and a spike comes at every whole number of its integral. Only
    the phase from which a channel counts is random; averaged over it, a step has value·max_rate·dt spikes exactly.
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
        """Time steps of so many frames."""
        check_count("frames", frames)
        return round(frames * self.frame_time / self.dt)

    def __call__(
        self, frames: Float[Array, "frames *channels"], *, key: PRNGKeyArray
    ) -> Float[Array, "steps *channels"]:
        """Spikes, 0 or 1 a step, of `frames` with values in [0, 1]; at most one a step, so max_rate·dt counts as 1
        where it is more.
        """
        steps = self.steps(len(frames))
        middle = (jnp.arange(steps, dtype=frames.dtype) + 0.5) * (self.dt / self.frame_time)
        frame = jnp.minimum(middle.astype(jnp.int32), len(frames) - 1)
        share = jnp.clip(jnp.minimum(self.max_rate * self.dt, 1.0) * frames, 0, 1)
        phase = jax.random.uniform(key, frames.shape[1:], dtype=frames.dtype)
        counted = jnp.floor(phase[None] + jnp.cumsum(share[frame], axis=0))
        return jnp.minimum(jnp.diff(counted, axis=0, prepend=jnp.zeros_like(counted[:1])), 1)


ENCODERS = {"image": AmplitudeEvents, "frames": FrameEvents, "channels": ChannelEvents}
