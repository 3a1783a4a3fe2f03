#!/usr/bin/env bash
# Seen:    EProp of braintrace 0.2.8 with kappa_filter_decay filters the trace of the membrane, Σ α^(t−s)·x_s, and
#          multiplies it by the pseudo-derivative of the present step: Σ_t L_t·ψ_t·F(ε)_t. For 20 LIF neurons, a readout
#          y ← κ·y + W·z and 200 steps, its gradient is that to 1e-6, and up to 0.41 of the largest element away from
#          e-prop as published, Σ_t L_t·F(ψ·ε)_t.
# Guessed: e-prop of Bellec et al., which its documentation cites, with ē = F(e) and e_t = ψ_t·ε_t.
# Means:   with a leaky readout its gradients are another approximation (correlation 0.92 here); to compare
#          gradients of two implementations use kappa_filter_decay=0, where both are the same.
# Source:  run of this script; Bellec et al., Nat. Commun. 11: 3625 (2020), doi 10.1038/s41467-020-17236-y
# Date:    2026-12-01
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.12}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet braintrace==0.2.8 brainstate==0.6.0 jax==0.12.0.1
"$folder/venv/bin/python" - <<'PYTHON'
import math
from importlib.metadata import version

import brainstate
import braintrace
import jax
import jax.numpy as jnp
import numpy as np

N, STEPS, ALPHA, KAPPA, THETA = 20, 200, math.exp(-1 / 20), math.exp(-1 / 10), 0.4
random = np.random.default_rng(0)
x = (random.random((STEPS, N)) < 0.1).astype(np.float32)
target = np.sin(np.arange(STEPS) / 10).astype(np.float32)[:, None]
w, out = (random.normal(0, 0.12, (N, m)).astype(np.float32) for m in (N, 1))


@jax.custom_jvp
def spike(v):
    return (v > 0).astype(v.dtype)


@spike.defjvp
def _slope(given, tangents):
    return spike(given[0]), 0.3 * jnp.maximum(0.0, 1 - jnp.abs(given[0] / THETA)) * tangents[0]


class Network(brainstate.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = brainstate.ParamState(jnp.asarray(w))

    def init_state(self, batch_size=None, **kwargs):
        self.v = brainstate.HiddenState(jnp.zeros(N))
        self.y = brainstate.ShortTermState(jnp.zeros(1))

    def update(self, x):
        reset = THETA * jax.lax.stop_gradient(spike(self.v.value - THETA))
        self.v.value = ALPHA * self.v.value + braintrace.matmul(x, self.w.value) - reset
        self.y.value = KAPPA * jax.lax.stop_gradient(self.y.value) + spike(self.v.value - THETA) @ jnp.asarray(out)
        return self.y.value


network = Network()
learner = braintrace.compile(network, braintrace.EProp, jnp.asarray(x[0]), kappa_filter_decay=KAPPA)
found = learner.etrace_grad(
    jnp.asarray(x), jnp.asarray(target), step_fn=lambda a, b: 0.5 * jnp.square(learner(a) - b).sum()
)
found = STEPS * np.asarray(found[("w",)])  # it averages over steps


def law(before_the_slope):
    v, z, y, trace = np.zeros(N), np.zeros(N), 0.0, np.zeros(N)
    filtered, total = np.zeros((N, N)), np.zeros((N, N))
    for t in range(STEPS):
        trace = ALPHA * trace + x[t]
        v = ALPHA * v + x[t] @ w - THETA * z
        z = (v > THETA) * 1.0
        psi = 0.3 * np.maximum(0, 1 - np.abs((v - THETA) / THETA))
        y = KAPPA * y + (z @ out)[0]
        signal = (y - target[t, 0]) * out[:, 0]
        eligible = trace[:, None] * (np.ones(N) if before_the_slope else psi)[None]
        filtered = KAPPA * filtered + eligible
        total += filtered * (signal * psi if before_the_slope else signal)[None]
    return total


def away(a):
    return np.abs(found - a).max() / np.abs(a).max()


published, other = law(False), law(True)
print(
    f"braintrace {version('braintrace')}: {away(other):.1g} away from the filter before the slope, "
    f"{away(published):.2g} from e-prop as published; correlation {np.corrcoef(found.ravel(), published.ravel())[0, 1]:.3f}"
)
assert away(other) < 1e-4
assert away(published) > 0.03, "the filter is where the publication has it"
PYTHON
