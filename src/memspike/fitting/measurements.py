"""Measured pulse ramps: what a fit needs, from CSV files of conductances or read currents."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from memspike.fitting import tables
from memspike.fitting.tables import Ramp
from memspike.parts.errors import InputError

Table = Float[np.ndarray, "_ _"]
NAMES = {"up": "potentiation", "down": "depression"}
FEWEST_POINTS = 3
REVERSAL = 0.4  # share of a column's range: a swing back of more than this is a turning point
UNITS_APART = 1e3  # ramps of one device in one unit differ by less than this


@dataclass(frozen=True)
class Measurements:
    """Conductances in S after every pulse, a row a ramp, NaN where nothing was measured.

    The first value of a row is the one before its first pulse. `read_voltage` in V is kept for the record
    where currents were measured. InputError unless both directions have two ramps of finite, positive values.
    """

    up: Table
    down: Table
    read_voltage: float | None = None

    def __post_init__(self) -> None:
        for side, name in NAMES.items():
            g = getattr(self, side)
            bad = np.argwhere(~(np.isnan(g) | (np.isfinite(g) & (g > 0))))
            if len(bad):
                row, column = bad[0]
                given = f"Ramp {row + 1} of {name} is {g[row, column]:g} S at pulse {column}"
                raise InputError(f"{given}; a finite value above 0 is needed.")
            if len(g) < 2 or (np.isfinite(np.diff(g, axis=1)).sum(axis=1) < FEWEST_POINTS - 1).any():
                raise InputError(
                    f"{name.capitalize()} has {len(g)} ramps of up to {g.shape[1]} values; "
                    f"at least 2 ramps of {FEWEST_POINTS} values each are needed."
                )

    def facts(self, side: str) -> dict[str, float | int]:
        """Ramps, points, and mean and s.d. of the initial conductance in S of one direction."""
        g = getattr(self, side)
        first = g[:, 0]
        return {
            "ramps": len(g),
            "points": int(np.isfinite(g).sum()),
            "initial_mean": float(np.nanmean(first)),
            "initial_sd": float(np.nanstd(first, ddof=1)),
        }


def turning_points(g: Float[np.ndarray, " values"]) -> list[int]:
    """Where a column turns: the extremes from which it swings back by more than `REVERSAL` of its range.

    Noise shifts an extreme by a few pulses; where the turns are those of equal blocks, up to that shift,
    the ends of the blocks are taken.
    """
    threshold = REVERSAL * (g.max() - g.min())
    turns, low, high, rising = [], 0, 0, None
    for k, value in enumerate(g):
        low = k if value < g[low] else low
        high = k if value > g[high] else high
        if rising is not False and value < g[high] - threshold:
            turns += [high] if rising else []
            rising, low = False, k
        elif rising is not True and value > g[low] + threshold:
            turns += [low] if rising is False else []
            rising, high = True, k
        if rising is False:
            high = low
        elif rising is True:
            low = high
    blocks = len(turns) + 1
    for values, first in ((len(g), -1), (len(g) - 1, 0)):
        length, rest = divmod(values, blocks)
        ends = [first + length * k for k in range(1, blocks)]
        if not rest and all(abs(a - b) <= max(2, 0.15 * length) for a, b in zip(turns, ends, strict=True)):
            return ends
    return turns


def _cut(ramp: Ramp) -> list[Ramp]:
    """A column as ramps of one direction each, marked by their trend where the table gave no sign.

    A turning point ends one ramp and begins the next.
    """
    g = ramp.values[np.isfinite(ramp.values)]
    if len(g) < FEWEST_POINTS:
        raise InputError(
            f"{ramp.where()} has {len(g)} {'value' if len(g) == 1 else 'values'}; "
            f"a ramp needs at least {FEWEST_POINTS}."
        )
    if g.max() == g.min():
        raise InputError(f"{ramp.where()} is constant at {g[0]:g}; a ramp that goes up or down is needed.")
    if ramp.sign:
        return [ramp]
    at = [int(k) for k in np.flatnonzero(np.isfinite(ramp.values))]
    ends = [0, *(at[k] for k in turning_points(g)), len(ramp.values) - 1]
    found = []
    for piece in (slice(a, b + 1) for a, b in pairwise(ends) if b + 1 - a >= FEWEST_POINTS):
        values = ramp.values[piece]
        own = values[np.isfinite(values)]
        slope = np.polyfit(np.arange(len(own)), own, 1)[0]
        found.append(ramp._replace(values=values, rows=ramp.rows[piece], sign=1 if slope > 0 else -1))
    return found


def _to_siemens(ramp: Ramp, read_voltage: float | None) -> Ramp:
    values = ramp.values / read_voltage if read_voltage is not None else ramp.values
    for k in np.flatnonzero(np.isfinite(values) & (values <= 0)):
        raise InputError(
            f"{ramp.where(int(k))} is {ramp.values[k]:g}, which is no conductance of a device; above 0 is needed."
        )
    return ramp._replace(values=values)


def _check_scales(ramps: list[Ramp]) -> None:
    middles = [float(np.nanmedian(r.values)) for r in ramps]
    typical = float(np.median(middles))
    for ramp, middle in zip(ramps, middles, strict=True):
        if not 1 / UNITS_APART < middle / typical < UNITS_APART:
            raise InputError(
                f"{ramp.where()} holds values about {middle:.2g} while others are about {typical:.2g}: "
                "mixed units; give all conductances in S or all currents in A, or name the units in the headers."
            )


def _check_overlap(sides: dict[str, list[Ramp]]) -> None:
    """Potentiation and depression of one device run over the same conductances."""
    low = {side: min(float(np.nanmin(r.values)) for r in ramps) for side, ramps in sides.items()}
    high = {side: max(float(np.nanmax(r.values)) for r in ramps) for side, ramps in sides.items()}
    if max(low.values()) >= min(high.values()):
        spans = {s: f"go from {low[s]:.3g} to {high[s]:.3g} S" for s in sides}
        raise InputError(
            f"{sides['up'][0].where()} and the other ramps of potentiation {spans['up']}, but "
            f"{sides['down'][0].where()} and the other ramps of depression {spans['down']}: "
            "mixed units, or two devices; the two directions of one device overlap."
        )


def _table(ramps: list[Ramp]) -> Table:
    table = np.full((len(ramps), max(len(r.values) for r in ramps)), np.nan)
    for row, ramp in zip(table, ramps, strict=True):
        row[: len(ramp.values)] = ramp.values
    return table


def _voltage(ramps: list[Ramp], given: float | None) -> float | None:
    """The read voltage that applies; InputError if units disagree with each other or with it."""
    if given is not None and not (np.isfinite(given) and given != 0):
        raise InputError(f"The read voltage is {given:g} V; a finite voltage other than 0 is needed.")
    kinds: dict[str, Ramp] = {}
    for ramp in ramps:
        if ramp.kind:
            kinds.setdefault(ramp.kind, ramp)
    if len(kinds) > 1:
        a, b = kinds["A"], kinds["S"]
        raise InputError(f"{a.where()} holds currents but {b.where()} conductances: mixed units; one kind is needed.")
    if "A" in kinds and given is None:
        raise InputError(f"{kinds['A'].where()} holds currents; give the voltage of the read (--read-voltage 0.1).")
    if "S" in kinds and given is not None:
        raise InputError(f"{kinds['S'].where()} holds conductances; leave the read voltage out.")
    return given


def read(paths: list[Path], read_voltage: float | None = None) -> Measurements:
    """The ramps in CSV files: one file with both directions, or several.

    Separated by commas, semicolons or tabs, with or without a header; lines that begin with # are skipped.
    Either one ramp a column (blanks and unequal lengths are fine; a column that goes up and down is cut at
    its turning points), or a long table with a column of values and columns of direction (+1/−1, up/down,
    set/reset, LTP/LTD) or ramp number, and maybe pulse number. Values are conductances in S, or read
    currents in A if `read_voltage` is given (V); `G (uS)` or `I (A)` in a header names unit and prefix.
    InputError in one sentence, with file, row and column as a spreadsheet counts them, for anything else.
    """
    if not paths:
        raise InputError("No file of measurements was given; at least one CSV file is needed.")
    columns = [ramp for path in paths for ramp in tables.read_columns(path)]
    voltage = _voltage(columns, read_voltage)
    converted = [_to_siemens(ramp, voltage) for ramp in columns]
    _check_scales(converted)
    ramps = [piece for ramp in converted for piece in _cut(ramp)]
    sides: dict[str, Any] = {side: [r for r in ramps if r.sign == sign] for side, sign in (("up", 1), ("down", -1))}
    for side, other in (("up", "down"), ("down", "up")):
        if not sides[side]:
            raise InputError(
                f"{paths[0].name if len(paths) == 1 else 'The files'} "
                f"{'holds' if len(paths) == 1 else 'hold'} {len(sides[other])} ramps of {NAMES[other]} but none of "
                f"{NAMES[side]}; a device needs both, in one file or two."
            )
        if len(sides[side]) == 1:
            raise InputError(
                f"{sides[side][0].where()} is the only ramp of {NAMES[side]}; at least 2 are needed, "
                "because one cannot show how ramps differ."
            )
    _check_overlap(sides)
    return Measurements(_table(sides["up"]), _table(sides["down"]), voltage)
