"""The likelihood of measured pulse ramps under a step law, its maximum, and intervals of the parameters.

One direction at a time. Ramp i at pulse k steps by (1 + δ_i)·m(g_ik) + ε_ik, with m the law's own step at the
measured share g, δ_i ~ N(0, σ_r²) the speed of the ramp and ε_ik ~ N(0, σ²) the error of the cycle. A ramp is
then Gaussian with covariance σ²·1 + σ_r²·m·mᵀ, so its marginal likelihood is closed. All in double precision
and in shares of the range; the ramps of both directions are padded to one shape, so a law compiles once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from scipy import optimize, stats

from memspike.devices.step import AbstractStepDevice

Vector = Float[np.ndarray, " _"]
SOFT = 1e-9  # a signed parameter is linear below this and logarithmic above
SMALLEST, LARGEST = np.log(1e-8), np.log(1e2)  # of σ and σ_r, logarithms of shares


@dataclass(frozen=True)
class Shape:
    """How a law is written as a vector: `build` makes a device with range 0 to 1 of parameters and constants.

    `scales` tells how the optimiser sees each parameter: "log" (positive ones), "linear", or "signed" (an
    arsinh: numbers of either sign over many orders). `low` and `high` bound them in natural units.
    """

    build: Callable[[Array, Array], AbstractStepDevice]
    scales: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def natural(self, theta: Any) -> Any:
        """Natural parameters of the vector that the optimiser sees (without the two s.d.)."""
        xp = jnp if isinstance(theta, jax.Array) else np
        kinds = np.array(self.scales[: theta.shape[-1]])
        signed = xp.where(kinds == "signed", SOFT * xp.sinh(xp.where(kinds == "signed", theta, 0.0)), theta)
        return xp.where(kinds == "log", xp.exp(xp.where(kinds == "log", theta, 0.0)), signed)

    def vector(self, natural: Vector) -> Vector:
        """What the optimiser sees of natural parameters."""
        kinds = np.array(self.scales[: len(natural)])
        signed = np.where(kinds == "signed", np.arcsinh(natural / SOFT), natural)
        return np.where(kinds == "log", np.log(np.where(kinds == "log", natural, 1.0)), signed)

    def box(self, size: int) -> list[tuple[float, float]]:
        """Bounds of the vector: `size` parameters and the two s.d."""
        low, high = (self.vector(np.array(b[:size])) for b in (self.low, self.high))
        return [*zip(low, high, strict=True), (SMALLEST, LARGEST), (SMALLEST, LARGEST)]


class Ramps(NamedTuple):
    """The ramps of one direction: shares before a pulse, steps as shares, which are measured; and ±1."""

    share: Float[np.ndarray, "ramps pulses"]
    step: Float[np.ndarray, "ramps pulses"]
    known: Bool[np.ndarray, "ramps pulses"]
    sign: Float[np.ndarray, ""]

    @property
    def points(self) -> int:
        """How many steps are measured."""
        return int(self.known.sum())


def ramps(shares: Float[np.ndarray, "ramps pulses"], sign: int, shape: tuple[int, int]) -> Ramps:
    """Steps of ramps with NaN where nothing was measured, padded to `shape`."""
    padded = np.full(shape, np.nan)
    padded[: shares.shape[0], : shares.shape[1]] = shares
    step = np.diff(padded, axis=1)
    known = np.isfinite(step)
    before = np.where(known, padded[:, :-1], 0.5)
    return Ramps(before, np.where(known, step, 0.0), known, np.asarray(float(sign)))


def negative_log_likelihood(
    theta: Array, shape: Shape, constants: Array, data: Ramps
) -> tuple[Float[Array, ""], Float[Array, "ramps pulses"]]:
    """−log of the marginal density of all steps; the law's mean steps, 0 where nothing was measured.

    `theta` ends with log σ and log σ_r.
    """
    share = jnp.asarray(data.share)
    law = shape.build(shape.natural(theta[:-2]), constants)
    m = jnp.where(jnp.asarray(data.known), law.response(share, jnp.asarray(data.sign)) - share, 0.0)
    missed = jnp.asarray(data.step) - m
    variance, speed = jnp.exp(2 * theta[-2]), jnp.exp(2 * theta[-1])
    strength, along = (m * m).sum(axis=1), (m * missed).sum(axis=1)
    explained = speed * along**2 / (variance + speed * strength)
    quadratic = ((missed**2).sum(axis=1) - explained) / variance
    count = jnp.asarray(data.known).sum().astype(theta.dtype)
    determinant = jnp.log1p(speed * strength / variance).sum()
    return 0.5 * (count * (jnp.log(2 * jnp.pi) + 2 * theta[-2]) + determinant + quadratic.sum()), m


@partial(jax.jit, static_argnames="shape")
def _programmed(shape: Shape, natural: Array, constants: Array, share: Array, pulses: Array) -> Float[Array, "..."]:
    return shape.build(natural, constants).program(share, pulses)


_value_and_gradient = jax.jit(jax.value_and_grad(negative_log_likelihood, has_aux=True), static_argnames="shape")


class Problem(NamedTuple):
    """One direction of one candidate: what is needed to evaluate the likelihood of its first `size` parameters."""

    shape: Shape
    size: int
    constants: Float[np.ndarray, "..."]
    data: Ramps

    def evaluate(self, theta: Vector) -> tuple[float, Vector, Float[np.ndarray, "ramps pulses"]]:
        """−log likelihood, its gradient (the `size` parameters, log σ, log σ_r) and the mean steps of the law."""
        full = np.zeros(len(self.shape.scales) + 2)
        full[: self.size], full[-2:] = theta[: self.size], theta[-2:]
        with jax.enable_x64(True):
            (value, means), gradient = _value_and_gradient(full, self.shape, self.constants, self.data)
        gradient = np.asarray(gradient)
        return float(value), np.concatenate([gradient[: self.size], gradient[-2:]]), np.asarray(means)

    def __call__(self, theta: Vector) -> tuple[float, Vector]:
        """−log likelihood and its gradient."""
        return self.evaluate(theta)[:2]

    def means(self, theta: Vector) -> Float[np.ndarray, "ramps pulses"]:
        """The law's mean steps at the measured shares."""
        return self.evaluate(theta)[2]

    def program(
        self, theta: Vector, share: Float[np.ndarray, " n"], pulses: Float[np.ndarray, " n"]
    ) -> Float[np.ndarray, " n"]:
        """Shares of the range after `pulses` signed pulses from `share`, by the law's own `program`."""
        full = np.zeros(len(self.shape.scales))
        full[: self.size] = theta[: self.size]
        with jax.enable_x64(True):
            return np.asarray(_programmed(self.shape, self.shape.natural(full), self.constants, share, pulses))

    def hessian(self, theta: Vector) -> Float[np.ndarray, "parameters parameters"]:
        """Second derivatives, as central differences of the exact gradient (no second compilation)."""
        rows = []
        for k in range(len(theta)):
            h = np.zeros(len(theta))
            h[k] = 1e-4 * max(1.0, abs(theta[k]))
            rows.append((self(theta + h)[1] - self(theta - h)[1]) / (2 * h[k]))
        table = np.array(rows)
        return 0.5 * (table + table.T)


