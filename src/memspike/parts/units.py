"""Numbers with a unit as people write them: 50us, 1ms, 100 mV, 10uS, 1h → SI."""

import re
from decimal import Decimal

from memspike.parts.errors import InputError

PREFIXES = {
    "f": 1e-15,
    "p": 1e-12,
    "n": 1e-9,
    "u": 1e-6,
    "µ": 1e-6,
    "μ": 1e-6,
    "m": 1e-3,
    "": 1.0,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
}
TIMES = {"min": 60.0, "h": 3600.0, "d": 86400.0, "month": 2629746.0, "y": 31556952.0}
SPELLINGS = {"ohm": "Ω", "Ohm": "Ω"}
_NUMBER = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(\S*)\s*")


def parse(text: str, unit: str, where: str = "") -> float:
    """The value of `text` in `unit`; a bare number is already in `unit`. InputError for another unit.

    `where` is the key that says so, for the sentence.
    """
    match, said = _NUMBER.fullmatch(text), f"{where} is '{text}', which" if where else f"'{text}'"
    if not match:
        raise InputError(f"{said} is not a number{'' if unit == '1' else f' in {unit}'}.")
    number, given = float(match[1]), match[2]
    if not given:
        return number
    if unit == "s" and given in TIMES:
        return number * TIMES[given]
    for long, short in SPELLINGS.items():
        given = given.replace(long, short)
    if given.endswith(unit) and given.removesuffix(unit) in PREFIXES:
        # 100us is 1e-4, which 100 · 1e-6 in floating point is not
        return float(Decimal(match[1]) * Decimal(str(PREFIXES[given.removesuffix(unit)])))
    examples = "no unit" if unit == "1" else f"{unit}, m{unit}, u{unit}, n{unit}, k{unit}"
    if unit == "s":
        examples = "s, ms, us, ns, min, h, d, month, y"
    raise InputError(f"{said} has an unknown unit '{match[2]}'; allowed here: {examples}.")


def show(value: float, unit: str) -> str:
    """`value` with the prefix that people would write, e.g. 5e-05 S → 50 µS."""
    if unit == "1" or value == 0:
        return f"{value:g}" if unit == "1" else f"{value:g} {unit}"
    scale, prefixed = scaled(value, unit)
    return f"{value / scale:.6g} {prefixed}"


def counted(n: int, noun: str) -> str:
    """`n` things as one writes them: 1 ramp, 2 ramps."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def scaled(largest: float, unit: str) -> tuple[float, str]:
    """The scale in which a number of that size is short, and `unit` with its prefix: 5e-5 S → 1e-6, "µS"."""
    for prefix in ("G", "M", "k", "", "m", "µ", "n", "p", "f"):
        if abs(largest) >= PREFIXES[prefix] * 0.9999:
            return PREFIXES[prefix], prefix + unit
    return 1.0, unit


def duration(seconds: float) -> str:
    """A time with the unit that people would use: 3600 → 1 h, 1e-3 → 1 ms."""
    for unit, length in reversed(TIMES.items()):
        if seconds >= length * (1 - 1e-9):
            return f"{seconds / length:.4g} {unit}"
    return show(seconds, "s")
