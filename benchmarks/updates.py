"""Pulsed updates, one core: memspike against the same in eager PyTorch.

A rank-one update of 512 × 512 devices by coinciding random bits (31 of them) on the exponential law of Ag:a-Si with
cycle-to-cycle noise; the same from a given matrix by stochastic rounding; and a step of Tiki-Taka 2, which pulses a
matrix onto a fast tile and passes a row of it on to a slow one. The mean and the spread of what an update changes are
compared before anything is timed, with fixed seeds; compilation is not timed. The peer sends all pulses of a device at
once, as ours does (the closed form of the law, the noise of n pulses √n times that of one), or one after the other,
each with its own noise, as simulators of devices without a closed form have to: spreads then differ by up to two
percent, since the law draws together what an earlier pulse has spread, and 3 % is allowed. Ours is timed with and
without its ledger of pulses, energy and wear; the peer counts nothing. Where aihwkit is installed its compiled update
of the same law is timed as well: bit lines, and Tiki-Taka 2 whose gradient comes as bit lines. Run with: make bench
"""

import argparse
import importlib.util
import json
import os
from pathlib import Path

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp
import numpy as np
import torch
from clock import alternate, seconds

from memspike import learning
from memspike.arrays import Crossbar, Drive
from memspike.cells import SingleReference, Stack, midpoint
from memspike.devices.presets import neurosim
from memspike.learning.programming.counting import symmetric_step

torch.set_num_threads(1)
torch.manual_seed(0)
SIZE, LENGTH, UPDATES = 512, 31, 20
PERIOD, MOST = 100.0, 10
ROW = neurosim.TABLE["ag-a-si"]
# what spreads may differ by, beyond chance
ALIKE = {"all pulses at once": 0.0, "pulse by pulse": 0.03}


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

    def one_by_one(self, g, n):
        """The pulses of every device in turn, each with its own noise."""
        for k in range(int(n.abs().max())):
            g = self.program(g, torch.where(n.abs() > k, torch.sign(n), 0.0))
        return g

    def rounded(self, g, dw, write):
        return write(g, torch.floor(dw / self.step + torch.rand_like(dw)))

    def tiki_taka(self, state, gradient, write):
        """Slow tile, fast tile, buffer and number of updates after a step of Tiki-Taka 2."""
        slow, fast, buffer, k = state
        row, buffer, slow = k % SIZE, buffer.clone(), slow.clone()
        buffer[row] += SIZE / PERIOD * (2 * fast[row] - 1) / self.step
        sent = torch.clamp(torch.trunc(buffer[row]), -1, 1)
        buffer[row] = torch.where(sent == 0, buffer[row], 0.1 * buffer[row])
        slow[row] = write(slow[row], sent)
        return slow, gradient(fast), buffer, k + 1


def compiled_tile(tiles):
    """A tile of aihwkit, C++: the law of the peer, noise of a pulse equal to its own on average over both directions.

    A learning rate of 1 sends x·d over the mean step, as the others do. None without aihwkit.
    """
    if importlib.util.find_spec("aihwkit") is None:
        return None
    from aihwkit.simulator import configs
    from aihwkit.simulator.tiles.analog import AnalogTile

    peer = Peer(step=1.0)
    ends = [-1 / float(torch.expm1(-k)) for k in peer.k]  # asymptotes, shares of the range
    rates = [-float(torch.expm1(-abs(k) / p)) for k, p in zip(peer.k, peer.p, strict=True)]
    up, down = 2 * rates[0] * (ends[0] - 0.5), 2 * rates[1] * (0.5 - ends[1])
    largest, nothing = max(up, down), ("dw_min", "up_down", "w_max", "w_min", "gamma_up", "gamma_down")
    device = configs.LinearStepDevice(
        dw_min=largest,
        up_down=up / down - 1 if up < down else 1 - down / up,
        gamma_up=1 / (2 * ends[0] - 1),
        gamma_down=1 / (1 - 2 * ends[1]),
        w_max=1.0,
        w_min=-1.0,
        dw_min_std=2 * peer.noise / float(np.sqrt((up**2 + down**2) / 2)),
        mult_noise=False,
        **{f"{name}_dtod": 0.0 for name in nothing},
    )
    stack = configs.BufferedTransferCompound(
        unit_cell_devices=[device, device],
        transfer_every=1,
        n_reads_per_transfer=1,
        transfer_forward=configs.IOParameters(is_perfect=True),
    )
    make = configs.SingleRPUConfig if tiles == 1 else configs.UnitCellRPUConfig
    tile = AnalogTile(SIZE, SIZE, make(device=device if tiles == 1 else stack), False)
    tile.set_learning_rate(2 * largest / (up + down))
    return tile


