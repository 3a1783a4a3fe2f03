#!/usr/bin/env bash
# Seen:    snntorch 1.0.0, import_from_nir of a LIF node with r = 1: the gain dt/tau goes into the threshold, but one number
#          for all neurons, that of the largest tau. With tau = 5 and 20 ms both thresholds become 200, where the first
#          neuron alone is imported with 50: with its neighbour it stays silent at a drive that makes it fire alone. What
#          is printed is "scaling weights to avoid scaling inputs".
# Guessed: every neuron gets its own gain, as every one gets its own beta; or unequal time constants are refused.
# Means:   networks with time constants of their own for every neuron do not survive the way through a NIR file with r = 1
#          into snntorch; one LIF node for each time constant does.
# Source:  run of this script
# Date:    2026-11-30
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 nir==1.0.8 nirtorch==2.6 snntorch==1.0.0
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

import nir
import numpy as np
import snntorch
import torch
from snntorch.import_nir import import_from_nir


def imported(*taus):
    tau = np.array(taus, dtype=np.float32)
    one, size = np.ones_like(tau), np.array([tau.size])
    nodes = {
        "input": nir.Input({"input": size}),
        "linear": nir.Linear(np.eye(tau.size, dtype=np.float32)),
        "lif": nir.LIF(tau=tau, r=one, v_leak=0 * one, v_threshold=one, v_reset=0 * one),
        "output": nir.Output({"output": size}),
    }
    names = list(nodes)
    net = import_from_nir(nir.NIRGraph(nodes=nodes, edges=list(zip(names, names[1:]))))
    (leaky,) = (m for m in net.modules() if isinstance(m, snntorch.Leaky))
    return leaky


def fires(neuron, drive, steps=400):
    """Whether neurons of decay beta and the imported threshold fire under a constant drive."""
    v, fired = torch.zeros_like(neuron.beta), torch.zeros_like(neuron.beta, dtype=torch.bool)
    for _ in range(steps):
        v = neuron.beta * v + drive
        fired |= v > neuron.threshold
    return fired.tolist()


alone, other, both = imported(0.005), imported(0.02), imported(0.005, 0.02)
found = [float(t.max()) for t in (alone.threshold, other.threshold, both.threshold)]
print(f"snntorch {version('snntorch')}: thresholds {found[0]:g} and {found[1]:g} alone, {found[2]:g} for both together;")
print(f"a drive of 2: fires {fires(alone, 2.0)} and {fires(other, 2.0)} alone, {fires(both, 2.0)} together")
assert both.threshold.numel() == 1, "the thresholds are one for each neuron"
assert np.allclose(found, [50, 200, 200], rtol=1e-4), "the thresholds have changed"
assert fires(alone, 2.0) == [True]
assert fires(both, 2.0)[0] is False, "the first neuron fires beside its neighbour, too"
PYTHON
