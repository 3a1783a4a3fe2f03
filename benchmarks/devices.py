"""Pulse updates of 1,024² cells with per-cell variation and cycle-to-cycle noise, one core.

memspike against the same affine update written in NumPy and in eager PyTorch, and against Synaptogen's own
update (a different, autoregressive device model; its figure says what users of that tool get). Before anything
is timed the noise-free results are compared. Run with: make bench
"""

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp
import numpy as np
import torch
from clock import alternate

from memspike import devices

N = 1024
NOISE = 0.03


def chip_of(device, spread, mixed=None):
    if mixed is not None:
        return device.mixed((N, N), key=jax.random.key(0))
    return devices.fabricate(device, spread, shape=(N, N), key=jax.random.key(0))


def ours(chip, pulses):
    state = chip.place(chip.init((N, N)), 0.5 * (chip.g_min + chip.g_max))
    update = jax.jit(lambda c, s, n, k: c.program(s, n, key=k))
    key = jax.random.key(1)
    return lambda: jax.block_until_ready(update(chip, state, jnp.asarray(pulses), key))


def affine(chip, pulses, library, normal):
    """The published update, cell by cell, as one would write it: where on the curve, both branches, noise, clip."""
    law = chip.device
    shape = (N, N)
    take = lambda x: library.asarray(np.broadcast_to(np.asarray(x), shape).copy())  # noqa: E731
    low, high, p_up, p_down, k_up, k_down = (
        take(x) for x in (law.g_min, law.g_max, law.pulses_up, law.pulses_down, law.curvature_up, law.curvature_down)
    )
    n = library.asarray(pulses)
    g0 = 0.5 * (low + high)

    def update(noise=NOISE):
        share = (g0 - low) / (high - low)
        k = library.where(n > 0, k_up, k_down)
        u = n / library.where(n > 0, p_up, p_down)
        grown = library.expm1(-k * u)
        moved = share * (1 + grown) + grown / library.expm1(-k)
        moved = moved + noise * library.sqrt(library.abs(n)) * normal()
        moved = low + (high - low) * library.clip(moved, 0, 1)
        return library.where(n == 0, g0, moved)

    return update


def synaptogen():
    """A write of every cell at a random voltage by Synaptogen, or None where it is not installed."""
    try:
        from synaptogen import CellArrayCPU, applyVoltage
    except ImportError:
        return None
    cells = CellArrayCPU(N * N)
    applyVoltage(cells, -2.0)
    voltages = np.random.default_rng(0).normal(size=N * N).astype(np.float32)
    return lambda: applyVoltage(cells, voltages)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--tables", type=Path, help="npz of measured step tables, for Tabular")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    pulses = np.random.default_rng(1).integers(-2, 3, (N, N)).astype(np.float32)
    spread = {"device.g_max": 0.05, "device.pulses_up device.pulses_down": 0.1, "device.curvature_up": 0.1}
    soft = chip_of(devices.CycleToCycle(devices.SoftBounds(), up=NOISE, down=NOISE), spread)
    rng = np.random.default_rng(2)
    in_numpy = affine(soft, pulses, np, lambda: rng.standard_normal((N, N), np.float32))
    in_torch = affine(soft, pulses, torch, lambda: torch.randn(N, N))
    exact = np.asarray(
        soft.stored(soft.program(soft.place(soft.init((N, N)), 0.5 * (soft.g_min + soft.g_max)), pulses))
    )
    deviation = max(float(np.abs(np.asarray(f(0.0)) / exact - 1).max()) for f in (in_numpy, in_torch))
    if not deviation < 1e-3:
        raise SystemExit(f"memspike, NumPy and torch do not compute the same update: {deviation}")
    functions = {"memspike soft bounds": ours(soft, pulses), "NumPy": in_numpy, "eager torch": in_torch}
    pcm = chip_of(devices.PCM(persistent=0.33), {"deviation": devices.Absolute(1.0), "nu": 0.1})
    functions["memspike PCM"] = ours(pcm, np.abs(pulses))
    if options.tables:
        functions["memspike tables"] = ours(chip_of(devices.Tabular.from_npz(options.tables), {}, mixed=True), pulses)
    peer = synaptogen()
    if peer is not None:
        functions["Synaptogen"] = peer
    seconds = alternate(list(functions.values()), options.rounds)
    rate = {name: round(N * N / s / 1e6, 1) for name, s in zip(functions, seconds, strict=True)}
    for name, millions in rate.items():
        print(f"{name}: {millions} M cell updates/s on one core")
    best = rate["memspike soft bounds"]
    ratios = {name: round(best / r, 1) for name, r in rate.items() if not name.startswith("memspike")}
    print("ratio of memspike soft bounds:", ", ".join(f"{v}x {k}" for k, v in ratios.items()))
    if options.out:
        result = {
            "benchmark": "devices",
            "cells": N * N,
            "rates_M_per_s": rate,
            "ratios": ratios,
            "deviation": deviation,
        }
        options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
