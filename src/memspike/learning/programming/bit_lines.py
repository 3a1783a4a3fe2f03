"""Analog SGD as arrays do it: coinciding random bits on rows and columns, no product computed anywhere."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.arrays.ledger import Ledger
from memspike.cells.base import CellState, Weight
from memspike.learning.outer import Outer, terms
from memspike.learning.programming.base import Applied, Scheme, nothing, zeros_of
from memspike.learning.programming.counting import symmetric_step
from memspike.learning.programming.ideal import unwritten
from memspike.learning.programming.options import OptionalPulseStep, StreamLength, checked
from memspike.learning.programming.rounding import bit_line_counts
from memspike.parts.registry import SCHEMES


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

        def one(carry: tuple[CellState, Ledger], now: tuple[Outer, Array]) -> tuple[tuple[CellState, Ledger], None]:
            cells, ledger = carry
            term, k = now
            if key is None:
                pulses, own = jnp.round(gain * term.rows[:, None] * term.columns[None]), None
            else:
                bits, own = jax.random.split(jax.random.fold_in(key, k))
                pulses = bit_line_counts(term.rows, term.columns, gain=gain, length=length, adaptive=True, key=bits)
            cells, entry = crossbar.write(cells, pulses, key=own)
            return (cells, ledger + entry), None

        each = terms(dw)
        numbers = jnp.arange(each.rows.shape[0], dtype=jnp.int32)
        first = jax.tree.map(lambda x: x[0], (each, numbers))
        blank = zeros_of(lambda: one((cells, unwritten(crossbar, cells)), first)[0][1])
        (cells, ledger), _ = jax.lax.scan(one, (cells, blank), (each, numbers))
        return Applied(state, cells, ledger)

    return Scheme(nothing, apply, outer=True)
