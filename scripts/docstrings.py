"""What public docstrings say: python scripts/docstrings.py [--check] [--list].

For every public name of the packages and every public method of a public class, four questions:

shapes  arrays that are taken or returned have a jaxtyping shape in the signature ("..." is any shape: what is written
        for one device and broadcasts), or a shape in brackets in the text;
units   physical quantities (arguments and fields of the names below) have a unit: of `param` or `option`, or in the
        text. The class of a method counts, and what the method implements: contracts say the unit once;
errors  a docstring says InputError or RunError where its code raises one, or a function does that it calls by name;
source  what models something published (a part with a law, a registered device, neuron, rule, scheme, encoder …)
        cites it: in its text, as `source` of its class, or where it is registered.

A method is asked for what its signature has, a class for its fields. `--list` prints what is missing, `--check` also
ends with status 1 where something is missing that is not excused below.
"""

import ast
import dataclasses
import functools
import inspect
import re
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from typing import Any, NamedTuple

from memspike.devices.part import AbstractModel
from memspike.parts.registry import REGISTRIES

PACKAGES = (
    *("", "devices", "fitting", "cells", "arrays", "neurons", "networks", "learning", "data", "experiments"),
    *("report", "interop", "testing"),
)
CRITERIA = ("shapes", "units", "errors", "source")
# names of quantities, and what their unit may be called
UNITS = {
    ("v", "voltage", "voltages", "volts", "v_on", "v_off"): "m?V|volts?",
    ("i", "current", "currents"): "[nµm]?A|amperes?",
    ("g", "g_min", "g_max", "conductance", "conductances"): "[nµm]?S|siemens",
    ("resistance", "r_on", "r_off"): "[kM]?Ω|ohms?",
    ("dt", "age", "ages", "seconds", "time", "times", "duration", "tau", "period"): "[nµm]?s|seconds?",
    ("t",): "[nµm]?s|seconds?|K",
    ("width",): "[nµm]?s|seconds?|inches",
    ("energy",): "[fpnµ]?J|joules?",
    ("power",): "[pnµm]?W|watts?",
    ("charge",): "[fpn]?C|coulombs?",
    ("temperature",): "K|kelvin|°C",
}
QUANTITIES = {name: unit for names, unit in UNITS.items() for name in names}
UNITLESS = r"\b(?:dimensionless|units? of|shares? of|in SI|SI units)\b"
SHAPE = re.compile(r"\[[^\]\n]*\b[a-z_*.]+(?:, [^\]\n]*)*\]|any shape|scalar|one number|one for each|of one shape")
CITED = re.compile(
    r"doi|arXiv|et al\.|\b(?:19|20)\d\d\b|[Ee]q\. |[Ss]ection \d|aihwkit|NeuroSim|[Ss]ource:|this library"
)
TYPED = re.compile(r"\b(?:Float|Int|Int16|Integer|Num|Bool|Shaped|UInt8?|Real|Complex|Inexact|Key)\[")
BARE = re.compile(r"\b(?:Array|ndarray|ArrayLike)\b")
ERRORS = {"InputError", "RunError", "unknown"}
SOURCED = ("devices", "neurons", "filters", "rules", "schemes", "encoders", "surrogates", "integrators")

# what is missing and stays so, with the reason: (name, question)
EXCUSED: dict[tuple[str, str], str] = {}


class Item(NamedTuple):
    """A public name or a method of one: its name, the object, its class, its package."""

    name: str
    thing: Any
    owner: type | None
    package: str


def public(package: str) -> dict[str, Any]:
    """The public names of a package that are classes and functions of this library."""
    module = import_module(f"memspike.{package}" if package else "memspike")
    names = {name: getattr(module, name) for name in vars(module)["__all__"]}
    ours = lambda thing: str(getattr(thing, "__module__", "")).startswith("memspike")  # noqa: E731
    return {name: thing for name, thing in names.items() if ours(thing) and callable(thing)}


