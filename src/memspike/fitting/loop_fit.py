"""One law fitted to current–voltage loops: simulation through the device, many starts, weights, noise.

The voltage is a straight line between the measured points; the state is advanced at the middle of `FINE` or fewer
parts of each interval. Noise of a point is Gaussian with variance (relative·i)² + floor², both estimated; a first pass
compares arsinh(i/small), so that currents over many decades count alike. Under a compliance steps are as short as a
tolerance of the state asks. Whole studies run as one program: every array may have a leading axis of sets.
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

from memspike.devices.base import Real
from memspike.fitting.compliance import advance, limited
from memspike.fitting.least_squares import NORMAL_95, WIDE, leverage, minimise, uncertainty
from memspike.fitting.loops import Loops, span
from memspike.fitting.state_laws import LAWS, SHARE, Law

Vector = Float[Array, "..."]  # points or parameters; lanes in front where a program is mapped
STEPS, FINE_STEPS = 600, 4800  # of one simulated cycle: for starts and intervals, for the result
FINE = 32  # parts of an interval at most
TOLERANCE = 1e-4  # of the state, under a compliance
STARTS, KEPT = 256, 6  # screened starts of each orientation; those that are followed
HELD_KEPT = 10  # times as many under a compliance: an abrupt set leaves many minima
FIRST_STEPS, STEPS_A_ROUND, ROUNDS, PROFILE_STEPS = 80, 40, 3, 25
SMALL = 1e-3  # of the largest current: below it, the first pass compares differences, above it ratios
NEARLY = 3.84  # deviance within which another minimum is as likely: its interval counts too
MANY = 2000  # steps above which copies would cost more than another compilation
LINEAR = 1e6  # of the largest current: with this scale the arsinh is a straight line


class Wave(NamedTuple):
    """What drives the device: voltage and seconds of each part of an interval, voltage and compliance at each point."""

    v_part: Vector
    dt_part: Vector
    v: Vector
    limit: Vector


class Lane(NamedTuple):
    """One fit: orientation ±1, measured current, weight of each point, scale of the arsinh."""

    sign: Real
    i: Vector
    weight: Vector
    small: Real


@dataclasses.dataclass(frozen=True)
class Found:
    """One set fitted, in coordinates of the optimiser: θ, covariance, lengths of the 95 % intervals down and up.

    `weak` are groups that only act together, `sign` the orientation, `current` the simulated one in A, `firm` whether
    the likelihood keeps falling beyond an interval, `rest` the ends of other minima that are nearly as likely.
    """

    theta: np.ndarray
    covariance: np.ndarray
    half: np.ndarray
    weak: list[list[int]]
    sign: int
    relative: float
    floor: float
    current: np.ndarray
    deviance: float
    bic: float
    firm: np.ndarray | None = None
    rest: np.ndarray | None = None


def wave(data: Loops, steps: int, most: int = FINE) -> Wave:
    """The waveform of loops, cut into parts: about `steps` of them a cycle, at most `most` an interval."""
    parts = int(np.clip(math.ceil(steps * data.cycles / len(data.v)), 1, most))
    middle = (np.arange(parts) + 0.5) / parts
    v = data.v[:-1, None] + np.diff(data.v)[:, None] * middle
    dt = np.repeat(np.diff(data.t) / parts, parts)
    arrays = (v.ravel(), dt, data.v, data.limit)
    return Wave(*(jnp.asarray(a, dtype=float) for a in arrays))


def simulate(law: Law, theta: Vector, sign: Real, drive: Wave, *, compliance: bool) -> Vector:
    """The current in A at each point."""
    values = {n: c.natural(theta[k]) for k, (n, c) in enumerate(zip(law.names, law.coordinates(), strict=True))}
    options = {"substeps": 1} if any(f.name == "substeps" for f in dataclasses.fields(law.cls)) else {}
    device = law.build(values, **options)
    state = jax.tree.map(jnp.asarray, law.first(device, values.get(SHARE)))
    ends, bend = law.reach(device), law.bend and law.bend(device)

    def step(state: Any, part: tuple[Real, Real]) -> tuple[Any, Any]:
        after = device.advance(state, sign * part[0], part[1])
        return after, after

    def held(state: Any, interval: tuple[Real, Real, Real, Real]) -> tuple[Any, Any]:
        v, dv, dt, limit = interval

        def across(x: Any, gone: Real) -> Real:
            return limited(device, x, sign * (v + gone * dv), limit, bend)

        after = advance(device, across, state, dt, ends, TOLERANCE)
        return after, after

    parts = drive.v_part.size // (drive.v.size - 1)
    if compliance or law.stiff:
        dt, parts = drive.dt_part[::parts] * parts, 1
        _, after = jax.lax.scan(held, state, (drive.v[:-1], jnp.diff(drive.v), dt, drive.limit[1:]))
    else:
        _, after = jax.lax.scan(step, state, (drive.v_part, drive.dt_part))
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

    def least(theta: Vector, lane: Lane, drive: Wave, ends: Array, most: Array) -> Any:
        return minimise(lambda t: _residuals(law, t, lane, drive, compliance), theta, ends[0], ends[1], most)

    def current(theta: Vector, sign: Array, drive: Wave) -> Array:
        return simulate(law, theta, sign, drive, compliance=compliance)

    return (
        jax.jit(jax.vmap(cost, (0, 0, None))),
        jax.jit(jax.vmap(least, (0, 0, None, 0, None))),
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

    box = np.log([[1e-6, 10.0], [1e-7 * top, 10 * top]])
    guesses = [(usual / top, usual), (0.02, 1e-3 * usual), (1e-3, usual)]
    tries = [optimize.minimize(deviance, np.clip(np.log(g), box[:, 0], box[:, 1]), bounds=box) for g in guesses]
    best = min(tries, key=lambda t: t.fun)
    return float(np.exp(best.x[0])), float(np.exp(best.x[1])), float(best.fun)


def _lanes(*arrays: np.ndarray) -> Lane:
    return Lane(*(jnp.asarray(a, dtype=float) for a in arrays))


@dataclasses.dataclass(frozen=True)
class Study:
    """Sets that share one waveform, under one law: their arrays, its programs and bounds."""

    name: str
    data: list[Loops]
    measured: np.ndarray
    known: np.ndarray
    drive: Wave
    ends: np.ndarray
    programs: tuple[Any, Any, Any]

    def least(self, theta: np.ndarray, lane: Lane, steps: int, ends: np.ndarray | None = None) -> tuple[Any, Any, Any]:
        """Minima of lanes from `theta`, each inside its `ends` (2 × parameters) → θ, sums of squares, Jacobians."""
        box = np.broadcast_to(self.ends if ends is None else ends, (len(theta), *self.ends.shape))
        start = np.clip(theta, box[:, 0], box[:, 1])
        rows = self.rows(len(theta))
        few = jax.tree.map(lambda a: jnp.asarray(a)[rows], (start, lane, box))
        found = self.programs[1](few[0], few[1], self.drive, few[2], jnp.asarray(steps))
        theta, cost, jacobian = (np.asarray(a)[: len(theta)] for a in found)
        return theta, cost - np.sum(((theta - start) / WIDE) ** 2, axis=1), jacobian

    def rows(self, count: int) -> np.ndarray:
        """Lanes, a few of them filled up by copies to as many as profiles need: one program is compiled for all."""
        most = 2 * self.ends.shape[1]
        return np.arange(count if count > most or len(self.drive.v_part) > MANY else most) % count

    def current(self, theta: np.ndarray, sign: np.ndarray) -> np.ndarray:
        """Simulated currents of lanes."""
        rows = self.rows(len(theta))
        return np.asarray(self.programs[2](jnp.asarray(theta)[rows], jnp.asarray(sign)[rows], self.drive))[: len(theta)]

    def noises(self, current: np.ndarray, sets: np.ndarray) -> list[tuple[float, float, float]]:
        """Noise and deviance of lanes."""
        return [noise_of(self.measured[k], i, self.known[k]) for k, i in zip(sets, current, strict=True)]

    def unbiased(self, current: np.ndarray, jacobian: np.ndarray) -> list[tuple[float, float, float]]:
        """Noise of all sets, where residuals are made as large again as the fit has made them small (leverage)."""
        left = np.stack([1 - leverage(j) for j in jacobian])
        about = current + (self.measured - current) / np.sqrt(np.maximum(left, 0.1))
        return [noise_of(*row) for row in zip(about, current, self.known, strict=True)]


def _study(name: str, data: list[Loops], steps: int) -> Study:
    compliance = bool(np.isfinite(data[0].limit).any())
    measured = np.stack([np.clip(d.i, -d.limit, d.limit) for d in data])
    ends = np.array([c.ends() for c in LAWS[name].coordinates()]).T
    drive = wave(data[0], steps)
    return Study(name, data, measured, np.stack([~d.held for d in data]), drive, ends, _programs(name, compliance))


def _screened(study: Study, count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best starts of each set after a first pass: θ, orientation, set."""
    kept = KEPT * (HELD_KEPT if np.isfinite(study.data[0].limit).any() else 1)
    law, sets, rng = LAWS[study.name], len(study.data), np.random.default_rng(seed)
    turns = (1,) if law.symmetric else (1, -1)
    thetas = np.stack([np.concatenate([_starts(law, d, s, rng, count) for s in turns]) for d in study.data])
    thetas = np.clip(thetas, *study.ends)
    sign = np.tile(np.repeat(np.array(turns, float), count), sets)
    small = SMALL * np.abs(study.measured).max(axis=1)

    def lanes(sign: np.ndarray, each: np.ndarray) -> Lane:
        flat = np.ones_like(study.measured[each]) / (0.05 * small[each, None])
        return _lanes(sign, study.measured[each], flat, small[each])

    each = np.repeat(np.arange(sets), thetas.shape[1])
    costs = study.programs[0](jnp.asarray(thetas.reshape(sign.size, -1)), lanes(sign, each), study.drive)
    order = np.argsort(np.asarray(costs).reshape(sets, -1), axis=1)[:, :kept]
    theta = np.take_along_axis(thetas, order[:, :, None], axis=1).reshape(sets * kept, -1)
    sign, each = np.where(order.ravel() < count, 1.0, -1.0), np.repeat(np.arange(sets), kept)
    return study.least(theta, lanes(sign, each), FIRST_STEPS)[0], sign, each


