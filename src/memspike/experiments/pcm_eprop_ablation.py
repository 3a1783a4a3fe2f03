"""What e-prop learns: pattern generation with some of the matrices held fixed, and readouts by ridge regression."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from memspike.experiments.base import Result, nested
from memspike.experiments.pcm_eprop import GENERATION, Generation, GenerationSettings, prepare, zero_output
from memspike.experiments.pcm_eprop_table import Keys, errors, line, wanted
from memspike.experiments.table import ERROR, RATE, SEEDS, Column
from memspike.networks.recurrent import lowpass
from memspike.parts.errors import InputError, RunError
from memspike.parts.param import option, part
from memspike.training.fit import restored
from memspike.training.folder import RunFolder
from memspike.training.learner import Chip
from memspike.training.population import FabricatedChip
from memspike.training.progress import Report

ALL = "all weights"
# whether the input, the recurrent and the output matrix learn
LEARNING: dict[str, tuple[int, int, int]] = {
    ALL: (1, 1, 1),
    "no recurrent": (1, 0, 1),
    "no input": (0, 1, 1),
    "readout alone": (0, 0, 1),
}
# the best readout of the network before any training, and of that in which all weights have learned
UNTRAINED, TRAINED = "ridge on the untrained network", "ridge on the trained network"
LINES = (*LEARNING, UNTRAINED, TRAINED)


class Ablation(eqx.Module):
    """The lines of the table, and how their readouts are found."""

    weights: tuple[str, ...] = option((), "lines of the table, by what learns; all by default")
    penalty: float = option(1e-6, "penalty of a ridge over the mean square of a trace", bounds=(1e-12, 1e6))


class AblationSettings(GenerationSettings):
    """The training that all lines share, and the lines."""

    study: Ablation = part(Ablation, "the lines of the table")


class Study(NamedTuple):
    """Names of the lines, the settings of all trainings, and what the untrained network is."""

    names: list[str]
    trainings: dict[str, GenerationSettings]
    untrained: Generation
    penalty: float


def plan(settings: AblationSettings) -> Study:
    """The trainings of a table; InputError for unknown lines, and for an optimiser without a rate for each matrix."""
    names = wanted("line of the ablation", settings.study.weights, dict.fromkeys(LINES))
    rates = settings.learning.optimizer.options().get("rates", ())
    if len(rates) != len(LEARNING[ALL]):
        raise InputError(
            "The ablation sets learning rates of matrices to 0; needed: learning.optimizer=rates with three rates."
        )
    trainings = {
        name: line(settings, {}, {"learning.optimizer.rates": [r * on for r, on in zip(rates, learns, strict=True)]})
        for name, learns in LEARNING.items()
        if name in names or (name == ALL and TRAINED in names)
    }
    whole = line(settings, {}, {}).training
    return Study(names, {name: one.training for name, one in trainings.items()}, prepare(whole), settings.study.penalty)


class Heard(NamedTuple):
    """What the readout of a chip gets in all its patterns: filtered spikes, targets, and the firing rate in Hz."""

    traces: Float[Array, "*chips patterns steps neurons"]
    target: Float[Array, "*chips patterns steps 1"]
    rate: Float[Array, "*chips"]


def heard(run: Generation, chips: Chip) -> Heard:
    """The traces of all chips in their last patterns; reads are as noisy as in training."""
    population, dt = run.population, run.settings.simulation.dt
    trials, last = population.trials, run.settings.training.epochs - 1

    def one(made: FabricatedChip, chip: Chip) -> Heard:
        learner, network = population.learner_of(made.numbers), population.network(made)
        shown = trials.epoch(made.key, jnp.asarray(last))
        view = learner.view(network, chip.cells, None if chip.wires is None else chip.wires.corrections)

        def pattern(index: Array) -> Heard:
            key = jax.random.fold_in(made.key, index)
            x, target, _ = trials.trial(shown, index, key)
            activity = learner.rule.run(chip.rule, view, x, key=view.key(key))
            kappa: Any = jnp.exp(-dt / network.tau_out)  # pyright: ignore[reportAttributeAccessIssue]
            return Heard(lowpass(activity.state.z, kappa), target, activity.rate(dt).mean())

        each = [pattern(jnp.asarray(i)) for i in range(trials.count)]
        all_of: Heard = jax.tree.map(lambda *parts: jnp.stack(parts), *each)
        return all_of._replace(rate=all_of.rate.mean())

    return jax.jit(jax.vmap(one))(population.chips, chips)


def ridge(traces: np.ndarray, target: np.ndarray, penalty: float) -> float:
    """Mean squared error of the best linear readout of traces [steps, neurons], in double precision."""
    phi, wanted = traces.astype(np.float64), target.astype(np.float64)
    gram = phi.T @ phi
    size = np.trace(gram) / len(gram)
    if size == 0:
        return float(np.square(wanted).mean())
    w = np.linalg.solve(gram + penalty * size * np.eye(len(gram)), phi.T @ wanted)
    return float(np.square(phi @ w - wanted).mean())


def readout(run: Generation, chips: Chip, penalty: float) -> dict[str, Any]:
    """Errors of ridge regressions, one a chip for all its patterns, as a row of the table."""
    found = heard(run, chips)
    pairs = zip(np.asarray(found.traces), np.asarray(found.target), strict=True)
    mse = [ridge(x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1]), penalty) for x, y in pairs]
    q1, median, q3 = (float(q) for q in np.quantile(mse, (0.25, 0.5, 0.75)))
    return {"mse_median": median, "mse_q1": q1, "mse_q3": q3, "diverged": 0, "rate_hz": float(found.rate.mean())}


def last_chips(settings: GenerationSettings, folder: RunFolder) -> tuple[Generation, Chip]:
    """The chips of a training that is over."""
    run = prepare(settings)
    chips, checkpoint = restored(run.population, folder)
    if not checkpoint.step:
        raise RunError(f"The training in {folder.path} left no readable checkpoint.")
    return run, chips


def compare(study: Study, folder: RunFolder, *, resume: bool, report: Report) -> Result:
    """Train every line with the same seeds, then fit the readouts; the folder holds one run folder a training."""
    places = {name: folder.path / "trainings" / name.replace(" ", "-") for name in study.trainings}
    results = {name: nested(one, places[name], report=report) for name, one in study.trainings.items()}
    rows: list[dict[str, Any]] = []
    for name in study.names:
        if name in LEARNING:
            kept = ("mse_median", "mse_q1", "mse_q3", "diverged", "rate_hz")
            row = {key: results[name][key] for key in kept}
        elif name == UNTRAINED:
            row = readout(study.untrained, study.untrained.population.init(), study.penalty)
        else:
            row = readout(*last_chips(study.trainings[ALL], RunFolder(places[ALL])), study.penalty)
        rows.append({"weights": name, **row, "seeds": study.untrained.settings.seeds})
        folder.write_csv("table.csv", rows)
    settings = study.untrained.settings
    return {"rows": rows, "mse_zero_output": zero_output(study.untrained), "epochs": settings.training.epochs}


def headline(result: Result) -> str:
    """All errors in one line."""
    return "error by what learns: " + ", ".join(f"{row['weights']} {row['mse_median']:.4f}" for row in result["rows"])


# constants of the released code for digital weights
RELEASED: Keys = {
    "neuron": {"theta": 0.1},
    "learning": {
        "scheme": {"type": "fp32"},
        "rule": {"feedback_gain": 0.1, "rate_weight": 1e-4},
        "optimizer": {"rates": [2e-5, 5e-5, 2e-5], "rate_factor": 1.0},
        "start": {"gain": 0.1},
    },
}

pcm_eprop_ablation = errors(
    "pcm-eprop-ablation",
    "pattern generation by e-prop with digital weights, some matrices held fixed; and readouts by ridge regression",
    GENERATION,
    RELEASED,
    columns=(Column("weights", "what learns", "text"), ERROR, RATE, SEEDS),
    quick={"seeds": 2, "training.epochs": 30, "study.weights": (ALL, "readout alone", UNTRAINED, TRAINED)},
    expected=0.0137,
    expected_quick=0.1,
    carry=compare,
    headline=headline,
    root=AblationSettings,
    prepare=plan,
)
