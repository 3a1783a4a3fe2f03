"""Patterns stored by the waveforms of MIF neurons in the memories between them, and completed from a part."""

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from memspike.config.build import facts, generator, plan_of
from memspike.config.networks import AssociativeTopology
from memspike.config.settings import Settings, seeds_of
from memspike.data.trials import SHOWN, AbstractTrials, Trial
from memspike.experiments.base import Result, registered
from memspike.networks.accuracy import at_starts
from memspike.networks.base import Clock
from memspike.parts.errors import InputError
from memspike.parts.parallel import map_split
from memspike.parts.param import option, part
from memspike.parts.written import type_of
from memspike.training.conductances import first_chip
from memspike.training.costs import costs
from memspike.training.evaluate import exact_corrections, spread
from memspike.training.fit import fit
from memspike.training.folder import RunFolder
from memspike.training.learner import Chip
from memspike.training.membranes import deviation_facts_of, membranes_of
from memspike.training.population import FabricatedChip, Population
from memspike.training.progress import Report

# keys of the cues, and of the read noise of a recall, are apart from all others
CUED, READ = 17, 18
# the first spike of a presentation or a cue, in s from its start
FIRST = 0.2e-3


class RecallTask(eqx.Module):
    """The patterns and the cues; a presentation lasts `simulation.duration`."""

    patterns: int = option(3, "stored patterns, drawn anew for every seed", bounds=(1, 10**4))
    active: int = option(10, "neurons of a pattern", bounds=(1, 10**6))
    spread: float = option(
        2e-3, "time within which the neurons of a pattern spike, in random order", unit="s", bounds=(1e-9, 1e6)
    )
    cue: float = option(0.5, "share of the neurons of a pattern that are cued", bounds=(0, 1))
    wrong: int = option(1, "cued neurons that do not belong to the pattern", bounds=(0, 10**6))
    cues: int = option(10, "different cues of every pattern", bounds=(1, 10**6))
    duration: float = option(1.5e-3, "length of a recall", unit="s", bounds=(1e-12, 1e6))
    threshold: float = option(45e-3, "membrane above which a neuron counts as recalled", unit="V", bounds=(1e-6, 1e3))

    @property
    def cued(self) -> int:
        """Neurons of a pattern that are cued."""
        return round(self.cue * self.active)

    def check(self, neurons: int) -> None:
        """InputError unless patterns and cues fit so many neurons."""
        if self.active >= neurons:
            raise InputError(
                f"task.active is {self.active}; fewer than the {neurons} neurons of the network are needed."
            )
        if self.cued == self.active:
            raise InputError(f"task.cue is {self.cue:g}; a cue of all {self.active} neurons leaves none to recall.")
        others = neurons - self.active
        if self.wrong >= others:
            raise InputError(
                f"task.wrong is {self.wrong}; fewer than the {others} neurons outside a pattern are needed."
            )


class RecallSettings(Settings):
    """A training that stores patterns, whole."""

    task: RecallTask = part(RecallTask, "the patterns and the cues")


class RecallTrials(AbstractTrials):
    """Presentations of patterns, one after the other; targets are the patterns themselves."""

    task: RecallTask
    neurons: int = eqx.field(static=True)
    steps: int = eqx.field(static=True)
    dt: float = eqx.field(static=True)

    @property
    def count(self) -> int:
        """Stored patterns."""
        return self.task.patterns

    def patterns(self, key: PRNGKeyArray, count: int) -> Float[Array, "patterns neurons"]:
        """`count` random patterns of a chip: its own first, then others that it is never shown."""
        own = jax.random.fold_in(key, SHOWN)
        keys = jnp.stack([jax.random.fold_in(own, k) for k in range(count)])
        return jax.vmap(lambda k: some(k, jnp.ones(self.neurons), self.task.active))(keys)

    def epoch(self, key: PRNGKeyArray, epoch: Int[Array, ""]) -> Float[Array, "patterns neurons"]:
        """The stored patterns."""
        return self.patterns(key, self.count)

    def trial(self, made: Any, index: Int[Array, ""], key: PRNGKeyArray) -> Trial:
        """Spikes [steps, neurons] of a pattern, in random order, and the pattern."""
        at = FIRST + self.task.spread * jax.random.uniform(key, (self.neurons,))
        step = jnp.clip(jnp.round(at / self.dt), 0, self.steps - 1).astype(int)
        return Trial(jax.nn.one_hot(step, self.steps, axis=0) * made[index][None], made[index])

    def cue(self, pattern: Float[Array, " neurons"], key: PRNGKeyArray) -> tuple[Array, Array]:
        """Spikes [steps, neurons] of a part of a pattern and of some neurons outside of it, and all that are cued."""
        for_part, for_wrong = jax.random.split(key)
        part, wrong = some(for_part, pattern, self.task.cued), some(for_wrong, 1 - pattern, self.task.wrong)
        x = jnp.zeros((max(1, round(self.task.duration / self.dt)), self.neurons))
        return x.at[round(FIRST / self.dt)].set(part + wrong), part + wrong


