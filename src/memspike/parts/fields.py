"""The fields of any part: their kinds, units, bounds and choices, read from its class or its function."""

import dataclasses
import functools
import inspect
import re
import types
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

import equinox as eqx
import jax
from jaxtyping import AbstractArray

from memspike.parts.param import Meta, kind_of
from memspike.parts.registry import REGISTRIES, Registry


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
        return any(isinstance(k, type) and issubclass(k, AbstractArray | jax.Array) for k in self.kinds)


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
        yield FieldInfo(f.name, kind_of(cls, f), default, unit, doc, bounds, choices, meta.get("otherwise"))


def _of_function(make: Callable[..., Any]) -> Iterator[FieldInfo]:
    for p in inspect.signature(make, eval_str=True).parameters.values():
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
    """The name of a class in tables: DifferentialPair → differential-pair; what it is a part of is left out."""
    name = re.sub("(?<=.)(Topology|Rule|Settings)$", "", name)
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
    return make if isinstance(make, type) else _returned(make)


@functools.cache
def _returned(make: Callable[..., Any]) -> Any:
    return inspect.signature(make, eval_str=True).return_annotation


def _fits(made: Any, wanted: type) -> bool:
    return isinstance(made, type) and (issubclass(made, wanted) or issubclass(wanted, made))


def is_part(made: Any) -> bool:
    """Whether something is a class of parts."""
    return isinstance(made, type) and issubclass(made, eqx.Module)


def registries_of(wanted: type) -> list[Registry]:
    """The registries that hold parts of a class."""
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
    for registry in registries().values():
        found |= {e.name: e.value for e in registry if _fits(product(e.value), wanted)}
    return found
