"""Residual learning: every tile of a stack learns, slower than the next, what the tiles after it have found."""

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.arrays.parts import Send
from memspike.cells.base import CellState, Weight
from memspike.learning.programming.base import Applied, Scheme
from memspike.learning.programming.counting import even_worth
from memspike.learning.programming.stochastic_rounding import whole
from memspike.learning.programming.transfer import FastTile, Transferring, read_too, stack_of
from memspike.parts.param import Parameter, check_count
from memspike.parts.registry import SCHEMES

SOURCE = "Li et al., arXiv 2510.02516 (2025): the sum of tiles and their timescales; the rest is a reconstruction"


def residual(tile: FastTile, slower: int = 4) -> Scheme:
    """Gradients go to the last tile of a `Stack`; a row of every tile is read in turn and added to the tile before it.

    `tile` says how the last tile is written and read; each one before it is read at intervals, and passes on with a
    period, that are `slower` times as long. Whole pulses by stochastic rounding. Nothing is subtracted from a tile
    that was read: with `Stack.gamma` above 0 the forward pass sees all tiles, and the gradient takes back what is there
    twice. With two tiles it is Tiki-Taka.
    """
    tile.check()
    check_count("slower, how many times slower each tile is than the next,", slower)
    counting = tile.counted()

    def start(crossbar: Crossbar, cells: CellState) -> Transferring:
        stack_of(crossbar.cell)
        own = counting.init(crossbar, cells)
        return Transferring(jnp.int32(0), jnp.asarray(even_worth(crossbar)), jnp.zeros(()), own, ())

    def apply(
        state: Transferring, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None
    ) -> Applied:
        cell, rows = stack_of(crossbar.cell), dw.shape[0]
        n = cell.tiles - 1
        keys = (None,) * (2 * n + 2) if key is None else tuple(jax.random.split(key, 2 * n + 2))
        largest = tile.smoothed(state.largest, dw)
        gain = tile.gain(state.worth, largest)
        visits = [tile.visit(state, cell, cells, gain, k + 1, slower ** (n - 1 - k), key=keys[2 * k]) for k in range(n)]
        sent = [whole(v.rate * v.pulses, tile.most, key=keys[2 * k + 1]) for k, v in enumerate(visits)]
        counted, quick = counting.pulses(state.counting, crossbar, cells, gain * dw, key=keys[2 * n])
        rows_of = [Send(k, pulses, visit.row) for k, (visit, pulses) in enumerate(zip(visits, sent, strict=True))]
        cells, ledger = crossbar.pulse_tiles(cells, (*rows_of, Send(n, quick)), key=keys[2 * n + 1])
        after = Transferring(state.updates + 1, state.worth, largest, counted, ())
        return Applied(after, cells, read_too(ledger, visits, rows))

    return Scheme(start, apply, tiles=2)


@SCHEMES.register(
    "residual-tiles", "a weight as a geometric sum of tiles, each learning the residual of those before it", SOURCE
)
def residual_tiles(
    fast: Parameter = 1.0,
    period: Parameter = 100.0,
    slower: int = 4,
    most: int = 10,
    noise: float = 0.0,
    memory: float = 0.0,
    reads: float = 1.0,
) -> Scheme:
    """`residual` with these options of the last tile (`FastTile`), on a `Stack` of any number of tiles."""
    return residual(FastTile(fast, period, most, noise, memory, reads), slower)
