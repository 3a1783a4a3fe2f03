"""The shape of a programming scheme, and of the two halves that most schemes are made of."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jaxtyping import PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.arrays.ledger import Ledger
from memspike.cells.base import CellState, Weight


class Applied(NamedTuple):
    """What an update leaves: the state of the scheme, the cells, and the ledger of what was done to them."""

    state: Any
    cells: CellState
    ledger: Ledger


class Scheme(NamedTuple):
    """A pure pair: `init(crossbar, cells)` → state; `apply(state, crossbar, cells, dw, *, key)` → `Applied`.

    `cells` is the state of the cells of one crossbar and `dw` the wanted change of its logical weights
    [rows, columns]. Without a key (None) pulses have no noise. `exact` schemes leave exactly the conductances of the
    wanted weights, by no pulses; `digital` ones keep weights in digital memory: they need a device that can be put
    anywhere exactly. Those that multiply by themselves (`outer`) also take a change that is an `Outer`.
    """

    init: Callable[..., Any]
    apply: Callable[..., Applied]
    exact: bool = False
    digital: bool = False
    outer: bool = False
    tiles: int = 1


class Counting(NamedTuple):
    """First half: `init(crossbar, cells)` → state; `pulses(state, crossbar, cells, dw, *, key)` → (state, pulses).

    `pulses` are whole signed pulses on the weights.
    """

    init: Callable[..., Any]
    pulses: Callable[..., tuple[Any, Weight]]


Writer = Callable[..., tuple[CellState, Ledger]]
"""Second half: `write(crossbar, cells, pulses, *, key)` → (cells, ledger)."""


def pulsed(
    crossbar: Crossbar, cells: CellState, pulses: Weight, *, key: PRNGKeyArray | None
) -> tuple[CellState, Ledger]:
    """Signed pulses dealt by the cell to its devices, blind."""
    return crossbar.write(cells, pulses, key=key)


def compose(counting: Counting, write: Writer = pulsed) -> Scheme:
    """A scheme of a way to count pulses and a way to write them."""

    def apply(state: Any, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None) -> Applied:
        keys = (None, None) if key is None else tuple(jax.random.split(key))
        state, pulses = counting.pulses(state, crossbar, cells, dw, key=keys[0])
        return Applied(state, *write(crossbar, cells, pulses, key=keys[1]))

    return Scheme(counting.init, apply)
