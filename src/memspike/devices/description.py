"""A device by its name, or as a text file: `device.toml` names the model of every part and its parameters."""

from pathlib import Path
from typing import Any

import tomli_w
from jaxtyping import PRNGKeyArray

from memspike.devices.base import AbstractDevice
from memspike.devices.presets import aihwkit, neurosim
from memspike.devices.step import SoftBounds
from memspike.devices.variation.fabricate import AbstractSpread, fabricate
from memspike.parts import table, written
from memspike.parts.atomic import write_text
from memspike.parts.errors import InputError
from memspike.parts.registry import DEVICES

table.FORMS[SoftBounds] = (
    (SoftBounds.from_labels, {"nl_up": "curvature_up", "nl_down": "curvature_down"}),
    (SoftBounds.from_rates, {"alpha_up": "curvature_up", "alpha_down": "curvature_down"}),
)


def write(device: AbstractDevice, path: Path) -> None:
    """Write a device to a TOML file, whole or not at all."""
    write_text(path, tomli_w.dumps(written.plain(device)))


def read(path: Path) -> AbstractDevice:
    """The device in a TOML file; InputError for unknown models, keys and values out of bounds, or if there is none.

    Numbers may be texts with a unit ("10 uS"); keys that are left out keep the model's default. `soft-bounds` may
    be given by labels (`nl_up`, `nl_down`) or rates per pulse (`alpha_up`, `alpha_down`) instead of curvatures.
    """
    entries = table.read_table(path)
    if not any(key in entries for key in table.TYPE):
        raise InputError(f'{path.name} names no model; give it as type = "soft-bounds", for example.')
    return table.build(AbstractDevice, entries, path.name)


def find(name: str) -> AbstractDevice:
    """The device of a registered name, or of a TOML file given by its path."""
    return read(Path(name)) if name.endswith(".toml") else table.build(AbstractDevice, name, "device")


def spread_of(name: str) -> dict[str, AbstractSpread]:
    """The published device-to-device spread of a preset, by parameter path; empty where none is known."""
    if name in neurosim.TABLE:
        return neurosim.from_table(name).spread
    if name in aihwkit.PRESETS:
        return aihwkit.from_preset(name).spread
    return {}


def chip_of(name: str, shape: tuple[int, ...], *, key: PRNGKeyArray) -> Any:
    """`shape` devices of a registered name as one chip has them: with its published device-to-device spread."""
    return fabricate(DEVICES.get(name).value(), spread_of(name), shape=shape, key=key)
