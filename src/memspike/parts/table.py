"""Any part ↔ a table: a table names a class or a preset (`type`) and sets its own fields, to any depth.

What a table cannot be is told in one sentence.
"""

import dataclasses
import inspect
import math
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from memspike.parts import units
from memspike.parts.errors import FEW, InputError, unknown
from memspike.parts.fields import (
    FieldInfo,
    choices_of,
    fields_of,
    finals,
    is_part,
    kebab,
    product,
    registries,
    registries_of,
)
from memspike.parts.refusals import MISFITS
from memspike.parts.registry import REGISTRIES, Registry

Table = Mapping[str, Any]
TYPE = ("type", "model")
SPREAD = "spread"  # how devices of a file differ: for those who fabricate, not for who builds one
EXAMPLE = "example"  # beginnings of the paths that nobody measured: for who shows a device
# where a table keeps the keys of the type that it replaces
BEFORE = "~"


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
        files = field.choices.files
        if value not in field.choices and not (files and Path(value).exists()):
            error = unknown(where, value, [e.name for e in field.choices])
            more = " Nor is there a file or folder of that name." if files else ""
            raise InputError(f"{error}{more}") from None
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


class Recipe(eqx.Module):
    """A function and the arguments that a table gives it; numbers are leaves, in which a population may differ."""

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


def _named(name: str, wanted: type, where: str, registry: Registry | None) -> Any:
    if registry is not None:
        by_class = {kebab(product(e.value).__name__): product(e.value) for e in registry if is_part(product(e.value))}
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
        wanted_words = f"{_kind(wanted)} is needed, {_hint(wanted)}"
        if wanted in MISFITS:
            raise MISFITS[wanted](where, name, made, wanted_words)
        raise InputError(f"{where} is '{name}', a {getattr(made, '__name__', 'value')}; {wanted_words}.")
    raise unknown(f"type in {where}" if where.endswith(".toml") else where, name, known, _hint(wanted))


def _listed(registry: Registry) -> str:
    return f"see: memspike list {next(kind for kind, r in REGISTRIES.items() if r is registry)}"


def _kind(wanted: type) -> str:
    """AbstractRelaxingDevice → a relaxing device."""
    words = kebab(wanted.__name__.removeprefix("Abstract")).replace("-", " ")
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _hint(wanted: type) -> str | None:
    found = registries_of(wanted)
    return _listed(found[0]) if found else "such as " + ", ".join(list(choices_of(wanted))[:3])


def convert(value: Any, field: FieldInfo, where: str, base: Any = None) -> Any:
    """What a table says of one field as the value that the field wants; InputError with the key in one sentence."""
    named = value.get(TYPE[0]) if isinstance(value, Mapping) else value
    if value is None or (field.optional and isinstance(named, str) and named == "none"):
        if field.optional:
            return None
        raise InputError(f"{where} is none; a value is needed.")
    if field.part is not None:
        registry = field.choices if isinstance(field.choices, Registry) else None
        return build(field.part, value, where, base, registry)
    if field.numeric:
        found = number(value, field, where)
        return jnp.asarray(found, jnp.result_type(float)) if not isinstance(found, jax.Array) else found
    kinds = field.kinds
    if get_origin(kinds[0]) is tuple and get_args(kinds[0])[0] in _modules(kinds[0]):
        return _parts(value, get_args(kinds[0])[0], where, base)
    if isinstance(value, Mapping) and kinds[0] is not dict and get_origin(kinds[0]) not in (dict, Mapping):
        raise InputError(f"{where} is a table; a value is needed.")
    if (callable(kinds[0]) and kinds[0] is Callable) or get_origin(kinds[0]) is Callable:
        return function(value, field, where)
    return simple(value, kinds[0], field, where)


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


