"""Read first, then invert the law of the device: what asymmetry costs if reads and the inversion are free."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.arrays.sums import Tally
from memspike.cells.base import AbstractCell, CellState, Weight
from memspike.learning.programming.base import Applied, Scheme, keys_of, nothing
from memspike.learning.programming.options import MostPulses, checked
from memspike.parts.random import uniform
from memspike.parts.registry import SCHEMES


def inverted(cell: AbstractCell, state: CellState, dw: Weight, most: int, *, key: PRNGKeyArray | None) -> Weight:
    """Whole pulses from `state` whose mean change is Δw by the noise-free law; at most `most`.

    Two neighbouring counts n and n + 1 enclose Δw; one of them is drawn so that their mean is right (without a key:
    the nearer). Found by bisection with the law itself, so for any device and cell.
    """
    now, sign = cell.weight(cell.stored(state)), jnp.sign(dw)

    def moved(n: Weight) -> Weight:
        after, _ = cell.program(state, sign * n)
        return sign * (cell.weight(cell.stored(after)) - now)

    wanted, low = jnp.abs(dw), jnp.zeros_like(dw)
    for bit in reversed(range(most.bit_length())):
        tried = low + 2.0**bit
        low = jnp.where((tried <= most) & (moved(tried) <= wanted), tried, low)
    below, above = moved(low), moved(low + 1)
    share = (wanted - below) / jnp.maximum(above - below, 1e-9 * wanted + 1e-30)
    u = jnp.full(dw.shape, 0.5, dw.dtype) if key is None else uniform(key, dw.shape, dw.dtype)
    return sign * jnp.minimum(low + (u < share).astype(dw.dtype), most)


@SCHEMES.register("cancel-with-read", "every update reads all devices and inverts the law of the mean device")
@checked
def cancelled(most: MostPulses = 8) -> Scheme:
    """The upper baseline with hardware: a (noisy) read of all devices before every update, then `inverted`.

    The controller inverts the law of the mean device: spread from device to device is not known to it. Reads
    go to the ledger, row by row.
    """

    def apply(state: tuple, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None) -> Applied:
        cell, n = crossbar.cell, crossbar.cell.programmed()
        keys = keys_of(key, 3)
        g = cell.read(cells, key=keys[0])[:n]
        nominal = eqx.tree_at(lambda c: c.device, cell, jax.tree.map(jnp.mean, cell.device))
        believed = cells._replace(devices=nominal.device.place(cells.devices, g))
        pulses = inverted(nominal, believed, dw, most, key=keys[1])
        after, ledger = crossbar.write(cells, pulses, key=keys[2])
        return Applied(state, after, dataclasses.replace(ledger, reads=Tally.of(dw.shape[0])))

    return Scheme(nothing, apply)
