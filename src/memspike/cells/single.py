"""Devices against fixed references: one a weight, or tiles, slow ones that hold it, fast ones that learn."""

from abc import abstractmethod
from dataclasses import MISSING
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from memspike.cells.base import AbstractCell, CellState, Devices, Lines, Real, Weight, shared_range, uncounted
from memspike.devices import rows
from memspike.devices.asymmetry import symmetry_points
from memspike.devices.base import AbstractPulseDevice, span
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, check_count, option, param, part
from memspike.parts.random import normal

# what two starts of a settled device may differ by, as a share of the range
TOGETHER = 0.02
STARTS = (0.25, 0.75)


def midpoint(device: AbstractPulseDevice) -> Float[Array, ""]:
    """The reference in S in the middle of the mean range."""
    return 0.5 * (jnp.mean(jnp.asarray(device.g_min)) + jnp.mean(jnp.asarray(device.g_max)))


def at_symmetry_point(device: AbstractPulseDevice, shape: tuple[int, ...] = ()) -> Real:
    """The conductances in S where an upward and a downward pulse are equal on average, device by device.

    `shape` is that of the devices if their parameters differ: [rows, columns]. InputError for a device without
    such a point. A reference programmed there is what zero-shifting aims at (Kim et al., arXiv 1907.10228).
    """
    g = symmetry_points(device, shape)
    if not np.isfinite(np.asarray(g)).all():
        raise InputError(
            f"{type(device).__name__} has no symmetry point inside its range for "
            f"{int((~np.isfinite(np.asarray(g))).sum())} of {np.size(g)} devices; give another reference."
        )
    return g


