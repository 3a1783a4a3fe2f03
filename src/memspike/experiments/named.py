"""What the names in a configuration stand for, and one sentence where they do not fit."""

from typing import TypeVar

from memspike.data.base import Dataset
from memspike.data.store import load
from memspike.devices.base import AbstractPulseDevice
from memspike.devices.description import find
from memspike.experiments.config import DataConfig
from memspike.parts.errors import InputError

D = TypeVar("D", bound=AbstractPulseDevice)


def pulse_device(name: str, kind: type[D]) -> D:
    """The device of that name; InputError for one of another kind."""
    device = find(name)
    if not isinstance(device, kind):
        what = "pulse device" if kind is AbstractPulseDevice else f"{kind.__name__} device"
        raise InputError(
            f"device.device is '{name}', a {type(device).__name__}; a {what} is needed, see: memspike list devices."
        )
    return device


def data_set(wanted: DataConfig, batch: int) -> Dataset:
    """The examples that a configuration asks for; InputError where a batch does not fit into them."""
    data = load(wanted.name, wanted.leave_out).limited(wanted.train, wanted.test)
    data = data if wanted.hold_out is None else data.held_out(wanted.hold_out)
    if batch > len(data.y_train):
        raise InputError(f"learning.batch is {batch}; {data.name} has {len(data.y_train)} training examples here.")
    return data
