"""A field that knows its unit, its meaning and its bounds."""

import dataclasses
import math
import typing
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from memspike.parts.errors import InputError

Parameter = Float[Array, "..."] | float


def _as_float(value: Any) -> Any:
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jnp.floating):
        return value
    return jnp.asarray(value, dtype=jnp.result_type(float))


def param(
    default: float | None,
    unit: str,
    doc: str,
    *,
    bounds: tuple[float | int, float | int] = (-math.inf, math.inf),
    otherwise: Callable[[dict[str, Any]], Any] | None = None,
) -> Any:
    """An array leaf of a module: `default` in `unit` (SI), documented by `doc`, inside `bounds`.

    Without a default (None) the field must be given; where a table leaves it out, `otherwise` makes it of the other
    values that the table gives. The value may be a scalar or any array that
    broadcasts against the state, so that every device of an array can have its own.
    """
    limits = (float(bounds[0]), float(bounds[1]))
    metadata = {"unit": unit, "doc": doc, "bounds": limits, "otherwise": otherwise}
    if default is None:
        return eqx.field(converter=_as_float, metadata=metadata)
    return eqx.field(default=default, converter=_as_float, metadata=metadata)


class Meta(NamedTuple):
    """What `param` and `option` say of a field, for an argument of a function: `Annotated[float, Meta(…)]`."""

    unit: str
    doc: str
    bounds: tuple[float, float] = (-math.inf, math.inf)


def option(
    default: Any,
    doc: str,
    *,
    unit: str = "1",
    choices: Any = None,
    bounds: tuple[float | int, float | int] | None = None,
) -> Any:
    """A static field of a module: a count, a switch, a name or a tuple, documented by `doc`.

    `choices` are the allowed values, or the registry whose names are allowed; `bounds` (inclusive, in `unit`) hold for
    a number and for every number of a tuple.
    """
    metadata = {"unit": unit, "doc": doc, "choices": choices, "bounds": bounds}
    return eqx.field(default=default, static=True, metadata=metadata)


def part(default: Any, doc: str, *, choices: Any = None) -> Any:
    """A field that is itself a module: `default` makes it, e.g. a class or a function without arguments.

    `choices` is the registry whose names are allowed, where that is not plain from the type.
    """
    return eqx.field(default_factory=default, metadata={"doc": doc, "choices": choices})


def kind_of(cls: type, field: dataclasses.Field) -> Any:
    """The type of a field, also where its module has annotations as texts (`from __future__ import annotations`).

    A text that means nothing there stays one: other packages have classes that name what they import for types alone.
    """
    if not isinstance(field.type, str):
        return field.type
    try:
        return typing.get_type_hints(cls)[field.name]
    except NameError:
        return field.type


class ParamInfo(NamedTuple):
    """One parameter of a module: dotted path, value, unit, doc, bounds and the source of its model."""

    path: str
    value: Any
    unit: str
    doc: str
    bounds: tuple[float | int, float | int]
    source: str


def own_parameters(module: eqx.Module) -> Iterator[ParamInfo]:
    """The parameters declared by the module itself, without those of its parts."""
    for field in dataclasses.fields(module):
        if "unit" in field.metadata and not field.metadata.get("static"):
            meta = field.metadata
            value, source = getattr(module, field.name), str(getattr(type(module), "source", ""))
            yield ParamInfo(field.name, value, meta["unit"], meta["doc"], meta["bounds"], source)


def parameters(module: Any, prefix: str = "") -> Iterator[ParamInfo]:
    """All parameters of a module and of the modules inside it, depth first, with dotted paths."""
    if isinstance(module, tuple | list):
        for i, item in enumerate(module):
            yield from parameters(item, f"{prefix}{i}.")
        return
    if not (isinstance(module, eqx.Module) and dataclasses.is_dataclass(module)):
        return
    for info in own_parameters(module):
        yield info._replace(path=prefix + info.path)
    for field in dataclasses.fields(module):
        if "unit" not in field.metadata and not field.metadata.get("static"):
            yield from parameters(getattr(module, field.name), f"{prefix}{field.name}.")


