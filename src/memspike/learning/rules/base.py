"""The shape of a learning rule."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Rule(NamedTuple):
    """A pure pair in the shape of an optimiser.

    `init(weights)` → rule state; `update(state, weights, batch, *, key)` → (state, Δw, metrics), where
    `weights` and `Δw` hold one array [rows, columns] a layer and `metrics` is a dict of scalars.
    """

    init: Callable[..., Any]
    update: Callable[..., Any]
