"""What `against.py` times in two builds: functions that both know.

`python build_cases.py CASE ROUNDS` → a line of JSON: `seconds` is the median of the repetitions in this process,
compilation not counted; `check` are numbers that two builds have to share.
"""

import json
import os
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # the threads that JAX starts stay on this core

import jax
import jax.numpy as jnp
import numpy as np
from clock import seconds

STEPS, DT = 100, 10e-6


def mif_gradient(batch):
    """Loss and gradient of 784-100-10 MIF neurons under one row pulse; under held rows for the check."""
    from memspike.arrays import Crossbar
    from memspike.networks import Events, Feedforward, Layer, simulate
    from memspike.neurons import AlphaFilter, ExponentialFilter

    rng = np.random.default_rng(0)
    sizes = (785, 100, 10)
    weights = tuple(
        jnp.asarray(rng.normal(size=(n, m), scale=0.5 / n**0.5).astype(np.float32)) for n, m in pairwise(sizes)
    )
    v = jnp.asarray((0.2 * rng.random((batch, 785)) * (rng.random((batch, 785)) < 0.2)).astype(np.float32))
    first = {"filter": AlphaFilter(tau=0.3e-3)}
    try:
        layer = Layer(sizes[:2], Crossbar(), **first, input_gain=30.0)
    except TypeError:  # the gain was hidden in the filter
        layer = Layer(sizes[:2], Crossbar(), **first)
    network = Feedforward((layer, Layer(sizes[1:], Crossbar(), filter=ExponentialFilter(tau=0.1e-3))))

    def loss(weights, x, steps):
        out = simulate(network, network.program(weights), x, steps=steps, dt=DT)[-1]
        return 1e3 * jnp.square(out - network.layers[-1].neuron.rest()).mean()

    pulsed = jax.jit(lambda w, v: jax.value_and_grad(loss)(w, Events(v[None], (0.0,)), STEPS))
    held = jax.jit(lambda w, v: jax.value_and_grad(loss)(w, jnp.repeat(v[None, :2], 20, 0), 20))
    value, slopes = held(weights, v)
    check = [value, *(jnp.abs(one).sum() for one in slopes), *(one[3, :5] for one in slopes)]
    return lambda: jax.block_until_ready(pulsed(weights, v)), check


def soft_bounds():
    """One update of 1,024² soft-bounds devices with device-to-device spread and cycle-to-cycle noise, in an array."""
    from memspike import devices
    from memspike.arrays import Crossbar
    from memspike.cells import SingleReference, midpoint

    shape, spread = (1, 1024, 1024), {"device.g_max": 0.05, "device.g_min": 0.05}
    device = devices.CycleToCycle(devices.SoftBounds(), up=0.03, down=0.03)
    chip = devices.fabricate(device, spread, shape=shape, key=jax.random.key(0))
    crossbar = Crossbar(SingleReference(chip, midpoint(chip)))
    cells = crossbar.cell.init(shape[1:])
    state = chip.place(cells.devices, 0.5 * (chip.g_min + chip.g_max))
    cells = cells._replace(devices=state)
    pulses = jnp.asarray(np.random.default_rng(0).integers(-3, 4, shape[1:]).astype(np.float32))
    update = jax.jit(lambda c, s, n, k: c.write(s, n, key=k)[0])
    key = jax.random.key(1)
    quiet = chip.stored(chip.program(state, pulses[None]))
    return lambda: jax.block_until_ready(update(crossbar, cells, pulses, key)), [
        1e6 * quiet.mean(),
        1e6 * quiet[0, 0, :5],
    ]


def experiment(name, *options, check):
    """Seconds of training that a run of the command line says of itself, and numbers of its result."""
    from memspike.cli import main

    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "run")
        sys.argv = ["memspike", "run", name, *options, "--out", out]
        with open(os.devnull, "w") as nowhere:
            sys.stdout, kept = nowhere, sys.stdout
            try:
                main()
            except SystemExit as end:
                if end.code:
                    raise
            finally:
                sys.stdout = kept
        result = json.loads((Path(out) / "result.json").read_text())
    return result["wall_s"], [result[key] for key in check]


CASES = {
    "mif-gradient-128": lambda: mif_gradient(128),
    "mif-gradient-16": lambda: mif_gradient(16),
    "soft-bounds": soft_bounds,
}
RUNS = {
    "pcm-eprop": lambda: experiment(
        "pcm-eprop", "--seeds", "10", "--set", "training.epochs=250", check=("mse_median",)
    ),
    "memprop-digits": lambda: experiment("memprop-digits", check=("test_accuracy",)),
    "mnist-400": lambda: experiment("memprop-mnist", "--set", "network.layers=[400]", check=("test_accuracy",)),
}


def main():
    name, rounds = sys.argv[1], int(sys.argv[2])
    if name in RUNS:
        found, check = RUNS[name]()
    else:
        function, check = CASES[name]()
        found = seconds(function, rounds)
    flat = np.concatenate([np.ravel(np.asarray(one, float)) for one in check])
    print(json.dumps({"seconds": found, "check": flat.tolist()}))


if __name__ == "__main__":
    main()
