"""A chain of layers: each membrane drives a row of the next crossbar."""

import math
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.crossbar import Seen
from memspike.networks import base
from memspike.networks.base import AbstractNetwork, Cells, Clock, Conductances, Corrections, Weights
from memspike.networks.simulate import Events, Layer, simulate
from memspike.parts.errors import InputError
from memspike.parts.param import option


class Membranes(NamedTuple):
    """A run: membrane voltages above rest in V of every layer, [steps, *batch, neurons]; `output` is the last one."""

    layers: tuple[Float[Array, "steps *batch _"], ...]

    @property
    def output(self) -> Float[Array, "steps *batch _"]:
        """Of the last layer."""
        return self.layers[-1]


class Feedforward(AbstractNetwork):
    """A feed-forward network of any depth; programmed conductances are its state, `Lines` for each layer."""

    drawn, weights = base.as_designed, base.stored_weights
    crossbars, names = base.of_layers, base.by_number  # pyright: ignore

    layers: tuple[Layer, ...]
    checkpoint: bool = option(True, "recompute the inside of a step in the backward pass: less memory")

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Rows and neurons of every layer."""
        return tuple(layer.shape for layer in self.layers)

    def __check_init__(self) -> None:
        for k, (a, b) in enumerate(pairwise(self.layers)):
            if a.shape[1] != b.shape[0]:
                raise InputError(
                    f"Layer {k + 1} has {b.shape[0]} rows but layer {k} has {a.shape[1]} neurons; they must be equal."
                )

    def program(self, weights: Weights, *, key: PRNGKeyArray | None = None) -> Conductances:
        """Conductances for one weight matrix [rows, columns] a layer; with a key, with programming spread."""
        for k, (layer, w) in enumerate(zip(self.layers, weights, strict=True)):
            if tuple(w.shape) != layer.shape:
                raise InputError(f"The weights of layer {k} have shape {tuple(w.shape)}; expected {layer.shape}.")
        keys = [None] * len(weights) if key is None else list(jax.random.split(key, len(weights)))
        return tuple(layer.crossbar.program(w, key=k) for layer, w, k in zip(self.layers, weights, keys, strict=True))

    def read(
        self, cells: Cells, moments: tuple[float, ...] = (0.0,), *, noise: bool = True, corrections: Corrections = None
    ) -> tuple[Seen, ...]:
        """What reads at the first of the moments see: drifted, with the read noise of the devices."""
        found, t = [], jnp.asarray(moments[0], jnp.result_type(float))
        for crossbar, state, own in base.corrected(self, cells, corrections):
            mean, sd = crossbar.cell.read_moments(state, t)
            found.append(crossbar.transfer(mean, correction=own, sd=sd if noise else jnp.zeros_like(sd)))
        return tuple(found)

    def programmed(
        self, weights: Weights | None, cells: Cells | None, corrections: Corrections = None
    ) -> tuple[Seen, ...]:
        """What reads of exactly these weights see, with the array's own read noise."""
        lines = base.exact_lines(self, weights, cells)
        return tuple(c.transfer(g, correction=own) for c, g, own in base.corrected(self, lines, corrections))

    def run(
        self,
        readings: tuple[Seen, ...] | Conductances,
        x: Events | Float[Array, "steps *batch rows"],
        clock: Clock,
        *,
        key: PRNGKeyArray | None = None,
    ) -> Membranes:
        """A trial from rest: membranes above their rest voltage."""
        options = {"steps": clock.steps, "dt": clock.dt, "key": key, "checkpoint": self.checkpoint}
        traces = simulate(self, readings, x, **options)
        return Membranes(tuple(v - layer.neuron.rest() for v, layer in zip(traces, self.layers, strict=True)))

    def init_weights(self, gain: float = 1.0, *, key: PRNGKeyArray) -> Weights:
        """Normal weights with s.d. gain/√rows, one matrix a layer."""
        keys = jax.random.split(key, len(self.layers))
        return tuple(
            jax.random.normal(k, layer.shape) * (gain / math.sqrt(layer.shape[0]))
            for k, layer in zip(keys, self.layers, strict=True)
        )


def feedforward(sizes: tuple[int, ...] | list[int], **parts: Any) -> Feedforward:
    """A network with `sizes` rows and neurons, e.g. (784, 100, 10); every layer has the same parts.

    `parts` are the keyword arguments of `Layer` (crossbar, rows, filter, neuron).
    """
    if len(sizes) < 2 or any(int(n) != n or n < 1 for n in sizes):
        raise InputError(f"Network sizes are {list(sizes)}; needed: two or more whole numbers ≥ 1.")
    return Feedforward(tuple(Layer(shape=(int(n), int(m)), **parts) for n, m in pairwise(sizes)))
