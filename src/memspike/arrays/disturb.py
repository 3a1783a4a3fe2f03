"""Passive arrays: sneak currents while one cell is read, half-selected cells while one is written.

Every line of a passive array ends in a driver or floats; biases are those of the classic schemes, for a selected
row at V and a selected column at 0 V (Chen, J. Comput. Electron. 16: 1186 (2017), doi 10.1007/s10825-017-1059-7):

    scheme      other rows    other columns    cells that share a line with the selected one see, without wires
    floating    float         float            what the array divides
    grounded    0             0                V along the row, 0 along the column
    V/2         V/2           V/2              V/2
    V/3         V/3           2V/3             V/3, and all others −V/3
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Unpack

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from memspike.arrays.curves import AbstractCurve
from memspike.arrays.solution import Wires, converged, drops_of, numbers, segments, siemens
from memspike.arrays.wires import Cells, Convergence, Real, Segments
from memspike.devices.base import AbstractDevice, AbstractStateDevice
from memspike.parts.errors import InputError, unknown
from memspike.parts.param import is_concrete

# of the unselected rows and columns, as shares of the voltage; None floats
SCHEMES: dict[str, tuple[float, float] | None] = {
    "floating": None,
    "grounded": (0.0, 0.0),
    "V/2": (1 / 2, 1 / 2),
    "V/3": (1 / 3, 2 / 3),
}


class Bias(NamedTuple):
    """Drives in V of the lines; an open line has none (its number is 0)."""

    row: Float[Array, " rows"]
    column: Float[Array, " columns"]
    row_open: Bool[Array, " rows"]
    column_open: Bool[Array, " columns"]


class Read(NamedTuple):
    """In A: `output` at the foot of the selected column, `selected` through the selected cell, `sneak` the rest.

    `across` is the voltage in V across every cell.
    """

    output: Real
    selected: Real
    sneak: Real
    across: Real
    convergence: Convergence


class Margin(NamedTuple):
    """Outputs in A with the selected cell at its highest and its lowest conductance; `margin` = 1 − low/high."""

    high: Real
    low: Real
    margin: Real


class Disturb(NamedTuple):
    """In V: voltage `across` every cell, that of the `selected` one, and the largest sizes among the other cells.

    `half` is the largest of those that share a line with the selected cell, `unselected` of all others.
    """

    across: Real
    selected: Real
    half: Real
    unselected: Real
    convergence: Convergence


class Disturbed(NamedTuple):
    """States after the pulses, and what the pulses changed."""

    state: Any
    change: Any


def half_selected(shape: tuple[int, ...], selected: tuple[Any, Any]) -> Bool[Array, "rows columns"]:
    """Which cells of an array share a row or a column with the selected one, which is not counted."""
    row, column = _is(shape[0], selected[0])[:, None], _is(shape[1], selected[1])[None]
    return row ^ column


def _is(n: int, k: Any) -> Bool[Array, " n"]:
    return jnp.arange(n) == k


def bias(shape: tuple[int, ...], selected: tuple[Any, Any], *, voltage: Any, scheme: str) -> Bias:
    """How a scheme drives the lines of an array to put `voltage` V across the cell `selected` = (row, column).

    InputError for an unknown scheme and for a cell outside the array.
    """
    if scheme not in SCHEMES:
        raise unknown("biasing scheme", scheme, SCHEMES)
    for name, k, n in zip(("row", "column"), selected, shape, strict=True):
        if is_concrete(k) and not (np.issubdtype(np.asarray(k).dtype, np.integer) and 0 <= int(k) < n):
            raise InputError(f"The selected {name} is {k}; a whole number from 0 to {n - 1} is needed.")
    v = numbers("voltage", voltage, "V", least=-np.inf)
    if v.ndim:
        raise InputError(f"voltage has shape {v.shape}; a single number is needed.")
    row, column = (_is(n, k) for n, k in zip(shape, selected, strict=True))
    shares = SCHEMES[scheme]
    others = (0.0, 0.0) if shares is None else shares
    floats = jnp.asarray(shares is None)
    return Bias(
        jnp.where(row, v, others[0] * v), jnp.where(column, 0.0, others[1] * v), ~row & floats, ~column & floats
    )


def _with_open(r: Segments, floats: Bool[Array, " lines"]) -> Segments:
    """The same lines, those that float without a driver."""
    end, far = (None if x is None else jnp.where(floats, jnp.inf, x) for x in (r.end, r.far))
    return r._replace(end=end, far=far)


@jax.jit
def _biased(
    g: Cells, drive: Bias, row: Segments, column: Segments, curve: AbstractCurve | None
) -> tuple[Cells, Cells, Convergence]:
    """Voltages across and currents through all cells under one bias."""
    e = drive.row[:, None] - drive.column[None]
    drops, device = drops_of(
        curve, g, e[..., None], _with_open(row, drive.row_open), _with_open(column, drive.column_open)
    )
    across = e + (drops.row - drops.column)[..., 0]
    return across, device[..., 0], jax.tree.map(lambda x: x[0], drops.convergence)


def _passive(g: Cells, drive: Bias, curve: AbstractCurve | None, wires: Wires) -> tuple[Cells, Cells, Convergence]:
    found = _biased(g, drive, *segments(**wires), curve)
    converged(found[2], curve)
    return found


def read_cell(
    conductances: Any,
    selected: tuple[Any, Any],
    *,
    voltage: Any,
    scheme: str,
    curve: AbstractCurve | None = None,
    **wires: Unpack[Wires],
) -> Read:
    """What the selected column of a passive array delivers while one cell is read, sneak currents included.

    `conductances` [rows, columns] in S, `selected` = (row, column), `voltage` in V on the selected row, the selected
    column at virtual ground, the other lines by `scheme`; wires and `curve` as for `solve`. Differentiable in
    conductances, voltage, resistances and curve. InputError for bad values, RunError as for `solve`.
    """
    g = siemens(conductances)
    drive = bias(g.shape, selected, voltage=voltage, scheme=scheme)
    across, device, convergence = _passive(g, drive, curve, wires)
    i, j = selected
    output, own = device[:, j].sum(), device[i, j]
    return Read(output, own, output - own, across, convergence)


def read_margin(
    conductances: Any,
    selected: tuple[Any, Any],
    *,
    g_range: tuple[Any, Any],
    voltage: Any,
    scheme: str,
    curve: AbstractCurve | None = None,
    **wires: Unpack[Wires],
) -> Margin:
    """How well a read tells the two ends `g_range` = (g_min, g_max) in S of the selected cell apart.

    `conductances` [rows, columns] in S are the background. With ohmic cells, floating lines and ideal wires the worst
    background is every cell at g_max: no sneak current falls when a conductance rises. `voltage` is in V; other
    arguments, InputError and RunError are as for `read_cell`.
    """
    g = siemens(conductances)
    low, high = (numbers(name, x, "S", least=0.0) for name, x in zip(("g_min", "g_max"), g_range, strict=True))
    outputs = [
        read_cell(g.at[selected].set(x), selected, voltage=voltage, scheme=scheme, curve=curve, **wires).output
        for x in (low, high)
    ]
    least, most = outputs
    return Margin(most, least, 1 - least / jnp.where(most == 0, 1.0, most))


def write_voltages(
    conductances: Any,
    selected: tuple[Any, Any],
    *,
    voltage: Any,
    scheme: str,
    curve: AbstractCurve | None = None,
    **wires: Unpack[Wires],
) -> Disturb:
    """The voltage in V across every cell of a passive array while one is written.

    A negative `voltage` writes the other way. Without a current the wires take nothing: what the selected cell
    lacks of `voltage`, and what half-selected cells see beyond their share, is the price of the wires.

    `conductances` [rows, columns] are in S, `voltage` is in V; other arguments, InputError and RunError are as for
    `read_cell`.
    """
    g = siemens(conductances)
    drive = bias(g.shape, selected, voltage=voltage, scheme=scheme)
    across, _, convergence = _passive(g, drive, curve, wires)
    size, half = jnp.abs(across), half_selected(g.shape, selected)
    other = ~half & ~(_is(g.shape[0], selected[0])[:, None] & _is(g.shape[1], selected[1])[None])
    worst, unselected = (jnp.where(mask, size, 0.0).max() for mask in (half, other))
    return Disturb(across, across[selected], worst, unselected, convergence)


@eqx.filter_jit
def _pulse(advance: Callable, state: Any, v: Real, width: Real, pulses: int) -> Any:
    return jax.lax.fori_loop(0, pulses, lambda _, x: advance(x, v, width), state)


def disturbed(device: AbstractDevice, state: Any, voltages: Any, *, width: Any, pulses: int) -> Disturbed:
    """The states of all cells after `pulses` square pulses of `width` s, each at its own `voltages` [rows, columns]
    in V.

    `state` is that of `device` for one cell or for all, `voltages` the map of `write_voltages`. The map stays as it
    is while states move, and nothing happens between pulses. InputError for a device without `advance`, for a width
    below 0 and for a count that is no whole number.
    """
    if not isinstance(device, AbstractStateDevice):
        raise InputError(
            f"{type(device).__name__} has no state that a voltage moves; an AbstractStateDevice is needed."
        )
    if not isinstance(pulses, int) or isinstance(pulses, bool) or pulses < 0:
        raise InputError(f"pulses is {pulses}; a whole number from 0 is needed.")
    v, dt = numbers("voltages", voltages, "V", least=-np.inf), numbers("width", width, "s", least=0.0)
    before = jax.tree.map(lambda x: jnp.broadcast_to(x, jnp.broadcast_shapes(jnp.shape(x), v.shape)), state)
    after = _pulse(device.advance, before, v, dt, pulses)
    return Disturbed(after, jax.tree.map(jnp.subtract, after, before))
