"""What a published data set is to the cache: where it comes from, how its files are read, what they must hash to."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from memspike.parts.errors import InputError

Arrays = dict[str, np.ndarray]
Report = Callable[[str], object]


@dataclass(frozen=True)
class Source(ABC):
    """A published data set of the cache, kept there as the arrays `roles`; every array has a SHA-256 `sha256`.

    One subclass a kind of files. All methods raise InputError in one sentence for files that are not the published
    ones, and OSError if the network fails.
    """

    name: str
    doc: str
    licence: str
    mirrors: tuple[str, ...]
    sha256: dict[str, str]

    @property
    def roles(self) -> tuple[str, ...]:
        """Names of the arrays."""
        return tuple(self.sha256)

    @abstractmethod
    def read(self, path: Path) -> Arrays:
        """The arrays from files that the user has."""

    @abstractmethod
    def download(self, mirror: str, report: Report) -> Arrays:
        """The arrays from one of the mirrors."""

    @abstractmethod
    def check(self, arrays: Arrays, origin: str) -> None:
        """InputError unless shapes and types are those of the published arrays."""

    def verify(self, arrays: Arrays, origin: str) -> None:
        """InputError unless the arrays are exactly the published ones."""
        self.check(arrays, origin)
        for role in self.roles:
            digest = hashlib.sha256(arrays[role].tobytes()).hexdigest()
            if digest != self.sha256[role]:
                raise InputError(
                    f"{origin}: {role} is not that of {self.name} (SHA-256 {digest[:12]}…, expected "
                    f"{self.sha256[role][:12]}…)."
                )
