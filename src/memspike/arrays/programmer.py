"""How a matrix of weights gets onto devices: by the fitted error of a device, blind, or pulse by pulse with reads."""

from abc import abstractmethod
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from memspike.cells.base import AbstractCell, CellState, Devices, Weight
from memspike.devices.base import counts as as_float
from memspike.devices.part import AbstractPart
from memspike.devices.targets import Programmed, open_loop, write_verify
from memspike.parts.param import Parameter, option, param
from memspike.parts.registry import PROGRAMMERS


class Written(NamedTuple):
    """A programmed matrix: its state, pulses of either sign, RESETs and verify reads of every device, and who missed.

    All but the state are [devices, rows, columns].
    """

    state: CellState
    up: Devices
    down: Devices
    resets: Devices
    reads: Devices
    failed: Bool[Array, "devices rows columns"]


def _written(state: CellState, done: Programmed) -> Written:
    up, down, resets, reads = (as_float(n) for n in (done.up, done.down, done.resets, done.reads))
    return Written(state._replace(devices=done.state), up, down, resets, reads, done.failed)


class AbstractProgrammer(AbstractPart):
    """Weights [rows, columns] → a matrix of cells whose devices were RESET and then programmed."""

    @abstractmethod
    def write(self, cell: AbstractCell, w: Weight, *, key: PRNGKeyArray | None) -> Written:
        """The programmed matrix; without a key, free of noise."""


def _target(cell: AbstractCell, w: Weight) -> Float[Array, "devices rows columns"]:
    return cell.conductances(w)[: cell.programmed()]


@PROGRAMMERS.register("statistical", "devices put at their target with the fitted error of the device, if it has one")
class Statistical(AbstractProgrammer):
    """`place` of the device: for models of what programming leaves behind. No pulses are counted."""

    def write(self, cell: AbstractCell, w: Weight, *, key: PRNGKeyArray | None) -> Written:
        """The programmed matrix."""
        state = cell.place(cell.init(w.shape), w, key=key)
        none = jnp.zeros((cell.programmed(), *w.shape))
        return Written(state, none, none, none, none, none > 0)


@PROGRAMMERS.register("open-loop", "RESET, then the pulses that the mean device needs; no read")
class OpenLoop(AbstractProgrammer):
    """`memspike.devices.open_loop` on every device of the matrix."""

    most: int = option(1000, "pulses a device at the most", bounds=(0, 1_000_000_000))

    def write(self, cell: AbstractCell, w: Weight, *, key: PRNGKeyArray | None) -> Written:
        """The programmed matrix. InputError as in `open_loop`."""
        state = cell.init(w.shape, key=key)
        return _written(state, open_loop(cell.device, state.devices, _target(cell, w), most=self.most, key=key))


@PROGRAMMERS.register("write-verify", "pulses and noisy reads in turn until within tolerance")
class WriteVerify(AbstractProgrammer):
    """`memspike.devices.write_verify` on every device of the matrix.

    A drifting device meets its target `settle` seconds after its last pulse.
    """

    tolerance: Parameter = param(0.01, "1", "accepted error over the conductance range", bounds=(1e-9, 1))
    settle: Parameter = param(1.0, "s", "time from a pulse to its verify read", bounds=(0, 1e9))
    reads: int = option(1, "noisy reads of one verify; 0 is one without noise", bounds=(0, 1_000_000))
    most: int = option(1000, "pulses a device at the most", bounds=(0, 1_000_000_000))

    def write(self, cell: AbstractCell, w: Weight, *, key: PRNGKeyArray | None) -> Written:
        """The programmed matrix. InputError as in `write_verify`."""
        state = cell.init(w.shape, key=key)
        done = write_verify(
            cell.device,
            state.devices,
            _target(cell, w),
            tolerance=self.tolerance,
            most=self.most,
            settle=self.settle,
            reads=self.reads,
            key=key,
        )
        return _written(state, done)
