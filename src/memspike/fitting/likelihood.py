"""The likelihood of traces under a step law: hidden conductance, write and read noise, ramps that differ.

Everything is in shares of a range, one range a device. The law is linearised once, at a smooth path through the
reads (less the window offset of the trace), by its values a little above and below the path. What is left is linear
and Gaussian but for glitches, so that one filter (`filter.py`) serves every law.
"""

from collections.abc import Callable
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
OUTSIDE = 0.02  # shares beyond which the law is continued by its tangent
# of σ_write, σ_write, σ_speed, σ_speed, σ_read, σ_window: logarithms; the lowest stands for none
LOWEST = np.log([1e-6, 1e-6, 1e-4, 1e-4, 1e-6, 1e-5])
HIGHEST = np.log([1.0, 1.0, 2.0, 2.0, 1.0, 2.0])
NOISES = ("noise_up", "noise_down", "variation_up", "variation_down", "read_noise", "window")
DOSES = ("voltage_slope_up", "voltage_slope_down", "width_exponent_up", "width_exponent_down")
DOSE_BOUND = 50.0


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

    def natural(self, theta: Vector) -> Vector:
        """Natural parameters of the vector that the optimiser sees."""
        kinds = np.array(self.scales)
        signed = np.where(kinds == "signed", SOFT * np.sinh(np.where(kinds == "signed", theta, 0.0)), theta)
        return np.where(kinds == "log", np.exp(np.where(kinds == "log", theta, 0.0)), signed)

    def slope(self, theta: Vector) -> Vector:
        """d natural / d theta."""
        kinds, natural = np.array(self.scales), self.natural(theta)
        return np.where(kinds == "log", natural, np.where(kinds == "signed", np.hypot(natural, SOFT), 1.0))

    def vector(self, natural: Vector) -> Vector:
        """What the optimiser sees of natural parameters."""
        kinds = np.array(self.scales)
        signed = np.where(kinds == "signed", np.arcsinh(natural / SOFT), natural)
        return np.where(kinds == "log", np.log(np.where(kinds == "log", natural, 1.0)), signed)


class Group(NamedTuple):
    """Traces that share the directions of their pulses, transposed and padded to the shape of all groups."""

    index: Int[np.ndarray, " traces"]
    sides: tuple[int, ...]
    reads: Reads
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
        reads = Reads(path[0], padded(np.nan_to_num(y, nan=0.5), index), known, _turns(pulses), np.log(GLITCHES / extent))
        made.append(Group(index, sides, reads, path[:-1], pulses, padded(data.volts, index), padded(data.width, index)))
    return tuple(made)


