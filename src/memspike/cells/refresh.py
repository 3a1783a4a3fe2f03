"""Pairs that are written from one side only fill up; refresh empties them and keeps their difference."""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from memspike.cells.base import AbstractCell, CellState, Devices
from memspike.cells.single import AbstractReferenced
from memspike.devices.base import Seconds
from memspike.devices.part import AbstractPart
from memspike.devices.targets import open_loop
from memspike.parts.param import Parameter, param
from memspike.parts.refusals import OneSided


class Refreshed(NamedTuple):
    """The state afterwards; signed pulses and RESETs of every device; which cells were refreshed."""

    state: CellState
    pulses: Devices
    resets: Devices
    where: Bool[Array, "rows columns"]


class Refresh(AbstractPart):
    """Read, RESET, rewrite: for cells whose fuller side is above `above` while its sides differ by less than `apart`.

    All thresholds are shares of the conductance range of one device, compared with the mean of each side; the emptier
    side may be asked to be above `emptier` as well. The difference is then written blind, by the pulses that the mean
    device needs, on the side of its sign. The defaults are those of the multi-memristive scheme, 9 µS and 4.5 µS of
    12 µS; aihwkit's one-sided cell has above = 0.75, emptier = 0.25 and no limit to the difference (apart = 2).
    """

    source: ClassVar[str] = "released code of Demirağ et al., arXiv 2108.01804; thresholds as of its schemes"

    above: Parameter = param(0.75, "1", "mean conductance of the fuller side over the range", bounds=(0, 1))
    apart: Parameter = param(0.375, "1", "difference of the sides over the range below which it acts", bounds=(0, 2))

    emptier: Parameter = param(
        -1.0, "1", "mean conductance of the emptier side over the range above which it acts", bounds=(-1, 1)
    )

    def check(self, cell: AbstractCell) -> None:
        """InputError for cells without two sides."""
        if isinstance(cell, AbstractReferenced):
            raise OneSided(type(cell).__name__)

    def due(self, cell: AbstractCell, g: Devices) -> Bool[Array, "rows columns"]:
        """Which cells need it, by the conductances of their devices."""
        low, high = cell.conductance_range()
        plus, minus = _sides(cell, (g - low) / (high - low))
        full = (jnp.maximum(plus, minus) > self.above) & (jnp.minimum(plus, minus) > self.emptier)
        return full & (jnp.abs(plus - minus) < self.apart)

    def apply(
        self, cell: AbstractCell, state: CellState, t: Seconds = 0.0, *, key: PRNGKeyArray | None = None
    ) -> Refreshed:
        """Refresh what is due; with a key the read, `t` seconds from now, the RESET and the pulses are noisy.

        Without a key the controller knows the stored conductances exactly. InputError for cells without two sides.
        """
        self.check(cell)
        read_key, reset_key, write_key = (None, None, None) if key is None else jax.random.split(key, 3)
        n = cell.programmed()
        g = cell.stored(state)[:n] if key is None else cell.read(state, t, key=read_key)[:n]
        where = self.due(cell, g)
        low, _ = cell.conductance_range()
        plus, minus = _sides(cell, g)
        gap = (plus - minus)[None]
        positive = (cell.gains()[:n] > 0)[:, None, None]
        target = low + jnp.where(positive, jnp.maximum(gap, 0.0), jnp.maximum(-gap, 0.0))
        blank = cell.device.reset(state.devices, key=reset_key)
        # no second RESET of a device that its first left a little high
        inside = jnp.clip(target, cell.device.g_min, cell.device.g_max)
        target = jnp.maximum(inside, cell.device.stored(blank))
        done = open_loop(cell.device, blank, target, fresh=False, key=write_key)
        everywhere = jnp.broadcast_to(where[None], g.shape)
        devices = jax.tree.map(lambda a, b: jnp.where(everywhere, a, b), done.state, state.devices)
        pulses = jnp.where(everywhere, done.up - done.down, 0).astype(g.dtype)
        return Refreshed(state._replace(devices=devices), pulses, everywhere.astype(g.dtype), where)


def _sides(cell: AbstractCell, x: Devices) -> tuple[Float[Array, "rows columns"], Float[Array, "rows columns"]]:
    """The mean over the devices of the positive and of the negative side."""
    gains = cell.gains()[: cell.programmed()].astype(x.dtype)
    plus, minus = (jnp.maximum(sign * gains, 0.0) for sign in (1, -1))
    return jnp.tensordot(plus, x, axes=1) / plus.sum(), jnp.tensordot(minus, x, axes=1) / minus.sum()
