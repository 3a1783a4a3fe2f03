"""Knowm Memristor Discovery: volts and microamperes without names; believed only if an option says so."""

import numpy as np

from memspike.fitting.instruments.grid import Grid, grid
from memspike.fitting.instruments.numbers import number
from memspike.fitting.instruments.options import Options
from memspike.fitting.instruments.raw import Form, Raw, raw_of
from memspike.fitting.instruments.source import Source
from memspike.parts.errors import InputError

_VOLTS = 10.0


def _loop(table: Grid) -> bool:
    """Two columns without names, both of both signs, the first within a few volts."""
    if table.header or table.width != 2:
        return False
    both = np.array([[number(cell, comma=table.comma) for cell in table.column(k)] for k in (0, 1)], float)
    signs = all((row > 0).any() and (row < 0).any() for row in both)
    return bool(signs and np.nanmax(np.abs(both[0])) < _VOLTS)


def _found(source: Source) -> bool:
    try:
        return _loop(grid(source))
    except (InputError, ValueError):
        return False


def _read(source: Source, options: Options) -> Raw:
    raw = raw_of(grid(source), FORM.name)
    if len(options.columns) < 2 and not options.unit and options.g_range is None:
        raise InputError(
            f"{source.name} has two columns of both signs without names; Knowm's Memristor Discovery writes volts and "
            "microamperes so: --column 1=voltage:V --column 2=current:uA says it, --g-range 1uS:20uS that they are "
            "normalised conductances."
        )
    if options.unit:
        raw.columns[0].kind, raw.columns[0].unit = "voltage", "V"
    if "+" in source.path.stem and "resistor" in source.path.stem.lower():
        raw.notes.append(f"{source.name} is named after a resistor in series: its voltage is that of both.")
    return raw


FORM = Form(
    "Knowm Memristor Discovery",
    "two columns without names, both of both signs",
    "never at once: `--column 1=voltage:V --column 2=current:uA` says that it is volts and microamperes",
    "[knowm/memristor-discovery](https://github.com/knowm/memristor-discovery) d73db75",
    _found,
    _read,
)
