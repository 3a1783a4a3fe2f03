"""Gradients on a fast tile, whose rows are read and passed on to a slow one: what Tiki-Taka and its kin share."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.arrays.ledger import Ledger
from memspike.arrays.parts import Send
from memspike.arrays.sums import Tally
from memspike.cells.base import AbstractCell, CellState, Weight
from memspike.cells.stack import Stack
from memspike.learning.programming.base import Applied, Counting, Scheme
from memspike.learning.programming.counting import even_worth
from memspike.learning.programming.stochastic_rounding import stochastically_rounded
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, check_count, is_concrete
from memspike.parts.random import normal

Rows = Float[Array, "reads columns"]


class Visit(NamedTuple):
    """Rows of the fast tile as they are read: which (the number of rows where it is nobody's turn), in which sweep.

    `pulses` is what is read, in pulses of a device; each is worth `rate` pulses on the slow tile.
    """

    row: Int[Array, " reads"]
    sweep: Int[Array, ""]
    pulses: Rows
    rate: Float[Array, ""]


class Passing(NamedTuple):
    """What becomes of rows that were read: `take(state, visit, *, key)` → (state, whole pulses on the slow tile).

    `init(shape)` is its state for a matrix [rows, columns]; `signs(state)` are the choppers: ±1 for every row, by which
    its gradients are multiplied on their way to the fast tile.
    """

    init: Callable[[tuple[int, ...]], Any]
    take: Callable[..., tuple[Any, Rows]]
    signs: Callable[[Any], Float[Array, " rows"] | None] = lambda state: None


class Transferring(NamedTuple):
    """Updates so far, δ in weight, the average of max |Δw|, and the states of the counting and of the passing."""

    updates: Int[Array, ""]
    worth: Float[Array, ""]
    largest: Float[Array, ""]
    counting: Any
    passing: Any


class FastTile(NamedTuple):
    """How a fast tile is written and read. Rows are those of inputs: what the source papers call columns.

    An update sends `fast`·Δw/δ pulses, δ the worth of a pulse; with a `memory` above 0 it is `fast`·`most`·Δw/m, m a
    moving average of max |Δw|. `counting` makes whole numbers of them (it sees pulses; default: stochastic rounding,
    at most `most`). In every update the next `reads` rows are read, or one row in 1/`reads` updates, with the read
    noise of the device and `noise` (s.d., weight) on top. What is read is turned back into the Δw that it stands for,
    and all rows together pass it on once in `period` updates.

    Reconstruction: aihwkit scales by the largest input and the largest error, of which a dense Δw has only the
    product; its `auto_granularity` is `period`, its `fast_lr` and `desired_BL` are `fast` and `most`, and its learning
    rate is taken to be inside Δw (as with its `correct_gradient_magnitudes`).
    """

    fast: Parameter = 1.0
    period: Parameter = 100.0
    most: int = 10
    noise: float = 0.0
    memory: float = 0.0
    reads: float = 1.0
    counting: Counting | None = None

    @property
    def at_once(self) -> int:
        """Rows that are read together."""
        return max(int(self.reads), 1)

    @property
    def interval(self) -> int:
        """Updates from one read to the next."""
        return max(round(1 / self.reads), 1)

    def check(self) -> None:
        """InputError for a setting that cannot work."""
        if not 0 < self.reads < float("inf") or abs(self.at_once / self.interval / self.reads - 1) > 0.01:
            raise InputError(
                f"{self.reads:g} rows of the fast tile are to be read in an update; "
                "a whole number, or one over a whole number, is needed."
            )
        check_count("The largest number of pulses in an update", self.most)
        allowed = {"fast": (self.fast, 0.0, False), "period": (self.period, 0.0, False)}
        allowed |= {"noise": (self.noise, 0.0, True), "memory": (self.memory, 0.0, True)}
        for name, (value, least, equal) in allowed.items():
            top = 1.0 if name == "memory" else float("inf")
            if is_concrete(value) and not (least < float(value) < top or (equal and float(value) == least)):
                raise InputError(
                    f"{name} of the fast tile is {value:g}; a number {'from' if equal else 'above'} 0 "
                    f"and below {top:g} is needed."
                )

    def counted(self) -> Counting:
        """The counting that was given, or the default."""
        return self.counting or stochastically_rounded(1.0, self.most)

    def gain(self, worth: Float[Array, ""], largest: Float[Array, ""]) -> Float[Array, ""]:
        """Pulses for a Δw of 1."""
        if not self.memory:
            return self.fast / worth
        return self.fast * self.most / jnp.where(largest > 0, largest, 1.0)

    def smoothed(self, largest: Float[Array, ""], dw: Weight) -> Float[Array, ""]:
        """The moving average of max |Δw| after another update; updates without any change do not count."""
        if not self.memory:
            return largest
        new = jnp.abs(dw).max()
        averaged = jnp.where(largest > 0, self.memory * largest + (1 - self.memory) * new, new)
        return jnp.where(new > 0, averaged, largest)

    def visit(
        self,
        state: Transferring,
        cell: Stack,
        cells: CellState,
        gain: Float[Array, ""],
        source: int,
        slower: int = 1,
        *,
        key: PRNGKeyArray | None,
    ) -> Visit:
        """The rows of the tile `source` that are read now; `slower` tiles have longer intervals and periods."""
        rows, every = cell.device.stored(cells.devices).shape[1], self.interval * slower
        turn, due, visits = state.updates // every, state.updates % every == 0, -(-rows // self.at_once)
        row = jnp.where(due, turn % visits * self.at_once + jnp.arange(self.at_once, dtype=jnp.int32), rows)
        keys = (None, None) if key is None else jax.random.split(key)
        seen = cell.read_row(cells, source, row, key=keys[0])
        if self.noise and keys[1] is not None:
            seen = seen + self.noise * normal(keys[1], seen.shape, seen.dtype)
        rate = visits * self.interval / (self.period * gain * state.worth)
        return Visit(row, turn // visits, seen / state.worth, rate)


def stack_of(cell: AbstractCell, exactly: int | None = None) -> Stack:
    """The cell, if it is a `Stack` (of so many tiles); InputError otherwise."""
    if isinstance(cell, Stack) and exactly in (None, cell.tiles):
        return cell
    of = f" of {cell.tiles} tiles" if isinstance(cell, Stack) else ""
    tiles = f"{exactly}" if exactly else "2 or more"
    raise InputError(
        f"This scheme learns on a fast tile beside the slow one and needs a Stack cell of {tiles} tiles; "
        f"this is a {type(cell).__name__}{of}."
    )


def read_too(ledger: Ledger, visits: list[Visit], rows: int) -> Ledger:
    """The ledger with the reads of the rows whose turn it was."""
    due = jnp.concatenate([visit.row < rows for visit in visits]).astype(jnp.int32).sum()
    return dataclasses.replace(ledger, reads=Tally.of(due))


def transferring(passing: Passing, tile: FastTile) -> Scheme:
    """The scheme that pulses Δw onto the fast tile of a `Stack` of two and does with its rows what `passing` says.

    Rows are read before the gradient pulses that are sent together with theirs: the source papers read after them.
    InputError for another cell.
    """
    tile.check()
    counting = tile.counted()

    def start(crossbar: Crossbar, cells: CellState) -> Transferring:
        cell = stack_of(crossbar.cell, 2)
        w = cell.weight(cell.stored(cells))
        own = counting.init(crossbar, cells)
        return Transferring(
            jnp.int32(0), jnp.asarray(even_worth(crossbar)), jnp.zeros((), w.dtype), own, passing.init(w.shape)
        )

    def apply(
        state: Transferring, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None
    ) -> Applied:
        keys = (None,) * 4 if key is None else tuple(jax.random.split(key, 4))
        largest = tile.smoothed(state.largest, dw)
        gain = tile.gain(state.worth, largest)
        visit = tile.visit(state, stack_of(crossbar.cell, 2), cells, gain, 1, key=keys[0])
        passed, slow = passing.take(state.passing, visit, key=keys[1])
        signs = passing.signs(passed)
        wanted = gain * (dw if signs is None else signs[:, None] * dw)
        counted, quick = counting.pulses(state.counting, crossbar, cells, wanted, key=keys[2])
        sends = (Send(1, quick), Send(0, slow, visit.row))
        cells, ledger = crossbar.pulse_tiles(cells, sends, key=keys[3])
        after = Transferring(state.updates + 1, state.worth, largest, counted, passed)
        return Applied(after, cells, read_too(ledger, [visit], dw.shape[0]))

    return Scheme(start, apply, tiles=2)
