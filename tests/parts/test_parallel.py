"""Several cores as devices: the same numbers as one, in a process of their own."""

import json
import subprocess
import sys

import numpy as np
import pytest

CODE = """
import json, sys
import memspike as ms
count = ms.use_cores(int(sys.argv[1]))
import jax, jax.numpy as jnp
from memspike.parts.parallel import split
from memspike.networks import Events, feedforward, simulate
network = feedforward((6, 4, 3), input_gain=100.0)
weights = network.init_weights(key=jax.random.key(0))
v = 0.1 * jax.random.uniform(jax.random.key(1), (1, 8, 6))

@jax.jit
def gradient(weights, v):
    def loss(weights):
        pulses = Events(split(v, 1), (0.0,))
        return (simulate(network, network.program(weights), pulses, steps=20, dt=5e-5)[-1] ** 2).mean() * 1e3
    return jax.grad(loss)(weights)

odd = jax.jit(lambda x: split(x, 0))(jnp.ones(7))
print(json.dumps({"devices": count, "gradient": [g.tolist() for g in gradient(weights, v)], "odd": odd.tolist()}))
"""


def run(cores):
    done = subprocess.run([sys.executable, "-c", CODE, str(cores)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_two_cores_give_the_gradient_of_one():
    one, two = run(1), run(2)
    assert (one["devices"], two["devices"]) == (1, 2)
    for a, b in zip(one["gradient"], two["gradient"], strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-7)
    assert two["odd"] == pytest.approx([1.0] * 7)


NESTED = """
from memspike.parts import parallel
parallel.use_cores(2)
import jax, jax.numpy as jnp
x = jnp.arange(16.0).reshape(4, 4)
def row(r):
    return parallel.split(parallel.map_split(lambda v: v * v, r), 0)
for share_out in (parallel.map_split, parallel.vmap_split):
    assert (jax.jit(lambda x: share_out(row, x))(x) == x * x).all()
"""


def test_a_share_is_not_shared_out_again():
    """Chips on two devices, and the tiles of each chip: the inner loop stays on its device."""
    done = subprocess.run([sys.executable, "-c", NESTED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_asking_too_late_changes_nothing():
    import jax

    import memspike as ms

    before = jax.device_count()
    assert ms.use_cores() == before
