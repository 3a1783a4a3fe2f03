"""How a parameter set gets its name: a decorator for the function, or the class, that makes the device."""

from collections.abc import Callable
from typing import TypeVar

from memspike.devices.base import AbstractDevice
from memspike.parts.registry import DEVICES

Make = TypeVar("Make", bound=Callable[..., AbstractDevice])


def preset(name: str, source: str, doc: str | None = None) -> Callable[[Make], Make]:
    """Register a device under `name`; without `doc`, the first line of the docstring is shown."""

    def add(make: Make) -> Make:
        said = doc or (make.__doc__ or "").strip().split("\n")[0].rstrip(".")
        return DEVICES.add(name, make, said, source)

    return add
