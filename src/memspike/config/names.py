"""Registered parts by their names in Python: `rules.eprop(feedback="random")` is what a table says of them."""

from collections.abc import Callable
from functools import partial
from typing import Any

from memspike.data.encoders import AbstractEncoder
from memspike.learning.objectives import AbstractObjective
from memspike.learning.rules.base import AbstractRule
from memspike.parts import table
from memspike.parts.errors import InputError
from memspike.parts.registry import ENCODERS, LOSSES, OPTIMIZERS, RULES, SCHEMES, Registry
from memspike.parts.table import Recipe


class Names:
    """The entries of a registry as functions of their options, `-` written as `_`; options may be texts with units."""

    def __init__(self, wanted: type, registry: Registry):
        self._wanted, self._registry = wanted, registry

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            entry = self._registry.get(name.replace("_", "-"))
        except InputError as error:
            raise AttributeError(str(error)) from None
        return partial(self._made, entry.name)

    def __dir__(self) -> list[str]:
        return [entry.name.replace("-", "_") for entry in self._registry]

    def _made(self, type_: str, **options: Any) -> Any:
        return table.build(self._wanted, {"type": type_, **options}, type_, registry=self._registry)


rules = Names(AbstractRule, RULES)
schemes = Names(Recipe, SCHEMES)
optimizers = Names(Recipe, OPTIMIZERS)
losses = Names(AbstractObjective, LOSSES)
encoders = Names(AbstractEncoder, ENCODERS)
