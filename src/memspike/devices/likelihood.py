"""The likelihood of measured pulse ramps under a step law, its maximum, and intervals of the parameters.

One direction at a time. Ramp i at pulse k steps by (1 + δ_i)·m(g_ik) + ε_ik, with m the law's own step at the
measured share g, δ_i ~ N(0, σ_r²) the speed of the ramp and ε_ik ~ N(0, σ²) the error of the cycle. A ramp is
then Gaussian with covariance σ²·1 + σ_r²·m·mᵀ, so its marginal likelihood is closed. All in double precision
and in shares of the range; the ramps of both directions are padded to one shape, so a law compiles once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from scipy import optimize, stats

from memspike.devices.step import AbstractStepDevice

Vector = Float[np.ndarray, " parameters"]
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
        signed = xp.where(kinds == "signed", SOFT * xp.sinh(theta), theta)
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


def mean_step(shape: Shape, natural: Array, constants: Array, data: Ramps) -> Float[Array, "ramps pulses"]:
    """The law's mean step at every measured share, 0 where nothing was measured."""
    share = jnp.asarray(data.share)
    law = shape.build(natural, constants)
    return jnp.where(jnp.asarray(data.known), law.response(share, jnp.asarray(data.sign)) - share, 0.0)


def negative_log_likelihood(
    theta: Array, shape: Shape, constants: Array, data: Ramps
) -> tuple[Float[Array, ""], Float[Array, "ramps pulses"]]:
    """−log of the marginal density of all steps, and the mean steps; `theta` ends with log σ and log σ_r."""
    m = mean_step(shape, shape.natural(theta[:-2]), constants, data)
    missed = jnp.asarray(data.step) - m
    variance, speed = jnp.exp(2 * theta[-2]), jnp.exp(2 * theta[-1])
    strength, along = (m * m).sum(axis=1), (m * missed).sum(axis=1)
    explained = speed * along**2 / (variance + speed * strength)
    quadratic = ((missed**2).sum(axis=1) - explained) / variance
    count = jnp.asarray(data.known).sum().astype(theta.dtype)
    determinant = jnp.log1p(speed * strength / variance).sum()
    return 0.5 * (count * (jnp.log(2 * jnp.pi) + 2 * theta[-2]) + determinant + quadratic.sum()), m


def _program(shape: Shape, natural: Array, constants: Array, share: Array, pulses: Array) -> Float[Array, "..."]:
    return shape.build(natural, constants).program(share, pulses)


_value_and_gradient = jax.jit(jax.value_and_grad(negative_log_likelihood, has_aux=True), static_argnames="shape")
_programmed = jax.jit(_program, static_argnames="shape")


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


def maximise(problem: Problem, starts: list[Vector]) -> tuple[Vector, float]:
    """The best optimum over the starts → vector, −log likelihood."""
    box, points = problem.shape.box(problem.size), problem.data.points
    low, high = (np.array(side) for side in zip(*box, strict=True))

    def scaled(theta: Vector) -> tuple[float, Vector]:
        value, gradient = problem(theta)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            return 1e10, np.zeros_like(gradient)
        return value / points, gradient / points

    found = [
        optimize.minimize(
            scaled,
            np.clip(theta, low, high),
            jac=True,
            method="L-BFGS-B",
            bounds=box,
            options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-8, "maxcor": 20},
        )
        for theta in starts
    ]
    best = min(found, key=lambda result: result.fun)
    return best.x, float(best.fun) * points


class Intervals(NamedTuple):
    """95 % intervals of the vector (natural units for the s.d. too), and whether the curvature was sound."""

    low: Vector
    high: Vector
    sound: bool


def _deviation(estimate: float, freedom: float, used: float) -> tuple[float, float]:
    """The χ² interval of a s.d. whose likelihood has the curvature of `freedom` draws, `used` of them spent."""
    left = freedom - used
    return tuple(float(estimate * np.sqrt(freedom / stats.chi2.ppf(q, left))) for q in (0.975, 0.025))  # pyright: ignore


