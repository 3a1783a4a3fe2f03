"""A training of classifiers from its beginning to what it has come to: the same for every rule and network."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from memspike.arrays.compensation import AbstractCompensation, NoCompensation
from memspike.arrays.programmer import AbstractProgrammer, Statistical
from memspike.data.base import Dataset
from memspike.networks.feedforward import Feedforward, Membranes
from memspike.networks.local import LocalActivity
from memspike.parts.param import option, parameters, part
from memspike.parts.written import type_of
from memspike.training.aging import Lifetime, age_rows
from memspike.training.conductances import first_chip
from memspike.training.costs import costs
from memspike.training.evaluate import Evaluator, TestKeys, copies, exact_corrections, read_keys, repeated, spread
from memspike.training.fit import Plan, Trained, fit
from memspike.training.folder import RunFolder
from memspike.training.learner import Chip, Learner
from memspike.training.membranes import membrane_facts
from memspike.training.population import FabricatedChip, Population
from memspike.training.progress import Report, silent

SAMPLES = 3


class Evaluation(eqx.Module):
    """What is measured after training: copies with errors of their own, a finer step, chips as they age."""

    at_once: int = option(500, "test examples that are shown together", bounds=(1, 10**7))
    age: tuple[float, ...] = option(
        (), "ages of the chips in s at which they are measured again", unit="s", bounds=(0, 1e12)
    )
    programmer: AbstractProgrammer = part(Statistical, "how new chips are programmed where the scheme sent no pulses")
    compensation: AbstractCompensation = part(NoCompensation, "against drift")
    reference_age: float = option(
        30.0, "age of the first read, which a compensation aims at", unit="s", bounds=(0, 1e9)
    )
    chips: int = option(0, "noisy copies of the first chip that are measured too", bounds=(0, 10**6))
    programming_spread: float = option(0.05, "relative programming error of a device of these copies", bounds=(0, 1))
    read_noise: float = option(0.01, "relative noise of a device at each read of these copies", bounds=(0, 1))
    endurance: float = option(1e8, "pulses that a device survives, for the share used", bounds=(1e-12, 1e30))
    fine_dt: float | None = option(None, "step of a second measurement in finer steps", unit="s", bounds=(1e-15, 1e3))


class Classification(NamedTuple):
    """Chips and the examples they learn; `learner` is the population's with the wires that are measured.

    `facts` go into the result as they are.
    """

    population: Population
    learner: Learner
    data: Dataset
    plan: Plan
    evaluation: Evaluation
    facts: dict[str, Any]


def classify(given: Classification, folder: RunFolder, *, resume: bool, report: Report = silent) -> dict[str, Any]:
    """Train, evaluate, write figures' data → the numbers of the result."""
    population = given.population
    evaluator = Evaluator(population, given.data, given.evaluation.at_once)
    other = None if given.learner is population.learner else given.learner

    def measure(chips: Chip) -> np.ndarray:
        return evaluator.accuracy(chips, learner=other)

    done = fit(population, given.plan, folder, resume=resume, report=report, measure=measure)
    folder.write_csv("metrics.csv", done.history)
    predicted = evaluator.predictions(done.chips, learner=other)
    folder.write_arrays("samples.npz", samples(given, evaluator, done.chips, predicted))
    folder.write_json("parameters.json", parameter_table(given.learner))
    scores = (predicted == given.data.y_test[None]).mean(1)
    return {
        **accuracies(scores),
        **_more(given, evaluator, done, other),
        **membrane_facts(evaluator, given.learner, done.chips, given.evaluation.fine_dt),
        **learned(given, done),
        **given.facts,
    }


def accuracies(scores: np.ndarray) -> dict[str, Any]:
    """Mean, s.d., lowest and all."""
    return {
        "test_accuracy": float(scores.mean()),
        "test_accuracy_sd": spread(scores),
        "test_accuracy_min": float(scores.min()),
        "test_accuracies": [float(s) for s in scores],
    }


def _more(given: Classification, evaluator: Evaluator, done: Trained, other: Learner | None) -> dict[str, Any]:
    """At a fine step, of noisy copies, with age; how far the lagged wires were off."""
    wanted, population, found = given.evaluation, given.population, {}
    if wanted.fine_dt is not None:
        fine = evaluator.accuracy(done.chips, dt=wanted.fine_dt, learner=other)
        found["test_accuracy_fine_step"] = float(fine.mean())
    if wanted.chips:
        noisy = noisy_copies(given, evaluator, done.chips)
        found |= {"chips": wanted.chips, "chips_accuracy": float(noisy.mean())}
        found |= {"chips_accuracy_sd": spread(noisy), "chips_accuracy_min": float(noisy.min())}
    if wanted.age:
        key = jax.random.key(population.seeds[0] + 2_000_003)
        life = Lifetime(wanted.age, wanted.programmer, reference_age=wanted.reference_age, chips=wanted.chips or 20)
        named = {"none": NoCompensation(), type_of(wanted.compensation): wanted.compensation}
        found["rows"] = age_rows(evaluator, done.chips, life, named, learner=other, key=key)
    if done.chips.wires is not None:
        found["wires_deviation"] = float(np.max(done.chips.wires.deviation))
    return found


