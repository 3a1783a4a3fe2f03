"""From a checked configuration to a recurrent network on crossbars, its rule and its scheme."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.arrays.ledger import Drive, Pulse
from memspike.arrays.programmer import OpenLoop
from memspike.cells.base import AbstractCell, CellState
from memspike.cells.differential import DifferentialPair
from memspike.cells.multi import MultiDevice
from memspike.devices.base import AbstractPulseDevice
from memspike.devices.constant_step import ConstantStep
from memspike.devices.pcm import PCM
from memspike.devices.variation.base import AbstractWrapper
from memspike.devices.variation.fabricate import fabricate
from memspike.devices.variation.flicker import Flicker
from memspike.devices.variation.limited_endurance import LimitedEndurance
from memspike.devices.variation.spread import Absolute, AbstractSpread
from memspike.experiments.learner import AbstractLearner, Chip
from memspike.experiments.named import pulse_device
from memspike.experiments.online_config import DeviceConfig, LearningConfig, NeuronConfig, OnlineConfig
from memspike.experiments.schemes import scheme_on_pairs
from memspike.learning.programming.base import Scheme
from memspike.learning.rules.base import Rule
from memspike.learning.rules.eprop import (
    AbstractFeedback,
    AbstractObjective,
    Adaptive,
    Broadcast,
    Eprop,
    Symmetric,
    Trial,
)
from memspike.networks.recurrent import Recurrent, clock
from memspike.neurons.lif import AbstractSpikingNeuron
from memspike.parts.errors import InputError
from memspike.parts.registry import NEURONS, RULES, SURROGATES

Real = Float[Array, "..."]
SET_WIDTH, RESET_WIDTH = 50e-9, 50e-9
CELLS = ("input", "recurrent", "output")


def _ablated(device: AbstractPulseDevice, given: DeviceConfig) -> AbstractPulseDevice:
    """The device without the effects that are switched off, and with those that are added."""
    off = {
        "write_noise": ("noise_slope", "noise_offset", "noise_history"),
        "drift": ("nu", "state_drift"),
        "read_noise": ("read_slope", "read_offset"),
    }
    zero = [name for key, names in off.items() if not getattr(given, key) for name in names]
    changed = bool(zero) or given.state_drift or given.persistent > 0
    if not changed:
        return device
    if not isinstance(device, PCM):
        keys = [f"device.{key}" for key in off if not getattr(given, key)]
        keys += [key for key, on in (("device.state_drift", given.state_drift), ("device.persistent", True)) if on]
        raise InputError(f"{keys[0]} can be changed for device.device=pcm only; {given.device} was given.")
    values = dict.fromkeys(zero, 0.0) | {"persistent": given.persistent}
    if given.state_drift and given.drift:
        values["state_drift"] = 1.0
    return eqx.tree_at(
        lambda d: [getattr(d, name) for name in values], device, [jnp.asarray(v) for v in values.values()]
    )


def device_of(given: DeviceConfig) -> AbstractPulseDevice:
    """The pulse device that a configuration names, or the ideal one of `bits`."""
    device = pulse_device(given.device, AbstractPulseDevice)
    if given.bits is not None:
        low, high = (jnp.mean(jnp.asarray(g)) for g in (device.g_min, device.g_max))
        return ConstantStep(g_min=low, g_max=high, pulses_up=2.0**given.bits, pulses_down=2.0**given.bits)
    device = _ablated(device, given)
    if given.life is not None:
        device = LimitedEndurance(device, endurance=given.life)
    return Flicker(device, strength=given.flicker) if given.flicker > 0 else device


def cell_of(given: DeviceConfig, digital: bool) -> AbstractCell:
    """Pairs of devices, or several a side; digital memory as a pair that holds any weight in [−1, 1]."""
    if digital:
        return DifferentialPair(ConstantStep(g_min=1e-6, g_max=100e-6))
    device = device_of(given)
    width = jnp.mean(jnp.asarray(device.g_max)) - jnp.mean(jnp.asarray(device.g_min))
    scale = given.siemens * given.shrink / width
    if given.devices_per_side == 1:
        return DifferentialPair(device, scale=scale)
    return MultiDevice(device, per_side=given.devices_per_side, scale=scale)


def neuron_of(given: NeuronConfig) -> AbstractSpikingNeuron:
    """LIF or ALIF with its surrogate."""
    shared = {
        "tau": given.tau,
        "theta": given.theta,
        "refractory": given.refractory,
        "soft": given.reset == "soft",
        "surrogate": SURROGATES.get(given.surrogate).value(),
    }
    if given.kind == "lif":
        return NEURONS.get("lif").value(**shared)
    adapts = np.arange(given.count) < round(given.adaptive * given.count)
    return NEURONS.get("alif").value(tau_a=given.tau_a, beta=given.beta * adapts, **shared)


def _rates(given: LearningConfig, updates: int) -> optax.GradientTransformation:
    """A learning rate for each matrix, falling linearly to its last value; Adam, if asked for."""
    rates = [given.rate_factor * r for r in given.rates]

    def scaled(update: Any, params: Any = None) -> Any:
        return update[0] * -rates[0], update[1] * -rates[1], update[2] * -rates[2]

    links = [optax.scale_by_adam()] if given.adam else []
    links.append(optax.stateless(scaled))
    if given.anneal < 1:
        links.append(optax.scale_by_schedule(optax.linear_schedule(1.0, given.anneal, max(updates, 1))))
    return optax.chain(*links)


class Learner(AbstractLearner):
    """A recurrent network on three crossbars with e-prop, and the time between trials.

    `network` is the nominal one; `fabricated` draws that of a chip.
    """

    config: OnlineConfig = eqx.field(static=True)
    network: Recurrent
    error: AbstractObjective
    scheme: Scheme = eqx.field(static=True)
    updates: int = eqx.field(static=True)
    steps: int = eqx.field(static=True)

    @property
    def individual(self) -> bool:
        """Where devices have deviations of their own."""
        return bool(self._spread()) and not self.scheme.digital

    def _spread(self) -> dict[str, AbstractSpread]:
        """What differs from device to device, by the path of the parameter."""
        given, inside, device = self.config.device, "", self.network.crossbars[0].cell.device
        while isinstance(device, AbstractWrapper):
            inside, device = inside + "device.", device.device
        spread: dict[str, AbstractSpread] = {inside + "deviation": Absolute(1.0)} if given.persistent > 0 else {}
        if given.state_drift:
            spread[inside + "nu_deviation"] = Absolute(1.0)
        return spread

    def crossbars(self) -> dict[str, Crossbar]:
        """Input, recurrent and output crossbar."""
        return dict(zip(CELLS, self.network.crossbars, strict=True))

    def fabricated(self, key: PRNGKeyArray) -> Recurrent:
        """The network of one chip: its devices with their own deviations, where the configuration asks for them."""
        if not self.individual:
            return self.network
        spread = self._spread()
        keys = jax.random.split(key, 3)

        def one(crossbar: Crossbar, shape: tuple[int, int], k: PRNGKeyArray) -> Crossbar:
            cell = crossbar.cell
            device = fabricate(cell.device, spread, shape=(cell.programmed(), *shape), key=k)
            return eqx.tree_at(lambda c: c.cell.device, crossbar, device)

        made = [one(c, s, k) for c, s, k in zip(self.network.crossbars, self.network.shapes, keys, strict=True)]
        return eqx.tree_at(lambda n: n.crossbars, self.network, tuple(made))

    def problem(self, network: Recurrent, feedback: Real) -> Eprop:
        """e-prop on a chip's network with given feedback weights."""
        learning = self.config.learning
        kinds: dict[str, Callable[[], AbstractFeedback]] = {
            "symmetric": Symmetric,
            "random": lambda: Broadcast(feedback),
            "adaptive": lambda: Adaptive(feedback),
        }
        return Eprop(
            network,
            clock(self.steps, self.config.time.dt, 1 if self.scheme.digital else self.config.time.parts),
            self.error,
            kinds[learning.feedback](),
            rate_weight=learning.rate_weight,
            rate=learning.target_rate,
            clip=learning.clip,
            lead=int(learning.released),
        )

    def rule(self, network: Recurrent, feedback: Real) -> Rule:
        """The rule of that problem."""
        learning = self.config.learning
        return RULES.get(learning.rule).value(self.problem(network, feedback), _rates(learning, self.updates))

    def feedback(self, key: PRNGKeyArray) -> Real:
        """Random feedback weights [neurons, outputs] of a chip."""
        _, neurons, outputs = self.network.sizes
        return self.config.learning.feedback_gain * (2 / neurons) ** 0.5 * jax.random.normal(key, (neurons, outputs))

    def _cells(self, crossbar: Crossbar, w: Float[Array, "rows columns"], *, key: PRNGKeyArray) -> CellState:
        """Fresh cells at the weights of the start."""
        given, cell = self.config.device, crossbar.cell
        if self.scheme.digital:
            return cell.place(cell.init(w.shape), w)
        fresh = cell.init(w.shape, key=key)
        if given.start == "programmed":
            return OpenLoop().write(cell, w, key=key).state
        if given.start == "random-set":
            for_side, for_share, for_pulse = jax.random.split(key, 3)
            pulses = jax.random.rademacher(for_side, w.shape, w.dtype)
            chosen = jax.random.bernoulli(for_share, given.start_share, w.shape)
            return cell.program(fresh, jnp.where(chosen, pulses, 0.0), key=for_pulse)[0]
        shape = (cell.programmed(), *w.shape)
        g = given.start_siemens * (1 + 0.1 * jax.random.normal(key, shape))
        return fresh._replace(devices=cell.device.place(fresh.devices, jnp.clip(g, *cell.conductance_range())))

    def init(self, network: Recurrent, *, key: PRNGKeyArray) -> Chip:
        """A new chip before its first trial."""
        for_weights, for_cells, for_feedback = jax.random.split(key, 3)
        weights = network.init_weights(self.config.learning.weight_gain, key=for_weights)
        keys = jax.random.split(for_cells, 3)
        crossbars = network.crossbars
        cells = tuple(self._cells(c, w, key=k) for c, w, k in zip(crossbars, weights, keys, strict=True))
        scheme = tuple(self.scheme.init(c, s) for c, s in zip(crossbars, cells, strict=True))
        rule = self.rule(network, self.feedback(for_feedback)).init(network.weights(cells))
        ledger = tuple(c.ledger(w.shape) for c, w in zip(crossbars, weights, strict=True))
        return Chip(cells, scheme, rule, ledger)

    def trial(self, network: Recurrent, chip: Chip, x: Real, target: Real) -> Trial:
        """What a trial is for this chip: inputs, targets and what reads of its crossbars see."""
        if self.config.learning.released:
            x = jnp.concatenate([jnp.zeros_like(x[:1]), x[:-1]])
        if self.scheme.digital:
            return Trial(x, target)
        when = clock(self.steps, self.config.time.dt, self.config.time.parts)
        return Trial(x, target, network.read(chip.cells, when.moments()))

    def step(
        self, network: Recurrent, chip: Chip, x: Real, target: Real, *, key: PRNGKeyArray
    ) -> tuple[Chip, dict[str, Array]]:
        """One trial [steps, *batch, inputs] and the update after it."""
        for_loops, for_rule, for_scheme = jax.random.split(key, 3)
        if self.config.learning.released and not self.scheme.digital:
            chip = self._without_loops(network, chip, key=for_loops)
        rule = self.rule(network, chip.rule.feedback)
        trial = self.trial(network, chip, x, target)
        weights = network.weights(chip.cells)
        state, change, metrics = rule.update(chip.rule, weights, trial, key=None if self.scheme.digital else for_rule)
        keys = jax.random.split(for_scheme, 3)
        parts = zip(chip.scheme, network.crossbars, chip.cells, change, keys, strict=True)
        done = [self.scheme.apply(s, c, cells, dw, key=k) for s, c, cells, dw, k in parts]
        pause = self.config.time.pause
        cells = tuple(c.cell.wait(one.cells, pause) for c, one in zip(network.crossbars, done, strict=True))
        ledger = tuple(old + one.ledger for old, one in zip(chip.ledger, done, strict=True))
        return Chip(cells, tuple(one.state for one in done), state, ledger), metrics

    def _without_loops(self, network: Recurrent, chip: Chip, *, key: PRNGKeyArray) -> Chip:
        """Both sides of every self-connection RESET, as the released code does before every pattern."""
        crossbar, cells = network.crossbars[1], chip.cells[1]
        own = jnp.eye(network.sizes[1])[None] > 0
        where = jnp.broadcast_to(own, (crossbar.cell.programmed(), *own.shape[1:]))
        after, ledger = crossbar.erase(cells, where, key=key)
        return chip._replace(
            cells=(chip.cells[0], after, chip.cells[2]),
            ledger=(chip.ledger[0], chip.ledger[1] + ledger, chip.ledger[2]),
        )


def learner(
    config: OnlineConfig, inputs: int, outputs: int, steps: int, *, error: AbstractObjective, updates: int
) -> Learner:
    """The blueprint of the chips of a configuration, for a task with so many inputs, outputs, steps and updates."""
    scheme = scheme_on_pairs(config.learning.scheme, config.programming)
    given = config.device
    drive = Drive(
        Pulse(energy=given.set_energy, width=SET_WIDTH), reset=Pulse(energy=given.reset_energy, width=RESET_WIDTH)
    )
    crossbar = Crossbar(cell_of(given, scheme.digital), drive=drive)
    sizes = (inputs, config.neuron.count, outputs)
    network = Recurrent(
        sizes,
        neuron_of(config.neuron),
        (crossbar, crossbar, crossbar),
        tau_out=config.neuron.tau_out,
        read_voltage=config.neuron.read_voltage,
        loops=config.learning.released and not scheme.digital,
    )
    return Learner(config=config, network=network, error=error, scheme=scheme, updates=updates, steps=steps)
