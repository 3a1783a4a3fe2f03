"""What the resistance of its wires costs an array of 64 × 48 devices, and a picture of it."""

from pathlib import Path

import numpy as np

from memspike.arrays import solve
from memspike.report import array_figure

g = np.random.default_rng(0).uniform(10e-6, 100e-6, (64, 48))  # siemens
v = np.full(64, 0.1)  # volts
for ohms in (0.1, 1.0, 5.0):
    solution = solve(v, g, r_row=ohms, r_col=ohms)  # ohms per segment
    lost = 1 - np.asarray(solution.currents.output) / (v @ g)
    print(f"{ohms:g} Ω a segment: outputs lack {100 * lost.mean():.2f} % on average, {100 * lost.max():.2f} % at most")

file = Path("runs/example-wires.png")
file.parent.mkdir(exist_ok=True)
array_figure(solution, g, v).savefig(file)
print(file)
