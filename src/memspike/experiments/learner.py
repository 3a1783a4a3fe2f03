"""What learns online: a blueprint of chips whose training is trial after trial, with an update after each."""

from abc import abstractmethod
from typing import Any, NamedTuple

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.arrays.ledger import Ledger
from memspike.cells.base import CellState
from memspike.learning.programming.base import Scheme

Real = Float[Array, "..."]


class Chip(NamedTuple):
    """What training carries from trial to trial: cells of all crossbars, states of scheme and rule, ledgers."""

    cells: tuple[CellState, ...]
    scheme: tuple[Any, ...]
    rule: Any
    ledger: tuple[Ledger, ...]


class AbstractLearner(eqx.Module):
    """A chip's blueprint: network, rule and scheme. Holds no state."""

    scheme: eqx.AbstractVar[Scheme]

    @property
    @abstractmethod
    def individual(self) -> bool:
        """Whether the network of a chip differs from that of the next."""

    @abstractmethod
    def crossbars(self) -> dict[str, Crossbar]:
        """The nominal crossbars by name, in the order of `Chip.cells`."""

    @abstractmethod
    def fabricated(self, key: PRNGKeyArray) -> Any:
        """The network of one chip, with the deviations of its own devices."""

    @abstractmethod
    def init(self, network: Any, *, key: PRNGKeyArray) -> Chip:
        """A new chip before its first trial."""

    @abstractmethod
    def step(
        self, network: Any, chip: Chip, x: Real, target: Real, *, key: PRNGKeyArray
    ) -> tuple[Chip, dict[str, Array]]:
        """One trial [steps, *batch, inputs] and the updates that follow from it."""
