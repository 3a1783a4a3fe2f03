"""A netlist from a SPICE deck: a stated subset, everything else refused by its name and line.

    title line, comments (* at the start, ; or $ behind), + for the next line, .param name=number, {name}, .end
    R… n1 n2 value             C… n1 n2 value [ic=volts]
    I… n+ n- [dc] amperes      V… n+ n- [dc] volts
    S… n1 n2 nc+ nc- model [on|off]   .model name sw(vt=… vh=… ron=… roff=…)
    X… n1 n2 device [parameter=value …]   a state device of memspike by its name, - may be _

Letters may be large or small, as in SPICE; node 0 or gnd is the ground. Numbers are as ngspice reads them.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from memspike.devices.base import AbstractStateDevice
from memspike.neurons.netlist.elements import (
    AbstractElement,
    Capacitor,
    CurrentSource,
    Memristor,
    Resistor,
    VoltageSource,
    VoltageSwitch,
)
from memspike.neurons.netlist.lines import joined_lines, text_of
from memspike.neurons.netlist.numbers import number
from memspike.parts.errors import InputError, unknown
from memspike.parts.fields import fields_of
from memspike.parts.table import build

_ANALYSES = (
    ".tran",
    ".op",
    ".dc",
    ".ac",
    ".control",
    ".endc",
    ".meas",
    ".measure",
    ".save",
    ".print",
    ".plot",
    ".options",
)
_INITIAL = (".ic", ".nodeset", "uic")
_SWITCH = {"vt": "threshold", "vh": "hysteresis", "ron": "r_on", "roff": "r_off"}
_SUBSET = "elements R, C, I, V, S and X, .param, .model … sw and .end are read"


class Card(NamedTuple):
    """A card of a deck: its words in small letters, and where it stands."""

    words: list[str]
    where: str


class _Deck:
    """What has been read so far: parameters, models of switches."""

    def __init__(self) -> None:
        self.parameters: dict[str, float] = {}
        self.models: dict[str, dict[str, float]] = {}

    def value(self, text: str, where: str, *, evaluated: bool = False) -> float:
        """A number, or {name} of a parameter."""
        if text.startswith("{") and text.endswith("}"):
            name = text[1:-1].strip()
            if re.fullmatch(r"[a-z_]\w*", name):
                if name not in self.parameters:
                    raise unknown(f"parameter in {where}", name, self.parameters)
                return self.parameters[name]
            return number(name, f"The expression in {where}", evaluated=True)
        return number(text, f"A value in {where}", evaluated=evaluated)

    def pairs(self, words: list[str], where: str, *, evaluated: bool = False) -> dict[str, float]:
        """name=value of every word."""
        found = {}
        for word in words:
            name, equal, text = word.partition("=")
            if not equal or not name or not text:
                raise InputError(f"'{word}' in {where} is not read; name=value is needed.")
            if name in found:
                raise InputError(f"'{name}' is given twice in {where}.")
            found[name] = self.value(text, where, evaluated=evaluated)
        return found


def cards(text: str, name: str) -> list[Card]:
    """The cards of a deck without its title and comments, continued lines joined."""
    return [Card(_words(line), f"line {number} of {name}") for number, line in joined_lines(text, name, begin=2)]


def _words(line: str) -> list[str]:
    """The words of a line, name = value as one, brackets of models and expressions kept together."""
    line = re.sub(r"\s*=\s*", "=", line)
    line = re.sub(r"\{[^}]*\}", lambda m: m[0].replace(" ", ""), line)
    return re.sub(r"[(),]", " ", line).split()


def _need(card: Card, count: int, form: str, *, more: int = 0) -> list[str]:
    """The words behind the name; InputError where there are others than the form says."""
    if not count <= len(card.words) - 1 <= count + more:
        raise InputError(f"{card.words[0]} in {card.where} is '{' '.join(card.words)}'; read is {form}.")
    return card.words[1:]


def _resistor(deck: _Deck, card: Card) -> AbstractElement:
    first, second, value = _need(card, 3, "R… n1 n2 value")
    return Resistor(deck.value(value, card.where), card.words[0], (first, second))


def _capacitor(deck: _Deck, card: Card) -> AbstractElement:
    first, second, value, *more = _need(card, 3, "C… n1 n2 value [ic=volts]", more=1)
    given = deck.pairs(more, card.where)
    _known(given, ["ic"], card)
    return Capacitor(deck.value(value, card.where), card.words[0], (first, second), given.get("ic"))


def _source(kind: Callable[..., AbstractElement]) -> Callable[[_Deck, Card], AbstractElement]:
    def read(deck: _Deck, card: Card) -> AbstractElement:
        form = f"{card.words[0][0].upper()}… n+ n- [dc] value (no other wave form)"
        first, second, *value = _need(card, 3, form, more=1)
        if (len(value) == 2 and value[0] != "dc") or any(not re.match(r"[-+.\d{]", v) for v in value[-1:]):
            raise InputError(f"{card.words[0]} in {card.where} is '{' '.join(card.words)}'; read is {form}.")
        return kind(deck.value(value[-1], card.where), card.words[0], (first, second))

    return read


def _switch(deck: _Deck, card: Card) -> AbstractElement:
    first, second, plus, minus, model, *state = _need(card, 5, "S… n1 n2 nc+ nc- model [on|off]", more=1)
    if state and state[0] not in ("on", "off"):
        raise InputError(f"{card.words[0]} in {card.where} starts '{state[0]}'; on or off is needed.")
    if model not in deck.models:
        raise unknown(f"model in {card.where}", model, deck.models)
    nodes = {"nodes": (first, second), "control": (plus, minus)}
    return VoltageSwitch(**deck.models[model], name=card.words[0], **nodes, on=state == ["on"])  # pyright: ignore


def _device(deck: _Deck, card: Card) -> AbstractElement:
    words = [word for word in card.words if word != "params:"]
    plain = [word for word in words[1:] if "=" not in word]
    if len(plain) != 3:
        raise InputError(
            f"{card.words[0]} in {card.where} names {max(len(plain) - 1, 0)} nodes and a subcircuit; a device of "
            "memspike has two nodes: X… n1 n2 device [parameter=value …]."
        )
    first, second, kind = plain
    given: dict[str, Any] = deck.pairs([w for w in words[1:] if "=" in w], card.where, evaluated=True)
    name, where = kind.replace("_", "-"), f"device of {card.words[0]} in {card.where}"
    bare = build(AbstractStateDevice, {"type": name}, where)
    whole = {field.name: field.kinds[0] for field in fields_of(type(bare)).values()}
    for key, value in given.items():
        if whole.get(key) is int and value == int(value):
            given[key] = int(value)
    device = build(AbstractStateDevice, {"type": name, **given}, where)
    return Memristor(device, card.words[0], (first, second))


_ELEMENTS: dict[str, Callable[[_Deck, Card], AbstractElement]] = {
    "r": _resistor,
    "c": _capacitor,
    "i": _source(CurrentSource),
    "v": _source(VoltageSource),
    "s": _switch,
    "x": _device,
}


def _known(given: dict[str, float], allowed: list[str], card: Card) -> None:
    for key in given:
        if key not in allowed:
            raise unknown(f"parameter of {card.words[0]} in {card.where}", key, allowed)


def _model(deck: _Deck, card: Card) -> None:
    if len(card.words) < 3 or card.words[2] != "sw":
        kind = card.words[2] if len(card.words) > 2 else "nothing"
        raise InputError(f".model in {card.where} is of type '{kind}'; switches (sw) alone are read.")
    given = deck.pairs(card.words[3:], card.where)
    _known(given, [*_SWITCH], card)
    missing = [key for key in _SWITCH if key not in given]
    if missing:
        raise InputError(f"The switch model '{card.words[1]}' in {card.where} does not say {', '.join(missing)}.")
    if given["vh"] < 0:
        raise InputError(
            f"The switch model '{card.words[1]}' in {card.where} has vh < 0, a smooth switch, which is not read."
        )
    deck.models[card.words[1]] = {_SWITCH[key]: value for key, value in given.items()}


def _refuse(card: Card) -> InputError:
    first = card.words[0]
    if first in _INITIAL:
        return InputError(
            f"{first} in {card.where} is not read; give the capacitors their voltage at the start with ic=."
        )
    if first.startswith(_ANALYSES):
        return InputError(f"{first} in {card.where} is an analysis and no part of a circuit; leave it out.")
    return InputError(f"'{first}' in {card.where} is not known; {_SUBSET}.")


def parse_deck(text: str, name: str = "the deck") -> tuple[AbstractElement, ...]:
    """The elements of a SPICE deck, given as a text; its first line is a title.

    InputError with the line for whatever the subset does not have.
    """
    deck, found = _Deck(), list[AbstractElement]()
    every = cards(text, name)
    end = next((k for k, card in enumerate(every) if card.words[0] == ".end"), len(every))
    if every[end + 1 :]:
        raise InputError(f"{every[end + 1].where.capitalize()} stands behind .end.")
    for card in every[:end]:  # of these the order does not matter
        if card.words[0] == ".param":
            for key, value in deck.pairs(card.words[1:], card.where, evaluated=True).items():
                if key in deck.parameters:
                    raise InputError(f"The parameter '{key}' is given again in {card.where}.")
                deck.parameters[key] = value
    for card in every[:end]:
        if card.words[0] == ".model":
            _model(deck, card)
    for card in every[:end]:
        if card.words[0] in (".param", ".model"):
            continue
        read = _ELEMENTS.get(card.words[0][0])
        if read is None:
            raise _refuse(card)
        try:
            found.append(read(deck, card))
        except InputError as error:
            said = str(error)
            raise error if card.where in said else InputError(f"{card.words[0]} in {card.where}: {said}") from None
    if not found:
        raise InputError(f"{name} has no elements; the first line of a deck is its title.")
    return tuple(found)


def read_deck(path: str | Path) -> tuple[AbstractElement, ...]:
    """The elements of a SPICE deck in a file; InputError as `parse_deck`, and where there is no such file."""
    path = Path(path)
    return parse_deck(text_of(path, "SPICE deck"), path.name)
