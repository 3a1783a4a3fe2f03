"""What is not sure about a column of values: asked for in one sentence with the option that settles it."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from memspike.fitting.instruments.options import Options
from memspike.fitting.instruments.quantities import Unit
from memspike.fitting.instruments.raw import Raw
from memspike.fitting.table import UNITS
from memspike.parts.errors import InputError
from memspike.parts.units import counted

if TYPE_CHECKING:
    from memspike.fitting.instruments.assemble import Part

# SI values that no device has: with a unit said, and where a number without one is rather in another
HIGHEST = {"conductance": 1.0, "current": 1.0, "voltage": 1e3, "write voltage": 1e3, "read voltage": 1e3, "width": 1e3}
UNSAID = {**HIGHEST, "current": 0.1, "voltage": 50.0, "write voltage": 50.0, "read voltage": 20.0, "width": 10.0}
NORMALISED = 0.1  # S; a number without unit from here to 1 is rather a share of a range
GLITCHES = 0.01  # share of reads that may be wrong by orders
LOWEST_OHMS = 100.0  # without a unit; less is rather kΩ or MΩ
APART = 1e3  # columns without names that differ by more are of several quantities
SIGNED = 0.2  # share of values that must be positive or negative to be no accident


def odd_unit(part: "Part") -> InputError:
    """A header with a text in brackets that may be a unit."""
    kind = part.kind if part.kind in UNITS else "conductance"
    unit = {"Ω": "kOhm", "A": "uA", "V": "mV", "s": "us", "K": "degC"}.get(UNITS[kind], "uS")
    return InputError(
        f"{part.where()} is headed '{part.name}', and '{part.odd}' is not a unit that is known; "
        f"say what it is, as --column {part.number}={kind.replace(' ', '-')}:{unit}."
    )


def wrong_unit(part: "Part", name: str) -> InputError:
    """A header whose unit is that of another quantity."""
    return InputError(
        f"{part.where()} is headed '{name}', which is no unit of a {part.kind}; conductance (S) or current (A) is "
        f"needed, or what it is with --column, as --column {part.number}=voltage:V."
    )


def _likely(kind: str, typical: float) -> str:
    if kind == "resistance":
        return "kOhm" if typical >= 0.05 else "MOhm"
    if kind == "current":
        return "uA" if typical < 1e3 else "nA"
    if "voltage" in kind:
        return "mV"
    if kind == "width":
        return "ns"
    return "uS" if typical < 5e3 else "ohm"


def _too_large(part: "Part", largest: float, typical: float) -> InputError:
    unit = UNITS[part.kind]
    likely = _likely(part.kind, typical)
    said = f"reaches {largest:.4g} {unit}" if part.unit else f"has no unit and reaches {largest:.4g}"
    option = f"--column {part.number}={part.kind.replace(' ', '-')}:{likely}"
    if part.kind in ("conductance", "current"):
        option = f"--unit {likely}"
    return InputError(
        f"{part.where()} {said}, which no {part.kind} of a device does; name its unit, likely {likely}: {option}."
    )


def _as_shares(part: "Part", g_range: tuple[float, float], notes: list[str]) -> None:
    """Normalised values, −1 … 1 or 0 … 1, as conductances in S."""
    low, high = g_range
    signed = float(np.nanmin(part.values)) < -0.5
    share = (part.values + 1) / 2 if signed else part.values
    if np.nanmax(np.abs(part.values)) > 2:
        raise InputError(f"{part.where()} goes up to {np.nanmax(np.abs(part.values)):.3g}; --g-range is for −1 … 1.")
    part.values, part.kind, part.unit = low + (high - low) * share, "conductance", Unit(1.0, "S")
    notes.append(
        f"Column {part.number}: {'−1 … 1' if signed else '0 … 1'} is {low:.4g} … {high:.4g} S, as --g-range says."
    )


def _one_quantity(open_: list["Part"]) -> None:
    middles = [float(np.nanmedian(np.abs(part.values))) for part in open_]
    typical = float(np.median(middles))
    for part, middle in zip(open_, middles, strict=True):
        if typical and not 1 / APART < middle / typical < APART:
            raise InputError(
                f"{part.where()} holds values about {middle:.2g} while others are about {typical:.2g}: mixed units, or "
                f"several quantities without names; say what they are, as --column {part.number}=voltage:V."
            )


def settle_values(parts: list["Part"], raw: Raw, options: Options, notes: list[str]) -> None:
    """Unnamed values become currents or conductances, or are asked for; normalised ones need a range."""
    open_ = [p for p in parts if p.kind in ("", "value") and np.isfinite(p.values).any()]
    parts[:] = [p for p in parts if p.kind not in ("", "value") or p in open_]
    if options.g_range is not None:
        dimensionless = [p for p in parts if p in open_ or (p.kind == "conductance" and p.unit is None)]
        for part in dimensionless:
            _as_shares(part, options.g_range, notes)
        if not dimensionless:
            raise InputError("--g-range is for values without a unit, and the file has none; leave it out.")
        return
    if open_:
        _one_quantity(open_)
    signed = [p for p in open_ if SIGNED < np.mean(p.values[np.isfinite(p.values)] < 0) < 1 - SIGNED]
    for part in open_:
        if options.read_voltage is not None:
            part.kind = "current"
            continue
        part.kind = "conductance"
        largest = float(np.nanmax(np.abs(part.values)))
        if part in signed and NORMALISED < largest <= 1.5:
            raise InputError(
                f"{part.where()} goes from {np.nanmin(part.values):.3g} to {np.nanmax(part.values):.3g} without a "
                "unit: normalised conductances? Name those of −1 and 1 with --g-range, as 1uS:20uS, "
                f"or what it is, as --column {part.number}=voltage:V."
            )
        if part in signed:
            raise InputError(
                f"{part.where()} holds values of both signs without a name: no conductances; say what it is, "
                f"as --column {part.number}=current:uA."
            )
    if open_ and options.read_voltage is None:
        names = "The columns have" if len(open_) > 1 else f"Column {open_[0].number} has"
        notes.append(f"{names} no unit: read as conductances in S; --unit says otherwise.")


def _missing_above(part: "Part", high: float, notes: list[str]) -> None:
    bad = np.flatnonzero(np.abs(part.values) > high)
    if len(bad):
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        notes.append(f"{part.where(int(bad[0]))} is {part.cells[int(bad[0])]}{more}, far above the others: missing.")
        part.values = np.where(np.abs(part.values) > high, np.nan, part.values)


def _missing_below_zero(part: "Part", notes: list[str]) -> None:
    bad = np.flatnonzero(part.values <= 0)
    if not len(bad):
        return
    first = f"{part.where(int(bad[0]))} is {part.cells[int(bad[0])]}"
    if len(bad) > SIGNED * np.isfinite(part.values).sum():
        raise InputError(
            f"{first}, and {counted(len(bad), 'value')} at or below 0: no conductances; say what they are, "
            f"as --column {part.number}=current:A with --read-voltage -0.1."
        )
    more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
    notes.append(f"{first}{more}, which is no {part.kind} of a device: missing.")
    part.values = np.where(part.values <= 0, np.nan, part.values)


def _exceeds(sizes: Float[np.ndarray, " _"], limit: float) -> bool:
    """Whether more than one value, or than a few in many, are above a limit: no glitch, but another unit."""
    return bool((sizes > limit).sum() > max(1.0, GLITCHES * len(sizes)))


def check(part: "Part", notes: list[str]) -> None:
    """Values that their unit cannot have: InputError with the likely unit, or missing where it is one in many."""
    finite = part.values[np.isfinite(part.values)] if part.values.size else part.values
    if not finite.size:
        return
    sizes = np.abs(finite)
    typical = float(np.median(sizes))
    high = (UNSAID if part.unit is None else HIGHEST).get(part.kind)
    if high is not None:
        if _exceeds(sizes, high) or typical > high:
            raise _too_large(part, float(sizes.max()), typical)
        _missing_above(part, high, notes)
    if part.kind == "temperature" and part.unit is None:
        raise InputError(
            f"{part.where()} has no unit: kelvin or degrees? --column {part.number}=temperature:K says it, or :degC."
        )
    if part.kind == "conductance":
        if part.unit is None and (_exceeds(sizes, NORMALISED) or typical > NORMALISED):
            raise InputError(
                f"{part.where()} has no unit and reaches {sizes.max():.3g}: a share of a range, or which unit? "
                "Name the conductances of 0 and 1 with --g-range, as 1uS:20uS, or the unit with --unit, as --unit mS."
            )
        _missing_below_zero(part, notes)
    if part.kind == "resistance" and part.unit is None and typical < LOWEST_OHMS:
        likely = _likely("resistance", typical)
        raise InputError(
            f"{part.where()} is named a resistance without a unit and is about {typical:.3g}, which is no device in "
            f"ohms; name its unit, likely {likely}: --unit {likely}."
        )
