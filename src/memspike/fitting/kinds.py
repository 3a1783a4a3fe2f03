"""The kinds of measurement that a fit takes, by name: each is one function from tables to a result.

A module of `MODULES` registers its function with `@kind(name, needs)`. `fit_tables` finds the kind by the columns
where the user names none.
"""

import dataclasses
import importlib
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from memspike.devices.base import AbstractDevice
from memspike.devices.variation.fabricate import AbstractSpread
from memspike.fitting.conductances import steady
from memspike.fitting.instruments.options import Options as Reading
from memspike.fitting.table import Estimate, Table
from memspike.fitting.traces import to_traces
from memspike.parts import written
from memspike.parts.errors import InputError, unknown

MODULES = ("sweeps", "switching", "retention", "endurance", "readnoise", "levels", "tabular")
PULSES = "pulses"  # ramps and trains of pulses: `fit.fit`
# modules of the laws that `model` names
LAWS = {PULSES: "candidates", "sweep": "state_laws", "switching": "switching", "endurance": "endurance"}
OF_KIND = {
    "model": tuple(LAWS),
    "sweep_rate": ("sweep",),
    "compliance": ("sweep",),
    "window": ("endurance",),
    "read_voltage": (PULSES, "retention", "endurance", "read-noise", "levels", "tabular"),
}
Values = Float[np.ndarray, " _"]


@dataclass(frozen=True)
class Options:
    """What the user may set: law ("auto": the lowest BIC), sweep rate in V/s, compliance in A, smallest window.

    `read_voltage` in V is here to be refused where nothing is read; the tables hold it. A fit of many laws calls
    `tell(number, of, law)` before each.
    """

    model: str = "auto"
    sweep_rate: float | None = None
    compliance: float | None = None
    window: float | None = None
    read_voltage: float | None = None
    tell: Callable[[int, int, str], None] = lambda number, of, law: None


@dataclass(frozen=True)
class Curve:
    """One curve of a plot; `style` is "line", "points" or "faint"."""

    x: Values
    y: Values
    label: str = ""
    style: str = "line"


@dataclass(frozen=True)
class Plot:
    """A picture as numbers; `log` names the logarithmic axes ("x", "y", "xy"). The report draws it."""

    title: str
    x: str
    y: str
    curves: tuple[Curve, ...]
    log: str = ""


@dataclass(frozen=True)
class Outcome:
    """What every kind gives: a line that says what was found and whether it may be trusted, and what goes with it.

    A device where there is one, `spread` (how devices differ), numbers with intervals, sentences, plots by the name of
    their file; `facts` are further numbers of fit.json, `example` beginnings of the paths of `device` that nobody
    measured.
    """

    headline: str
    device: AbstractDevice | None = None
    estimates: tuple[Estimate, ...] = ()
    warnings: tuple[str, ...] = ()
    plots: dict[str, Plot] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    spread: dict[str, AbstractSpread] = field(default_factory=dict)
    example: str = ""

    def summary(self) -> dict[str, Any]:
        """Headline, facts, estimates and warnings."""
        own = {"headline": self.headline, **self.facts, "warnings": list(self.warnings)}
        own |= {"spread": {path: written.plain(how) for path, how in self.spread.items()}} if self.spread else {}
        return own | {"parameters": [dataclasses.asdict(e) for e in self.estimates]}

    def figures(self) -> dict[str, Plot]:
        """The plots."""
        return self.plots


Fitter = Callable[[list[Table], Options], Outcome]
KINDS: dict[str, Fitter] = {}
NEEDS: dict[str, Callable[[Table], bool]] = {}


