"""How the nodes of a netlist hang together: which voltages are unknown, and what the capacitors say of the others.

A voltage source leaves one unknown for all nodes that it ties together, so that no current of a source has to be
found: the equations are one sum of currents for every group of nodes.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, cast

from memspike.neurons.netlist.elements import (
    GROUND,
    AbstractElement,
    Capacitor,
    CurrentSource,
    Memristor,
    Nodes,
    VoltageSource,
    VoltageSwitch,
    names_of,
)
from memspike.parts.errors import InputError, unknown

LARGEST = 24


class Term(NamedTuple):
    """A voltage that is added (sign 1) or taken away (−1): of the element with that number."""

    element: int
    sign: int


class Place(NamedTuple):
    """The voltage of a node: the unknown with that number (None: the ground) and the sources from there to it."""

    unknown: int | None
    sources: tuple[Term, ...]


class Topology(NamedTuple):
    """The places of the nodes, and of those that capacitors hold the capacitors and sources from the ground to them."""

    places: tuple[tuple[str, Place], ...]
    held: tuple[tuple[str, tuple[Term, ...]], ...]
    unknowns: int

    def place(self, node: str) -> Place:
        """Where a node is."""
        return dict(self.places)["0" if node in GROUND else node]

    def path(self, nodes: Iterable[str]) -> tuple[Term, ...] | None:
        """The voltage of a node, or of a first against a second, as those of capacitors and sources; None: unknown."""
        held, found = dict(self.held), []
        for node, sign in zip(nodes, (1, -1), strict=False):
            path = held.get("0" if node in GROUND else node)
            if path is None:
                return None
            found += [term._replace(sign=term.sign * sign) for term in path]
        return tuple(found)


def _ends(element: AbstractElement) -> Nodes:
    first, second = names_of(element)[1][:2]
    return tuple("0" if node in GROUND else node for node in (first, second))  # pyright: ignore[reportReturnType]


def _reached(start: str, edges: Iterable[tuple[int, str, str]]) -> Iterator[tuple[str, tuple[Term, ...]]]:
    """The nodes that a node reaches, each with the voltages from there to it."""
    edges, open_ = list(edges), [start]
    seen: dict[str, tuple[Term, ...]] = {start: ()}
    while open_:
        node = open_.pop(0)
        yield node, seen[node]
        for k, first, second in edges:
            for here, there, sign in ((second, first, 1), (first, second, -1)):
                if here == node and there not in seen:
                    seen[there] = (*seen[node], Term(k, sign))
                    open_.append(there)


def _forest(edges: list[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    """The edges without those that close a loop of earlier ones."""
    group: dict[str, str] = {}
    found = []
    for k, first, second in edges:
        a, b = group.get(first, first), group.get(second, second)
        if a != b:
            found.append((k, first, second))
            group |= {node: a for node in (*group, first, second) if group.get(node, node) == b}
    return found


def _edges(elements: tuple[AbstractElement, ...], *kinds: type) -> list[tuple[int, str, str]]:
    return [(k, *_ends(e)) for k, e in enumerate(elements) if isinstance(e, kinds)]


def _check(elements: tuple[AbstractElement, ...]) -> list[str]:
    """The nodes in order; InputError for names that are missing or twice there, and for nodes that lead nowhere."""
    names: list[str] = []
    ends: dict[str, list[str]] = {}
    for element in elements:
        name, nodes = names_of(element)
        if not all(nodes) or not name:
            raise InputError(f"The {type(element).__name__} '{name}' needs a name and names of its nodes.")
        if name.lower() in names:
            raise InputError(f"The netlist has two elements '{name}'; every element needs a name of its own.")
        names.append(name.lower())
        for node in _ends(element):
            ends.setdefault(node, []).append(name)
        if _ends(element)[0] == _ends(element)[1]:
            raise InputError(f"Both nodes of {name} are '{nodes[0]}'; two nodes are needed.")
    if "0" not in ends:
        raise InputError("The netlist has no node 0; one node is the ground.")
    return list(ends)


def _check_ways(elements: tuple[AbstractElement, ...], nodes: list[str], inputs: str) -> None:
    """InputError for a node from which no current can flow, and for one that nothing holds at rest."""
    every = _edges(elements, AbstractElement)
    for node in nodes:
        here = [names_of(elements[k])[0] for k, *ends in every if node in ends]
        if node != "0" and len(here) < 2 and node != inputs:
            raise InputError(f"Node '{node}' is connected to {here[0]} alone; two elements are needed.")
    ways = [edge for edge in every if not isinstance(elements[edge[0]], CurrentSource)]
    conducting = [edge for edge in ways if not isinstance(elements[edge[0]], Capacitor)]
    started = any(isinstance(e, Capacitor) and e.initial is not None for e in elements)
    for edges, what in ((ways, ""), ([] if started else conducting, " at rest")):
        reached = {node for node, _ in _reached("0", edges)}
        lost = next((node for node in nodes if node not in reached), None)
        if lost is not None and (edges or not started):
            hint = "; give the capacitors initial voltages (ic=), or a resistor" if what else ""
            raise InputError(f"From node '{lost}' no current can flow to the ground{what}{hint}.")


def topology(elements: tuple[AbstractElement, ...], inputs: str, membrane: str) -> Topology:
    """The unknowns of a netlist; InputError in one sentence for a netlist that has no solution."""
    nodes = _check(elements)
    controls = [n for e in elements if isinstance(e, VoltageSwitch) for n in e.control]
    for what, node in (
        ("node for the input", inputs),
        ("node of the membrane", membrane),
        *(("node", n) for n in controls),
    ):
        if node not in nodes and node not in GROUND:
            raise unknown(f"{what} of the netlist", node, [n for n in nodes if n != "0"])
    _check_ways(elements, nodes, inputs)
    sources = _edges(elements, VoltageSource)
    places: dict[str, Place] = {}
    count = 0
    for node in ("0", *nodes):
        if node in places:
            continue
        places |= {n: Place(None if node == "0" else count, path) for n, path in _reached(node, sources)}
        count += node != "0"
    used = {term.element for place in places.values() for term in place.sources}
    loop = next((names_of(elements[k])[0] for k, *_ in sources if k not in used), None)
    if loop is not None:
        raise InputError(f"The voltage source {loop} closes a loop of voltage sources; at most one way may be left.")
    if count > LARGEST:
        raise InputError(f"The netlist has {count} unknown voltages; up to {LARGEST} are solved.")
    tied = [k for k, p, n in _edges(elements, Capacitor) if places[p].unknown == places[n].unknown]
    edges = [edge for edge in _edges(elements, Capacitor) if edge[0] not in tied]
    edges.sort(key=lambda edge: cast("Capacitor", elements[edge[0]]).initial is None)  # what is given comes first
    held = tuple(_reached("0", _forest([*sources, *edges])))
    found = Topology(tuple(places.items()), held, count)
    _check_held(elements, found, inputs, membrane)
    return found


def _check_held(elements: tuple[AbstractElement, ...], found: Topology, inputs: str, membrane: str) -> None:
    """InputError for voltages that have to be known between the steps and are not."""
    if found.path((membrane,)) is None or membrane in GROUND:
        raise InputError(f"The membrane is node '{membrane}', which no capacitor holds; put one from it to the ground.")
    if found.place(inputs).unknown is None:
        raise InputError(f"The input is node '{inputs}', which a voltage source holds; a current does nothing there.")
    for switch in (e for e in elements if isinstance(e, VoltageSwitch)):
        if found.path(switch.control) is None:
            raise InputError(
                f"The switch {switch.name} is controlled by nodes {switch.control[0]} and {switch.control[1]}, which "
                "no capacitors hold: their voltage jumps, and when it crosses the threshold cannot be found; put a "
                "capacitor there."
            )


def devices(elements: tuple[AbstractElement, ...]) -> tuple[Memristor, ...]:
    """The devices in order."""
    return tuple(e for e in elements if isinstance(e, Memristor))
