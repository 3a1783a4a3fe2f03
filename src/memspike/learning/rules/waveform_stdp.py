"""Plasticity without a rule: the voltage between two membranes moves the memory that connects them."""

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.cells.base import AbstractCell, Weight
from memspike.cells.single import RangeReference
from memspike.devices.part import AbstractPart
from memspike.devices.presets.published import pulsed_mif_synapse
from memspike.devices.pulsed import Pulsed
from memspike.learning.objectives import AbstractObjective
from memspike.learning.rules import base
from memspike.learning.rules.base import AbstractRule, Batch, Optimizer, Update, View
from memspike.learning.rules.stdp import Trains, begin, check_alone, late, named, voted, watched
from memspike.networks.base import AbstractNetwork
from memspike.networks.populations import Associative
from memspike.neurons.driver import Driver
from memspike.parts.param import Parameter, option, param, part
from memspike.parts.refusals import NoLawToFollow
from memspike.parts.registry import RULES

Real = Float[Array, "..."]
SOURCE = (
    "idea: Zhou et al., arXiv 2203.01416 (weights move by the voltage waveforms across the synapse); device, scale and "
    "circuit: reconstruction"
)


class Waveforms(NamedTuple):
    """Membrane voltages in V of the neurons at the rows and at the columns of one matrix, at the end of every step."""

    pre: Float[Array, "steps rows"]
    post: Float[Array, "steps columns"]


class WaveformSTDP(AbstractPart):
    """A memory between two membranes: dx/dt = f(x, u), u = gain·(v_pre − v_post), with the law f of the device itself.

    Nothing compares spike times. A spike alone stays below the thresholds of the device; where the spike of one
    membrane meets the undershoot of the other, the voltage exceeds them: negative for pre before post (which switches a
    VTEAM on), positive for post before pre. The undershoot decays within milliseconds, and so does the change.

    `cell` says what a state of the device is as a weight; its device must be a `Pulsed` memory, of which only the law
    counts here. `gain` is that of the buffers that hold the voltage (negative: the terminals of the device swapped).
    """

    cell: AbstractCell = part(lambda: RangeReference(pulsed_mif_synapse()), "what a state of its device is as a weight")
    gain: Parameter = param(1.0, "1", "voltage across the synapse over v_pre − v_post", bounds=(-1e4, 1e4))
    dt: Parameter = param(10e-6, "s", "time step of the waveforms", bounds=(1e-12, 1e3))

    def __check_init__(self) -> None:
        if not isinstance(self.cell.device, Pulsed) or self.cell.programmed() != 1:
            raise NoLawToFollow(type(self.cell).__name__, type(self.cell.device).__name__)

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


@RULES.register(
    "stdp-waveform",
    "the voltage between the waveforms of two neurons moves the device between them",
    SOURCE,
)
class WaveformRule(AbstractRule):
    """`WaveformSTDP` by the devices of the network's own crossbar; the scheme `ideal` lets them move by themselves.

    On a winner-take-all layer row spikes meet the column spikes that come back `delay` seconds later; in an associative
    network every neuron meets every other, with no current in the columns. A spike injects a current with the `peak`
    into the neuron of its line.
    """

    source: ClassVar[str] = SOURCE
    keys, prepare, init, classes = base.two_keys, base.untouched, begin, named  # pyright: ignore

    gain: Parameter = param(1.0, "1", "voltage across a synapse over v_pre − v_post", bounds=(-1e4, 1e4))
    peak: Parameter = param(5e-6, "A", "peak of the current of one spike", bounds=(0, 1))
    delay: float = option(1e-3, "from a spike of a neuron to its arrival at the synapses", unit="s", bounds=(0, 1e6))

    def check(self, network: AbstractNetwork, objective: AbstractObjective, batch: int) -> None:
        """A winner-take-all layer or an associative network, on memories whose law can be followed."""
        check_alone(network, batch, "Plasticity by waveforms", Associative)
        WaveformSTDP(network.crossbars[0].cell)

    def driver(self, view: View) -> Driver:
        """What makes the neurons of an associative network spike, or those at the lines of a winner-take-all layer."""
        network = view.network
        return Driver(network.neuron, peak=self.peak) if isinstance(network, Associative) else Driver(peak=self.peak)

    def update(self, state: Any, view: View, batch: Batch, optimizer: Optimizer, *, key: PRNGKeyArray) -> Update:
        """A presentation of spikes [steps, rows]. Only the metrics see the target: the class, or the stored pattern."""
        dt, driver = view.clock.dt, self.driver(view)
        if isinstance(view.network, Associative):
            v = driver(batch.x, dt)
            change = self._change(view, Waveforms(v, v))
            return Update(state, change, {"loss": _contrast(view.weights()[0], batch.target)})
        seen = watched(state, view, batch.x, key)
        trains = Trains(batch.x, late(seen.z, self.delay, dt))
        change = self._change(view, Waveforms(driver(trains.pre, dt), driver(trains.post, dt)))
        state, metrics = voted(state, view, seen, trains, batch.target)
        return Update(state, change, metrics)

    def _change(self, view: View, waves: Waveforms) -> tuple[Array, ...]:
        """What the devices do by themselves."""
        law = WaveformSTDP(view.network.crossbars[0].cell, gain=self.gain, dt=view.clock.dt)
        return (law.change(view.weights()[0], waves),)

    def run(self, state: Any, view: View, x: Any, *, key: PRNGKeyArray | None) -> Any:
        """Trials without learning: presentations, or spikes that drive an associative network."""
        if isinstance(view.network, Associative):
            current = self.driver(view).current(x, view.clock.dt)
            return view.network.run(view.readings(), current, view.clock, key=key)
        return watched(state, view, x, key)


def _contrast(w: Float[Array, "n n"], pattern: Float[Array, " n"]) -> Real:
    """1 less the mean weight inside a pattern above that outside of it."""
    others = 1 - jnp.eye(w.shape[0])
    inside = pattern[:, None] * pattern[None] * others
    outside = others - inside
    return 1 - (w * inside).sum() / inside.sum() + (w * outside).sum() / outside.sum()
