"""A field that knows its unit, its meaning and its bounds."""

import dataclasses
import math
from collections.abc import Iterator
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
    default: float | None, unit: str, doc: str, *, bounds: tuple[float | int, float | int] = (-math.inf, math.inf)
) -> Any:
    """An array leaf of a module: `default` in `unit` (SI), documented by `doc`, inside `bounds`.

    Without a default (None) the field must be given. The value may be a scalar or any array that
    broadcasts against the state, so that every device of an array can have its own.
    """
    metadata = {"unit": unit, "doc": doc, "bounds": (float(bounds[0]), float(bounds[1]))}
    if default is None:
        return eqx.field(converter=_as_float, metadata=metadata)
    return eqx.field(default=default, converter=_as_float, metadata=metadata)


class Meta(NamedTuple):
    """What `param` and `option` say of a field, for an argument of a function: `Annotated[float, Meta(…)]`."""

    unit: str
    doc: str
    bounds: tuple[float, float] = (-math.inf, math.inf)


def option(
    default: Any, doc: str, *, unit: str = "1", choices: Any = None, bounds: tuple[float, float] | None = None
) -> Any:
    """A static field of a module: a count, a switch, a name or a tuple, documented by `doc`.

    `choices` are the allowed values, or the registry whose names are allowed; `bounds` (inclusive, in `unit`) hold for
    a number and for every number of a tuple.
    """
    metadata = {"unit": unit, "doc": doc, "choices": choices, "bounds": bounds}
    return eqx.field(default=default, static=True, metadata=metadata)


def part(default: Any, doc: str) -> Any:
    """A field that is itself a module: `default` makes it, e.g. a class or a function without arguments."""
    return eqx.field(default_factory=default, metadata={"doc": doc})


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


def is_concrete(value: Any) -> bool:
    """Whether a parameter holds numbers: no tracer, no placeholder of a tree transformation."""
    return eqx.is_array_like(value) and not isinstance(value, Tracer)


def check_count(name: str, value: int, least: int = 1) -> None:
    """InputError unless `value` is a whole number from `least` on."""
    if not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"{name} is {value}; a whole number from {least} on is needed.")


def check_bounds(module: eqx.Module) -> None:
    """Raise InputError if a parameter is outside its bounds or not finite; traced values pass."""
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
