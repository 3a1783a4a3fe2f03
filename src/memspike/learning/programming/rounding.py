"""From a wanted number of pulses, which is not whole, to whole pulses."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, UInt32

from memspike.parts.random import uniform

Real = Float[Array, "..."]
WORD_BITS = 32


def stochastic_rounding(wanted: Real, *, key: PRNGKeyArray) -> Real:
    """A whole number whose mean is `wanted`: ⌊f + u⌋ with u uniform in [0, 1)."""
    return jnp.floor(wanted + uniform(key, wanted.shape, wanted.dtype))


def _words(bits: Bool[Array, "length lines"]) -> UInt32[Array, "words lines"]:
    """Streams of bits, 32 to a word."""
    length, lines = bits.shape
    words = -(-length // WORD_BITS)
    filled = jnp.zeros((words * WORD_BITS, lines), jnp.uint32).at[:length].set(bits.astype(jnp.uint32))
    places = jnp.left_shift(jnp.uint32(1), jnp.arange(WORD_BITS, dtype=jnp.uint32))
    return (filled.reshape(words, WORD_BITS, lines) * places[None, :, None]).sum(1, dtype=jnp.uint32)


def bit_line_counts(
    rows: Float[Array, " rows"],
    columns: Float[Array, " columns"],
    *,
    gain: Real | float,
    length: int = 31,
    management: bool = True,
    adaptive: bool = False,
    key: PRNGKeyArray,
) -> Float[Array, "rows columns"]:
    """Signed pulse counts of a rank-one update by coinciding stochastic bit streams, mean gain·rows·columnsᵀ.

    Every row and column sends `length` random bits; a device takes one pulse for every slot where both are 1.
    With `management` the two probabilities are balanced so that neither side saturates first; a probability
    above 1 is cut, which is where the mean falls short. `adaptive` streams are only as long as the largest product
    needs, ⌈gain·max|row|·max|column|⌉ bits, at most `length`. Source: Gokmen & Vlasov, doi 10.3389/fnins.2016.00333.
    """
    largest_row = jnp.maximum(jnp.abs(rows).max(), 1e-30)
    largest_column = jnp.maximum(jnp.abs(columns).max(), 1e-30)
    balance = jnp.sqrt(largest_column / largest_row) if management else jnp.ones((), rows.dtype)
    gain = jnp.asarray(gain, rows.dtype)
    bits = jnp.ceil(gain * largest_row * largest_column) if adaptive else jnp.asarray(length, rows.dtype)
    bits = jnp.clip(bits, 1, length)
    root = jnp.sqrt(gain / bits)
    used = jnp.arange(length, dtype=rows.dtype) < bits
    first, second = jax.random.split(key)
    p = jnp.minimum(root * balance * jnp.abs(rows), 1.0)
    q = jnp.minimum(root / balance * jnp.abs(columns), 1.0)
    sent = _words((uniform(first, (length, *rows.shape)) < p[None]) & used[:, None])
    met = _words(uniform(second, (length, *columns.shape)) < q[None])
    words = zip(sent, met, strict=True)
    met_in = (jax.lax.population_count(a[:, None] & b[None]).astype(jnp.int32) for a, b in words)
    count = sum(met_in, jnp.zeros((rows.size, columns.size), jnp.int32))
    opposite = jnp.signbit(rows)[:, None] ^ jnp.signbit(columns)[None]
    return jnp.where(opposite, -count, count).astype(rows.dtype)
