"""Phase-change memory by kernels for the processor: pulses where there are any, reads at several times in one pass.

The numbers are those of `PCM` in JAX, noise included: random numbers of an array belong to its elements. A device that
was written long before it is read drifts by a power of 1 + u with a small u, whose series takes the place of a
logarithm and an exponential for every read.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.devices.base import AbstractPulseDevice, Key, Pulses, Real, Seconds, counts
from memspike.devices.pcm import JOSHI_RANGE, PCM, PCMState
from memspike.parts import kernels
from memspike.parts.courses import one_by_one
from memspike.parts.kernels import Kernel
from memspike.parts.random import written_out

if TYPE_CHECKING:
    from memspike.parts.lanes import Lanes, Words
    from memspike.parts.writer import Place, Variable, Writer
else:
    Lanes = Place = Variable = Words = Writer = Any

NUMBERS = (
    *("g_min", "floor", "g_max", "decay", "mean_slope", "mean_offset", "mean_history"),
    *("noise_slope", "noise_offset", "noise_history", "own_noise", "pulse_noise", "reset_mean", "reset_sd"),
    *("nu", "t0", "t_first", "state_drift", "nu_deviation"),
)
# a read that comes sooner after the write than so many times its distance is computed without the series
SOON = 8.0
TERMS = 6


def fits(device: AbstractPulseDevice, state: Any) -> bool:
    """Whether there is a kernel for these devices in this process."""
    if type(device) is not PCM or any(jnp.ndim(leaf) for leaf in jax.tree.leaves(device)):
        return False
    shapes = {leaf.shape for leaf in state}
    single = all(leaf.dtype == jnp.float32 for leaf in state)
    return single and len(shapes) == 1 and state.g.size > 0 and kernels.available()


def programmed(device: AbstractPulseDevice, state: Any, pulses: Pulses, *, key: Key = None) -> Any:
    """`device.program(state, pulses, key=key)`, by the kernel where there is one."""
    n = counts(pulses)
    known = fits(device, state) and n.shape == state.g.shape and n.dtype == jnp.float32
    if not known or (key is not None and not written_out(key, n.shape, n.dtype)):
        return device.program(state, pulses, key=key)
    return _programmed(device, state, n, key)


@jax.custom_vjp
def _programmed(device: PCM, state: PCMState, n: Real, key: Any) -> PCMState:
    flat = [x.reshape(1, -1) for x in (*state, n)]
    words = [] if key is None else [jax.random.key_data(jax.random.split(key)).reshape(-1)]
    found = _pulse_kernel(key is not None)(*flat, *words, _numbers(device))
    return PCMState(*(x.reshape(n.shape) for x in found))


def _forward(device: Any, state: Any, n: Any, key: Any) -> tuple[PCMState, Any]:
    return jax.vjp(lambda *given: PCM.program(*given, key=key), device, state, n)


def _backward(back: Any, wanted: Any) -> tuple[Any, ...]:
    return (*back(wanted), None)


_programmed.defvjp(_forward, _backward)


def ahead(device: AbstractPulseDevice, state: Any, times: Sequence[Seconds]) -> Float[Array, "times ..."]:
    """The conductances in S that reads without noise see in so many seconds."""
    if len(times) > 1 and fits(device, state):
        return _ahead(device, state, jnp.stack([jnp.asarray(t, jnp.float32) for t in times]))
    return jnp.stack([device.conductance(state, t) for t in times])


@jax.custom_vjp
def _ahead(device: Any, state: PCMState, times: Float[Array, " times"]) -> Real:
    flat = [x.reshape(1, -1) for x in (state.g, state.age)]
    return _read_kernel()(*flat, times.reshape(1, -1), _numbers(device)).reshape(-1, *state.g.shape)


def _ahead_forward(device: Any, state: Any, times: Real) -> tuple[Real, Any]:
    return jax.vjp(lambda d, s, t: jax.vmap(lambda one: d.conductance(s, one))(t), device, state, times)


def _ahead_backward(back: Any, wanted: Real) -> tuple[Any, ...]:
    return back(wanted)


_ahead.defvjp(_ahead_forward, _ahead_backward)


def _numbers(device: PCM) -> Real:
    """What the kernels need of a device."""
    made = {
        "decay": jnp.exp(-1 / device.memory),
        "own_noise": jnp.sqrt(device.persistent) * device.deviation,
        "pulse_noise": jnp.sqrt(1 - device.persistent),
    }
    each = (made[name] if name in made else getattr(device, name) for name in NUMBERS)
    return jnp.stack([jnp.asarray(x, jnp.float32) for x in each])


def _all(writer: Writer, given: Any) -> dict[str, Lanes]:
    from memspike.parts.lanes import WIDE

    return {name: writer.number(given, k, WIDE) for k, name in enumerate(NUMBERS)}


def _after_pulse(own: dict[str, Lanes], g: Lanes, history: Lanes, noise: Lanes | None) -> tuple[Lanes, Lanes]:
    """Conductance and history after one partial SET."""
    history = history * own["decay"]
    sd = own["noise_slope"] * g + own["noise_offset"] + own["noise_history"] * history
    sd = sd.at_least(0.0)
    step = own["mean_slope"] * g + own["mean_offset"] + own["mean_history"] * history + own["own_noise"] * sd
    if noise is not None:
        step = step + own["pulse_noise"] * sd * noise
    return (g + step).at_least(own["floor"]).at_most(own["g_max"]), history


def _write_pulses(
    noisy: bool, writer: Writer, inputs: Sequence[Any], outputs: Sequence[Any], lengths: tuple[Any, ...]
) -> None:
    from memspike.parts.lane_draws import both, normal
    from memspike.parts.lanes import WIDE
    from memspike.parts.writer import Variable

    *leaves, pulses, numbers = [x for k, x in enumerate(inputs) if not (noisy and k == 4)]
    own, none = _all(writer, numbers), writer.zero(WIDE)
    keys = [writer.number(inputs[4], k, WIDE).as_words() for k in range(4)] if noisy else None

    def law(place: Place) -> None:
        n = writer.load(pulses, place)
        now = [Variable(writer, writer.load(x, place)) for x in leaves]
        g, history, age = now
        element = writer.words(WIDE, place.index)
        with writer.loop(writer.whole(0), writer.largest(n)) as k:
            noise = None
            if keys is not None:
                word = writer.spread(writer.word(k), WIDE)
                noise = normal(both(keys[:2], word), element)
            mask = n.above(writer.spread(writer.as_number(k), WIDE))
            after = _after_pulse(own, g.get(), history.get(), noise)
            for one, x in zip((g, history), after, strict=True):
                one.put(x.where(mask, one.get()))
        age.put(none.where(n.above(0.0), age.get()))
        erased = none.above(n)
        with writer.loop(writer.whole(0), writer.any(erased)):
            mean = own["reset_mean"] + 0.0
            if keys is not None:
                mean = mean + own["reset_sd"] * normal(keys[2:], element)
            for one, x in zip(now, (mean.at_least(own["g_min"]).at_most(own["g_max"]), none + 1.0, none), strict=True):
                one.put(x.where(erased, one.get()))
        for one, x in zip(now, outputs, strict=True):
            writer.store(one.get(), x, place)

    writer.rows(lengths[1], law)


@cache
def _pulse_kernel(noisy: bool) -> Callable[..., tuple[Real, ...]]:
    """(g, history, age, pulses, words of two keys, numbers) → g, history, age, all [1, devices]."""
    kernel = Kernel(f"memspike_pcm_{noisy:d}", 5 + noisy, 3, 0, partial(_write_pulses, noisy))
    return one_by_one(lambda g, *given: tuple(kernels.call(kernel, (g, *given), [g.shape] * 3)))


def _exponent(own: dict[str, Lanes], g: Lanes) -> Lanes:
    """The drift exponent, as `PCM.exponent`."""
    from memspike.parts.lane_functions import logarithm

    logged = logarithm((g * (1 / JOSHI_RANGE)).at_least(1e-6))
    mean = (logged * -0.0155 + 0.0244).at_least(0.049).at_most(0.1)
    sd = (logged * -0.0125 - 0.0059).at_least(0.008).at_most(0.045)
    each = mean + own["nu_deviation"] * sd
    each = each.at_least(-each)
    return (1.0 - own["state_drift"]) * own["nu"] + own["state_drift"] * each


def _write_reads(writer: Writer, inputs: Sequence[Any], outputs: Sequence[Any], lengths: tuple[Any, ...]) -> None:
    from memspike.parts.lane_functions import exponential, logarithm
    from memspike.parts.lanes import WIDE

    (conductances, ages, times, numbers), (_, count, _, reads), builder = inputs, lengths, writer.builder
    own, whole = _all(writer, numbers), writer.whole
    last = writer.number(times, builder.sub(reads, whole(1)), WIDE)

    def law(place: Place) -> None:
        g, age = writer.load(conductances, place), writer.load(ages, place)
        nu = _exponent(own, g)
        latest = (own["t_first"] + 0.0).at_least(last * SOON)
        soon = writer.any(age.above(latest), every=True)

        def each(read: Any) -> None:
            with writer.loop(whole(0), reads) as k:
                t = writer.number(times, k, WIDE)
                writer.store(read(t), writer.after(outputs[0], builder.mul(k, count)), place)

        # all of them were written long ago
        with writer.loop(whole(0), soon):
            at_age, share = g * exponential(-(nu * logarithm(age / own["t0"]))), 1.0 / age

            def series(t: Lanes) -> Lanes:
                u, total = t * share, at_age.nothing() + 1.0
                for j in range(TERMS, 0, -1):
                    total = 1.0 - (nu + (j - 1.0)) * (u * total) * (1.0 / j)
                return at_age * total

            each(series)
        with writer.loop(soon, whole(1)):
            each(lambda t: g * exponential(-(nu * logarithm((age + t).at_least(own["t_first"]) / own["t0"]))))

    writer.rows(count, law)


@cache
def _read_kernel() -> Callable[..., Real]:
    """(g, age [1, devices], times [1, reads], numbers) → [reads, devices]; the last time is the largest."""
    kernel = Kernel("memspike_pcm_reads", 4, 1, (0, 2), _write_reads)
    return one_by_one(lambda g, *given: kernels.call(kernel, (g, *given), [(given[1].size, g.size)])[0])