def _weights(noise: list[tuple[float, float, float]], current: np.ndarray) -> np.ndarray:
    return np.stack([1 / np.hypot(a * i, b) for (a, b, _), i in zip(noise, current, strict=True)])


def fit_law(name: str, data: list[Loops], *, seed: int = 0, starts: int = STARTS) -> list[Found]:
    """A law fitted to sets that share one waveform (one set usually), each from many starts."""
    with jax.enable_x64(True):
        study, top = _study(name, data, STEPS), np.stack([np.abs(d.i).max() for d in data])
        theta, sign, each = _screened(study, starts, seed)
        jacobian = np.zeros(())
        for _ in range(ROUNDS):
            current = study.current(theta, sign)
            weight = _weights(study.noises(current, each), current)
            theta, _, jacobian = study.least(
                theta, _lanes(sign, study.measured[each], weight, LINEAR * top[each]), STEPS_A_ROUND
            )
        current = study.current(theta, sign)
        noise = study.noises(current, each)
        found = []
        for k, n in enumerate(each):
            covariance, weak = uncertainty(jacobian[k])
            spent = (theta.shape[1] + 2) * np.log(study.known[n].sum())
            row = (*noise[k][:2], current[k], noise[k][2], float(noise[k][2] + spent))
            half = NORMAL_95 * np.sqrt(np.diag(covariance))[:, None] * np.ones(2)
            found.append(Found(theta[k], covariance, half, weak, int(sign[k]), *row))
        return [_best([found[k] for k in np.flatnonzero(each == n)]) for n in range(len(data))]


