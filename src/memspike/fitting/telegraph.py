"""Random telegraph noise: two levels with white noise on them, a hidden Markov chain fitted by maximum likelihood."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy import optimize

from memspike.fitting.records import Values, Z, estimate
from memspike.fitting.table import Estimate

SUSPECT = 20.0  # −2 × log-likelihood that two Gaussians gain over one, from which on a record is looked at
APART = 3.0  # levels nearer than so many s.d. of the noise on them are not told from one


class Telegraph(NamedTuple):
    """The fitted chain: log-likelihood of the record and its numbers, levels and noise in S, dwell times in s."""

    likelihood: float
    estimates: tuple[Estimate, ...]


def _loss(theta: Float[Array, "5"], y: Float[Array, " reads"]) -> Float[Array, ""]:
    """−log-likelihood; θ: lower level, ln of the step, ln of the s.d., ln of the rates up and down per read."""
    levels = theta[0] + jnp.exp(theta[1]) * jnp.arange(2.0)
    up, down = jnp.exp(theta[3]), jnp.exp(theta[4])
    share, left = up / (up + down), jnp.exp(-up - down)
    stationary = jnp.stack([1 - share, share])
    move = left * jnp.eye(2) + (1 - left) * stationary[None, :]
    seen = -0.5 * ((y[:, None] - levels[None, :]) * jnp.exp(-theta[2])) ** 2

    def read(carry: Array, logs: Array) -> tuple[Array, Array]:
        joint = carry * jnp.exp(logs - logs.max())
        total = joint.sum()
        return (joint / total) @ move, jnp.log(total) + logs.max()

    _, likelihood = jax.lax.scan(read, stationary, seen)
    return len(y) * (theta[2] + 0.5 * jnp.log(2 * jnp.pi)) - likelihood.sum()


_slope = jax.jit(jax.value_and_grad(_loss))
_curvature = jax.jit(jax.hessian(_loss))


def _halves(y: Values) -> tuple[np.ndarray, float]:
    """Which reads are in the upper of two classes (2-means), and what two Gaussians of one s.d. gain over one."""
    cut = float(np.mean(y))
    for _ in range(50):
        high = y > cut
        if high.all() or not high.any():
            return high, 0.0
        cut = 0.5 * float(y[high].mean() + y[~high].mean())
    high = y > cut
    levels, share = np.array([y[~high].mean(), y[high].mean()]), np.array([1 - high.mean(), high.mean()])
    sd = float(np.sqrt(np.mean((y - levels[high.astype(int)]) ** 2)))
    density = (share * np.exp(-0.5 * ((y[:, None] - levels) / sd) ** 2)).sum(1) / sd
    one = -0.5 * len(y) * (1 + np.log(np.var(y)))
    return high, 2 * float(np.log(np.maximum(density, 1e-300)).sum() - one)


def telegraph(g: Values, dt: float) -> Telegraph | None:
    """Two levels in equidistant reads of conductance in S, `dt` seconds apart; None where one Gaussian does as well.

    Dwell times are those of the lower and the upper level. Intervals follow from the curvature of the likelihood.
    """
    scale, middle = float(np.std(g)), float(np.mean(g))
    if not scale > 0:
        return None
    y = (g - middle) / scale
    high, gain = _halves(y)
    if high.all() or not high.any():
        return None
    flips = max(int((high[1:] != high[:-1]).sum()), 2)
    rates = [0.5 * flips / max(int(side.sum()), 1) for side in (~high, high)]
    levels = float(y[~high].mean()), float(y[high].mean())
    noise = float(np.sqrt(np.mean((y - np.where(high, levels[1], levels[0])) ** 2)))
    if gain < SUSPECT or levels[1] - levels[0] < APART * noise:
        return None
    start = np.array([levels[0], *np.log([levels[1] - levels[0], noise, *rates])])
    with jax.enable_x64(True):
        reads = jnp.asarray(y)

        def loss(theta: Values) -> tuple[float, Values]:
            value, slope = _slope(jnp.asarray(theta), reads)
            return float(value), np.asarray(slope, float)

        bounds = [(-10, 10), (-5, 3), (-8, 2), (-16, 2), (-16, 2)]
        begin = np.clip(start, *np.array(bounds, float).T)
        found = optimize.minimize(loss, begin, jac=True, method="L-BFGS-B", bounds=bounds)
        curvature = np.asarray(_curvature(jnp.asarray(found.x), reads), float)
    errors = Z * np.sqrt(np.maximum(np.diag(np.linalg.pinv(curvature, hermitian=True)), 0.0))
    x, low, high_end = found.x, found.x - errors, found.x + errors
    names = ("step", "noise", "dwell_low", "dwell_high")
    factors = (scale, scale, dt, dt)
    level = [middle + scale * float(end[0]) for end in (x, low, high_end)]
    estimates = [estimate("low_level", level[0], "S", *level[1:])]
    for k, (name, factor) in enumerate(zip(names, factors, strict=True), 1):
        ends = np.exp([x[k], low[k], high_end[k]]) if k < 3 else np.exp([-x[k], -high_end[k], -low[k]])
        value, a, b = factor * ends
        estimates.append(estimate(name, value, "S" if k < 3 else "s", a, b, ratio=True))
    return Telegraph(-float(found.fun) - len(y) * np.log(scale), tuple(estimates))
