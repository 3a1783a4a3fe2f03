"""What a trial costs the arrays of a feed-forward network: every read of every position, booked on the one array."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.arrays import ledger
from memspike.arrays.crossbar import Crossbar, Seen
from memspike.arrays.ledger import Ledger
from memspike.networks.base import Clock
from memspike.networks.feedforward import Feedforward
from memspike.networks.layers import Layer
from memspike.networks.simulate import Events, Walk, walk

Real = Float[Array, "..."]


def read_ledgers(network: Feedforward, seen: Sequence[Any], x: Events | Real, clock: Clock) -> tuple[Ledger, ...]:
    """The ledgers of one trial, or of a batch of them, for every crossbar; add them to those of the writes.

    `seen` is what `Feedforward.read` or `programmed` returns, or conductances. A read lasts a step, or a pulse of the
    events; a convolution is one read for every position. The energy in J is Σ v·i·t, what the drivers of the rows give
    the devices and their wires. The neurons of a layer are booked with its first crossbar.
    """
    found: list[Ledger] = []
    for at in walk(network, seen, x, clock, checkpoint=False):
        layer = network.layers[at.number]
        found.append(_of_layer(layer, layer.spiking and network.fires(at.number), at, clock))
        if layer.recurrent is not None:
            sent = at.trace.above_rest
            before = jnp.concatenate([jnp.zeros_like(sent[:1]), sent[:-1]])
            found.append(_read(layer.recurrent, at.seen[1], before, clock.dt))
    return tuple(found)


def _read(crossbar: Crossbar, seen: Seen, v: Float[Array, "*reads rows"], duration: float) -> Ledger:
    lines, _, columns = seen.lines.shape
    conversions = crossbar.periphery.conversions(lines, columns)
    return ledger.read(seen.lines, v, duration, conversions=conversions)


def _of_layer(layer: Layer, fires: bool, at: Walk, clock: Clock) -> Ledger:
    """Reads of the first crossbar, and what the neurons did."""
    sent, drive = at.trace.above_rest, at.drive
    spikes = (sent > 0).astype(jnp.int32).sum() if fires else 0
    total = ledger.stepped(sent[0].size, clock.steps, spikes=spikes)
    if drive.events is not None:
        v = layer.connection.reads(drive.events.v, layer.image)
        total = total + _read(layer.crossbar, at.seen[0], v, drive.events.width)
    if drive.held is not None:
        v = layer.connection.reads(drive.held, layer.image)
        total = total + _read(layer.crossbar, at.seen[0], v, clock.dt)
    return total