def _profile(problem: Problem, theta: Vector) -> tuple[float, float]:
    """Interval of a σ_r that is hard to tell from 0: where the likelihood has fallen by χ²(95 %)/2."""
    lowest = min(problem(theta)[0], problem(np.append(theta[:-1], SMALLEST))[0])

    def excess(log_speed: float) -> float:
        return problem(np.append(theta[:-1], log_speed))[0] - lowest - 0.5 * stats.chi2.ppf(0.95, 1)

    centre = max(theta[-1], np.log(1e-5))
    top = optimize.brentq(excess, centre, LARGEST, xtol=1e-3) if excess(LARGEST) > 0 > excess(centre) else LARGEST
    bottom = optimize.brentq(excess, SMALLEST, centre, xtol=1e-3) if excess(SMALLEST) > 0 > excess(centre) else -np.inf
    return float(np.exp(bottom)), float(np.exp(top))


def _inverse(table: Float[np.ndarray, "n n"]) -> tuple[Float[np.ndarray, "n n"], bool]:
    """The inverse of a Hessian, and whether it was positive definite (directions that are not get no say)."""
    if not np.isfinite(table).all():
        return np.full_like(table, np.inf), False
    scale = np.sqrt(np.maximum(np.abs(np.diag(table)), 1e-30))
    values, vectors = np.linalg.eigh(table / np.outer(scale, scale))
    good = values > 1e-9
    inverse = (vectors[:, good] / values[good]) @ vectors[:, good].T
    return inverse / np.outer(scale, scale), bool(good.all())


def intervals(problem: Problem, theta: Vector) -> Intervals:
    """95 % intervals from the curvature of the likelihood at its maximum.

    Few ramps say little about σ_r, so a parameter whose error is mostly ramp-to-ramp has few degrees of
    freedom: the variance of each is split into the share of σ and that of σ_r, both are freed from their
    bias, and the quantile is Student's with the degrees of freedom of Welch and Satterthwaite.
    """
    size = problem.size
    box = problem.shape.box(size)
    inside = np.array([low + 1e-6 < x < high - 1e-6 for x, (low, high) in zip(theta, box, strict=True)])
    inside[-2:] = True
    still = theta.copy()
    still[-1] = SMALLEST
    within = inside.copy()
    within[-1] = False
    of_noise, _ = _inverse(problem.hessian(still)[np.ix_(within, within)])
    table = problem.hessian(theta)
    seen = table[-1, -1] > 4.0  # σ_r has the weight of more than two draws
    kept = inside if seen else within
    both, sound = _inverse((table if seen else problem.hessian(still))[np.ix_(kept, kept)])
    n = int(inside[:size].sum())
    total, noise = np.diag(both)[:n], np.minimum(np.diag(of_noise)[:n], np.diag(both)[:n])
    noise_freedom = max(1 / (2 * both[n, n]), size + 1.5)
    ramp_freedom = max(1 / (2 * both[-1, -1]), 2.0) if seen else np.inf
    noise_left, ramp_left = noise_freedom - size, ramp_freedom - 1
    a = noise * noise_freedom / noise_left
    b = (total - noise) * (ramp_freedom / ramp_left if seen else 1.0)
    freedom = (a + b) ** 2 / np.maximum(a**2 / noise_left + b**2 / ramp_left, 1e-300)
    half = np.zeros(size)
    half[inside[:size]] = stats.t.ppf(0.975, freedom) * np.sqrt(a + b)
    low, high = (problem.shape.natural(theta[:size] + side * half) for side in (-1, 1))
    noise_ends = _deviation(np.exp(theta[-2]), noise_freedom, size)
    ramp_ends = _deviation(np.exp(theta[-1]), ramp_freedom, 1) if seen else _profile(problem, theta)
    return Intervals(
        np.array([*low, noise_ends[0], ramp_ends[0]]),
        np.array([*high, noise_ends[1], ramp_ends[1]]),
        sound and bool(inside[:size].all()),
    )
