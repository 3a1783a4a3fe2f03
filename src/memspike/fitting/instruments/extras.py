"""Packages that only some formats need: imported when such a file comes, asked for in one sentence if missing."""

from importlib import import_module
from types import ModuleType

from memspike.parts.errors import InputError


def extra(package: str, file: str) -> ModuleType:
    """The package; InputError with the command that installs it."""
    try:
        return import_module(package)
    except ImportError:
        raise InputError(f"{file} needs the package {package}: pip install 'memspike[instruments]'.") from None
