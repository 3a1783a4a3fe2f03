"""Settings of every line of tiki-taka-regression: python scripts/tune_tiki_taka.py [trials] [line …].

Every line gets the same number of random trials over its learning rate and, on fast tiles, over fast and period, on
seeds 1000 and 1001 with references off by 5 %.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np

from memspike.experiments.tiki_taka_regression import LAST, LINES, RegressionConfig, TikiTakaConfig, train
from memspike.parts.registry import SCHEMES

RANGES = {"rate": (1e-3, 0.1), "fast": (0.2, 5.0), "period": (100.0, 3000.0)}
OFFSET, SEEDS = 0.05, (1000, 1001)


def search(name: str, trials: int) -> list[tuple[float, dict[str, float]]]:
    line = LINES[name]
    config = TikiTakaConfig(experiment="tiki-taka-regression", task=RegressionConfig(updates=5000))
    random = np.random.default_rng(0)
    drawn = {
        k: np.exp(random.uniform(np.log(low), np.log(high), trials)).astype(np.float32)
        for k, (low, high) in RANGES.items()
    }
    used = {k: v for k, v in drawn.items() if k == "rate" or k in line.options}

    def one(settings, seed):
        options = line.options | {k: v for k, v in settings.items() if k != "rate"}
        scheme = SCHEMES.get(line.scheme).value(**options)
        return train(config, line, scheme, settings["rate"], OFFSET, jax.random.key(seed)).error[-LAST:].mean()

    every = jax.jit(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))
    error = np.asarray(every({k: jnp.asarray(v) for k, v in used.items()}, jnp.asarray(SEEDS))).mean(1)
    order = np.argsort(np.where(np.isfinite(error), error, np.inf))
    return [(float(error[i]), {k: float(f"{v[i]:.3g}") for k, v in used.items()}) for i in order]


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    for name in sys.argv[2:] or LINES:
        print(name, *search(name, number)[:3], sep="\n  ", flush=True)
