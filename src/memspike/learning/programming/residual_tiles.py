"""Residual learning: every array of a stack learns, slower than the next, what the arrays after it have found."""

import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.arrays.tiles import Send
from memspike.cells.base import CellState, Weight
from memspike.learning.programming import options
from memspike.learning.programming.base import Applied, Scheme, keys_of
from memspike.learning.programming.counting import symmetric_step
from memspike.learning.programming.stochastic_rounding import whole
from memspike.learning.programming.transfer import GradientArray, TransferState, stack_of, with_reads
from memspike.parts.registry import SCHEMES

SOURCE = "Li et al., arXiv 2510.02516 (2025): the sum of tiles and their timescales; the rest is a reconstruction"


@options.checked
def residual(array: GradientArray, slower: options.Slowdown = 4) -> Scheme:
    """Gradients go to the last tile of a `Stack`; a row of every tile is read in turn and added to the tile before it.

    `array` says how the last tile is written and read; each one before it is read at intervals, and added with a
    period, that are `slower` times as long. Whole pulses by stochastic rounding. Nothing is subtracted from a tile
    that was read: with `Stack.gamma` above 0 the forward pass sees all tiles, and the gradient takes back what is there
    twice. With two tiles it is Tiki-Taka.
    """
    array.check()
    counting = array.counted()

    def start(crossbar: Crossbar, cells: CellState) -> TransferState:
        stack_of(crossbar.cell)
        own = counting.init(crossbar, cells)
        return TransferState(jnp.int32(0), jnp.asarray(symmetric_step(crossbar)), jnp.zeros(()), own, ())

    def apply(
        state: TransferState, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None
    ) -> Applied:
        cell, rows = stack_of(crossbar.cell), dw.shape[0]
        n = cell.tiles - 1
        keys = keys_of(key, 2 * n + 2)
        largest = array.smoothed(state.largest, dw)
        gain = array.gain(state.step, largest)
        reads = [array.read(state, cell, cells, gain, k + 1, slower ** (n - 1 - k), key=keys[2 * k]) for k in range(n)]
        sent = [whole(r.rate * r.pulses, array.most, key=keys[2 * k + 1]) for k, r in enumerate(reads)]
        counted, gradients = counting.pulses(state.counting, crossbar, cells, gain * dw, key=keys[2 * n])
        rows_of = [Send(k, pulses, read.row) for k, (read, pulses) in enumerate(zip(reads, sent, strict=True))]
        cells, ledger = crossbar.pulse_tiles(cells, (*rows_of, Send(n, gradients)), key=keys[2 * n + 1])
        after = TransferState(state.updates + 1, state.step, largest, counted, ())
        return Applied(after, cells, with_reads(ledger, reads, rows))

    return Scheme(start, apply, tiles=2)


@SCHEMES.register(
    "residual-tiles", "a weight as a geometric sum of tiles, each learning the residual of those before it", SOURCE
)
@options.checked
def residual_tiles(
    fast: options.GradientGain = 1.0,
    period: options.TransferPeriod = 100.0,
    slower: options.Slowdown = 4,
    most: options.MostPulses = 10,
    noise: options.ReadNoise = 0.0,
    memory: options.GradientMemory = 0.0,
    reads: options.RowReads = 1.0,
) -> Scheme:
    """`residual` with these options of the last tile (`GradientArray`), on a `Stack` of any number of tiles."""
    return residual(GradientArray(fast, period, most, noise, memory, reads), slower)
