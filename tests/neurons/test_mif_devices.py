"""MIF neurons and patches by kernels on several devices of a CPU: every device has its part of the batch."""

import subprocess
import sys

PROGRAM = """
import jax, numpy as np
jax.config.update("jax_num_cpu_devices", 4)
import jax.numpy as jnp
import memspike as ms
from memspike.networks import Events
from memspike.parts.parallel import split
network = ms.networks.feedforward((6, 20, 3))
g = network.program(network.init_weights(0.3, key=jax.random.key(0)))
v = jnp.asarray(np.random.default_rng(0).random((1, 8, 6)), jnp.float32)

def loss(g, v, shared):
    pulses = Events(split(v, 1) if shared else v, (0.0,))
    out = ms.networks.simulate(network, g, pulses, steps=30, dt=20e-6)[-1]
    return jnp.square(out).sum()

def many(shared):
    return jax.jit(jax.vmap(jax.value_and_grad(lambda g, v: loss(g, v, shared)), in_axes=(0, None)))

each = jax.tree.map(lambda x: jnp.stack([x, 0.9 * x, 1.1 * x]), g)
alone = jax.jit(jax.value_and_grad(lambda g, v: loss(g, v, False)))
expected = [[alone(jax.tree.map(lambda x: x[k], each), x) for k in range(3)] for x in (v[:, :7], v)]
odd = many(True)(each, v[:, :7])  # four devices do not divide seven examples
program = many(True).lower(each, v).compile()
for whole, one in zip((odd, program(each, v)), expected, strict=True):
    for k in range(3):
        for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(one[k]), strict=True):
            np.testing.assert_allclose(a[k], b, rtol=1e-4, atol=1e-5 * float(jnp.abs(b).max()))
text = program.as_text()
calls = [line for line in text.splitlines() if "custom-call" in line and "memspike_mif" in line]
# three chips, a fourth of eight examples, 20 and 3 neurons
assert calls and all("f32[30,120]" in line or "f32[30,18]" in line for line in calls), calls[:2]

from memspike.networks.patches import Cut, patches, sliced
image, cut = jnp.asarray(np.random.default_rng(0).normal(size=(3, 8, 6, 6, 5)), jnp.float32), Cut(3, 1, 4, 4)
back = jax.jit(jax.grad(lambda x: jnp.square(patches(split(x, 1), cut)).sum())).lower(image).compile()
wanted = jax.grad(lambda x: jnp.square(sliced(x, cut)).sum())(image)
np.testing.assert_allclose(back(image), wanted, rtol=1e-6, atol=1e-6)
assert sum("f32[6," in line for line in back.as_text().splitlines() if "memspike_patches" in line) == 2
"""


def test_every_device_has_its_part():
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=300)
