"""Programming to target conductances: blind pulses, write–verify, and the statistics of a finished programming."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from memspike.devices.base import AbstractPulseDevice, Key, Real, Seconds, at, select, span
from memspike.parts.errors import InputError
from memspike.parts.param import is_concrete, parameters

Count = Int[Array, "..."]
Flags = Bool[Array, "..."]

# devices worked on at once, largest first: they fit the cache, and few are left when it ends
SLOTS = (4096, 512)
# two conductances closer than this share of the range are the same
SAME = 1e-3


class Programmed(NamedTuple):
    """What programming left behind: the `state`, and per device what it took.

    `up` and `down` are the pulses applied, `resets` the full RESETs, `reads` the verify reads.
    `failed` tells which devices missed: by their own last verify after `write_verify`; after `open_loop`, those whose
    noise-free pulses stay short of the target.
    """

    state: Any
    up: Count
    down: Count
    resets: Count
    reads: Count
    failed: Flags


class _Goal(NamedTuple):
    """Per device: target and accepted error in S; whether a RESET is the only way down."""

    target: Real
    error: Real
    one_way: Flags


class _Work(NamedTuple):
    """Per device: what programming has done so far (failed: at its last verify), and whether it is unfinished."""

    done: Programmed
    unfinished: Flags


class _Verify(eqx.Module):
    """How devices are read, `settle` s after the pulse as the mean of `reads` reads, and when to give up."""

    settle: Float[Array, ""]
    most: Int[Array, ""]
    reads: int = eqx.field(static=True)

    def read(self, device: AbstractPulseDevice, state: Any, key: Key) -> Real:
        """The verified conductance in S."""
        if key is None or self.reads == 0:
            return device.conductance(state, self.settle)
        keys = jax.random.split(key, self.reads)
        return jax.vmap(lambda k: device.conductance(state, self.settle, key=k))(keys).mean(0)


def _each(device: AbstractPulseDevice, change: Callable[[Array], Array]) -> AbstractPulseDevice:
    """The device with `change` applied to every parameter that differs from cell to cell."""
    paths = [p.path for p in parameters(device) if jnp.ndim(p.value)]
    if not paths:
        return device
    return eqx.tree_at(lambda d: [at(d, p) for p in paths], device, replace_fn=change)


def _prepare(device: AbstractPulseDevice, state: Any, target: Real) -> tuple[Any, Real]:
    """State and target, both in their common shape; InputError where they have none or the target is off the range."""
    own = [jnp.shape(p.value) for p in parameters(device) if jnp.ndim(p.value)]
    try:
        shape = jnp.broadcast_shapes(target.shape, device.stored(state).shape, *own)
    except (ValueError, TypeError):
        raise InputError(
            f"The target is of shape {target.shape}; one that broadcasts with that of the devices is needed."
        ) from None
    if is_concrete(target) and is_concrete(device.g_min) and is_concrete(device.g_max):
        g, low, high = (np.asarray(x) for x in (target, device.g_min, device.g_max))
        slack = 1e-6 * (high - low)
        wrong = np.broadcast_to(~((g >= low - slack) & (g <= high + slack)), shape)
        if wrong.any():
            given, low, high = (np.broadcast_to(x, shape)[wrong][0] for x in (g, low, high))
            raise InputError(f"The target conductance is {given:g} S; allowed: {low:g} to {high:g} S.")
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, shape), state), jnp.broadcast_to(target, shape)


def ramp(
    device: AbstractPulseDevice, pulses: int, shape: tuple[int, ...] = (), *, key: Key = None
) -> Float[Array, "pulses ..."]:
    """Programmed conductance in S after 0, 1, …, `pulses` up pulses from a RESET: [pulses + 1, *shape].

    `shape` is that of the parameters by default; without a key there is no noise.
    """
    for_start, for_pulses = (None, None) if key is None else jax.random.split(key)
    start = device.init(shape, key=for_start)

    def pulse(state: Any, n: Array) -> tuple[Any, Real]:
        own = None if for_pulses is None else jax.random.fold_in(for_pulses, n)
        after = device.program(state, jnp.ones(device.stored(start).shape, jnp.int32), key=own)
        return after, device.stored(after)

    _, reached = jax.lax.scan(pulse, start, jnp.arange(pulses, dtype=jnp.int32))
    return jnp.concatenate([device.stored(start)[None], reached])


def _by_mean(device: AbstractPulseDevice, start: Any, target: Real, most: Int[Array, ""]) -> tuple[Count, Flags]:
    """Signed pulses after which the noise-free law is nearest to the target, and who stays short of it.

    Every device goes on for as long as each pulse brings it nearer.
    """
    g = device.stored(start)
    sign = jnp.where(target >= g, 1, -1).astype(jnp.int32)

    def more(carry: Any) -> Flags:
        return carry[-1].any() & (carry[0] < most)

    def pulse(carry: Any) -> Any:
        n, state, nearest, count, passed, going = carry
        after = device.program(state, jnp.where(going, sign, 0))
        now = device.stored(after)
        passed = passed | (going & (sign.astype(g.dtype) * (now - target) >= 0))
        going = going & (jnp.abs(target - now) < jnp.abs(target - nearest))
        return n + 1, after, jnp.where(going, now, nearest), count + going.astype(jnp.int32), passed, going

    none = jnp.zeros(target.shape, jnp.int32)
    _, _, nearest, count, passed, _ = jax.lax.while_loop(
        more, pulse, (jnp.int32(0), start, g, none, target == g, none == 0)
    )
    return sign * count, ~passed & (jnp.abs(target - nearest) > SAME * span(device))


def _one_way(device: AbstractPulseDevice, fresh: Any) -> tuple[Flags, Flags]:
    """From the noise-free law: who answers to anything, and whose down pulse is a RESET or does nothing."""
    half = device.place(fresh, 0.5 * (device.g_min + device.g_max) + jnp.zeros_like(device.stored(fresh)))
    low, middle, below = (device.stored(s) for s in (fresh, half, device.program(half, -1)))
    answers = middle > low
    return answers, answers & ((jnp.abs(below - low) <= SAME * span(device)) | (below >= middle))


@eqx.filter_jit
def _blind(device: Any, state: Any, target: Real, most: Int[Array, ""], fresh: bool, key: Key) -> Programmed:
    lowest = device.init(target.shape)
    _, one_way = _one_way(device, lowest)
    erase = fresh | (one_way & (target < device.stored(state)))
    for_reset, for_pulses = (None, None) if key is None else jax.random.split(key)
    aim = jnp.where(one_way, jnp.maximum(target, device.stored(lowest)), target)
    n, short = _by_mean(device, select(erase, device.reset(state), state), aim, most)
    start = select(erase, device.reset(state, key=for_reset), state)
    none = jnp.zeros_like(n)
    after = device.program(start, n, key=for_pulses)
    return Programmed(after, jnp.maximum(n, 0), jnp.maximum(-n, 0), none + erase.astype(jnp.int32), none, short)


def open_loop(
    device: AbstractPulseDevice, state: Any, target: Real, *, most: int = 1000, fresh: bool = True, key: Key
) -> Programmed:
    """Blind programming: a RESET, then as many pulses as bring the mean device nearest to its target.

    `target` in S is the programmed conductance (`device.stored`), any shape that broadcasts with the state;
    at most `most` pulses. With `fresh` False the pulses, up or down, continue from where the device is; only a
    device without partial down pulses is RESET first, where its target is below. A target below what a RESET leaves
    is taken to be that there. The count comes from the
    noise-free law of each cell, so all noise of the pulses stays in the result. Without a key nothing is noisy.
    Definition, no source. InputError for a target outside the range or `most` < 0.
    """
    if most < 0:
        raise InputError(f"most is {most} pulses; allowed: 0 and above.")
    state, target = _prepare(device, state, target)
    return _blind(device, state, target, jnp.asarray(most, jnp.int32), fresh, key)


def _wanted(device: AbstractPulseDevice, state: Any, seen: Real, missing: Real) -> Real:
    """What is missing over one noise-free pulse from where the read says that the device is; 1 if none helps."""
    sign = jnp.where(missing > 0, 1, -1).astype(jnp.int32)
    believed = device.place(state, seen)
    step = sign.astype(seen.dtype) * (device.stored(device.program(believed, sign)) - device.stored(believed))
    helps = step > 0
    return jnp.where(helps, jnp.abs(missing) / jnp.where(helps, step, 1.0), 1.0)


def _round(device: AbstractPulseDevice, goal: _Goal, how: _Verify, work: _Work, *, key: Key) -> _Work:
    """One verify of every unfinished device, and the pulses that follow from it."""
    for_read, for_pulse, for_reset = (None, None, None) if key is None else jax.random.split(key, 3)
    done, unfinished = work
    seen = how.read(device, done.state, for_read)
    missing = goal.target - seen
    good = jnp.abs(missing) <= goal.error
    left = how.most - (done.up + done.down + done.resets)
    going = unfinished & ~good & (left > 0)
    wanted = jax.lax.cond(
        (going & ~goal.one_way).any(),
        lambda: jnp.where(goal.one_way, 1.0, _wanted(device, done.state, seen, missing)),
        lambda: jnp.ones_like(missing),
    )
    most = jnp.maximum(jnp.minimum(how.most // 10, left), 1)
    n = jnp.where(going, jnp.clip(jnp.round(wanted), 1, most.astype(wanted.dtype)), 0).astype(jnp.int32)
    rise = missing > 0
    erase = going & ~rise & goal.one_way
    up, down = jnp.where(rise, n, 0), jnp.where(rise | goal.one_way, 0, n)
    pulsed = device.program(done.state, up - down, key=for_pulse)
    state = jax.lax.cond(
        erase.any(), lambda: select(erase, device.reset(pulsed, key=for_reset), pulsed), lambda: pulsed
    )
    resets, reads = done.resets + erase.astype(jnp.int32), done.reads + jnp.where(unfinished, max(how.reads, 1), 0)
    failed = jnp.where(unfinished, ~good, done.failed)
    return _Work(Programmed(state, done.up + up, done.down + down, resets, reads, failed), going)


def _until(enough: Int[Array, ""], step: Callable[..., _Work], work: _Work, key: Key) -> _Work:
    """`step` with one key after the other, until no more than `enough` devices are unfinished."""

    def more(carry: tuple[Count, _Work]) -> Flags:
        return carry[1].unfinished.sum() > enough

    def once(carry: tuple[Count, _Work]) -> tuple[Count, _Work]:
        k, now = carry
        return k + 1, step(now, key=None if key is None else jax.random.fold_in(key, k))

    return jax.lax.while_loop(more, once, (jnp.int32(0), work))[1]


def _burst(device: AbstractPulseDevice, goal: _Goal, how: _Verify, slots: int, work: _Work, *, key: Key) -> _Work:
    """The first `slots` unfinished devices, worked on until a quarter of them is done."""
    number = work.unfinished.size
    place = jnp.nonzero(work.unfinished, size=slots, fill_value=number)[0]

    def take(leaf: Array) -> Array:
        return leaf.at[place].get(mode="clip")

    chosen = jax.tree.map(take, work)._replace(unfinished=place < number)
    rounds = partial(_round, _each(device, take), jax.tree.map(take, goal), how)
    done = _until((3 * chosen.unfinished.sum()) // 4, rounds, chosen, key)
    return jax.tree.map(lambda full, part: full.at[place].set(part, mode="drop"), work, done)


@eqx.filter_jit
def _verified(device: Any, state: Any, target: Real, error: Real, how: _Verify, key: Key) -> Programmed:
    shape, number = target.shape, target.size

    def flat(leaf: Array) -> Array:
        return jnp.broadcast_to(leaf, shape).reshape(number)

    device, state, target, error = _each(device, flat), jax.tree.map(flat, state), flat(target), flat(error)
    fresh = device.init((number,))
    answers, one_way = _one_way(device, fresh)
    lowest = jnp.where(answers, device.conductance(fresh, how.settle), target)
    goal = _Goal(jnp.maximum(target, lowest), error, one_way)
    none = jnp.zeros(number, jnp.int32)
    work = _Work(Programmed(state, none, none, none, none, none == 0), none == 0)
    sizes = [s for s in SLOTS if s < number]
    for stage, (slots, enough) in enumerate(zip(sizes, [*sizes[1:], 0], strict=False)):
        own = None if key is None else jax.random.fold_in(key, stage)
        work = _until(jnp.asarray(enough), partial(_burst, device, goal, how, slots), work, own)
    if not sizes:
        work = _until(jnp.asarray(0), partial(_round, device, goal, how), work, key)
    return jax.tree.map(lambda leaf: leaf.reshape(shape), work.done)


def write_verify(
    device: AbstractPulseDevice,
    state: Any,
    target: Real,
    *,
    tolerance: Real | float,
    most: int = 1000,
    settle: Seconds = 1.0,
    reads: int = 1,
    key: Key,
) -> Programmed:
    """Read, pulse, read again, until each device is within `tolerance` of its target or has had `most` pulses.

    `target` in S is what a read sees `settle` seconds after the last pulse, any shape that broadcasts with the
    state; `tolerance` is a share of G_max − G_min. One verify is the mean of `reads` noisy reads (0: one read
    without noise). A target below what a RESET leaves is taken to be that.

    The law without noise decides how a device is driven: one pulse up at a time, and a RESET after an overshoot,
    where a down pulse is a RESET or does nothing; elsewhere up or down by what is missing over the step of one
    pulse at the conductance read, at least one pulse and at most `most`/10 a time. Finished devices are left alone,
    and every age counts from a device's own last pulse: let time pass with `device.wait`.

    Unfinished devices are gathered into a buffer, of each size in `SLOTS` in turn. Stage s, burst b and round k in
    it draw from fold_in(fold_in(fold_in(key, s), b), k), one sample a place in the buffer: the same call gives the
    same result, and another size of the buffer other samples of the same distribution. Without a key nothing is noisy.
    Definition, no source. InputError for a target outside the range and for settings outside theirs.
    """
    for name, value, good, allowed in (
        ("tolerance", tolerance, lambda x: (x > 0) & np.isfinite(x), "above 0"),
        ("most", most, lambda x: x >= 0, "0 and above"),
        ("settle", settle, lambda x: (x >= 0) & np.isfinite(x), "0 s and above"),
        ("reads", reads, lambda x: x >= 0, "0 (noise-free) and above"),
    ):
        if is_concrete(value) and not np.all(good(np.asarray(value))):
            raise InputError(f"{name} is {value}; allowed: {allowed}.")
    state, target = _prepare(device, state, target)
    error = jnp.broadcast_to(jnp.asarray(tolerance, target.dtype) * span(device), target.shape)
    how = _Verify(jnp.asarray(settle, target.dtype), jnp.asarray(most, jnp.int32), reads)
    return _verified(device, state, target, error, how, key)


@eqx.filter_jit
def _drawn(device: Any, target: Real, t: Real, noisy: bool, key: Key) -> Real:
    write, read = (None, None) if key is None else jax.random.split(key)
    state = device.place(device.init(target.shape), target, key=write)
    return device.conductance(state, t, key=read if noisy else None)


def statistical(device: AbstractPulseDevice, target: Real, t: Seconds, *, noisy: bool = False, key: Key) -> Real:
    """Conductances in S, `t` seconds after fresh devices were put at `target` S, in the shape of `target`.

    `device.place` draws the error of a finished programming where the model has one (`PCMJoshi`: the error and
    the drift exponent) and is exact elsewhere; `noisy` adds one read noise. For large arrays: no pulse is
    simulated. Without a key nothing is noisy. InputError for a target outside the range.
    """
    _, target = _prepare(device, device.init(), target)
    return _drawn(device, target, jnp.asarray(t, target.dtype), noisy, key)
