"""One law fitted to current–voltage loops: simulation through the device, many starts, weights, noise.

The voltage is a straight line between the measured points; the state is advanced at the middle of `FINE` or fewer
parts of each interval. Noise of a point is Gaussian with variance (relative·i)² + floor², both estimated; a first pass
compares arsinh(i/small), so that currents over many decades count alike. Under a compliance the device sees only the
voltage at which it carries the limit. Whole studies run as one program: every array may have a leading axis of sets.
"""

import dataclasses
import math
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy import optimize

from memspike.devices.base import AbstractStateDevice
from memspike.devices.numerics import bisect
from memspike.fitting.least_squares import minimise, uncertainty
from memspike.fitting.loops import Loops, span
from memspike.fitting.state_laws import LAWS, SHARE, Law

Vector = Float[Array, " _"]
FINE, STEPS = 8, 1600  # parts of an interval at most; steps of one simulated cycle wanted
STARTS, KEPT = 192, 4  # screened starts of each orientation; those that are followed
FIRST_STEPS, STEPS_A_ROUND, ROUNDS = 40, 15, 3
SMALL = 1e-3  # of the largest current: below it, the first pass compares differences, above it ratios
BISECTIONS = 30


class Wave(NamedTuple):
    """What drives the device: voltage, seconds and compliance of each part of each interval, and at each point."""

    v_part: Vector
    dt_part: Vector
    limit_part: Vector
    v: Vector
    limit: Vector


class Lane(NamedTuple):
    """One fit: orientation ±1, measured current, weight of each point, scale of the arsinh."""

    sign: Float[Array, ""]
    i: Vector
    weight: Vector
    small: Float[Array, ""]


@dataclasses.dataclass(frozen=True)
class Found:
    """One set fitted: coordinates, their half 95 % intervals, weak groups, orientation, noise, currents, BIC."""

    theta: np.ndarray
    half: np.ndarray
    weak: list[list[int]]
    sign: int
    relative: float
    floor: float
    current: np.ndarray
    deviance: float
    bic: float


def wave(data: Loops) -> Wave:
    """The waveform of loops, cut into parts."""
    parts = int(np.clip(math.ceil(STEPS * data.cycles / len(data.v)), 1, FINE))
    middle = (np.arange(parts) + 0.5) / parts
    v = data.v[:-1, None] + np.diff(data.v)[:, None] * middle
    dt = np.repeat(np.diff(data.t) / parts, parts)
    return Wave(v.ravel(), dt, np.repeat(data.limit[1:], parts), data.v, data.limit)


def limited(device: AbstractStateDevice, state: Any, v: Vector, limit: Vector) -> Vector:
    """The voltage across the device under a compliance: `v`, or where it carries `limit`; differentiable."""
    zero = jnp.zeros_like(v)
    size = jnp.abs(v)
    turn = jnp.where(v < 0, -1.0, 1.0)
    low, high = bisect(lambda u: jnp.abs(device.current(state, turn * u)) < limit, zero, size, BISECTIONS)
    root = jax.lax.stop_gradient(0.5 * (low + high))
    i, slope = jax.jvp(lambda u: turn * device.current(state, turn * u), (root,), (jnp.ones_like(root),))
    exact = root - (i - limit) / jax.lax.stop_gradient(jnp.maximum(slope, 1e-30))
    return turn * jnp.where(high < size, exact, size)


def simulate(law: Law, theta: Vector, sign: Float[Array, ""], drive: Wave, *, compliance: bool) -> Vector:
    """The current in A at each point."""
    values = {n: c.natural(theta[k]) for k, (n, c) in enumerate(zip(law.names, law.coordinates(), strict=True))}
    options = {"substeps": 1} if any(f.name == "substeps" for f in dataclasses.fields(law.cls)) else {}
    device = law.build(values, **options)
    state = jax.tree.map(jnp.asarray, law.first(device, values.get(SHARE)))

    def step(state: Any, part: tuple[Vector, Vector, Vector]) -> tuple[Any, Any]:
        v, dt, limit = part
        v = sign * v
        v = limited(device, state, v, limit) if compliance else v
        after = device.advance(state, v, dt)
        return after, after

    _, after = jax.lax.scan(step, state, (drive.v_part, drive.dt_part, drive.limit_part))
    parts = drive.v_part.size // (drive.v.size - 1)
    states = jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest[parts - 1 :: parts]]), state, after)
    i = sign * device.current(states, sign * drive.v)
    return jnp.clip(i, -drive.limit, drive.limit) if compliance else i


def _residuals(law: Law, theta: Vector, lane: Lane, drive: Wave, compliance: bool) -> Vector:
    i = simulate(law, theta, lane.sign, drive, compliance=compliance)
    return lane.weight * lane.small * (jnp.arcsinh(lane.i / lane.small) - jnp.arcsinh(i / lane.small))


@lru_cache(maxsize=64)
def _programs(name: str, compliance: bool) -> tuple[Any, Any, Any]:
    """Compiled for lanes: the sum of squares, the minimum, the current."""
    law = LAWS[name]

    def cost(theta: Vector, lane: Lane, drive: Wave) -> Array:
        r = _residuals(law, theta, lane, drive, compliance)
        return jnp.nan_to_num(jnp.sum(r * r), nan=jnp.inf)

    def least(theta: Vector, lane: Lane, drive: Wave, ends: tuple[Vector, Vector], most: Array) -> Any:
        return minimise(lambda t: _residuals(law, t, lane, drive, compliance), theta, *ends, most)

    def current(theta: Vector, sign: Array, drive: Wave) -> Array:
        return simulate(law, theta, sign, drive, compliance=compliance)

    return (
        jax.jit(jax.vmap(cost, (0, 0, None))),
        jax.jit(jax.vmap(least, (0, 0, None, None, None))),
        jax.jit(jax.vmap(current, (0, 0, None))),
    )


