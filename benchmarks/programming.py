"""Programming to targets, one core: memspike against the same models written in NumPy.

Write–verify: 150 × 150 differential pairs of phase-change devices to 1 % of the range, the idle device of each pair
at G_min; one peer pulses and reads the unfinished devices only (gathered), the other the whole array every round.
Statistical programming: 400,000 pairs with programming error and drift. Means and spreads are compared before
anything is timed; compilation is not timed. Run with: make bench
"""

import argparse
import json
import os
import time
from pathlib import Path

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp
import numpy as np
from clock import alternate

from memspike import devices
from memspike.devices.targets import statistical, write_verify

TOLERANCE, SETTLE, MOST = 0.01, 1.0, 1000
DRIFT = 38.6**0.04
PAIRS, LATER = 400_000, 1e5
F = np.float32


def pairs(shape, low, high, seed=0):
    """Target conductances of uniform weights: one device of each pair carries it, the other is idle."""
    w = np.random.default_rng(seed).uniform(-1, 1, shape)
    return np.clip(low + (high - low) * np.stack([np.maximum(w, 0), np.maximum(-w, 0)]), low, high).astype(F)


def numpy_write_verify(target, reads, rng, gathered):
    """The published device in µS, as one would write it; → conductance at T0, SETs, RESETs, who failed."""
    shape, target = target.shape, target.ravel()
    n = target.size
    normal = lambda m: rng.standard_normal(m, F)  # noqa: E731
    reset = lambda m: np.clip(F(0.1) + F(0.01) * normal(m), F(0.01), F(12))  # noqa: E731
    goal = np.maximum(target, F(0.1 * DRIFT))
    g, p, used = reset(n), np.ones(n, F), np.zeros((2, n), int)
    failed, unfinished = np.zeros(n, bool), np.arange(n)
    while unfinished.size:
        at = unfinished if gathered else np.arange(n)
        now = g[at] * F(DRIFT)
        seen = now
        if reads:
            noise = rng.standard_normal((reads, at.size), F) * (F(0.03) * now + F(0.13))
            seen = np.clip(now + noise, F(0.1), F(12)).mean(0)
        good = np.abs(goal[at] - seen) <= F(TOLERANCE * 11.99)
        mine = np.ones(at.size, bool) if gathered else np.isin(at, unfinished)
        failed[at[mine]] = ~good[mine]
        going = mine & ~good & (used[:, at].sum(0) < MOST)
        faded = p[at] * F(np.exp(-1 / 2.6))
        sd = F(0.091) * g[at] + F(0.26) + F(2.15) * faded
        step = F(-0.084) * g[at] + F(0.88) + F(1.4) * faded + sd * normal(at.size)
        up, down = going & (seen < goal[at]), going & (seen > goal[at])
        raised = np.clip(g[at] + step, F(0.1), F(12))
        g[at] = np.where(up, raised, np.where(down, reset(at.size), g[at]))
        p[at] = np.where(up, faded, np.where(down, F(1), p[at]))
        used[:, at] += np.stack([up, down])
        unfinished = at[going]
    return g.reshape(shape), *used, failed


def numpy_statistical(target, rng):
    """Programming error and drift of the published write–verified device, in µS."""
    share = target / F(25)
    g = np.clip(
        target + (F(0.2635) + share * (F(1.965) - F(1.1731) * share)) * rng.standard_normal(target.shape, F), 0, 25
    )
    log = np.log(np.maximum(share, F(1e-3)))
    scatter = np.clip(F(-0.0125) * log - F(0.0059), F(0.008), F(0.045))
    nu = np.clip(F(-0.0155) * log + F(0.0244), F(0.049), F(0.1)) + scatter * rng.standard_normal(target.shape, F)
    return g * np.exp(-np.abs(nu) * F(np.log(LATER / 20)))


def agree(name, ours, theirs):
    """Stop if two sample means differ by more than five standard errors."""
    ours, theirs = (np.asarray(x, float).ravel() for x in (ours, theirs))
    error = np.sqrt(ours.var() / ours.size + theirs.var() / theirs.size)
    if abs(ours.mean() - theirs.mean()) > 5 * error + 1e-9:
        raise SystemExit(f"{name}: memspike {ours.mean():.5g}, NumPy {theirs.mean():.5g} ± {error:.1g}")


