"""The shape of a programming scheme."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Scheme(NamedTuple):
    """A pure pair: `init(crossbar, pair)` → state; `apply(state, crossbar, pair, dw, *, key)` → (state, pair).

    `pair` holds the conductances of one crossbar and `dw` the wanted change of its logical weights.
    """

    init: Callable[..., Any]
    apply: Callable[..., Any]
