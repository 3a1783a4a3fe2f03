"""Bounded nonlinear least squares for many starts at once, and what the data tell of each parameter.

Levenberg–Marquardt with derivatives by JAX: written for one start, `vmap` does the rest. A wide Gaussian about the
start (`WIDE`) keeps directions still that the data do not tell; afterwards such a direction is as uncertain as before.
Source: Moré, The Levenberg–Marquardt algorithm, Lect. Notes Math. 630: 105 (1978), doi 10.1007/BFb0067700; the bounds
are held by projection.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Vector = Float[Array, " _"]
WIDE = 5.0  # s.d. of what is known beforehand, in the optimiser's coordinates: a factor of 150 for logarithms
LARGEST_MOVE = 1.0
FLAT = 1e-10  # relative fall of the cost below which a start has arrived
NORMAL_95 = 1.959963984540054


class Minimum(NamedTuple):
    """Where a start arrived: parameters, sum of squares (with the wide prior), Jacobian of the residuals."""

    theta: Vector
    cost: Float[Array, ""]
    jacobian: Float[Array, "points parameters"]


class _Trial(NamedTuple):
    best: Minimum
    residuals: Vector
    damping: Float[Array, ""]
    still: Float[Array, ""]  # how often in turn the cost has not fallen
    taken: Float[Array, ""]


def minimise(residuals: Callable[[Vector], Vector], start: Vector, low: Vector, high: Vector, most: Array) -> Minimum:
    """The least sum of squares from `start` inside [low, high], in at most `most` steps."""

    def at(theta: Vector) -> tuple[Minimum, Vector]:
        jacobian, r = jax.jacfwd(lambda t: (residuals(t),) * 2, has_aux=True)(theta)
        drift = (theta - start) / WIDE
        cost = jnp.sum(r * r) + jnp.sum(drift * drift)
        return Minimum(theta, jnp.where(jnp.isfinite(cost), cost, jnp.inf), jnp.nan_to_num(jacobian)), jnp.nan_to_num(r)

    def step(now: _Trial) -> _Trial:
        theta, _, jacobian = now.best
        slope = jacobian.T @ now.residuals + (theta - start) / WIDE**2
        free = ~(((theta <= low) & (slope > 0)) | ((theta >= high) & (slope < 0)))
        both = free[:, None] & free[None, :]
        normal = jnp.where(both, jacobian.T @ jacobian, 0.0) + jnp.eye(theta.size) / WIDE**2
        damped = normal + now.damping * jnp.diag(jnp.diag(normal))
        move = -jnp.linalg.solve(damped, jnp.where(free, slope, 0.0))
        move = move * jnp.minimum(1.0, LARGEST_MOVE / jnp.maximum(jnp.abs(move).max(), 1e-12))
        trial, r = at(jnp.clip(theta + move, low, high))
        better = trial.cost < now.best.cost
        arrived = trial.cost > now.best.cost * (1 - FLAT)
        best, r = jax.tree.map(lambda a, b: jnp.where(better, a, b), (trial, r), (now.best, now.residuals))
        damping = jnp.clip(now.damping * jnp.where(better, 0.2, 5.0), 1e-9, 1e9)
        return _Trial(best, r, damping, jnp.where(arrived, now.still + 1, 0.0), now.taken + 1)

    first, r = at(start)
    zero = jnp.zeros(())
    trial = _Trial(first, r, jnp.full((), 1e-2), zero, zero)
    return jax.lax.while_loop(lambda t: (t.taken < most) & (t.still < 6), step, trial).best


def uncertainty(jacobian: Float[np.ndarray, "points parameters"]) -> tuple[np.ndarray, list[list[int]]]:
    """Covariance of the parameters, and the groups that only act together (indices, worst first).

    A group is what a direction moves along which the residuals, in units of their s.d., hardly change.
    """
    information = jacobian.T @ jacobian
    values, vectors = np.linalg.eigh(information)
    covariance = vectors / (np.maximum(values, 0.0) + WIDE**-2) @ vectors.T
    weak = [k for k in range(len(values)) if values[k] < 1.0]
    groups = [[int(j) for j in np.argsort(-np.abs(vectors[:, k])) if abs(vectors[j, k]) > 0.3] for k in weak]
    return covariance, groups


def leverage(jacobian: Float[np.ndarray, "points parameters"]) -> Float[np.ndarray, " points"]:
    """The share of each point's variance that the fit takes up, in 0 … 1; their sum is the number of parameters."""
    return np.einsum("np,pq,nq->n", jacobian, uncertainty(jacobian)[0], jacobian)
