"""Ten chips of pattern generation on PCM as one vmapped run, against ten runs of one chip, on all cores.

The released constants, one device a side, mixed precision, all noise and drift; after compilation. The population is
shared out among the cores; a single chip runs on one. Both sides train the same chips: their losses are compared
before anything is timed. Run with: make bench
"""

import argparse
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from clock import alternate

from memspike import use_cores
from memspike.experiments import resolve
from memspike.experiments.pcm_eprop import online

SETTINGS = (
    "devices_per_side=1",
    "shrink=1",
    "theta=0.19252357575425721",
    "rate_factor=1",
    "rate_weight=8.3827e-4",
)


def runs(count, first):
    """The jitted training of `count` chips from seed `first` on, with fresh chips."""
    config = resolve("pcm-eprop", (*SETTINGS, f"seeds={count}", f"seed={first}"))[1]
    made = online(config)
    return made, made.init()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chips", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    use_cores()
    together, chips = runs(options.chips, 0)
    single, _ = runs(1, 0)
    keys = [together.keys[k : k + 1] for k in range(options.chips)]
    alone = [jax.tree.map(lambda leaf, k=k: leaf[k : k + 1], chips) for k in range(options.chips)]

    def population():
        return jax.block_until_ready(together.epochs(chips, 0, options.epochs)[1]["loss"])

    def one_by_one():
        losses = []
        for key, chip in zip(keys, alone, strict=True):
            single.keys = key
            losses.append(jax.block_until_ready(single.epochs(chip, 0, options.epochs)[1]["loss"]))
        return jnp.concatenate(losses)

    np.testing.assert_allclose(np.asarray(population())[:, 0], np.asarray(one_by_one())[:, 0], rtol=1e-3)
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
