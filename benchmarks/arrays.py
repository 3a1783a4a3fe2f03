"""Crossbars with wire resistance, one core, double precision: memspike against SciPy's sparse solver and badcrossbar.

All solve the same network (r/R = 1e-4, devices between R and 2R, one input) in one run; results are compared
before anything is timed. badcrossbar is timed where it is installed. Run with: make bench
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
import numpy as np
import scipy.sparse as sparse
from clock import seconds
from scipy.sparse.linalg import spsolve

from memspike.arrays import Sinh, solve, transfer

R, RATIO = 1e4, 1e-4


def problem(n):
    rng = np.random.default_rng(n)
    return rng.uniform(0, 0.2, n), 1 / (R * (1 + rng.random((n, n))))


def matrix(g, r):
    """The conductance matrix of all nodes; building it is not timed."""
    rows, columns = g.shape
    n = g.size
    place = np.arange(n).reshape(rows, columns)
    a, b, w = [], [], []
    wires = (place, n + place, g), (place[:, :-1], place[:, 1:], None), (n + place[:-1], n + place[1:], None)
    for p, q, conductance in wires:
        p, q = p.ravel(), q.ravel()
        value = np.full(p.shape, 1 / r) if conductance is None else conductance.ravel()
        a += [p, q, p, q]
        b += [p, q, q, p]
        w += [value, value, -value, -value]
    ends = np.concatenate([place[:, 0], n + place[-1]])
    a.append(ends)
    b.append(ends)
    w.append(np.full(ends.shape, 1 / r))
    return sparse.csc_matrix((np.concatenate(w), (np.concatenate(a), np.concatenate(b))))


def scipy_solver(v, g, r):
    a, n = matrix(g, r), g.size
    drive = np.zeros(2 * n)
    drive[np.arange(g.shape[0]) * g.shape[1]] = v / r

    def run():
        x = spsolve(a, drive)
        return (g * (x[:n] - x[n:]).reshape(g.shape)).sum(0)

    return run


def badcrossbar_solver(v, g, r):
    """badcrossbar's whole call, or None where it is not installed."""
    try:
        import badcrossbar
    except ImportError:
        return None
    return lambda: badcrossbar.compute(v[:, None], 1 / g, r).currents.output[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    r, rows = R * RATIO, []
    for n in (64, 128, 256):
        v, g = problem(n)
        ours = lambda v=v, g=g: jax.block_until_ready(solve(v, g, r_row=r, r_col=r)).currents.output  # noqa: E731
        theirs, bad = scipy_solver(v, g, r), badcrossbar_solver(v, g, r)
        deviation = float(np.abs(np.asarray(ours()) / theirs() - 1).max())
        if not deviation < 1e-9:
            raise SystemExit(f"memspike and SciPy disagree by {deviation}")
        a, b = seconds(ours, options.rounds), seconds(theirs, max(3, options.rounds // 2))
        row = {"size": n, "memspike_ms": a * 1e3, "scipy_ms": b * 1e3, "ratio_scipy": b / a, "deviation": deviation}
        text = f"{n}²: memspike {a * 1e3:.2f} ms, SciPy spsolve {b * 1e3:.1f} ms ({b / a:.0f}×)"
        if bad is not None:
            c = seconds(bad, max(3, options.rounds // 2))
            row |= {"badcrossbar_ms": c * 1e3, "ratio_badcrossbar": c / a}
            text += f", badcrossbar {c * 1e3:.1f} ms ({c / a:.0f}×)"
        print(f"{text}; agree to {deviation:.0e}")
        rows.append({k: float(f"{x:.3g}") if isinstance(x, float) else x for k, x in row.items()})
    more = {}
    v, g = problem(1024)
    more["solve_1024_s"] = seconds(lambda: jax.block_until_ready(solve(v, g, r_row=r, r_col=r)), 3)
    v, g = problem(128)
    inputs = np.random.default_rng(0).random((64, 128))
    more["inputs_64_at_128_ms"] = 1e3 * seconds(lambda: jax.block_until_ready(solve(inputs, g, r_row=r, r_col=r)), 5)
    more["transfer_128_ms"] = 1e3 * seconds(lambda: jax.block_until_ready(transfer(g, r_row=r, r_col=r)), 5)
    known = np.asarray(transfer(g, r_row=r, r_col=r))
    more["extra_input_by_transfer_ms"] = 1e3 * seconds(lambda: inputs[0] @ known, 50)
    v, g = problem(128)
    steps, residual = 0, 0.0
    for bias in (0.1, 0.3, 1.0, 2.0, 3.0):
        for ratio in (1e-6, 1e-4, 1e-2):
            found = solve(v, g, r_row=R * ratio, r_col=R * ratio, curve=Sinh(b=bias / v.max()))
            steps = max(steps, int(found.convergence.steps))
            residual = max(residual, float(found.convergence.residual))
    more |= {"newton_steps_sinh_128": steps, "newton_residual_sinh_128": residual}
    curve = Sinh(b=1.0 / v.max())
    more["sinh_128_ms"] = 1e3 * seconds(lambda: jax.block_until_ready(solve(v, g, r_row=r, r_col=r, curve=curve)), 5)
    for name, value in more.items():
        print(f"{name}: {value:.3g}")
    if options.out:
        more = {name: float(f"{value:.3g}") for name, value in more.items()}
        options.out.write_text(json.dumps({"benchmark": "arrays", "rows": rows, **more}, indent=2) + "\n")


if __name__ == "__main__":
    main()
