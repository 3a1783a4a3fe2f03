"""What every network declares: crossbars, how they are read, and how a trial runs on what reads see."""

from abc import abstractmethod
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.arrays.fidelity import Ideal
from memspike.cells.base import CellState
from memspike.parts.errors import InputError

Weights = tuple[Float[Array, "_ _"], ...]
Cells = tuple[CellState, ...]
# conductances of every crossbar, [lines, rows, columns] in S each
Conductances = tuple[Float[Array, "... _ _ _"], ...]
Corrections = tuple[Any, ...] | None
"""Of every crossbar the lagged correction of its wires (`Crossbar.correction`), None where they are ideal."""


class Clock(NamedTuple):
    """Steps of `dt` seconds; conductances are read anew at the start of every part, whose lengths are `parts`."""

    dt: float
    parts: tuple[int, ...]

    @property
    def steps(self) -> int:
        """All steps."""
        return sum(self.parts)

    def moments(self) -> tuple[float, ...]:
        """For each part the moment that stands for it, in s: the geometric mean of the middles of its steps."""
        ends = [0, *(sum(self.parts[: k + 1]) for k in range(len(self.parts)))]
        return tuple(float(np.exp(np.log(np.arange(a, b) + 0.5).mean())) * self.dt for a, b in pairwise(ends))

    def at_step(self, dt: float) -> "Clock":
        """The same time in steps of `dt` seconds, in one part."""
        return Clock(dt, (max(1, round(self.steps * self.dt / dt)),))


def clock(steps: int, dt: float, parts: int = 6) -> Clock:
    """`steps` of `dt` seconds in at most `parts` parts of lengths that grow geometrically, as drift slows down.

    In a run that starts right after its write, a conductance that drifts with the exponent 0.04 is off by at most
    4.4 % (1,000 steps, 6 parts) at some moment, and by less than 0.1 % in the mean; later by nothing worth mentioning.

    InputError for numbers that are not above 0.
    """
    if steps < 1 or parts < 1 or not dt > 0:
        raise InputError(f"A clock has {steps} steps of {dt:g} s in {parts} parts; positive numbers are needed.")
    ends = sorted({0, *(round(steps ** (k / parts)) for k in range(1, parts + 1))})
    return Clock(dt, tuple(b - a for a, b in pairwise(ends)))


class Fabricated(NamedTuple):
    """A network with what a chip draws for itself, and the key that is left for its devices."""

    network: Any
    key: PRNGKeyArray


class AbstractNetwork(eqx.Module):
    """Matrices of weights on a crossbar each, in the order of weights and cells, and neurons between them. Holds no
    state.
    """

    if TYPE_CHECKING:

        @property
        def crossbars(self) -> tuple[Crossbar, ...]:
            """All crossbars."""
            ...

    else:
        crossbars: eqx.AbstractVar[tuple[Crossbar, ...]]

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Names of the matrices."""

    @property
    @abstractmethod
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of the matrices."""

    @property
    def apart(self) -> bool:
        """Whether chips train faster one after the other than beside each other."""
        return False

    def with_crossbars(self, crossbars: tuple[Crossbar, ...]) -> Any:
        """The same network on other crossbars."""
        return eqx.tree_at(lambda n: n.crossbars, self, crossbars)

    @abstractmethod
    def drawn(self, *, key: PRNGKeyArray) -> Fabricated:
        """The network with what a chip draws for itself besides its devices, such as random readouts."""

    @abstractmethod
    def init_weights(self, gain: float = 1.0, *, key: PRNGKeyArray) -> Weights:
        """Random weights to start from."""

    @abstractmethod
    def weights(self, cells: Cells) -> Weights:
        """The logical weights of the programmed conductances, without drift and noise."""

    @abstractmethod
    def read(
        self, cells: Cells, moments: tuple[float, ...], *, noise: bool = True, corrections: Corrections = None
    ) -> Any:
        """Read statistics of all crossbars at the `moments` (s from now): drifted, through the wires."""

    @abstractmethod
    def programmed(self, weights: Weights | None, cells: Cells | None, corrections: Corrections = None) -> Any:
        """What reads of exactly these weights see; differentiable.

        With `cells` the values are those of their programmed conductances and the slopes those of exact weights; of
        cells alone it is what reads of their programmed conductances see.
        """

    @abstractmethod
    def run(self, readings: Any, x: Any, clock: Clock, *, key: PRNGKeyArray | None = None) -> Any:
        """A trial from rest: an activity with `output` [steps, *batch, outputs]; with a key reads are noisy."""


