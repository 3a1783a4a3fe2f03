"""How users give their parts a name."""

import inspect
import re
from collections.abc import Callable
from typing import Any

from memspike.parts.errors import InputError, unknown
from memspike.parts.registry import REGISTRIES

KINDS = {
    "device": "devices",
    "neuron": "neurons",
    "surrogate": "surrogates",
    "filter": "filters",
    "integrator": "integrators",
    "synapse": "synapses",
    "programmer": "programmers",
    "compensation": "compensations",
    "rule": "rules",
    "scheme": "schemes",
    "loss": "losses",
    "optimizer": "optimizers",
    "encoder": "encoders",
    "dataset": "datasets",
    "experiment": "experiments",
}
# of these a table has no fields: the function itself is what is wanted
FUNCTIONS = ("integrator", "scheme", "optimizer", "dataset", "experiment")
_NAME = re.compile(r"[A-Za-z0-9][\w+-]*")


def _check(kind: str, name: str, value: Any) -> None:
    """InputError for what could never be found by its name."""
    said = f"memspike.register of the {kind} '{name}'"
    if not callable(value) and kind != "experiment":
        raise InputError(
            f"{said} was given a {type(value).__name__}; a class, or a function that makes one, is needed: "
            f"def {name.replace('-', '_')}() -> {type(value).__name__}: return …"
        )
    if kind == "experiment" and getattr(value, "name", None) != name:
        raise InputError(f"{said} needs a memspike.experiments.Experiment of that name.")
    if inspect.isfunction(value) and kind not in FUNCTIONS and value.__annotations__.get("return") is None:
        raise InputError(
            f"{said}: the function {value.__name__} does not say what it returns; write such as "
            f"def {value.__name__}() -> memspike.devices.SoftBounds."
        )


def register(kind: str, name: str, doc: str, source: str = "") -> Callable[[Any], Any]:
    """A decorator that gives a class, or a function that makes a part, a name on the command line and in TOML.

    `kind` is device, neuron, surrogate, filter, integrator, synapse, programmer, compensation, rule, scheme, loss,
    optimizer, encoder, dataset or experiment; `doc` is one sentence, `source` says where the model comes from (that of
    the class by default). InputError for an unknown kind and for a name that is taken, with both places.
    """
    if kind not in KINDS:
        raise unknown("kind of part", kind, KINDS, f"allowed: {', '.join(KINDS)}")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(
            f"The name of the {kind} is {name!r}; letters, digits and dashes are needed, such as my-{kind}."
        )
    if not isinstance(doc, str) or not doc.strip():
        raise InputError(f"The {kind} '{name}' needs one sentence that says what it is.")

    def add(value: Any) -> Any:
        _check(kind, name, value)
        return REGISTRIES[KINDS[kind]].add(name, value, doc, source or str(getattr(value, "source", "")))

    return add