def agree(name, ours, theirs, share=0.0):
    """Stop if mean or spread of the changes of many updates [updates, devices] differ by more than five s.e., and by
    more than a share of their size.
    """
    for what, a, b in (("mean", ours, theirs), ("spread", ours**2, theirs**2)):
        a, b = a.mean(1), b.mean(1)  # bits are shared by rows and columns: only updates are independent
        error = np.sqrt(a.var(ddof=1) / a.size + b.var(ddof=1) / b.size)
        if abs(a.mean() - b.mean()) > 5 * error + share * abs(b.mean()):
            raise SystemExit(f"{name}, {what}: {a.mean():.5g} against {b.mean():.5g} ± {error:.1g}")


def compiled_rows(rounds, rows):
    """Rows of results against aihwkit, given those of our own; none where it is not installed."""
    x, d, w, _ = drawn()
    tx, td, start = torch.tensor(x)[None], -torch.tensor(d)[None], torch.tensor(w[0].T.copy())
    found = {}
    for name, tiles in (("bit lines", 1), ("Tiki-Taka 2 by bit lines", 2)):
        tile = compiled_tile(tiles)
        if tile is None:
            return {}
        if tiles == 1:
            agree_with_compiled(tile, tx, td, start)
        tile.set_weights(start)
        theirs = 1e3 * seconds(lambda t=tile: t.update(tx, td), 20 * rounds)
        ours = {key: rows[f"{name}, pulse by pulse"][key] for key in ("memspike_ms", "memspike_without_ledger_ms")}
        ratios = {
            "ratio": theirs / ours["memspike_ms"],
            "ratio_without_ledger": theirs / ours["memspike_without_ledger_ms"],
        }
        found[f"{name}, aihwkit"] = {**ours, "peer_ms": theirs, **ratios}
    return found


def agree_with_compiled(tile, x, d, start):
    """Stop unless aihwkit changes the weights as our peer does, on average and in spread, within 3 % and chance."""
    changes, peer = [], Peer(drawn()[3])
    for _ in range(40):
        tile.set_weights(start)
        tile.update(x, d)
        changes.append(tile.get_weights()[0].numpy().T - start.numpy().T)
    g = 0.5 + 0.5 * start.T
    theirs = [2 * (peer.pulse_by_pulse(g, x[0], -d[0]) - g).numpy() for _ in range(40)]
    agree("aihwkit and PyTorch", *(np.stack(each).reshape(40, -1) for each in (changes, theirs)), 0.03)


def drawn():
    """Inputs, errors and weights of the case."""
    random, step = np.random.default_rng(0), float(symmetric_step(crossbar_of()))
    x, d = (random.normal(0, s, SIZE).astype(np.float32) for s in (1, 0.5 * step))
    return x, d, random.uniform(-0.5, 0.5, (2, SIZE, SIZE)).astype(np.float32), step


def crossbar_of(tiles=1):
    device = neurosim.from_table("ag-a-si").device
    middle = midpoint(device)
    return Crossbar(SingleReference(device, middle) if tiles == 1 else Stack(device, middle), drive=Drive.of(ROW.pulse))


def started(scheme, crossbar, w):
    """Devices at weights [tiles, rows, columns], and the state of a scheme."""
    cell = crossbar.cell
    cells = cell.init(w.shape[1:])
    g = midpoint(cell.device) + jnp.asarray(w) * cell.unit()
    cells = cells._replace(devices=cell.device.place(cells.devices, g))
    return scheme.init(crossbar, cells), cells


def in_a_row(scheme, crossbar, dw, booked):
    """UPDATES updates in one program, with their ledger or without: how training runs them."""

    def one(carry, key):
        done = scheme.apply(carry[0], crossbar, carry[1], dw, key=key)
        return (done.state, done.cells, carry[2] + done.ledger if booked else carry[2]), None

    def run(start, ledger, key):
        return jax.lax.scan(one, (*start, ledger), jax.random.split(key, UPDATES))[0]

    return jax.jit(run)


