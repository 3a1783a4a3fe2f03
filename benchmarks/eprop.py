"""One pattern of e-prop on phase-change crossbars, forward and gradient: memspike on one core against eager PyTorch.

100 inputs, 100 LIF neurons, 1 output, 1,000 steps of 1 ms, differential pairs, in single precision. The PyTorch loop
is what the equations say: at every step all 40,200 devices drift to the age of that step, get fresh read noise, are
clipped and subtracted; then the network is stepped, and the gradient is taken of the traces in one of three ways.
memspike draws the summed noise of each column and lets conductances drift in 8 parts of the run.

Before anything is timed: without noise, and with drift at every step on both sides, spikes must be the same and
gradients agree; what the 8 parts change is reported; with noise, means of many runs are compared. The pattern is one
in which no membrane ends so close to the threshold that rounding decides on a spike. Run with: make bench
"""

import argparse
import json
import math
import os
import time
from pathlib import Path
from typing import NamedTuple

if CORES := sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []:
    os.sched_setaffinity(0, CORES[:1])  # the threads that JAX starts stay on this core

import jax
import jax.numpy as jnp
import numpy as np
import torch
from clock import alternate
from torch.nn.functional import conv1d

from memspike.arrays import Crossbar
from memspike.cells import DifferentialPair
from memspike.devices import PCM
from memspike.learning import Batch, Eprop, SquaredError, View
from memspike.learning.programming.schemes import mixed_precision
from memspike.networks import Activity, Recurrent, clock
from memspike.networks.recurrent import lowpass
from memspike.neurons import LIF

SIZES, STEPS, DT = (100, 100, 1), 1000, 1e-3
THETA, UNIT, G_START = 0.1925, 11.825, 0.24  # threshold; µS per weight of 1; µS before any SET
C_REG, RATE = 8.3827e-4, 12.0
ALPHA = KAPPA = math.exp(-1 / 30)
WRITTEN, DOWN = 0.02, 0.8  # share of synapses with one SET, and of these on the negative side
LEARNING_RATES, QUANTUM = (3.3040801e-4, 3.9387187e-4, 1.6620284e-5), 0.125
UNCLIPPED, PATTERNS = 1e12, 25


class Pattern(NamedTuple):
    """Inputs, target, feedback and devices as NumPy arrays: conductance in µS and age in s, [2, rows, columns]."""

    x: np.ndarray
    target: np.ndarray
    feedback: np.ndarray
    devices: tuple


def network():
    pair = DifferentialPair(PCM(), scale=UNIT / (12 - 0.01))
    return Recurrent(SIZES, LIF(theta=THETA), crossbars=(Crossbar(pair),) * 3)


def written_cells(net, seed):
    """Devices 20·T0 old around G_START; a few synapses were SET just before the pattern."""
    cells = []
    for k, (crossbar, shape) in enumerate(zip(net.crossbars, net.shapes, strict=True)):
        keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), k), 4)
        cell = crossbar.cell
        start = cell.init(shape)
        g = G_START * 1e-6 * (1 + 0.1 * jax.random.normal(keys[0], (2, *shape)))
        start = cell.wait(start._replace(devices=cell.device.place(start.devices, g)), 20 * 38.6)
        side = jnp.where(jax.random.uniform(keys[1], shape) < DOWN, -1.0, 1.0)
        side = jnp.where(jax.random.uniform(keys[2], shape) < WRITTEN, side, 0.0)
        cells.append(cell.program(start, side, key=keys[3])[0])
    return tuple(cells)


def pattern_of(cells, seed):
    """A frozen 50 Hz Poisson input and four summed sines, as the task has them."""
    rng = np.random.default_rng(seed)
    t = np.arange(STEPS) * DT
    target = sum(rng.uniform(0.5, 2) * np.sin(2 * np.pi * (f * t + rng.random())) for f in (1, 2, 3, 5))
    target = (target / np.abs(target).max())[:, None].astype(np.float32)
    x = (rng.random((STEPS, SIZES[0])) < 0.05).astype(np.float32)
    feedback = rng.normal(0, math.sqrt(2 / SIZES[1]), (SIZES[1], SIZES[2])).astype(np.float32)
    devices = tuple((np.asarray(c.devices.g) * np.float32(1e6), np.array(c.devices.age)) for c in cells)
    return Pattern(x, target, feedback, devices)


