"""Devices and neurons as subcircuits: a behavioural source for the current, a capacitor and a source for each state."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from memspike.interop.spice.expressions import HELPERS, NGSPICE, names_of, number, translated, used_helpers
from memspike.interop.spice.laws import Law, State, law_of, start_of, values_of
from memspike.neurons.mif import MIF
from memspike.neurons.relaxation import RelaxationOscillator
from memspike.parts.errors import InputError


class Subcircuit(NamedTuple):
    """The lines of one `.subckt`, its name, its ports behind the two terminals, and its parameters with their values.

    A parameter with several values belongs to several instances, each of which states its own.
    """

    name: str
    ports: tuple[str, ...]
    values: Mapping[str, np.ndarray]
    lines: tuple[str, ...]
    texts: tuple[str, ...] = ()

    def own(self, index: tuple[int, ...] | int) -> str:
        """What the instance with that index states: the parameters that differ from instance to instance."""
        several = {k: v for k, v in self.values.items() if np.size(v) > 1}
        return "".join(f" {k}={number(np.asarray(v)[index])}" for k, v in several.items())


def needed(law: Law, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The parameters and constants that the texts of a law use."""
    texts = [law.current, *(text for _, text in law.lets)]
    for one in law.states:
        texts += [one.drive, one.capacitor, one.scale, *(one.ends or ())]
    used = set().union(*(names_of(text) for text in texts))
    every = {**values, **{name: np.asarray(value) for name, value in law.constants}}
    return {name: value for name, value in every.items() if name in used}


def texts_of(law: Law) -> list[str]:
    """All texts of a law."""
    found = [law.current, *(text for _, text in law.lets), *(one.drive for one in law.states)]
    return [*found, "clip(z, low, high)"] if any(one.ends for one in law.states) else found


def helper_lines(texts: Iterable[str]) -> list[str]:
    """`.func` lines of the helpers that texts need."""
    lines = []
    for name in used_helpers(list(texts)):
        helper = HELPERS[name]
        body = translated(helper.text, NGSPICE, {})
        lines.append(f".func f_{name}({','.join(helper.arguments)}) {{{body}}}")
    return lines


def _arguments(law: Law) -> str:
    """What every function of a law is given: the device voltage, the states, the shared definitions."""
    return ",".join(["u", *(f"s_{one.name}" for one in law.states), *(f"q_{name}" for name in law.shared)])


def _names(law: Law, prefix: str, parameters: Iterable[str]) -> dict[str, str]:
    """What stands for every name inside of a function of a law."""
    found = {"v": "u", **{one.name: f"s_{one.name}" for one in law.states}}
    found |= {name: f"p_{name}" for name in parameters}
    found |= {name: f"{prefix}_{name}({_arguments(law)})" for name, _ in law.lets}
    return found | {name: f"q_{name}" for name in law.shared}


def _read(one: State, names: Mapping[str, str]) -> str:
    """The state in its unit, inside of its ends, from the voltage of its node."""
    found = f"V({one.name})"
    if one.ends is not None:
        low, high = (translated(end, NGSPICE, names) for end in one.ends)
        found = f"min(max({found},{low}),{high})"
    return found if one.scale == "1" else f"{found}*{translated(one.scale, NGSPICE, names)}"


def _wall(one: State, names: Mapping[str, str]) -> str:
    """What pushes a state back that has gone beyond an end."""
    if one.ends is None or not one.wall:
        return ""
    low, high = (translated(end, NGSPICE, names) for end in one.ends)
    return f"+{number(one.wall)}*(max({low}-V({one.name}),0)-max(V({one.name})-{high},0))"


def device_subcircuit(device: Any, name: str) -> Subcircuit:
    """The subcircuit `name` of a state device: terminals p and n, then a node for every state; i flows from p to n."""
    law, values = law_of(device), values_of(device)
    used = needed(law, values)
    names = _names(law, name, used)
    ports = tuple(one.name for one in law.states)
    head = " ".join(f"p_{k}={number(np.ravel(v)[0])}" for k, v in used.items())
    arguments = _arguments(law)
    given = ",".join(
        ["V(p,n)", *(_read(one, names) for one in law.states), *(f"V(q_{shared})" for shared in law.shared)]
    )
    lines = [f"* {type(device).__name__}: {_summary(device)}", f".subckt {name} p n {' '.join(ports)}"]
    lines += _folded(f"+ params: {head}")
    lines += [f".func {name}_{k}({arguments}) {{{translated(text, NGSPICE, names)}}}" for k, text in law.lets]
    lines += [f"B{shared} q_{shared} 0 V={name}_{shared}({given})" for shared in law.shared]
    lines.append(f".func {name}_current({arguments}) {{{translated(law.current, NGSPICE, names)}}}")
    lines.append(f"Bcurrent p n I={name}_current({given})")
    for one in law.states:
        lines.append(f".func {name}_d{one.name}({arguments}) {{{translated(one.drive, NGSPICE, names)}}}")
        lines.append(f"B{one.name} 0 {one.name} I={name}_d{one.name}({given}){_wall(one, names)}")
        lines.append(f"C{one.name} {one.name} 0 {{{_capacitor(law, one, names)}}}")
    lines.append(f".ends {name}")
    values = {f"p_{k}": v for k, v in used.items()}
    return Subcircuit(name, ports, values, tuple(lines), tuple(texts_of(law)))


def _capacitor(law: Law, one: State, names: Mapping[str, str]) -> str:
    """The capacitor of a state; what the law defines on the way may be in it where it is a number."""
    lets = dict(law.lets)
    text = one.capacitor
    for name in names_of(text) & set(lets):
        text = re.sub(rf"\b{name}\b", f"({lets[name]})", text)
    return translated(text, NGSPICE, names)


