"""What a table says of a field, as the value that the field wants; one sentence for what it cannot be."""

import inspect
import math
from collections.abc import Callable
from typing import Any, get_args, get_origin

import jax
import numpy as np

from memspike.parts import units
from memspike.parts.errors import InputError, unknown
from memspike.parts.fields import FieldInfo
from memspike.parts.registry import Registry


def number(value: Any, field: FieldInfo, where: str) -> Any:
    """A number, a text with a unit, or a list of them, inside the bounds of the field."""
    if isinstance(value, str):
        value = units.parse(value, field.unit, where)
    if isinstance(value, list | tuple):
        return [number(v, field, where) for v in value]
    array = isinstance(value, jax.Array | np.ndarray | np.generic)
    if not array and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise InputError(f"{where} is {value!r}; a number in {field.unit} is needed.")
    low, high = field.bounds or (-math.inf, math.inf)
    for one in np.asarray(value).ravel():
        if not (math.isfinite(one) and low <= one <= high):
            here = "a finite number" if math.isinf(low) and math.isinf(high) else f"{low:g} to {high:g}"
            unit = "" if field.unit == "1" else f" {field.unit}"
            raise InputError(f"{where} is {one:g}{unit} ({field.doc}); allowed: {here}{unit}.")
    return value


def _whole(value: Any, field: FieldInfo, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise InputError(f"{where} is {value!r}; a whole number is needed.")
    number(int(value), field, where)
    return int(value)


def simple(value: Any, kind: Any, field: FieldInfo, where: str) -> Any:
    """A value that is no part, as its type wants it."""
    if get_origin(kind) is tuple:
        inner = get_args(kind)
        if not isinstance(value, list | tuple):
            raise InputError(f"{where} is {value!r}; a list such as [1, 2] is needed.")
        if inner[-1] is not Ellipsis and len(value) != len(inner):
            raise InputError(f"{where} has {len(value)} entries; {len(inner)} are needed.")
        each = (inner[0],) * len(value) if inner[-1] is Ellipsis else inner
        return tuple(simple(v, k, field, where) for v, k in zip(value, each, strict=True))
    if kind is bool:
        if not isinstance(value, bool):
            raise InputError(f"{where} is {value!r}; true or false is needed.")
        return value
    if kind is int:
        return _whole(value, field, where)
    if kind is float:
        return float(number(value, field, where)) if not isinstance(value, list) else number(value, field, where)
    if kind is str:
        if not isinstance(value, str):
            raise InputError(f"{where} is {value!r}; a text is needed.")
        return _chosen(value, field, where)
    return value


def _chosen(value: str, field: FieldInfo, where: str) -> str:
    if isinstance(field.choices, Registry):
        try:
            field.choices.get(value)
        except InputError:
            raise unknown(where, value, [e.name for e in field.choices]) from None
    elif field.choices and value not in field.choices:
        raise unknown(where, value, field.choices)
    return value


def function(value: Any, field: FieldInfo, where: str) -> Callable[..., Any]:
    """A function by its registered name, or beside the class that wants it."""
    if callable(value):
        return value
    if isinstance(field.choices, Registry):
        return field.choices.get(_chosen(value, field, where)).value
    module = inspect.getmodule(field.default)
    found = getattr(module, str(value), None) if str(value).isidentifier() else None
    if not inspect.isfunction(found):
        raise InputError(f"{where} is {value!r}; the name of a function is needed, such as {field.default.__name__}.")
    return found
