"""Pulsed updates, one core: memspike against the same in eager PyTorch.

A rank-one update of 512 × 512 devices by coinciding random bits (31 of them) on the exponential law of Ag:a-Si with
cycle-to-cycle noise; the same from a given matrix by stochastic rounding; and a step of Tiki-Taka 2. The mean and the
spread of what an update changes are compared before anything is timed; compilation is not timed. Ours with the ledger
of pulses, energy and wear; the peer counts nothing. Run with: make bench
"""

import argparse
import json
import os
from pathlib import Path

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp
import numpy as np
import torch
from clock import alternate

from memspike import learning
from memspike.arrays import Crossbar, Drive
from memspike.cells import SingleReference, midpoint
from memspike.devices import neurosim
from memspike.learning.programming.counting import even_worth

torch.set_num_threads(1)
SIZE, LENGTH, UPDATES = 512, 31, 10
ROW = neurosim.TABLE["ag-a-si"]


class Peer:
    """The same device and updates, as one would write them in PyTorch; conductances as shares of the range."""

    def __init__(self, step):
        law = neurosim.from_table("ag-a-si").device.device
        self.k = [torch.tensor(float(k)) for k in (law.curvature_up, law.curvature_down)]
        self.p = [torch.tensor(float(p)) for p in (law.pulses_up, law.pulses_down)]
        self.step = step
        self.noise = ROW.c2c

    def program(self, g, n):
        up = n > 0
        k = torch.where(up, self.k[0], self.k[1])
        u = n / torch.where(up, self.p[0], self.p[1])
        grown = torch.expm1(-k * u)
        moved = torch.clamp(g * (1 + grown) + grown / torch.expm1(-k), 0, 1)
        spread = torch.where(n == 0, 0.0, self.noise * torch.sqrt(n.abs()))
        return torch.clamp(moved + spread * torch.randn_like(g), 0, 1)

    def streams(self, x, d):
        gain = 1 / self.step
        largest_x, largest_d = x.abs().max(), d.abs().max()
        bits = torch.clamp(torch.ceil(gain * largest_x * largest_d), 1, LENGTH)
        balance, root = torch.sqrt(largest_d / largest_x), torch.sqrt(gain / bits)
        p, q = torch.clamp(root * balance * x.abs(), max=1), torch.clamp(root / balance * d.abs(), max=1)
        used = (torch.arange(LENGTH) < bits)[:, None]
        sent = ((torch.rand(LENGTH, SIZE) < p) & used).float() * torch.sign(x)
        met = (torch.rand(LENGTH, SIZE) < q).float() * torch.sign(d)
        return sent[: int(bits)], met[: int(bits)]

    def bit_lines(self, g, x, d):
        sent, met = self.streams(x, d)
        return self.program(g, sent.T @ met)

    def pulse_by_pulse(self, g, x, d):
        """Every slot of the streams in turn, each pulse with its own noise."""
        sent, met = self.streams(x, d)
        for a, b in zip(sent, met, strict=True):
            n = a[:, None] * b
            g = self.program(g, n)
        return g

    def rounded(self, g, dw):
        return self.program(g, torch.floor(dw / self.step + torch.rand_like(dw)))


def agree(name, ours, theirs):
    """Stop if mean or spread of the changes of many updates [updates, devices] differ by more than five s.e."""
    for what, a, b in (("mean", ours, theirs), ("spread", ours**2, theirs**2)):
        a, b = a.mean(1), b.mean(1)  # bits are shared by rows and columns: only updates are independent
        error = np.sqrt(a.var(ddof=1) / a.size + b.var(ddof=1) / b.size)
        if abs(a.mean() - b.mean()) > 5 * error:
            raise SystemExit(f"{name}, {what}: memspike {a.mean():.5g}, PyTorch {b.mean():.5g} ± {error:.1g}")


def crossbar_of():
    device = neurosim.from_table("ag-a-si").device
    return Crossbar(SingleReference(device, midpoint(device)), drive=Drive.of(ROW.pulse))


def in_a_row(scheme, crossbar, dw):
    """UPDATES updates in one program, with their ledger: how training runs them."""

    def one(carry, key):
        done = scheme.apply((), crossbar, carry[0], dw, key=key)
        return (done.cells, carry[1] + done.ledger), None

    def run(cells, key):
        begin = cells, jax.tree.map(jnp.zeros_like, scheme.apply((), crossbar, cells, dw, key=key).ledger)
        return jax.lax.scan(one, begin, jax.random.split(key, UPDATES))[0]

    return jax.jit(run)


def update_rows(rounds):
    crossbar = crossbar_of()
    cell = crossbar.cell
    step = float(even_worth(crossbar))
    peer, random = Peer(step), np.random.default_rng(0)
    x, d = (random.normal(0, s, SIZE).astype(np.float32) for s in (1, 0.5 * step))
    w = random.uniform(-0.5, 0.5, (SIZE, SIZE)).astype(np.float32)
    start = cell.place(cell.init((SIZE, SIZE)), jnp.asarray(w))
    shares = torch.tensor(0.5 + 0.5 * w)
    keys = iter(jax.random.split(jax.random.key(0), 10_000))
    tx, td, tdw = torch.tensor(x), torch.tensor(d), torch.tensor(np.outer(x, d))
    outer, matrix = learning.Outer(jnp.asarray(x)[None], jnp.asarray(d)[None]), jnp.asarray(np.outer(x, d))
    bits, whole = learning.by_bit_lines(), learning.by_rounding()
    cases = {
        "bit lines, all pulses at once": (bits, outer, lambda g: peer.bit_lines(g, tx, td)),
        "bit lines, pulse by pulse": (bits, outer, lambda g: peer.pulse_by_pulse(g, tx, td)),
        "stochastic rounding of a matrix": (whole, matrix, lambda g: peer.rounded(g, tdw)),
    }
    found = {}
    for name, (scheme, dw, theirs) in cases.items():
        run = in_a_row(scheme, crossbar, dw)
        once = jax.jit(jax.vmap(lambda k, s=scheme, dw=dw: cell.stored(s.apply((), crossbar, start, dw, key=k).cells)))
        ours = np.asarray(jax.vmap(cell.weight)(once(jax.random.split(jax.random.key(1), 40)))) - w
        their = np.stack([2 * (theirs(shares) - shares).numpy() for _ in range(40)])
        agree(name, ours.reshape(40, -1), their.reshape(40, -1))

        def eager(theirs=theirs):
            g = shares
            for _ in range(UPDATES):
                g = theirs(g)
            return g

        ours_s, theirs_s = alternate([lambda run=run: jax.block_until_ready(run(start, next(keys))), eager], rounds)
        found[name] = {
            "memspike_ms": ours_s * 1e3 / UPDATES,
            "torch_ms": theirs_s * 1e3 / UPDATES,
            "ratio": theirs_s / ours_s,
            "memspike_updates_per_s": UPDATES / ours_s,
            "memspike_device_updates_per_s": UPDATES * SIZE * SIZE / ours_s,
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = update_rows(options.rounds)
    for name, row in rows.items():
        print(
            f"{name}: memspike {row['memspike_ms']:.2f} ms, PyTorch {row['torch_ms']:.2f} ms ({row['ratio']:.1f}×); "
            f"{row['memspike_updates_per_s']:.0f} updates/s, {row['memspike_device_updates_per_s']:.3g} devices/s"
        )
    if options.out:
        plain = {n: {k: float(f"{v:.3g}") for k, v in row.items()} for n, row in rows.items()}
        options.out.write_text(json.dumps({"benchmark": "updates", "rows": plain}, indent=2) + "\n")


if __name__ == "__main__":
    main()