def compared(name, scheme, crossbar, dw, theirs, rounds):
    """Rows of results of one case: against the peer's `theirs`, functions of write that make (start, step, tiles)."""
    *_, w, _ = drawn()
    tiles = crossbar.cell.programmed()
    start = started(scheme, crossbar, w[:tiles])
    keys = iter(jax.random.split(jax.random.key(0), 10_000))
    device = crossbar.cell.device
    low, high = float(device.g_min), float(device.g_max)

    def shares(key):
        return (device.stored(scheme.apply(start[0], crossbar, start[1], dw, key=key).cells.devices) - low) / (
            high - low
        )

    ours = np.asarray(jax.jit(jax.vmap(shares))(jax.random.split(jax.random.key(1), 40))) - (0.5 + 0.5 * w[:tiles])
    booked, bare = (in_a_row(scheme, crossbar, dw, ledger) for ledger in (True, False))
    found = {}
    for how, (begin, step, seen) in theirs.items():
        begin = begin(torch.tensor(0.5 + 0.5 * w))
        changes = np.stack([seen(step(begin)).numpy() for _ in range(40)]) - (0.5 + 0.5 * w[:tiles])
        for tile in range(tiles):
            both = (x[:, tile].reshape(40, -1) for x in (ours, changes))
            agree(f"{name}, {how}, tile {tile}", *both, ALIKE[how])

        def eager(state=begin, step=step):
            for _ in range(UPDATES):
                state = step(state)
            return state

        def timed(run, ledger):
            return lambda: jax.block_until_ready(run(start, ledger, next(keys)))

        new = crossbar.ledger(w.shape[1:])
        ours_s, bare_s, theirs_s = alternate([timed(booked, new), timed(bare, ()), eager], rounds)
        found[f"{name}, {how}"] = {
            "memspike_ms": ours_s * 1e3 / UPDATES,
            "memspike_without_ledger_ms": bare_s * 1e3 / UPDATES,
            "peer_ms": theirs_s * 1e3 / UPDATES,
            "ratio": theirs_s / ours_s,
            "ratio_without_ledger": theirs_s / bare_s,
            "memspike_updates_per_s": UPDATES / ours_s,
        }
    return found


def update_rows(rounds):
    x, d, _, step = drawn()
    peer = Peer(step)
    tx, td, tdw = torch.tensor(x), torch.tensor(d), torch.tensor(np.outer(x, d))
    outer, matrix = learning.Outer(jnp.asarray(x)[None], jnp.asarray(d)[None]), jnp.asarray(np.outer(x, d))
    writes = {"all pulses at once": peer.program, "pulse by pulse": peer.one_by_one}
    bits = {"all pulses at once": peer.bit_lines, "pulse by pulse": peer.pulse_by_pulse}

    def one_tile(step):
        return lambda w: w[0], step, lambda g: g[None]

    def two_tiles(write, by=None):
        def begin(w):
            return w[0], w[1], torch.zeros(SIZE, SIZE), 0

        def fast(g):
            if by is not None:
                return by(g, tx, td)
            n = torch.clamp(torch.floor(tdw / peer.step + torch.rand_like(tdw)), -MOST, MOST)
            return write(g, n)

        return begin, lambda state: peer.tiki_taka(state, fast, write), lambda state: torch.stack(state[:2])

    cases = {
        "bit lines": (
            learning.by_bit_lines(), 1, outer, {h: one_tile(lambda g, f=f: f(g, tx, td)) for h, f in bits.items()}
        ),
        "stochastic rounding": (
            learning.by_rounding(), 1, matrix,
            {h: one_tile(lambda g, f=f: peer.rounded(g, tdw, f)) for h, f in writes.items()},
        ),
        "Tiki-Taka 2": (
            learning.tiki_taka_2(period=PERIOD, most=MOST), 2, matrix, {h: two_tiles(f) for h, f in writes.items()}
        ),
        "Tiki-Taka 2 by bit lines": (
            learning.tiki_taka_2(period=PERIOD, streams=LENGTH), 2, outer,
            {h: two_tiles(w, by=bits[h]) for h, w in writes.items()},
        ),
    }  # fmt: skip
    found = {}
    for name, (scheme, tiles, dw, theirs) in cases.items():
        found |= compared(name, scheme, crossbar_of(tiles), dw, theirs, rounds)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = update_rows(options.rounds)
    rows |= compiled_rows(options.rounds, rows)
    for name, row in rows.items():
        print(
            f"{name}: memspike {row['memspike_ms']:.2f} ms, {row['memspike_without_ledger_ms']:.2f} without ledger, "
            f"peer {row['peer_ms']:.2f} ms ({row['ratio']:.1f}×, {row['ratio_without_ledger']:.1f}×); "
            f"{1e3 / row['memspike_ms']:.0f} updates/s"
        )
    if options.out:
        plain = {n: {k: float(f"{v:.3g}") for k, v in row.items()} for n, row in rows.items()}
        options.out.write_text(json.dumps({"benchmark": "updates", "rows": plain}, indent=2) + "\n")


if __name__ == "__main__":
    main()
