"""What a file of models holds: `.model` and `.subckt` cards of SPICE, modules of Verilog-A, with their parameters."""

import ast
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from memspike.neurons.netlist.lines import joined_lines, text_of
from memspike.neurons.netlist.numbers import number
from memspike.parts.errors import InputError

_OPERATIONS: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
# of Verilog-A, other than those of SPICE: M is 1e6, and small and large letters differ
VERILOG_SUFFIXES = {"T": 12, "G": 9, "M": 6, "K": 3, "k": 3, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18}


@dataclass(frozen=True)
class Given:
    """One parameter of a card: its value, and whether the card says so itself or only as a default for its users."""

    value: float
    where: str


@dataclass
class Card:
    """A model of a file: `kind` is .model, .subckt or module, `type` what a .model is of; `body` in small letters."""

    kind: str
    name: str
    where: str
    type: str = ""
    body: str = ""
    parameters: dict[str, Given] = field(default_factory=dict)

    def add(self, name: str, value: float, where: str) -> None:
        """A parameter; InputError where it is there already."""
        if name in self.parameters:
            raise InputError(f"The parameter '{name}' of {self.name} is given again in {where}.")
        self.parameters[name] = Given(value, where)


def read_cards(path: Path) -> list[Card]:
    """All cards of a file; InputError for a file without any, and for values that are no numbers."""
    text = text_of(path, "file of models")
    verilog = re.search(r"^\s*module\s+\w+", text, re.M) is not None
    found = _modules(text, path.name) if verilog else _spice(text, path.name)
    if not found:
        raise InputError(f"{path} has no .model and no .subckt card and no module of Verilog-A.")
    return found


def _spice(text: str, name: str) -> list[Card]:
    found: list[Card] = []
    inside: Card | None = None
    for count, line in joined_lines(text, name):
        where = f"line {count} of {name}"
        first = line.split()[0]
        if first in (".subckt", ".model") and len(line.split()) < 3:
            raise InputError(f"{first} in {where} names nothing.")
        if first == ".subckt":
            inside = Card(".subckt", line.split()[1], where)
            found.append(inside)
            _values(inside, line, where, evaluated=True)
        elif first == ".ends":
            inside = None
        elif first == ".model" and inside is None:
            card = Card(".model", line.split()[1], where, re.split(r"[\s(]", line.split(None, 2)[2])[0])
            _values(card, line, where, evaluated=False)
            found.append(card)
        elif inside is None and first.startswith("x") and "=" in line:
            raise InputError(
                f"{first} in {where} gives parameters of its own to a subcircuit; write them onto its .subckt card."
            )
        elif inside is not None:
            if first in (".param", ".params"):
                _values(inside, line, where, evaluated=True)
            else:
                inside.body += f"{line}\n"
    return found


def _values(card: Card, line: str, where: str, *, evaluated: bool) -> None:
    """name=value of a line."""
    line = re.sub(r"\s*=\s*", "=", line.replace("(", " ").replace(")", " ").replace(",", " "))
    for word in line.split()[1:]:
        name, equal, value = word.partition("=")
        if equal:
            inner = re.fullmatch(r"[{'](.*)[}']", value)
            said = f"The parameter '{name}' in {where}"
            card.add(name, number(inner[1] if inner else value, said, evaluated=evaluated or inner is not None), where)


def _modules(text: str, name: str) -> list[Card]:
    plain = re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), text, flags=re.S)
    plain = re.sub(r"//[^\n]*", "", plain)
    found = []
    for module in re.finditer(r"^\s*module\s+(\w+)(.*?)^\s*endmodule", plain, re.M | re.S):
        line = plain[: module.start(1)].count("\n") + 1
        card = Card("module", module[1].lower(), f"line {line} of {name}", body=module[2].lower())
        for one in re.finditer(r"\bparameter\s+(?:real|integer)?\s*(\w+)\s*=\s*([^;]*);", module[2]):
            where = f"line {line + module[2][: one.start()].count(chr(10))} of {name}"
            value = re.split(r"\b(?:from|exclude)\b", one[2])[0]
            card.add(one[1].lower(), verilog_value(value, f"The parameter '{one[1]}' in {where}"), where)
        found.append(card)
    return found


def verilog_value(text: str, where: str) -> float:
    """A number or an arithmetic of numbers of Verilog-A; InputError for anything else."""

    def scaled(match: re.Match[str]) -> str:
        return f"{match[1]}e{VERILOG_SUFFIXES[match[2]]}"

    plain = re.sub(r"(?<![\w.])(\d+\.?\d*|\.\d+)([TGMKkmunpfa])\b", scaled, text.strip())
    try:
        return _computed(ast.parse(plain, mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError):
        raise InputError(f"{where} is '{text.strip()}', which is no number and no sum or product of numbers.") from None


def _computed(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return float(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        return -_computed(node.operand) if isinstance(node.op, ast.USub) else _computed(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        return _OPERATIONS[type(node.op)](_computed(node.left), _computed(node.right))
    raise ValueError
