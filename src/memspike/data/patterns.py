"""Pattern generation: a frozen Poisson input and a sum of sines to be followed."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

FREQUENCIES = (1.0, 2.0, 3.0, 5.0)


class Patterns(NamedTuple):
    """Input spikes [patterns, steps, inputs] and targets [patterns, steps, 1], whose largest size is 1."""

    x: Float[Array, "patterns steps inputs"]
    target: Float[Array, "patterns steps outputs"]


def patterns(count: int, steps: int, dt: float, inputs: int, rate: float, *, key: PRNGKeyArray) -> Patterns:
    """`count` patterns of `steps` of `dt` seconds; every input fires at `rate` Hz.

    A target is Σ_f a_f·sin(2π·f·t + φ_f) over 1, 2, 3 and 5 Hz, a uniform in [0.5, 2], φ uniform, divided by its
    largest size. Source: the task of Bellec et al., Nat. Commun. 11: 3625 (2020), as in the released code of Demirağ
    et al., arXiv 2108.01804.
    """
    for_x, for_a, for_phase = jax.random.split(key, 3)
    x = jax.random.bernoulli(for_x, rate * dt, (count, steps, inputs)).astype(jnp.result_type(float))
    a = jax.random.uniform(for_a, (count, 1, len(FREQUENCIES)), minval=0.5, maxval=2.0)
    phase = jax.random.uniform(for_phase, (count, 1, len(FREQUENCIES)), maxval=2 * math.pi)
    t = jnp.arange(steps, dtype=x.dtype)[None, :, None] * dt
    wave = (a * jnp.sin(2 * math.pi * jnp.asarray(FREQUENCIES, x.dtype)[None, None] * t + phase)).sum(-1)
    return Patterns(x, (wave / jnp.abs(wave).max(1, keepdims=True))[..., None])