# ---- memspike


class Problem(NamedTuple):
    """The rule and the network it learns on."""

    rule: Eprop
    network: Recurrent

    def view(self, cells, noisy):
        return View(self.network, SquaredError(), clock(STEPS, DT), cells, noisy=noisy)

    def gradient(self, cells, activity, x, target, feedback):
        batch = Batch(x, target, jnp.ones(STEPS), jnp.asarray(True))
        return self.rule.gradient(self.view(cells, False), activity, batch, feedback)


def problem_of(net, clip=100.0):
    return Problem(Eprop(rate_weight=C_REG, target_rate=RATE, clip=clip), net)


def memspike_pattern(problem, x, target, feedback, cells, key):
    """Activity and gradient of one pattern; without a key reads are noiseless."""
    view = problem.view(cells, key is not None)
    activity = problem.network.run(view.readings(), x, view.clock, key=key)
    return activity, problem.gradient(cells, activity, x, target, feedback)


def memspike_every_step(problem, x, target, feedback, cells):
    """The same without noise, with conductances read anew at every step."""
    net = problem.network

    def step(state, now):
        x_now, t = now
        part = net.read(cells, (t,), noise=False).part(0)
        state = net.neuron.step(state, net.drive(part, x_now, state.z, key=None), DT)
        return state, (state, net.output(part, state.z, key=None))

    states, output = jax.lax.scan(step, net.neuron.init((SIZES[1],)), (x, (jnp.arange(float(STEPS)) + 0.5) * DT))[1]
    activity = Activity(states, lowpass(output, jnp.exp(-DT / net.tau_out)))
    return activity, problem.gradient(cells, activity, x, target, feedback)


def memspike_update(problem, scheme, x, target, feedback, cells, states, key):
    """A pattern, its gradient, and the pulses of mixed precision on all three crossbars."""
    first, *keys = jax.random.split(key, 4)
    slopes = memspike_pattern(problem, x, target, feedback, cells, first)[1]
    every = zip(states, problem.network.crossbars, cells, slopes, LEARNING_RATES, keys, strict=True)
    done = [scheme.apply(state, c, cell, -rate * slope, key=k) for state, c, cell, slope, rate, k in every]
    return tuple(one.cells for one in done), tuple(one.state for one in done)


# ---- eager PyTorch


