"""What the name of a column says: its kind and its unit."""

import re
from typing import NamedTuple

from memspike.parts.units import PREFIXES, TIMES

QUANTITIES: dict[str, tuple[str, ...]] = {
    "time": ("s",),
    "width": ("s",),
    "write voltage": ("V",),
    "read voltage": ("V",),
    "voltage": ("V",),
    "current": ("A",),
    "compliance": ("A",),
    "conductance": ("S",),
    "target": ("S", "Ω"),
    "resistance": ("Ω",),
    "temperature": ("K",),
}
KIND_OF = {"S": "conductance", "A": "current", "Ω": "resistance", "V": "voltage", "s": "time", "K": "temperature"}
SIGNS = {
    **dict.fromkeys(("up", "set", "ltp", "potentiation", "potentiate", "inc", "increase", "+", "p", "pot"), 1),
    **dict.fromkeys(("down", "dn", "reset", "ltd", "depression", "depress", "dec", "decrease", "-", "d", "dep"), -1),
}
STATES = {"lrs": 1, "on": 1, "hrs": -1, "off": -1}  # where a pulse up or down leads
NAMES: dict[str, frozenset[str]] = {
    kind: frozenset(names.split("|"))
    for kind, names in {
        "direction": "sign|direction|dir|polarity|pulse sign|type|operation|op",
        "ramp": "ramp|ramp id|ramp number|ramp no|trace|sweep|loop|scan",
        "cycle": "cycle|cycles|cycle id|cycle number|cycle no|iteration|repeat",
        "device": "device|device id|dut|cell|cell id|addr|address",
        "pulse": "pulse|pulses|pulse number|pulse no|index|n|no|number|#|step|num applied|pulse #"
        "|pulse count|pulse index",
        "write voltage": "write voltage|v write|pulse v|v pulse|pulse voltage|amplitude|pulse amplitude|vp|vpulse"
        "|vwrite|programming voltage|program voltage",
        "read voltage": "read voltage|v read|vread|readvoltage|read v|meas v",
        "width": "width|pulse width|pw|pulse length|duration|pulse duration|t pulse|tpulse",
        "time": "time|t|timestamp|time stamp|elapsed|elapsed time",
        "voltage": "v|u|voltage|potential|bias|vf|av|anodev|v1|vm",
        "current": "i|current|read current|i read|iread|ai|anodei|i1|im",
        "conductance": "g|conductance|cond|g read",
        "resistance": "r|resistance|res|r read",
        "temperature": "temperature|temp",
        "target": "target|setpoint|goal",
        "compliance": "compliance|icc|i cc|compliance current|current compliance",
        "value": "value|values|measurement",
    }.items()
}
WORDS = {
    "resistance": "resistance",
    "conductance": "conductance",
    "voltage": "voltage",
    "potential": "voltage",
    "current": "current",
    "temperature": "temperature",
    "time": "time",
}
_LETTERS = {"g": "conductance", "i": "current", "R": "resistance", "v": "voltage"}
_BASES = {
    **dict.fromkeys(("S", "siemens", "Siemens", "mho"), "S"),
    **dict.fromkeys(("A", "amp", "Amp", "amps", "ampere", "Ampere"), "A"),
    **dict.fromkeys(("Ω", "Ω", "ohm", "Ohm", "ohms", "Ohms", "OHM"), "Ω"),
    **dict.fromkeys(("V", "volt", "Volt", "volts", "Volts"), "V"),
    **dict.fromkeys(("s", "sec", "second", "seconds"), "s"),
    "K": "K",
}
_OTHER = {"Hz", "W", "J", "C", "F", "a.u.", "a.u", "au", "arb. u.", "arb.u.", "norm", "normalized", "normalised"}
_UNIT = re.compile(rf"([fpnuµμmkKMG]?)({'|'.join(map(re.escape, _BASES))})")
_BRACKET = re.compile(r"[(\[]\s*([^)\]]*?)\s*[)\]]")
_APART = re.compile(r" / (\S+)$")
_SLASH = re.compile(r"^(.*\w)\s*(?:/|\bin\b|\s)\s*(\S+)$")