def some(key: PRNGKeyArray, among: Float[Array, " n"], count: int) -> Float[Array, " n"]:
    """`count` of the elements that are 1, drawn without replacement."""
    order = jnp.where(among > 0, jax.random.uniform(key, among.shape), -1.0)
    return (jnp.argsort(jnp.argsort(-order)) < count).astype(among.dtype)


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


class Study(NamedTuple):
    """Chips that store patterns, and their settings."""

    population: Population
    settings: RecallSettings


def prepare(settings: RecallSettings) -> Study:
    """Chips and patterns of a configuration."""
    topology = settings.network
    if not isinstance(topology, AssociativeTopology) or topology.layers[0].size is None:
        raise InputError(
            f"network is '{type_of(topology)}'; {settings.experiment} needs network=associative, with a size."
        )
    neurons, time = topology.layers[0].size, settings.simulation
    settings.task.check(neurons)
    trials = RecallTrials(settings.task, neurons, time.steps, time.dt)
    learner = generator(settings, trials, time.steps, (neurons, neurons))
    return Study(Population([learner], trials, settings.training.order, seeds_of(settings)), settings)


class RecallTest:
    """Cues of the stored patterns, and of as many others, to the chips of a population."""

    def __init__(self, study: Study):
        self.population, self.task = study.population, study.settings.task
        self._program = jax.jit(partial(map_split, lambda one: self._one(*one)))

    def _one(self, made: FabricatedChip, chip: Chip) -> Recall:
        """Recalls [patterns, cues, ...] of a chip."""
        population, task = self.population, self.task
        learner, network, trials = population.learner, population.network(made), population.trials
        assert isinstance(trials, RecallTrials)
        view = learner.view(network, chip.cells, None)
        corrections = exact_corrections(network, chip.cells, aged=False)

        def one(pattern: Array, key: PRNGKeyArray) -> Recall:
            x, cued = trials.cue(pattern, key)
            now = view._replace(corrections=corrections, clock=Clock(trials.dt, (x.shape[0],)))
            noise = now.key(jax.random.fold_in(key, READ))
            return Recall(learner.rule.run(chip.rule, now, x, key=noise).output, cued, pattern)

        patterns = trials.patterns(made.key, 2 * task.patterns)
        each = jax.random.split(jax.random.fold_in(made.key, CUED), (2 * task.patterns, task.cues))
        return jax.vmap(lambda p, ks: jax.vmap(lambda k: one(p, k))(ks))(patterns, each)

    def __call__(self, chips: Chip) -> tuple[Float[np.ndarray, "chips kinds"], Recall]:
        """Mean overlaps of stored and of unseen patterns of every chip, and all recalls."""
        found: Recall = self._program((self.population.chips, chips))
        overlap = np.asarray(found.overlap(self.task.threshold))
        return overlap.reshape(self.population.count, 2, -1).mean(-1), found


def membrane_facts(study: Study, chips: Chip) -> dict[str, float]:
    """How far the membranes of the first chip are from those of a fine step, after one cue of every stored pattern."""
    population, trials = study.population, study.population.trials
    learner, made, chip = population.learner, population.first_of(population.chips), population.first_of(chips)
    network = population.network(made)
    assert isinstance(trials, RecallTrials)

    @partial(jax.jit, static_argnums=0)
    def recalled(times: int, pattern: Array, key: PRNGKeyArray) -> tuple[Any, ...]:
        x = at_starts(trials.cue(pattern, key)[0], times)
        view = learner.view(network, chip.cells, None)._replace(clock=Clock(trials.dt / times, (len(x),)))
        view = view._replace(corrections=exact_corrections(network, chip.cells, aged=False))
        return membranes_of(network, learner.rule.run(chip.rule, view, x, key=None)).layers

    patterns = trials.patterns(made.key, trials.count)
    keys = jax.random.split(jax.random.fold_in(made.key, CUED), trials.count)
    runs = [lambda times, p=p, k=k: recalled(times, p, k) for p, k in zip(patterns, keys, strict=True)]
    return deviation_facts_of(runs, trials.dt)


