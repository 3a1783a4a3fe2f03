"""What public docstrings must say, and how the reference shows it."""

import importlib.util
import sys
from typing import ClassVar

import equinox as eqx
import pytest
from jaxtyping import Array, Float

from memspike.devices import ConstantStep
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, option, param


def script(root, name):
    """A script of scripts/ as a module."""
    spec = importlib.util.spec_from_file_location(f"scripts_{name}", root / f"scripts/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def docstrings(root):
    return script(root, "docstrings")


def test_public_docstrings_say_shapes_units_errors_and_sources(docstrings):
    assert not docstrings.unexcused()


def test_every_package_is_asked_all_questions(docstrings):
    names = [item.name for item in docstrings.items()]
    assert len(names) == len(set(names))
    for name in ("devices.ConstantStep", "devices.ConstantStep.response", "arrays.solve", "learning.tiki_taka", "fit"):
        assert name in {*names, *(n.split(".")[-1] for n in names)}
    asked = {question for item in docstrings.items() for question in docstrings.missing(item)}
    assert asked == set(docstrings.CRITERIA)


def bare(g: Array) -> Array:
    """Something of `g` in S."""
    return g


def shaped(g: Float[Array, "rows columns"]) -> Float[Array, "rows"]:
    """Something of `g` in S."""
    return g[:, 0]


def told(g: Array) -> Array:
    """Something of `g` [rows, columns] in S."""
    return g


def unitless(g: float, v: float) -> float:
    """A product of `v` in V."""
    return g * v


def silent(count: int) -> None:
    """Nothing."""
    if count < 0:
        raise InputError("too few")


def outspoken(count: int) -> None:
    """Nothing; InputError where count is negative."""
    if count < 0:
        raise InputError("too few")


def empty(count: int) -> None:
    return None


class Fields(eqx.Module):
    """Two fields, of which one has a unit."""

    source: ClassVar[str] = "nobody"
    tau: Parameter = param(1.0, "s", "time | constant")
    width: float = 1.0
    steps: int = option(3, "steps", bounds=(1, 5))


@pytest.mark.parametrize(
    ("thing", "question", "lacks"),
    [
        (bare, "shapes", True),
        (shaped, "shapes", False),
        (told, "shapes", False),
        (shaped, "units", False),
        (unitless, "units", True),
        (silent, "errors", True),
        (outspoken, "errors", False),
        (empty, "text", True),
        (Fields, "units", True),
        (ConstantStep, "source", False),
    ],
)
def test_what_is_missing_is_found(docstrings, thing, question, lacks):
    assert docstrings.missing(docstrings.Item(thing.__name__, thing, None, ""))[question] is lacks


@pytest.mark.parametrize(
    ("text", "unit", "has"),
    [
        ("the current in A", "A", True),
        ("A device", "A", False),
        ("at `v` volts", "V|volts?", True),
        ("every 5 ms", "[nµm]?s", True),
        ("its rows", "[nµm]?s", False),
        ("in units of weight", "V", True),
    ],
)
def test_units_are_told_from_words(docstrings, text, unit, has):
    assert docstrings.has_unit(text, unit) is has


def test_the_reference_shows_shapes_as_written(root):
    griffe = pytest.importorskip("griffe")
    reference = script(root, "reference")
    given = "x: Float[Array, 'steps *batch rows'], y: tuple[Int[Array, ' n-1'], int]"
    code = f"def f({given}) -> Float[Array, '...'] | None: pass"
    with griffe.temporary_visited_module(code, extensions=griffe.load_extensions(reference.Reference)) as module:
        found = module["f"]
        assert str(found.parameters["x"].annotation) == 'Float[Array, "steps *batch rows"]'
        assert str(found.parameters["y"].annotation) == 'tuple[Int[Array, "n-1"], int]'
        assert str(found.returns) == 'Float[Array, "..."] | None'


def test_the_reference_shows_fields_with_units(root):
    pytest.importorskip("griffe")
    *_, tau, steps = script(root, "reference").field_rows(Fields)
    assert tau == "| `tau` | `1` | s | −∞ … ∞ | time \\| constant |"
    assert steps == "| `steps` | `3` |  | 1 … 5 | steps |"