class Torch:
    """The same pattern, written as a loop over steps."""

    def __init__(self, pattern):
        self.x, self.target, self.feedback = (torch.tensor(a) for a in pattern[:3])
        self.devices = [(torch.tensor(g), torch.tensor(age)) for g, age in pattern.devices]

    @staticmethod
    def read(g, age, t, noise):
        """Weights [rows, columns] that one read at `t` s sees."""
        g = g * ((age + t) / 38.6) ** -0.04
        if noise:
            g = torch.clamp(g + torch.randn_like(g) * (0.03 * g + 0.13), 0.1, 12.0)
        return (g[0] - g[1]) / UNIT

    def forward(self, noise=True):
        """→ v, z [steps, neurons], y [steps, outputs]."""
        v, z, y = torch.zeros(SIZES[1]), torch.zeros(SIZES[1]), torch.zeros(SIZES[2])
        vs, zs, ys = [], [], []
        for k in range(STEPS):
            w_in, w_rec, w_out = (self.read(g, age, (k + 0.5) * DT, noise) for g, age in self.devices)
            v = ALPHA * v + self.x[k] @ w_in + z @ w_rec.fill_diagonal_(0) - THETA * z
            z = (v > THETA).float()
            y = KAPPA * y + z @ w_out
            vs.append(v)
            zs.append(z)
            ys.append(y)
        return torch.stack(vs), torch.stack(zs), torch.stack(ys)

    @staticmethod
    def clipped(g):
        """Mean and variance of a noisy read that is clipped."""
        sd = 0.03 * g + 0.13
        a, b = (0.1 - g) / sd, (12.0 - g) / sd
        low, high = torch.special.ndtr(a), torch.special.ndtr(-b)
        at_a, at_b = (torch.exp(-0.5 * x * x) / math.sqrt(2 * math.pi) for x in (a, b))
        shift = a * low + b * high + at_a - at_b
        square = a * a * low + b * b * high + (1 - low - high) + a * at_a - b * at_b
        return g + sd * shift, sd * sd * (square - shift * shift)

    def shortcut(self):
        """`forward` with the shortcuts of memspike: read in 8 parts, one normal for each column and step."""
        v, z, y, begin = torch.zeros(SIZES[1]), torch.zeros(SIZES[1]), torch.zeros(SIZES[2]), 0
        vs, zs, ys, when = [], [], [], clock(STEPS, DT)
        for length, t in zip(when.parts, when.moments(), strict=True):
            reads = []
            for g, age in self.devices:
                mean, variance = self.clipped(g * ((age + t) / 38.6) ** -0.04)
                reads.append(((mean[0] - mean[1]) / UNIT, variance.sum(0) / UNIT**2))
            (w_in, s_in), (w_rec, s_rec), (w_out, s_out) = reads
            x = self.x[begin : begin + length]
            both = torch.cat([w_rec.fill_diagonal_(0), s_rec.fill_diagonal_(0)], 1)
            for mean, variance, normal in zip(x @ w_in, x @ s_in, torch.randn(length, SIZES[1]), strict=True):
                summed = z @ both
                noise = torch.sqrt(variance + summed[SIZES[1] :]) * normal
                v = ALPHA * v + mean + summed[: SIZES[1]] + noise - THETA * z
                z = (v > THETA).float()
                vs.append(v)
                zs.append(z)
            here = torch.stack(zs[begin:])
            for now in here @ w_out + torch.sqrt(here @ s_out) * torch.randn(length, SIZES[2]):
                y = KAPPA * y + now
                ys.append(y)
            begin += length
        return torch.stack(vs), torch.stack(zs), torch.stack(ys)

    def signals(self, v, z, y):
        """ψ, the spikes of the step before, the error of the output, and the learning signal."""
        psi = 0.3 * torch.clamp(1 - torch.abs((v - THETA) / THETA), min=0)
        before = torch.cat([torch.zeros_like(z[:1]), z[:-1]])
        error = y - self.target
        rate = z.sum(0) / (STEPS * DT)
        return psi, before, error, error @ self.feedback.T + C_REG * (rate - RATE)

    def loop(self, v, z, y):
        """Gradients with a trace per synapse, step by step."""
        psi, before, error, signal = self.signals(v, z, y)
        sources, out = (self.x, before), torch.zeros(SIZES[1])
        traces = [torch.zeros(n) for n in SIZES[:2]]
        filtered = [torch.zeros(n, SIZES[1]) for n in SIZES[:2]]
        slopes = [torch.zeros(n, SIZES[1]) for n in SIZES[:2]] + [torch.zeros(SIZES[1], SIZES[2])]
        for k in range(STEPS):
            for i, source in enumerate(sources):
                traces[i] = ALPHA * traces[i] + source[k]
                filtered[i] = KAPPA * filtered[i] + torch.outer(traces[i], psi[k])
                slopes[i] = slopes[i] + filtered[i] * signal[k]
            out = KAPPA * out + z[k]
            slopes[2] = slopes[2] + torch.outer(out, error[k])
        return slopes

    def convolutions(self, v, z, y):
        """Gradients with all traces of all synapses at all steps, filtered by convolutions over time."""
        psi, before, error, signal = self.signals(v, z, y)
        kernel = (ALPHA ** torch.arange(STEPS - 1, -1, -1.0))[None, None]

        def causal(a):
            return conv1d(a.reshape(-1, 1, STEPS), kernel, padding=STEPS - 1)[..., :STEPS].reshape(a.shape)

        slopes = []
        for source in (self.x, before):
            trace = torch.einsum("it,tj->ijt", causal(source.T), psi)
            slopes.append(torch.einsum("ijt,tj->ij", causal(trace), signal))
        return [*slopes, causal(z.T) @ error]

    def product(self, v, z, y):
        """Gradients with the signal carried backwards through both filters and one product of matrices each."""
        psi, before, error, signal = self.signals(v, z, y)

        def backwards(a, factor):
            found, carry = [], torch.zeros_like(a[0])
            for now in a.flip(0):
                carry = factor * carry + now
                found.append(carry)
            return torch.stack(found).flip(0)

        credit = backwards(psi * backwards(signal, KAPPA), ALPHA)
        return [self.x.T @ credit, before.T @ credit, z.T @ backwards(error, KAPPA)]

    def pattern(self, gradient, noise=True, clip=100.0, shortcut=False):
        """Activity and gradient."""
        with torch.no_grad():
            activity = self.shortcut() if shortcut else self.forward(noise)
            slopes = gradient(*activity)
            slopes[1].fill_diagonal_(0)
            return activity, [torch.clamp(slope, -clip, clip) for slope in slopes]


