"""Any part as a table again, and as a list of its keys with unit, bounds, choices and meaning."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from memspike.parts.errors import InputError
from memspike.parts.fields import FieldInfo, choices_of, fields_of, kebab, registries
from memspike.parts.registry import DEVICES, Registry
from memspike.parts.table import Recipe


class Key(NamedTuple):
    """One key of a table: dotted path, value, unit, meaning, bounds, and the names that it may take."""

    path: str
    value: Any
    unit: str
    doc: str
    bounds: tuple[float, float] | None
    choices: tuple[str, ...]


def type_of(part: Any) -> str:
    """The name by which a table makes a part of this class."""
    if isinstance(part, Recipe):
        return part.name
    for registry in registries().values():
        for entry in () if registry is DEVICES else registry:  # a preset is a class with values of its own
            if entry.value is type(part):
                return entry.name
    return kebab(type(part).__name__)


def number(value: Any) -> Any:
    """Numbers with the fewest digits that give the same float back; arrays as lists."""
    value = np.asarray(value)
    if value.ndim:
        return [number(v) for v in value]
    return float(str(value[()])) if np.issubdtype(value.dtype, np.floating) else value.item()


def _function_name(value: Callable[..., Any], field: FieldInfo) -> str:
    """The registered name of a function, or its own."""
    entries = field.choices if isinstance(field.choices, Registry) else ()
    return next((e.name for e in entries if e.value is value), value.__name__)


def _value(value: Any) -> Any:
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        return number(value)
    if isinstance(value, tuple | list):
        return [_value(v) for v in value]
    return value


def _fields(part: Any) -> Iterator[tuple[FieldInfo, Any]]:
    options = part.options() if isinstance(part, Recipe) else None
    for name, field in fields_of(part.make if isinstance(part, Recipe) else type(part)).items():
        yield field, getattr(part, name) if options is None else options.get(name, field.default)


def plain(part: Any) -> dict[str, Any]:
    """A part as nested tables; what is None, and what follows from the other fields, is left out."""
    found: dict[str, Any] = {"type": type_of(part)}
    own = {field.name: value for field, value in _fields(part) if not field.otherwise}
    for field, value in _fields(part):
        if field.otherwise and np.array_equal(value, field.otherwise(own)):
            continue
        if isinstance(value, eqx.Module):
            found[field.name] = plain(value)
        elif isinstance(value, tuple) and value and isinstance(value[0], eqx.Module):
            found[field.name] = [plain(v) for v in value]
        elif isinstance(value, Callable) and not inspect.isfunction(value):
            raise InputError(f"{type(part).__name__}.{field.name} is a {type(value).__name__}; a file cannot hold it.")
        elif inspect.isfunction(value):
            found[field.name] = _function_name(value, field)
        elif value is not None:
            found[field.name] = _value(value)
    return found


def _choices(field: FieldInfo) -> tuple[str, ...]:
    if isinstance(field.choices, Registry):
        return tuple(e.name for e in field.choices)
    if field.choices:
        return tuple(field.choices)
    if field.part is None or field.part is Recipe:
        return ()
    names = tuple(sorted(choices_of(field.part)))
    return names if len(names) > 1 else ()


def keys_of(part: Any, prefix: str = "") -> Iterator[Key]:
    """Every key of a part and of the parts inside it, depth first; a part itself has the key of its type."""
    for field, value in _fields(part):
        path = prefix + field.name
        several = isinstance(value, tuple) and bool(value) and isinstance(value[0], eqx.Module)
        if isinstance(value, eqx.Module):
            choices = _choices(field)
            if choices:
                yield Key(path, type_of(value), "1", field.doc, None, choices)
            yield from keys_of(value, f"{path}.")
        elif several:
            yield Key(path, f"{len(value)} tables", "1", field.doc, None, ())
            for k, one in enumerate(value):
                yield from keys_of(one, f"{path}.{k}.")
        else:
            shown = _function_name(value, field) if inspect.isfunction(value) else _value(value)
            yield Key(path, shown, field.unit, field.doc, field.bounds, _choices(field))