def noisy_copies(given: Classification, evaluator: Evaluator, chips: Chip) -> np.ndarray:
    """Accuracies of copies of the first chip with programming errors and read noise."""
    population, wanted = given.population, given.evaluation
    chip_key, for_reads = jax.random.split(jax.random.key(population.seeds[0] + 1_000_003))
    first = population.first_of(population.chips)
    network = evaluator.network(first, given.learner)
    noise = (jnp.asarray(wanted.programming_spread), jnp.asarray(wanted.read_noise))
    schemes = given.learner.schemes
    crossbars = [
        c
        if one.digital and not given.learner.digital
        else eqx.tree_at(lambda c: (c.programming_spread, c.read_noise), c, noise)
        for c, one in zip(network.crossbars, schemes, strict=True)
    ]
    learner = eqx.tree_at(lambda one: one.network, given.learner, network.with_crossbars(tuple(crossbars)))
    made = copies(learner, population.first_of(chips), wanted.chips, key=chip_key)
    shown = evaluator.keys(False).shown[:1]
    keys = read_keys(for_reads, wanted.chips, evaluator.chunks)
    return evaluator.accuracy(
        made,
        learner=learner,
        made=repeated(FabricatedChip(first.key, None, None), wanted.chips),
        keys=TestKeys(jnp.broadcast_to(shown, keys.shape), keys),
    )


def learned(given: Classification, done: Trained) -> dict[str, Any]:
    """How long it took, what it has cost, the last loss and rate."""
    population, plan = given.population, given.plan
    last = done.history[-population.count :]
    learner, steps = population.learner, plan.epochs * population.per_epoch
    found: dict[str, Any] = {"scheme": learner.scheme.name}
    found["final_loss"] = float(np.mean([row["loss"] for row in last]))
    if "rate" in last[0]:
        found["rate_hz"] = float(np.mean([row["rate"] for row in last]))
    return found | {
        **costs(done.chips, population, given.evaluation.endurance),
        "epochs": plan.epochs,
        "steps": steps,
        "wall_s": round(done.seconds, 2),
        "steps_per_s": round(steps * len(population.seeds) / done.seconds, 2),
        "train_examples": len(given.data.y_train),
        "test_examples": len(given.data.y_test),
    }


def parameter_table(learner: Learner) -> list[dict[str, Any]]:
    """Every parameter of the network with value, unit, meaning and source."""
    return [
        {"name": p.path, "value": np.asarray(p.value).tolist(), "unit": p.unit, "doc": p.doc, "source": p.source}
        for p in parameters(learner.network, "network.")
    ]


def confusion(
    labels: Int[np.ndarray, " examples"], predicted: Int[np.ndarray, " examples"], classes: int
) -> Int[np.ndarray, "classes _"]:
    """Counts of true (rows) against predicted class (columns); where some examples have none (−1), a last column."""
    none = bool((predicted < 0).any())
    counts, at = np.zeros((classes, classes + none), int), np.where(predicted < 0, classes, predicted)
    np.add.at(counts, (labels, at), 1)
    return counts


def samples(given: Classification, evaluator: Evaluator, chips: Chip, predicted: np.ndarray) -> dict[str, np.ndarray]:
    """Of the first chip: confusion matrix, and what its neurons do in the first few test trials."""
    population, data, learner = given.population, given.data, given.learner
    made, chip = population.first_of(population.chips), population.first_of(chips)
    network = evaluator.network(made, learner)
    dt = given.evaluation.fine_dt or learner.clock.dt
    keys = evaluator.keys(learner.noisy)
    x = evaluator.first(SAMPLES, dt, key=keys.shown[0, 0])

    @jax.jit
    def run(made: FabricatedChip, chip: Chip, x: Any, key: Any) -> Any:
        network = evaluator.network(made, learner)
        view = learner.view(network, chip.cells, None)
        view = view._replace(corrections=exact_corrections(network, chip.cells, aged=False))
        view = view if dt == learner.clock.dt else view._replace(clock=view.clock.at_step(dt))
        return learner.rule.run(chip.rule, view, x, key=key)

    activity = run(made, chip, x, None if keys.read is None else keys.read[0, 0])
    found = {
        "images": data.x_test[:SAMPLES],
        "labels": data.y_test[:SAMPLES],
        "predicted": predicted[0, :SAMPLES],
        "confusion": confusion(data.y_test, predicted[0], data.classes),
        "dt": np.asarray(dt),
    }
    if isinstance(activity, Membranes) and isinstance(network, Feedforward):
        pairs = zip(network.layers, activity.layers, strict=True)
        rest = [np.asarray(layer.of_rank(v.ndim).rest()) for layer, v in pairs]
        traces = {f"trace_{k}": np.asarray(v) + rest[k] for k, v in enumerate(activity.layers)}
        return found | traces | {"rest": np.asarray([r.mean() for r in rest])} | first_chip(population, chips)
    other: Any = activity
    spikes = activity.layers[-1].s if isinstance(activity, LocalActivity) else other.z
    return found | {"z": np.moveaxis(np.asarray(spikes), 1, 0).astype(np.uint8)} | first_chip(population, chips)
