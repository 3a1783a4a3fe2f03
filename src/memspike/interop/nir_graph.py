"""The graph of a NIR file as populations of neurons and the chains of linear nodes between them, by its edges alone."""

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any, NamedTuple

from memspike.interop.nir_neurons import NEURONS, NO_NODE, kind
from memspike.parts.errors import InputError

INPUT = ""
LINEAR = ("Linear", "Affine", "Conv1d", "Conv2d", "Scale", "Flatten", "AvgPool2d", "SumPool2d")
Nodes = dict[str, Any]
Edges = list[tuple[str, str]]


class Chain(NamedTuple):
    """Linear nodes on a way from the neurons called `source`, `INPUT` for the input, in the order of signals."""

    source: str
    nodes: tuple[tuple[str, Any], ...]


class Population(NamedTuple):
    """Neurons, None where a chain is read as it is, and all chains that end in them."""

    name: str
    node: Any
    chains: tuple[Chain, ...]


class Wiring(NamedTuple):
    """The node of the input and its name, and populations in the order of signals; the last one is the output."""

    name: str
    input: Any
    populations: tuple[Population, ...]


def _flat(graph: Any, prefix: str = "") -> tuple[Nodes, Edges, set[str]]:
    """All nodes of a graph and of those inside it, their edges, and the names of inner inputs and outputs."""
    nodes: Nodes = {}
    edges, ends = [], set()
    for name, node in graph.nodes.items():
        full = f"{prefix}{name}"
        if kind(node) == "NIRGraph":
            inner, more, own = _flat(node, f"{full}.")
            for which, side in (("Input", 0), ("Output", 1)):
                found = [f"{full}.{n}" for n, one in node.nodes.items() if kind(one) == which]
                if len(found) != 1:
                    raise InputError(
                        f"The graph {full} inside of the graph has {len(found)} {which} nodes; 1 is needed."
                    )
                more.append(((full, found[0]), (found[0], f"{full}\0"))[side])
                own.add(found[0])
            nodes |= inner | {full: None, f"{full}\0": None}
            edges += more
            ends |= own | {full, f"{full}\0"}
        else:
            nodes[full] = node
    for source, target in graph.edges:
        source = f"{prefix}{source}"
        edges.append((f"{source}\0" if f"{source}\0" in nodes else source, f"{prefix}{target}"))
    return nodes, edges, ends


def _contracted(nodes: Nodes, edges: Edges, gone: Iterable[str]) -> Edges:
    """Edges without nodes that only hand on what they get."""
    for name in gone:
        into = [a for a, b in edges if b == name]
        out = [b for a, b in edges if a == name]
        edges = [e for e in edges if name not in e] + [(a, b) for a in into for b in out]
    return edges


def _known(nodes: Nodes) -> None:
    for name, node in nodes.items():
        if kind(node) in NO_NODE:
            raise InputError(f"The node {name} is a {kind(node)}: {NO_NODE[kind(node)]}.")
        if kind(node) not in (*NEURONS, *LINEAR, "Input", "Output"):
            allowed = ", ".join((*NEURONS, *LINEAR))
            raise InputError(f"The node {name} is a {kind(node)}, which memspike does not know; allowed: {allowed}.")


def _the_one(nodes: Nodes, what: str) -> str:
    found = [name for name, node in nodes.items() if kind(node) == what]
    if len(found) != 1:
        raise InputError(
            f"The graph has {len(found)} {what} nodes ({', '.join(sorted(found)) or 'none'}); 1 is needed."
        )
    return found[0]


def _chain(start: str, before: Mapping[str, list[str]], nodes: Nodes) -> Chain:
    """The linear nodes from `start` back to what drives them."""
    found: list[tuple[str, Any]] = []
    name = start
    while kind(nodes[name]) in LINEAR:
        if name in dict(found):
            raise InputError(f"The linear node {name} drives itself; only neurons can close a loop.")
        found.insert(0, (name, nodes[name]))
        if len(before[name]) != 1:
            raise InputError(
                f"The linear node {name} is driven by {len(before[name])} nodes; 1 is needed, for signals are added "
                "in neurons."
            )
        name = before[name][0]
    return Chain(INPUT if kind(nodes[name]) == "Input" else name, tuple(found))


def wiring(graph: Any) -> Wiring:
    """What is connected with what. InputError for nodes and connections that networks of memspike do not have."""
    nodes, edges, ends = _flat(graph)
    edges = _contracted(nodes, edges, ends)
    nodes = {name: node for name, node in nodes.items() if name not in ends}
    for edge in edges:
        for name in edge:
            if name not in nodes:
                raise InputError(f"An edge names the node {name}, which the graph does not have.")
    _known(nodes)
    first, last = _the_one(nodes, "Input"), _the_one(nodes, "Output")
    before: dict[str, list[str]] = {name: [] for name in nodes}
    for a, b in sorted(set(edges)):
        before[b].append(a)
    if len(before[last]) != 1:
        raise InputError(f"The output is driven by {len(before[last])} nodes; 1 is needed.")
    found = {
        name: Population(name, node, tuple(_chain(one, before, nodes) for one in before[name]))
        for name, node in nodes.items()
        if kind(node) in NEURONS
    }
    (end,) = before[last]
    if end not in found:
        found[last] = Population(last, None, (_chain(end, before, nodes),))
        end = last
    return Wiring(first, nodes[first], _ordered(found, end))


def _ordered(found: dict[str, Population], end: str) -> tuple[Population, ...]:
    """Populations after those that drive them, the one of the output last."""
    needs = {name: {c.source for c in one.chains} - {name, INPUT} for name, one in found.items()}
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        raise InputError(
            f"The neurons {', '.join(sorted(set(error.args[1])))} drive each other in a loop; a layer of memspike can "
            "be driven by itself and by layers before it."
        ) from None
    for name in order:
        if not found[name].chains:
            raise InputError(f"Nothing drives the neurons {name}.")
        if name != end and all(
            name not in {c.source for c in one.chains} for other, one in found.items() if other != name
        ):
            raise InputError(f"The neurons {name} drive nothing and are not the output; leave them out.")
    return (*(found[name] for name in order if name != end), found[end])
