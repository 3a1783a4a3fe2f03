"""The shape of a programming scheme, and of the two halves that most schemes are made of."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.arrays.ledger import Ledger
from memspike.cells.base import CellState, Weight
from memspike.learning.rules.base import Outer, terms


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
    anywhere exactly. Those that multiply by themselves (`outer`) also take a change that is an `Outer`, those that read
    rows through the wires (`reads`) the lagged `correction` of these; without it they solve for them.
    """

    init: Callable[..., Any]
    apply: Callable[..., Applied]
    exact: bool = False
    digital: bool = False
    outer: bool = False
    tiles: int = 1
    reads: bool = False


class Counting(NamedTuple):
    """First half: `init(crossbar, cells)` → state; `pulses(state, crossbar, cells, dw, *, key)` → (state, pulses).

    `pulses` are whole signed pulses on the weights.
    """

    init: Callable[..., Any]
    pulses: Callable[..., tuple[Any, Weight]]


Writer = Callable[..., tuple[CellState, Ledger]]
"""Second half: `write(crossbar, cells, pulses, *, key)` → (cells, ledger)."""


def nothing(crossbar: Crossbar, cells: CellState) -> tuple[()]:
    """The state of what remembers nothing."""
    return ()


def unwritten(crossbar: Crossbar, cells: CellState) -> Ledger:
    """The ledger of an update that sent no pulse."""
    return crossbar.ledger(crossbar.cell.stored(cells).shape[1:])


def memoryless(pulses: Callable[..., Weight]) -> Counting:
    """A counting that remembers nothing: `pulses(crossbar, dw, *, key)` → pulses."""

    def count(
        state: tuple[()], crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None
    ) -> tuple[tuple[()], Weight]:
        return state, pulses(crossbar, dw, key=key)

    return Counting(nothing, count)


def pulsed(
    crossbar: Crossbar, cells: CellState, pulses: Weight, *, key: PRNGKeyArray | None
) -> tuple[CellState, Ledger]:
    """Signed pulses, blind, on the devices that the cell picks."""
    return crossbar.write(cells, pulses, key=key)


def compose(counting: Counting, write: Writer = pulsed) -> Scheme:
    """A scheme of a way to count pulses and a way to write them."""

    def apply(state: Any, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None) -> Applied:
        keys = keys_of(key, 2)
        state, pulses = counting.pulses(state, crossbar, cells, dw, key=keys[0])
        return Applied(state, *write(crossbar, cells, pulses, key=keys[1]))

    return Scheme(counting.init, apply)


def keys_of(key: PRNGKeyArray | None, n: int) -> tuple[PRNGKeyArray | None, ...]:
    """`n` keys of one; without a key, `n` times None."""
    return (None,) * n if key is None else tuple(jax.random.split(key, n))


def where_due(due: Bool[Array, ""], change: Callable[[Any], Any], now: Any) -> Any:
    """`change(now)` if `due`, else `now`: a loop of one or no turn, as under vmap a branch is computed every time."""
    return jax.lax.fori_loop(0, due.astype(jnp.int32), lambda _, x: change(x), now)


def zeros_of(make: Callable[[], Any]) -> Any:
    """Zeros of the shapes and types that `make()` has."""
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(make))


def term_by_term(
    write: Callable[[Any, CellState, Outer, Int[Array, ""]], Applied],
    state: Any,
    crossbar: Crossbar,
    cells: CellState,
    dw: Outer | Weight,
) -> Applied:
    """`write(state, cells, term, number)` of every term of a Δw, one after the other; a term is two vectors.

    The marks of a single one go straight into the book of the array.
    """
    each = terms(dw)
    numbers = jnp.arange(len(each.rows), dtype=jnp.int32)
    first = jax.tree.map(lambda x: x[0], (each, numbers))
    if len(each.rows) == 1:
        return write(state, cells, *first)

    def body(done: Applied, now: tuple[Outer, Array]) -> tuple[Applied, None]:
        new = write(done.state, done.cells, *now)
        return new._replace(ledger=done.ledger + new.ledger), None

    blank = zeros_of(lambda: unwritten(crossbar, cells) + write(state, cells, *first).ledger)
    return jax.lax.scan(body, Applied(state, cells, blank), (each, numbers))[0]
