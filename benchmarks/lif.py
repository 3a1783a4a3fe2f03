"""A dense layer of LIF neurons, forward and backward, one core: memspike, snnTorch, SpikingJelly, Norse and spyx.

T = 100 steps, batch 16, N inputs and N neurons; the gradient with respect to the weights of a weighted sum of all
spikes, by the surrogate that each has by default or nearest to a fast sigmoid. Ours holds the weights as pairs of
conductances and differentiates with respect to these. Time constant and threshold are the same; resets differ in
detail, so that mean rates are compared (within a fifth) before anything is timed. Each peer as its documentation writes
it: snnTorch and Norse step by step, SpikingJelly and spyx in the form for whole sequences. Needs an environment with
torch==2.13.0, snntorch==1.0.0, spikingjelly==2.0.0, norse==1.1.0, spyx==1.0.0; what is not installed is left out. Run
with: python benchmarks/lif.py [--out FILE]
"""

import argparse
import importlib.util
import json
import math
import os
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp
import numpy as np
from clock import alternate

from memspike.networks import Feedforward, Layer
from memspike.networks.base import Clock
from memspike.neurons import LIF, ExponentialFilter
from memspike.neurons.surrogate import FastSigmoid

warnings.filterwarnings("ignore")
STEPS, BATCH, DT, TAU = 100, 16, 1e-3, 20e-3
BETA = math.exp(-DT / TAU)


def drawn(n):
    """Spikes [T, B, N], weights [N, N] and the weights of the loss."""
    random = np.random.default_rng(0)
    x = (random.random((STEPS, BATCH, n)) < 0.2).astype(np.float32)
    w = (random.normal(size=(n, n)) * 1.2 / math.sqrt(0.2 * n) / 3).astype(np.float32)
    return x, w, random.normal(size=(STEPS, BATCH, n)).astype(np.float32)


def ours(x, w, target):
    n = len(w)
    neuron = LIF(tau=TAU, theta=1.0, surrogate=FastSigmoid(slope=25.0))
    layer = Layer((n, n), filter=ExponentialFilter(tau=1e-12), neuron=neuron)
    network = Feedforward((layer,), input_voltage=0.2, spiking_output=True)
    g = network.program((jnp.clip(jnp.asarray(w), -1, 1),))

    def loss(g, x):
        z = network.run(g, x, Clock(DT, (STEPS,))).output / 0.2
        return (z * jnp.asarray(target)).sum(), z.mean()

    run = jax.jit(jax.value_and_grad(loss, has_aux=True))
    x = jnp.asarray(x)
    return lambda: jax.block_until_ready(run(g, x)), float(run(g, x)[0][1])


def by_torch(make):
    """Forward and backward of `make(n)` → a function (x, linear layer) → spikes."""

    def case(x, w, target):
        import torch

        torch.set_num_threads(1)
        linear = torch.nn.Linear(*w.shape, bias=False)
        linear.weight.data = torch.tensor(w.T.copy())
        run, inputs, target = make(len(w)), torch.tensor(x), torch.tensor(target)

        def once():
            linear.zero_grad()
            z = run(inputs, linear)
            (z * target).sum().backward()
            return z

        return once, float(once().mean())

    return case


def snntorch(n):
    import snntorch as snn
    import torch
    from snntorch import surrogate

    neuron = snn.Leaky(beta=BETA, threshold=1.0, spike_grad=surrogate.fast_sigmoid(slope=25))

    def run(x, linear):
        mem, found = neuron.init_leaky(), []
        for now in x:
            z, mem = neuron(linear(now), mem)
            found.append(z)
        return torch.stack(found)

    return run


def spikingjelly(n):
    from spikingjelly.activation_based import functional, neuron, surrogate

    cell = neuron.LIFNode(
        tau=1 / (1 - BETA), decay_input=False, v_threshold=1.0, v_reset=None, step_mode="m",
        surrogate_function=surrogate.ATan(),
    )  # fmt: skip

    def run(x, linear):
        functional.reset_net(cell)
        return cell(linear(x))

    return run


def norse(n):
    import torch
    from norse.torch import LIFBoxCell, LIFBoxParameters

    # its input counts dt/τ, and a spike puts the membrane to 0
    cell = LIFBoxCell(LIFBoxParameters(tau_mem_inv=torch.as_tensor((1 - BETA) / DT), v_th=torch.as_tensor(1.0)), dt=DT)

    def run(x, linear):
        state, found = None, []
        for now in linear(x) / (1 - BETA):
            z, state = cell(now, state)
            found.append(z)
        return torch.stack(found)

    return run


def spyx(x, w, target):
    import spyx.nn as snn
    from flax import nnx

    neuron = snn.LIF((len(w),), beta=BETA, threshold=1.0, rngs=nnx.Rngs(0))

    def loss(w, x):
        z = snn.run(neuron, x @ w)[0]
        return (z * jnp.asarray(target)).sum(), z.mean()

    run = jax.jit(jax.value_and_grad(loss, has_aux=True))
    w, x = jnp.asarray(w), jnp.asarray(x)
    return lambda: jax.block_until_ready(run(w, x)), float(run(w, x)[0][1])


PEERS = {
    "snntorch": by_torch(snntorch),
    "spikingjelly": by_torch(spikingjelly),
    "norse": by_torch(norse),
    "spyx": spyx,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rows = []
    for n in (128, 512):
        case = drawn(n)
        made = {"memspike": ours(*case)}
        made |= {name: make(*case) for name, make in PEERS.items() if importlib.util.find_spec(name)}
        rate = made["memspike"][1]
        for name, (_, theirs) in made.items():
            if not 0.8 < theirs / rate < 1.25:
                raise SystemExit(f"{name}, N = {n}: a mean of {theirs:.4f} spikes a step, memspike {rate:.4f}")
        seconds = alternate([f for f, _ in made.values()], given.rounds)
        for name, s in zip(made, seconds, strict=True):
            rows.append({"neurons": n, "of": name, "ms": 1e3 * s, "ratio": s / seconds[0]})
            print(f"N = {n}, {name}: {1e3 * s:.2f} ms, {s / seconds[0]:.1f} × ours")
    if given.out:
        plain = [{k: float(f"{v:.3g}") if isinstance(v, float) else v for k, v in row.items()} for row in rows]
        given.out.write_text(json.dumps({"benchmark": "lif", "rows": plain}, indent=2) + "\n")


if __name__ == "__main__":
    main()
