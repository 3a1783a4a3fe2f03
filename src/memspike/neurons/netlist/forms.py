"""How a table or a dictionary says a netlist: its elements one by one, or the file of a deck."""

from collections.abc import Mapping
from typing import Any

from memspike.neurons.netlist.deck import read_deck
from memspike.neurons.netlist.elements import AbstractElement
from memspike.neurons.netlist.neuron import Netlist
from memspike.parts.errors import InputError
from memspike.parts.registry import NEURONS
from memspike.parts.table import FORMS, build


def _of_deck(deck: str, elements: Any = None, **options: Any) -> Netlist:
    """A netlist whose circuit is in a file."""
    if elements is not None:
        raise InputError("A netlist has a deck and elements; one of them is needed.")
    return Netlist(read_deck(deck), **options)


def netlist_of(circuit: Mapping[str, Mapping[str, Any]], **options: Any) -> Netlist:
    """A neuron of a dictionary: names of elements → their tables, such as {"R1": {"type": "resistor", …}}.

    A table has the `type` resistor, capacitor, current-source, voltage-source, voltage-switch or memristor, its
    `nodes` and its values, in SI or as texts with a unit. `options` are the fields of `Netlist`: input, membrane,
    substeps, events. InputError for what a table does not know, by its name.
    """
    if not isinstance(circuit, Mapping):
        raise InputError(f"The circuit is a {type(circuit).__name__}; a dictionary of tables by names is needed.")
    elements = []
    for name, table in circuit.items():
        if not isinstance(table, Mapping):
            raise InputError(f"The element {name} is {table!r}; a table with type, nodes and values is needed.")
        elements.append(build(AbstractElement, {"name": name, **table}, f"the element {name}"))
    return Netlist(tuple(elements), **options)


FORMS[Netlist] = ((_of_deck, {"deck": "input"}),)
NEURONS.add("netlist", Netlist, "a circuit of one's own from a SPICE deck or a table; MIF by default", Netlist.source)