# ---- comparison


def deviation(ours, theirs):
    """Largest difference of a gradient over the largest element of that gradient."""
    pairs = [(np.asarray(a), np.asarray(b)) for a, b in zip(ours, theirs, strict=True)]
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)


def without_noise(net, pattern, cells, peer):
    """Agreement with drift at every step on both sides, and what drift in 8 parts changes."""
    problem, arrays = problem_of(net, UNCLIPPED), [jnp.asarray(a) for a in pattern[:3]]
    exact, slopes = jax.jit(lambda *a: memspike_every_step(problem, *a))(*arrays, cells)
    rough, rough_slopes = jax.jit(lambda *a: memspike_pattern(problem, *a, None))(*arrays, cells)
    (v, z, y), product = peer.pattern(peer.product, noise=False, clip=UNCLIPPED)
    _, loop = peer.pattern(peer.loop, noise=False, clip=UNCLIPPED)
    start = time.perf_counter()
    _, convolutions = peer.pattern(peer.convolutions, noise=False, clip=UNCLIPPED)
    seconds = time.perf_counter() - start
    spikes = np.asarray(exact.z)
    found = {
        "spikes": int(z.sum()),
        "spikes_that_differ": int((spikes != z.numpy()).sum()),
        "closest_v_to_threshold": float((v - THETA).abs().min() / THETA),
        "deviation_v": float(np.abs(np.asarray(exact.state.v) - v.numpy()).max() / THETA),
        "deviation_y": float(np.abs(np.asarray(exact.y) - y.numpy()).max() / np.abs(y.numpy()).max()),
        "deviation_gradient": max(deviation(slopes, one) for one in (product, loop, convolutions)),
        "parts_spikes_that_differ": int((np.asarray(rough.z) != spikes).sum()),
        "parts_deviation_rate": abs(float(rough.z.mean() / exact.z.mean()) - 1),
        "parts_deviation_gradient": deviation(rough_slopes, slopes),
    }
    if found["spikes_that_differ"] or not max(found["deviation_gradient"], found["deviation_y"]) < 1e-4:
        raise SystemExit(f"memspike and torch do not compute the same: {found}")
    return found, seconds