def _best(found: list[Found]) -> Found:
    """The likeliest of the minima of one set; `rest` holds the intervals of others that are nearly as likely."""
    best = min(found, key=lambda f: f.deviance)
    near = [f for f in found if f.deviance < best.deviance + NEARLY and f.sign == best.sign]
    rest = np.array([[f.theta - f.half[:, 0], f.theta + f.half[:, 1]] for f in near])
    return dataclasses.replace(best, rest=np.array([rest[:, 0].min(axis=0), rest[:, 1].max(axis=0)]))


def profiled(name: str, data: list[Loops], found: list[Found]) -> list[Found]:
    """The same with 95 % intervals from the profile likelihood: how far a parameter goes, the others following.

    A walk along a profile that finds a better minimum starts again from there, once.
    """
    with jax.enable_x64(True):
        study = _study(name, data, STEPS)
        theta, sign = np.stack([f.theta for f in found]), np.array([float(f.sign) for f in found])
        current = np.stack([f.current for f in found])
        noise = [(f.relative, f.floor, 0.0) for f in found]
        top = np.abs(study.measured).max(axis=1)
        lane = _lanes(sign, study.measured, _weights(noise, current), LINEAR * top)
        walk = _Walk(study, lane, np.stack([f.covariance for f in found]))
        theta, least, jacobian = study.least(theta, lane, STEPS_A_ROUND)
        current = study.current(theta, sign)
        lane = _lanes(sign, study.measured, _weights(study.unbiased(current, jacobian), current), LINEAR * top)
        walk = dataclasses.replace(walk, lane=lane)
        theta, least, jacobian = study.least(theta, lane, STEPS_A_ROUND)
        ends, below, better = walk.first(theta, least)
        if (below < -0.1).any():
            theta, least, jacobian = study.least(np.where(below[:, None] < -0.1, better, theta), lane, FIRST_STEPS)
            walk = dataclasses.replace(walk, covariance=np.stack([uncertainty(j)[0] for j in jacobian]))
            ends, _, _ = walk.first(theta, least)
        half = walk.second(theta, least, ends)
        firm = walk.firm(theta, least, ends, half)
        names = ("theta", "covariance", "weak", "half", "firm")
        rows = [(theta[k], *uncertainty(jacobian[k]), half[k], firm[k]) for k in range(len(found))]
        found = [
            dataclasses.replace(f, **dict(zip(names, row, strict=True))) for f, row in zip(found, rows, strict=True)
        ]
        return _refined(name, data, found)


