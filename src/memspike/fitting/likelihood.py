"""The likelihood of traces under a step law: hidden conductance, write and read noise, ramps that differ.

Everything is in shares of a range, one range a device. The law is linearised once, at a smooth path through the
reads (less the window offset of the trace), by its values a little above and below the path. What is left is linear
and Gaussian but for glitches, so that one filter (`filter.py`) serves every law.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from memspike.fitting.filter import GLITCHES, Coefficients, Reads, filtered, scores
from memspike.fitting.series import SIDES, Series, Smooth

Vector = Float[np.ndarray, " _"]
SOFT = 1e-9  # a signed parameter is linear below this and logarithmic above
NEAR = 3e-3  # half the width over which the law is linearised
ANYWHERE = 0.3  # s.d. of a first state of which nothing is known
OUTSIDE = 0.02  # shares beyond which the law is continued by its tangent
# of σ_write, σ_write, σ_speed, σ_speed, σ_read, σ_window: logarithms; the lowest stands for none
LOWEST = np.log([1e-6, 1e-6, 1e-4, 1e-4, 1e-6, 1e-5])
HIGHEST = np.log([1.0, 1.0, 2.0, 2.0, 1.0, 2.0])
NOISES = ("noise_up", "noise_down", "variation_up", "variation_down", "read_noise", "window")
DOSES = ("voltage_slope_up", "voltage_slope_down", "width_exponent_up", "width_exponent_down")
DOSE_BOUND = 50.0
STEP = 5e-4  # of θ, in differences; wider than the zones in which laws take a limit
BLOCKS = 1024, 8192  # values of a law in one call
MANY = 4096  # values of one pulse of a law that are rather interpolated
POOL = ThreadPoolExecutor(max_workers=2, thread_name_prefix="fit")  # both directions at once


@dataclass(frozen=True)
class Shape:
    """A law as a function of a vector: `respond(values, sign, share, pulses)` → share after so many pulses (> 0).

    `scales` tells how the optimiser sees each parameter: "log" (positive ones), "linear", or "signed" (an
    arsinh: numbers of either sign over many orders). `low` and `high` bound them in natural units.
    """

    respond: Callable[..., Any]
    scales: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...] = ()  # what `respond` takes is these times the vector, if any

    def whole(self, natural: Vector) -> Vector:
        """What `respond` takes."""
        return np.array(self.weights) @ natural if self.weights else natural

    def natural(self, theta: Vector) -> Vector:
        """Natural parameters of the vector that the optimiser sees."""
        kinds = np.array(self.scales)
        signed = np.where(kinds == "signed", SOFT * np.sinh(np.where(kinds == "signed", theta, 0.0)), theta)
        return np.where(kinds == "log", np.exp(np.where(kinds == "log", theta, 0.0)), signed)

    def vector(self, natural: Vector) -> Vector:
        """What the optimiser sees of natural parameters."""
        kinds = np.array(self.scales)
        signed = np.where(kinds == "signed", np.arcsinh(natural / SOFT), natural)
        return np.where(kinds == "log", np.log(np.where(kinds == "log", natural, 1.0)), signed)


class Group(NamedTuple):
    """Traces that share the directions of their pulses, transposed and padded to the shape of all groups."""

    which: Int[np.ndarray, " traces"]
    sides: tuple[int, ...]
    reads: Reads
    scatter: Float[np.ndarray, " traces"]  # variance of the first states, offsets included
    path: Float[np.ndarray, "gaps traces"]
    pulses: Float[np.ndarray, "gaps traces"]
    volts: Float[np.ndarray, "gaps traces"]
    width: Float[np.ndarray, "gaps traces"]


def _turns(pulses: Float[np.ndarray, "gaps traces"]) -> Bool[np.ndarray, "gaps traces"]:
    """Where the direction of pulses is not that of the pulses before; the first gap of a trace counts."""
    found, last = np.zeros(pulses.shape, bool), np.zeros(pulses.shape[1])
    for k, n in enumerate(np.sign(pulses)):
        found[k] = (n != 0) & (n != last)
        last = np.where(n != 0, n, last)
    return found


def groups(data: Series, share: Smooth, y: Float[np.ndarray, "traces reads"]) -> tuple[Group, ...]:
    """Upward ramps, downward ramps and the rest; `y` are the reads as shares, `share` the path through them."""
    up, down = (data.side(sign) for _, sign in SIDES)
    found = [(sides, np.flatnonzero(on)) for sides, on in (((0,), up), ((1,), down), ((0, 1), ~up & ~down)) if on.any()]
    most = max(len(index) for _, index in found)
    extent = np.nanmax(y) - np.nanmin(y)

    def padded(a: Any, index: Any, fill: float = 0.0) -> Any:
        return np.pad(a[index].T, ((0, 0), (0, most - len(index))), constant_values=fill)

    made = []
    for sides, index in found:
        pulses, path = padded(data.pulses, index), padded(share.path, index, 0.5)
        known = padded(np.isfinite(y).astype(float), index)
        begin, scatter = _begins(share.path[index, 0], len(sides) == 1)
        first, spread = (
            np.pad(a, (0, most - len(index)), constant_values=fill) for a, fill in ((begin, 0.5), (scatter, 1.0))
        )
        reads = Reads(first, padded(np.nan_to_num(y, nan=0.5), index), known, _turns(pulses), np.log(GLITCHES / extent))
        made.append(
            Group(index, sides, reads, spread, path[:-1], pulses, padded(data.volts, index), padded(data.width, index))
        )
    return tuple(made)


def _begins(first: Vector, alike: bool) -> tuple[Vector, Vector]:
    """Mean and variance of the first states of traces: those of several ramps of a direction, else anywhere."""
    if not alike or len(first) < 2:
        return first, np.full(len(first), ANYWHERE**2)
    spread = float(first.var(ddof=1)) * (1 + 2 / len(first)) + NEAR**2
    return np.full(len(first), first.mean()), np.full(len(first), spread)


@partial(jax.jit, static_argnames="respond")
def _after(respond: Any, up: Any, values: Any, share: Any, pulses: Any) -> Any:
    """Shares after `pulses` (> 0) in one direction."""
    return jax.lax.cond(up, lambda: respond(values, 1, share, pulses), lambda: respond(values, -1, share, pulses))


def _respond(shape: Shape, side: int, natural: Vector, share: Any, pulses: Any) -> Any:
    """The law on arrays of any shape, in blocks of few sizes, so that it compiles once or twice whatever the data."""
    flat, n = share.ravel(), np.broadcast_to(pulses, share.shape).ravel()
    block = BLOCKS[0] if flat.size <= BLOCKS[0] else BLOCKS[1]
    whole = -(-flat.size // block) * block
    flat, n = (np.pad(a, (0, whole - a.size), constant_values=fill) for a, fill in ((flat, 0.5), (n, 1.0)))
    values, up = shape.whole(natural), side == 0
    with jax.enable_x64(True):
        parts = [
            _after(shape.respond, up, values, flat[k : k + block], n[k : k + block]) for k in range(0, whole, block)
        ]
        found = np.concatenate([np.asarray(part) for part in parts])
    return found[: share.size].reshape(share.shape)


GRID = np.linspace(-OUTSIDE, 1 + OUTSIDE, BLOCKS[0])


def _many(share: Any, pulses: Any) -> bool:
    """Whether values are so many, all of one pulse, that they are rather interpolated."""
    return share.size > MANY and bool(np.all(pulses == 1))


def _table(shape: Shape, side: int, natural: Vector) -> Vector:
    """One pulse of the law on `GRID`."""
    return _respond(shape, side, natural, GRID, np.ones(()))


def _between(tables: Float[np.ndarray, "*n grid"], share: Any) -> Any:
    """Values of `tables` on `GRID` at shares inside of it, linear in between."""
    place = (share + OUTSIDE) / (GRID[1] - GRID[0])
    k = np.minimum(place.astype(np.int32), len(GRID) - 2)
    part = place - k
    return tables[..., k] * (1 - part) + tables[..., k + 1] * part


class Problem(NamedTuple):
    """One candidate on one set of traces. A vector θ is law up, law down, `NOISES`, `DOSES`."""

    shape: Shape
    groups: tuple[Group, ...]
    fixed: Bool[np.ndarray, " n"]
    traces: int

    @property
    def size(self) -> int:
        """Parameters of the law in one direction."""
        return len(self.shape.scales)

    def box(self) -> tuple[Vector, Vector]:
        """Lowest and highest θ."""
        low, high = (self.shape.vector(np.array(b)) for b in (self.shape.low, self.shape.high))
        dose = np.full(len(DOSES), DOSE_BOUND)
        return np.concatenate([low, low, LOWEST, -dose]), np.concatenate([high, high, HIGHEST, dose])

    def law(self, theta: Vector, side: int) -> Vector:
        """The natural parameters of one direction."""
        return self.shape.natural(theta[side * self.size : (side + 1) * self.size])

    def after(self, theta: Vector, side: int, share: Any, pulses: Any) -> Any:
        """Shares after `pulses` > 0 in a direction; the law is continued by a shift outside of the range."""
        inside, natural = np.clip(share, -OUTSIDE, 1 + OUTSIDE), self.law(theta, side)
        if _many(inside, pulses):
            return _between(_table(self.shape, side, natural), inside) + (share - inside)
        return _respond(self.shape, side, natural, inside, pulses) + (share - inside)

    def moved(self, theta: Vector, side: int, share: Any, pulses: Any) -> Any:
        """Derivatives of `after` in θ of that direction [parameters, …], by central differences."""
        inside = np.clip(share, -OUTSIDE, 1 + OUTSIDE)
        at, found, many = self.law, [], _many(inside, pulses)
        for k in range(side * self.size, (side + 1) * self.size):
            h = STEP * (np.arange(len(theta)) == k)
            ends = [
                _table(self.shape, side, natural) if many else _respond(self.shape, side, natural, inside, pulses)
                for natural in (at(theta + h, side), at(theta - h, side))
            ]
            found.append((ends[0] - ends[1]) / (2 * STEP))
        return _between(np.stack(found), inside) if many else np.stack(found)

    def _counts(self, theta: Vector, group: Group, side: int) -> tuple[Any, Any]:
        """Where a group is pulsed in a direction, and how many reference pulses that is worth."""
        on = SIDES[side][1] * group.pulses > 0
        dose = theta[2 * self.size + len(NOISES) :]
        worth = np.exp(np.clip(dose[side] * group.volts + dose[2 + side] * group.width, -20, 20))
        return on, np.where(on, np.abs(group.pulses), 1.0) * worth

    def _linear(self, law: Any, group: Group, shift: Vector, counts: Any) -> tuple[Any, Any, Any]:
        """F, u and s of the law (or of a derivative of it, `law(share, pulses)` → […, gaps, traces])."""
        at, n = group.path - _columns(shift, group), counts
        ends = law(np.stack([at - NEAR, at + NEAR]), np.stack([n, n]))
        low, high = ends[..., 0, :, :], ends[..., 1, :, :]
        F, middle = (high - low) / (2 * NEAR), 0.5 * (high + low)
        u, s = middle - F * at, middle
        if (n > 1.5).any():  # many pulses at once: the last one tells what another would have done
            s = np.where(n > 1.5, n * (middle - law(at, np.maximum(n - 1, 1e-9))), middle)
        return F, u, s

    def values(self, theta: Vector, group: Group, shift: Vector) -> Coefficients:
        """What the filter needs of one group."""
        at = group.path - _columns(shift, group)
        F, u, s = np.ones_like(at), np.zeros_like(at), np.zeros_like(at)
        for side in group.sides:
            on, n = self._counts(theta, group, side)
            own = self._linear(lambda x, k, side=side: self.after(theta, side, x, k), group, shift, n)
            step = own[2] - np.where(n > 1.5, 0.0, at)
            F, u, s = (np.where(on, new, old) for new, old in zip((*own[:2], step), (F, u, s), strict=True))
        variance = np.exp(2 * theta[2 * self.size : 2 * self.size + len(NOISES)])
        up = group.pulses > 0
        Q = np.abs(group.pulses) * np.where(up, variance[0], variance[1])
        # what the offsets scatter the first states do not
        first = np.maximum(group.scatter - variance[5], 0.01 * group.scatter)
        return Coefficients(F, u, s, Q, np.where(up, variance[2], variance[3]), first, variance[4], variance[5])

    def ways(self, theta: Vector, group: Group, shift: Vector, at: Coefficients) -> Coefficients:
        """Derivatives of the coefficients `at` along the parameters that a group depends on [m, …]."""
        mine, first = self.touched(group), 2 * self.size
        place = {int(k): row for row, k in enumerate(mine)}
        shape = (len(mine), *group.path.shape)
        F, u, s, Q, speed = (np.zeros(shape) for _ in range(5))
        R, B, A = np.zeros(len(mine)), np.zeros(len(mine)), np.zeros((len(mine), group.path.shape[1]))
        up = group.pulses > 0
        for side in group.sides:
            on, n = self._counts(theta, group, side)
            of = self._linear(lambda x, k, side=side: self.moved(theta, side, x, k), group, shift, n)
            for k in range(self.size):
                row = place.get(side * self.size + k)
                if row is not None:
                    F[row], u[row], s[row] = (np.where(on, a[k], 0.0) for a in of)
        for side, on in enumerate((up, ~up)):
            if first + side in place:
                Q[place[first + side]] = 2 * at.Q * on
            if first + 2 + side in place:
                speed[place[first + 2 + side]] = 2 * at.speed * on
        for k, target, value in ((4, R, at.R), (5, B, at.B)):
            if first + k in place:
                target[place[first + k]] = 2 * value
        if first + 5 in place:
            A[place[first + 5]] = np.where(0.01 * group.scatter < at.A, -2 * at.B, 0.0)
        for k in range(first + len(NOISES), len(theta)):  # the dose: by differences
            if k in place:
                ends = [self.values(theta + h * (np.arange(len(theta)) == k), group, shift) for h in (1e-4, -1e-4)]
                for target, a, b in zip((F, u, s), ends[0][:3], ends[1][:3], strict=True):
                    target[place[k]] = (a - b) / 2e-4
        return Coefficients(F, u, s, Q, speed, A, R, B)

    def touched(self, group: Group) -> Int[np.ndarray, " m"]:
        """The free parameters that a group depends on."""
        mine = np.ones(len(self.fixed), bool)
        for side in {0, 1} - {*group.sides}:
            mine[side * self.size : (side + 1) * self.size] = False
            mine[2 * self.size + np.array([side, 2 + side, 6 + side, 8 + side])] = False
        return np.flatnonzero(mine & ~self.fixed)

    def loss(self, theta: Vector, shift: Vector) -> tuple[float, Vector]:
        """−log likelihood and the offset of every trace after its last read."""
        total, offset = 0.0, np.zeros(self.traces)
        each = POOL.map(lambda group: jax.block_until_ready(self.run(theta, group, shift)), self.groups)
        for group, found in zip(self.groups, each, strict=True):
            total -= float(np.asarray(found.density).sum())
            offset[group.which] = np.asarray(found.offset)[: len(group.which)]
        return total if np.isfinite(total) else np.inf, offset

    def run(self, theta: Vector, group: Group, shift: Vector) -> Any:
        """The filter of one group."""
        with jax.enable_x64(True):
            return filtered(self.values(theta, group, shift), group.reads)

    def scores(self, theta: Vector, shift: Vector) -> tuple[Vector, Float[np.ndarray, "n n"]]:
        """Gradient of −log likelihood and its expected information; rows of fixed parameters are zero."""
        gradient, information = np.zeros(len(theta)), np.zeros((len(theta), len(theta)))

        def one(group: Group) -> tuple[Int[np.ndarray, " m"], Vector, Any]:
            mine, at = self.touched(group), self.values(theta, group, shift)
            with jax.enable_x64(True):
                return mine, *scores(at, self.ways(theta, group, shift, at), group.reads)

        for mine, slope, table in POOL.map(one, self.groups):
            gradient[mine] -= slope
            information[np.ix_(mine, mine)] += table
        return gradient, information


def _columns(shift: Vector, group: Group) -> Vector:
    """The offsets of the traces of a group, padded."""
    return np.pad(shift[group.which], (0, group.path.shape[1] - len(group.which)))


class Maximum(NamedTuple):
    """θ at the maximum, −log likelihood there, the offsets about which the law is linearised."""

    theta: Vector
    loss: float
    shift: Vector


class Search(NamedTuple):
    """How far to go: change of −log likelihood that ends it, steps at most, a loss that is out of the question."""

    close: float = 0.01
    steps: int = 60
    hopeless: float = np.inf


FULL = Search()


def maximise(problem: Problem, theta: Vector, shift: Vector, search: Search = FULL) -> Maximum:
    """Fisher scoring, damped (Levenberg–Marquardt) and kept in bounds; the offsets of the traces follow.

    A step is accepted where it lowers the loss; done where two in turn change it by less than `search.close`.
    """
    low, high = problem.box()
    theta = np.clip(theta, low, high)
    loss, offset = problem.loss(theta, shift)
    damping, calm = 1e-2, 0
    for count in range(search.steps):
        gradient, information = problem.scores(theta, shift)
        free = ~problem.fixed & ~((theta <= low) & (gradient > 0)) & ~((theta >= high) & (gradient < 0))
        part, before = information[np.ix_(free, free)], loss
        for _ in range(8):
            step = np.zeros(len(theta))
            step[free] = np.linalg.solve(part + np.diag(np.diag(part) * damping + 1e-9), -gradient[free])
            trial = np.clip(theta + np.clip(step, -1.5, 1.5), low, high)
            new, after = problem.loss(trial, offset)
            if new < loss:
                theta, loss, shift, offset, damping = trial, new, offset, after, max(damping / 8, 1e-6)
                break
            if abs(gradient @ (trial - theta)) < 0.1 * search.close:
                break
            damping *= 8
        calm = calm + 1 if before - loss < search.close else 0
        if calm > (loss == before) or (count > 2 and loss - 4 * (before - loss) > search.hopeless):
            break
        if loss == before:  # the offsets alone
            moved, after = problem.loss(theta, offset)
            loss, shift, offset = moved, offset, after
    return Maximum(theta, loss, shift)
