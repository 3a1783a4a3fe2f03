"""Patterns stored by the waveforms of MIF neurons in the memories between them, and completed from a part."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from pydantic import Field

from memspike.arrays.crossbar import Crossbar
from memspike.arrays.ledger import Drive, Pulse
from memspike.cells.single import SingleReference
from memspike.devices.pulsed import Pulsed
from memspike.experiments.base import Experiment, register
from memspike.experiments.chip import SET_WIDTH
from memspike.experiments.config import (
    Amperes,
    Joules,
    Number,
    Positive,
    ProgrammingConfig,
    Seconds,
    Section,
    Volts,
    field,
)
from memspike.experiments.learner import AbstractLearner, Chip
from memspike.experiments.named import pulse_device
from memspike.experiments.online import SHOWN, Online, Shown, costs, train
from memspike.experiments.online_config import LoopedConfig, WearConfig
from memspike.experiments.run import Report, silent, spread
from memspike.experiments.schemes import scheme_of
from memspike.learning.programming.base import Scheme
from memspike.learning.rules.waveform_stdp import Waveforms, WaveformSTDP, stdp_waveform
from memspike.networks.associative import Associative
from memspike.neurons.driver import Driver
from memspike.neurons.filters import ExponentialFilter
from memspike.parts.parallel import map_split
from memspike.training.folder import RunFolder

CUED = 17
# the first spike of a presentation or a cue, in s from its start
FIRST = 0.2e-3
# the first spike of a presentation or a cue, in s from its start
FIRST = 0.2e-3


class MemoryConfig(Section):
    """The patterns and the cues."""

    neurons: Positive = Field(default=40, description="neurons")
    patterns: Positive = Field(default=3, description="stored patterns, drawn anew for every seed")
    active: Positive = Field(default=10, description="neurons of a pattern")
    spread: Seconds = field(
        "s", "time within which the neurons of a pattern spike, in random order", default=2e-3, gt=0
    )
    cue: Number = field("1", "share of the neurons of a pattern that are cued", default=0.5, gt=0, lt=1)
    wrong: Annotated[int, Field(ge=0)] = Field(default=1, description="cued neurons that do not belong to the pattern")
    cues: Positive = Field(default=10, description="different cues of every pattern")


class MemoryDeviceConfig(WearConfig):
    """The memories between the membranes."""

    device: str = Field(default="pulsed-mif-synapse", description="a Pulsed memory: a name, or a file")
    start: Number = field("1", "shares of the range at the start are uniform from 0 to this", default=0.3, ge=0, le=1)
    pulse_energy: Joules = field("J", "energy of a programming pulse (assumption)", default=10e-12, ge=0)


class CircuitConfig(Section):
    """Neurons and what is between them."""

    peak: Amperes = field("A", "peak of the alpha current that makes a neuron spike", default=5e-6, gt=0)
    gain: Number = field("1", "voltage across a synapse over v_pre − v_post", default=1.0)
    tau: Seconds = field("s", "time constant of the filter of column currents", default=0.1e-3, gt=0)
    coupling: Number = field("1", "current into a membrane over that of its column", default=0.25, ge=0)
    inhibition: Number = field("1", "reference conductance, as a share of the range", default=0.4, ge=0, le=1)
    threshold: Volts = field("V", "membrane above which a neuron counts as recalled", default=45e-3, gt=0)


class StoringConfig(Section):
    """How often patterns are shown, and how changes are written."""

    batch: ClassVar[int] = 1
    scheme: str = Field(default="ideal", description="ideal: the devices move by themselves; others write by pulses")
    epochs: Positive = Field(default=40, description="times that every pattern is shown")


class MomentsConfig(Section):
    """Time."""

    dt: Seconds = field("s", "time step", default=10e-6, gt=0)
    storing: Seconds = field("s", "length of a presentation", default=2.6e-3, gt=0)
    recall: Seconds = field("s", "length of a recall", default=1.5e-3, gt=0)


class RetrievalConfig(LoopedConfig):
    """One run, whole."""

    task: MemoryConfig = MemoryConfig()
    device: MemoryDeviceConfig = MemoryDeviceConfig()
    circuit: CircuitConfig = CircuitConfig()
    learning: StoringConfig = StoringConfig()
    programming: ProgrammingConfig = ProgrammingConfig()
    time: MomentsConfig = MomentsConfig()


class Recall(NamedTuple):
    """Membranes in V after a cue, the cued neurons, and those of the pattern (0 or 1)."""

    v: Float[Array, "*cues steps neurons"]
    cued: Float[Array, "*cues neurons"]
    pattern: Float[Array, "*cues neurons"]

    def overlap(self, threshold: float) -> Float[Array, "*cues"]:
        """Share of the missing neurons that are recalled, less the share of all other uncued neurons that are."""
        active = (self.v.max(-2) > threshold).astype(self.v.dtype)
        missing, others = self.pattern * (1 - self.cued), (1 - self.pattern) * (1 - self.cued)
        return (active * missing).sum(-1) / missing.sum(-1) - (active * others).sum(-1) / others.sum(-1)


class Memory(AbstractLearner):
    """The blueprint of the chips; holds no state. A chip remembers nothing outside its devices."""

    config: RetrievalConfig = eqx.field(static=True)
    network: Associative
    scheme: Scheme = eqx.field(static=True)

    @property
    def plasticity(self) -> WaveformSTDP:
        """What moves the devices."""
        return WaveformSTDP(self.network.crossbar.cell, gain=self.config.circuit.gain, dt=self.config.time.dt)

    @property
    def driver(self) -> Driver:
        """What makes neurons spike."""
        return Driver(self.network.neuron, peak=self.config.circuit.peak)

    @property
    def individual(self) -> bool:
        """No spread of the devices is known."""
        return False

    def crossbars(self) -> dict[str, Crossbar]:
        """The one between all membranes."""
        return {"associative": self.network.crossbar}

    def fabricated(self, key: PRNGKeyArray) -> Associative:
        """The same for all chips: no published spread is known."""
        return self.network

    def init(self, network: Associative, *, key: PRNGKeyArray) -> Chip:
        """Devices at random near their resistive end."""
        crossbar, n = network.crossbar, network.neurons
        share = jax.random.uniform(key, (n, n), maxval=1.0) * self.config.device.start
        cells = crossbar.cell.place(crossbar.cell.init((n, n)), share - self.config.circuit.inhibition)
        return Chip((cells,), (self.scheme.init(crossbar, cells),), (), (crossbar.ledger((n, n)),))

    def step(
        self, network: Associative, chip: Chip, x: Array, target: Array, *, key: PRNGKeyArray
    ) -> tuple[Chip, dict[str, Array]]:
        """A presentation: neurons spike at `x` [steps, neurons], with the columns switched off, and devices move.

        `loss` is 1 less the mean weight inside the pattern `target` above that outside of it.
        """
        for_rule, for_scheme = jax.random.split(key)
        crossbar, cells, rule = network.crossbar, chip.cells[0], stdp_waveform(self.plasticity)
        v, w = self.driver(x, self.config.time.dt), crossbar.cell.weight(crossbar.cell.stored(cells))
        _, (dw,), metrics = rule.update((), (w,), (Waveforms(v, v),), key=for_rule)
        done = self.scheme.apply(chip.scheme[0], crossbar, cells, dw, key=for_scheme)
        w, others = crossbar.cell.weight(crossbar.cell.stored(done.cells)), 1 - jnp.eye(network.neurons)
        inside = target[:, None] * target[None] * others
        contrast = (w * inside).sum() / inside.sum() - (w * (others - inside)).sum() / (others - inside).sum()
        chip = Chip((done.cells,), (done.state,), (), (chip.ledger[0] + done.ledger,))
        return chip, {"loss": 1 - contrast, "change": metrics["change"]}

    def recall(self, chip: Chip, pattern: Array, *, key: PRNGKeyArray) -> Recall:
        """What a cue made of a part of `pattern`, and of some neurons outside of it, brings up."""
        task, time = self.config.task, self.config.time
        for_part, for_wrong = jax.random.split(key)
        part = _some(for_part, pattern, round(task.cue * task.active))
        cued = part + _some(for_wrong, 1 - pattern, task.wrong)
        x = jnp.zeros((round(time.recall / time.dt), task.neurons)).at[round(FIRST / time.dt)].set(cued)
        v = self.network.run(self.network.read(chip.cells[0]), self.driver.current(x, time.dt), time.dt)
        return Recall(v, cued, pattern)


def _some(key: PRNGKeyArray, among: Float[Array, " n"], count: int) -> Float[Array, " n"]:
    """`count` of the elements that are 1, drawn without replacement."""
    order = jnp.where(among > 0, jax.random.uniform(key, among.shape), -1.0)
    return (jnp.argsort(jnp.argsort(-order)) < count).astype(among.dtype)


def memory(config: RetrievalConfig) -> Memory:
    """The blueprint of a configuration."""
    device = pulse_device(config.device.device, Pulsed)
    low, high = device.g_min, device.g_max
    reference = low + config.circuit.inhibition * (high - low)
    pulse = Pulse(energy=config.device.pulse_energy, width=SET_WIDTH)
    network = Associative(
        config.task.neurons,
        Crossbar(SingleReference(device=device, reference=reference, scale=2.0), drive=Drive(pulse, pulse)),
        filter=ExponentialFilter(tau=config.circuit.tau),
        coupling=config.circuit.coupling,
    )
    return Memory(config=config, network=network, scheme=scheme_of(config.learning.scheme, config.programming))


class Archive:
    """The chips of a configuration, their patterns and what they recall."""

    def __init__(self, config: RetrievalConfig):
        self.config, self.blueprint = config, memory(config)
        self.online = Online([self.blueprint], self._task, config, config.task.patterns)
        self._recalled = jax.jit(partial(map_split, lambda one: self._recall(*one)))

    def patterns(self, key: PRNGKeyArray, count: int) -> Float[Array, "patterns neurons"]:
        """`count` random patterns of a seed: its own first, then others that it is never shown."""
        task = self.config.task
        keys = jnp.stack([jax.random.fold_in(jax.random.fold_in(key, SHOWN), k) for k in range(count)])
        return jax.vmap(lambda k: _some(k, jnp.ones(task.neurons), task.active))(keys)

    def _task(self, key: PRNGKeyArray, epoch: Array) -> Shown:
        task, time = self.config.task, self.config.time
        patterns, steps = self.patterns(key, task.patterns), round(time.storing / time.dt)

        def trial(index: Array, key: PRNGKeyArray) -> tuple[Array, Array]:
            at = FIRST + task.spread * jax.random.uniform(key, (task.neurons,))
            step = jnp.clip(jnp.round(at / time.dt), 0, steps - 1).astype(int)
            return jax.nn.one_hot(step, steps, axis=0) * patterns[index][None], patterns[index]

        return Shown(trial, task.patterns)

    def _recall(self, key: PRNGKeyArray, chip: Chip) -> Recall:
        """Recalls [patterns, cues, ...] of the stored patterns and of as many unseen ones."""
        task = self.config.task
        patterns = self.patterns(key, 2 * task.patterns)
        each = jax.random.split(jax.random.fold_in(key, CUED), (2 * task.patterns, task.cues))
        return jax.vmap(lambda p, ks: jax.vmap(lambda k: self.blueprint.recall(chip, p, key=k))(ks))(patterns, each)

    def recalled(self, chips: Chip) -> tuple[Float[np.ndarray, "seeds kinds"], Recall]:
        """Mean overlaps of stored and of unseen patterns by seed, and all recalls."""
        found: Recall = self._recalled((self.online.keys, chips))
        overlap = np.asarray(found.overlap(self.config.circuit.threshold))
        return overlap.reshape(self.config.seeds, 2, -1).mean(-1), found

    def samples(self, chips: Chip, found: Recall) -> dict[str, np.ndarray]:
        """Of the first seed: weights [rows, columns], and membranes after one cue of every stored pattern."""
        number = self.config.task.patterns
        cell = self.blueprint.network.crossbar.cell
        cells = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)[0]), chips.cells[0])
        shown = {name: np.asarray(getattr(found, name))[0, :number, 0] for name in ("v", "cued", "pattern")}
        weights = np.asarray(cell.weight(cell.stored(cells)))
        return {"recalled": shown.pop("v"), **shown, "w": weights, "dt": np.asarray(self.config.time.dt)}


def remember(config: RetrievalConfig, out: Path, *, resume: bool = False, report: Report = silent) -> dict[str, Any]:
    """Store and recall `config` in the folder `out` → the content of its result.json.

    `overlap` is that of stored patterns after learning, `overlap_before` the same cues on the same chips before it,
    `overlap_unseen` that of patterns which were never shown; 1 is perfect, 0 what nothing or everything gives.
    """
    archive = Archive(config)
    folder = RunFolder(out)
    folder.start(config, resume=resume)
    before, _ = archive.recalled(archive.online.init())
    chips, _, seconds = train(archive.online, folder, resume=resume, report=report)
    after, found = archive.recalled(chips)
    result = {
        "experiment": config.experiment,
        "overlap": float(after[:, 0].mean()),
        "overlap_sd": spread(after[:, 0]),
        "overlap_min": float(after[:, 0].min()),
        "overlaps": [float(x) for x in after[:, 0]],
        "overlap_before": float(before[:, 0].mean()),
        "overlap_unseen": float(after[:, 1].mean()),
        "scheme": config.learning.scheme,
        **costs(chips, config),
        "seeds": config.seeds,
        "seed": config.seed,
        "epochs": config.learning.epochs,
        "wall_s": round(seconds, 2),
    }
    folder.write_arrays("samples.npz", archive.samples(chips, found))
    folder.write_json("result.json", result)
    return result


def said(result: dict[str, Any]) -> str:
    """A result in one line."""
    return (
        f"overlap {result['overlap']:.3f} (lowest seed {result['overlap_min']:.3f}, {result['seeds']} seeds); before "
        f"learning {result['overlap_before']:.3f}, of unseen patterns {result['overlap_unseen']:.3f}"
    )


memory_retrieval = register(
    Experiment(
        RetrievalConfig(experiment="memory-retrieval", seeds=5),
        quick={"seeds": 2, "learning.epochs": 25, "task.cues": 4},
        expected=0.87,
        expected_quick=0.7,
        reference=(
            "Zhou et al., arXiv 2203.01416 demonstrate memory retrieval with fully memristive neurons and synapses; no "
            "figure of it is known to us; network, patterns and protocol: reconstruction"
        ),
        study=remember,
        summary=said,
        measure="overlap",
    ),
    "patterns stored by the waveforms of MIF neurons in the memories between them, and completed from half of them",
)
