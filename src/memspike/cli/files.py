"""Options that say what a measured file holds, the same for every verb that reads one."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from memspike.fitting.instruments.options import Options

Columns = Annotated[
    list[str] | None,
    typer.Option("--column", metavar="NAME=KIND[:UNIT]", help="What a column is, by name or number: 3=current:nA."),
]
Unit = Annotated[str, typer.Option("--unit", help="Unit of the values: uS, nA, kOhm.")]
ReadVoltage = Annotated[
    str | None, typer.Option("--read-voltage", help="Read voltage (V): the values are currents, not conductances.")
]
Direction = Annotated[
    str, typer.Option("--direction", help="up or down for all ramps; positive or negative pulses potentiate.")
]
Skip = Annotated[int, typer.Option("--skip", help="Lines to leave out at the head of the file.")]
Range = Annotated[
    str | None, typer.Option("--g-range", metavar="LOW:HIGH", help="Conductances of normalised values: 1uS:20uS.")
]


def said(
    columns: list[str] | None, unit: str, read_voltage: str | None, direction: str, skip: int, g: str | None
) -> "Options":
    """What the options of a verb say about its files."""
    from memspike.fitting.instruments.options import from_texts

    return from_texts(columns or [], read_voltage, g, unit=unit, direction=direction, skip=skip)
