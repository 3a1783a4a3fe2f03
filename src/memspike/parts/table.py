"""Any part ↔ a table: a table names a class or a preset (`type`) and sets its own fields, to any depth."""

import dataclasses
import functools
import inspect
import math
import re
import types
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import AbstractArray

from memspike.parts import units
from memspike.parts.errors import InputError, unknown
from memspike.parts.param import Meta
from memspike.parts.registry import REGISTRIES, Registry

Table = Mapping[str, Any]
TYPE = ("type", "model")
# of so many choices a sentence lists all; of more it says where they stand
FEW = 12


class Recipe(eqx.Module):
    """A function and the arguments that a table gives it: numbers as leaves, so that a population may differ in them."""

    make: Callable[..., Any] = eqx.field(static=True)
    name: str = eqx.field(static=True)
    fixed: dict[str, Any] = eqx.field(static=True, default_factory=dict)
    numbers: dict[str, Any] = eqx.field(default_factory=dict)

    def __call__(self, **more: Any) -> Any:
        """What the function makes of them, and of `more`."""
        return self.make(**self.fixed, **self.numbers, **more)

    def options(self) -> dict[str, Any]:
        """All arguments by name."""
        return {**self.fixed, **self.numbers}


class FieldInfo(NamedTuple):
    """A field of a class, or an argument of a function, as a table may set it."""

    name: str
    kind: Any
    default: Any
    unit: str
    doc: str
    bounds: tuple[float, float] | None
    choices: Any
    otherwise: Callable[[dict[str, Any]], Any] | None = None

    @property
    def optional(self) -> bool:
        """Whether None is allowed."""
        return type(None) in get_args(self.kind)

    @property
    def kinds(self) -> tuple[Any, ...]:
        """The types of a value that is not None."""
        union = get_origin(self.kind) in (Union, types.UnionType)
        return tuple(k for k in get_args(self.kind) if k is not type(None)) if union else (self.kind,)

    @property
    def part(self) -> type | None:
        """The class of the part that belongs here, if one does."""
        found = [k for k in self.kinds if isinstance(k, type) and issubclass(k, eqx.Module)]
        return found[0] if found else None

    @property
    def numeric(self) -> bool:
        """Whether an array of numbers is allowed: a parameter."""
        return any(isinstance(k, type) and issubclass(k, AbstractArray) for k in self.kinds)


def _of_class(cls: type) -> Iterator[FieldInfo]:
    for f in dataclasses.fields(cls):
        if not f.init:
            continue
        default = f.default
        if default is dataclasses.MISSING:
            default = dataclasses.MISSING if f.default_factory is dataclasses.MISSING else f.default_factory
        meta = f.metadata
        unit, doc = meta.get("unit", "1"), meta.get("doc", "")
        bounds, choices = meta.get("bounds"), meta.get("choices")
        yield FieldInfo(f.name, f.type, default, unit, doc, bounds, choices, meta.get("otherwise"))


def _of_function(make: Callable[..., Any]) -> Iterator[FieldInfo]:
    for p in inspect.signature(make).parameters.values():
        if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) or get_origin(p.annotation) is not Annotated:
            continue
        kind, *notes = get_args(p.annotation)
        meta = next(n for n in notes if isinstance(n, Meta))
        default = dataclasses.MISSING if p.default is p.empty else p.default
        yield FieldInfo(p.name, kind, default, meta.unit, meta.doc, meta.bounds, None)


@functools.cache
def fields_of(make: Any) -> dict[str, FieldInfo]:
    """The fields that a table may set, of a class, or the documented arguments of a function."""
    found = _of_class(make) if isinstance(make, type) else _of_function(make)
    return {field.name: field for field in found}


