"""Numbers as ngspice reads them, measured in version 39.3.

A suffix counts by its beginning, in any case: t 1e12, g 1e9, meg 1e6, k 1e3, m 1e-3, u, n, p, f 1e-15; so 1M is 1e-3
and 1F is 1e-15. `mil` is 25.4e-6 on the card of an element and m, 1e-3, where ngspice evaluates a parameter: in
`.param`, in braces, and in the parameters of a subcircuit. Other letters are a unit and change nothing (1a is 1). What
has digits after the suffix (1k5) is refused: ngspice drops them on a card and stops at them in a parameter.
"""

import re

from memspike.parts.errors import InputError

# exponents, so that 4.7n is the float 4.7e-9 and not a product next to it
SUFFIXES = {"t": 12, "g": 9, "meg": 6, "k": 3, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15}
MIL = 25.4e-6
_NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+))(?:e([-+]?\d+))?([a-z]*)")


def number(text: str, where: str, *, evaluated: bool = False) -> float:
    """The number that ngspice reads on a card, or `evaluated` in a parameter; InputError for anything else."""
    match = _NUMBER.fullmatch(text.strip().lower())
    if not match:
        raise InputError(f"{where} is '{text}', no number as ngspice reads it, such as 10k, 1e-9 or 2.5meg.")
    letters, exponent = match[3], int(match[2] or 0)
    if letters.startswith("mil") and not evaluated:
        return float(f"{match[1]}e{exponent}") * MIL
    suffix = next((s for s in sorted(SUFFIXES, key=len, reverse=True) if letters.startswith(s)), None)
    return float(f"{match[1]}e{exponent + SUFFIXES.get(suffix or '', 0)}")