@partial(jax.jit, static_argnames=("respond", "sign"))
def _law(respond: Any, sign: int, values: Any, share: Any, pulses: Any) -> tuple[Any, Any]:
    """Shares after `pulses` (> 0) in one direction, and their derivatives [parameters, …]."""

    def along(direction: Any) -> Any:
        return jax.jvp(lambda v: respond(v, sign, share, pulses), (values,), (direction,))

    return jax.vmap(along, out_axes=(None, 0))(jax.numpy.eye(len(values)))


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

    def after(self, theta: Vector, side: int, share: Any, pulses: Any) -> tuple[Any, Any]:
        """Shares after `pulses` > 0 in a direction and their derivatives in θ of that direction; tangents outside."""
        inside = np.clip(share, -OUTSIDE, 1 + OUTSIDE)
        part = theta[side * self.size : (side + 1) * self.size]
        sign = SIDES[side][1]
        value, slope = _law(self.shape.respond, sign, self.shape.natural(part), inside, pulses)
        slope = np.asarray(slope) * self.shape.slope(part).reshape(-1, *[1] * np.ndim(share))
        return np.asarray(value) + (share - inside), slope

    def _linear(self, theta: Vector, group: Group, shift: Vector) -> tuple[dict[str, Any], dict[str, Any]]:
        """F, u and s of every gap, and their derivatives along the law of each direction [n, gaps, traces]."""
        at = group.path - _columns(shift, group)
        names = ("F", "u", "s")
        value = {"F": np.ones_like(at), "u": np.zeros_like(at), "s": np.zeros_like(at)}
        slopes = {name: np.zeros((len(theta), *at.shape)) for name in names}
        dose = theta[2 * self.size + len(NOISES) :]
        for side in group.sides:
            on = SIDES[side][1] * group.pulses > 0
            n = np.where(on, np.abs(group.pulses), 1.0) * np.exp(dose[side] * group.volts + dose[2 + side] * group.width)
            ends = np.stack([at - NEAR, at + NEAR])
            (low, high), moved = self.after(theta, side, ends, np.stack([n, n]))
            own = {"F": (high - low) / (2 * NEAR), "s": 0.5 * (high + low) - at}
            of_low, of_high = moved[:, 0], moved[:, 1]
            of = {"F": (of_high - of_low) / (2 * NEAR), "s": 0.5 * (of_high + of_low)}
            own["u"], of["u"] = own["s"] + at - own["F"] * at, of["s"] - of["F"] * at
            if (n > 1.5).any():  # many pulses at once: the last one tells what another would have done
                less = np.maximum(n - 1, 0.0)
                before, of_before = self.after(theta, side, at, np.maximum(less, 1e-9))
                before = np.where(less > 0, before, at)
                own["s"] = np.maximum(n, 1.0) * (own["s"] + at - before)
                of["s"] = np.maximum(n, 1.0) * (of["s"] - np.where(less > 0, of_before, 0.0))
            here = slice(side * self.size, (side + 1) * self.size)
            for name in names:
                value[name] = np.where(on, own[name], value[name])
                slopes[name][here] = np.where(on, of[name], 0.0)
        return value, slopes

    def coefficients(self, theta: Vector, group: Group, shift: Vector) -> tuple[Coefficients, Coefficients]:
        """What the filter needs of one group, and its derivatives along θ."""
        value, slopes = self._linear(theta, group, shift)
        first = 2 * self.size
        variance = np.exp(2 * theta[first : first + len(NOISES)])
        up = group.pulses > 0
        amount = np.abs(group.pulses)
        Q, speed = amount * np.where(up, variance[0], variance[1]), np.where(up, variance[2], variance[3])
        n = len(theta)
        of_Q, of_speed, of_R, of_B = np.zeros((n, *Q.shape)), np.zeros((n, *Q.shape)), np.zeros(n), np.zeros(n)
        for side, on in enumerate((up, ~up)):
            of_Q[first + side], of_speed[first + 2 + side] = 2 * Q * on, 2 * speed * on
        of_R[first + 4], of_B[first + 5] = 2 * variance[4], 2 * variance[5]
        for k in np.flatnonzero(~self.fixed[first + len(NOISES) :]) + first + len(NOISES):
            moved = [self._linear(theta + h * (np.arange(n) == k), group, shift)[0] for h in (1e-4, -1e-4)]
            for name in value:
                slopes[name][k] = (moved[0][name] - moved[1][name]) / 2e-4
        at = Coefficients(**value, Q=Q, speed=speed, R=variance[4], B=variance[5])
        return at, Coefficients(**slopes, Q=of_Q, speed=of_speed, R=of_R, B=of_B)

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
        for group in self.groups:
            found = self.run(theta, group, shift)
            total -= float(np.asarray(found.density).sum())
            offset[group.index] = np.asarray(found.offset)[: len(group.index)]
        return total if np.isfinite(total) else np.inf, offset

    def run(self, theta: Vector, group: Group, shift: Vector) -> Any:
        """The filter of one group."""
        with jax.enable_x64(True):
            return filtered(self.coefficients(theta, group, shift)[0], group.reads)

    def scores(self, theta: Vector, shift: Vector) -> tuple[Vector, Float[np.ndarray, "n n"]]:
        """Gradient of −log likelihood and its expected information; rows of fixed parameters are zero."""
        gradient, information = np.zeros(len(theta)), np.zeros((len(theta), len(theta)))
        for group in self.groups:
            with jax.enable_x64(True):
                at, ways = self.coefficients(theta, group, shift)
                mine = self.touched(group)
                slope, table = scores(at, jax.tree.map(lambda a, mine=mine: a[mine], ways), group.reads)
            gradient[mine] -= slope
            information[np.ix_(mine, mine)] += table
        return gradient, information


def _columns(shift: Vector, group: Group) -> Vector:
    """The offsets of the traces of a group, padded."""
    return np.pad(shift[group.index], (0, group.path.shape[1] - len(group.index)))


class Maximum(NamedTuple):
    """θ at the maximum, −log likelihood there, the offsets about which the law is linearised."""

    theta: Vector
    loss: float
    shift: Vector


def maximise(problem: Problem, theta: Vector, shift: Vector, steps: int = 40) -> Maximum:
    """Fisher scoring, damped (Levenberg–Marquardt) and kept in bounds; the offsets of the traces follow.

    A step is accepted where it lowers the loss; done where the next one promises less than a thousandth.
    """
    low, high = problem.box()
    theta = np.clip(theta, low, high)
    loss, offset = problem.loss(theta, shift)
    damping, rest = 1e-2, 1.0
    for _ in range(steps):
        if rest < 1e-3:
            moved, further = problem.loss(theta, offset)
            if abs(moved - loss) < 0.02:
                break
            loss, shift, offset, rest = moved, offset, further, 1.0
        gradient, information = problem.scores(theta, shift)
        free = ~problem.fixed & ~((theta <= low) & (gradient > 0)) & ~((theta >= high) & (gradient < 0))
        for _ in range(12):
            step = np.zeros(len(theta))
            part = information[np.ix_(free, free)]
            diagonal = np.diag(part) * damping + 1e-9
            step[free] = np.clip(np.linalg.solve(part + np.diag(diagonal), -gradient[free]), -1.5, 1.5)
            trial = np.clip(theta + step, low, high)
            rest = float(-(gradient @ (trial - theta)))
            new, after = problem.loss(trial, shift)
            if new <= loss or rest < 1e-3:
                break
            damping *= 6
        if new <= loss:
            theta, loss, offset, damping = trial, new, after, max(damping / 8, 1e-6)
        else:
            rest = 0.0
    return Maximum(theta, loss, shift)
