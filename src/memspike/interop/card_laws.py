"""The laws of the library as other people's cards spell their parameters: one table a law.

Only what a table knows is read. A parameter that it does not know is refused by its name, and so is one that a card
does not say: no value comes from anywhere but the card, except those with which the library rounds corners of a
published law, which are told.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from memspike.devices import MetastableSwitch, memristors
from memspike.devices.base import AbstractStateDevice
from memspike.interop.card_files import Card
from memspike.parts.errors import InputError

BOLTZMANN, CHARGE = 1.380649e-23, 1.602176634e-19
Values = dict[str, float]


@dataclass(frozen=True)
class Law:
    """A law: how it is recognised, which parameter is which field, and what else a card may say.

    `names` is a pattern of the names of modules, subcircuits and types; `level` that of Xyce's `memristor`.
    `fixed` have to have one value; `without` do nothing in the library, which is told; `own` says which fields of the
    library no published card has. `finish` makes fields of parameters that are none themselves.
    """

    name: str
    device: type[AbstractStateDevice]
    names: str
    fields: Mapping[str, str]
    level: int | None = None
    fixed: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    without: Mapping[str, str] = field(default_factory=dict)
    needed: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    finish: Callable[[Card, Values], dict[str, Any]] = lambda card, values: {}


def _spelled(**spellings: str) -> dict[str, str]:
    """field="a b c" → {"a": field, "b": field, "c": field}."""
    return {name: field for field, names in spellings.items() for name in names.split()}


def _vteam(card: Card, values: Values) -> dict[str, Any]:
    """The way of the wall where its ends are given, and how the resistance follows it."""
    found: dict[str, Any] = {}
    if "w_on" in values and "w_off" in values:
        found["depth"] = abs(values["w_off"] - values["w_on"])
    relation = values.get("iv_relation", 0.0)
    if relation not in (0.0, 1.0):
        raise InputError(f"iv_relation of {card.name} is {relation:g}; 0 (linear) and 1 (exponential) are known.")
    exponential = relation == 1.0 or ("iv_relation" not in values and re.search(r"\b(exp|ln)\s*\(", card.body))
    found["resistance"] = memristors.exponential_resistance if exponential else memristors.linear_resistance
    return found


def _drift(card: Card, values: Values) -> dict[str, Any]:
    """The initial state, and the window whose formula the card has."""
    found: dict[str, Any] = {"window": _window(card, values)}
    if {"r_init", "r_on", "r_off"} <= values.keys():
        low, high = values["r_on"], values["r_off"]
        if low == high:
            raise InputError(f"The {card.kind} '{card.name}' has ron = roff; its initial resistance says no state.")
        found["x_0"] = (high - values["r_init"]) / (high - low)
    return found


# formulas of windows without blanks, x and i by any name
_X, _P = r"\(?[vx][\w()]*\)?", r"\(?(?:2\*p|p\*2)\)?"
_WINDOWS = (
    ("joglekar", rf"1-\(2\*{_X}-1\)(?:\^|\*\*){_P}|1-pow\(2\*{_X}-1,{_P}\)"),
    ("biolek", rf"1-\({_X}-stp\(-\w+(?:\([\w,]+\))?\)\)(?:\^|\*\*){_P}|1-pow\({_X}-stp\(-\w+(?:\([\w,]+\))?\),{_P}\)"),
    ("prodromakis", rf"1-\(\({_X}-0?\.5\)(?:\^|\*\*)2\+0?\.75\)(?:\^|\*\*)\(?p\)?"),
)


def _window(card: Card, values: Values) -> memristors.AbstractWindow:
    """The window of the formula in the body; InputError where there is none, or more than one."""
    body = re.sub(r"[\s{}']", "", card.body)
    found = [name for name, formula in _WINDOWS if re.search(formula, body)]
    if len(found) != 1:
        raise InputError(
            f"The {card.kind} '{card.name}' has {'no' if not found else 'more than one'} window that is known; the "
            "formula of one of Joglekar, Biolek or Prodromakis is needed, such as 1-(2*x-1)^(2*p)."
        )
    if "p" not in values:
        raise InputError(f"The {card.kind} '{card.name}' does not say p, the exponent of its window.")
    if found[0] == "prodromakis":
        if "j" not in values:
            raise InputError(f"The {card.kind} '{card.name}' does not say j, the scale of its window.")
        return memristors.Prodromakis(p=values["p"], j=values["j"])
    return (memristors.Joglekar if found[0] == "joglekar" else memristors.Biolek)(p=values["p"])


def _switch(card: Card, values: Values) -> dict[str, Any]:
    """Knowm's signs and its thermal voltage."""
    found: dict[str, Any] = {"v_off": -values["v_off_knowm"]} if "v_off_knowm" in values else {}
    if "temperature" in values:
        found["v_scale"] = BOLTZMANN * values["temperature"] / CHARGE
    return found