def methods(cls: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties that a class defines itself."""
    for name, thing in vars(cls).items():
        told = thing.__doc__ if isinstance(thing, property) else None
        thing = getattr(thing, "__func__", getattr(thing, "fget", thing))
        if told and not thing.__doc__:
            continue  # made by a function, with a text of its own
        if not name.startswith("_") and inspect.isfunction(thing) and thing.__module__.startswith("memspike"):
            yield name, thing


def items() -> Iterator[Item]:
    """Every public name once, in the first package that has it, and the methods of classes behind them."""
    seen: set[int] = set()
    for package in PACKAGES[1:] + PACKAGES[:1]:
        for name, thing in public(package).items():
            if id(thing) in seen or not (inspect.isfunction(thing) or inspect.isclass(thing)):
                continue
            seen.add(id(thing))
            full = f"{package}.{name}".lstrip(".")
            yield Item(full, thing, None, package or "memspike")
            if isinstance(thing, type):
                yield from (Item(f"{full}.{m}", f, thing, package) for m, f in methods(thing))


def doc(thing: Any) -> str:
    """The docstring of the thing itself, not an inherited one; that of a dataclass is not its signature."""
    text = vars(thing).get("__doc__") if isinstance(thing, type) else inspect.unwrap(thing).__doc__
    return text or ""


def text_of(item: Item) -> str:
    """All that a reader of the item has before him: its text, its class and what it implements."""
    own = doc(item.thing)
    if isinstance(item.thing, type):
        return "\n".join(
            [own, *(doc(base) for base in item.thing.__mro__[1:] if base.__module__.startswith("memspike"))]
        )
    bases = item.owner.__mro__ if item.owner else ()
    last = item.name.split(".")[-1]
    above = [b for b in bases if b.__module__.startswith("memspike")]
    texts = [doc(dict(methods(b))[last]) for b in above if last in dict(methods(b))]
    return "\n".join([own, *(doc(b) for b in above), *texts])


@functools.cache
def written(thing: Any) -> list[tuple[str, str, bool]]:
    """Name, type and whether `param` or `Annotated` says the unit, of arguments and the result, or of fields."""
    if isinstance(thing, type):
        fields = {f.name: f.metadata for f in dataclasses.fields(thing)} if dataclasses.is_dataclass(thing) else {}
        kinds = {name: kind for name, kind in inspect.get_annotations(thing).items() if not name.startswith("_")}
        return [
            (name, inspect.formatannotation(kind), "unit" in fields.get(name, {}))
            for name, kind in kinds.items()
            if "ClassVar" not in str(kind) and "AbstractVar" not in str(kind)
        ]
    signature = inspect.signature(thing)
    found = [
        (p.name, inspect.formatannotation(p.annotation), "Meta(" in str(p.annotation))
        for p in signature.parameters.values()
        if p.annotation is not p.empty
    ]
    if signature.return_annotation is not signature.empty:
        name = inspect.unwrap(thing).__name__
        found.append((name, inspect.formatannotation(signature.return_annotation), False))
    return found


def has_unit(text: str, unit: str) -> bool:
    """Whether a text has such a unit behind a number, a symbol or a word such as "in", or says that there is none."""
    before = r"(?:\b(?:in|of|or|and|per|a|to)\s+|[\[(/]|\d\s?|`[\w.]+`\s+|\bevery\s+|,\s+)"
    return bool(re.search(rf"{before}(?:{unit})(?![\w])|{UNITLESS}", text))


def tree_of(thing: Any) -> ast.AST | None:
    """The code of a function, parsed; None where there is no source."""
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(thing))))
    except (OSError, TypeError, SyntaxError):
        return None


def named_calls(nodes: Iterator[Any]) -> set[str]:
    """The plain names of what is called."""
    return {n.func.id for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}


def raised(thing: Any, *, deeper: bool = True) -> set[str]:
    """The errors that a function raises itself or in helpers that it calls by name; of a class, its checks."""
    if isinstance(thing, type):
        checks = [vars(thing).get(name) for name in ("__check_init__", "__post_init__", "__init__")]
        return set().union(*(raised(f) for f in checks if inspect.isfunction(f)))
    tree = tree_of(thing)
    if tree is None:
        return set()
    found = named_calls(n.exc for n in ast.walk(tree) if isinstance(n, ast.Raise)) & ERRORS
    module = vars(sys.modules[inspect.unwrap(thing).__module__])
    called = named_calls(ast.walk(tree)) - {"check_bounds"} if deeper else set()  # bounds are those of the fields
    helpers = [module.get(name) for name in called]
    return found.union(
        *(raised(f, deeper=False) for f in helpers if inspect.isfunction(f) and "memspike" in f.__module__)
    )


@functools.cache
def registered() -> dict[int, str]:
    """What is registered under a name, with the source that its entry has."""
    return {id(e.value): e.source for kind in SOURCED for e in REGISTRIES[kind]}


def published(item: Item) -> bool:
    """Whether the item is a model, a rule or a scheme that has a source."""
    thing = item.thing
    if item.owner is not None:
        return False
    if isinstance(thing, type) and issubclass(thing, AbstractModel):
        return not inspect.isabstract(thing) and not thing.__name__.startswith("Abstract")
    return id(thing) in registered()


def missing(item: Item) -> dict[str, bool]:
    """For each question that the item is asked, whether the answer is missing."""
    thing, own, all_text = item.thing, doc(item.thing), text_of(item)
    slots, answers = written(thing), {}
    arrays = [kind for name, kind, _ in slots if BARE.search(kind) or (kind == "Any" and name in QUANTITIES)]
    if arrays:
        answers["shapes"] = not (all(TYPED.search(kind) for kind in arrays) or SHAPE.search(all_text))
    numbers = re.compile(r"\b(?:float|Array|ndarray|Any)\b")
    physical = [(name, said) for name, kind, said in slots if name in QUANTITIES and numbers.search(kind)]
    if physical:
        answers["units"] = not all(said or has_unit(all_text, QUANTITIES[name]) for name, said in physical)
    if raised(thing):
        answers["errors"] = not re.search(r"InputError|RunError", own)
    if published(item):
        source = getattr(thing, "source", "") or registered().get(id(thing), "")
        answers["source"] = not (isinstance(source, str) and source) and not CITED.search(all_text)
    if not own.strip():
        answers["text"] = True
    return answers


def report() -> tuple[list[str], list[tuple[str, str]]]:
    """The table of counts, and every name with a question that it leaves open."""
    said, asked, lacking = Counter(), Counter(), []
    for item in items():
        for question, lacks in missing(item).items():
            asked[item.package, question] += 1
            said[item.package, question] += not lacks
            if lacks:
                lacking.append((item.name, question))
    rows = [f"{'package':12}" + "".join(f"{c:>12}" for c in CRITERIA)]
    packages = dict.fromkeys(p or "memspike" for p in PACKAGES)
    for package in packages:
        counts = (f"{said[package, c]} of {asked[package, c]}" if asked[package, c] else "–" for c in CRITERIA)
        rows.append(f"{package:12}" + "".join(f"{c:>12}" for c in counts))
    total = (f"{sum(said[p, c] for p in packages)} of {sum(asked[p, c] for p in packages)}" for c in CRITERIA)
    rows.append(f"{'all':12}" + "".join(f"{c:>12}" for c in total))
    return rows, lacking


def unexcused() -> list[str]:
    """A line for everything that is missing and not excused, and for every excuse that nothing needs any more."""
    _, lacking = report()
    lines = [f"{name}: no {question}" for name, question in lacking if (name, question) not in EXCUSED]
    return lines + [f"{name}: {question} is there; drop the excuse" for name, question in EXCUSED.keys() - set(lacking)]


def main() -> None:
    """Print the counts; with --list what is missing; with --check end with status 1 where something is."""
    rows, lacking = report()
    print("\n".join(rows))
    if "--list" in sys.argv:
        print("\n".join(f"{name}: no {question}" for name, question in lacking))
    if "--check" in sys.argv:
        lines = unexcused()
        print("\n".join(lines))
        sys.exit(bool(lines))


if __name__ == "__main__":
    main()
