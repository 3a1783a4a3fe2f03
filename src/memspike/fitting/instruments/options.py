"""What a user says about a file, which overrules what the file seems to say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from memspike.fitting.instruments.quantities import QUANTITIES, Unit, unit_of
from memspike.fitting.table import KINDS
from memspike.parts import units
from memspike.parts.errors import InputError, unknown

IGNORED = "ignored"
DIRECTIONS = ("up", "down", "positive", "negative")


@dataclass(frozen=True)
class Options:
    """`columns` maps a name or number to (kind, unit); `unit` is that of the values; `read_voltage` in V.

    `direction` is "up" or "down" where all ramps go one way, "positive" or "negative" for the polarity of the
    pulses that potentiate. `skip` lines at the head of the file are left out. `g_range` in S are the conductances
    of the lowest and the highest normalised value.

    InputError for a value that is not one of these.
    """

    columns: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    unit: str = ""
    read_voltage: float | None = None
    direction: str = ""
    skip: int = 0
    g_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.read_voltage is not None and not 0 < abs(self.read_voltage) < float("inf"):
            raise InputError(f"The read voltage is {self.read_voltage:g} V; a finite voltage other than 0 is needed.")
        if self.direction and self.direction not in DIRECTIONS:
            raise unknown("direction", self.direction, DIRECTIONS)
        if self.skip < 0:
            raise InputError(f"--skip is {self.skip}; a number of lines from 0 on is needed.")
        if self.unit and values_unit(self.unit).base not in ("S", "A", "Ω"):
            raise InputError(
                f"--unit is '{self.unit}'; a unit of conductance, current or resistance is needed: uS, nA."
            )
        if self.g_range is not None and not 0 <= self.g_range[0] < self.g_range[1] < float("inf"):
            low, high = self.g_range
            raise InputError(
                f"--g-range is {low:g} to {high:g} S; the lowest must be at least 0 and below the highest."
            )


def values_unit(text: str) -> Unit:
    """A unit as an option names it; InputError for one that is not known."""
    found = unit_of(text)
    if found is None or not found.base:
        raise InputError(
            f"'{text}' is not a unit that is known; allowed are S, A, ohm, V, s with a prefix, as uS, K and degC."
        )
    return found


def column(text: str) -> tuple[str, tuple[str, str]]:
    """`NAME=KIND[:UNIT]` → name, (kind, unit); the name may be a column's number, and "ignored" is a kind."""
    name, equals, rest = text.rpartition("=")
    kind, _, unit = rest.partition(":")
    kind = kind.strip().lower().replace("-", " ").replace("_", " ")
    if not equals or not name.strip():
        raise InputError(f"--column is '{text}'; NAME=KIND or NAME=KIND:UNIT is needed, as 3=current:nA.")
    if kind not in (*KINDS, IGNORED):
        raise unknown("kind of column", kind, (*KINDS, IGNORED), f"allowed: {', '.join((*KINDS, IGNORED))}")
    if unit:
        allowed = QUANTITIES.get(kind, ())
        if values_unit(unit).base not in allowed:
            raise InputError(
                f"--column is '{text}', but {kind} is not measured in {unit}; "
                f"{' or '.join(allowed) or 'no unit'} with a prefix is allowed."
            )
    return name.strip(), (kind, unit.strip())


def g_range(text: str) -> tuple[float, float]:
    """`LOW:HIGH` with units, as 1uS:20uS → conductances in S."""
    low, colon, high = text.partition(":")
    if not colon:
        raise InputError(f"--g-range is '{text}'; LOW:HIGH is needed, as 1uS:20uS.")
    return units.parse(low, "S", "--g-range"), units.parse(high, "S", "--g-range")


def from_texts(columns: Sequence[str], read_voltage: str | None, g: str | None, **rest: object) -> Options:
    """Options as a command line gives them."""
    voltage = None if read_voltage is None else units.parse(read_voltage, "V", "--read-voltage")
    return Options(
        columns=dict(column(text) for text in columns),
        read_voltage=voltage,
        g_range=None if g is None else g_range(g),
        **rest,  # pyright: ignore[reportArgumentType]
    )