# what most networks share; a network takes it as its own: drawn = as_designed


def as_designed(self: AbstractNetwork, *, key: PRNGKeyArray) -> Fabricated:
    """A chip draws nothing but its devices."""
    return Fabricated(self, key)


@property
def of_layers(self: Any) -> tuple[Crossbar, ...]:
    """One crossbar a layer."""
    return tuple(layer.crossbar for layer in self.layers)


@property
def by_number(self: Any) -> tuple[str, ...]:
    """Layers by number."""
    return tuple(f"layer {k + 1}" for k in range(len(self.layers)))


@property
def the_one(self: Any) -> tuple[Crossbar, ...]:
    """The one crossbar."""
    return (self.crossbar,)


def uniform_weights(self: AbstractNetwork, gain: float = 1.0, *, key: PRNGKeyArray) -> Weights:
    """Uniform weights in [0, gain] of the one matrix."""
    return (gain * jax.random.uniform(key, self.shapes[0]),)


def stored_weights(self: AbstractNetwork, cells: Cells) -> Weights:
    """The logical weights of the programmed conductances."""
    pairs = zip(self.crossbars, lines_of(self, cells), strict=True)
    return tuple(crossbar.cell.weight(lines) for crossbar, lines in pairs)


def lines_of(network: AbstractNetwork, cells: Cells) -> Conductances:
    """The programmed conductances in S of every crossbar."""
    return tuple(c.cell.stored(state) for c, state in zip(network.crossbars, cells, strict=True))


def wired(network: AbstractNetwork) -> bool:
    """Whether a wire of the network has resistance."""
    return any(not isinstance(c.wires, Ideal) for c in network.crossbars)


def corrections_of(network: AbstractNetwork, lines: Conductances, tolerance: float | None = None) -> Corrections:
    """The exact correction of all wires at these conductances (`Crossbar.correction`)."""
    return tuple(c.correction(g, tolerance) for c, g in zip(network.crossbars, lines, strict=True))


def corrected(network: AbstractNetwork, things: tuple[Any, ...], corrections: Corrections) -> Iterator[Any]:
    """Every crossbar with its cells or lines, and the correction of its wires."""
    return zip(network.crossbars, things, corrections or (None,) * len(things), strict=True)


def unity(network: AbstractNetwork, lines: Conductances) -> Corrections:
    """Corrections of 1, None for ideal wires: what training starts from before the first exact one."""
    pairs = zip(network.crossbars, lines, strict=True)
    return tuple(None if isinstance(c.wires, Ideal) else jax.numpy.ones_like(g) for c, g in pairs)


def exact_lines(network: AbstractNetwork, weights: Weights | None, cells: Cells | None) -> Conductances:
    """The conductances in S that `AbstractNetwork.programmed` is to be taken of."""
    if weights is None:
        assert cells is not None
        return lines_of(network, cells)
    lines = tuple(c.cell.conductances(w) for c, w in zip(network.crossbars, weights, strict=True))
    if cells is None:
        return lines
    own = lines_of(network, cells)
    return tuple(g + jax.lax.stop_gradient(programmed - g) for g, programmed in zip(lines, own, strict=True))


def scaled_columns(readings: Any, gains: tuple[Array, ...]) -> Any:
    """Readings (`Seen` or `Reading`, of one crossbar or a tuple of them) behind amplifiers of these column gains."""
    if len(gains) == 1 and not isinstance(readings[0], tuple):
        return readings.scaled(gains[0])
    parts = [one.scaled(g) for one, g in zip(readings, gains, strict=True)]
    return tuple(parts) if type(readings) is tuple else type(readings)(*parts)
