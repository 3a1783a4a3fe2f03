"""What `against.py` times in two builds: functions that both know.

`python build_cases.py CASE ROUNDS` → a line of JSON: `seconds` is the median of the repetitions in this process,
compilation not counted; `check` are numbers that two builds have to share.
"""

import json
import os
import sys
import tempfile
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # the threads that JAX starts stay on this core

import jax
import jax.numpy as jnp
import numpy as np
from clock import seconds

STEPS, DT = 100, 10e-6
OLD = find_spec("memspike.config") is None  # it has names of its own for many things


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
    """Ten updates, in one program as in training, of 1,024² soft-bounds devices with device-to-device spread and
    cycle-to-cycle noise, in an array.
    """
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

    @jax.jit
    def update(crossbar, cells, pulses, keys):
        return jax.lax.scan(lambda cells, key: (crossbar.write(cells, pulses, key=key)[0], None), cells, keys)[0]

    keys = jax.random.split(jax.random.key(1), 10)
    quiet = chip.stored(chip.program(state, pulses[None]))
    return lambda: jax.block_until_ready(update(crossbar, cells, pulses, keys)), [
        1e6 * quiet.mean(),
        1e6 * quiet[0, 0, :5],
    ]


def population():
    """Ten epochs of ten chips of e-prop on PCM as `population.py` has them; the check is the loss before any update."""
    from memspike.experiments import resolve

    epochs, seeds = 10, ["seeds=10", "seed=0"]
    if OLD:
        from memspike.experiments.pcm_eprop import online

        own = ["devices_per_side=1", "shrink=1", "theta=0.19252357575425721", "rate_factor=1", "rate_weight=8.3827e-4"]
        made = online(resolve("pcm-eprop", (*own, *seeds))[1])
        chips = made.init()
        run = lambda: jax.block_until_ready(made.epochs(chips, 0, epochs))[1]["loss"]  # noqa: E731
    else:
        from memspike.experiments.eprop import scale
        from memspike.training.population import Piece

        own = ["synapse=differential-pair", f"synapse.scale={scale()}", "neuron.theta=0.19252357575425721"]
        own += ["learning.optimizer.rate_factor=1", "learning.rule.rate_weight=8.3827e-4"]
        experiment, found, _ = resolve("pcm-eprop", (*own, *seeds))
        made = experiment.prepare(found).population
        chips, piece = made.init(), Piece(0, epochs, 0, made.per_epoch)
        run = lambda: jax.block_until_ready(made.run(chips, piece))[1]["loss"]  # noqa: E731
    return run, [np.asarray(run()).reshape(10, -1)[:, 0]]


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
    "pcm-eprop": population,
}
LAYERS = "hidden" if OLD else "network.layers"
RUNS = {
    "memprop-digits": lambda: experiment("memprop-digits", check=("test_accuracy",)),
    "mnist-400": lambda: experiment("memprop-mnist", "--set", f"{LAYERS}=[400]", check=("test_accuracy",)),
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
