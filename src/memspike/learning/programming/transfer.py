"""Gradients on an array A, whose rows are read and added to the weight array C: what Tiki-Taka and its kin share."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, Concatenate, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from memspike.arrays.crossbar import Correction, Crossbar
from memspike.arrays.sums import Tally
from memspike.arrays.tiles import Send
from memspike.cells.base import AbstractCell, CellState, Weight
from memspike.cells.single import Stack
from memspike.devices.coincidences import Coincidences
from memspike.learning.programming import options
from memspike.learning.programming.array_rows import ArrayRows, rows_of
from memspike.learning.programming.base import Applied, Counting, Scheme, keys_of, term_by_term
from memspike.learning.programming.bit_lines import coincidences
from memspike.learning.programming.counting import stochastically_rounded, symmetric_step
from memspike.learning.rules.base import Outer
from memspike.parts.errors import InputError
from memspike.parts.random import normal
from memspike.parts.refusals import OtherTiles

RowPulses = Float[Array, "reads columns"]


class RowRead(NamedTuple):
    """Rows of A as they are read: which (the number of rows where none is due), and in which sweep over all rows.

    `pulses` is what is read, in pulses of a device; each stands for `rate` pulses on C.
    """

    row: Int[Array, " reads"]
    sweep: Int[Array, ""]
    pulses: RowPulses
    rate: Float[Array, ""]


class Transfer(NamedTuple):
    """What becomes of rows that were read: `take(state, read, *, key)` → (state, whole pulses on C).

    `init(shape)` is its state for a matrix [rows, columns]; `signs(state)` are the choppers: ±1 for every row, by which
    its gradients are multiplied on their way to A.
    """

    init: Callable[[tuple[int, ...]], Any]
    take: Callable[..., tuple[Any, RowPulses]]
    signs: Callable[[Any], Float[Array, " rows"] | None] = lambda state: None


class TransferState(NamedTuple):
    """Updates so far, δ in weight, the average of max |Δw|, the states of the counting and of every transfer."""

    updates: Int[Array, ""]
    step: Float[Array, ""]
    largest: Float[Array, ""]
    counting: Any
    transfer: tuple[Any, ...]


class GradientArray(NamedTuple):
    """How the array A is written and read. Rows are those of inputs: what the source papers call columns.

    An update sends `fast`·Δw/δ pulses, δ the `symmetric_step`; with a `memory` above 0 it is `fast`·`most`·Δw/m, m a
    moving average of max |Δw|. `counting` makes whole numbers of them (it counts pulses; default: stochastic rounding,
    at most `most`); with `streams` an `Outer` is multiplied by the array itself, every term an update of its own, by
    coinciding random bits of at most that length (`bit_line_counts`; of a matrix row by row). In every update the next
    `reads` rows are read, or one row in 1/`reads` updates, with the read noise of the device and `noise` (s.d., weight)
    on top; a row is driven at `read_voltage`, and wires and converters are those of the array. What is read is turned
    back into the Δw that it stands for, and all rows together pass it on once in `period` updates.

    Reconstruction: aihwkit scales by the largest input and the largest error, of which a dense Δw has only the
    product; its `auto_granularity` is `period`, its `fast_lr` and `desired_BL` are `fast` and `most`, and its learning
    rate is taken to be inside Δw (as with its `correct_gradient_magnitudes`).
    """

    fast: options.GradientGain = 1.0
    period: options.TransferPeriod = 100.0
    most: options.MostPulses = 10
    noise: options.ReadNoise = 0.0
    memory: options.GradientMemory = 0.0
    reads: options.RowReads = 1.0
    read_voltage: options.ReadVoltage = 0.2
    streams: options.OptionalStreamLength = None
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
        """InputError for an option that cannot work."""
        options.check_options(type(self), self._asdict())
        if abs(self.at_once / self.interval / self.reads - 1) > 0.01:
            raise InputError(
                f"reads (rows of A read in an update) is {self.reads:g}; "
                "a whole number, or one over a whole number, is needed."
            )

    def counted(self) -> Counting:
        """The counting that was given, or the default."""
        return self.counting or stochastically_rounded(1.0, self.most)

    def gain(self, step: Float[Array, ""], largest: Float[Array, ""]) -> Float[Array, ""]:
        """Pulses for a Δw of 1."""
        if not self.memory:
            return self.fast / step
        return self.fast * self.most / jnp.where(largest > 0, largest, 1.0)

    def smoothed(self, largest: Float[Array, ""], dw: Weight | Outer) -> Float[Array, ""]:
        """The moving average of max |Δw| after another update; updates without any change do not count."""
        if not self.memory:
            return largest
        new = jnp.abs(dw.rows).max() * jnp.abs(dw.columns).max() if isinstance(dw, Outer) else jnp.abs(dw).max()
        averaged = jnp.where(largest > 0, self.memory * largest + (1 - self.memory) * new, new)
        return jnp.where(new > 0, averaged, largest)

    def pulses(
        self,
        state: Any,
        crossbar: Crossbar,
        cells: CellState,
        wanted: tuple[Weight | Outer, Float[Array, ""], Float[Array, " rows"] | None],
        *,
        key: PRNGKeyArray | None,
    ) -> tuple[Any, Weight | Coincidences]:
        """The state of the counting, and whole pulses on A for a Δw (of an `Outer` a term), gain and choppers."""
        dw, gain, signs = wanted
        if isinstance(dw, Outer):
            rows, columns = dw
            if key is None:
                found = jnp.round(gain * rows[:, None] * columns[None])
                return state, found if signs is None else signs[:, None] * found
            assert self.streams is not None
            rows = rows if signs is None else signs * rows
            return state, coincidences(rows, columns, gain, self.streams, key=key)
        each = gain * (dw if signs is None else signs[:, None] * dw)
        return self.counted().pulses(state, crossbar, cells, each, key=key)

    def read(
        self,
        state: TransferState,
        array: ArrayRows,
        gain: Float[Array, ""],
        source: int,
        slower: int = 1,
        *,
        key: PRNGKeyArray | None,
    ) -> tuple[RowRead, ArrayRows]:
        """The rows of the array `source` that are due now, and the array; `slower` arrays have longer intervals and
        periods.
        """
        rows, every = array.rows, self.interval * slower
        turn, due, visits = state.updates // every, state.updates % every == 0, -(-rows // self.at_once)
        row = jnp.where(due, turn % visits * self.at_once + jnp.arange(self.at_once, dtype=jnp.int32), rows)
        keys = keys_of(key, 2)
        w, array = array.read(source, row, key=keys[0])
        if self.noise and keys[1] is not None:
            w = w + self.noise * normal(keys[1], w.shape, w.dtype)
        rate = visits * self.interval / (self.period * gain * state.step)
        return RowRead(row, turn // visits, w / state.step, rate), array


def on_gradient_array(make: Callable[Concatenate[GradientArray, ...], Scheme]) -> Callable[..., Scheme]:
    """`make(array, …)` as a function of the options of `GradientArray` and then of its own."""
    own = [*inspect.signature(make).parameters.values()][1:]
    names = [name for name in GradientArray._fields if name != "counting"]
    each = inspect.signature(GradientArray).parameters
    signature = inspect.Signature([*(each[name] for name in names), *own], return_annotation=Scheme)

    @functools.wraps(make)
    def call(*args: Any, **kwargs: Any) -> Scheme:
        given = signature.bind(*args, **kwargs).arguments
        array = GradientArray(**{name: given.pop(name) for name in names if name in given})
        return make(array, **given)

    call.__signature__ = signature  # pyright: ignore[reportAttributeAccessIssue]
    call.__annotations__ = {name: p.annotation for name, p in signature.parameters.items()}
    return options.checked(call)


def stack_of(cell: AbstractCell, exactly: int | None = None) -> Stack:
    """The cell, if it is a `Stack` (of so many tiles); InputError otherwise."""
    if isinstance(cell, Stack) and exactly in (None, cell.tiles):
        return cell
    of = f" of {cell.tiles} tiles" if isinstance(cell, Stack) else ""
    tiles = f"{exactly}" if exactly else "2 or more"
    raise OtherTiles(f"{type(cell).__name__}{of}", tiles)


def transferring(transfer: Transfer, array: GradientArray, slower: int | None = None) -> Scheme:
    """The scheme that pulses Δw onto the array A of a `Stack` of two and does with its rows what `transfer` says.

    With `slower` it is a `Stack` of any number: Δw goes to the last tile, and `transfer` takes the rows of every tile
    to the one before it; each but the last is read at intervals, and added with a period, `slower` times as long.
    Rows are read before the gradient pulses that are sent together with theirs: the source papers read after them.
    InputError for another cell.
    """
    array.check()
    counting, exactly = array.counted(), 2 if slower is None else None

    def start(crossbar: Crossbar, cells: CellState) -> TransferState:
        cell = stack_of(crossbar.cell, exactly)
        w, own = cell.weight(cell.stored(cells)), counting.init(crossbar, cells)
        step, largest = jnp.asarray(symmetric_step(crossbar)), jnp.zeros((), w.dtype)
        return TransferState(jnp.int32(0), step, largest, own, (transfer.init(w.shape),) * (cell.tiles - 1))

    def one(
        state: TransferState,
        crossbar: Crossbar,
        cells: CellState,
        dw: Weight | Outer,
        *,
        key: PRNGKeyArray | None,
        correction: Correction = None,
    ) -> Applied:
        cell = stack_of(crossbar.cell, exactly)
        rows_now = rows_of(crossbar, cells, array.read_voltage, correction)
        n = cell.tiles - 1
        keys = keys_of(key, 2 * n + 2)
        largest = array.smoothed(state.largest, dw)
        gain = array.gain(state.step, largest)
        times = [(slower or 1) ** (n - 1 - k) for k in range(n)]
        reads = []
        for k, t in enumerate(times):
            read, rows_now = array.read(state, rows_now, gain, k + 1, t, key=keys[2 * k])
            reads.append(read)
        cells = rows_now.cells
        pairs = zip(state.transfer, reads, strict=True)
        passed, pulses = zip(*(transfer.take(*one, key=keys[2 * k + 1]) for k, one in enumerate(pairs)), strict=True)
        wanted = dw, gain, transfer.signs(passed[-1])
        counted, gradients = array.pulses(state.counting, crossbar, cells, wanted, key=keys[2 * n])
        rows = [Send(k, sent, read.row) for k, (sent, read) in enumerate(zip(pulses, reads, strict=True))]
        # what is sent first draws the first noise
        sends = [Send(n, gradients), *rows] if slower is None else [*rows, Send(n, gradients)]
        cells, ledger = crossbar.pulse_tiles(cells, sends, key=keys[2 * n + 1])
        after = TransferState(state.updates + 1, state.step, largest, counted, passed)
        due = jnp.concatenate([read.row < rows_now.rows for read in reads]).astype(jnp.int32).sum()
        return Applied(after, cells, dataclasses.replace(ledger, reads=Tally.of(due)))

    def apply(
        state: TransferState,
        crossbar: Crossbar,
        cells: CellState,
        dw: Weight | Outer,
        *,
        key: PRNGKeyArray | None,
        correction: Correction = None,
    ) -> Applied:
        if array.streams is None:
            return one(state, crossbar, cells, dw, key=key, correction=correction)

        def term(state: TransferState, cells: CellState, term: Outer, k: Array) -> Applied:
            own = None if key is None else jax.random.fold_in(key, k)
            return one(state, crossbar, cells, term, key=own, correction=correction)

        return term_by_term(term, state, crossbar, cells, dw)

    return Scheme(start, apply, outer=array.streams is not None, tiles=2, reads=True)
