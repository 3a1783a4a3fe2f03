"""Uniform and normal draws: the numbers of `jax.random`, made in one pass over an array.

On a CPU JAX keeps the twenty rounds of its generator in a loop, which saves compilation and sends every round through
memory. Written out they stay in registers: half the time for the noise of a large array, and the same bits.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt32

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA
MANTISSA = 23


def _threefry(key: UInt32[Array, "2"], x: UInt32[Array, "*shape"]) -> UInt32[Array, "*shape"]:
    """Both words of Threefry-2x32 with 20 rounds at the counters (0, x), combined as in `jax.random.bits`.

    Source: Salmon, Moraes, Dror & Shaw, SC 2011, doi 10.1145/2063384.2063405.
    """
    schedule = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(PARITY))
    a, b = jnp.zeros_like(x) + schedule[0], x + schedule[1]
    for group in range(5):
        for by in ROTATIONS[group % 2]:
            a = a + b
            b = a ^ ((b << by) | (b >> (32 - by)))
        a, b = a + schedule[(group + 1) % 3], b + schedule[(group + 2) % 3] + jnp.uint32(group + 1)
    return a ^ b


def _bits(key: PRNGKeyArray, size: int) -> UInt32[Array, " size"]:
    """`size` words. In two halves by a loop: what is no loop XLA computes again inside everything that uses it."""
    words, half = jax.random.key_data(key), -(-size // 2)
    counter = jax.lax.iota(jnp.uint32, half)
    halves = jax.lax.map(lambda k: _threefry(words, counter + k), jnp.arange(2, dtype=jnp.uint32) * half)
    return halves.reshape(-1)[:size]


def _unit(key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "*shape"]:
    """Uniform in [0, 1) with the 23 bits of a float32."""
    bits = _bits(key, math.prod(shape)).reshape(shape)
    one = jnp.uint32(np.float32(1).view(np.uint32))
    return jax.lax.bitcast_convert_type((bits >> (32 - MANTISSA)) | one, jnp.float32) - 1


def written_out(key: PRNGKeyArray, shape: tuple[int, ...], dtype: np.dtype) -> bool:
    """Whether the generator above makes what JAX would, for a key, a shape and a type; the rest is left to JAX."""
    partitioned = jax.config.jax_threefry_partitionable  # pyright: ignore[reportAttributeAccessIssue]
    single = dtype == np.float32 and 0 < math.prod(shape) < 2**32
    return single and partitioned and str(jax.random.key_impl(key)) == "threefry2x32"


def uniform(
    key: PRNGKeyArray, shape: tuple[int, ...] = (), dtype: np.dtype | type | None = None
) -> Float[Array, "*shape"]:
    """`jax.random.uniform` in [0, 1), to the bit."""
    dtype = np.dtype(dtype or jnp.result_type(float))
    return _unit(key, shape) if written_out(key, shape, dtype) else jax.random.uniform(key, shape, dtype)


def normal(
    key: PRNGKeyArray, shape: tuple[int, ...] = (), dtype: np.dtype | type | None = None
) -> Float[Array, "*shape"]:
    """`jax.random.normal`, to the bit."""
    dtype = np.dtype(dtype or jnp.result_type(float))
    if not written_out(key, shape, dtype):
        return jax.random.normal(key, shape, dtype)
    low = np.nextafter(np.float32(-1), np.float32(0))
    u = jnp.maximum(low, _unit(key, shape) * (1 - low) + low)
    return np.float32(math.sqrt(2)) * jax.lax.erf_inv(u)
