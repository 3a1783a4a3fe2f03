"""One training gradient (forward + backward) of a MIF network: memspike against an eager PyTorch loop.

Same circuit, same step, same order of operations: row events times conductances once, a loop over the
hidden membranes, one product for all steps, a loop over the output membranes. Both losses and gradients
are compared before anything is timed. Run with: make bench
"""

import argparse
import json
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import torch
from clock import alternate

import memspike as ms
from memspike.arrays import Crossbar
from memspike.learning.objectives import Windowed
from memspike.networks import Events, Feedforward, Layer, simulate
from memspike.neurons import AlphaFilter, ExponentialFilter
from memspike.parts.parallel import split

SIZES = (785, 100, 10)
STEPS, DT = 100, 10e-6
TAU_IN, TAU = 0.3e-3, 0.1e-3
WIDTH, GAIN = 10e-6, 30.0
SPAN, TEMPERATURE = 90e-6, 5e-3


def jax_gradient(weights, v, labels, *, cores):
    """A compiled function of the weights → loss and gradients, with the batch split over `cores` or not."""
    first = Layer(SIZES[:2], Crossbar(), filter=AlphaFilter(tau=TAU_IN), input_gain=GAIN)
    second = Layer(SIZES[1:], Crossbar(), filter=ExponentialFilter(tau=TAU))
    network = Feedforward((first, second))
    readout = Windowed(temperature=TEMPERATURE)
    target = jax.nn.one_hot(labels, SIZES[-1])

    @jax.jit
    def gradient(weights, v):
        v = split(v, 0) if cores > 1 else v

        def loss(weights):
            out = simulate(network, network.program(weights), Events(v[None], (0.0,), WIDTH), steps=STEPS, dt=DT)[-1]
            return readout.loss(out - network.layers[-1].neuron.rest(), target).mean()

        return jax.value_and_grad(loss)(weights)

    arguments = tuple(jnp.asarray(w) for w in weights), jnp.asarray(v)
    return lambda: jax.block_until_ready(gradient(*arguments))


def torch_step(v, x1, x2, current):
    """The staggered exponential step of the published MIF neuron."""

    def advance(x, u):
        up, down = torch.sigmoid((u - 110e-3) / 15e-3), torch.sigmoid((5e-3 - u) / 15e-3)
        total = up + down
        return x - torch.expm1(-total * (DT / 1e-3)) * (up / total - x)

    x1, x2 = advance(x1, v), advance(x2, v - 50e-3)
    g1, g2 = x1 / 1e3 + (1 - x1) / 1e5, x2 / 1e3 + (1 - x2) / 1e5
    g = g1 + g2
    v = v - torch.expm1(-DT / 1e-9 * g) / g * (current - g1 * v - g2 * (v - 50e-3))
    return v, x1, x2


def torch_gradient(weights, v, labels, rest):
    """The same as an eager loop."""
    v, labels = torch.tensor(v), torch.tensor(labels)
    leaves = [torch.tensor(w, requires_grad=True) for w in weights]
    middles = (torch.arange(STEPS) + 0.5) * DT / TAU_IN
    on = torch.clamp(middles, max=WIDTH / TAU_IN)
    off = middles - on
    kernel = GAIN * (1 - (1 + on) * torch.exp(-on) + (1 - torch.exp(-on)) * off) * torch.exp(-off)
    v_rest, x1_rest, x2_rest = (float(x) for x in rest)
    decay, half = float(np.exp(-DT / TAU)), float(np.exp(-0.5 * DT / TAU))

    def population(currents):
        state = [torch.full_like(currents[0], x) for x in (v_rest, x1_rest, x2_rest)]
        trace = []
        for current in currents:
            state = torch_step(*state, current)
            trace.append(state[0])
        return torch.stack(trace) - v_rest

    def filtered(drives):
        lag, out = torch.zeros_like(drives[0]), []
        for drive in drives:
            out.append(drive + (lag - drive) * half)
            lag = drive + (lag - drive) * decay
        return out

    def gradient():
        for leaf in leaves:
            leaf.grad = None
        pairs = []
        for w in leaves:
            rise = torch.clamp(torch.clamp(w, -1, 1), min=0) * SPAN
            pairs.append((10e-6 + rise, 10e-6 + rise - torch.clamp(w, -1, 1) * SPAN))
        jumps = v @ (pairs[0][0] - pairs[0][1])
        hidden = population([k * jumps for k in kernel])
        middle = 0.5 * (hidden + torch.cat([torch.zeros_like(hidden[:1]), hidden[:-1]]))
        out = population(filtered((middle @ (pairs[1][0] - pairs[1][1])).unbind()))
        window = out[round(0.3 * STEPS) :] / TEMPERATURE
        steps, _, classes = window.shape
        loss = torch.nn.functional.cross_entropy(window.reshape(-1, classes), labels.repeat(steps))
        loss.backward()
        return loss.item(), [leaf.grad for leaf in leaves]

    return gradient


def compare(ours, theirs):
    """Largest relative deviation of loss and gradients."""
    (a, ga), (b, gb) = ours(), theirs()
    pairs = [(np.asarray(x), y.numpy()) for x, y in zip(ga, gb, strict=True)]
    return max(abs(float(a) - b) / b, *(float(np.abs(x - y).max() / np.abs(y).max()) for x, y in pairs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    cores = ms.use_cores()
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(n, m), scale=0.5 / n**0.5).astype(np.float32) for n, m in pairwise(SIZES)]
    rows = []
    for batch in (128, 16):
        v = 0.2 * rng.random((batch, SIZES[0]), dtype=np.float32) * (rng.random((batch, SIZES[0])) < 0.2)
        v = v.astype(np.float32)
        labels = rng.integers(0, 10, batch)
        ours = jax_gradient(weights, v, labels, cores=cores)
        alone = jax_gradient(weights, v, labels, cores=1)
        theirs = torch_gradient(weights, v, labels, ms.neurons.mif().init())
        deviation = max(compare(ours, theirs), compare(alone, theirs))
        a, one, b = alternate((ours, alone, theirs), options.rounds)
        rows.append(
            {
                "batch": batch,
                "memspike_ms": round(a * 1e3, 2),
                "memspike_one_core_ms": round(one * 1e3, 2),
                "torch_eager_ms": round(b * 1e3, 2),
                "ratio": round(b / a, 2),
                "ratio_one_core": round(b / one, 2),
                "deviation": float(f"{deviation:.1e}"),
            }
        )
        print(
            f"784-100-10, T={STEPS}, B={batch}: memspike {a * 1e3:.1f} ms on {cores} cores, {one * 1e3:.1f} ms on one, "
            f"eager torch {b * 1e3:.1f} ms; ratio {b / a:.1f}x and {b / one:.1f}x; gradients agree to {deviation:.0e}"
        )
        if not deviation < 1e-3:
            raise SystemExit("memspike and torch do not compute the same gradient")
    if options.out:
        result = {"benchmark": "bptt", "cores": cores, "torch_threads": torch.get_num_threads(), "rows": rows}
        options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