def samples(study: Study, chips: Chip, found: Recall) -> dict[str, np.ndarray]:
    """Of the first chip: weights [rows, columns], and membranes after one cue of every stored pattern."""
    population, number = study.population, study.settings.task.patterns
    (w,) = population.network(population.first_of(population.chips)).weights(population.first_of(chips.cells))
    shown = {name: np.asarray(value)[0, :number, 0] for name, value in found._asdict().items()}
    dt = np.asarray(study.settings.simulation.dt)
    maps = first_chip(population, chips)
    return {"recalled": shown.pop("v"), **shown, "w": np.asarray(w), "dt": dt} | maps


def remember(study: Study, folder: RunFolder, *, resume: bool, report: Report) -> Result:
    """Store patterns, and recall them from a part.

    `overlap` is that of stored patterns after learning, `overlap_before` the same cues on the same chips before it,
    `overlap_unseen` that of patterns which were never shown; 1 is perfect, 0 what nothing or everything gives.
    """
    settings, population, test, plan = study.settings, study.population, RecallTest(study), plan_of(study.settings)
    before, _ = test(population.init())
    done = fit(population, plan, folder, resume=resume, report=report)
    after, found = test(done.chips)
    folder.write_arrays("samples.npz", samples(study, done.chips, found))
    return {
        "overlap": float(after[:, 0].mean()),
        "overlap_sd": spread(after[:, 0]),
        "overlap_min": float(after[:, 0].min()),
        "overlaps": [float(x) for x in after[:, 0]],
        "overlap_before": float(before[:, 0].mean()),
        "overlap_unseen": float(after[:, 1].mean()),
        **membrane_facts(study, done.chips),
        "scheme": settings.learning.scheme.name,
        **costs(done.chips, population, settings.evaluation.endurance),
        **facts(settings),
        "epochs": plan.epochs,
        "wall_s": round(done.seconds, 2),
    }


def headline(result: Result) -> str:
    """Overlaps in one line."""
    return (
        f"overlap {result['overlap']:.3f} (lowest seed {result['overlap_min']:.3f}, {result['seeds']} seeds); before "
        f"learning {result['overlap_before']:.3f}, of unseen patterns {result['overlap_unseen']:.3f}"
    )


# energy: an assumption
PULSE = {"energy": 10e-12, "width": 50e-9}
RETRIEVAL: dict[str, Any] = {
    "seeds": 5,
    "network": {
        "type": "associative",
        "layers": [{"size": 40}],
        "filter": {"type": "exponential-filter", "tau": 0.1e-3},
        "coupling": 0.25,
    },
    "neuron": {"type": "mif"},
    # the reference is the inhibition
    "synapse": {"type": "range-reference", "share": 0.4, "device": {"type": "pulsed-mif-synapse"}},
    "array": {"drive": {"up": PULSE, "down": PULSE}},
    "learning": {
        "rule": {"type": "stdp-waveform", "gain": 1.0, "peak": 5e-6},
        "scheme": {"type": "ideal"},
        "objective": {"type": "winner"},
        "start": {"type": "uniform-share", "most": 0.3},
    },
    "simulation": {"dt": 10e-6, "duration": 2.6e-3},
    "training": {"batch": 1, "epochs": 40},
}

memory_retrieval = registered(
    "memory-retrieval",
    "patterns stored by the waveforms of MIF neurons in the memories between them, and completed from half of them",
    RETRIEVAL,
    quick={"seeds": 2, "training.epochs": 25, "task.cues": 4},
    expected=0.87,
    expected_quick=0.7,
    reference=(
        "Zhou et al., arXiv 2203.01416 demonstrate memory retrieval with fully memristive neurons and synapses; no "
        "figure of it is known to us; network, patterns and protocol: reconstruction"
    ),
    carry=remember,
    headline=headline,
    kind="recall",
    root=RecallSettings,
    prepare=prepare,
    chips=lambda study: study.population,
    measure="overlap",
)
