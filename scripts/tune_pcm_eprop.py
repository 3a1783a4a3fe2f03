"""Settings of every update scheme of pcm-eprop-table, by a search of equal budget for each.

python scripts/tune_pcm_eprop.py SCHEME [--trials 40] [--seeds 2] [--epochs 120] [--out FILE]

Many trials are trained at once, as one population of chips: optuna proposes `--together` settings, all are run, all
are told. Seeds from 1000 on, apart from those of reports. The loss is the median over the seeds of the mean of the
last ten epochs. Needs: pip install "memspike[tune]".
"""

import argparse
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optuna

from memspike import use_cores
from memspike.experiments.pcm_eprop import online
from memspike.experiments.pcm_eprop_table import SCHEMES, pcm_eprop_table
from memspike.experiments.settings import changed
from memspike.parts.parallel import vmap_split

SPACE = {
    "learning.rate_factor": (0.03, 30.0),
    "neuron.theta": (0.08, 0.4),
    "learning.rate_weight": (1e-5, 5e-3),
}
ON_DEVICES = {"device.shrink": (0.5, 4.0)}
OF_SCHEME = {"sign": {"programming.dead_zone": (1e-4, 0.3)}}


def with_traced(config, values):
    """A configuration some of whose values are traced arrays, unchecked."""
    for path, value in values.items():
        section, key = path.split(".")
        part = getattr(config, section).model_copy(update={key: value})
        config = config.model_copy(update={section: part})
    return config


def evaluator(config):
    """losses(keys, values) of a population, each with its own key and values, as one program."""
    epochs = config.learning.epochs

    def one(key, values):
        run = online(with_traced(config, values))
        chip = run._start(key)
        numbers = jnp.arange(epochs, dtype=jnp.int32)
        _, metrics = jax.lax.scan(lambda c, e: run._epoch(key, c, e), chip, numbers)
        return metrics["loss"][-10:].mean()

    return jax.jit(lambda keys, values: vmap_split(one, keys, values))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("scheme", choices=list(SCHEMES))
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--together", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=120)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    use_cores()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    base = changed(pcm_eprop_table.config, SCHEMES[given.scheme] | {"learning.epochs": given.epochs, "seeds": 1})
    space = SPACE | ({} if given.scheme == "fp32" else ON_DEVICES) | OF_SCHEME.get(given.scheme, {})
    losses = evaluator(base)
    sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=2 * given.together, constant_liar=True)
    study = optuna.create_study(sampler=sampler)
    keys = jnp.stack([jax.random.key(1000 + s) for s in range(given.seeds)] * given.together)
    for _ in range(-(-given.trials // given.together)):
        trials = [study.ask() for _ in range(given.together)]
        asked = [{k: t.suggest_float(k, *bounds, log=True) for k, bounds in space.items()} for t in trials]
        values = {k: jnp.repeat(jnp.asarray([a[k] for a in asked]), given.seeds) for k in space}
        found = np.asarray(losses(keys, values)).reshape(given.together, given.seeds)
        score = np.median(np.where(np.isfinite(found), np.minimum(found, 10.0), 10.0), axis=1)
        for trial, value in zip(trials, score, strict=True):
            study.tell(trial, float(value))
        print(given.scheme, len(study.trials), f"{study.best_value:.4f}", study.best_params, flush=True)
    best = {"scheme": given.scheme, "loss": study.best_value, "settings": study.best_params, **vars(given)}
    best["out"] = str(given.out)
    if given.out:
        given.out.write_text(json.dumps(best, indent=2) + "\n")


if __name__ == "__main__":
    main()