class Unit(NamedTuple):
    """SI value = scale · number + offset, in `base`; no base for a unit that is no measured quantity here."""

    scale: float
    base: str
    offset: float = 0.0


PERCENT = Unit(0.01, "")


def unit_of(text: str) -> Unit | None:
    """The unit that a text is, None if it is none."""
    text = text.strip()
    if text in ("°C", "degC", "℃"):
        return Unit(1.0, "K", 273.15)
    if text in TIMES:
        return Unit(TIMES[text], "s")
    if match := _UNIT.fullmatch(text):
        return Unit(PREFIXES[match[1].replace("K", "k")], _BASES[match[2]])
    if text == "%":
        return PERCENT
    other = text.lower() in _OTHER or text.lstrip("fpnuµμmkMG") in _OTHER or "/" in text
    return Unit(1.0, "") if other and not text.isdigit() else None


class Meaning(NamedTuple):
    """Kind ("" unknown, "value" for an unnamed quantity), unit if any, and a text in brackets that is no unit."""

    kind: str
    unit: Unit | None
    odd: str = ""


def words_of(name: str) -> str:
    """A name in lower case without brackets and punctuation, camel case taken apart."""
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", _BRACKET.sub(" ", name))
    return " ".join(re.sub(r"[_\-/.:+]", " ", plain).lower().split()) or name.strip().lower()


def sign_of(name: str) -> int:
    """+1 or −1 where a word of the name is a direction, as in `LTD`, `SET 3` or `up1`; else 0."""
    words = [re.sub(r"\d+$", "", word) for word in words_of(name).split()]
    signs = {SIGNS[word] for word in words if len(word) > 1 and word in SIGNS}
    return signs.pop() if len(signs) == 1 else 0


def _kind(words: str, name: str) -> str:
    if name.strip() == "T":
        return ""  # a temperature or a time
    for kind, known in NAMES.items():
        if words in known or words.replace(" ", "") in known:
            return kind
    letter = re.fullmatch(r"([givGIVR])[ _]?\d*", name.strip())
    if letter:
        return _LETTERS.get(letter[1], "") or _LETTERS[letter[1].lower()]
    parts = words.split()
    if not parts or "range" in parts:
        return ""
    if "compliance" in parts:
        return "compliance"
    found = next((WORDS[word] for word in reversed(parts) if word in WORDS), "")
    if found == "time" and "pulse" in parts:
        return "width"
    if found == "voltage":
        return "read voltage" if "read" in parts else "write voltage" if {"write", "pulse"} & {*parts} else found
    if not found and len(parts) > 1 and parts[-1] in ("v", "i", "r"):  # Smu1.V[1][1], drain I
        return {"v": "voltage", "i": "current", "r": "resistance"}[parts[-1]]
    return found


def meaning(name: str) -> Meaning:
    """What a header says; a name that is a unit alone says its kind."""
    inside = [text for text in _BRACKET.findall(name) if text and not text.isdigit()]
    unit, plain = None, _BRACKET.sub(" ", name).strip()
    for text in inside:
        unit = unit_of(text) or unit
    if unit is None and (alone := unit_of(name)) and alone.base and (len(name.strip()) > 1 or alone.base == "Ω"):
        return Meaning(KIND_OF[alone.base], alone)
    if unit is None and (match := _SLASH.match(plain.replace("_", " "))) and (tail := unit_of(match[2])):
        head = _kind(words_of(match[1]), match[1])
        if head and tail.base in (*QUANTITIES.get(head, ()), ""):
            unit, plain = tail, match[1]
    odd = next((text for text in (*inside, *_APART.findall(name)) if not unit and text.lower() not in SIGNS), "")
    kind = _kind(words_of(plain), plain)
    if unit and unit.base == "K" and kind in ("", "time"):  # T (K)
        kind = "temperature"
    if kind == "temperature" and "C" in inside:
        unit = unit_of("°C")
    if unit and unit.base and kind in ("", "value"):
        kind = KIND_OF[unit.base]
    return Meaning(kind, unit, odd)
