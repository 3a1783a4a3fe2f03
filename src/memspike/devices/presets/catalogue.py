"""All parameter sets of devices, by name: importing this fills the registry."""

from typing import Any

from jaxtyping import PRNGKeyArray

from memspike.devices.presets import aihwkit, neurosim
from memspike.devices.presets import published as published
from memspike.devices.variation.fabricate import AbstractSpread, fabricate
from memspike.parts.registry import DEVICES


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
