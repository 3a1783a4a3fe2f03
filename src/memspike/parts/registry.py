"""Names at the edge (command line, TOML) → objects; the only place where a string chooses code."""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, NamedTuple

from memspike.parts.errors import InputError, unknown
from memspike.parts.place import Place, place, reloading


class Entry(NamedTuple):
    """A registered object: its name, the thing itself, one sentence, where it comes from and where it is registered."""

    name: str
    value: Any
    doc: str
    source: str
    place: Place = Place()


class Registry:
    """All the objects of one kind ("device", "neuron", …) by name, in the order of the alphabet.

    `home` is the package whose public names bring the library's own entries with them. It is imported when the
    registry is read for the first time, so that a program starts without what it does not use; then come the parts of
    installed packages, which are asked for once whatever the registry. With `files`, the path of an existing file or
    folder stands for an entry, too.
    """

    _loading = 0

    def __init__(self, kind: str, home: str = "", *, files: bool = False):
        self.kind = kind
        self.files = files
        self._home = home
        self._entries: dict[str, Entry] = {}

    def add(self, name: str, value: Any, doc: str, source: str = "") -> Any:
        """Register `value` (a constructor or a function) under a new name and return it.

        InputError where the name is taken, unless the cell of a notebook or a module is executed once more.
        """
        here = place()
        if not here.ours:
            self.load()  # so that it is the user's line that meets a name of the library
        old = self._entries.get(name)
        if old is not None and not (old.place.module == here.module and (here.fleeting or reloading())):
            raise InputError(f"The {self.kind} '{name}' is registered twice: in {old.place} and in {here}.")
        self._entries[name] = Entry(name, value, doc, source, here)
        return value

    def register(self, name: str, doc: str, source: str = "") -> Callable[[Any], Any]:
        """Decorator form of `add`."""
        return lambda value: self.add(name, value, doc, source)

    def load(self) -> None:
        """Import the home; every part of it, and with them every subclass of its classes, is known afterwards.

        What the home itself asks of the registry while it is imported, it asks of the entries so far.
        """
        home, self._home = self._home, ""
        Registry._loading += 1
        try:
            package = import_module(home) if home else None
            for name in getattr(package, "__all__", ()):
                getattr(package, name)
        except BaseException:
            self._home = home  # the next one who asks meets the same error, not an empty registry
            raise
        finally:
            Registry._loading -= 1
        if not Registry._loading:  # what others add comes to a library that is whole
            from memspike.parts.imports import bring_installed

            bring_installed()

    def own(self) -> list[Entry]:
        """The entries so far that are not the library's."""
        return [entry for entry in self._entries.values() if not entry.place.ours]

    def forget(self, entries: list[Entry]) -> None:
        """Take entries out again."""
        for entry in entries:
            del self._entries[entry.name]

    def get(self, name: str) -> Entry:
        """The entry of that name; InputError with the nearest spelling if there is none."""
        if name not in self:
            raise unknown(self.kind, name, self._entries)
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        if name not in self._entries:
            self.load()
        return name in self._entries

    def __iter__(self) -> Iterator[Entry]:
        self.load()
        return iter([self._entries[name] for name in sorted(self._entries)])


REGISTRIES: dict[str, Registry] = {}


def _listed(kinds: str, kind: str, home: str, *, files: bool = False) -> Registry:
    """A new registry, which the command line lists under its plural."""
    return REGISTRIES.setdefault(kinds, Registry(kind, home, files=files))


DEVICES = _listed("devices", "device", "memspike.devices")
NEURONS = _listed("neurons", "neuron", "memspike.neurons")
SURROGATES = _listed("surrogates", "surrogate", "memspike.neurons")
FILTERS = _listed("filters", "synaptic filter", "memspike.neurons")
INTEGRATORS = _listed("integrators", "integrator", "memspike.neurons")
SYNAPSES = _listed("synapses", "synapse", "memspike.arrays")
PROGRAMMERS = _listed("programmers", "programmer", "memspike.arrays")
COMPENSATIONS = _listed("compensations", "compensation", "memspike.arrays")
RULES = _listed("rules", "rule", "memspike.learning")
SCHEMES = _listed("schemes", "scheme", "memspike.learning")
LOSSES = _listed("losses", "loss", "memspike.learning")
OPTIMIZERS = _listed("optimizers", "optimizer", "memspike.learning")
ENCODERS = _listed("encoders", "encoder", "memspike.data")
DATASETS = _listed("datasets", "data set", "memspike.data", files=True)
EXPERIMENTS = _listed("experiments", "experiment", "memspike.experiments")
