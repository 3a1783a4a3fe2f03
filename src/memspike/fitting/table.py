"""What a measured file holds, in SI units: a table of columns that know what they are, traces; what a fit finds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

Kind = Literal[
    "time",
    "pulse",
    "write voltage",
    "width",
    "read voltage",
    "voltage",
    "current",
    "conductance",
    "resistance",
    "device",
    "ramp",
    "cycle",
    "direction",
    "temperature",
    "target",
    "compliance",
]
KINDS: tuple[str, ...] = get_args(Kind)
UNITS: dict[str, str] = {
    "time": "s",
    "width": "s",
    "write voltage": "V",
    "read voltage": "V",
    "voltage": "V",
    "current": "A",
    "compliance": "A",
    "conductance": "S",
    "target": "S",
    "resistance": "Ω",
    "temperature": "K",
}


@dataclass(frozen=True)
class Column:
    """One column: its name in the file, what it is, its values in the SI unit of its kind (NaN where missing).

    Of a column of texts `labels` holds each text once, and `values` says which one a row has.
    `assumed`: nobody said the unit, the numbers are taken to be SI.
    """

    name: str
    kind: str
    values: Float[np.ndarray, " rows"]
    labels: tuple[str, ...] = ()
    assumed: bool = False

    @classmethod
    def of(cls, name: str, kind: str, texts: Sequence[str]) -> "Column":
        """A column of texts, one a row."""
        known = {text: float(k) for k, text in enumerate(dict.fromkeys(texts))}
        return cls(name, kind, np.array([known[text] for text in texts]), tuple(known))

    @property
    def unit(self) -> str:
        """The SI unit of the kind; "1" for counts and labels."""
        return UNITS.get(self.kind, "1")

    def texts(self) -> list[str]:
        """What each row says."""
        return [self.labels[int(v)] if self.labels else f"{v:g}" for v in self.values]


@dataclass(frozen=True)
class Table:
    """A file as it was understood: format, columns, the row of the file behind each row, facts and notes.

    `facts` are settings named by the file, in SI units ("read voltage" → 0.1); `notes` say in one sentence each
    what was left out or decided.
    """

    file: str
    form: str
    columns: tuple[Column, ...]
    rows: tuple[int, ...]
    facts: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def of(self, kind: str) -> list[Column]:
        """All columns of a kind."""
        return [column for column in self.columns if column.kind == kind]


@dataclass(frozen=True)
class Trace:
    """Consecutive reads of one device, in order, and the pulses between them.

    `g` is the conductance in S at each read (NaN where missing); `pulses` the signed number of pulses between a
    read and the next (> 0 potentiates, 0: the same state is read again). `amplitude` (V, signed as applied) and
    `width` (s) of these pulses are None where all are alike or unknown.
    """

    g: Float[np.ndarray, " reads"]
    pulses: Float[np.ndarray, " gaps"]
    device: str = ""
    ramp: str = ""
    amplitude: Float[np.ndarray, " gaps"] | None = None
    width: Float[np.ndarray, " gaps"] | None = None
    file: str = ""
    rows: tuple[int, ...] = ()


@dataclass(frozen=True)
class Estimate:
    """A fitted parameter with its 95 % interval; not `determined`: these data do not tell it."""

    name: str
    value: float
    unit: str
    low: float
    high: float
    determined: bool = True
