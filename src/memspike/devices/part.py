"""What devices, cells, arrays and neurons are made of: modules that check their own numbers."""

from typing import TYPE_CHECKING

import equinox as eqx

from memspike.parts.param import check_bounds

if TYPE_CHECKING:
    from typing import ClassVar as AbstractClassVar
else:
    from equinox import AbstractClassVar


class AbstractPart(eqx.Module):
    """A module whose parameters and options are inside their bounds from the start; InputError otherwise."""

    def __check_init__(self) -> None:
        check_bounds(self)


class AbstractModel(AbstractPart):
    """A part that follows a published law; `source` cites it."""

    source: AbstractClassVar[str]