def kind(
    name: str, needs: Sequence[str], without: Sequence[str] = (), states: Sequence[Collection[str]] = ()
) -> Callable[[Fitter], Fitter]:
    """Register a function under `name`; it is found by itself where a table has all `needs` and none of `without`.

    A need may leave a choice, as in "voltage|write voltage". Of each of `states` the name of a column has a word.
    """

    def fits(table: Table) -> bool:
        kinds = {"read voltage" if steady(column) else column.kind for column in table.columns}
        words = {word for column in table.columns for word in re.split(r"[\W_]+", column.name.lower())}
        there = all(kinds & set(need.split("|")) for need in needs) and all(words & set(each) for each in states)
        return there and not kinds & set(without)

    def add(fitter: Fitter) -> Fitter:
        KINDS[name], NEEDS[name] = fitter, fits
        return fitter

    return add


def load() -> dict[str, Fitter]:
    """Every kind; its modules are imported only here."""
    for module in MODULES:
        importlib.import_module(f"memspike.fitting.{module}")
    return KINDS


def recognised(tables: Sequence[Table]) -> list[str]:
    """The kinds whose columns all tables have, in the order of the alphabet."""
    load()
    return sorted(name for name, fits in NEEDS.items() if all(map(fits, tables)))


def named(tables: Sequence[Table], name: str = "auto", options: Reading | None = None) -> str:
    """The kind of that name, or for "auto" the one that the columns tell; where several may be meant, ramps of pulses.

    InputError where the name is unknown or nothing tells.
    """
    known = [PULSES, *load()]
    if name not in ("auto", *known):
        raise unknown("kind of measurement", name, ["auto", *known], f"allowed: auto, {', '.join(known)}")
    if name != "auto":
        return name
    found = recognised(tables)
    each = [recognised([table]) for table in tables]
    if not found and all(each):
        said = "; ".join(f"{t.file} may hold {', '.join(own)}" for t, own in zip(tables, each, strict=True))
        raise InputError(f"{said}; a fit takes files of one kind, which --kind names.")
    if len(found) < 2:
        return found[0] if found else PULSES
    counted = all(column.assumed for table in tables for column in table.of("time"))  # rows, not seconds
    try:
        ways = {np.sign(p) for trace in to_traces(tables, options or Reading(), []) for p in trace.pulses if p}
    except InputError:
        ways = set()
    if not counted or len(ways) < 2:
        raise InputError(
            f"{tables[0].file} may hold {', '.join(found)} or pulses; --kind says which, as --kind {found[0]}."
        )
    return PULSES


def no_law(model: str, name: str, names: Collection[str]) -> InputError:
    """One sentence for a model that the kind of that name does not have: it may be a law of another kind."""
    laws = {kind: importlib.import_module(f"memspike.fitting.{module}").LAWS for kind, module in LAWS.items()}
    others = [kind for kind, own in laws.items() if model in own]
    if not others:
        return unknown("model", model, names)
    return InputError(
        f"{model} is a law of {' and '.join(others)}, and what is fitted is {name}; allowed: {', '.join(names)}."
    )


def check(options: Options, name: str) -> None:
    """InputError for an option that the kind does not have."""
    for option, own in OF_KIND.items():
        if name not in own and getattr(options, option) != getattr(Options, option):
            flag = option.replace("_", "-")
            raise InputError(f"--{flag} is for {', '.join(own)}, and what is fitted is {name}; leave it out.")


def timed(tables: Sequence[Table]) -> None:
    """InputError where nobody says the unit of a time."""
    for table in tables:
        for column in table.of("time"):
            if column.assumed:
                raise InputError(
                    f"{table.file}: nobody says the unit of column '{column.name}'; "
                    f"--column {column.name}=time:us, for example, does."
                )


def fit_tables(tables: list[Table], options: Options, name: str = "auto") -> Outcome:
    """Fit by the kind of that name, or by the one that the columns tell; InputError where neither is known."""
    known = load()
    found = named(tables, name)
    if found == PULSES:
        seen = ", ".join(sorted({column.kind for table in tables for column in table.columns}))
        raise InputError(
            f"Columns of kind {seen} do not tell what was measured; name it with --kind {'|'.join(known)}."
        )
    check(options, found)
    timed(tables)
    return known[found](tables, options)
