"""A device by its name, or as a text file: `device.toml` names the model of every part and its parameters."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w
from jaxtyping import PRNGKeyArray

from memspike.devices.base import AbstractDevice
from memspike.devices.presets import aihwkit, neurosim
from memspike.devices.step import SoftBounds
from memspike.devices.variation.fabricate import AbstractSpread, Relative, fabricate
from memspike.parts import table, written
from memspike.parts.atomic import write_text
from memspike.parts.errors import InputError

table.FORMS[SoftBounds] = (
    (SoftBounds.from_labels, {"nl_up": "curvature_up", "nl_down": "curvature_down"}),
    (SoftBounds.from_rates, {"alpha_up": "curvature_up", "alpha_down": "curvature_down"}),
)


def write(
    device: AbstractDevice, path: Path, spread: Mapping[str, AbstractSpread] | None = None, example: str = ""
) -> None:
    """Write a device, and how devices of its kind differ, to a TOML file, whole or not at all.

    `example` are beginnings of the parameter paths whose values nobody measured, apart by blanks.
    """
    entries = written.plain(device)
    if example:
        entries[table.EXAMPLE] = example
    if spread:
        entries["spread"] = {paths: written.plain(how) for paths, how in spread.items()}
    write_text(path, tomli_w.dumps(entries))


def read(path: Path | str) -> AbstractDevice:
    """The device in a TOML file; InputError for unknown models, keys and values out of bounds, or if there is none.

    Numbers may be texts with a unit ("10 uS"); keys that are left out keep the model's default. `soft-bounds` may
    be given by labels (`nl_up`, `nl_down`) or rates per pulse (`alpha_up`, `alpha_down`) instead of curvatures.
    """
    path = Path(path)
    entries = table.read_table(path)
    if not any(key in entries for key in table.TYPE):
        raise InputError(f'{path.name} names no model; give it as type = "soft-bounds", for example.')
    return table.build(
        AbstractDevice, {k: v for k, v in entries.items() if k not in (table.SPREAD, table.EXAMPLE)}, path.name
    )


def find(name: str) -> AbstractDevice:
    """The device of a registered name, or of a TOML file given by its path.

    InputError where there is none, or the file holds no device.
    """
    return read(Path(name)) if name.endswith(".toml") else table.build(AbstractDevice, name, "device")


def spread_of(name: str) -> dict[str, AbstractSpread]:
    """The device-to-device spread of a preset (published) or of a TOML file (its table `spread`), by parameter path.

    A number in the file is a relative s.d.; empty where none is known.

    InputError where `spread` of the file is no table.
    """
    if name.endswith(".toml"):
        entries = table.read_table(Path(name)).get(table.SPREAD, {})
        if not isinstance(entries, Mapping):
            raise InputError(f"{name}: {table.SPREAD} is {entries!r}; a table of parameter paths is needed.")
        return {k: _spread(v, f"{name}: {table.SPREAD}.{k}") for k, v in entries.items()}
    if name in neurosim.TABLE:
        return neurosim.from_table(name).spread
    if name in aihwkit.PRESETS:
        return aihwkit.from_preset(name).spread
    return {}


def example_of(name: str) -> tuple[str, ...]:
    """Beginnings of the parameter paths of a TOML file whose values nobody measured; none of a registered name."""
    given = table.read_table(Path(name)).get(table.EXAMPLE, "") if name.endswith(".toml") else ""
    if not isinstance(given, str):
        raise InputError(f"{name}: {table.EXAMPLE} is {given!r}; a text of parameter paths is needed.")
    return tuple(given.split())


def _spread(value: Any, where: str) -> AbstractSpread:
    if isinstance(value, Mapping):
        return table.build(AbstractSpread, value, where)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise InputError(f"{where} is {value!r}; a relative s.d. from 0 on, or a table with a type, is needed.")
    return Relative(float(value))


def chip_of(name: str, shape: tuple[int, ...], *, key: PRNGKeyArray) -> Any:
    """`shape` devices of a registered name or TOML file as one chip has them: with their device-to-device spread.

    InputError for an unknown name, and as in `fabricate`.
    """
    return fabricate(find(name), spread_of(name), shape=shape, key=key)
