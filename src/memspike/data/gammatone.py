"""Waveforms → spikes of a model of the inner ear: gammatone filters, rectification, frames, decibel, rates."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.data.encoders import AbstractRates, FrameSpikes
from memspike.data.frames import steps_of
from memspike.data.spoken import equally_spaced
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, check_bounds, option, param
from memspike.parts.registry import ENCODERS

Real = Float[Array, "..."]
WIDER = 1.019  # of a filter over the bandwidth of hearing
# an impulse response ends where it has decayed by so much
DECAY = 1e-5


def impulse_responses(f: Float[np.ndarray, " channels"], rate: float) -> Float[np.ndarray, "channels taps"]:
    """Finite responses of unit gain at the centres `f` in Hz, at all samples of `rate` a second, until the widest has
    decayed.

    Source: Slaney, Apple TR 35 (1993), as in scipy.signal.gammatone.
    """
    from scipy.signal import gammatone

    taps = math.ceil(_lasts(2 * np.pi * WIDER * (f.min() / 9.26449 + 24.7)) * rate)  # bandwidth: Glasberg & Moore 1990
    return np.stack([gammatone(centre, "fir", fs=rate, numtaps=taps)[0] for centre in f])


def _lasts(width: float) -> float:
    """Seconds until t³·exp(−width·t) is `DECAY` of its peak, which lies at 3/width."""
    t = np.linspace(3, 60, 5701)
    fallen = (t / 3) ** 3 * np.exp(3 - t) < DECAY
    return float(t[fallen.argmax()]) / width


@ENCODERS.register("gammatone", "waveforms as rates of the channels of a cochlea: gammatone filters, levels in decibel")
class Gammatone(AbstractRates):
    """A cochlea of gammatone filters from `f_low` to `f_high`, equally spaced on the ERB-rate scale.

    Examples are waveforms [samples, microphones] with values from 0 to 1, silence at ½. What a filter lets through is
    half-wave rectified and averaged over the last `window` every `hop`; the level of a frame is
    1 + 20·log10(mean over the loudest mean of the recording)/`range`, at least 0. In the network a hop lasts
    `frame_time`, in which a channel spikes at max_rate·level like `FrameSpikes`. The channels of a microphone lie side
    by side. Source: filters of Slaney, Apple TR 35 (1993); ERB scale of Glasberg & Moore, Hear. Res. 47: 103 (1990),
    doi 10.1016/0378-5955(90)90170-T; rates are a definition of this library.

    InputError for filters that do not ascend below half the sampling rate, and hops of less than a sample.
    """

    rate: float | None = option(
        None, "samples a second of the waveforms; none: as the data say", unit="Hz", bounds=(1e-3, 1e9)
    )
    filters: int = option(24, "gammatone filters", bounds=(2, 10**4))
    f_low: float = option(100.0, "centre frequency of the first filter", unit="Hz", bounds=(1e-3, 1e9))
    f_high: float = option(3600.0, "centre frequency of the last filter", unit="Hz", bounds=(1e-3, 1e9))
    hop: float = option(10e-3, "sound from one frame to the next", unit="s", bounds=(1e-9, 1e3))
    window: float = option(10e-3, "sound that a frame is the mean of, in whole hops", unit="s", bounds=(1e-9, 1e3))
    range: Parameter = param(50.0, "dB", "level below the loudest frame that is silence", bounds=(1e-3, 1e3))
    frame_time: float = option(5e-3, "how long a frame lasts in the network", unit="s", bounds=(1e-12, 1e6))

    def __check_init__(self) -> None:
        check_bounds(self)
        top = math.inf if self.rate is None else 0.5 * self.rate
        if not self.f_low < self.f_high < top:
            raise InputError(
                f"The gammatone filters go from {self.f_low:g} to {self.f_high:g} Hz; needed: ascending, and below "
                f"half the sampling rate{'' if self.rate is None else f', {top:g} Hz'} (encoder.f_low, encoder.f_high)."
            )
        if self.rate is not None and self.hop * self.rate < 1:
            raise InputError(f"encoder.hop is {self.hop:g} s, less than a sample at {self.rate:g} Hz.")
        if self.window < self.hop:
            raise InputError(f"encoder.window is {self.window:g} s, less than a hop of {self.hop:g} s.")

    @property
    def samples(self) -> int:
        """Samples of a hop. InputError where the sampling rate is not known."""
        if self.rate is None:
            raise InputError("encoder.rate is none; at how many samples a second are the waveforms? Set encoder.rate.")
        return max(1, round(self.hop * self.rate))

    @property
    def frequencies(self) -> Float[np.ndarray, " filters"]:
        """Centre frequencies in Hz, ascending."""
        return equally_spaced(self.f_low, self.f_high, self.filters)

    def lasts(self) -> float:
        """How long a sample is shown."""
        return self.frame_time / self.samples

    def channels(self, shape: tuple[int, ...]) -> int:
        """A row a filter and microphone."""
        return self.filters * shape[-1]

    def hops(self, samples: int) -> int:
        """Whole hops of a waveform. InputError where there is none."""
        if samples < self.samples:
            raise InputError(f"A waveform of {samples} samples is shorter than a hop of {self.samples} (encoder.hop).")
        return samples // self.samples

    def steps(self, shape: tuple[int, ...], dt: float) -> int:
        """All hops."""
        return int(steps_of(self.hops(shape[0]), self.frame_time, dt))

    def envelopes(self, x: Float[Array, "*batch samples"]) -> Float[Array, "*batch hops filters"]:
        """Mean of the half-wave rectified output of every filter over the window of every hop; full scale is 1."""
        count, each = x.shape[-1], self.samples
        hops, taps = self.hops(count), impulse_responses(self.frequencies, float(self.rate or 0))
        size = 1 << (count + taps.shape[1] - 2).bit_length()
        whole = jnp.fft.rfft(2 * x - 1, size)
        flat, over = (1,) * (x.ndim - 1), max(1, round(self.window / self.hop))

        def one(tap: Float[Array, " taps"]) -> Float[Array, "*batch hops"]:
            out = jnp.fft.irfft(whole * jnp.fft.rfft(tap, size).reshape(*flat, -1), size)[..., : hops * each]
            mean = jnp.maximum(out, 0).reshape(*out.shape[:-1], hops, each).mean(-1)
            past = jnp.pad(mean, [*[(0, 0)] * (mean.ndim - 1), (over - 1, 0)])
            summed = sum(past[..., k : k + hops] for k in range(over))
            return jnp.asarray(summed) / over

        return jnp.moveaxis(jax.lax.map(one, jnp.asarray(taps, x.dtype)), 0, -1)

    def levels(self, x: Float[Array, "*batch samples microphones"]) -> Float[Array, "*batch hops rows"]:
        """Levels from 0 to 1, the loudest frame and row of each recording; all 0 of silence."""
        means = jnp.moveaxis(self.envelopes(jnp.moveaxis(x, -1, -2)), -3, -2)
        means = means.reshape(*means.shape[:-2], -1)
        loudest = means.max((-2, -1), keepdims=True)
        floor = 10 ** (-self.range / 20)
        share = jnp.maximum(means / jnp.where(loudest > 0, loudest, 1), floor)
        return jnp.where(loudest > 0, 1 + 20 * jnp.log10(share) / self.range, 0)

    def encode(self, x: Real, steps: int, dt: float, *, key: PRNGKeyArray) -> Float[Array, "steps *batch rows"]:
        """Spike trains of all channels."""
        encode = FrameSpikes(max_rate=self.max_rate, frame_time=self.frame_time, dt=dt)
        return encode(jnp.moveaxis(self.levels(x), -2, 0), key=key)


def heard(encoder: Any, rate: float | None, name: str) -> Any:
    """The encoder with the sampling rate of the data `name`; InputError where waveforms and encoder do not fit.

    `rate` is None where the examples are no waveforms, or nobody said at which rate.
    """
    if not isinstance(encoder, Gammatone):
        if rate is not None:
            raise InputError(
                f"{name} holds waveforms at {rate:g} Hz, which encoder={type(encoder).__name__} does not hear; set "
                "encoder=gammatone."
            )
        return encoder
    if encoder.rate is None and rate is None:
        raise InputError(
            f"encoder is gammatone, and {name} does not say how many samples a second its waveforms have; set "
            "encoder.rate (wav: data.kind=waveforms; npz: an array called rate)."
        )
    if None not in (encoder.rate, rate) and encoder.rate != rate:
        raise InputError(f"encoder.rate is {encoder.rate:g} Hz, but {name} has {rate:g} samples a second.")
    return encoder if rate is None else dataclasses.replace(encoder, rate=rate)
