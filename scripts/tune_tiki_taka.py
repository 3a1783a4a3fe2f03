"""Settings of every line of tiki-taka-regression: python scripts/tune_tiki_taka.py [LINE …] [--trials 40].

Every line gets the same number of random trials over its learning rate and, with a gradient array, over fast and
period, on seeds 1000 and 1001 with references off by 5 %.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np

from memspike.experiments import resolve
from memspike.experiments.tiki_taka_regression import LAST, LINES, RegressionSettings, Trained, train
from memspike.parts.registry import SCHEMES

RANGES = {"rate": (1e-3, 0.1), "fast": (0.2, 5.0), "period": (100.0, 3000.0)}
OFFSET, SEEDS = 0.05, (1000, 1001)


def search(name: str, settings: RegressionSettings, trials: int) -> list[tuple[float, dict[str, float]]]:
    """Error and settings of every trial, the best first."""
    line = LINES[name]
    random = np.random.default_rng(0)
    drawn = {
        k: np.exp(random.uniform(np.log(low), np.log(high), trials)).astype(np.float32)
        for k, (low, high) in RANGES.items()
    }
    used = {k: v for k, v in drawn.items() if k == "rate" or k in line.options}

    def one(own: dict[str, jax.Array], seed: jax.Array) -> jax.Array:
        options = line.options | {k: v for k, v in own.items() if k != "rate"}
        scheme = SCHEMES.get(line.scheme).value(**options)
        found: Trained = train(settings, line, scheme, own["rate"], OFFSET, jax.random.key(seed))
        return found.error[-LAST:].mean()

    every = jax.jit(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))
    error = np.asarray(every({k: jnp.asarray(v) for k, v in used.items()}, jnp.asarray(SEEDS))).mean(1)
    order = np.argsort(np.where(np.isfinite(error), error, np.inf))
    return [(float(error[i]), {k: float(f"{v[i]:.3g}") for k, v in used.items()}) for i in order]


def main() -> None:
    """The three best settings of every line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("lines", nargs="*", help=f"all by default: {', '.join(LINES)}")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--updates", type=int, default=5000)
    given = parser.parse_args()
    settings = resolve("tiki-taka-regression", [f"task.updates={given.updates}"]).settings
    for name in given.lines or LINES:
        print(name, *search(name, settings, given.trials)[:3], sep="\n  ", flush=True)


if __name__ == "__main__":
    main()
