"""Pulses that are not counted yet: bits that rows and columns send, of which those that meet are a pulse."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

from memspike.devices.base import Real

if TYPE_CHECKING:
    from memspike.parts.lanes import Lanes
    from memspike.parts.writer import Place, Writer
else:
    Lanes = Place = Writer = Any

WORD_BITS = 32


class Coincidences(NamedTuple):
    """Bits of every row and column, up to 32 in a word, and the sign ±1 of each.

    Where a row and a column have a bit in the same slot, the device between them takes a pulse of the product of both
    signs.
    """

    sent: UInt32[Array, " rows"]
    met: UInt32[Array, " columns"]
    row_signs: Float[Array, " rows"]
    column_signs: Float[Array, " columns"]

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns of the devices."""
        return (*self.sent.shape, *self.met.shape[-1:])

    def counts(self) -> Float[Array, "rows columns"]:
        """Signed pulses of every device."""
        number = jax.lax.population_count(self.sent[:, None] & self.met[None]).astype(jnp.int32)
        return number.astype(self.row_signs.dtype) * (self.row_signs[:, None] * self.column_signs[None])


def counted(pulses: "Real | Coincidences") -> Any:
    """Signed pulses of every device, however they are given."""
    return pulses.counts() if isinstance(pulses, Coincidences) else pulses


def pulses_of(writer: Writer, source: Sequence[Any], at: tuple[Any, Any, Any]) -> Callable[[Place], Lanes]:
    """Signed pulses of a row at a place, given its number, the chip and the columns: of a map, or of bits that meet."""
    from memspike.parts.lanes import WIDE
    from memspike.parts.writer import Place as Where

    (row, chip, columns), builder = at, writer.builder
    if len(source) == 1:
        here = writer.after(source[0], builder.mul(row, columns))
        return lambda place: writer.load(here, place)
    sent, met, row_signs, column_signs = source
    alone, start = Where(row, 1), builder.mul(chip, columns)
    word = writer.spread(writer.load(sent, alone).as_words(), WIDE)
    sign = writer.spread(writer.load(row_signs, alone), WIDE)

    def of(place: Place) -> Lanes:
        n = (writer.load(writer.after(met, start), place).as_words() & word).set_bits().number()
        return n * (sign * writer.load(writer.after(column_signs, start), place))

    return of
