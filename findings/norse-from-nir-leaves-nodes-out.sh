#!/usr/bin/env bash
# Seen:    norse 1.1.0, from_nir of Input -> Linear -> LI -> Output: the leaky integrator is not in the network that comes
#          out, and the output is the weighted input itself, at the first step already. No error; the only warning is
#          about the name of a function of nirtorch.
# Guessed: a node that the importer does not know is refused by name, or the wiring check fails.
# Means:   a network that was written with leaky readouts loses them on import; compare the number of nodes, or one
#          output, before trusting what was imported.
# Source:  run of this script
# Date:    2026-11-30
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 nir==1.0.8 nirtorch==2.6 norse==1.1.0
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

import nir
import norse.torch as norse
import numpy as np
import torch

one = np.ones(2, dtype=np.float32)
weight = 0.5 * np.eye(2, dtype=np.float32)

nodes = {
    "input": nir.Input({"input": np.array([2])}),
    "linear": nir.Linear(weight),
    "li": nir.LI(tau=0.02 * one, r=one, v_leak=0 * one),
    "output": nir.Output({"output": np.array([2])}),
}
names = list(nodes)
net = norse.from_nir(nir.NIRGraph(nodes=nodes, edges=list(zip(names, names[1:]))))
here, out = sorted(name for name, _ in net.named_children()), net(torch.ones(1, 2))[0]
print(f"norse {version('norse')}: modules {here}; output at the first step {out.tolist()}")
assert here == ["input", "linear", "output"], "the importer knows the node"
assert torch.equal(out, torch.full((1, 2), 0.5)), "the output has changed"
PYTHON
