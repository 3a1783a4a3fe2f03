"""The reference as readers need it, an extension of griffe that mkdocs.yml names.

Shapes stand as in the source, `Float[Array, "steps *batch"]`: griffe takes them for forward references and would show
`Float[Array, steps * batch]`. A class has its fields with units, bounds and meaning, and the source of its law.
"""

import dataclasses
import importlib
import inspect
import math
import re
from collections.abc import Iterator
from typing import Any

import griffe

KINDS = {"Float", "Int", "Int16", "Integer", "Num", "Bool", "Inexact", "Complex", "UInt", "UInt8", "Shaped"}


def quoted(shape: Any) -> str:
    """A shape as text in double quotes, from an expression that was made of it or from a text in any quotes."""
    text = str(shape).strip("'\"").strip().replace(" * ", " *")
    return '"' + re.sub(r" ([-+]) ", r"\1", text) + '"'


def subscripts(expression: Any) -> Iterator[griffe.ExprSubscript]:
    """Every subscript inside an annotation, itself included."""
    if isinstance(expression, griffe.Expr):
        for part in expression.iterate(flat=False):
            if part is not expression:  # a name yields itself
                yield from subscripts(part)
    if isinstance(expression, griffe.ExprSubscript):
        yield expression


def restore(annotation: Any) -> None:
    """Put shapes back as texts, in place."""
    for found in subscripts(annotation):
        slots = found.slice
        if str(found.left).split(".")[-1] in KINDS and isinstance(slots, griffe.ExprTuple) and len(slots.elements) == 2:
            slots.elements = [slots.elements[0], quoted(slots.elements[1])]


def bound(number: float) -> str:
    """The end of a range, short."""
    return f"{number:g}" if math.isfinite(number) else "∞" if number > 0 else "−∞"


def value(default: Any) -> str:
    """What a field has if it is not given; what `part` makes is named by its class or function."""
    if default is dataclasses.MISSING:
        return "to be given"
    if callable(default):
        name = getattr(default, "__name__", "")
        return "" if "<" in name or name.startswith("_") else f"`{name}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default!r}`"


def field_rows(cls: type) -> list[str]:
    """A table of the documented fields of a class, or nothing."""
    from memspike.parts.fields import fields_of

    if not dataclasses.is_dataclass(cls):
        return []
    rows = []
    for field in fields_of(cls).values():
        if field.doc:
            unit = "" if field.unit == "1" else field.unit
            ends = " … ".join(map(bound, field.bounds)) if field.bounds else ""
            text = field.doc.replace("|", "\\|")
            rows.append(f"| `{field.name}` | {value(field.default)} | {unit} | {ends} | {text} |")
    return ["", "| field | default | unit | bounds | meaning |", "|---|---|---|---|---|", *rows] if rows else []


class Reference(griffe.Extension):
    """Restores the shapes of arguments, results and fields; adds fields and sources to the texts of classes."""

    def on_function_instance(self, *, func: griffe.Function, **_: Any) -> None:
        """The arguments and the result of a function."""
        for parameter in func.parameters:
            restore(parameter.annotation)
        restore(func.returns)

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """A field, a constant, or a short name for a shape."""
        restore(attr.annotation)
        restore(attr.value)

    def on_class_instance(self, *, cls: griffe.Class, **_: Any) -> None:
        """What the class itself knows of its fields and where its law is from."""
        found = getattr(importlib.import_module(cls.module.path), cls.name, None)
        if cls.docstring is None or not inspect.isclass(found):
            return
        rows, source = field_rows(found), vars(found).get("source")
        if rows:
            cls.docstring.value += "\n" + "\n".join(rows)
        if isinstance(source, str):
            cls.docstring.value += f"\n\nSource: {source}."