def verify_row(reads, rounds):
    device, keys = devices.PCM(), iter(jax.random.split(jax.random.key(reads), 1000))
    target = pairs((150, 150), 0.01, 12.0)
    wanted = jnp.clip(jnp.asarray(target * F(1e-6)), device.g_min, device.g_max)
    start = device.init(wanted.shape, key=jax.random.key(1))
    rng = np.random.default_rng(reads)

    def ours():
        return jax.block_until_ready(
            write_verify(
                device, start, wanted, tolerance=TOLERANCE, most=MOST, settle=SETTLE, reads=reads, key=next(keys)
            )
        )

    first = time.perf_counter()
    done = ours()
    first = time.perf_counter() - first
    g, up, resets, failed = numpy_write_verify(target, reads, rng, gathered=True)
    well, active = ~np.asarray(done.failed), target > 0.02
    error = (np.asarray(device.conductance(done.state, SETTLE)) * 1e6 - target)[well & active]
    agree("pulses", done.up, up)
    agree("RESETs", done.resets, resets)
    agree("failures", done.failed, failed)
    agree("errors", np.abs(error), np.abs(g * F(DRIFT) - target)[~failed.reshape(target.shape) & active])
    a, b = alternate([ours, lambda: numpy_write_verify(target, reads, rng, gathered=True)], rounds)
    (c,) = alternate([lambda: numpy_write_verify(target, reads, rng, gathered=False)], 1)
    row = {"reads_a_verify": reads, "memspike_ms": a * 1e3, "numpy_gathered_ms": b * 1e3, "numpy_whole_ms": c * 1e3}
    row |= {"ratio_gathered": b / a, "ratio_whole": c / a, "first_call_s": first} | done.summary()
    return row | {"error_rms_uS": float(np.sqrt((error**2).mean())), "error_sd_uS": float(error.std())}


def statistical_rows(rounds):
    device, key, rng = devices.PCMJoshi(), jax.random.key(0), np.random.default_rng(0)
    target = pairs((PAIRS,), 0.0, 25.0)
    wanted = jnp.clip(jnp.asarray(target * F(1e-6)), device.g_min, device.g_max)
    ours = lambda noisy=False: jax.block_until_ready(statistical(device, wanted, LATER, noisy=noisy, key=key))  # noqa: E731
    theirs = lambda: numpy_statistical(target, rng)  # noqa: E731
    a, b = np.asarray(ours()) * 1e6, theirs()
    for name, part in (("active", target > 0), ("idle", target == 0)):
        agree(f"mean of {name} devices", a[part], b[part])
        agree(f"spread of {name} devices", (a - target)[part] ** 2, (b - target)[part] ** 2)
    ours(noisy=True)
    ours_s, noisy_s, numpy_s = alternate([ours, lambda: ours(noisy=True), theirs], max(7, rounds))
    return {
        "statistical_ms": ours_s * 1e3,
        "statistical_with_read_noise_ms": noisy_s * 1e3,
        "statistical_numpy_ms": numpy_s * 1e3,
        "statistical_ratio": numpy_s / ours_s,
    }


def rounded(row):
    return {k: float(f"{x:.3g}") if isinstance(x, float) else x for k, x in row.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = [verify_row(reads, options.rounds) for reads in (1, 16, 0)]
    for row in rows:
        verify = f"{row['reads_a_verify']} noisy reads" if row["reads_a_verify"] else "noise-free verify"
        print(
            f"{verify}: memspike {row['memspike_ms']:.0f} ms, NumPy gathered {row['numpy_gathered_ms']:.0f} ms "
            f"({row['ratio_gathered']:.1f}×), whole array {row['numpy_whole_ms']:.0f} ms ({row['ratio_whole']:.0f}×); "
            f"{row['up']:.1f} SETs, {row['resets']:.2f} RESETs, failed {row['failed']:.1e}, "
            f"true error rms {row['error_rms_uS']:.3f} µS, s.d. {row['error_sd_uS']:.3f} µS"
        )
    more = statistical_rows(options.rounds)
    for name, value in more.items():
        print(f"{name}: {value:.3g}")
    if options.out:
        result = {"benchmark": "programming", "rows": [rounded(row) for row in rows], **rounded(more)}
        options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