def start(problem: Problem, natural: Vector) -> Vector:
    """A start at a law's parameters, with the s.d. that its residuals have."""
    theta = np.concatenate([problem.shape.vector(natural), np.zeros(2)])
    m, data = problem.means(theta), problem.data
    strength = np.maximum((m * m).sum(axis=1), 1e-30)
    used = data.known.any(axis=1)
    speed = ((data.step * m).sum(axis=1) / strength)[used]
    noise = np.sqrt(((data.step - m) ** 2).sum() / data.points)
    theta[-2:] = np.log(max(noise, 1e-7)), np.log(np.clip(speed.std(), 1e-3, 10.0))
    return theta


def maximise(problem: Problem, begin: Vector) -> tuple[Vector, float]:
    """The optimum from a start → vector, −log likelihood.

    Bounds are kept by evaluating at the nearest point inside and adding the squared distance to it: plain BFGS
    then does it without the threaded linear algebra that makes bounded solvers slow on a busy machine.
    """
    low, high = np.array(problem.shape.box(problem.size)).T
    points = problem.data.points

    def scaled(theta: Vector) -> tuple[float, Vector]:
        inside = np.clip(theta, low, high)
        value, gradient = problem(inside)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            return 1e10, np.zeros_like(gradient)
        beyond = theta - inside
        return value / points + 0.5 * float(beyond @ beyond), np.where(beyond == 0, gradient / points, beyond)

    options = {"maxiter": 200, "gtol": 1e-6}
    found = optimize.minimize(scaled, np.clip(begin, low, high), jac=True, method="BFGS", options=options)
    best = np.clip(found.x, low, high)
    return best, problem(best)[0]


def _inverse(table: Float[np.ndarray, "n n"]) -> tuple[Float[np.ndarray, "n n"], bool]:
    """The inverse of a Hessian, and whether it was positive definite (directions that are not get no say)."""
    if not np.isfinite(table).all():
        return np.full_like(table, np.inf), False
    scale = np.sqrt(np.maximum(np.abs(np.diag(table)), 1e-30))
    values, vectors = np.linalg.eigh(table / np.outer(scale, scale))
    good = values > 1e-9
    inverse = (vectors[:, good] / values[good]) @ vectors[:, good].T
    return inverse / np.outer(scale, scale), bool(good.all())


