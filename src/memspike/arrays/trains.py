"""Trains of pulses on an array: what kinds there are, and the energy, time and V² that they cost."""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from memspike.cells.base import Lines
from memspike.devices.base import Real
from memspike.devices.presets.neurosim import WritePulse
from memspike.parts.errors import InputError
from memspike.parts.param import is_concrete

Quantity = Float[Array, "..."] | float | None


class Pulse(NamedTuple):
    """One kind of pulse: voltage (V), width (s), and energy (J per pulse) where it is not to be computed from V."""

    v: Quantity = None
    width: Quantity = None
    energy: Quantity = None


KINDS = ("potentiating", "depressing")


class Drive(NamedTuple):
    """The pulses of a device. Without `down` a negative count is one full RESET, as in phase-change memory."""

    up: Pulse
    down: Pulse | None = None
    reset: Pulse | None = None

    @staticmethod
    def of(pulse: WritePulse, reset: Pulse | None = None) -> "Drive":
        """The drive of a parameter set, such as `from_table(name).pulse`."""
        return Drive(Pulse(pulse.v_up, pulse.width_up), Pulse(pulse.v_down, pulse.width_down), reset)


def checked(what: str, value: Quantity, unit: str, *, least: float = -math.inf) -> Real:
    """The quantity as an array; InputError where it is not known, not finite or below `least`."""
    if value is None:
        raise InputError(
            f"The {what} is not known; give it in the drive, or an energy per pulse (Pulse.energy) with its width."
        )
    if is_concrete(value):
        bad = np.asarray(value, float)
        bad = bad[~(np.isfinite(bad) & (bad >= least))]
        if bad.size:
            allowed = "a finite number" if math.isinf(least) else f"a finite number from {least:g} {unit} on"
            raise InputError(f"The {what} is {bad.flat[0]:g} {unit}; {allowed} is needed.")
    return jnp.asarray(value, jnp.result_type(float))


class TrainCost(NamedTuple):
    """One polarity of a write: energy (J), time of the trains (s) and Σ V² summed over the rows."""

    energy: Real
    seconds: Real
    square: Real


def row_by_row(each: Lines) -> Float[Array, ""]:
    """Time of one phase of a write, given what every device needs: rows in turn, a row as long as its longest."""
    return each.max((0, 2)).sum()


class Trains(NamedTuple):
    """Pulses of one polarity on all devices, and their mean conductances in S."""

    number: Lines
    g: Lines

    def _full(self, each: Real) -> Real:
        return jnp.broadcast_to(each, self.number.shape)

    def pulses(self, each: Real) -> Real:
        """Σ n·each."""
        return self._sum(self.number * self._full(each))

    def charge(self, each: Real) -> Real:
        """Σ n·G·each."""
        return self._sum(self.number * self.g * self._full(each))

    def longest(self, each: Real) -> Real:
        """`row_by_row` of n·each; one number for all devices is multiplied afterwards."""
        return each * row_by_row(self.number) if each.ndim == 0 else row_by_row(self.number * self._full(each))

    @staticmethod
    def _sum(x: Lines) -> Real:
        """Row by row and then of the rows: a sum of a large array in one go loses digits."""
        return x.sum(-1).sum()


class Summed(NamedTuple):
    """The same of which only sums are known, for pulses that are the same for all devices."""

    number: Real
    charged: Real
    trains: Float[Array, " rows"]

    def pulses(self, each: Real) -> Real:
        """Σ n·each."""
        return self.number * each

    def charge(self, each: Real) -> Real:
        """Σ n·G·each."""
        return self.charged * each

    def longest(self, each: Real) -> Real:
        """Σ over rows of the longest train, times each."""
        return each * self.trains.sum()


def part_of(name: str, pulse: Pulse, trains: Trains | Summed, energy: Real | None = None) -> TrainCost:
    """What trains of pulses cost; with `energy` that is taken as it is."""
    width = checked(f"width of a {name} pulse", pulse.width, "s", least=0.0)
    square = jnp.zeros(())
    if pulse.v is not None or (energy is None and pulse.energy is None):
        square = jnp.square(checked(f"voltage of a {name} pulse", pulse.v, "V"))
    if energy is None and pulse.energy is not None:
        energy = trains.pulses(checked(f"energy of a {name} pulse", pulse.energy, "J", least=0.0))
    if energy is None:
        energy = trains.charge(square * width)
    return TrainCost(energy, trains.longest(width), trains.longest(square))


def one_for_all(drive: Drive | WritePulse | None) -> bool:
    """Whether pulses go both ways and are the same for all devices, so that their sums are enough (`taken`)."""
    if drive is None:
        return False
    drive = drive if isinstance(drive, Drive) else Drive.of(drive)
    each = [x for pulse in (drive.up, drive.down) if pulse is not None for x in pulse if x is not None]
    return drive.down is not None and all(jnp.ndim(x) == 0 for x in each)
