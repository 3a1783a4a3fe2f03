"""Memory and time of a gradient through a long trial, whole and in segments of time: 64-64-10 MIF neurons, batch 32.

Memory is what XLA lays out for the gradient beyond its arguments and results. Gradients are compared before anything
is timed. Run with: python benchmarks/long_trials.py [--steps 10000] [--out FILE]
"""

import argparse
import json
import os
from itertools import pairwise
from pathlib import Path

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp
import numpy as np
from clock import alternate

from memspike.networks import Events, Feedforward, Layer
from memspike.networks.base import Clock

BATCH, DT = 32, 10e-6
SIZES = (65, 64, 10)


def gradient(steps, segment):
    """A function of conductances, and these: loss of the outputs of the last hundredth of the trial."""
    random = np.random.default_rng(0)
    layers = tuple(Layer(shape=shape) for shape in pairwise(SIZES))
    network = Feedforward(layers, segment=segment)
    times = tuple(float(t) for t in np.linspace(0, 0.9 * steps * DT, 20))
    pulses = Events(jnp.asarray(random.random((20, BATCH, SIZES[0])), jnp.float32), times)
    g = network.program(network.init_weights(0.3, key=jax.random.key(0)))

    def loss(g):
        out = network.run(g, pulses, Clock(DT, (steps,))).output
        return 1e3 * jnp.square(out[-steps // 100 :]).mean()

    return jax.jit(jax.grad(loss)).lower(g).compile(), g


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    segments = [None, round(given.steps**0.5)]
    (whole, g), (cut, _) = (gradient(given.steps, segment) for segment in segments)
    a, b = (jnp.concatenate([x.ravel() for x in f(g)]) for f in (whole, cut))
    apart = float(jnp.abs(a - b).max() / jnp.abs(a).max())
    if not apart < 1e-4:
        raise SystemExit(f"The gradient in segments is apart from the whole by {apart:.2g} of its largest element.")
    memory = [f.memory_analysis().temp_size_in_bytes for f in (whole, cut)]
    seconds = alternate([lambda f=f: jax.block_until_ready(f(g)) for f in (whole, cut)], given.rounds)
    row = {
        "steps": given.steps,
        "segment": segments[1],
        "whole_MB": memory[0] / 1e6,
        "segments_MB": memory[1] / 1e6,
        "memory_share": memory[1] / memory[0],
        "time_ratio": seconds[1] / seconds[0],
        "apart": apart,
    }
    print(
        f"{given.steps} steps: whole {row['whole_MB']:.0f} MB, segments of {segments[1]} {row['segments_MB']:.1f} MB "
        f"({100 * row['memory_share']:.1f} %), {row['time_ratio']:.2f} × the time, gradients apart by {apart:.1g}"
    )
    if given.out:
        plain = {k: float(f"{v:.3g}") for k, v in row.items()}
        given.out.write_text(json.dumps({"benchmark": "long-trials", "rows": [plain]}, indent=2) + "\n")


if __name__ == "__main__":
    main()
