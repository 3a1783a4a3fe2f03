"""Settings of every update scheme of pcm-eprop-table, by a search of equal budget for each.

python scripts/tune_pcm_eprop.py SCHEME [--trials 40] [--seeds 2] [--epochs 120] [--set KEY=VALUE] [--out FILE]

Many trials are trained at once, as one population of chips: optuna proposes `--together` settings, all are run, all
are told. Seeds from 1000 on, apart from those of reports. The loss is the median over the seeds of the mean of the
last ten epochs. Needs: pip install "memspike[tune]".
"""

import argparse
import dataclasses
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import optuna

from memspike import use_cores
from memspike.config.build import generator, plan_of
from memspike.experiments import resolve
from memspike.experiments.eprop import scale
from memspike.experiments.pcm_eprop import LAST, GenerationSettings
from memspike.experiments.pcm_eprop_table import SCHEMES, TableSettings, line
from memspike.parts import compiled
from memspike.parts.table import Recipe
from memspike.training.fit import fit
from memspike.training.learner import Learner
from memspike.training.population import Population

SPACE = {
    "learning.optimizer.rate_factor": (0.03, 30.0),
    "neuron.theta": (0.08, 0.4),
    "learning.rule.rate_weight": (1e-5, 5e-3),
}
ON_DEVICES = {"synapse.scale": (scale(0.5), scale(4.0))}
OF_SCHEME = {"sign": {"learning.scheme.dead_zone": (1e-4, 0.3)}}
FIRST_SEED, WORST = 1000, 10.0


def with_numbers(recipe: Recipe, searched: set[str]) -> Recipe:
    """The recipe with its searched options as numbers, in which learners of one population may differ."""
    numbers = {k: jnp.asarray(v) for k, v in recipe.fixed.items() if k in searched}
    fixed = {k: v for k, v in recipe.fixed.items() if k not in numbers}
    return Recipe(recipe.make, recipe.name, fixed, recipe.numbers | numbers)


def learner_of(settings: GenerationSettings, searched: set[str]) -> Learner:
    """The learner of a trial."""
    task = settings.task
    made = generator(settings, task, task.steps, (task.inputs, 1))
    optimizer, scheme = (with_numbers(one, searched) for one in (made.optimizer, made.scheme))
    return dataclasses.replace(made, optimizer=optimizer, scheme=scheme)


def losses(base: TableSettings, scheme: str, asked: list[dict[str, float]], seeds: int) -> np.ndarray:
    """The loss of every trial: the median over seeds, those that are not finite as the worst."""
    searched = {key.rsplit(".", 1)[-1] for key in asked[0]}
    trials = [line(base, {"scheme": scheme}, SCHEMES[scheme] | own).training for own in asked]
    learners = [learner_of(one, searched) for one in trials]
    order, chosen = base.training.order, range(FIRST_SEED, FIRST_SEED + seeds)
    population = Population(learners, trials[0].task, order, chosen)
    history = fit(population, plan_of(trials[0])).history
    each = np.asarray([row["loss"] for row in history[-LAST * population.count :]]).reshape(-1, population.count)
    found = each.mean(0).reshape(len(asked), seeds)
    return np.median(np.where(np.isfinite(found), np.minimum(found, WORST), WORST), axis=1)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scheme", choices=list(SCHEMES))
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--together", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=120)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def main() -> None:
    """Search, and say the best so far after every round."""
    given = arguments()
    use_cores()
    compiled.keep()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    base = resolve("pcm-eprop-table", [*given.set, f"training.epochs={given.epochs}"]).settings
    space = SPACE | ({} if given.scheme == "fp32" else ON_DEVICES) | OF_SCHEME.get(given.scheme, {})
    sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=2 * given.together, constant_liar=True)
    study = optuna.create_study(sampler=sampler)
    for _ in range(-(-given.trials // given.together)):
        trials = [study.ask() for _ in range(given.together)]
        asked = [{k: t.suggest_float(k, *bounds, log=True) for k, bounds in space.items()} for t in trials]
        for trial, value in zip(trials, losses(base, given.scheme, asked, given.seeds), strict=True):
            study.tell(trial, float(value))
        print(given.scheme, len(study.trials), f"{study.best_value:.4f}", study.best_params, flush=True)
    if given.out:
        best = {**vars(given), "loss": study.best_value, "settings": study.best_params, "out": str(given.out)}
        given.out.write_text(json.dumps(best, indent=2) + "\n")


if __name__ == "__main__":
    main()