def _between_ramps(speed: Float[np.ndarray, " ramps"], error: Float[np.ndarray, " ramps"]) -> tuple[float, float]:
    """95 % interval of σ_r from the relative speeds of the ramps and the variances of these.

    The weighted sum of squares about the weighted mean is χ² with one degree less than ramps at the true
    σ_r, and falls with σ_r: exact, also where σ_r is hard to tell from 0.
    """

    def squares(spread: float) -> float:
        weight = 1 / (error + spread**2)
        return float((weight * (speed - (weight * speed).sum() / weight.sum()) ** 2).sum())

    def where(level: float) -> float:
        if squares(0.0) <= level:
            return 0.0
        return float(optimize.brentq(lambda s: squares(s) - level, 0.0, 1e3))  # pyright: ignore[reportArgumentType]

    low, high = (where(float(stats.chi2.ppf(q, len(speed) - 1))) for q in (0.975, 0.025))
    return low, high


def _fall(problem: Problem, theta: Vector, k: int, far: float) -> float:
    """Where between a bound, at which parameter `k` sits, and `far` the likelihood has fallen by χ²(95 %)/2."""
    best, level = problem(theta)[0], 0.5 * float(stats.chi2.ppf(0.95, 1))

    def excess(x: float) -> float:
        moved = theta.copy()
        moved[k] = x
        return problem(moved)[0] - best - level

    if not excess(far) > 0:
        return far
    return float(optimize.brentq(excess, theta[k], far, xtol=1e-3))  # pyright: ignore[reportArgumentType]


def intervals(problem: Problem, theta: Vector) -> tuple[Vector, Vector, bool]:
    """95 % intervals from the curvature of the likelihood at its maximum (delta method), and whether that was sound.

    → lower and upper ends of the parameters, of σ and of σ_r (shares).

    The curvature is taken without ramp-to-ramp variation; what that adds is carried over exactly: ramps
    that are faster by a share b move the parameters by b·∂θ/∂b, and the mean speed of R ramps is known as
    well as their scatter tells. So the speed part of each variance has R − 1 degrees of freedom, the rest
    as many as points, and the quantile is Student's with those of Welch and Satterthwaite. A parameter at its
    bound has an interval from there to where the likelihood has fallen.
    """
    size, data = problem.size, problem.data
    box = np.array(problem.shape.box(size))
    kept = (theta > box[:, 0] + 1e-6) & (theta < box[:, 1] - 1e-6)
    kept[-2:] = True, False
    still = np.append(theta[:-1], SMALLEST)
    inverse, sound = _inverse(problem.hessian(still)[np.ix_(kept, kept)])
    faster, slower = (problem._replace(data=data._replace(step=data.step * (1 + h)))(still)[1] for h in (1e-4, -1e-4))
    moved = -(inverse @ ((faster - slower)[kept] / 2e-4))[:-1]

    used = data.known.any(axis=1)
    m = problem.means(theta)[used]
    strength = np.maximum((m * m).sum(axis=1), 1e-30)
    variance = np.exp(2 * theta[-2])
    speed, error = (data.step[used] * m).sum(axis=1) / strength, variance / strength
    count, freedom = len(speed), max(data.points - len(speed), size + 2)
    of_speed = moved**2 * np.var(speed, ddof=1) / count
    of_noise = np.maximum(np.diag(inverse)[:-1] - moved**2 * error.mean() / count, 0.0) * freedom / (freedom - size)
    total = of_speed + of_noise
    left = total**2 / np.maximum(of_speed**2 / (count - 1) + of_noise**2 / (freedom - size), 1e-300)
    half = np.zeros(size)
    half[kept[:-2]] = stats.t.ppf(0.975, left) * np.sqrt(total)
    ends = np.clip(theta[:-2] + np.array([[-1.0], [1.0]]) * half, box[:-2, 0], box[:-2, 1])
    for k in np.flatnonzero(~kept[:-2]):
        at_low = theta[k] <= box[k, 0] + 1e-6
        ends[int(at_low), k] = _fall(problem, theta, int(k), box[k, 1] if at_low else box[k, 0])
    low, high = (problem.shape.natural(end) for end in ends)
    noise = np.sqrt(variance * freedom / stats.chi2.ppf([0.975, 0.025], freedom - size))
    low_ramp, high_ramp = _between_ramps(speed, error)
    ramp = low_ramp, max(high_ramp, float(np.exp(theta[-1])))
    sound = sound and bool(kept[:-1].all())
    return np.array([*low, noise[0], ramp[0]]), np.array([*high, noise[1], ramp[1]]), sound
