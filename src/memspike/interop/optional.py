"""Packages of others that only a door needs: imported when it is used, asked for in one sentence where they lack."""

from importlib import import_module
from types import ModuleType

from memspike.parts.errors import InputError


def needed(package: str, install: str, what: str) -> ModuleType:
    """The package of that name; InputError with the line that installs it for `what` where it is missing."""
    try:
        return import_module(package)
    except ImportError as error:
        reason = "" if (error.name or package).split(".")[0] == package.split(".")[0] else f" ({error})"
        raise InputError(
            f"{what} needs the package {package.split('.')[0]}, which cannot be imported{reason}: "
            f"pip install {install}."
        ) from None
