"""A feed-forward network and one input as one deck: drivers, crossbars, synaptic filters, neurons, buffers."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from memspike.arrays.rows import StaticRows
from memspike.interop.spice.bench import pwl
from memspike.interop.spice.crossbars import DEVICES, REDUCED, Matrix, check_crossbar, devices, reduced, wired_devices
from memspike.interop.spice.expressions import number
from memspike.interop.spice.simulator import control
from memspike.interop.spice.subcircuits import NeuronCircuit, folded, helper_lines, neuron_circuit, reused
from memspike.networks.connections import Dense
from memspike.networks.feedforward import Feedforward
from memspike.networks.layers import Layer
from memspike.networks.simulate import Events
from memspike.neurons.base import AbstractNeuron
from memspike.neurons.filters import AlphaFilter, ExponentialFilter
from memspike.neurons.mif import MIF, frozen_memristors
from memspike.parts.errors import InputError, unknown

# the edges of a row pulse over its length, and of a held voltage over its step
EDGE = 1e-3


# times in s and voltages in V, single precision or plain
Changes = list[tuple[float, Any]]


class Setting(NamedTuple):
    """What is exported and how: layers by number from 1, largest step and duration in s, form of crossbars."""

    layers: tuple[int, ...]
    step: float
    duration: float
    crossbars: str = REDUCED


class Deck(NamedTuple):
    """A deck as text, how many devices with wires are in it, and what is simplified, a sentence each."""

    text: str
    wired: int
    simplified: tuple[str, ...]


def chosen_layers(network: Feedforward, given: list[int] | None) -> tuple[int, ...]:
    """Numbers of neighbouring layers, from 1 on; all where none are given. InputError for others."""
    count = len(network.layers)
    layers = tuple(sorted(set(given or range(1, count + 1))))
    if layers[0] < 1 or layers[-1] > count or layers != tuple(range(layers[0], layers[-1] + 1)):
        raise InputError(
            f"--layers are {', '.join(map(str, layers))}; allowed: neighbouring layers out of 1 to {count}."
        )
    return layers


def check_network(network: Any, crossbars: str = REDUCED) -> None:
    """InputError, naming the part, for a network of which there is no netlist."""
    if crossbars not in (REDUCED, DEVICES):
        raise unknown("form of crossbars", crossbars, (REDUCED, DEVICES))
    if not isinstance(network, Feedforward):
        raise InputError(f"The network is a {type(network).__name__}; netlists are of feed-forward networks alone.")
    for k, layer in enumerate(network.layers):
        name = f"layer {k + 1}"
        if not isinstance(layer.connection, Dense):
            raise InputError(f"The connection of {name} is a {type(layer.connection).__name__}; netlists need dense.")
        if layer.recurrent is not None:
            raise InputError(f"{name.capitalize()} is recurrent; netlists are of layers in a row.")
        if network.sources(k) != (k - 1,):
            raise InputError(f"The sources of {name} are not the layer before it alone; netlists need that.")
        if not isinstance(layer.rows, StaticRows):
            raise InputError(
                f"The reading of {name} is a {type(layer.rows).__name__}; netlists have devices that do not move."
            )
        if not isinstance(layer.neuron, AbstractNeuron):
            raise InputError(
                f"The neurons of {name} are {type(layer.neuron).__name__}s, which are not circuits; mif neurons are."
            )
        if isinstance(layer.neuron, MIF) and layer.neuron.integrator is frozen_memristors:
            raise InputError(f"The memristors of {name} are frozen; those of a circuit move.")
        if not isinstance(layer.filter, AlphaFilter | ExponentialFilter):
            raise InputError(f"The filter of {name} is a {type(layer.filter).__name__}, which has no netlist.")
        check_crossbar(layer.crossbar, f"the crossbar of {name}")


def stairs(changes: Changes, edge: float) -> tuple[list[float], list[Any]]:
    """Corners of a voltage that changes to new values at ascending times in s, within `edge` seconds each, from 0 V."""
    times, volts = [0.0], [0.0]
    for t, v in changes:
        if v == volts[-1]:
            continue
        if t > times[-1]:
            times.append(t)
            volts.append(volts[-1])
        times.append(t + edge)
        volts.append(v)
    return times, volts


def input_changes(inputs: Events | np.ndarray, row: int, dt: float) -> tuple[Changes, float]:
    """When the voltage of one row changes and to what, and how long a change takes."""
    if isinstance(inputs, Events):
        changes = []
        for t, v in zip(inputs.times, np.asarray(inputs.v[:, row]), strict=True):
            changes += [(t, v), (t + inputs.width, 0.0)]
        return sorted(changes, key=lambda change: change[0]), EDGE * inputs.width
    held = np.asarray(inputs[:, row], float)
    return [(k * dt, float(v)) for k, v in enumerate(held)], EDGE * dt


def _merged(changes: Changes, edge: float) -> Changes:
    """Of changes closer than an edge the last one: pulses that follow each other without a pause."""
    found: Changes = []
    for t, v in changes:
        if found and t - found[-1][0] < 2 * edge:
            found[-1] = (found[-1][0], v)
        else:
            found.append((t, v))
    return found


class Rows(NamedTuple):
    """The cards that hold the rows of a crossbar, and its nodes; None is a row that stays at 0 V."""

    cards: list[str]
    nodes: list[str | None]


def input_rows(tag: str, inputs: Events | Float[np.ndarray, "steps rows"], duration: float) -> Rows:
    """A driver for every row whose voltage is not always 0 in a trial of `duration` s."""
    shape = inputs.v.shape if isinstance(inputs, Events) else inputs.shape
    cards, nodes = [], []
    for row in range(shape[-1]):
        changes, edge = input_changes(inputs, row, duration / shape[0])
        times, volts = stairs(_merged(changes, edge), edge)
        if not any(volts):
            nodes.append(None)
            continue
        nodes.append(f"r_{tag}_{row}")
        cards += pwl(f"Vr_{tag}_{row} {nodes[-1]} 0", times, volts)
    return Rows(cards, nodes)


def _with_bias(tag: str, rows: Rows, level: float) -> Rows:
    """The rows and a bias row behind them, which is held at `level` V."""
    node = f"r_{tag}_bias"
    return Rows([*rows.cards, f"V{node} {node} 0 {number(level)}"], [*rows.nodes, node])


def _buffers(tag: str, before: Layer) -> Rows:
    """Behind every neuron of the layer before a buffer of its membrane above rest."""
    columns = before.shape[1]
    rest = np.broadcast_to(np.asarray(before.neuron.rest(), float), (columns,))
    each = np.ptp(rest) > 0
    names = [f"rest_{tag}_{j}" if each else f"rest_{tag}" for j in range(columns)]
    levels = dict(zip(names, rest, strict=True))
    cards = [f"V{name} {name} 0 {number(v)}" for name, v in levels.items()]
    nodes: list[str | None] = [f"r_{tag}_{j}" for j in range(columns)]
    last = int(tag) - 1
    cards += [
        f"E{node} {node} 0 m_{last}_{j} {name} 1" for j, (node, name) in enumerate(zip(nodes, names, strict=True))
    ]
    return Rows(cards, nodes)


def filter_lines(layer: Layer, tag: str, pulsed: bool) -> list[str]:
    """The subcircuit of the synaptic filter: column current into i, filtered current out of o; b for a look at it.

    A resistor of 1/unit Ω makes voltages of currents, so that a weight of 1 gives the row voltage.
    """
    unit = np.float32(1) / np.asarray(layer.crossbar.cell.unit(), np.float32)
    tau = np.ravel(layer.filter.tau)[0]
    gain = np.ravel(layer.input_gain)[0] if pulsed else 1
    two = isinstance(layer.filter, AlphaFilter)
    stages = [("a", "i", "{p_gain/p_unit}"), *([("b", "a", "{1/p_unit}")] if two else [])]
    lines = [
        f"* synaptic filter of layer {tag}: first-order stages of p_tau s and unit gain ({len(stages)}), behind p_gain",
        f".subckt filter_{tag} i o b params: p_unit={number(unit)} p_tau={number(tau)} p_gain={number(gain)}",
        "Ri i 0 {p_unit}",
    ]
    for node, source, slope in stages:
        own = node if node != stages[-1][0] else "b"
        lines += [
            f"G{node} 0 {own} {source} 0 {slope}",
            f"R{node} {own} 0 {{p_unit}}",
            f"C{node} {own} 0 {{p_tau/p_unit}}",
        ]
    return [*lines, "Go 0 o b 0 {1/p_unit}", f".ends filter_{tag}"]


def _neurons(tag: str, columns: int, circuit: NeuronCircuit) -> list[str]:
    """The instances of a layer, each with a filter before it, and where they begin."""
    outer, lines, starts = circuit.outer, [], []
    for j in range(columns):
        ports = [f"{port}_{tag}_{j}" for port in outer.ports]
        lines.append(f"Xf_{tag}_{j} i_{tag}_{j} m_{tag}_{j} b_{tag}_{j} filter_{tag}")
        lines.append(f"Xn_{tag}_{j} m_{tag}_{j} {' '.join(ports)} {outer.name}{outer.own(j)}")
        for node, value in circuit.start.items():
            at = np.asarray(value)
            starts.append(f"V({node}_{tag}_{j})={number(at.ravel()[j if at.size > 1 else 0])}")
    return [*lines, *folded(".ic " + " ".join(starts))]


def vectors(network: Feedforward, layers: tuple[int, ...]) -> dict[int, list[list[str]]]:
    """Of every exported layer the vectors of membranes, of every state, and of filtered currents times 1/unit."""
    found: dict[int, list[list[str]]] = {}
    for k in layers:
        layer = network.layers[k - 1]
        ports = neuron_circuit(layer.neuron, f"neuron_{k}").outer.ports
        found[k] = [[f"v({node}_{k}_{j})" for j in range(layer.shape[1])] for node in ("m", *ports, "b")]
    return found


def network_deck(
    network: Feedforward,
    lines: tuple[Any, ...],
    inputs: Events | Float[np.ndarray, "steps rows"],
    setting: Setting,
    header: list[str],
    window: tuple[float, float],
) -> Deck:
    """One deck of the chosen layers under one input; `lines` are the conductances of every crossbar.

    `inputs` drive the first of the layers: the input of the network, or what the layer before it sends. `header` are
    lines about the run; `window` is when outputs are read, in s.
    """
    parts, cards = [], []
    matrices: list[Matrix] = []
    for k in setting.layers:
        layer, tag = network.layers[k - 1], str(k)
        first, before = k == setting.layers[0], network.layers[k - 2]
        rows = input_rows(tag, inputs, setting.duration) if first else _buffers(tag, before)
        rows = rows if layer.bias is None else _with_bias(tag, rows, layer.bias)
        matrix = Matrix(tag, layer.crossbar, np.asarray(lines[k - 1], float), rows.nodes)
        matrices.append(matrix)
        circuit = neuron_circuit(layer.neuron, f"neuron_{k}")
        circuit, new = reused(circuit, parts)
        parts += new
        cards.append(f"\n* layer {k}: {matrix.lines.shape[1]} rows, {layer.shape[1]} neurons")
        cards += filter_lines(layer, tag, first and isinstance(inputs, Events))
        cards += _neurons(tag, layer.shape[1], circuit)
        cards += [f"* rows of layer {k}", *rows.cards, f"* crossbar of layer {k}, in S", *_array(matrix, setting)]
    simplified = _simplified(setting, matrices, isinstance(inputs, Events))
    texts = [text for part in parts for text in part.texts]
    top = [f"* {line}" for line in [*header, *(f"simplified: {one}" for one in simplified)]]
    body = [*top, "\n* functions of device laws", *helper_lines(texts)]
    for part in parts:
        body += ["", *part.lines]
    save = [name for group in vectors(network, setting.layers).values() for kind in group for name in kind]
    body += [*cards, "", *_analysis(network, setting, window), *control(save), ".end", ""]
    count = wired_devices(matrices) if setting.crossbars == DEVICES else 0
    return Deck("\n".join(body), count, tuple(simplified))


def _array(matrix: Matrix, setting: Setting) -> list[str]:
    return reduced(matrix) if setting.crossbars == REDUCED else devices(matrix)


def _analysis(network: Feedforward, setting: Setting, window: tuple[float, float]) -> list[str]:
    """Options, the transient, and of every neuron of the last layer its peak and its mean while it is read."""
    step, last = number(setting.step), setting.layers[-1]
    lines = [".options reltol=1e-5 method=trap", f".tran {step} {number(setting.duration)} 0 {step} uic"]
    begin, end = (number(t) for t in window)
    for j in range(network.layers[last - 1].shape[1]):
        lines.append(f".meas tran peak_{j} MAX v(m_{last}_{j})")
        lines.append(f".meas tran mean_{j} AVG v(m_{last}_{j}) from={begin} to={end}")
    return lines


def _simplified(setting: Setting, matrices: list[Matrix], pulsed: bool) -> list[str]:
    """What the deck leaves out, one sentence each."""
    found = ["devices of crossbars keep their programmed conductance: no read noise, no drift, no motion"]
    found.append("buffers between layers and columns are ideal; the gain of a filter is a controlled source")
    if setting.crossbars == REDUCED:
        found.append("crossbars are their exact linear transfer, wires included, one source a weight")
    silent = sum(node is None for node in matrices[0].rows)
    if silent:
        found.append(f"{silent} rows of layer {setting.layers[0]} stay at 0 V in this sample and have no driver")
    if setting.layers[0] > 1:
        found.append(f"layer {setting.layers[0]} is driven by what the library says of the layer before it")
    if pulsed:
        found.append(f"edges of row pulses take {EDGE:g} of their length")
    return found
