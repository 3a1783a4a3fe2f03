"""Ten chips of pattern generation on PCM as one vmapped run, against ten runs of one chip, on all cores.

The released constants, one device a side, mixed precision, all noise and drift; after compilation. The population is
shared out among the cores; a single chip runs on one. Both sides train the same chips: their losses are compared
before anything is timed. Run with: make bench
"""

import argparse
import json
from pathlib import Path

import jax
import numpy as np
from clock import alternate

from memspike import use_cores
from memspike.experiments import resolve
from memspike.experiments.eprop import scale
from memspike.training.population import Piece

SETTINGS = (
    "synapse=differential-pair",
    f"synapse.scale={scale()}",
    "neuron.theta=0.19252357575425721",
    "learning.optimizer.rate_factor=1",
    "learning.rule.rate_weight=8.3827e-4",
)


def runs(count, first):
    """The population of `count` chips from seed `first` on, and its fresh chips."""
    experiment, settings, _ = resolve("pcm-eprop", (*SETTINGS, f"seeds={count}", f"seed={first}"))
    population = experiment.prepare(settings).population
    return population, population.init()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chips", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    use_cores()
    together, chips = runs(options.chips, 0)
    alone = [runs(1, k) for k in range(options.chips)]
    piece = Piece(0, options.epochs, 0, together.per_epoch)
    program = alone[0][0]._run
    for one, _ in alone:
        one._run = program  # one compiled program for all single chips

    def population():
        return np.asarray(jax.block_until_ready(together.run(chips, piece))[1]["loss"])

    def one_by_one():
        return np.concatenate([np.asarray(one.run(chip, piece)[1]["loss"]) for one, chip in alone])

    np.testing.assert_allclose(population()[:, 0], one_by_one()[:, 0], rtol=1e-3)
    both = alternate((population, one_by_one), options.rounds)
    each = [1e3 * t / options.chips / options.epochs for t in both]
    result = {
        "benchmark": "population",
        "chips": options.chips,
        "cores": jax.device_count(),
        "together_ms_per_chip_and_epoch": each[0],
        "alone_ms_per_chip_and_epoch": each[1],
        "ratio": each[1] / each[0],
    }
    result = json.loads(json.dumps(result), parse_float=lambda x: float(f"{float(x):.3g}"))
    print(json.dumps(result))
    if options.out:
        options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