def _check_keys(given: Table, known: Mapping[str, FieldInfo], where: str, what: str, wanted: type) -> None:
    """InputError for the first key that is not known, with the types that have it."""
    key = next((k for k in given if k not in known), None)
    if key is None:
        return
    others = [n for n, make in choices_of(wanted).items() if key in fields_of(_class_of(make))]
    if others:
        first, few = others[0], ", ".join(others[:FEW])
        raise InputError(
            f"{where}.{key} does not exist: {where} is '{what}'; types that have it: {few}. Set {where}={first} first."
        )
    kind = f" ({what})" if len(list(finals(wanted))) > 1 else ""
    raise unknown(f"key of {where}{kind}", key, known)


def _class_of(make: Any) -> Any:
    """What to ask for fields: the class of what is made, or the function itself where that is no part."""
    made = product(make)
    return made if is_part(made) else make


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
    given = {k: v for k, v in value.items() if k not in (*TYPE, BEFORE)}
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
        if name.endswith(".toml"):
            own = {k: v for k, v in read_table(Path(name)).items() if k not in (SPREAD, EXAMPLE)}
            return build(wanted, {**own, **given}, where, base, registry)
        make = _named(name, wanted, where, registry)
        given = _kept(make, value.get(BEFORE) or {}) | given
        if type(base) is make and _form(make, given)[0] is make:
            return _changed(base, given, where, wanted)  # the type that is there already keeps its values
    return _made(make, name or kebab(make.__name__), given, where, wanted)


def _kept(make: Any, before: Table) -> dict[str, Any]:
    """What a new type keeps of the one it replaces: the keys that both have; presets keep nothing."""
    return {k: v for k, v in before.items() if _class_of(make) is make and k in fields_of(make)}


def read_table(path: Path) -> dict[str, Any]:
    """The table in a TOML file; InputError in one sentence if there is none."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}.") from None


# other ways to write a class: a constructor, and its own keys with the field that has their unit and bounds
FORMS: dict[type, tuple[tuple[Callable[..., Any], dict[str, str]], ...]] = {}


def _form(make: Any, given: Table) -> tuple[Callable[..., Any], dict[str, str]]:
    """The constructor that a table asks for by its keys."""
    forms = FORMS.get(make, ())
    return next(((other, names) for other, names in forms if any(k in names for k in given)), (make, {}))


def _made(make: Any, name: str, given: Table, where: str, wanted: type) -> Any:
    if _class_of(make) is not make:
        return _changed(make(), given, where, wanted)
    form, names = _form(make, given)
    known = fields_of(make) | {k: fields_of(make)[f]._replace(name=k, bounds=None) for k, f in names.items()}
    _check_keys(given, known, where, name, wanted)
    if isinstance(make, type):
        values = {k: convert(v, known[k], f"{where}.{k}", default_of(known[k])) for k, v in given.items()}
        missing = [
            k
            for k, f in known.items()
            if f.default is dataclasses.MISSING and not f.otherwise and k not in {*values, *names.values()}
        ]
        missing += [k for k in names if k not in values and _needed(form, k)]
        if missing:
            raise InputError(f"{where} ({name}) needs {', '.join(f'{where}.{k}' for k in missing)}.")
        return form(**values, **{k: f.otherwise(values) for k, f in known.items() if f.otherwise and k not in values})
    return _recipe(make, name, {k: convert(v, known[k], f"{where}.{k}") for k, v in given.items()})


def _needed(form: Callable[..., Any], key: str) -> bool:
    return inspect.signature(form).parameters[key].default is inspect.Parameter.empty


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
        _check_keys(given, known, where, base.name, wanted)
        return _recipe(
            base.make, base.name, base.options() | {k: convert(v, known[k], f"{where}.{k}") for k, v in given.items()}
        )
    known = fields_of(type(base))
    _check_keys(given, known, where, kebab(type(base).__name__), wanted)
    values = {k: convert(v, known[k], f"{where}.{k}", getattr(base, k)) for k, v in given.items()}
    return dataclasses.replace(base, **values) if values else base
