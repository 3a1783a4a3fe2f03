"""Measured pulses → a device with intervals. Here the measurement is made up: eight ramps each way, with noise.

`memspike fit FILE` is the same on the command line; it reads the files of many instruments.
"""

from pathlib import Path

import numpy as np

from memspike import fitting
from memspike.report import write_fit

rng = np.random.default_rng(0)
ramps = []
for sign in (1, -1):
    for _ in range(8):
        share = [0.05 if sign > 0 else 0.95]
        for _ in range(60):
            room = 1 - share[-1] if sign > 0 else share[-1]
            share.append(share[-1] + sign * 0.04 * room + 0.004 * rng.standard_normal())
        ramps.append(1e-6 + 20e-6 * np.array(share))

folder = Path("runs/example-fit")
folder.mkdir(parents=True, exist_ok=True)
file = folder / "pulses.csv"
np.savetxt(file, np.transpose(ramps), delimiter=",")  # one ramp a column, in siemens

table = fitting.read(file)
found = fitting.fit(fitting.Measurements(tuple(fitting.to_traces(table))), model="soft-bounds")
for p in found.parameters:
    print(f"{p.name} = {p.value:.4g} {p.unit} ({p.low:.4g} to {p.high:.4g})")
print(write_fit(found, folder / "fit"))
