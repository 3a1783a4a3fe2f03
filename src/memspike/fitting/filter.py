"""A robust Kalman filter of many traces at once, linear in its state, with the derivatives a fit needs.

The state of a trace is the conductance x of the law, the window offset b (what a read sees is x + b) and the
relative speed δ of the ramp; all in shares of the range. Between two reads

    x' = F·x + u + s·δ + w,  w ~ N(0, Q),      y = x + b + e,  e ~ N(0, R),

and where the direction turns δ is drawn anew from N(0, σ²). A read is believed with the probability that it is not
one of a share `GLITCHES` of reads that may be anywhere; the state after it is the mixture, collapsed to its first
two moments. Source: Kalman filter with a Gaussian sum collapsed at every step (generalised pseudo-Bayes 1): Bar-Shalom,
Li & Kirubarajan, Estimation with Applications to Tracking and Navigation, Wiley (2001), chapter 11.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

GLITCHES = 1e-3  # prior share of reads that say nothing
CHUNK = 6  # derivatives taken in one call: one compiled program serves every law


class Coefficients(NamedTuple):
    """What the parameters decide: arrays [gaps, traces], variances A [traces] of the first states, R and B of reads and
    offsets.
    """

    F: Any
    u: Any
    s: Any
    Q: Any
    speed: Any
    A: Any
    R: Any
    B: Any


class Reads(NamedTuple):
    """What was measured: first state [traces], reads, whether they exist and whether the direction turns [reads, …]."""

    first: Any
    y: Any
    known: Any
    turn: Any
    flat: Any  # log density of a glitch


class Filtered(NamedTuple):
    """Log density, innovation, its variance and the belief of every read; the offset and speed at the end."""

    density: Any
    missed: Any
    variance: Any
    belief: Any
    offset: Any
    speed: Any
    speed_variance: Any


def _update(c: Any, y: Array, known: Array, R: Array, flat: Array) -> tuple[Any, Any]:
    x, b, d, xx, xb, xd, bb, bd, dd = c
    v = y - x - b
    kx, kb, kd = xx + xb, xb + bb, xd + bd
    S = kx + kb + R
    odds = -0.5 * (v * v / S + jnp.log(2 * jnp.pi * S)) - flat
    w = known * jax.nn.sigmoid(odds)
    gain, shrink = w * v / S, (w - w * (1 - w) * v * v / S) / S
    # half of the doubt is that the state has jumped: the next read decides
    jump = 0.5 * (known - w) * v * v
    after = (
        *(x + kx * gain, b + kb * gain, d + kd * gain),
        *(xx - shrink * kx * kx + jump, xb - shrink * kx * kb, xd - shrink * kx * kd),
        *(bb - shrink * kb * kb, bd - shrink * kb * kd, dd - shrink * kd * kd),
    )
    return after, (known * (jax.nn.softplus(odds) + flat), v, S, w)


def _filter(at: Coefficients, reads: Reads) -> Filtered:
    def gap(c: Any, entry: Any) -> tuple[Any, Any]:
        F, u, s, Q, speed, y, known, turn = entry
        x, b, d, xx, xb, xd, bb, bd, dd = c
        d, xd, bd, dd = (jnp.where(turn, new, old) for new, old in ((0.0, d), (0.0, xd), (0.0, bd), (speed, dd)))
        x = F * x + u + s * d
        xx = F * F * xx + 2 * F * s * xd + s * s * dd + Q
        xb, xd = F * xb + s * bd, F * xd + s * dd
        return _update((x, b, d, xx, xb, xd, bb, bd, dd), y, known, at.R, reads.flat)

    none = jnp.zeros_like(reads.first)
    start = (reads.first, none, none, at.A, none, none, none + at.B, none, none)
    start, first = _update(start, reads.y[0], reads.known[0], at.R, reads.flat)
    entries = (at.F, at.u, at.s, at.Q, at.speed, reads.y[1:], reads.known[1:], reads.turn)
    end, rest = jax.lax.scan(gap, start, entries)
    told = [jnp.concatenate([a[None], b]) for a, b in zip(first, rest, strict=True)]
    density, missed, variance, belief = told
    return Filtered(density, missed, variance, belief, end[1], end[2], end[8])


filtered = jax.jit(_filter)


@jax.jit
def _scores(at: Coefficients, ways: Coefficients, reads: Reads) -> tuple[Array, Array, Array]:
    """Gradient of the log density along `ways` [CHUNK, …], and derivatives whose products are the information."""

    def along(way: Coefficients) -> tuple[Filtered, Filtered]:
        return jax.jvp(lambda a: _filter(a, reads), (at,), (way,))

    here, moved = jax.vmap(along, out_axes=(None, 0))(ways)
    of_mean = moved.missed * jnp.sqrt(here.belief / here.variance)[None]
    of_spread = moved.variance * (jnp.sqrt(0.5 * here.belief) / here.variance)[None]
    flat = jnp.concatenate([of_mean.reshape(CHUNK, -1), of_spread.reshape(CHUNK, -1)], axis=1)
    return moved.density.sum((1, 2)), flat, here.density.sum()


def scores(
    at: Coefficients, ways: Coefficients, reads: Reads
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n n"]]:
    """Gradient of the log density of all reads, and its expected information, along `ways` [n, …]."""
    count = len(ways.R)
    rows, gradient = [], []
    for k in range(0, count, CHUNK):
        part = jax.tree.map(lambda a, k=k: _padded(a[k : k + CHUNK]), ways)
        slope, flat, _ = _scores(at, part, reads)
        rows.append(np.asarray(flat))
        gradient.append(np.asarray(slope))
    table = np.concatenate(rows)[:count]
    return np.concatenate(gradient)[:count], table @ table.T


def _padded(a: Any) -> Any:
    return np.concatenate([a, np.zeros((CHUNK - len(a), *a.shape[1:]))]) if len(a) < CHUNK else a
