"""The membranes of a run against an independent adaptive solution of its circuit: python scripts/adaptive.py RUN…

SciPy solves the equations of all layers at once, written here anew, between the row pulses of the first test examples;
the traces of `samples.npz` are at the fine step of the run, those of `--dt` are made anew. Dense layers of MIF neurons,
static reading.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp
from scipy.special import expit

from memspike.config import build
from memspike.experiments.base import resolve
from memspike.networks import simulate
from memspike.training.evaluate import Evaluator


def circuit(pairs, taus, p):
    """dy/dt of two filter stages of the first layer, one of every other, and v, x1, x2 of all neurons; their places.

    `pulse` is the current in A into the first stages.
    """
    sizes = [g.shape[1] for g in pairs]
    stages = [2 * sizes[0], *sizes[1:]]
    ends = np.cumsum([0, *(s + 3 * n for s, n in zip(stages, sizes, strict=True))])

    def rate(_, y, pulse):
        dy, sent = np.empty_like(y), None
        for k, (n, s, tau) in enumerate(zip(sizes, stages, taus, strict=True)):
            own, d = y[ends[k] : ends[k + 1]], dy[ends[k] : ends[k + 1]]
            if k == 0:
                d[:n], d[n:s] = (pulse - own[:n]) / tau, (own[:n] - own[n:s]) / tau
                current = own[n:s]
            else:
                d[:s] = (sent @ pairs[k] - own[:s]) / tau
                current = own[:s]
            v, *x = (own[s + j * n : s + (j + 1) * n] for j in range(3))
            leak = 0.0
            for j, (e, share) in enumerate(zip((0.0, p["e2"]), x, strict=True)):
                on, off = expit((v - e - p["v_on"]) / p["v_scale"]), expit((p["v_off"] - v + e) / p["v_scale"])
                d[s + (j + 1) * n : s + (j + 2) * n] = ((1 - share) * on - share * off) / p["tau"]
                leak = leak + (share / p["r_on"] + (1 - share) / p["r_off"]) * (v - e)
            d[s : s + n] = (current - leak) / p["c"]
            sent = v - p["rest"]
        return dy

    return rate, [(a + s, n) for a, s, n in zip(ends, stages, sizes, strict=False)]


def solved(pairs, taus, p, events, grid):
    """Membranes [grid, neurons] in V of every layer, from rest, with rectangular row pulses of one example."""
    rate, places = circuit(pairs, taus, p)
    starts = np.asarray(events.times)
    edges = np.unique(np.round(np.concatenate([[0.0], starts, starts + events.width, [grid[-1] + 1e-12]]), 13))
    y = np.zeros(places[-1][0] + 3 * places[-1][1])
    for at, n in places:
        y[at : at + n], y[at + n : at + 2 * n], y[at + 2 * n : at + 3 * n] = p["rest"], p["x1"], p["x2"]
    found = []
    for start, stop in zip(edges[edges <= grid[-1]], edges[1:], strict=False):
        on = (starts <= start + 1e-13) & (start + 1e-13 < starts + events.width)
        pulse = p["gain"] * on @ np.asarray(events.v, float) @ pairs[0]
        inside = grid[(grid > start) & (grid <= stop)]
        options = {"method": "DOP853", "rtol": 1e-8, "atol": 1e-11, "t_eval": np.union1d(inside, [stop])}
        got = solve_ivp(rate, (start, stop), y, args=(pulse,), **options)
        found.append(got.y[:, np.isin(got.t, inside)])
        y = got.y[:, -1].copy()
    whole = np.concatenate(found, axis=1)
    return [whole[at : at + n].T for at, n in places]


def deviations(run, dt):
    """Of every layer the largest deviation in V over the samples of a run; at its fine step, or at steps of `dt`."""
    settings = resolve(str(run / "config.toml")).settings
    built = build.classifier(settings)
    evaluator = Evaluator(built.population, built.data, settings.evaluation.at_once)
    files = np.load(run / "samples.npz")
    network: Any = built.learner.network
    own, layers = float(files["dt"]), network.layers
    images = jnp.asarray(built.data.x_test[: len(files["labels"])])
    events = evaluator.trials.shown(images, own, key=evaluator.keys(built.learner.noisy).shown[0, 0])
    neuron = layers[0].neuron
    rest = neuron.init()
    p = {name: float(getattr(neuron.m1, name)) for name in ("v_on", "v_off", "v_scale", "tau", "r_on", "r_off")}
    p |= {"e2": float(neuron.e2), "c": float(neuron.capacitance), "rest": float(rest.v)}
    with jax.enable_x64(True):  # rest in full precision
        states = type(neuron)().init()
        p |= {"rest": float(states.v), "x1": float(states.x1), "x2": float(states.x2)}
    p["gain"] = float(layers[0].input_gain)
    pairs = [files[f"g_{k}"][0].astype(float) - files[f"g_{k}"][1] for k in range(len(layers))]
    taus = [float(layer.filter.tau) for layer in layers]
    traces = [files[f"trace_{k}"] for k in range(len(layers))]
    if dt is not None:
        lines = tuple(jnp.asarray(files[f"g_{k}"]) for k in range(len(layers)))
        traces = simulate(network, lines, events, steps=round(len(traces[0]) * own / dt), dt=dt)
    dt, worst = dt or own, np.zeros(len(layers))
    grid = (np.arange(len(traces[0])) + 1) * dt
    for sample in range(len(images)):
        own = eqx.tree_at(lambda e: e.v, events, events.v[:, sample])
        for k, v in enumerate(solved(pairs, taus, p, own, grid)):
            worst[k] = max(worst[k], np.abs(v - np.asarray(traces[k])[:, sample]).max())
    return dt, worst


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--dt", type=float, help="time step in s")
    given = parser.parse_args()
    for run in given.runs:
        dt, worst = deviations(run, given.dt)
        told = {"run": run.name, "dt": dt, "deviation_mv": [round(1e3 * float(w), 4) for w in worst]}
        print(json.dumps(told))


if __name__ == "__main__":
    main()
