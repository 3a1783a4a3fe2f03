"""A chip that learns shapes without a teacher: winner-take-all neurons, a local rule, a scheme that writes."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.arrays.ledger import Drive, Pulse
from memspike.cells.single import SingleReference
from memspike.devices.base import AbstractPulseDevice
from memspike.devices.constant_step import ConstantStep
from memspike.devices.presets.spread import spread_of
from memspike.devices.variation.fabricate import fabricate
from memspike.devices.variation.spread import AbstractSpread
from memspike.experiments.chip import SET_WIDTH
from memspike.experiments.learner import AbstractLearner, Chip
from memspike.experiments.named import pulse_device
from memspike.experiments.schemes import scheme_of
from memspike.experiments.stdp_config import PlasticityConfig, StdpConfig
from memspike.learning.programming.base import Scheme
from memspike.learning.rules.base import Rule
from memspike.learning.rules.stdp import STDP, Additive, Multiplicative, Timing, Trains, stdp
from memspike.learning.rules.waveform_stdp import Waveforms, WaveformSTDP, stdp_waveform
from memspike.networks.competitive import Competitive, Episode
from memspike.neurons.driver import Driver
from memspike.parts.registry import DEVICES, NEURONS

Real = Float[Array, "..."]
# share of its votes that a neuron keeps in a presentation: some 50 count
MEMORY = 0.98


class Learned(NamedTuple):
    """What a chip carries besides its devices: adaptation of the neurons, and which shapes made each win lately.

    The votes only name the neurons after training; nothing in learning sees them.
    """

    adaptation: Float[Array, " neurons"]
    votes: Float[Array, "neurons classes"]


def unsigned(device: AbstractPulseDevice) -> SingleReference:
    """One device a weight in [0, 1] over its range, against a reference at its lowest conductance."""
    return SingleReference(device=device, reference=jnp.mean(jnp.asarray(device.g_min)), scale=2.0)


def timing_of(given: PlasticityConfig, dt: float) -> STDP:
    """The plasticity by spike times that a configuration describes."""
    names = ("plus", "minus", "triplet_plus", "triplet_minus", "tau_plus", "tau_minus", "tau_x", "tau_y")
    timing = Timing(**{name: getattr(given, name) for name in names}, nearest=given.nearest)
    return STDP(timing, Multiplicative(mu=given.mu) if given.mu > 0 else Additive(), dt=dt)


class Watcher(AbstractLearner):
    """The blueprint of such chips; holds no state. Without `plastic` they only watch: the untrained baseline."""

    config: StdpConfig = eqx.field(static=True)
    network: Competitive
    scheme: Scheme = eqx.field(static=True)
    classes: int = eqx.field(static=True)
    plastic: bool = eqx.field(static=True, default=True)

    def _spread(self) -> dict[str, AbstractSpread]:
        """The published one of the device, if it counts here."""
        given = self.config.device
        known = given.spread and given.device in DEVICES and not self.scheme.digital
        return spread_of(given.device) if known else {}

    @property
    def individual(self) -> bool:
        """Where devices have a spread."""
        return bool(self._spread())

    def crossbars(self) -> dict[str, Crossbar]:
        """The one under the winners."""
        return {"competitive": self.network.crossbar}

    def fabricated(self, key: PRNGKeyArray) -> Competitive:
        """The layer of one chip: devices with their published spread, where there is one."""
        layer, spread = self.network, self._spread()
        if not spread:
            return layer
        device = fabricate(layer.crossbar.cell.device, spread, shape=(1, *layer.shape), key=key)
        return eqx.tree_at(lambda one: one.crossbar.cell.device, layer, device)

    def init(self, network: Competitive, *, key: PRNGKeyArray) -> Chip:
        """A new chip, its devices placed around the middle."""
        crossbar, shape = network.crossbar, network.shape
        for_w, for_cells = jax.random.split(key)
        given = self.config.device
        w = jnp.clip(given.start + given.start_spread * jax.random.normal(for_w, shape), 0.0, 1.0)
        cells = crossbar.cell.place(crossbar.cell.init(shape, key=for_cells), w)
        learned = Learned(jnp.zeros(shape[1]), jnp.zeros((shape[1], self.classes)))
        ledger = crossbar.ledger(shape)
        return Chip((cells,), (self.scheme.init(crossbar, cells),), learned, (ledger,))

    def rule(self) -> Rule:
        """The local rule."""
        learning, dt = self.config.learning, self.config.time.dt
        if learning.rule == "stdp":
            return stdp(timing_of(learning, dt))
        return stdp_waveform(WaveformSTDP(gain=learning.gain, dt=dt))

    def seen(self, x: Real, z: Real) -> Trains | Waveforms:
        """What meets at the synapses: row spikes and delayed column spikes, or the waveforms they make."""
        late = round(self.config.time.delay / self.config.time.dt)
        back = jnp.concatenate([jnp.zeros_like(z[:late]), z[: z.shape[0] - late]])
        if self.config.learning.rule == "stdp":
            return Trains(x, back)
        driver, dt = Driver(peak=self.config.learning.peak), self.config.time.dt
        return Waveforms(driver(x, dt), driver(back, dt))

    def watch(self, network: Competitive, chip: Chip, x: Real, *, key: PRNGKeyArray) -> Episode:
        """One presentation [steps, rows] without learning."""
        return network.run(network.read(chip.cells[0]), x, chip.rule.adaptation, self.config.time.dt, key=key)

    def step(
        self, network: Competitive, chip: Chip, x: Real, target: Array, *, key: PRNGKeyArray
    ) -> tuple[Chip, dict[str, Array]]:
        """One presentation and the update after it. `target` (the shape) goes into the votes alone.

        `loss` is the mean squared difference between the weights of the winner and what was shown; 1 without one.
        """
        for_run, for_write = jax.random.split(key)
        cell, time = network.crossbar.cell, self.config.time
        seen = self.watch(network, chip, x, key=for_run)
        w, fired = cell.weight(cell.stored(chip.cells[0])), seen.z.sum(0)
        votes = MEMORY * chip.rule.votes + fired[:, None] * jax.nn.one_hot(target, self.classes)[None]
        bright = x[: round(0.5 * (self.config.task.early + self.config.task.late) / time.dt)].sum(0)
        miss = jnp.where(fired.sum() > 0, (jnp.square(w - bright[:, None]).mean(0) * fired).sum() / fired.sum(), 1.0)
        chip = chip._replace(rule=Learned(seen.adaptation, votes))
        if self.plastic:
            chip = self._write(network, chip, w, self.seen(x, seen.z), key=for_write)
        return chip._replace(cells=(cell.wait(chip.cells[0], time.pause),)), {"loss": miss, "spikes": fired.sum()}

    def _write(self, network: Competitive, chip: Chip, w: Real, met: Trains | Waveforms, *, key: PRNGKeyArray) -> Chip:
        """The chip after what the rule wants was written by the scheme."""
        for_rule, for_scheme = jax.random.split(key)
        crossbar, rule = network.crossbar, self.rule()
        _, (dw,), _ = rule.update(rule.init((w,)), (w,), (met,), key=for_rule)
        done = self.scheme.apply(chip.scheme[0], crossbar, chip.cells[0], dw, key=for_scheme)
        return chip._replace(cells=(done.cells,), scheme=(done.state,), ledger=(chip.ledger[0] + done.ledger,))


def watcher(config: StdpConfig, classes: int, *, plastic: bool = True) -> Watcher:
    """The blueprint of the chips of a configuration."""
    given, neuron = config.device, config.neuron
    scheme = scheme_of(config.learning.scheme, config.programming)
    device = pulse_device(given.device, AbstractPulseDevice)
    pulse = Pulse(energy=given.pulse_energy, width=SET_WIDTH)
    cell = unsigned(ConstantStep(g_min=1e-6, g_max=100e-6) if scheme.digital else device)
    constants = {name: getattr(neuron, name) for name in ("theta", "tau", "tau_a", "beta")}
    layer = Competitive(
        (config.task.side**2, neuron.count),
        Crossbar(cell, drive=Drive(pulse, pulse)),
        NEURONS.get("alif").value(**constants, refractory=config.time.steps, soft=False),
        noise=neuron.noise,
        read_voltage=neuron.read_voltage,
    )
    return Watcher(config=config, network=layer, scheme=scheme, classes=classes, plastic=plastic)
