"""Crossbars as circuits: reduced to what their columns make of row voltages, or every device and wire segment."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from memspike.arrays.crossbar import Crossbar, Seen
from memspike.arrays.fidelity import Ideal, Resistive
from memspike.interop.spice.expressions import number
from memspike.parts.errors import InputError

Lines = Float[np.ndarray, "lines rows columns"]
# devices with wires above which ngspice takes long, and what 4,096 of them take it in s; it grows as their number^2.5
MANY, SECONDS = 4000, 21.0
REDUCED, DEVICES = "reduced", "devices"


class Matrix(NamedTuple):
    """A crossbar with its programmed conductances, and the names of its row nodes, which drivers hold.

    A row without a name stays at 0 V.
    """

    tag: str
    crossbar: Crossbar
    lines: Lines
    rows: list[str | None]


def check_crossbar(crossbar: Crossbar, name: str) -> None:
    """InputError for what a netlist of a crossbar does not have."""
    if crossbar.tiles is not None:
        raise InputError(f"{name.capitalize()} lies on tiles; netlists are of whole matrices.")
    if not crossbar.periphery.ideal:
        raise InputError(f"{name.capitalize()} has converters or amplifiers that are not ideal; netlists have none.")
    if not isinstance(crossbar.wires, Ideal | Resistive):
        raise InputError(f"The wires of {name} are a {type(crossbar.wires).__name__}, which has no netlist.")


@eqx.filter_jit
def transfers(crossbars: tuple[Crossbar, ...], lines: tuple[Any, ...]) -> tuple[Seen, ...]:
    """What reads of every crossbar see of its conductances in S, exact."""
    return tuple(c.transfer(g) for c, g in zip(crossbars, lines, strict=True))


def reduced(matrix: Matrix) -> list[str]:
    """One linear source for every weight: the exact transfer of the array, all lines of a cell weighted and added.

    Columns end in nodes i_TAG_COLUMN. A polynomial source with all rows of a column is hundreds of times slower.
    """
    crossbar = matrix.crossbar
    (seen,) = transfers((crossbar,), (jnp.asarray(matrix.lines),))
    weights = np.asarray(crossbar.columns(seen).mean)
    return [
        f"G{matrix.tag}_{i}_{j} 0 i_{matrix.tag}_{j} {row} 0 {number(g)}"
        for i, row in enumerate(matrix.rows)
        if row is not None
        for j, g in enumerate(weights[i])
        if g != 0
    ]


class Wired(NamedTuple):
    """Resistances in Ω: of the segments of rows and columns, at drivers and at the feet of columns; rows' far ends."""

    row: float
    column: float
    driver: float
    sense: float
    two_sided: bool


def wired_of(crossbar: Crossbar) -> Wired:
    """The wires of a crossbar, zero where they are ideal."""
    wires = crossbar.wires
    if not isinstance(wires, Resistive):
        return Wired(0.0, 0.0, 0.0, 0.0, False)
    row, column, driver, sense = (float(x) for x in (wires.r_row, wires.r_column, wires.r_driver, wires.r_sense))
    return Wired(row, column, driver, sense, wires.two_sided)


def _resistor(name: str, a: str, b: str, ohms: float) -> str:
    """A resistor; one of 0 Ω is a source of 0 V, as ngspice makes 1 mΩ of it."""
    return f"R{name} {a} {b} {number(ohms)}" if ohms > 0 else f"V{name} {a} {b} 0"


def devices(matrix: Matrix) -> list[str]:
    """Every device a resistor, every wire segment one; a column ends in an ammeter at 0 V.

    The currents of the lines of a cell, weighted, go into the node i_TAG_COLUMN.
    """
    tag, r = matrix.tag, wired_of(matrix.crossbar)
    count, rows, columns = matrix.lines.shape
    gains = np.asarray(matrix.crossbar.cell.gains(), float)
    along, down = r.row > 0 or r.driver > 0, r.column > 0 or r.sense > 0
    lines = []

    def row_node(i: int, place: int) -> str:
        return f"w_{tag}_{i}_{place}" if along else str(matrix.rows[i] or "0")

    def column_node(i: int, place: int) -> str:
        return f"u_{tag}_{i}_{place}" if down else f"f_{tag}_{place}"

    for i in range(rows):
        source = matrix.rows[i] or "0"
        for place in range(columns * count):
            j, line = divmod(place, count)
            at, name = row_node(i, place), f"{tag}_{i}_{place}"
            if along and place == 0:
                lines.append(_resistor(f"w{name}", source, at, r.driver))
            elif along:
                lines.append(_resistor(f"w{name}", row_node(i, place - 1), at, r.row))
            if along and r.two_sided and place == columns * count - 1:
                lines.append(_resistor(f"e{name}", source, at, r.driver))
            g = float(matrix.lines[line, i, j])
            if g > 0:
                lines.append(f"R{name} {at} {column_node(i, place)} {number(1 / g)}")
            if down and i + 1 < rows:
                lines.append(_resistor(f"u{name}", column_node(i, place), column_node(i + 1, place), r.column))
            elif down:
                lines.append(_resistor(f"u{name}", column_node(i, place), f"f_{tag}_{place}", r.sense))
    for place in range(columns * count):
        j, line = divmod(place, count)
        lines.append(f"Vf_{tag}_{place} f_{tag}_{place} 0 0")
        if gains[line] != 0:
            lines.append(f"F{tag}_{place} 0 i_{tag}_{j} Vf_{tag}_{place} {number(gains[line])}")
    return lines


def wired_devices(matrices: list[Matrix]) -> int:
    """Devices of matrices whose wires have resistance."""
    return sum(int(m.lines.size) for m in matrices if any(x > 0 for x in wired_of(m.crossbar)[:4]))


def warning(count: int) -> str | None:
    """What a person should know before so many wired devices are simulated; None for few."""
    if count <= MANY:
        return None
    seconds = SECONDS * (count / 4096) ** 2.5
    long = f"{seconds / 60:.0f} minutes" if seconds > 120 else f"{seconds:.0f} s"
    return (
        f"{count:,} devices with wires: ngspice 39 needs about {long} for the operating point alone; "
        f"--crossbars {REDUCED} has the same currents."
    )


def operating_point(crossbar: Crossbar, lines: Any, v: Float[np.ndarray, " rows"]) -> str:
    """A deck with every device and wire segment of one crossbar under constant row voltages in V."""
    rows: list[str | None] = [f"r_{i}" for i in range(len(v))]
    matrix = Matrix("1", crossbar, np.asarray(lines, float), rows)
    cards = [f"Vr_{i} r_{i} 0 {number(x)}" for i, x in enumerate(v)]
    columns = matrix.lines.shape[2]
    loads = [f"Ri_{j} i_1_{j} 0 1" for j in range(columns)]
    control = [".options reltol=1e-12 abstol=1e-20 vntol=1e-15", ".control", "set num_threads=1"]
    control += ["set filetype=binary", "op", "write out.raw", ".endc", ".end", ""]
    return "\n".join(["* memspike: a crossbar at its operating point", *cards, *devices(matrix), *loads, *control])
