"""Shapes in the reference as the source has them: an extension of griffe, which takes them for forward references.

Without it `Float[Array, "steps *batch"]` would be shown as `Float[Array, steps * batch]`. mkdocs.yml names this file.
"""

import re
from collections.abc import Iterator
from typing import Any

import griffe

KINDS = {"Float", "Int", "Integer", "Num", "Bool", "Real", "Inexact", "Complex", "UInt", "UInt8", "UInt32", "Shaped"}


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


class Shapes(griffe.Extension):
    """Restores the shapes of arguments, results and fields."""

    def on_function_instance(self, *, func: griffe.Function, **_: Any) -> None:
        """The arguments and the result of a function."""
        for parameter in func.parameters:
            restore(parameter.annotation)
        restore(func.returns)

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """A field, a constant, or a short name for a shape."""
        restore(attr.annotation)
        restore(attr.value)
