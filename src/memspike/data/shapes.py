"""Four shapes of few pixels, shown as one spike a pixel: bright ones early, dark ones late."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, check_bounds, param

NAMES = ("plus", "frame", "rows", "columns")
LEAST = 6


def shapes(side: int = 8) -> Float[np.ndarray, "shapes pixels"]:
    """A plus, a frame, two rows and two columns, 1 where a pixel of the side×side image is bright.

    The choice of shapes is our own: those of arXiv 2203.01416 are not known to us.
    """
    if side < LEAST:
        raise InputError(f"The shapes are {side} pixels wide; {LEAST} or more are needed to tell them apart.")
    at = np.arange(side) - 0.5 * (side - 1)
    y, x = np.meshgrid(at, at, indexing="ij")
    near, far = np.minimum(np.abs(x), np.abs(y)), np.maximum(np.abs(x), np.abs(y))
    rows, columns = (np.floor(4 * (z / side + 0.5)) % 2 == 0 for z in (y, x))
    drawn = (near < 0.125 * side, far > 0.5 * side - 1, rows, columns)
    return np.stack([d.astype(float).ravel() for d in drawn])


class LatencySpikes(eqx.Module):
    """Every pixel spikes once: at `early` if it is bright, at `late` if it is dark, ± a Gaussian `jitter`.

    Before that each pixel is inverted with the probability `flips`. A rank-order code: an intensity is a latency.
    """

    early: Parameter = param(5e-3, "s", "mean latency of a bright pixel", bounds=(0, 1e6))
    late: Parameter = param(30e-3, "s", "mean latency of a dark pixel", bounds=(0, 1e6))
    jitter: Parameter = param(1e-3, "s", "s.d. of every latency", bounds=(0, 1e6))
    flips: Parameter = param(0.1, "1", "probability of a pixel to be inverted", bounds=(0, 1))
    dt: Parameter = param(1e-3, "s", "time step", bounds=(1e-12, 1e3))
    steps: int = eqx.field(static=True, default=60)

    def __check_init__(self) -> None:
        check_bounds(self)

    def __call__(self, pixels: Float[Array, " pixels"], *, key: PRNGKeyArray) -> Float[Array, "steps pixels"]:
        """Spikes, 0 or 1, of one presentation; latencies are kept inside of it."""
        for_flips, for_jitter = jax.random.split(key)
        inverted = jax.random.bernoulli(for_flips, self.flips, pixels.shape)
        bright = jnp.where(inverted, 1 - pixels, pixels)
        latency = self.late + bright * (self.early - self.late)
        latency = latency + self.jitter * jax.random.normal(for_jitter, pixels.shape)
        step = jnp.clip(jnp.round(latency / self.dt), 0, self.steps - 1).astype(int)
        return jax.nn.one_hot(step, self.steps, axis=0, dtype=pixels.dtype)