def _summary(device: Any) -> str:
    return (type(device).__doc__ or "").strip().splitlines()[0].rstrip(".")


def _folded(line: str, width: int = 110) -> list[str]:
    """A long line as a card and its continuations."""
    lines, now = [], ""
    for word in line.split(" "):
        if now and len(now) + len(word) > width:
            lines.append(now)
            now = "+"
        now = f"{now} {word}" if now else word
    return [*lines, now]


def folded(line: str) -> list[str]:
    """A long card in lines of a width that a person can read."""
    return _folded(line)


class NeuronCircuit(NamedTuple):
    """The subcircuits of a neuron, the outer one last, and the node voltages that it begins with.

    `start` has a name for each port of the neuron, "m" for the membrane.
    """

    parts: tuple[Subcircuit, ...]
    start: Mapping[str, np.ndarray]

    @property
    def outer(self) -> Subcircuit:
        """The subcircuit of the neuron itself."""
        return self.parts[-1]


def alike(part: Subcircuit, known: list[Subcircuit]) -> Subcircuit:
    """A known subcircuit whose lines are the same but for the name, or this one."""
    for one in known:
        if tuple(line.replace(part.name, one.name) for line in part.lines) == one.lines:
            return one._replace(values=part.values)
    return part


def reused(circuit: NeuronCircuit, known: list[Subcircuit]) -> tuple[NeuronCircuit, list[Subcircuit]]:
    """A neuron by the name of a known one that is the same, and the parts that are new."""
    outer = circuit.outer
    for one in known:
        lines = tuple(line.replace(outer.name, one.name) for line in outer.lines)
        if lines == one.lines:
            own = [tuple(line.replace(outer.name, one.name) for line in part.lines) for part in circuit.parts]
            if all(part in [other.lines for other in known] for part in own):
                return circuit._replace(parts=(one._replace(values=outer.values),)), []
    return circuit, list(circuit.parts)


def neuron_circuit(neuron: Any, name: str) -> NeuronCircuit:
    """A neuron as a subcircuit with its membrane and its states as ports; InputError for one that has none."""
    if isinstance(neuron, MIF):
        return _mif(neuron, name)
    if isinstance(neuron, RelaxationOscillator):
        return _oscillator(neuron, name)
    raise InputError(
        f"The neuron is a {type(neuron).__name__}, which has no netlist; MIF and RelaxationOscillator have one."
    )


def _outer(name: str, ports: list[str], values: dict[str, Any], body: list[str]) -> Subcircuit:
    head = " ".join(f"{k}={number(np.ravel(v)[0])}" for k, v in values.items())
    lines = [f".subckt {name} m {' '.join(ports)}", *_folded(f"+ params: {head}"), *body, f".ends {name}"]
    return Subcircuit(name, tuple(ports), values, tuple(lines))


def _inner(part: Subcircuit, tag: str) -> tuple[dict[str, Any], str]:
    """Parameters of a device that differ from neuron to neuron, as parameters of the neuron; how they are passed on."""
    several = {k: v for k, v in part.values.items() if np.size(v) > 1}
    return {f"{k}_{tag}": v for k, v in several.items()}, "".join(f" {k}={{{k}_{tag}}}" for k in several)


def _mif(neuron: MIF, name: str) -> NeuronCircuit:
    parts, ports, values, body = [], [], {"p_c": neuron.capacitance}, ["Cm m 0 {p_c}"]
    state: Any = neuron.init(np.broadcast_shapes(*(np.shape(leaf) for leaf in jax.tree.leaves(neuron))))
    start: dict[str, Any] = {"m": np.asarray(state.v, float)}
    for k, device, battery, x in ((1, neuron.m1, neuron.e1, state.x1), (2, neuron.m2, neuron.e2, state.x2)):
        part = alike(device_subcircuit(device, f"{name}_m{k}"), parts)
        own, passed = _inner(part, f"m{k}")
        nodes = [f"{port}{k}" for port in part.ports]
        values |= {f"p_e{k}v": battery, **own}
        body += [f"V{k} b{k} 0 {{p_e{k}v}}", f"X{k} m b{k} {' '.join(nodes)} {part.name}{passed}"]
        start |= dict(zip(nodes, _start(device, x), strict=True))
        parts += [] if part.name in [one.name for one in parts] else [part]
        ports += nodes
    return NeuronCircuit((*parts, _outer(name, ports, {k: np.asarray(v) for k, v in values.items()}, body)), start)


def _oscillator(neuron: RelaxationOscillator, name: str) -> NeuronCircuit:
    part = device_subcircuit(neuron.device, f"{name}_switch")
    own, passed = _inner(part, "s")
    state: Any = neuron.init()
    nodes = list(part.ports)
    body = ["Cm m 0 {p_c}", f"Xswitch m 0 {' '.join(nodes)} {part.name}{passed}"]
    values: dict[str, Any] = {"p_c": neuron.capacitance, **own}
    if np.any(np.asarray(neuron.load) != 0):
        values |= {"p_load": neuron.load, "p_supply": neuron.supply}
        body += ["Vsupply s 0 {p_supply}", "Gload s m s m {p_load}"]
    start = {"m": np.asarray(state.v, float), **dict(zip(nodes, _start(neuron.device, state.x), strict=True))}
    outer = _outer(name, nodes, {k: np.asarray(v) for k, v in values.items()}, body)
    return NeuronCircuit((part, outer), start)


def _start(device: Any, state: Any) -> tuple[np.ndarray, ...]:
    return start_of(device, state)
