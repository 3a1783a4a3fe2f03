#!/usr/bin/env bash
# Seen:    norse 1.1.0, a Linear and a LIFCell written by to_nir(dt=1.0) and read back by from_nir: 30 neurons that sent
#          242 spikes in 100 steps send 5. No error, no warning about it. The node is a CubaLIF without w_in (so 1): the
#          current of a spike is dt/tau_syn of its weight there (0.2 here), while a LIFCell adds the whole weight.
# Guessed: a framework reads back what it has written.
# Means:   set w_in of CubaLIF nodes that Norse wrote to tau_syn/dt: then all spikes are the same. Compare spikes after an
#          exchange, even within one framework.
# Source:  run of this script
# Date:    2026-12-01
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 nir==1.0.8 nirtorch==2.6 norse==1.1.0
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import logging
from importlib.metadata import version

import norse.torch as norse
import torch

logging.disable(logging.CRITICAL)
torch.manual_seed(1)
DT, STEPS, INPUTS, NEURONS = 1e-3, 100, 20, 30


def each(value):
    return torch.full((NEURONS,), value)


parameters = norse.LIFParameters(tau_mem_inv=each(100.0), tau_syn_inv=each(200.0), v_th=each(0.5), v_leak=each(0.0))
net = norse.SequentialState(torch.nn.Linear(INPUTS, NEURONS), norse.LIFCell(parameters, dt=DT))
x = (torch.rand(STEPS, INPUTS) < 0.3).float()


def spikes(module):
    state, count = None, 0
    with torch.no_grad():
        for now in x:
            z, state = module(now, state)
            count += int(z.sum())
    return count


graph = norse.to_nir(net, x[0], dt=1.0)
(node,) = [one for one in graph.nodes.values() if type(one).__name__ == "CubaLIF"]
own, back = spikes(net), spikes(norse.from_nir(graph, dt=DT))
node.w_in = each(1 / (200.0 * DT)).numpy()
mended = spikes(norse.from_nir(graph, dt=DT))
print(f"norse {version('norse')}: {own} spikes, {back} after a file of its own, {mended} with w_in = tau_syn/dt")
assert (own, back, mended) == (242, 5, 242), "the spikes have changed"
PYTHON