_NOISE = "noise of the dynamic model, which model_switch = 0 leaves out"
_START = "the initial state; the library's device begins as it says itself"
LAWS = (
    Law(
        "vteam",
        memristors.VTEAM,
        r"vteam",
        _spelled(
            r_on="ron r_on",
            r_off="roff r_off",
            depth="d depth",
            k_on="kon k_on",
            k_off="koff k_off",
            alpha_on="alphaon alpha_on aon",
            alpha_off="alphaoff alpha_off aoff",
            v_on="von v_on",
            v_off="voff v_off",
            w_on="won w_on xon x_on",
            w_off="woff w_off xoff x_off",
            iv_relation="iv_relation",
        ),
        without=dict.fromkeys(("x0", "w0", "x_init", "w_init", "init_state"), _START),
        needed=("r_on", "r_off", "depth", "k_on", "k_off", "alpha_on", "alpha_off", "v_on", "v_off"),
        own=("smoothing", "edge_width", "substeps"),
        finish=_vteam,
    ),
    Law(
        "yakopcic",
        memristors.Yakopcic,
        r"yakopcic|mem_dev",
        _spelled(
            a_1="a1",
            a_2="a2",
            b="b",
            v_p="vp",
            v_n="vn",
            rate_p="ap",
            rate_n="an",
            x_p="xp",
            x_n="xn",
            alpha_p="alphap",
            alpha_n="alphan",
            x_0="xo x0",
        ),
        level=3,
        fixed={"eta": (1.0, "for −1 exchange the terminals")},
        needed=("a_1", "a_2", "b", "v_p", "v_n", "rate_p", "rate_n", "x_p", "x_n", "alpha_p", "alpha_n", "x_0"),
        own=("x_min", "smoothing", "v_turn", "substeps"),
    ),
    Law(
        "stanford-pku",
        memristors.StanfordPKU,
        r"rram_v_?1|stanford",
        _spelled(
            i_0="i0 i_0",
            g_0="g0 g_0",
            v_0="v0 v_0",
            speed="vel0",
            gamma_0="gamma0 gamma_0",
            beta="beta",
            e_a="ea e_a",
            a_0="a0 a_0",
            t_ox="tox t_ox",
            gap_min="gap_min",
            gap_max="gap_max",
            r_th="rth r_th",
            t_0="t_ini t0",
            f_min="f_min fmin",
        ),
        fixed={"model_switch": (0.0, "the dynamic model has noise"), "kb": (1.38e-23, ""), "q": (1.6e-19, "")},
        without={
            **dict.fromkeys(("t_crit", "t_smth", "deltagap0", "time_step", "rand_seed_ini", "rand_seed"), _NOISE),
            "gap_ini": _START,
        },
        needed=(
            *("i_0", "g_0", "v_0", "speed", "gamma_0", "beta", "e_a", "a_0", "t_ox", "gap_min", "gap_max", "r_th"),
            *("t_0", "f_min"),
        ),
        own=("smoothing", "edge_width", "substeps"),
    ),
    Law(
        "linear-ion-drift",
        memristors.LinearIonDrift,
        r"memristor|hp|ion_?drift",
        _spelled(r_on="ron", r_off="roff", r_init="rinit", mobility="uv mu", depth="d", x_0="x0", p="p", j="j"),
        needed=("r_on", "r_off", "mobility", "depth", "x_0", "window"),
        own=("i_turn", "substeps"),
        finish=_drift,
    ),
    Law(
        "metastable-switch",
        MetastableSwitch,
        r"mms|knowm|metastable",
        _spelled(r_on="ron", r_off="roff", v_on="von", v_off_knowm="voff", tau="tau", temperature="t temp"),
        level=5,
        fixed={"phi": (1.0, "a share of a Schottky branch is not in the library's law")},
        without={
            **dict.fromkeys(("af", "bf", "ar", "br"), "the Schottky branch, which phi = 1 leaves out"),
            **{f"schottky{n}": "the Schottky branch, which phi = 1 leaves out" for n in ("alphaf", "betaf", "alphar")},
            **dict.fromkeys(("x0", "rinit", "xo"), _START),
        },
        needed=("r_on", "r_off", "v_on", "v_off", "tau", "v_scale"),
        finish=_switch,
    ),
)
# known to others, and not in the library
ABSENT = {1: "level 1", 2: "TEAM, which follows the current", 4: "PEM"}


def read(law: Law, card: Card) -> tuple[AbstractStateDevice, list[str]]:
    """The device of a card by a law, and what has to be told; InputError by name for what is not known or not said."""
    notes, values = [], Values()
    said = f"the {card.kind} '{card.name}' in {card.where}"
    for name, given in card.parameters.items():
        if name in law.fixed:
            wanted, why = law.fixed[name]
            if not math.isclose(given.value, wanted, rel_tol=1e-2):
                raise InputError(
                    f"{name} of {said} is {given.value:g}; {wanted:g} is needed{f': {why}' if why else ''}."
                )
        elif name in law.fields:
            if law.fields[name] in values:
                raise InputError(f"{name} of {said} says once more what another parameter says.")
            values[law.fields[name]] = given.value
        elif name in law.without:
            notes.append(f"{name} is left out: {law.without[name]}")
        elif name != "level":
            raise InputError(f"{name} of {said} is no parameter of {law.name} that is known.")
    made = {**values, **law.finish(card, values)}
    missing = [name for name in law.needed if name not in made]
    if missing:
        spelled = [
            " or ".join(k for k, f in law.fields.items() if f.removesuffix("_knowm") == name) or name
            for name in missing
        ]
        raise InputError(f"{said[0].upper()}{said[1:]} does not say {', '.join(spelled)}, which {law.name} needs.")
    fixed = [name for name in law.fixed if name not in card.parameters and name not in ("kb", "q")]
    notes += [f"{name} is taken as {law.fixed[name][0]:g}: the card does not say it" for name in fixed]
    device = law.device(
        **{name: made[name] for name in (*law.needed, *([] if "resistance" not in made else ["resistance"]))}
    )
    if law.own:
        notes.append(f"{', '.join(law.own)} are the library's: no published card has them")
    return device, notes
