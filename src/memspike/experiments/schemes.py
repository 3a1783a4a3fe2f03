"""A programming scheme by its name and the options of a configuration."""

import inspect
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from memspike.learning.programming.base import Scheme
from memspike.parts.errors import InputError
from memspike.parts.registry import SCHEMES


def scheme_of(name: str, options: BaseModel, traced: Mapping[str, Any] | None = None) -> Scheme:
    """The scheme with the options that were given; InputError for one that it does not take.

    `traced` are values for some of the options, such as arrays, in place of those in `options`.
    """
    make: Any = SCHEMES.get(name).value
    takes = inspect.signature(make).parameters
    every = {key: getattr(options, key) for key in type(options).model_fields}
    given = {key: value for key, value in every.items() if value is not None}
    for key in given:
        if key not in takes:
            allowed = ", ".join(f"programming.{k}" for k in takes if k in type(options).model_fields) or "none"
            raise InputError(f"programming.{key} has no effect on the scheme '{name}'; its options: {allowed}.")
    return make(**(given | dict(traced or {})))


def scheme_on_pairs(name: str, options: BaseModel) -> Scheme:
    """`scheme_of` for crossbars of pairs; InputError for a scheme that needs a fast tile beside the slow one."""
    scheme = scheme_of(name, options)
    if scheme.tiles > 1:
        raise InputError(
            f"The scheme '{name}' needs a Stack cell of {scheme.tiles} or more tiles, and the crossbars of this "
            "experiment hold pairs; see the experiment tiki-taka-regression."
        )
    return scheme
