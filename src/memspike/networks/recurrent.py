"""A recurrent spiking network on three crossbars: input → neurons ↔ neurons → leaky readout."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar, Seen, root
from memspike.cells.base import CellState, weighted
from memspike.networks import base
from memspike.networks.base import AbstractNetwork, Cells, Clock, Corrections, Weights
from memspike.neurons import spiking_course
from memspike.neurons.analog import Analog
from memspike.neurons.lif import LIF, AbstractSpikingNeuron
from memspike.parts.errors import InputError
from memspike.parts.parallel import held
from memspike.parts.param import Parameter, check_bounds, param
from memspike.parts.random import normal, written_out

Real = Float[Array, "..."]


class Reading(NamedTuple):
    """What the reads of one crossbar see, in units of the logical weight: mean and variance of one read of a weight.

    The mean has a leading axis of the parts of a run, or none for one part. `seen` is what reads see of every line,
    for crossbars with converters.
    """

    mean: Float[Array, "*parts rows columns"]
    variance: Float[Array, "rows columns"]
    seen: Seen | None = None

    def scaled(self, gains: Float[Array, " columns"]) -> "Reading":
        """Behind column amplifiers of these gains."""
        seen = None if self.seen is None else self.seen.scaled(gains)
        wide = jnp.broadcast_to(gains, self.mean.shape)
        return Reading(self.mean * wide, self.variance * jnp.square(gains)[None], seen)

    def part(self, k: Any) -> "Reading":
        """What holds in part number `k`."""
        seen = None if self.seen is None else self.seen._replace(lines=self.seen.lines[k])
        return Reading(self.mean[k], self.variance, seen)


class Readings(NamedTuple):
    """Readings of the input, the recurrent and the output crossbar, for each part of the run (leading axis)."""

    input: Reading
    recurrent: Reading
    output: Reading

    def part(self, k: Any) -> "Readings":
        """What holds in part number `k`."""
        return Readings(*(reading.part(k) for reading in self))


class Activity(NamedTuple):
    """A run: states of the neurons after every step, outputs y, spikes z; all [steps, *batch, neurons or outputs].

    `z` is 0 or 1; what the neurons send is `state.z`, for neurons with analog spikes another thing.
    """

    state: Any
    y: Float[Array, "steps *batch outputs"]
    z: Float[Array, "steps *batch neurons"]

    @property
    def output(self) -> Float[Array, "steps *batch outputs"]:
        """What the readout gives: y."""
        return self.y

    def rate(self, dt: float) -> Float[Array, "*batch neurons"]:
        """Mean firing rate of every neuron in Hz, for steps of `dt` seconds."""
        return self.z.mean(0) / dt


def lowpass(x: Real, factor: Real, *, reverse: bool = False) -> Real:
    """y[t] = factor·y[t−1] + x[t] along axis 0; or, in reverse, y[t] = factor·y[t+1] + x[t]."""
    if jnp.ndim(factor) == 0 and spiking_course.usable(x):
        return spiking_course.filtered(reverse, x, factor)

    def body(y: Real, now: Real) -> tuple[Real, Real]:
        y = factor * y + now
        return y, y

    return jax.lax.scan(body, jnp.zeros_like(x[0]), x, reverse=reverse)[1]


class Recurrent(AbstractNetwork):
    """v[t] of every neuron is driven by W_in·x[t] + W_rec·z[t−1]; y[t] = κ·y[t−1] + W_out·z[t], κ = e^(−dt/τ_out).

    `sizes` is (inputs, neurons, outputs). Matrices are [rows = sources, columns = targets] and lie on one crossbar
    each. No neuron is connected to itself, unless with `loops`. A spike is a row pulse of `read_voltage`; currents are
    scaled back to units of the logical weight. One draw a neuron and step stands for the read noise of all its devices
    (`Crossbar.read`).

    InputError for sizes that are not three whole numbers from 1 on.
    """

    names: ClassVar[tuple[str, ...]] = ("input", "recurrent", "output")  # pyright: ignore[reportIncompatibleMethodOverride]
    drawn = base.as_designed

    sizes: tuple[int, int, int] = eqx.field(static=True)
    neuron: AbstractSpikingNeuron | Analog = eqx.field(default_factory=LIF)
    crossbars: tuple[Crossbar, Crossbar, Crossbar] = eqx.field(  # pyright: ignore[reportIncompatibleMethodOverride]
        default_factory=lambda: (Crossbar(),) * 3
    )
    tau_out: Parameter = param(30e-3, "s", "time constant of the readout", bounds=(1e-9, 1e6))
    read_voltage: Parameter = param(0.2, "V", "row voltage of a spike", bounds=(1e-6, 10))
    loops: bool = eqx.field(static=True, default=False)

    def __check_init__(self) -> None:
        check_bounds(self)
        if len(self.sizes) != 3 or any(int(n) != n or n < 1 for n in self.sizes):
            raise InputError(f"Network sizes are {list(self.sizes)}; needed: three whole numbers ≥ 1.")

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of the input, recurrent and output matrix."""
        inputs, neurons, outputs = self.sizes
        return (inputs, neurons), (neurons, neurons), (neurons, outputs)

    @property
    def apart(self) -> bool:
        """With kernels, of which one chip keeps a processor busy."""
        like = jax.ShapeDtypeStruct((1, self.sizes[1]), jnp.result_type(float))
        return self._plain() and spiking_course.fits(self.neuron, like)

    def others(self) -> Float[Array, "neurons neurons"]:
        """1 where two neurons are connected: everywhere but on the diagonal, unless with `loops`."""
        return jnp.ones((self.sizes[1],) * 2) if self.loops else 1 - jnp.eye(self.sizes[1])

    def init_weights(self, gain: float = 1.0, *, key: PRNGKeyArray) -> Weights:
        """Normal weights with s.d. gain·√(2/rows) (Kaiming), no self-connections."""
        keys = jax.random.split(key, 3)
        w = [normal(k, s) * (gain * math.sqrt(2 / s[0])) for k, s in zip(keys, self.shapes, strict=True)]
        return w[0], w[1] * self.others(), w[2]

    def read(
        self, cells: Cells, moments: tuple[float, ...], *, noise: bool = True, corrections: Corrections = None
    ) -> Readings:
        """What reads at the `moments` (s from now) see: drifted, through the wires, with their noise.

        The s.d. of a read and the shift of its mean by clipping are those of the middle one of the moments.
        """
        return Readings(*readings_of(self.crossbars, cells, moments, noise, corrections))

    def programmed(self, weights: Weights | None, cells: Cells | None, corrections: Corrections = None) -> Readings:
        """Noiseless readings of exactly these weights, in one part, through the wires and converters."""
        return Readings(*programmed_readings(self, weights, cells, corrections))

    def weights(self, cells: Cells) -> Weights:
        """The logical weights of the stored conductances, without drift and noise."""
        first, recurrent, output = base.stored_weights(self, cells)
        return first, recurrent * self.others(), output

    def run(
        self,
        readings: Readings,
        x: Float[Array, "steps *batch inputs"],
        clock: Clock,
        *,
        fixed: bool = False,
        injected: Float[Array, "steps *batch neurons"] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> Activity:
        """The network from rest under inputs x (spikes, or any row drive over `read_voltage`).

        With a key reads are noisy. `fixed` holds what arrives from other neurons fixed in differentiation, which is
        what e-prop computes. `injected` drives arrive as well. InputError for inputs of another shape.
        """
        if readings.input.mean.shape[0] == 1:  # nothing that changes with time
            clock = Clock(clock.dt, (clock.steps,))
        like = jax.ShapeDtypeStruct((*x.shape[:-1], self.sizes[1]), x.dtype)
        if x.shape[0] != clock.steps or x.shape[-1] != self.sizes[0]:
            raise InputError(
                f"The input has shape {tuple(x.shape)}; {clock.steps} steps and {self.sizes[0]} rows are needed."
            )
        keys: tuple[Any, Any] = (None, None) if key is None else tuple(jax.random.split(key))
        alone = injected is None and self._plain() and not any(jnp.ndim(p) > 1 for p in jax.tree.leaves(self.neuron))
        if alone and spiking_course.fits(self.neuron, like) and _own_noise(keys[0], like):
            states: Any = _at_once((clock, fixed), self, readings, x, keys[0])
        else:
            states = self._states(readings, (x, injected), clock, fixed, keys[0])
        output, begin = [], 0
        for k, length in enumerate(clock.parts):
            z = states.z[begin : begin + length]
            output.append(self.output(readings.part(k), z, key=fold(keys[1], k)))
            begin += length
        y = lowpass(jnp.concatenate(output), jnp.exp(-clock.dt / self.tau_out))
        return Activity(states, y, self.neuron.spikes(states))

    def _states(
        self, readings: Readings, given: tuple[Real, Real | None], clock: Clock, fixed: bool, key: PRNGKeyArray | None
    ) -> Any:
        """The states of the neurons after every step, part by part."""
        (x, injected), normals = given, None
        if key is not None and self._plain():
            # all at once: the same noise for any number of parts, and less to compile
            normals = held(normal(key, (*x.shape[:-1], self.sizes[1])))
        state, begin, done = self.neuron.init((*x.shape[1:-1], self.sizes[1])), 0, []
        for k, length in enumerate(clock.parts):
            part, one = readings.part(k), slice(begin, begin + length)
            noise = fold(key, k) if normals is None else normals[one]
            own = None if injected is None else injected[one]
            state, states = self._part(part, (x[one], own), state, clock.dt, fixed, noise)
            done.append(states)
            begin += length
        return jax.tree.map(lambda *parts: jnp.concatenate(parts), *done)

    def _plain(self) -> bool:
        """Whether currents reach the neurons as they are, without converters."""
        return self.crossbars[0].periphery.ideal and self.crossbars[1].periphery.ideal

    def drive(self, part: Readings, x: Real, z: Real, *, key: PRNGKeyArray | None) -> Real:
        """What arrives at the neurons at one step, given inputs and the last spikes; with a key, noisy."""
        keys = (None, None) if key is None else jax.random.split(key)
        recurrent = driven(self.crossbars[1], part.recurrent, z, self.read_voltage, key=keys[1])
        own = jnp.zeros_like(z) if self.loops else z * jnp.broadcast_to(jnp.diagonal(part.recurrent.mean), z.shape)
        return driven(self.crossbars[0], part.input, x, self.read_voltage, key=keys[0]) + recurrent - own

    def output(self, part: Readings, z: Real, *, key: PRNGKeyArray | None) -> Real:
        """What arrives at the readout for spikes z [..., neurons]; with a key, noisy."""
        return driven(self.crossbars[2], part.output, z, self.read_voltage, key=key)

    def _part(
        self, part: Readings, given: tuple[Real, Real | None], start: Any, dt: float, fixed: bool, noise: Any
    ) -> tuple[Any, Any]:
        """A part of a run: the input at all steps at once, then one scan. `noise`: normals, or a key for converters."""
        x, injected = given

        def advanced(state: Any, arrives: Callable[[Real], Real], more: Real | None = None) -> tuple[Any, Any]:
            drive = arrives(jax.lax.stop_gradient(state.z) if fixed else state.z)
            state = self.neuron.step(state, drive if more is None else drive + more, dt)
            return state, state

        if not self._plain():
            # converters act on every step of every crossbar
            steps = jnp.arange(x.shape[0], dtype=jnp.int32)
            return jax.lax.scan(
                lambda s, now: advanced(s, lambda z: self.drive(part, now[0], z, key=fold(noise, now[1])), now[2]),
                start,
                (x, steps, injected),
            )
        mask = self.others().astype(x.dtype)
        mean, variance = part.recurrent.mean * mask, part.recurrent.variance * mask
        arriving, mean = held((x @ part.input.mean, mean))
        arriving = arriving if injected is None else arriving + injected
        if noise is None:
            return jax.lax.scan(lambda s, now: advanced(s, lambda z: now + z @ mean), start, arriving)
        both, n = held(jnp.concatenate([mean, variance], axis=-1)), self.sizes[1]

        def noisy(z: Real, now: tuple[Real, Real, Real]) -> Real:
            summed = z @ both
            return now[0] + summed[..., :n] + root(now[1] + summed[..., n:]) * now[2]

        at = held((arriving, jnp.square(x) @ part.input.variance, noise))
        return jax.lax.scan(lambda s, now: advanced(s, lambda z: noisy(z, now)), start, at)


def _own_noise(key: PRNGKeyArray | None, like: Any) -> bool:
    """Whether kernels draw the noise of such an array as `normal` does."""
    return key is None or written_out(key, like.shape, like.dtype)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _at_once(how: tuple[Clock, bool], network: Recurrent, readings: Readings, x: Real, key: Any) -> Any:
    """As `Recurrent._states`, by a kernel; it is differentiated part by part."""
    clock, _ = how
    mask = network.others().astype(x.dtype)
    first, recurrent = readings.input, readings.recurrent
    weighed = spiking_course.Weighed(first.mean, recurrent.mean * mask[None], first.variance, recurrent.variance * mask)
    parts = np.repeat(np.arange(len(clock.parts), dtype=np.int32), clock.parts)
    start: Any = network.neuron.init((*x.shape[1:-1], network.sizes[1]))
    return spiking_course.recurrent(network.neuron, start, x, weighed, jnp.asarray(parts), clock.dt, key=key)


def _forward(how: tuple[Clock, bool], network: Any, readings: Any, x: Real, key: Any) -> tuple[Any, Any]:
    clock, fixed = how
    return jax.vjp(lambda n, r, x: n._states(r, (x, None), clock, fixed, key), network, readings, x)


def _backward(how: tuple[Clock, bool], back: Any, wanted: Any) -> tuple[Any, ...]:
    return (*back(wanted), None)


_at_once.defvjp(_forward, _backward)


def fold(key: PRNGKeyArray | None, k: Any) -> PRNGKeyArray | None:
    """The key number `k` of a key, None of None."""
    return None if key is None else jax.random.fold_in(key, k)


def readings_of(
    crossbars: tuple[Crossbar, ...], cells: Cells, moments: tuple[float, ...], noise: bool, corrections: Corrections
) -> list[Reading]:
    """Mean and variance in weight units of reads of all crossbars at the `moments`."""
    each = zip(crossbars, cells, corrections or (None,) * len(cells), strict=True)
    return [reading_of(crossbar, state, moments, noise, own) for crossbar, state, own in each]


def reading_of(
    crossbar: Crossbar, state: CellState, moments: tuple[float, ...], noise: bool, correction: Any = None
) -> Reading:
    """Mean and variance in weight units of reads at the `moments`: noise of the devices and of the array together."""
    cell, times = crossbar.cell, [jnp.asarray(t, jnp.result_type(float)) for t in moments]
    middle = times[len(times) // 2]
    typical = cell.read_moments(state, middle)
    shift, sd = held((typical.mean - cell.read(state, middle), typical.sd))
    own = crossbar.read_noise * jnp.abs(typical.mean)
    sd = jnp.where(crossbar.read_noise > 0, jnp.hypot(sd, own.astype(sd.dtype)), sd)
    if not noise:
        shift, sd = jnp.zeros_like(shift), jnp.zeros_like(sd)
    seen_at = cell.reads(state, times)
    each = [held(crossbar.transfer(g + shift, correction=correction, sd=sd)) for g in seen_at]
    gains, unit = cell.gains().astype(sd.dtype), cell.unit()
    mean = jnp.stack([weighted(gains, seen.lines) / unit for seen in each])
    spread = each[len(each) // 2].sd
    variance = weighted(jnp.square(gains), jnp.square(spread / unit))
    seen = None if crossbar.periphery.ideal else Seen(jnp.stack([seen.lines for seen in each]), spread)
    return held(Reading(mean, variance, seen))


def programmed_readings(
    network: AbstractNetwork, weights: Weights | None, cells: Cells | None, corrections: Corrections
) -> list[Reading]:
    """`AbstractNetwork.programmed` as noiseless readings in one part."""
    found = []
    for crossbar, g, own in base.corrected(network, base.exact_lines(network, weights, cells), corrections):
        seen = crossbar.transfer(g, correction=own)
        mean = weighted(crossbar.cell.gains(), seen.lines) / crossbar.cell.unit()
        several = None if crossbar.periphery.ideal else Seen(seen.lines[None], jnp.zeros_like(seen.sd))
        found.append(Reading(mean[None], jnp.zeros_like(mean), several))
    return found


def driven(crossbar: Crossbar, reading: Reading, x: Real, read_voltage: Parameter, *, key: Any) -> Real:
    """Column currents in units of weight for row drives x (1 = one spike); with a key, noisy."""
    if reading.seen is not None:
        return crossbar.read(reading.seen, read_voltage * x, key=key) / (read_voltage * crossbar.cell.unit())
    mean = x @ reading.mean
    if key is None:
        return mean
    return mean + root(jnp.square(x) @ reading.variance) * normal(key, mean.shape)
