"""What devices, cells, arrays and neurons are made of: modules that check their own numbers."""

import equinox as eqx

from memspike.parts.param import check_bounds


class AbstractPart(eqx.Module):
    """A module whose parameters and options are inside their bounds from the start; InputError otherwise."""

    def __check_init__(self) -> None:
        check_bounds(self)