def _two_ends(
    device: AbstractPulseDevice, shape: tuple[int, ...], pairs: int, key: PRNGKeyArray | None
) -> Float[Array, "2 ..."]:
    """Mean conductances in S over the last quarter of the pairs, from both starts with the same noise."""

    def run(share: Float[Array, ""]) -> Real:
        state = device.place(device.init(shape), device.g_min + share * span(device))

        def pair(k: Int[Array, ""], carry: tuple[Any, Real]) -> tuple[Any, Real]:
            state, total = carry
            keys = (None, None) if key is None else jax.random.split(jax.random.fold_in(key, k))
            risen = device.program(state, 1, key=keys[0])
            fallen = device.program(risen, -1, key=keys[1])
            middle = 0.5 * (device.stored(risen) + device.stored(fallen))
            return fallen, total + jnp.where(k >= pairs - late, middle, 0.0)

        late = max(pairs // 4, 1)
        return jax.lax.fori_loop(0, pairs, pair, (state, jnp.zeros_like(device.stored(state))))[1] / late

    return jax.vmap(run)(jnp.asarray(STARTS))


def settling_points(
    device: AbstractPulseDevice, shape: tuple[int, ...] = (), pairs: int = 500, *, key: PRNGKeyArray | None = None
) -> Real:
    """Conductances in S where `shape` devices settle under `pairs` pulses up and down; NaN where they do not.

    Each is the mean after the last pulses of both signs; with a key the pulses are noisy. Two starts, at a quarter and
    at three quarters of the range, have to end within 2 % of it. Source: Kim et al., arXiv 1907.10228.

    InputError for a number of pairs below 1.
    """
    check_count("The number of pairs of pulses", pairs)
    first, second = _two_ends(device, shape, pairs, key)
    return jnp.where(jnp.abs(first - second) < TOGETHER * span(device), 0.5 * (first + second), jnp.nan)


def calibrated_references(
    device: AbstractPulseDevice,
    shape: tuple[int, ...] = (),
    pairs: int = 500,
    *,
    error: float = 0.0,
    key: PRNGKeyArray | None = None,
) -> Real:
    """References in S, device by device: `settling_points`, copied with a Gaussian `error` (s.d., share of the range).

    InputError for devices that alternating pulses drive apart, or that need more of them; for a negative error, and for
    an error without a key.
    """
    if not 0 <= error < float("inf") or (error and key is None):
        raise InputError(f"The error of a reference is {error:g} of the range; 0 and above, and a key, is needed.")
    run, copy = (None, None) if key is None else jax.random.split(key)
    found = settling_points(device, shape, pairs, key=run)
    lost = ~np.isfinite(np.asarray(found))
    if lost.any():
        ends = np.asarray(_two_ends(device, shape, pairs, run) / span(device), float)
        away = (np.abs(ends[1] - ends[0]) > STARTS[1] - STARTS[0] + TOGETHER).sum()
        what = "are driven away from their symmetry point by" if away else "have not settled after"
        more = "give another reference" if away else "give more, or another reference"
        raise InputError(
            f"{away or lost.sum()} of {lost.size} devices ({type(device).__name__}) {what} {pairs} pairs of pulses up "
            f"and down; {more}."
        )
    if copy is None:
        return found
    return jnp.clip(found + error * span(device) * normal(copy, found.shape), device.g_min, device.g_max)


class AbstractReferenced(AbstractCell):
    """Devices, of which the first holds the weight and takes its pulses, each against a resistor that takes none.

    Lines: all devices, then all references.
    """

    start = uncounted

    @abstractmethod
    def shares(self) -> Float[Array, " devices"]:
        """How each device, less its reference, counts in the weight."""

    @abstractmethod
    def fixed(self) -> Parameter:
        """The references in S: one number or one a device, [rows, columns] or [devices, rows, columns]."""

    def gains(self) -> Float[Array, " lines"]:
        """The shares of the devices, and less them of the references."""
        return jnp.concatenate([self.shares(), -self.shares()])

    def conductances(self, w: Weight) -> Lines:
        """The first device at w·unit above its reference, the others at theirs."""
        held = jnp.concatenate([w[None], jnp.zeros((self.programmed() - 1, *w.shape), w.dtype)])
        fixed = jnp.broadcast_to(jnp.asarray(self.fixed(), w.dtype), held.shape)
        return self.complete(self.clip(fixed + held * self.unit()))

    def complete(self, g: Devices) -> Lines:
        """The devices and their references."""
        return jnp.concatenate([g, jnp.broadcast_to(jnp.asarray(self.fixed(), g.dtype), g.shape)])

    def deal(self, pulses: Weight, counter: Real) -> tuple[Devices, Real]:
        """All pulses to the first device."""
        others = jnp.zeros((self.programmed() - 1, *pulses.shape), pulses.dtype)
        return jnp.concatenate([pulses[None], others]), counter


class _AbstractOne(AbstractReferenced):
    """One device."""

    def shares(self) -> Float[Array, " devices"]:
        """1."""
        return jnp.ones(1)

    def programmed(self) -> int:
        """The device."""
        return 1


class SingleReference(_AbstractOne):
    """A weight w is (G − G_ref)/(scale·(G_max − G_min)/2); G_ref is a resistor that takes no pulses.

    With the reference in the middle of the range (`midpoint`) w lies in [−1, 1]; with one at the symmetry point of
    the device (`at_symmetry_point`) the range of w shifts. `reference` may differ from cell to cell.
    """

    device: AbstractPulseDevice = part(MISSING, "the device of the cell")
    reference: Parameter = param(
        None, "S", "reference conductance", bounds=(0, 1e3), otherwise=lambda given: midpoint(given["device"])
    )
    scale: Parameter = param(1.0, "1", "conductance difference of w = 1 over half the range", bounds=(1e-6, 1e6))

    def unit(self) -> Float[Array, ""]:
        """scale·(G_max − G_min)/2."""
        return 0.5 * self.scale * shared_range(self)[1]

    def fixed(self) -> Parameter:
        """The reference."""
        return self.reference


class RangeReference(_AbstractOne):
    """A weight w is (G − G_ref)/(G_max − G_min) with G_ref = G_min + share·(G_max − G_min): w in [−share, 1 − share].

    With the share 0 weights lie in [0, 1]. The reference takes no pulses, and is that of the mean range for every cell.
    """

    device: AbstractPulseDevice = part(MISSING, "the device of the cell")
    share: Parameter = param(0.0, "1", "where the reference lies in the range of the device", bounds=(0, 1))

    def unit(self) -> Float[Array, ""]:
        """G_max − G_min."""
        return shared_range(self)[1]

    def fixed(self) -> Parameter:
        """G_ref."""
        low, width = shared_range(self)
        return low + self.share * width


class Stack(AbstractReferenced):
    """w = Σ_k γ^k·(G_k − R_k)/(scale·(G_max − G_min)/2): tile 0 is the slow one, the last the fastest.

    With γ = 0, the default, a read sees tile 0 alone, and the others are there for a scheme such as Tiki-Taka to learn
    on. `reference` is R in S, one number or one a device, [rows, columns] or [tiles, rows, columns]: in the middle of
    the range (`midpoint`), at the symmetry point (`at_symmetry_point`), or anywhere beside it. Weights are placed and
    pulsed on tile 0; the other tiles are placed at their references. Lines: all devices, then all references.
    """

    device: AbstractPulseDevice = part(MISSING, "the device of every tile")
    reference: Parameter = param(
        None, "S", "reference conductance", bounds=(0, 1e3), otherwise=lambda given: midpoint(given["device"])
    )
    tiles: int = option(2, "tiles of devices", bounds=(2, 1024))
    gamma: Parameter = param(0.0, "1", "γ: what a tile counts over the one before it", bounds=(0, 1))
    scale: Parameter = param(1.0, "1", "conductance difference of w = 1 over half the range", bounds=(1e-6, 1e6))

    def unit(self) -> Float[Array, ""]:
        """scale·(G_max − G_min)/2."""
        return 0.5 * self.scale * shared_range(self)[1]

    def shares(self) -> Float[Array, " devices"]:
        """1, γ, γ², …"""
        return jnp.cumprod(jnp.concatenate([jnp.ones(1), jnp.full(self.tiles - 1, self.gamma)]))

    def programmed(self) -> int:
        """One device a tile."""
        return self.tiles

    def fixed(self) -> Parameter:
        """The references."""
        return self.reference

    def read_row(
        self, state: CellState, tile: int, row: Int[Array, " reads"], *, key: PRNGKeyArray | None = None
    ) -> tuple[Float[Array, "reads columns"], CellState]:
        """(G − R)/unit of rows of a tile, and the state, to which writes come afterwards; with a key, with the read
        noise of the devices.

        One normal a device read; a row beyond the last reads as the last.
        """
        shape = self.device.stored(state.devices).shape
        here, devices = rows.taken(state.devices, shape, tile, row)
        moments = rows.part_of(self.device, shape, tile, row).read_moments(here)
        fixed = rows.part_of(jnp.asarray(self.reference, moments.mean.dtype), shape, tile, row)
        mean, sd, fixed = (jnp.broadcast_to(x, (1, *row.shape, shape[2]))[0] for x in (*moments, fixed))
        seen = mean if key is None else mean + sd * normal(key, mean.shape, mean.dtype)
        return (seen - fixed) / self.unit(), state._replace(devices=devices)
