"""Names at the edge (command line, TOML) → objects; the only place where a string chooses code."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from memspike.parts.errors import InputError, unknown


class Entry(NamedTuple):
    """A registered object: its name, the thing itself, one sentence and where it comes from."""

    name: str
    value: Any
    doc: str
    source: str


class Registry:
    """All the objects of one kind ("device", "neuron", …) by name."""

    def __init__(self, kind: str):
        self.kind = kind
        self._entries: dict[str, Entry] = {}

    def add(self, name: str, value: Any, doc: str, source: str = "") -> Any:
        """Register `value` (a constructor or a function) under a new name and return it."""
        if name in self._entries:
            raise InputError(f"The {self.kind} '{name}' is registered twice.")
        self._entries[name] = Entry(name, value, doc, source)
        return value

    def register(self, name: str, doc: str, source: str = "") -> Callable[[Any], Any]:
        """Decorator form of `add`."""
        return lambda value: self.add(name, value, doc, source)

    def get(self, name: str) -> Entry:
        """The entry of that name; InputError with the nearest spelling if there is none."""
        if name not in self._entries:
            raise unknown(self.kind, name, self._entries)
        return self._entries[name]

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())


DEVICES = Registry("device")
NEURONS = Registry("neuron")
SURROGATES = Registry("surrogate")
FILTERS = Registry("synaptic filter")
INTEGRATORS = Registry("integrator")
SYNAPSES = Registry("synapse")
COMPENSATIONS = Registry("compensation")
PROGRAMMERS = Registry("programmer")
RULES = Registry("rule")
SCHEMES = Registry("scheme")
LOSSES = Registry("loss")
DATASETS = Registry("data set")
EXPERIMENTS = Registry("experiment")

REGISTRIES = {
    "devices": DEVICES,
    "neurons": NEURONS,
    "surrogates": SURROGATES,
    "filters": FILTERS,
    "integrators": INTEGRATORS,
    "synapses": SYNAPSES,
    "programmers": PROGRAMMERS,
    "compensations": COMPENSATIONS,
    "rules": RULES,
    "schemes": SCHEMES,
    "losses": LOSSES,
    "datasets": DATASETS,
    "experiments": EXPERIMENTS,
}