def _starts(law: Law, data: Loops, sign: int, rng: np.random.Generator, count: int) -> np.ndarray:
    seen, coordinates, rows = span(data, sign), law.coordinates(), []

    def draw(low: float, high: float) -> float:
        return low * (high / low) ** rng.random()

    for _ in range(count):
        values = law.start(seen, draw) | {SHARE: rng.random() ** 3}
        rows.append([c.theta(values[n]) for n, c in zip(law.names, coordinates, strict=True)])
    return np.array(rows)


def noise_of(measured: np.ndarray, current: np.ndarray, known: np.ndarray) -> tuple[float, float, float]:
    """Relative noise, floor in A and deviance (−2·log likelihood) of measured currents about simulated ones."""
    r, i = (measured - current)[known], current[known]
    top, usual = np.abs(measured).max(), max(float(np.sqrt(np.mean(r * r))), 1e-300)

    def deviance(p: np.ndarray) -> float:
        variance = np.exp(2 * p[0]) * i * i + np.exp(2 * p[1])
        return float(np.sum(r * r / variance + np.log(2 * np.pi * variance)))

    box = [(np.log(1e-6), np.log(10.0)), (np.log(1e-7 * top), np.log(10 * top))]
    guesses = [(usual / top, usual), (0.02, 1e-3 * usual), (1e-3, usual)]
    tries = [optimize.minimize(deviance, np.clip(np.log(g), *zip(*box, strict=True)), bounds=box) for g in guesses]
    best = min(tries, key=lambda t: t.fun)
    return float(np.exp(best.x[0])), float(np.exp(best.x[1])), float(best.fun)


def _lanes(signs: np.ndarray, i: np.ndarray, weight: np.ndarray, small: np.ndarray) -> Lane:
    return Lane(*(jnp.asarray(a, dtype=float) for a in (signs, i, weight, small)))


def fit_law(name: str, data: list[Loops], *, seed: int = 0, starts: int = STARTS) -> list[Found]:
    """A law fitted to sets that share one waveform (one set usually), each from many starts."""
    with jax.enable_x64(True):
        return _fit_law(name, data, seed, starts)


def _fit_law(name: str, data: list[Loops], seed: int, count: int) -> list[Found]:
    law, drive, sets = LAWS[name], Wave(*map(jnp.asarray, wave(data[0]))), len(data)
    compliance = bool(np.isfinite(data[0].limit).any())
    cost, least, current = _programs(name, compliance)
    ends = tuple(jnp.asarray(e) for e in zip(*(c.ends() for c in law.coordinates()), strict=True))
    rng = np.random.default_rng(seed)
    measured = np.stack([np.clip(d.i, -d.limit, d.limit) if compliance else d.i for d in data])
    top = np.abs(measured).max(axis=1)

    thetas = np.stack([np.concatenate([_starts(law, d, s, rng, count) for s in (1, -1)]) for d in data])
    signs = np.tile(np.repeat([1.0, -1.0], count), sets)
    each = np.repeat(np.arange(sets), 2 * count)
    small = SMALL * top
    flat = np.ones_like(measured) / (0.05 * small[:, None])
    costs = cost(thetas.reshape(signs.size, -1), _lanes(signs, measured[each], flat[each], small[each]), drive)
    order = np.argsort(np.asarray(costs).reshape(sets, -1), axis=1)[:, :KEPT]
    theta = np.take_along_axis(thetas, order[:, :, None], axis=1).reshape(sets * KEPT, -1)
    sign = np.where(order.ravel() < count, 1.0, -1.0)

    each = np.repeat(np.arange(sets), KEPT)
    lane = _lanes(sign, measured[each], flat[each], small[each])
    theta = least(jnp.asarray(theta), lane, drive, ends, jnp.asarray(FIRST_STEPS)).theta
    known = np.stack([~d.held for d in data])
    for last in range(ROUNDS):
        i = np.asarray(current(theta, lane.sign, drive))
        noise = [noise_of(measured[k], i[n], known[k]) for n, k in enumerate(each)]
        if last == 0:  # the best start of each set goes on
            best = [min(range(k * KEPT, (k + 1) * KEPT), key=lambda n: noise[n][2]) for k in range(sets)]
            theta, sign, i, each = theta[np.array(best)], sign[best], i[best], np.arange(sets)
            noise = [noise[n] for n in best]
        weight = np.stack([1 / np.sqrt((a * row) ** 2 + b * b) for (a, b, _), row in zip(noise, i, strict=True)])
        lane = _lanes(sign, measured, weight, 1e6 * top)
        found = least(theta, lane, drive, ends, jnp.asarray(STEPS_A_ROUND))
        theta = found.theta
    i = np.asarray(current(theta, lane.sign, drive))
    return [
        _found(np.asarray(theta[k]), int(sign[k]), np.asarray(found.jacobian[k]), (measured[k], i[k], known[k]))
        for k in range(sets)
    ]


def _found(theta: np.ndarray, sign: int, jacobian: np.ndarray, loop: tuple[np.ndarray, ...]) -> Found:
    half, weak = uncertainty(jacobian)
    relative, floor, deviance = noise_of(*loop)
    bic = deviance + (theta.size + 2) * np.log(loop[2].sum())
    return Found(theta, half, weak, sign, relative, floor, loop[1], deviance, float(bic))
