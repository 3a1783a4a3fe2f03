"""What a chip can do in its periphery against drift: rescale the outputs of every column."""

from abc import abstractmethod
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar, Seen
from memspike.devices.part import AbstractModel
from memspike.parts.param import option
from memspike.parts.random import normal
from memspike.parts.registry import COMPENSATIONS

Gains = Float[Array, " columns"]


def _total(seen: Seen, key: PRNGKeyArray) -> Float[Array, " columns"]:
    """Current of all lines of a column with every row at 1 V, in A, as one noisy read shows it."""
    currents = seen.lines.sum((0, 1))
    return currents + jnp.sqrt(jnp.square(seen.sd).sum((0, 1))) * normal(key, currents.shape)


class AbstractCompensation(AbstractModel):
    """Factors for the output currents of the columns, found by reads alone.

    `before` is what reads saw right after programming, `now` what they see at the age in question; every
    calibration read has its own read noise.
    """

    @abstractmethod
    def gains(self, crossbar: Crossbar, before: Seen, now: Seen, *, key: PRNGKeyArray) -> Gains:
        """One factor a column."""


@COMPENSATIONS.register("none", "outputs as they are")
class NoCompensation(AbstractCompensation):
    """Factors of 1."""

    source: ClassVar[str] = "definition"

    def gains(self, crossbar: Crossbar, before: Seen, now: Seen, *, key: PRNGKeyArray) -> Gains:
        """Ones."""
        return jnp.ones_like(now.lines[0, 0])


@COMPENSATIONS.register("global", "one factor for the whole array: summed line currents then over now")
class GlobalDrift(AbstractCompensation):
    """One factor a matrix: the summed current of all its lines right after programming over the same now."""

    source: ClassVar[str] = "Joshi et al., Nat. Commun. 11: 2473 (2020), doi 10.1038/s41467-020-16108-9"

    def gains(self, crossbar: Crossbar, before: Seen, now: Seen, *, key: PRNGKeyArray) -> Gains:
        """The same factor for every column."""
        first, second = jax.random.split(key)
        factor = _total(before, first).sum() / _total(now, second).sum()
        return jnp.full_like(now.lines[0, 0], factor)


@COMPENSATIONS.register("per-column", "one factor a column: its summed line currents then over now")
class ColumnDrift(AbstractCompensation):
    """One factor a column: the summed current of its lines right after programming over the same now."""

    source: ClassVar[str] = "column-wise form of Joshi et al., doi 10.1038/s41467-020-16108-9 (reconstruction)"

    def gains(self, crossbar: Crossbar, before: Seen, now: Seen, *, key: PRNGKeyArray) -> Gains:
        """Summed currents then over now."""
        first, second = jax.random.split(key)
        return _total(before, first) / _total(now, second)


@COMPENSATIONS.register("recalibration", "one factor a column by least squares on stored outputs of random inputs")
class Recalibration(AbstractCompensation):
    """One factor a column: least squares of the outputs stored right after programming against those read now.

    `inputs` random row vectors are read then and now; unlike summed line currents this sees the signed weights.
    """

    source: ClassVar[str] = "linear regression (reconstruction)"

    inputs: int = option(64, "random row vectors that are read", bounds=(1, 1_000_000))

    def gains(self, crossbar: Crossbar, before: Seen, now: Seen, *, key: PRNGKeyArray) -> Gains:
        """Σ y_then·y_now / Σ y_now² over the calibration inputs."""
        drawn, first, second = jax.random.split(key, 3)
        v = normal(drawn, (self.inputs, now.lines.shape[1]), now.lines.dtype)
        # a unit near the outputs themselves: squares of microamperes underflow in float32
        unit = jnp.abs(before.lines).max()
        then, later = (crossbar.read(s, v, key=k) / unit for s, k in ((before, first), (now, second)))
        power = jnp.square(later).sum(0)
        return jnp.where(power > 0, (then * later).sum(0) / jnp.where(power > 0, power, 1.0), 1.0)
