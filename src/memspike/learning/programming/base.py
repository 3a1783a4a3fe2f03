"""The shape of a programming scheme."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Scheme(NamedTuple):
    """A pure pair: `init(crossbar, lines)` → state; `apply(state, crossbar, lines, dw, *, key)` → (state, lines).

    `lines` holds the conductances of one crossbar and `dw` the wanted change of its logical weights.
    """

    init: Callable[..., Any]
    apply: Callable[..., Any]
