"""What a learning rule declares: from a trial on a chip to the wanted change of every weight."""

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from memspike.arrays.ledger import Ledger
from memspike.devices.part import AbstractModel
from memspike.learning.objectives import AbstractObjective, Own, along, between
from memspike.networks.base import AbstractNetwork, Cells, Clock, Corrections, Weights, scaled_columns

Optimizer = optax.GradientTransformation


class Batch(NamedTuple):
    """A trial, several together, or some steps of them: inputs, targets, steps that count, whether it begins here.

    `own` are the steps that every trial has for itself, the first of them; after them it counts for nothing.
    """

    x: Any
    target: Any
    counts: Float[Array, "steps *batch"]
    fresh: Bool[Array, ""]
    own: Own = None

    def inside(self, like: Float[Array, "steps *shape"]) -> Float[Array, "steps ..."] | None:
        """1 at the steps of its own, else 0, with as many axes as `like`; None where all are."""
        return None if self.own is None else along(between(len(like), jnp.zeros_like(self.own), self.own), like)


class Outer(NamedTuple):
    """Δw = Σ_k rows[k] ⊗ columns[k], in units of weight: what an array can multiply by itself with pulses."""

    rows: Float[Array, "terms rows"]
    columns: Float[Array, "terms columns"]


def dense(dw: Outer | Float[Array, "rows columns"]) -> Float[Array, "rows columns"]:
    """The matrix [rows, columns]."""
    return dw.rows.T @ dw.columns if isinstance(dw, Outer) else dw


def terms(dw: Outer | Float[Array, "rows columns"]) -> Outer:
    """Outer products that add up to Δw: those it is given by, or of a matrix one for every row."""
    return dw if isinstance(dw, Outer) else Outer(jnp.eye(dw.shape[0], dtype=dw.dtype), dw)


class Update(NamedTuple):
    """State of the rule, wanted change [rows, columns] of every matrix (an array or an `Outer`), metrics after a
    trial.
    """

    state: Any
    change: tuple[Any, ...]
    metrics: dict[str, Array]


class View(NamedTuple):
    """What a rule may see of a chip: its network, what is wanted of it, its clock and its cells.

    `corrections` are those of the wires for now. `digital` weights lie in digital memory; `exact` ones are programmed
    without error; reads are `noisy` or not. An `aged` chip is seen as reads see it, with the read noise of its devices
    and with output `gains` a column.

    Gains are [columns] for each matrix.
    """

    network: AbstractNetwork
    objective: AbstractObjective
    clock: Clock
    cells: Cells
    corrections: Corrections = None
    digital: bool = False
    exact: bool = False
    noisy: bool = True
    aged: bool = False
    gains: tuple[Array, ...] | None = None

    def weights(self) -> Weights:
        """The logical weights of the programmed conductances."""
        return self.network.weights(self.cells)

    def readings(self) -> Any:
        """Read statistics of the chip in this trial, behind the output gains of a drift compensation; digital memory
        is as programmed.
        """
        if self.digital and not self.aged:
            return self.as_programmed()
        noise = self.noisy or self.aged
        seen = self.network.read(self.cells, self.clock.moments(), noise=noise, corrections=self.corrections)
        return seen if self.gains is None else scaled_columns(seen, self.gains)

    def as_programmed(self) -> Any:
        """What reads of programmed conductances see, without drift and noise of devices; old chips are read."""
        return self.readings() if self.aged else self.network.programmed(None, self.cells, self.corrections)

    def key(self, key: PRNGKeyArray | None) -> PRNGKeyArray | None:
        """The key of noisy reads, None where there is no noise."""
        return key if self.noisy else None


class AbstractRule(AbstractModel):
    """A learning rule by its constants; every rule is made from the same arguments or refuses them in `check`.

    `spread_batch`: a batch may be spread over devices. `segments`: weights may be written within a trial.
    `finite`: a number that is not finite ends the training. `sees_devices`: trials see drift and the read noise of
    devices, and not only what was programmed.
    """

    spread_batch: ClassVar[bool] = False
    segments: ClassVar[bool] = False
    finite: ClassVar[bool] = False
    sees_devices: ClassVar[bool] = True

    @abstractmethod
    def check(self, network: AbstractNetwork, objective: AbstractObjective, batch: int) -> None:
        """InputError in one sentence for a network, an objective or a batch that the rule cannot learn."""

    @abstractmethod
    def keys(self, key: PRNGKeyArray) -> tuple[PRNGKeyArray, PRNGKeyArray]:
        """The key of an update → that of the rule and that of the programming scheme."""

    @abstractmethod
    def init(self, view: View, optimizer: Optimizer, batch: tuple[int, ...], *, key: PRNGKeyArray) -> Any:
        """The state of the rule on a new chip, for batches of that shape."""

    @abstractmethod
    def prepare(self, view: View, *, key: PRNGKeyArray) -> tuple[Cells, tuple[Ledger | None, ...]]:
        """What is done to the cells before every trial, and the ledgers of it."""

    @abstractmethod
    def update(self, state: Any, view: View, batch: Batch, optimizer: Optimizer, *, key: PRNGKeyArray) -> Update:
        """What follows from a trial."""

    @abstractmethod
    def run(self, state: Any, view: View, x: Any, *, key: PRNGKeyArray | None) -> Any:
        """The activity of the chip in a trial without learning."""

    @abstractmethod
    def classes(self, state: Any, predicted: Array) -> Array:
        """Classes, of any shape, for those that the objective predicts, where the rule has learned what neurons
        stand for.
        """


# what most rules share; a rule takes them as its own, e.g. prepare = untouched


@staticmethod
def two_keys(key: PRNGKeyArray) -> tuple[PRNGKeyArray, PRNGKeyArray]:
    """A key for the rule and one for the scheme."""
    first, second = jax.random.split(key)
    return first, second


@staticmethod
def last_two_of_three(key: PRNGKeyArray) -> tuple[PRNGKeyArray, PRNGKeyArray]:
    """The same where the first of three keys is that of the trial or of its preparation."""
    _, second, third = jax.random.split(key, 3)
    return second, third


@staticmethod
def untouched(view: View, *, key: PRNGKeyArray | None = None) -> tuple[Cells, tuple[Ledger | None, ...]]:
    """Nothing is done before a trial."""
    return view.cells, (None,) * len(view.cells)


@staticmethod
def as_predicted(state: Any, predicted: Array) -> Array:
    """The classes are those that the objective predicts."""
    return predicted


def descent(optimizer: Optimizer, slope: Any, state: Any, weights: Any = None) -> tuple[Any, Any]:
    """The change that an optimiser makes of a gradient, and its state afterwards."""
    with jax.numpy_dtype_promotion("standard"):  # optimisers mix step counts and floats
        return optimizer.update(slope, state, weights)
