"""From a name or a TOML file and `--set key=value` to a checked configuration."""

import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from memspike.experiments.base import Experiment
from memspike.parts.errors import InputError, unknown
from memspike.parts.registry import EXPERIMENTS


def keys(model: type[BaseModel] | BaseModel, prefix: str = "") -> Iterator[str]:
    """All dotted keys of a configuration model."""
    fields = (model if isinstance(model, type) else type(model)).model_fields
    for name, field in fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from keys(inner, f"{prefix}{name}.")
        else:
            yield prefix + name


def _full_key(given: str, model: BaseModel) -> str:
    """A dotted key, or a bare last part where it is unique."""
    known = list(keys(model))
    if given in known:
        return given
    same_end = [key for key in known if key.rsplit(".", 1)[-1] == given]
    if len(same_end) == 1:
        return same_end[0]
    if same_end:
        raise InputError(f"The key '{given}' is ambiguous; allowed: {', '.join(same_end)}.")
    raise unknown("key", given, known)


def parse_value(text: str) -> Any:
    """A TOML value, a list of such, or the text itself (names and quantities like 50us)."""
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        inner = text[1:-1].strip()
        return [parse_value(part) for part in inner.split(",")] if inner else []
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _put(tree: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    for part in path:
        tree = tree.setdefault(part, {})
    tree[last] = value


def flat(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of nested tables."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _sentence(error: ValidationError) -> InputError:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"] if not isinstance(part, int))
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "value_error" and isinstance(first.get("ctx", {}).get("error"), ValueError):
        return InputError(f"{key}: {message}" if key and key not in message else message)
    return InputError(f"{key} is {first['input']!r}; {message[0].lower()}{message[1:]}.")


def _file(path: Path) -> dict[str, Any]:
    try:
        tree = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not valid TOML: {error}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}).") from None
    if not isinstance(tree.get("experiment"), str):
        raise InputError(f'{path} needs a line like: experiment = "memprop-digits".')
    return tree


def changed(config: Any, values: dict[str, Any]) -> Any:
    """A configuration with other values of some dotted keys, checked."""
    tree = config.model_dump()
    for key, value in values.items():
        _put(tree, key, value)
    try:
        return type(config).model_validate(tree)
    except ValidationError as error:
        raise _sentence(error) from None


def resolve(
    name_or_file: str, overrides: Iterable[str] = (), *, quick: bool = False, seeds: int | None = None
) -> tuple[Experiment, Any]:
    """The experiment and its resolved configuration.

    Later wins: the experiment's own values, `--quick`, the TOML file, `--set key=value`, `--seeds`.
    InputError in one sentence for an unknown name, key or unit, or a value out of bounds.
    """
    given: dict[str, Any] = {}
    path = Path(name_or_file)
    if path.suffix == ".toml":
        if not path.is_file():
            raise InputError(f"The experiment file {path} does not exist.")
        given = _file(path)
        name_or_file = given.pop("experiment")
    experiment: Experiment = EXPERIMENTS.get(name_or_file).value
    changes = list(experiment.quick.items()) if quick else []
    changes += [(_full_key(key, experiment.config), value) for key, value in flat(given)]
    for item in overrides:
        key, equals, value = item.partition("=")
        if not equals:
            raise InputError(f"--set {item} has no '='; write --set key=value.")
        changes.append((_full_key(key.strip(), experiment.config), parse_value(value)))
    if seeds is not None:
        changes.append(("seeds", seeds))
    if any(key == "experiment" for key, _ in changes):
        raise InputError("The key 'experiment' is the name of the run and cannot be set.")
    return experiment, changed(experiment.config, dict(changes))