def kebab(name: str) -> str:
    """The name of a class in tables: DifferentialPair → differential-pair."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


def finals(base: type) -> Iterator[type]:
    """The final classes below an abstract one, itself included where it is final."""
    if not inspect.isabstract(base) and not base.__name__.startswith(("Abstract", "_")):
        yield base
    for sub in base.__subclasses__():
        yield from finals(sub)


def product(make: Any) -> Any:
    """The class of what a registered class or function makes."""
    make = make.func if isinstance(make, functools.partial) else make
    if not callable(make):
        return type(make)
    return make if isinstance(make, type) else inspect.signature(make).return_annotation


def _fits(made: Any, wanted: type) -> bool:
    return isinstance(made, type) and (issubclass(made, wanted) or issubclass(wanted, made))


def _is_part(made: Any) -> bool:
    return isinstance(made, type) and issubclass(made, eqx.Module)


def _registries(wanted: type) -> list[Registry]:
    return [r for r in registries().values() if any(_fits(product(e.value), wanted) for e in r)]


def registries() -> dict[str, Registry]:
    """The registries of parts, by their kinds."""
    return {kind: r for kind, r in REGISTRIES.items() if kind not in ("experiments", "datasets")}


def _loaded(wanted: type) -> None:
    """Import all of the package of a class, so that every class below it is known."""
    package = import_module(".".join(wanted.__module__.split(".")[:2]))
    for name in getattr(package, "__all__", ()):
        getattr(package, name)


def choices_of(wanted: type) -> dict[str, Any]:
    """Every name of a part of that class: registered ones, and final classes by their own name."""
    _loaded(wanted)
    found: dict[str, Any] = {kebab(cls.__name__): cls for cls in finals(wanted)}
    for registry in _registries(wanted):
        found |= {e.name: e.value for e in registry if _fits(product(e.value), wanted)}
    return found


def _named(name: str, wanted: type, where: str, registry: Registry | None) -> Any:
    if registry is not None:
        by_class = {kebab(product(e.value).__name__): product(e.value) for e in registry if _is_part(product(e.value))}
        if name not in registry and name in by_class:
            return by_class[name]
        if name not in registry:
            raise unknown(where, name, [e.name for e in registry], _listed(registry))
        return registry.get(name).value
    known = choices_of(wanted)
    by_class = {cls.__name__: cls for cls in finals(wanted)}
    if name in known or name in by_class:
        return known.get(name) or by_class[name]
    others = [e for r in registries().values() for e in r if e.name == name]
    if others:
        made = product(others[0].value)
        raise InputError(
            f"{where} is '{name}', a {getattr(made, '__name__', 'value')}; another kind of part is needed, {_hint(wanted)}."
        )
    raise unknown(where, name, known, _hint(wanted))


def _listed(registry: Registry) -> str:
    return f"see: memspike list {next(kind for kind, r in REGISTRIES.items() if r is registry)}"


def _hint(wanted: type) -> str | None:
    found = _registries(wanted)
    return _listed(found[0]) if found else "such as " + ", ".join(list(choices_of(wanted))[:3])


def _number(value: Any, field: FieldInfo, where: str) -> Any:
    if isinstance(value, str):
        value = units.parse(value, field.unit, where)
    if isinstance(value, list | tuple):
        return [_number(v, field, where) for v in value]
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
    _number(int(value), field, where)
    return int(value)


def _simple(value: Any, kind: Any, field: FieldInfo, where: str) -> Any:
    """A value that is no part, as its type wants it."""
    if get_origin(kind) is tuple:
        inner = get_args(kind)
        if not isinstance(value, list | tuple):
            raise InputError(f"{where} is {value!r}; a list such as [1, 2] is needed.")
        if inner[-1] is not Ellipsis and len(value) != len(inner):
            raise InputError(f"{where} has {len(value)} entries; {len(inner)} are needed.")
        each = (inner[0],) * len(value) if inner[-1] is Ellipsis else inner
        return tuple(_simple(v, k, field, where) for v, k in zip(value, each, strict=True))
    if kind is bool:
        if not isinstance(value, bool):
            raise InputError(f"{where} is {value!r}; true or false is needed.")
        return value
    if kind is int:
        return _whole(value, field, where)
    if kind is float:
        return float(_number(value, field, where)) if not isinstance(value, list) else _number(value, field, where)
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


def convert(value: Any, field: FieldInfo, where: str, base: Any = None) -> Any:
    """What a table says of one field as the value that the field wants; InputError with the key in one sentence."""
    if value is None or (value == "none" and field.optional):
        if field.optional:
            return None
        raise InputError(f"{where} is none; a value is needed.")
    if field.part is not None:
        registry = field.choices if isinstance(field.choices, Registry) else None
        return build(field.part, value, where, base, registry)
    if field.numeric:
        found = _number(value, field, where)
        return jnp.asarray(found, jnp.result_type(float)) if not isinstance(found, jax.Array) else found
    kinds = field.kinds
    if get_origin(kinds[0]) is tuple and get_args(kinds[0])[0] in _modules(kinds[0]):
        return _parts(value, get_args(kinds[0])[0], where, base)
    if isinstance(value, Mapping) and kinds[0] is not dict and get_origin(kinds[0]) not in (dict, Mapping):
        raise InputError(f"{where} is a table; a value is needed.")
    if (callable(kinds[0]) and kinds[0] is Callable) or get_origin(kinds[0]) is Callable:
        return _function(value, field, where)
    return _simple(value, kinds[0], field, where)


def _modules(kind: Any) -> tuple[type, ...]:
    return tuple(k for k in get_args(kind) if isinstance(k, type) and issubclass(k, eqx.Module))


def _parts(value: Any, wanted: type, where: str, base: Any) -> tuple[Any, ...]:
    """A list of parts; a table with numbers as keys changes those of `base`."""
    old = list(base or ())
    if isinstance(value, Mapping):
        given = {int(k) if str(k).isdigit() else k: v for k, v in value.items()}
        for k in given:
            if not isinstance(k, int) or not 0 <= k < len(old):
                raise InputError(f"{where}.{k} does not exist; {where} has {len(old)} entries, from 0 on.")
        return tuple(build(wanted, given[k], f"{where}.{k}", one) if k in given else one for k, one in enumerate(old))
    if not isinstance(value, list | tuple):
        raise InputError(f"{where} is {value!r}; a list of tables is needed.")
    return tuple(build(wanted, v, f"{where}.{k}") for k, v in enumerate(value))


def _function(value: Any, field: FieldInfo, where: str) -> Callable[..., Any]:
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


def _key_of(given: str, known: Mapping[str, FieldInfo], where: str, what: str, wanted: type) -> FieldInfo:
    if given in known:
        return known[given]
    others = [n for n, make in choices_of(wanted).items() if given in fields_of(_class_of(make))]
    if others:
        few = ", ".join(others[:FEW])
        raise InputError(
            f"{where}.{given} does not exist: {where} is a {what}; types that have it: {few}. Set {where}={others[0]} first."
        )
    raise unknown(f"key of {where} ({what})", given, known)


def _class_of(make: Any) -> Any:
    """What to ask for fields: the class of what is made, or the function itself where that is no part."""
    made = product(make)
    return made if _is_part(made) else make


def build(wanted: type, value: Any, where: str, base: Any = None, registry: Registry | None = None) -> Any:
    """The part that `value` describes: a name, a table with its `type`, or a table that changes fields of `base`.

    A number stands for a table with that `size`. With a `registry` its names alone are allowed. InputError in one
    sentence for unknown types and keys, values of the wrong kind or unit and out of bounds.
    """
    if isinstance(value, int) and not isinstance(value, bool) and "size" in fields_of(wanted):
        value = {"size": value}
    if isinstance(value, wanted | Recipe) and not isinstance(value, str):
        return value
    if isinstance(value, str):
        value = {"type": value}
    if not isinstance(value, Mapping):
        raise InputError(f"{where} is {value!r}; a name or a table is needed.")
    given = {k: v for k, v in value.items() if k not in TYPE}
    name = next((value[k] for k in TYPE if k in value), None)
    if name is not None and not isinstance(name, str):
        raise InputError(f"{where}.type is {name!r}; a name is needed.")
    if name is None:
        if base is None:
            only = list(finals(wanted))
            if len(only) != 1:
                raise InputError(
                    f'{where} names no type; give it as type = "{next(iter(choices_of(wanted)))}", for example.'
                )
            make: Any = only[0]
        else:
            return _changed(base, given, where, wanted)
    else:
        make = _named(name, wanted, where, registry)
    return _made(make, name or kebab(make.__name__), given, where, wanted)


def _made(make: Any, name: str, given: Table, where: str, wanted: type) -> Any:
    if _class_of(make) is not make:
        return _changed(make(), given, where, wanted)
    known = fields_of(make)
    for key in given:
        _key_of(key, known, where, name, wanted)
    if isinstance(make, type):
        values = {k: convert(v, known[k], f"{where}.{k}", default_of(known[k])) for k, v in given.items()}
        values |= {k: f.otherwise(values) for k, f in known.items() if f.otherwise and k not in values}
        missing = [k for k, f in known.items() if f.default is dataclasses.MISSING and k not in values]
        if missing:
            raise InputError(f"{where} ({name}) needs {', '.join(f'{where}.{k}' for k in missing)}.")
        return make(**values)
    return _recipe(make, name, {k: convert(v, known[k], f"{where}.{k}") for k, v in given.items()})


def _recipe(make: Any, name: str, values: dict[str, Any]) -> Recipe:
    numbers = {k: v for k, v in values.items() if isinstance(v, jax.Array)}
    return Recipe(make, name, {k: v for k, v in values.items() if k not in numbers}, numbers)


def default_of(field: FieldInfo) -> Any:
    """A part that stands in a field unless a table says otherwise."""
    if field.default is dataclasses.MISSING or field.part is None:
        return field.default if isinstance(field.default, tuple) else None
    return field.default() if callable(field.default) and not isinstance(field.default, eqx.Module) else field.default


def _changed(base: Any, given: Table, where: str, wanted: type) -> Any:
    """`base` with the fields that a table gives."""
    if isinstance(base, Recipe):
        known = fields_of(base.make)
        for key in given:
            _key_of(key, known, where, base.name, wanted)
        return _recipe(
            base.make, base.name, base.options() | {k: convert(v, known[k], f"{where}.{k}") for k, v in given.items()}
        )
    known = fields_of(type(base))
    for key in given:
        _key_of(key, known, where, kebab(type(base).__name__), wanted)
    values = {k: convert(v, known[k], f"{where}.{k}", getattr(base, k)) for k, v in given.items()}
    return dataclasses.replace(base, **values) if values else base
