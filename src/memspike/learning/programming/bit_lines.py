"""Analog SGD as arrays do it: coinciding random bits on rows and columns, no product computed anywhere."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, UInt32

from memspike.arrays.crossbar import Crossbar
from memspike.cells.base import CellState, Real, Weight
from memspike.devices.coincidences import WORD_BITS, Coincidences
from memspike.learning.programming.base import Applied, Scheme, nothing, term_by_term
from memspike.learning.programming.counting import symmetric_step
from memspike.learning.programming.options import OptionalPulseStep, StreamLength, checked
from memspike.learning.rules.base import Outer
from memspike.parts.random import uniform
from memspike.parts.registry import SCHEMES


def _words(bits: Bool[Array, "length lines"]) -> UInt32[Array, "words lines"]:
    """Streams of bits, 32 to a word."""
    length, lines = bits.shape
    words = -(-length // WORD_BITS)
    filled = jnp.zeros((words * WORD_BITS, lines), jnp.uint32).at[:length].set(bits.astype(jnp.uint32))
    places = jnp.left_shift(jnp.uint32(1), jnp.arange(WORD_BITS, dtype=jnp.uint32))
    return (filled.reshape(words, WORD_BITS, lines) * places[None, :, None]).sum(1, dtype=jnp.uint32)


class _Sent(NamedTuple):
    """Words of the bits that rows and columns send [words, lines], and signs ±1 of both."""

    sent: UInt32[Array, "words rows"]
    met: UInt32[Array, "words columns"]
    signs: tuple[Float[Array, " rows"], Float[Array, " columns"]]


def _streams(
    rows: Float[Array, " rows"],
    columns: Float[Array, " columns"],
    gain: Real | float,
    length: int,
    *,
    management: bool = True,
    adaptive: bool = False,
    key: PRNGKeyArray,
) -> _Sent:
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
    one = jnp.ones((), rows.dtype)
    return _Sent(sent, met, (jnp.copysign(one, rows), jnp.copysign(one, columns)))


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
    made = _streams(rows, columns, gain, length, management=management, adaptive=adaptive, key=key)
    words = zip(made.sent, made.met, strict=True)
    return sum(Coincidences(a, b, *made.signs).counts() for a, b in words)  # pyright: ignore[reportReturnType]


def coincidences(
    rows: Float[Array, " rows"], columns: Float[Array, " columns"], gain: Real | float, length: int, *, key: Any
) -> Coincidences | Float[Array, "rows columns"]:
    """The bits of such streams, with management and adaptive, where one word holds them; else the counts."""
    if length > WORD_BITS:
        return bit_line_counts(rows, columns, gain=gain, length=length, adaptive=True, key=key)
    made = _streams(rows, columns, gain, length, adaptive=True, key=key)
    return Coincidences(made.sent[0], made.met[0], *made.signs)


@SCHEMES.register(
    "bit-lines",
    "analog SGD: every outer product of Δw by coinciding random bits, one write each",
    "Gokmen & Vlasov, Front. Neurosci. 10: 333 (2016), doi 10.3389/fnins.2016.00333",
)
@checked
def by_bit_lines(step: OptionalPulseStep = None, length: StreamLength = 31) -> Scheme:
    """Every term of an `Outer` change is written by itself: streams of at most `length` bits, with management.

    `step` is the weight step of one coincidence, by default `symmetric_step`. Of a matrix every row is a term.
    Without a key the products are rounded to whole pulses.
    """

    def apply(
        state: Any, crossbar: Crossbar, cells: CellState, dw: Outer | Weight, *, key: PRNGKeyArray | None
    ) -> Applied:
        gain = 1 / jnp.asarray(symmetric_step(crossbar) if step is None else step)

        def one(state: Any, cells: CellState, term: Outer, k: Array) -> Applied:
            if key is None:
                pulses: Any = jnp.round(gain * term.rows[:, None] * term.columns[None])
                return Applied(state, *crossbar.write(cells, pulses))
            bits, own = jax.random.split(jax.random.fold_in(key, k))
            pulses = coincidences(term.rows, term.columns, gain, length, key=bits)
            return Applied(state, *crossbar.write(cells, pulses, key=own))

        return term_by_term(one, state, crossbar, cells, dw)

    return Scheme(nothing, apply, outer=True)
