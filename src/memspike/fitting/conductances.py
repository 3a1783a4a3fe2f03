"""Columns of a table → conductances in S: from siemens, from ohms, or from currents and their read voltage."""

import numpy as np
from jaxtyping import Bool, Float

from memspike.fitting.instruments.options import Options
from memspike.fitting.table import Column, Table
from memspike.parts.errors import InputError

Vector = Float[np.ndarray, " _"]
_STEADY = 0.01  # a voltage that varies less is that of a read
_FEW = 0.2  # share of currents of the wrong sign that are accidents
_ALIKE = 0.05  # conductances of one read by two quantities are this near each other


def _missing(table: Table, column: Column, bad: Bool[np.ndarray, " rows"], why: str, notes: list[str]) -> None:
    rows = [table.rows[int(k)] for k in np.flatnonzero(bad)]
    if rows:
        more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
        notes.append(f"{table.file}, row {rows[0]}{more}, {column.name}: {why}; missing.")


def steady(column: Column) -> bool:
    """Whether a column is a voltage that does not vary: that of the reads."""
    known = column.values[np.isfinite(column.values)]
    if column.kind != "voltage" or not known.size:
        return False
    middle = float(np.median(known))
    return bool(middle and np.abs(known - middle).max() <= _STEADY * abs(middle))


def read_voltage(table: Table, options: Options, notes: list[str]) -> Vector | float | None:
    """The voltage of the reads in V, or of each: the option, a column, a setting of the file; None if unknown."""
    if options.read_voltage is not None:
        return options.read_voltage
    columns = table.of("read voltage")
    if columns:
        return columns[0].values
    volts = [c for c in table.of("voltage") if np.isfinite(c.values).any()]
    if volts:
        if not steady(volts[0]):
            return None
        middle = float(np.nanmedian(volts[0].values))
        notes.append(f"{table.file}: {volts[0].name} is {middle:.4g} V all the time: the read voltage.")
        return volts[0].values
    return table.facts.get("read voltage")


def _of_current(table: Table, column: Column, voltage: Vector | float, notes: list[str]) -> Vector:
    with np.errstate(divide="ignore", invalid="ignore"):
        g = column.values / np.asarray(voltage, float)
    g = np.where(np.isfinite(g), g, np.nan)
    known = g[np.isfinite(g)]
    if known.size and np.mean(known < 0) > 1 - _FEW:
        notes.append(f"{table.file}, {column.name}: currents run against the read voltage; |I| is read.")
        g = -g
    if known.size and np.mean(g[np.isfinite(g)] <= 0) > _FEW:
        raise InputError(
            f"{table.file}, {column.name} holds currents of both signs at one read voltage: no conductances; "
            "name the right column with --column NAME=current."
        )
    _missing(table, column, g <= 0, "a current against its read voltage, or none", notes)
    return np.where(g > 0, g, np.nan)


def _checked(table: Table, column: Column, g: Vector, notes: list[str]) -> Vector:
    """Above 1 S: refused where the values are, missing where one is."""
    known = g[np.isfinite(g)]
    if known.size and np.median(known) > 1:
        likely = {"current": "uA", "resistance": "kOhm"}.get(column.kind, "uS")
        raise InputError(
            f"{table.file}, {column.name} gives conductances of about {np.median(known):.3g} S, and none is above 1 S; "
            f"name the unit, likely {likely}: --unit {likely}, or the right --read-voltage."
        )
    _missing(table, column, g > 1, "a conductance above 1 S", notes)
    return np.where(g > 1, np.nan, g)


def conductances(table: Table, options: Options, notes: list[str]) -> list[tuple[Column, Vector]]:
    """(column, S) of every column of values; InputError if the read voltage is not known or units are mixed.

    Where two columns are two quantities of the same reads, one is taken; InputError if they disagree.
    """
    given = [columns for kind in ("conductance", "resistance", "current") if (columns := table.of(kind))]
    if not given:
        raise InputError(f"{table.file} has no column of conductances, resistances or read currents.")
    if len(given) > 1 and max(map(len, given)) > 1:
        a, b = (columns[0].name for columns in given[:2])
        raise InputError(
            f"{table.file}: {a} and {b} are of two kinds, with {sum(map(len, given))} columns in all: mixed units; "
            "one kind is needed, --column NAME=ignored leaves a column out."
        )
    first = _of(table, given[0], options, notes)
    for other in given[1:]:
        _compare(table, first[0], other[0], options, notes)
    return first


def _compare(table: Table, first: tuple[Column, Vector], other: Column, options: Options, notes: list[str]) -> None:
    """InputError where another column says other conductances of the same reads; a note where it agrees."""
    (column, g), silent = first, []
    if other.kind == "current" and read_voltage(table, options, silent) is None:
        notes.append(f"{table.file}: {column.name} is read; the read voltage of {other.name} is not known.")
        return
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = _of(table, [other], options, silent)[0][1] / g
    known = ratio[np.isfinite(ratio)]
    middle = float(np.median(known)) if known.size else np.inf
    if abs(middle - 1) > _ALIKE:
        raise InputError(
            f"{table.file}: {other.name} gives {middle:.4g} times the conductance of {column.name}; name the right "
            "unit with --column NAME=KIND:UNIT, or leave one out with --column NAME=ignored."
        )
    notes.append(f"{table.file}: {column.name} is read; {other.name} says the same again.")


def _of(table: Table, columns: list[Column], options: Options, notes: list[str]) -> list[tuple[Column, Vector]]:
    """Columns of one kind → (column, S)."""
    voltage = read_voltage(table, options, notes)
    done = []
    for column in columns:
        if column.kind == "current":
            if voltage is None and table.of("voltage"):
                raise InputError(
                    f"{table.file} is a sweep of {table.of('voltage')[0].name}, no train of pulses: a device of pulses "
                    "needs reads at one voltage (--read-voltage 0.1 if they are)."
                )
            if voltage is None:
                raise InputError(
                    f"{table.file}, {column.name} holds currents; give the voltage of the read (--read-voltage 0.1)."
                )
            g = _of_current(table, column, voltage, notes)
        elif column.kind == "resistance":
            _missing(table, column, column.values <= 0, "no resistance of a device", notes)
            g = 1 / np.where(column.values > 0, column.values, np.nan)
        else:
            g = column.values
        done.append((column, _checked(table, column, g, notes)))
    return done
