"""The periphery of an array: drivers and converters, when lines are combined, and how columns share a converter."""

from abc import abstractmethod
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.converters import AbstractStage, Identity
from memspike.devices.part import AbstractPart
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, option, param, part

Real = Float[Array, "..."]
Key = PRNGKeyArray | None
Stages = tuple[AbstractStage, AbstractStage]


def _pass(stages: Stages, i: Real, key: Key) -> Real:
    early, late = (None, None) if key is None else jax.random.split(key)
    return stages[1](stages[0](i, key=early), key=late)


def _weighted(currents: Real, gains: Real) -> Real:
    return (currents * gains.reshape(-1, *(1,) * (currents.ndim - 1))).sum(0)


class AbstractOrder(AbstractPart):
    """When the lines of a cell (plus and minus columns, bit slices) are combined."""

    @abstractmethod
    def check(self, stages: Stages, lines: int) -> None:
        """InputError for parameters of amplifier or ADC whose shape does not suit cells of so many lines."""

    @abstractmethod
    def sense(self, stages: Stages, currents: Real, gains: Real, *, key: Key = None) -> Real:
        """Currents [lines, ..., columns] in A through amplifier and ADC, weighted with `gains` [lines], in A."""

    @abstractmethod
    def conversions(self, lines: int, columns: int) -> int:
        """Conversions that one read of `columns` cells with `lines` lines each takes."""


class BeforeConversion(AbstractOrder):
    """Analog: the weighted sum of the line currents is amplified and converted, once for each column of cells."""

    def check(self, stages: Stages, lines: int) -> None:
        """None may differ from line to line; InputError otherwise."""
        for shape in map(jnp.shape, jax.tree.leaves(stages)):
            if len(shape) > 1:
                raise InputError(f"A parameter behind combined lines has shape {shape}; [columns] at most is allowed.")

    def sense(self, stages: Stages, currents: Real, gains: Real, *, key: Key = None) -> Real:
        """Combine, then convert."""
        return _pass(stages, _weighted(currents, gains), key)

    def conversions(self, lines: int, columns: int) -> int:
        """columns."""
        return columns


class AfterConversion(AbstractOrder):
    """Digital: every line is amplified and converted, then codes are weighted and added.

    A parameter of shape [columns] belongs to an amplifier or converter that the lines of a column use in turn, so that
    its offset cancels in a difference; one of shape [lines, columns] gives every line its own.
    """

    def check(self, stages: Stages, lines: int) -> None:
        """The first of two axes is that of the lines; InputError otherwise."""
        for shape in map(jnp.shape, jax.tree.leaves(stages)):
            if len(shape) > 2 or (len(shape) == 2 and shape[0] != lines):
                raise InputError(f"A parameter behind {lines} lines has shape {shape}; allowed: [{lines}, columns].")

    def sense(self, stages: Stages, currents: Real, gains: Real, *, key: Key = None) -> Real:
        """Convert, then combine."""
        lines = currents.shape[0]
        keys = None if key is None else jax.random.split(key, lines)
        axes = (lambda leaf: 0 if jnp.ndim(leaf) == 2 else None, 0, None if key is None else 0)
        each = eqx.filter_vmap(_pass, in_axes=axes)
        return _weighted(each(stages, currents, keys), gains)

    def conversions(self, lines: int, columns: int) -> int:
        """lines·columns."""
        return lines * columns


class Periphery(AbstractPart):
    """Drivers of the rows, amplifiers and converters of the columns, and when the lines of a cell are combined."""

    dac: AbstractStage = part(Identity, "drivers of the rows")
    amplifier: AbstractStage = part(Identity, "amplifiers of the columns")
    adc: AbstractStage = part(Identity, "converters of the columns")
    order: AbstractOrder = part(BeforeConversion, "when the lines of a cell are combined")

    @property
    def ideal(self) -> bool:
        """Whether every stage passes its input on."""
        return all(isinstance(stage, Identity) for stage in (self.dac, self.amplifier, self.adc))

    def check_lines(self, lines: int) -> None:
        """InputError for parameters behind the columns whose shape does not suit cells of so many lines."""
        self.order.check((self.amplifier, self.adc), lines)

    def drive(self, v: Real, *, key: Key = None) -> Real:
        """Wanted row voltages [..., rows] in V → voltages on the rows in V."""
        return self.dac(v, key=key)

    def sense(self, currents: Real, gains: Float[Array, " lines"] | tuple[float, ...], *, key: Key = None) -> Real:
        """Line currents [lines, ..., columns] weighted with one gain for each line → currents [..., columns], in A.

        InputError unless there is one gain for each line.
        """
        weights = jnp.asarray(gains, currents.dtype)
        if currents.ndim == 0 or weights.shape != currents.shape[:1]:
            raise InputError(
                f"Gains {weights.shape} and currents {currents.shape} do not have the same number of lines."
            )
        self.check_lines(currents.shape[0])
        return self.order.sense((self.amplifier, self.adc), currents, weights, key=key)

    def conversions(self, lines: int, columns: int) -> int:
        """Conversions that one read takes; none without a converter."""
        return 0 if isinstance(self.adc, Identity) else self.order.conversions(lines, columns)


class Shared(AbstractPart):
    """A converter that serves `columns_per_adc` columns in turn, their currents held until it comes to them.

    All columns are sampled at time 0; a column in turn k (from 0) is converted at k·period, when its held value has
    fallen to e^(−droop·k·period). A converter serves neighbouring columns, or, interleaved, each N-th column (N
    converters in all). InputError for less than one column a converter and a negative droop.
    """

    source: ClassVar[str] = "definition: time-multiplexed converter behind sample-and-hold stages of one time constant"

    columns_per_adc: int = option(1, "columns that take turns at one converter", bounds=(1, 1_000_000_000))
    interleaved: bool = option(False, "a converter serves each N-th column instead of neighbours")
    droop: Parameter = param(0.0, "1/s", "rate at which a held value decays", bounds=(0, 1e15))

    def converters(self, columns: int) -> int:
        """How many converters `columns` columns need."""
        return -(-columns // self.columns_per_adc)

    def sample_times(self, columns: int, period: Float[Array, ""] | float) -> Float[Array, " columns"]:
        """The time in s, from the sampling, at which each column is converted; `period` s a conversion."""
        column = jnp.arange(columns)
        turn = column // self.converters(columns) if self.interleaved else column % self.columns_per_adc
        return turn.astype(jnp.result_type(float)) * period

    def held(self, columns: int, period: Float[Array, ""] | float) -> Float[Array, " columns"]:
        """Share of the sampled value that is left in each column when it is converted, `period` seconds a
        conversion.
        """
        return jnp.exp(-self.droop * self.sample_times(columns, period))
