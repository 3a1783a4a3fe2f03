"""Sums that stay exact over a long training in single precision."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num

from memspike.parts.errors import InputError

Real = Float[Array, "..."]
WORD = 30
FULL = 2**31 - 1


class Total(eqx.Module):
    """A sum of floating point numbers in two words, high + low, of which low is the rounding of high."""

    high: Float[Array, "..."]
    low: Float[Array, "..."]

    @staticmethod
    def of(x: Real | float) -> "Total":
        """A sum with one summand."""
        x = jnp.asarray(x, jnp.result_type(float))
        return Total(x, jnp.zeros_like(x))

    def __add__(self, other: "Total") -> "Total":
        a, b = self.high, other.high
        s = a + b
        back = s - a
        lost = (a - (s - back)) + (b - back) + (self.low + other.low)
        high = s + lost
        return Total(high, lost - (high - s))

    @property
    def value(self) -> Float[Array, "..."]:
        """The sum, rounded to one word."""
        return self.high + self.low

    def exact(self) -> Float[np.ndarray, "..."]:
        """The sum in double precision (outside of transformations only)."""
        return np.asarray(np.asarray(self.high, np.float64) + np.asarray(self.low, np.float64))


class Tally(eqx.Module):
    """A whole number in two words, high·2³⁰ + low, exact from 0 to 2⁶¹."""

    high: Int[Array, "..."]
    low: Int[Array, "..."]

    @staticmethod
    def of(n: Num[Array, "..."] | int) -> "Tally":
        """A number that is known, or a whole number below 2³¹ in an array."""
        if isinstance(n, int | np.integer):
            if not 0 <= n < 2 ** (2 * WORD + 1):
                raise InputError(f"A count is {n}; a whole number from 0 to 2^61 is needed.")
            return Tally(jnp.asarray(n >> WORD, jnp.int32), jnp.asarray(n & (2**WORD - 1), jnp.int32))
        whole = n.astype(jnp.int32)
        return Tally(whole >> WORD, whole & (2**WORD - 1))

    def __add__(self, other: "Tally") -> "Tally":
        low = self.low + other.low
        return Tally(self.high + other.high + (low >> WORD), low & (2**WORD - 1))

    def __int__(self) -> int:
        return (int(self.high) << WORD) + int(self.low)


def count_sum(a: Int[Array, "..."], b: Int[Array, "..."]) -> Int[Array, "..."]:
    """a + b of counts from 0 on, which stays at `FULL` instead of wrapping."""
    total = a + b
    return jnp.where(total < 0, jnp.full_like(total, FULL), total)
