"""Plasticity without a rule: the voltage between two membranes moves the memory that connects them."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.cells.base import AbstractCell, Weight
from memspike.cells.range_reference import RangeReference
from memspike.devices.presets.published import pulsed_mif_synapse
from memspike.devices.pulsed import Pulsed
from memspike.learning.rules.base import Rule
from memspike.networks.base import Weights
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, check_bounds, param

Real = Float[Array, "..."]
SOURCE = (
    "idea: Zhou et al., arXiv 2203.01416 (weights move by the voltage waveforms across the synapse); device, scale and "
    "circuit: reconstruction"
)


class Waveforms(NamedTuple):
    """Membrane voltages in V of the neurons at the rows and at the columns of one matrix, at the end of every step."""

    pre: Float[Array, "steps rows"]
    post: Float[Array, "steps columns"]


def _cell() -> RangeReference:
    return RangeReference(pulsed_mif_synapse())


class WaveformSTDP(eqx.Module):
    """A memory between two membranes: dx/dt = f(x, u), u = gain·(v_pre − v_post), with the law f of the device itself.

    Nothing compares spike times. A spike alone stays below the thresholds of the device; where the spike of one
    membrane meets the undershoot of the other, the voltage exceeds them: negative for pre before post (which switches a
    VTEAM on), positive for post before pre. The undershoot decays within milliseconds, and so does the change.

    `cell` says what a state of the device is as a weight; its device must be a `Pulsed` memory, of which only the law
    counts here. `gain` is that of the buffers that hold the voltage (negative: the terminals of the device swapped).
    """

    cell: AbstractCell = eqx.field(default_factory=_cell)
    gain: Parameter = param(1.0, "1", "voltage across the synapse over v_pre − v_post", bounds=(-1e4, 1e4))
    dt: Parameter = param(10e-6, "s", "time step of the waveforms", bounds=(1e-12, 1e3))

    def __check_init__(self) -> None:
        check_bounds(self)
        if not isinstance(self.cell.device, Pulsed) or self.cell.programmed() != 1:
            raise InputError(
                "Plasticity by waveforms needs one memory device a weight, one whose law follows a voltage: Pulsed; "
                f"{type(self.cell).__name__} of {type(self.cell.device).__name__} was given."
            )

    def moved(self, x: Real, waves: Waveforms) -> Real:
        """The states [rows, columns] of the devices after the waveforms, each step held for `dt`."""
        device: Any = self.cell.device

        def step(x: Real, v: Waveforms) -> tuple[Real, None]:
            return device.device.advance(x, self.gain * (v.pre[:, None] - v.post[None, :]), self.dt), None

        return jax.lax.scan(step, x, waves)[0]

    def change(self, w: Weight, waves: Waveforms) -> Weight:
        """Δw [rows, columns] of devices that stood at the weights `w`."""
        cell, device = self.cell, self.cell.device
        start = cell.place(cell.init(w.shape), w).devices[0]

        def seen(x: Real) -> Weight:
            return cell.weight(cell.complete(device.stored(x)[None]))

        return seen(self.moved(start, waves)) - seen(start)


def stdp_waveform(plasticity: WaveformSTDP | None = None) -> Rule:
    """Local rule whose batches hold `Waveforms` for every matrix; it keeps no state of its own."""
    law = WaveformSTDP() if plasticity is None else plasticity

    def update(
        state: tuple[()], weights: Weights, batch: tuple[Waveforms, ...], *, key: PRNGKeyArray | None = None
    ) -> tuple[tuple[()], Weights, dict]:
        change = tuple(law.change(w, waves) for w, waves in zip(weights, batch, strict=True))
        size = sum(jnp.abs(dw).sum() for dw in change) / sum(w.size for w in weights)
        return (), change, {"change": size}

    return Rule(lambda weights: (), update)