def _refined(name: str, data: list[Loops], found: list[Found]) -> list[Found]:
    """The same on the fine grid: parameters, noise, currents and BIC; the lengths of the intervals stay."""
    study, top = _study(name, data, FINE_STEPS), np.stack([np.abs(d.i).max() for d in data])
    theta, sign = np.stack([f.theta for f in found]), np.array([float(f.sign) for f in found])
    current, noise = np.stack([f.current for f in found]), [(f.relative, f.floor, 0.0) for f in found]
    for steps in (STEPS_A_ROUND, STEPS_A_ROUND // 2):
        lane = _lanes(sign, study.measured, _weights(noise, current), LINEAR * top)
        theta, _, jacobian = study.least(theta, lane, steps)
        current = study.current(theta, sign)
        noise = study.unbiased(current, jacobian)
    likeliest = study.noises(current, np.arange(len(data)))
    for f, t in zip(found, theta, strict=True):  # another minimum that is as likely widens the interval
        low, high = f.rest if f.rest is not None else (t, t)
        f.half[:] = np.maximum(f.half, np.stack([t - low, high - t], axis=1))
    return [
        dataclasses.replace(
            f, theta=t, relative=n[0], floor=n[1], current=i, bic=f.bic + m[2] - f.deviance, deviance=m[2]
        )
        for f, t, n, m, i in zip(found, theta, noise, likeliest, current, strict=True)
    ]


@dataclasses.dataclass(frozen=True)
class _Walk:
    """Profiles of all parameters of all sets in both directions, as lanes (set, parameter, side)."""

    study: Study
    lane: Lane
    covariance: np.ndarray

    def _at(self, theta: np.ndarray, start: np.ndarray, moved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The others at their best where each parameter stands `moved` away → θ and sums of squares of the lanes."""
        sets, size = theta.shape
        number = np.tile(np.repeat(np.arange(size), 2), sets)
        rows = np.arange(number.size)
        box = np.broadcast_to(self.study.ends, (number.size, 2, size)).copy()
        place = np.clip(theta[:, :, None] + moved, *(e[:, None] for e in self.study.ends)).ravel()
        box[rows, :, number] = place[:, None]
        lane = Lane(*(jnp.repeat(a, 2 * size, axis=0) for a in self.lane))
        where, squares, _ = self.study.least(np.array(start).reshape(number.size, size), lane, PROFILE_STEPS, box)
        return where.reshape(sets, size, 2, size), squares.reshape(sets, size, 2)

    def first(self, theta: np.ndarray, least: np.ndarray) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
        """As far as the curvature says → (moved, θ, ratio to 1.96) of the lanes; the lowest of each set and its θ."""
        variance = np.diagonal(self.covariance, axis1=1, axis2=2)
        moved = np.minimum(NORMAL_95 * np.sqrt(variance), WIDE)[:, :, None] * np.array([-1.0, 1.0])
        along = self.covariance / variance[:, None, :]
        start = theta[:, None, None, :] + moved[..., None] * np.swapaxes(along, 1, 2)[:, :, None, :]
        where, squares = self._at(theta, start, moved)
        rise = squares - least[:, None, None]
        lowest = rise.reshape(len(theta), -1).argmin(axis=1)
        best = where.reshape(len(theta), -1, theta.shape[1])[np.arange(len(theta)), lowest]
        return (moved, where, self._ratio(rise)), rise.reshape(len(theta), -1).min(axis=1), best

    def _ratio(self, rise: np.ndarray) -> np.ndarray:
        return np.sqrt(np.maximum(np.nan_to_num(rise, nan=100.0), 1e-4)) / NORMAL_95

    def second(self, theta: np.ndarray, least: np.ndarray, ends: tuple[np.ndarray, ...]) -> np.ndarray:
        """Once more where the first walk says that the rise is 3.84, then in between → half intervals."""
        moved, where, ratio = ends
        stretch = 1 / np.clip(ratio, 1 / 4, 4)
        start = theta[:, None, None, :] + (where - theta[:, None, None, :]) * stretch[..., None]
        _, squares = self._at(theta, start, moved * stretch)
        again = self._ratio(squares - least[:, None, None])
        apart = np.where(np.abs(again - ratio) > 0.05, again - ratio, np.inf)
        steady = np.where(np.isinf(apart) | (apart * (stretch - 1) <= 0), stretch / again, 0.0)
        between = np.where(steady > 0, steady, 1 + (1 - ratio) * (stretch - 1) / np.where(steady > 0, 1.0, apart))
        return np.abs(moved) * np.clip(between, 0.1, 20.0)

    def firm(self, theta: np.ndarray, least: np.ndarray, ends: tuple[np.ndarray, ...], half: np.ndarray) -> np.ndarray:
        """Whether the rise goes on at three times the interval, in both directions: a flat tail tells nothing."""
        moved, where, _ = ends
        far = np.sign(moved) * 3 * half
        still = np.broadcast_to(theta[:, None, None, :], where.shape)
        low, high = self.study.ends
        reached = np.abs(np.clip(theta[:, :, None] + far, low[:, None], high[:, None]) - theta[:, :, None])
        squares = np.fmin(*(self._at(theta, start, far)[1] for start in (where, still)))
        rise = np.nan_to_num(squares - least[:, None, None], nan=np.inf)
        return np.asarray(np.all(rise >= NEARLY / 3 * (reached / half) ** 2, axis=2))