def with_noise(net, pattern, cells, peer, counts=(128, 16)):
    """Means of many noisy runs: rate, mean squared error and gradients; differences in standard errors."""
    problem, arrays = problem_of(net), [jnp.asarray(a) for a in pattern[:3]]

    def one(key):
        activity, slopes = memspike_pattern(problem, *arrays, cells, key)
        return activity.z.mean() / DT, jnp.square(activity.y - arrays[1]).mean(), *slopes

    ours = jax.jit(lambda keys: jax.lax.map(one, keys))(jax.random.split(jax.random.key(1), counts[0]))
    torch.manual_seed(1)
    theirs = []
    for _ in range(counts[1]):
        (_, z, y), slopes = peer.pattern(peer.product)
        theirs.append([z.mean() / DT, (y - peer.target).square().mean(), *slopes])
    theirs = [torch.stack(one).numpy() for one in zip(*theirs, strict=True)]
    pairs = [deviation([g[k] for g in ours[2:]], [g[k + 1] for g in ours[2:]]) for k in range(0, counts[0], 2)]
    found = {"memspike_runs": counts[0], "torch_runs": counts[1], "deviation_of_two_runs": float(np.median(pairs))}
    for name, a, b in zip(("rate", "loss", "input", "recurrent", "output"), map(np.asarray, ours), theirs, strict=True):
        # one matrix is one number: the distance of both means over what it would be by chance
        chance = a.astype(float).var(0, ddof=1) * (1 / counts[0] + 1 / counts[1])
        difference = float(np.sqrt(np.square(a.mean(0) - b.mean(0)).sum() / chance.sum()))
        if name in ("rate", "loss"):
            found |= {f"memspike_{name}": float(a.mean()), f"torch_{name}": float(b.mean())}
        found[f"difference_{name}"] = difference
        if not difference < 4:
            raise SystemExit(f"With noise memspike and torch differ: {found}")
    return found


# ---- timing


def threads(f, count):
    """`f` in PyTorch with `count` threads on as many cores."""

    def run():
        if CORES:
            os.sched_setaffinity(0, CORES[:count])
        torch.set_num_threads(count)
        return f()

    return run


def timed(net, pattern, cells, peer, rounds):
    """Median seconds of memspike (gradient, update) on one core, of PyTorch with 1 and 2 threads."""
    problem, scheme = problem_of(net), mixed_precision(QUANTUM)
    arrays, key = [jnp.asarray(a) for a in pattern[:3]], jax.random.key(0)
    states = tuple(scheme.init(c, cell) for c, cell in zip(net.crossbars, cells, strict=True))
    ours = jax.jit(lambda *a: memspike_pattern(problem, *a)[1])
    whole = jax.jit(lambda *a: memspike_update(problem, scheme, *a))
    # as many patterns one after the other as take a while: a single one is shorter than a time slice of the system
    repeat = lambda f: threads(lambda: [jax.block_until_ready(f()) for _ in range(PATTERNS)], 1)  # noqa: E731
    functions = {
        "memspike": repeat(lambda: ours(*arrays, cells, key)),
        "memspike_update": repeat(lambda: whole(*arrays, cells, states, key)),
    }
    for count in (1, 2)[: len(CORES) or 2]:
        functions[f"torch_{count}_forward"] = threads(torch.no_grad()(peer.forward), count)
        functions[f"torch_{count}_product"] = threads(lambda: peer.pattern(peer.product), count)
        functions[f"torch_{count}_loop"] = threads(lambda: peer.pattern(peer.loop), count)
        functions[f"torch_{count}_shortcuts"] = threads(lambda: peer.pattern(peer.product, shortcut=True), count)
    times = zip(functions, alternate(functions.values(), rounds), strict=True)
    return {name: t / PATTERNS if name.startswith("memspike") else t for name, t in times}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    net = network()
    cells = written_cells(net, seed=1)
    pattern = pattern_of(cells, seed=1)
    peer = Torch(pattern)
    quiet, convolutions = threads(lambda: without_noise(net, pattern, cells, peer), 2)()
    noisy = with_noise(net, pattern, cells, peer)
    times = timed(net, pattern, cells, peer, options.rounds)
    ratios = {}
    for kind in ("loop", "product", "shortcuts"):
        ratios[f"ratio_{kind}"] = min(t for name, t in times.items() if name.endswith(kind)) / times["memspike"]
    result = {f"{name}_ms": t * 1e3 for name, t in times.items()} | {"torch_2_convolutions_ms": convolutions * 1e3}
    result = {"benchmark": "eprop"} | result | ratios | {"without_noise": quiet, "with_noise": noisy}
    result = json.loads(json.dumps(result), parse_float=lambda x: float(f"{float(x):.3g}"))
    print(json.dumps(result))
    if options.out:
        options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
