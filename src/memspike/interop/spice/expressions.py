"""The small language in which device laws are written once, and its dialects: numpy, ngspice, Verilog-A.

A text is an expression of Python with names, numbers, + − * /, and the functions of `PLAIN` and `HELPERS`.
There are no powers: what ngspice makes of them depends on the sign. What is bounded is written with min and max, as
`limit` of ngspice is another function; hyperbolic sines are exponentials that are bounded. There are no conditions:
ngspice does not find functions behind them.
"""

import ast
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from memspike.parts.errors import InputError

PLAIN = ("exp", "log", "sqrt", "tanh", "sin", "min", "max", "abs")


class Helper(NamedTuple):
    """A function of the language that is made of others: its arguments, its text."""

    arguments: tuple[str, ...]
    text: str


# the same laws as in memspike.devices.numerics, and the sigmoid
HELPERS = {
    "logistic": Helper(("z",), "0.5*(1 + tanh(0.5*z))"),
    "clip": Helper(("z", "low", "high"), "min(max(z, low), high)"),
    "bounded_sinh": Helper(("z",), "0.5*(exp(clip(z, -40, 40)) - exp(clip(-z, -40, 40)))"),
    "edge": Helper(("d", "w"), "min(d/w, 1)*(2 - min(d/w, 1))"),
    "positive_part": Helper(("y", "w"), "max(y, 0)*edge(max(y, 0), w)"),
    "gate": Helper(("y", "w"), "clip(y/w, 0, 1)*clip(y/w, 0, 1)*(3 - 2*clip(y/w, 0, 1))"),
    "power": Helper(("b", "k"), "min(1e12*b, 1)*exp(k*log(max(b, 1e-12)))"),
    "magnitude": Helper(("z", "w"), "z*z/sqrt(z*z + w*w)"),
    "root_magnitude": Helper(("z", "w"), "z*z/(sqrt(z*z + w*w)*sqrt(sqrt(z*z + w*w)))"),
}
OPERATORS: dict[type, str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


class Dialect(NamedTuple):
    """How another language writes functions (`call` of a name and its written arguments) and numbers."""

    call: Callable[[str, list[str]], str]
    number: Callable[[float], str]


def number(x: Any) -> str:
    """A finite number that reads back as it is, in single precision where it is that, without a suffix."""
    value = float(str(x)) if getattr(x, "dtype", None) == np.float32 else float(x)
    if not np.isfinite(value):
        raise InputError(f"A number of a netlist is {value}; a finite one is needed.")
    return str(int(value)) if value.is_integer() and abs(value) < 1e6 else repr(value)


def _ngspice_call(name: str, arguments: list[str]) -> str:
    written = {"log": "ln"} | {helper: f"f_{helper}" for helper in HELPERS}
    return f"{written.get(name, name)}({','.join(arguments)})"


def _verilog_call(name: str, arguments: list[str]) -> str:
    written = {"log": "ln"} | {helper: f"f_{helper}" for helper in HELPERS}
    return f"{written.get(name, name)}({', '.join(arguments)})"


NGSPICE = Dialect(_ngspice_call, number)
# an integer divided by another would be rounded
VERILOG = Dialect(_verilog_call, lambda x: repr(float(number(x))))


def names_of(text: str) -> set[str]:
    """The names that a text uses, functions included."""
    return {node.id for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Name)}


def translated(text: str, dialect: Dialect, names: Mapping[str, str]) -> str:
    """A text in another dialect; `names` says what stands for a name, itself where it is not among them."""

    def write(node: ast.expr) -> str:
        match node:
            case ast.Constant(value=int() | float() as value):
                return dialect.number(float(value))
            case ast.Name(id=name):
                return names.get(name, name)
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return f"(-{write(inner)})"
            case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
                return f"({write(left)}{OPERATORS[type(op)]}{write(right)})"
            case ast.Call(func=ast.Name(id=name), args=arguments) if name in PLAIN or name in HELPERS:
                return dialect.call(name, [bare(write(one)) for one in arguments])
        raise InputError(f"'{ast.unparse(node)}' has no meaning in an expression of a device law.")

    return bare(write(ast.parse(text, mode="eval").body))


def bare(text: str) -> str:
    """A text without brackets around all of it."""
    depth = 0
    for place, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth == 0:
            return text[1:-1] if place == len(text) - 1 and text.startswith("(") else text
    return text


def used_helpers(texts: list[str]) -> list[str]:
    """The helpers that texts need, those of helpers included, each before those that use it."""
    found: list[str] = []

    def visit(text: str) -> None:
        for name in HELPERS:
            if name in names_of(text) and name not in found:
                visit(HELPERS[name].text)
                found.append(name)

    for text in texts:
        visit(text)
    return found


NUMPY: dict[str, Any] = {
    **{name: getattr(np, name) for name in ("exp", "log", "sqrt", "tanh", "sin", "abs")},
    "min": np.minimum,
    "max": np.maximum,
}


def evaluated(text: str, values: Mapping[str, Any]) -> Any:
    """What a text comes to with `values` of its names, numbers or arrays alike."""

    def find(node: ast.expr, own: Mapping[str, Any]) -> Any:
        match node:
            case ast.Constant(value=int() | float() as value):
                return float(value)
            case ast.Name(id=name):
                return own[name]
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return -find(inner, own)
            case ast.BinOp(left=left, op=op, right=right):
                a, b = find(left, own), find(right, own)
                by = {ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: np.divide}
                return by[type(op)](a, b)
            case ast.Call(func=ast.Name(id=name), args=arguments):
                given = [find(one, own) for one in arguments]
                if name in HELPERS:
                    helper = HELPERS[name]
                    inside = dict(zip(helper.arguments, given, strict=True))
                    return find(ast.parse(helper.text, mode="eval").body, inside)
                return NUMPY[name](*given)
        raise InputError(f"'{ast.unparse(node)}' has no meaning in an expression of a device law.")

    return find(ast.parse(text, mode="eval").body, values)
