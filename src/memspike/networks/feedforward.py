"""A chain of layers: each membrane drives a row of the next crossbar."""

import math
from itertools import pairwise
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.crossbar import Seen
from memspike.arrays.fidelity import Ideal
from memspike.networks.layer import Layer
from memspike.parts.errors import InputError

Weights = tuple[Float[Array, "_ _"], ...]
# conductances of every layer, [lines, rows, columns] in S each
Conductances = tuple[Float[Array, "... _ _ _"], ...]


class Feedforward(eqx.Module):
    """A feed-forward network of any depth; programmed conductances are its state, `Lines` for each layer."""

    layers: tuple[Layer, ...]

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

    def weights(self, lines: Conductances) -> Weights:
        """The logical weights that programmed conductances stand for."""
        return tuple(layer.crossbar.cell.weight(g) for layer, g in zip(self.layers, lines, strict=True))

    def transfer(self, lines: Conductances, corrections: Any = None) -> tuple[Seen, ...]:
        """What reads see of programmed conductances through the wires: `Crossbar.transfer`, layer by layer."""
        corrections = corrections or (None,) * len(lines)
        return tuple(
            layer.crossbar.transfer(g, correction=c)
            for layer, g, c in zip(self.layers, lines, corrections, strict=True)
        )

    def unity(self, lines: Conductances) -> tuple[Any, ...]:
        """Corrections of 1, None for ideal wires: what training starts from before the first exact one."""
        return tuple(
            None if isinstance(layer.crossbar.wires, Ideal) else jnp.ones_like(g)
            for layer, g in zip(self.layers, lines, strict=True)
        )

    def correction(self, lines: Conductances, tolerance: float | None = None) -> tuple[Any, ...]:
        """`Crossbar.correction`, layer by layer."""
        return tuple(layer.crossbar.correction(g, tolerance) for layer, g in zip(self.layers, lines, strict=True))

    def init_weights(self, *, key: PRNGKeyArray, gain: float = 1.0) -> Weights:
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
