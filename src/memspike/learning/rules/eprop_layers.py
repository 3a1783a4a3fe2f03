"""e-prop of layers one after the other: eligibilities of each by itself, learning signals of the outputs for all."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.cells.base import Lines, Weight, weighted
from memspike.learning.objectives import Own, between, mean_of
from memspike.learning.rules.base import View
from memspike.networks.base import Weights
from memspike.networks.feedforward import Feedforward, Membranes
from memspike.networks.layers import INPUT, Layer, Trace
from memspike.networks.simulate import Drive, How, Walk, as_voltages, drive_of, run_layer, walk

Real = Float[Array, "..."]
# slopes at what neurons send → slopes in what reads see of every crossbar, and in currents that join the columns
Back = Callable[[Trace], tuple[tuple[Real, ...], Real | None]]
Signals = tuple[Real, ...]


class Ran(NamedTuple):
    """A trial of layers and, for each, what carries slopes back inside it, all that drives it held fixed.

    That is its eligibility, carried backwards: through neurons with their pseudo-derivatives (or as they are, where
    spikes are analog), the synaptic filter, and over all positions of a convolution.
    """

    network: Feedforward
    inputs: Any
    walks: list[Walk]
    backs: list[Back]

    @property
    def activity(self) -> Membranes:
        """What the layers sent."""
        return self.network.membranes(tuple(at.trace.v for at in self.walks))

    def rates(self, dt: float, own: Own = None) -> dict[int, Float[Array, "*batch neurons"]]:
        """Firing rates in Hz of the hidden layers that send spikes, by number, over the steps of every trial's own."""

        def mean(z: Real) -> Real:
            return z.mean(0) if own is None else mean_of(between(len(z), jnp.zeros_like(own), own), z)

        hidden = zip(self.network.layers[:-1], self.walks, strict=False)
        return {at.number: mean(at.trace.above_rest) / (one.spike_voltage * dt) for one, at in hidden if one.spiking}


def ran(view: View, x: Any, *, key: PRNGKeyArray | None = None) -> Ran:
    """A trial from rest; with a key, with read noise."""
    network: Any = view.network
    backs: list[Back] = []
    last = len(network.layers) - 1

    def run(layer: Layer, seen: Any, drive: Drive, clock: Any, how: How, *, key: Any) -> Trace:
        def one(lines: tuple[Real, ...], joined: Real | None) -> Trace:
            reads = tuple(s._replace(lines=g) for s, g in zip(seen, lines, strict=True))
            return run_layer(layer, reads, drive._replace(injected=joined), clock, how._replace(fixed=True), key=key)

        joined = None
        if len(backs) == last:
            source: Any = drive.events.v if drive.held is None and drive.events is not None else drive.held
            joined = jnp.zeros((clock.steps, *source.shape[1:-1], layer.shape[1]), source.dtype)
        trace, back = jax.vjp(one, tuple(s.lines for s in seen), joined)
        backs.append(back)
        return trace

    options = {"checkpoint": network.checkpoint, "key": key, "run": run}
    walks = walk(network, view.readings(), x, view.clock, **options)
    return Ran(network, as_voltages(network, x), walks, backs)


def through_matrices(found: Ran, credit: Float[Array, "steps *batch outputs"]) -> Signals:
    """Symmetric feedback: signals at what every hidden layer sends, through the matrices that reads see, transposed.

    `credit` is dE/dI in 1/A at the columns of the outputs. On the way through a layer its neurons count as 1: of the
    layer before the outputs the signal is that of the gradient.
    """
    network, steps = found.network, len(credit)
    sent = [at.trace.above_rest for at in found.walks]
    signals = [jnp.zeros_like(one) for one in sent[:-1]]
    for k in reversed(range(1, len(sent))):
        layer = network.layers[k]
        at_columns = credit if k == len(sent) - 1 else signals[k] / layer.crossbar.cell.unit().astype(credit.dtype)

        def currents(before: list[Real], k: int = k, layer: Layer = layer) -> Real:
            drive = drive_of(network, k, found.inputs, before, steps)
            return layer.read(found.walks[k].seen[0], drive.held) if drive.held is not None else jnp.zeros_like(credit)

        if all(s == INPUT for s in network.sources(k)):
            continue
        (back,) = jax.vjp(currents, sent[:k])[1](at_columns)
        signals = [a + b for a, b in zip(signals, back, strict=False)] + signals[k:]
    return tuple(signals)


def through_stored(found: Ran, credit: Float[Array, "steps *batch outputs"], stored: Signals) -> Signals:
    """Signals at what every hidden layer sends, by weights B [neurons, outputs] of its own."""
    unit = found.network.layers[-1].crossbar.cell.unit().astype(credit.dtype)
    return tuple(unit * credit @ b.T for b in stored)


def gradient(found: Ran, error: Float[Array, "steps *batch outputs"], signals: Callable[[Real], Signals]) -> Weights:
    """Of every matrix; mean over the batch. `error` is dE/dv in 1/V at the outputs.

    It is carried back through the neurons of the outputs; what comes out at their columns, in 1/A, is what `signals`
    makes learning signals in 1/V of, which are carried back inside each hidden layer.
    """
    count = error[0].size // error.shape[-1]
    last = found.walks[-1].trace
    lines, credit = found.backs[-1](Trace(error / count, jnp.zeros_like(last.above_rest)))
    assert credit is not None
    each = [back(Trace(jnp.zeros_like(s), s))[0] for back, s in zip(found.backs, signals(credit), strict=False)]
    slopes = [g for one in (*each, lines) for g in one]
    masks = [mask for layer in found.network.layers for mask in layer.connected()]
    parts = zip(found.network.crossbars, slopes, masks, strict=True)
    return tuple(of_weight(c, g) if mask is None else of_weight(c, g) * mask for c, g, mask in parts)


def of_weight(crossbar: Crossbar, slope: Lines) -> Weight:
    """The slope in a weight, given that in what reads see of its lines in 1/S: all lines share a change."""
    gains = crossbar.cell.gains().astype(slope.dtype)
    return weighted(gains, slope) * (crossbar.cell.unit().astype(slope.dtype) / jnp.square(gains).sum())
