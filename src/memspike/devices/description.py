"""A device as a text file: `device.toml` names the model of every part and its parameters."""

import dataclasses
import inspect
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import tomli_w

from memspike.devices.base import AbstractDevice
from memspike.devices.soft_bounds import SoftBounds
from memspike.parts import units
from memspike.parts.atomic import write_text
from memspike.parts.errors import InputError, unknown
from memspike.parts.registry import DEVICES


def _final_classes(base: type) -> Iterator[type]:
    for sub in base.__subclasses__():
        if not getattr(sub, "__abstractmethods__", None):
            yield sub
        yield from _final_classes(sub)


def models() -> dict[str, type]:
    """Every model that a file can name: the final device classes, and the parts that devices are made of."""
    parts = (c for c in _final_classes(eqx.Module) if c.__module__.startswith("memspike.devices."))
    return {c.__name__: c for c in (*parts, *_final_classes(AbstractDevice))}


def _plain(value: Any) -> Any:
    """Numbers with the fewest digits that give the same float back."""
    value = np.asarray(value)
    if value.ndim:
        return [_plain(v) for v in value]
    return float(str(value[()])) if np.issubdtype(value.dtype, np.floating) else value.item()


def _named_function(cls: type, name: str) -> Any:
    """The function of that name beside the class: how a choice between formulas is written in a file."""
    function = getattr(sys.modules[cls.__module__], name, None) if name.isidentifier() else None
    return function if inspect.isfunction(function) else None


def to_dict(module: eqx.Module) -> dict[str, Any]:
    """A device (or a part of one) as nested dictionaries of numbers, lists and names."""
    entries: dict[str, Any] = {"model": type(module).__name__}
    for field in dataclasses.fields(module):
        value = getattr(module, field.name)
        if isinstance(value, eqx.Module):
            entries[field.name] = to_dict(value)
        elif isinstance(value, bool | int | str):
            entries[field.name] = value
        elif eqx.is_array_like(value):
            entries[field.name] = _plain(value)
        elif _named_function(type(module), getattr(value, "__name__", "")) is value:
            entries[field.name] = value.__name__
        else:
            raise InputError(
                f"{type(module).__name__}.{field.name} is a {type(value).__name__}; a file cannot hold it."
            )
    return entries


def _value(given: Any, cls: type, field: dataclasses.Field, where: str) -> Any:
    if isinstance(given, dict):
        return from_dict(given, where)
    unit = None if field.metadata.get("static") else field.metadata.get("unit")
    if isinstance(given, str):
        return units.parse(given, unit) if unit is not None else _named_function(cls, given) or given
    if isinstance(given, list) or unit is not None:
        try:
            if isinstance(given, bool):
                raise ValueError
            number = np.asarray(given, dtype=float)
        except (TypeError, ValueError):
            raise InputError(f"{where} is {given!r}; a number or a list of numbers is needed.") from None
        return jnp.asarray(number, jnp.result_type(float)) if number.ndim else float(number)
    return given


# other ways to write a model: constructor, and its own keys with the field that has their unit
OTHER_FORMS: dict[type, tuple[tuple[Any, dict[str, str]], ...]] = {
    SoftBounds: (
        (SoftBounds.from_labels, {"nl_up": "curvature_up", "nl_down": "curvature_down"}),
        (SoftBounds.from_rates, {"alpha_up": "curvature_up", "alpha_down": "curvature_down"}),
    )
}


def from_dict(entries: dict[str, Any], where: str = "device") -> Any:
    """The device that the dictionaries describe; InputError for unknown models, keys and values out of bounds.

    Numbers may be texts with a unit ("10 uS"); keys that are left out keep the model's default. `SoftBounds` may
    be given by labels (`nl_up`, `nl_down`) or rates per pulse (`alpha_up`, `alpha_down`) instead of curvatures.
    """
    if not isinstance(entries, dict) or not isinstance(entries.get("model"), str):
        raise InputError(f'{where} names no model; give it as model = "SoftBounds", for example.')
    known = models()
    if entries["model"] not in known:
        raise unknown("device model", entries["model"], known)
    cls = known[entries["model"]]
    fields = {f.name: f for f in dataclasses.fields(cls)}
    given = {k: v for k, v in entries.items() if k != "model"}
    make, others = next(
        ((make, names) for make, names in OTHER_FORMS.get(cls, ()) if any(k in names for k in given)), (cls, {})
    )
    for key in given:
        if key not in fields and key not in others:
            raise unknown(f"parameter of {cls.__name__}", key, [*fields, *others])
    try:
        return make(**{k: _value(v, cls, fields[others.get(k, k)], f"{where}.{k}") for k, v in given.items()})
    except (TypeError, AttributeError) as error:
        raise InputError(f"{where} is not a complete {cls.__name__}: {error}.") from None


def write(device: AbstractDevice, path: Path) -> None:
    """Write a device to a TOML file, whole or not at all."""
    write_text(path, tomli_w.dumps(to_dict(device)))


def read(path: Path) -> AbstractDevice:
    """The device in a TOML file; InputError in one sentence if there is none."""
    try:
        entries = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}.") from None
    device = from_dict(entries, path.name)
    if not isinstance(device, AbstractDevice):
        raise InputError(f"{path} describes a {type(device).__name__}, which is only a part of a device.")
    return device


def find(name: str) -> AbstractDevice:
    """The device of a registered name, or of a TOML file given by its path."""
    if name.endswith(".toml"):
        return read(Path(name))
    return DEVICES.get(name).value()