def mean_of(module: Any) -> Any:
    """A module with every parameter of it, and of the modules inside it, at its mean; tables are as they are."""
    if isinstance(module, tuple | list):
        return type(module)(mean_of(item) for item in module)
    if not (isinstance(module, eqx.Module) and dataclasses.is_dataclass(module)):
        return module
    names = [field.name for field in dataclasses.fields(module) if not field.metadata.get("static")]
    own = {info.path for info in own_parameters(module)}
    means = [jnp.mean(x) if name in own else mean_of(x) for name in names for x in (getattr(module, name),)]
    return eqx.tree_at(lambda m: [getattr(m, name) for name in names], module, means, is_leaf=lambda x: x is None)


def is_concrete(value: Any) -> bool:
    """Whether a parameter holds numbers: no tracer, no placeholder of a tree transformation."""
    return eqx.is_array_like(value) and not isinstance(value, Tracer)


def check_count(name: str, value: int, least: int = 1) -> None:
    """InputError unless `value` is a whole number from `least` on."""
    if not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"{name} is {value}; a whole number from {least} on is needed.")


def _option_error(kind: Any, value: Any, meta: Any) -> str:
    """What would be allowed instead of `value` for an option declared as `kind`; empty where it is allowed."""
    low, high = meta["bounds"] or (-math.inf, math.inf)
    if kind is bool:
        return "" if isinstance(value, bool | np.bool_) else "true or false"
    if kind in (int, float):
        number = isinstance(value, int | np.integer) or (kind is float and isinstance(value, float | np.floating))
        if number and not isinstance(value, bool) and math.isfinite(value) and low <= value <= high:
            return ""
        ends = f" from {low:.12g}" if math.isfinite(low) else ""
        ends += f" to {high:.12g}" if math.isfinite(high) else " on" if ends else ""
        unit = "" if meta["unit"] == "1" else f" {meta['unit']}"
        return f"a {'whole' if kind is int else 'finite'} number{ends}{unit}"
    if kind is str and meta["choices"] is not None:
        names = [getattr(choice, "name", choice) for choice in meta["choices"]]
        return "" if value in names else f"one of {', '.join(map(str, names))}"
    return ""


def _check_options(module: eqx.Module) -> None:
    """Raise InputError if an option is of another kind than declared, out of its bounds, or no allowed choice."""
    for field in dataclasses.fields(module):
        if not (field.metadata.get("static") and "choices" in field.metadata):
            continue
        kind = kind_of(type(module), field)
        value, kinds = getattr(module, field.name), typing.get_args(kind) or (kind,)
        if value is None and type(None) in kinds:
            continue
        kinds = [k for k in kinds if k not in (type(None), Ellipsis)]
        values = value if isinstance(value, tuple) else (value,)
        for k, one in enumerate(values):
            needed = _option_error(kinds[min(k, len(kinds) - 1)], one, field.metadata)
            if needed:
                which = f"{type(module).__name__}.{field.name}"
                raise InputError(f"{which} is {one!r} ({field.metadata['doc']}); {needed} is needed.")


def check_bounds(module: eqx.Module) -> None:
    """Raise InputError if a parameter or an option is out of its bounds or not finite; traced values pass."""
    _check_options(module)
    for info in own_parameters(module):
        if not is_concrete(info.value):
            continue
        value = np.asarray(info.value)
        low, high = info.bounds
        if not (np.isfinite(value).all() and (value >= low).all() and (value <= high).all()):
            finite_bad = value[~(np.isfinite(value) & (value >= low) & (value <= high))]
            raise InputError(
                f"{type(module).__name__}.{info.path} ({info.doc}) is {finite_bad.flat[0]:g} {info.unit}; "
                f"allowed: {low:g} to {high:g} {info.unit}."
            )
