"""What a netlist is made of: elements between named nodes, the ground being node 0."""

import dataclasses

from memspike.devices.base import AbstractStateDevice
from memspike.devices.metastable import MetastableSwitch
from memspike.devices.part import AbstractPart
from memspike.parts.param import Parameter, option, param, part

Nodes = tuple[str, str]
GROUND = ("0", "gnd")
_NAME, _NODES = "its name in the netlist", "its two nodes, the positive one first; 0 is the ground"


class AbstractElement(AbstractPart):
    """An element of a netlist; a positive current enters at its first node and leaves at its second."""


class Resistor(AbstractElement):
    """i = v/R."""

    resistance: Parameter = param(None, "Ω", "resistance", bounds=(1e-6, 1e18))
    name: str = option("R", _NAME)
    nodes: Nodes = option(("", ""), _NODES)


class Capacitor(AbstractElement):
    """i = C·dv/dt; `initial` is its voltage at the start, None: that of the circuit at rest."""

    capacitance: Parameter = param(None, "F", "capacitance", bounds=(1e-21, 1))
    name: str = option("C", _NAME)
    nodes: Nodes = option(("", ""), _NODES)
    initial: float | None = option(None, "voltage at the start", unit="V", bounds=(-1e4, 1e4))


class CurrentSource(AbstractElement):
    """A constant current that flows through the source from its first node to its second, as in SPICE."""

    current: Parameter = param(None, "A", "current", bounds=(-1e3, 1e3))
    name: str = option("I", _NAME)
    nodes: Nodes = option(("", ""), _NODES)


class VoltageSource(AbstractElement):
    """A constant voltage of the first node against the second."""

    voltage: Parameter = param(None, "V", "voltage", bounds=(-1e4, 1e4))
    name: str = option("V", _NAME)
    nodes: Nodes = option(("", ""), _NODES)


class VoltageSwitch(AbstractElement):
    """A resistor with hysteresis: R_on once the control voltage is above V_T + V_H, R_off once below V_T − V_H.

    It switches at once; the time within a step is found. `on` is how it starts.
    """

    threshold: Parameter = param(None, "V", "middle V_T of the two switching voltages", bounds=(-1e4, 1e4))
    hysteresis: Parameter = param(None, "V", "half their distance, V_H", bounds=(0, 1e4))
    r_on: Parameter = param(None, "Ω", "resistance when on", bounds=(1e-6, 1e18))
    r_off: Parameter = param(None, "Ω", "resistance when off", bounds=(1e-6, 1e18))
    name: str = option("S", _NAME)
    nodes: Nodes = option(("", ""), _NODES)
    control: Nodes = option(("", ""), "the two nodes whose voltage switches it")
    on: bool = option(False, "whether it starts on")


class Memristor(AbstractElement):
    """Any state device of the library; its positive voltage is that of the first node against the second."""

    device: AbstractStateDevice = part(MetastableSwitch, "the device")
    name: str = option("X", _NAME)
    nodes: Nodes = option(("", ""), _NODES)


def names_of(element: AbstractElement) -> tuple[str, tuple[str, ...]]:
    """The name of an element and all nodes that it names, those of a control last."""
    found = {field.name: getattr(element, field.name) for field in dataclasses.fields(element)}
    return found["name"], (*found["nodes"], *found.get("control", ()))
