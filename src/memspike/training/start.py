"""Chips before their first trial: devices that differ, references calibrated on them, and the first weights."""

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.arrays.programmer import OpenLoop
from memspike.cells.base import CellState, Weight
from memspike.cells.single import SingleReference, Stack, midpoint, settling_points
from memspike.devices.base import span
from memspike.devices.variation.fabricate import fabricate
from memspike.networks.base import AbstractNetwork, Cells
from memspike.parts.param import check_bounds, option


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

    def network(self, network: AbstractNetwork, digital: Sequence[bool], *, key: PRNGKeyArray) -> AbstractNetwork:
        """The network with the devices of one chip; `digital` matrices have none."""
        if self.idle or all(digital):
            return network
        keys = jax.random.split(key, len(network.crossbars))
        pairs = zip(network.crossbars, network.shapes, digital, keys, strict=True)
        return network.with_crossbars(tuple(c if d else self._crossbar(c, shape, k) for c, shape, d, k in pairs))

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


def _exact(crossbar: Crossbar, w: Weight) -> CellState:
    return crossbar.cell.place(crossbar.cell.init(w.shape), w)


class AbstractStart(eqx.Module):
    """A network of a chip → its cells before the first trial. Weights of `digital` matrices start as drawn, exactly."""

    def __check_init__(self) -> None:
        check_bounds(self)

    @abstractmethod
    def cells(self, network: AbstractNetwork, digital: Sequence[bool], *, key: PRNGKeyArray) -> Cells:
        """Fresh cells of every crossbar."""


class Exact(AbstractStart):
    """Random weights of the network, set without error."""

    gain: float = option(1.0, "s.d. of the weights at the start over that which the network suggests", bounds=(0, 1e6))

    def cells(self, network: AbstractNetwork, digital: Sequence[bool], *, key: PRNGKeyArray) -> Cells:
        """Every cell at its weight."""
        weights = network.init_weights(self.gain, key=key)
        return tuple(_exact(c, w) for c, w in zip(network.crossbars, weights, strict=True))


class AbstractFresh(AbstractStart):
    """Cells that come from a RESET; the key falls into those of weights, of cells, and one that a rule may use."""

    gain: eqx.AbstractVar[float]

    @abstractmethod
    def cell(self, crossbar: Crossbar, w: Weight, *, key: PRNGKeyArray) -> CellState:
        """Fresh cells of one crossbar."""

    def cells(self, network: AbstractNetwork, digital: Sequence[bool], *, key: PRNGKeyArray) -> Cells:
        """Fresh cells of all crossbars, each by its own key."""
        for_weights, for_cells, _ = jax.random.split(key, 3)
        weights = network.init_weights(self.gain, key=for_weights)
        keys = jax.random.split(for_cells, len(weights))
        pairs = zip(network.crossbars, weights, digital, keys, strict=True)
        return tuple(_exact(c, w) if d else self.cell(c, w, key=k) for c, w, d, k in pairs)


class Programmed(AbstractFresh):
    """Random weights of the network, by the pulses that the mean device needs, blind."""

    gain: float = option(1.0, "s.d. of the weights at the start over that which the network suggests", bounds=(0, 1e6))

    def cell(self, crossbar: Crossbar, w: Weight, *, key: PRNGKeyArray) -> CellState:
        """`OpenLoop`."""
        return OpenLoop().write(crossbar.cell, w, key=key).state


class RandomSet(AbstractFresh):
    """One SET on a random side of some of the weights; digital weights are drawn."""

    gain: float = option(0.1, "s.d. of digital weights over that which the network suggests", bounds=(0, 1e6))
    share: float = option(0.05, "share of the weights with a SET", bounds=(0, 1))

    def cell(self, crossbar: Crossbar, w: Weight, *, key: PRNGKeyArray) -> CellState:
        """RESET devices, some of them with a pulse."""
        cell = crossbar.cell
        fresh = cell.init(w.shape, key=key)
        for_side, for_share, for_pulse = jax.random.split(key, 3)
        pulses = jax.random.rademacher(for_side, w.shape, w.dtype)
        chosen = jax.random.bernoulli(for_share, self.share, w.shape)
        return cell.program(fresh, jnp.where(chosen, pulses, 0.0), key=for_pulse)[0]


class NearReset(AbstractFresh):
    """All devices at one low conductance ± 10 %: weights of nothing but read noise; digital weights are drawn."""

    gain: float = option(0.1, "s.d. of digital weights over that which the network suggests", bounds=(0, 1e6))
    conductance: float = option(0.236876e-6, "mean conductance at the start", unit="S", bounds=(0, 1e3))

    def cell(self, crossbar: Crossbar, w: Weight, *, key: PRNGKeyArray) -> CellState:
        """Devices set around `conductance`."""
        cell = crossbar.cell
        fresh = cell.init(w.shape, key=key)
        shape = (cell.programmed(), *w.shape)
        g = self.conductance * (1 + 0.1 * jax.random.normal(key, shape))
        return fresh._replace(devices=cell.device.place(fresh.devices, jnp.clip(g, *cell.conductance_range())))


def _drawn(draw: Callable[..., Array], shapes: Sequence[tuple[int, ...]], *, key: PRNGKeyArray) -> list[Array]:
    """One draw of all elements, cut into arrays of these shapes."""
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    parts = jnp.split(draw(key, (int(ends[-1]),)), ends[:-1].tolist())
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


class Around(AbstractStart):
    """Weights around a mean, kept in [0, 1], set without error."""

    mean: float = option(0.5, "weights at the start, mean", bounds=(0, 1))
    sd: float = option(0.02, "weights at the start, s.d.", bounds=(0, 1))

    def cells(self, network: AbstractNetwork, digital: Sequence[bool], *, key: PRNGKeyArray) -> Cells:
        """Every cell at its weight, on fresh devices."""
        for_w, for_cells = jax.random.split(key)
        keys = jax.random.split(for_cells, len(network.shapes))
        found = []
        for crossbar, normal, k in zip(
            network.crossbars, _drawn(jax.random.normal, network.shapes, key=for_w), keys, strict=True
        ):
            w = jnp.clip(self.mean + self.sd * normal, 0.0, 1.0)
            found.append(crossbar.cell.place(crossbar.cell.init(w.shape, key=k), w))
        return tuple(found)


class UniformShare(AbstractStart):
    """Devices at shares of their range that are uniform from 0 on."""

    most: float = option(0.3, "largest share of the range", bounds=(0, 1))

    def cells(self, network: AbstractNetwork, digital: Sequence[bool], *, key: PRNGKeyArray) -> Cells:
        """Fresh devices, set without error."""
        pairs = list(zip(network.crossbars, network.shapes, strict=True))
        shapes = [(crossbar.cell.programmed(), *shape) for crossbar, shape in pairs]
        found = []
        for (crossbar, shape), share in zip(pairs, _drawn(jax.random.uniform, shapes, key=key), strict=True):
            cell, (low, high) = crossbar.cell, crossbar.cell.conductance_range()
            fresh, g = cell.init(shape), low + share * self.most * (high - low)
            found.append(fresh._replace(devices=cell.device.place(fresh.devices, g)))
        return tuple(found)
