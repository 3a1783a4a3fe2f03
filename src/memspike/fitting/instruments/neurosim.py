"""Files for NeuroSim's nonlinearity fit: one ramp each way, each on its own axis, depression stored rising."""

import numpy as np

from memspike.fitting.instruments.grid import grid
from memspike.fitting.instruments.numbers import number
from memspike.fitting.instruments.options import Options
from memspike.fitting.instruments.quantities import meaning, sign_of
from memspike.fitting.instruments.raw import Form, Raw, raw_of
from memspike.fitting.instruments.source import Source
from memspike.parts.errors import InputError


def _pairs(names: list[str]) -> dict[int, int]:
    """Sign of the direction → column of values, where each has a column of time or pulses before it."""
    found = {}
    for k in range(1, len(names)):
        before, own = names[k - 1], names[k]
        axis = meaning(before.replace("_", " ")).kind in ("time", "pulse") or before.lower().startswith("time")
        if axis and sign_of(own) and sign_of(own) == sign_of(before):
            found[sign_of(own)] = k
    return found


def _found(source: Source) -> bool:
    head = next((line for line in source.lines if line.strip()), "")
    if not ("LTP" in head.upper() and "LTD" in head.upper()):
        return False
    try:
        return {*_pairs(grid(source).header)} == {1, -1}
    except InputError:
        return False


def _read(source: Source, options: Options) -> Raw:
    table = grid(source)
    pairs = _pairs(table.header)
    raw = raw_of(table, FORM.name)
    raw.columns = [c for k, c in enumerate(raw.columns) if k in (*pairs.values(), *(k - 1 for k in pairs.values()))]
    kept = raw.columns[[sign_of(c.name) for c in raw.columns].index(-1) + 1]
    values = np.array([v if (v := number(c, comma=table.comma)) is not None else np.nan for c in kept.cells], float)
    known = np.flatnonzero(np.isfinite(values))
    if len(known) > 2 and np.polyfit(np.arange(len(known)), values[known], 1)[0] > 0:
        last = int(known[-1]) + 1
        kept.cells = [*list(kept.cells)[:last][::-1], *list(kept.cells)[last:]]
        raw.notes.append(f"Column {kept.name} rises: turned round, since depression is stored backwards.")
    return raw


FORM = Form(
    "NeuroSim fitting file",
    "names in LTP and LTD, each with its own axis before it",
    "one ramp each way of unequal length; a depression that rises is turned round",
    "[leejiwon8433/Non-linear-Fitting-for-NeuroSim]"
    "(https://github.com/leejiwon8433/Non-linear-Fitting-for-NeuroSim) 86c09580",
    _found,
    _read,
)
