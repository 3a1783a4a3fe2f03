"""What differs from chip to chip: spread of the devices, and references calibrated on them."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.cells.single import SingleReference, Stack, midpoint, settling_points
from memspike.devices.base import span
from memspike.devices.variation.fabricate import fabricate
from memspike.networks.base import AbstractNetwork


class Fabrication(eqx.Module):
    """Spread of device parameters by their paths, probability of a stuck cell, and how references are found.

    `calibration` is the number of pairs of pulses up and down by which every device finds the reference where it
    settles, mid-range if nowhere; it is copied with a Gaussian `error` (s.d., share of the range). None leaves the
    references as they are.
    """

    spread: dict[str, Any] = eqx.field(default_factory=dict)
    stuck: float | tuple[float, float] = eqx.field(static=True, default=0.0)
    calibration: int | None = eqx.field(static=True, default=None)
    error: float = eqx.field(static=True, default=0.0)

    @property
    def idle(self) -> bool:
        """Whether chips come out alike."""
        return not self.spread and not self.stuck and self.calibration is None

    def network(self, network: AbstractNetwork, *, key: PRNGKeyArray) -> AbstractNetwork:
        """The network with the devices of one chip."""
        if self.idle:
            return network
        keys = jax.random.split(key, len(network.crossbars))
        pairs = zip(network.crossbars, network.shapes, keys, strict=True)
        return network.with_crossbars(tuple(self._crossbar(c, shape, k) for c, shape, k in pairs))

    def _crossbar(self, nominal: Crossbar, shape: tuple[int, int], key: PRNGKeyArray) -> Crossbar:
        cell = nominal.cell
        for_devices, for_reference = jax.random.split(key)
        if self.spread or self.stuck:
            every = (cell.programmed(), *shape)
            device = fabricate(cell.device, self.spread, shape=every, stuck=self.stuck, key=for_devices)
            cell = eqx.tree_at(lambda c: c.device, cell, device)
        if isinstance(cell, SingleReference | Stack) and self.calibration is not None:
            cell = eqx.tree_at(lambda c: c.reference, cell, self._references(cell, nominal, shape, for_reference))
        return eqx.tree_at(lambda c: c.cell, nominal, cell)

    def _references(
        self, cell: SingleReference | Stack, nominal: Crossbar, shape: tuple[int, int], key: PRNGKeyArray
    ) -> Any:
        """Where every device settles under alternating pulses, copied with the error."""
        assert self.calibration is not None
        for_pulses, for_copy = jax.random.split(key)
        points = settling_points(cell.device, (cell.programmed(), *shape), self.calibration, key=for_pulses)
        if isinstance(cell, SingleReference):
            points = points[0]
        device = nominal.cell.device
        missed = self.error * span(device) * jax.random.normal(for_copy, points.shape)
        middle = jnp.where(jnp.isnan(points), midpoint(device), points)
        return jnp.clip(middle + missed, *nominal.cell.conductance_range())
