"""A training step of memprop-mnist (784-100-10, batch 128) with wires of 1 Ω against the same with ideal wires.

Both run in one process, in turn, as `memspike run` does: an epoch of 468 steps in chunks, the correction of the wires
renewed once in it, on all cores. Images are random: the work does not depend on them. Run with: make bench
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import jax
import numpy as np

from memspike.config.build import classifier, plan_of
from memspike.data.base import Dataset
from memspike.experiments import resolve
from memspike.parts.parallel import use_cores


def random_images(count=60_000):
    rng = np.random.default_rng(0)
    images = (rng.random((count, 28, 28)) * 255 * (rng.random((count, 28, 28)) < 0.2)).astype(np.uint8)
    labels = rng.integers(0, 10, count).astype(np.int32)
    return Dataset("random", images, labels, images[:100], labels[:100], 10, 255.0)


def trained(data, *settings):
    """The population of a configuration, and the pieces of its second epoch."""
    settings = resolve("memprop-mnist", settings).settings
    population = classifier(settings, data).population
    return population, [piece for piece in plan_of(settings).pieces(population) if piece.epoch == 1]


def epoch(population, pieces, chips):
    """The second epoch, piece by piece; the chips are not kept, so that every round does the same."""
    chips = population.renewed(chips, first=False)
    for piece in pieces:
        chips = jax.block_until_ready(population.run(chips, piece)[0])
    return chips


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    use_cores()
    data = random_images()
    kinds = {"ideal": (), "tiles-128": ("array.tile=[128,128]",), "tiles-256": ("array.tile=[256,200]",)}
    wires = ("array.r_row=1", "array.r_column=1")
    runs = {name: trained(data, *tiles, *(wires if tiles else ())) for name, tiles in kinds.items()}
    chips = {name: one.init() for name, (one, _) in runs.items()}
    times = {name: [] for name in runs}
    for r in range(options.rounds + 1):
        for name, (one, pieces) in runs.items():
            start = time.perf_counter()
            jax.block_until_ready(epoch(one, pieces, chips[name]))
            if r:  # the first round compiles
                times[name].append((time.perf_counter() - start) / one.per_epoch)
    ms = {name: 1e3 * statistics.median(t) for name, t in times.items()}
    rows = [
        {"array": name, "ms_per_step": float(f"{ms[name]:.3g}"), "ratio": float(f"{ms[name] / ms['ideal']:.3g}")}
        for name in ms
    ]
    for row in rows:
        print(f"{row['array']}: {row['ms_per_step']} ms a step, {row['ratio']}× ideal wires")
    if options.out:
        report = {"benchmark": "wired-training", "steps_per_epoch": runs["ideal"][0].per_epoch, "rows": rows}
        options.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
