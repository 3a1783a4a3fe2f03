"""A state device as a Verilog-A module, from the same law and parameters as its subcircuit."""

from typing import Any

import numpy as np

from memspike.interop.spice.expressions import HELPERS, VERILOG, translated, used_helpers
from memspike.interop.spice.laws import State, law_of, values_of
from memspike.interop.spice.subcircuits import needed, texts_of
from memspike.parts.param import own_parameters


def _function(name: str) -> list[str]:
    helper = HELPERS[name]
    given = ", ".join(helper.arguments)
    return [
        f"  analog function real f_{name};",
        f"    input {given};",
        f"    real {given};",
        f"    f_{name} = {translated(helper.text, VERILOG, {})};",
        "  endfunction",
    ]


def _state(one: State, names: dict[str, str]) -> list[str]:
    """What a state is in its unit, from the voltage of its node."""
    found = f"V({one.name})"
    if one.ends is not None:
        low, high = (translated(end, VERILOG, names) for end in one.ends)
        found = f"min(max({found}, {low}), {high})"
    scale = "" if one.scale == "1" else f"*{translated(one.scale, VERILOG, names)}"
    return [f"    s_{one.name} = {found}{scale};"]


def _motion(one: State, names: dict[str, str], lets: dict[str, str]) -> str:
    """The capacitor of a state and what drives it."""
    drive, wall = translated(one.drive, VERILOG, names), ""
    if one.ends is not None and one.wall:
        low, high = (translated(end, VERILOG, names) for end in one.ends)
        at = f"V({one.name})"
        wall = f" + {one.wall!r}*(max({low} - {at}, 0.0) - max({at} - {high}, 0.0))"
    return f"    I({one.name}) <+ ({translated(one.capacitor, VERILOG, names)})*ddt(V({one.name})) - (({drive}){wall});"


def verilog_a(device: Any) -> str:
    """The text of a module with terminals p and n and a node for every state; begin it at the states of `start_of`.

    A parameter with several values gets the first one. InputError for a device without a law.
    """
    law, values = law_of(device), values_of(device)
    used = needed(law, values)
    docs = {one.path: f"{one.doc}, {one.unit}" for one in own_parameters(device)}
    names = {name: f"p_{name}" for name in used} | {one.name: f"s_{one.name}" for one in law.states}
    names |= {name: f"q_{name}" for name, _ in law.lets}
    ports = ["p", "n", *(one.name for one in law.states)]
    lines = [
        f"// {type(device).__name__} of memspike, the same law as its subcircuit",
        f"// source: {getattr(type(device), 'source', 'memspike')}",
        '`include "disciplines.vams"',
        "",
        f"module {law.word}({', '.join(ports)});",
        "  inout p, n;",
        f"  inout {', '.join(ports[2:])}; // states: initial voltages are those of the deck",
        f"  electrical {', '.join(ports)};",
    ]
    for name, value in used.items():
        lines.append(
            f"  parameter real p_{name} = {VERILOG.number(np.ravel(value)[0])}; // {docs.get(name, 'constant')}"
        )
    lines.append(
        f"  real {', '.join(['v', *(f's_{one.name}' for one in law.states), *(f'q_{n}' for n, _ in law.lets)])};"
    )
    for helper in used_helpers(texts_of(law)):
        lines += _function(helper)
    lines += ["  analog begin", "    v = V(p, n);"]
    for one in law.states:
        lines += _state(one, names)
    lines += [f"    q_{name} = {translated(text, VERILOG, names)};" for name, text in law.lets]
    lines.append(f"    I(p, n) <+ {translated(law.current, VERILOG, names)};")
    lines += [_motion(one, names, dict(law.lets)) for one in law.states]
    return "\n".join([*lines, "  end", "endmodule", ""])
