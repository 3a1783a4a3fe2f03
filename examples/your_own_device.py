"""A device from the numbers of a data sheet: how it behaves, a chip of it, and a training that writes it by pulses."""

from pathlib import Path

import jax

import memspike as ms
from memspike import devices
from memspike.devices import SoftBounds

mine = SoftBounds(g_min=2e-6, g_max=40e-6)
chip = devices.fabricate(mine, {"g_max": 0.1}, shape=(64, 64), stuck=0.01, key=jax.random.key(0))
state = chip.program(chip.init((64, 64)), 20, key=jax.random.key(1))
g = chip.conductance(state, 1.0)  # siemens, in one second
print(f"after 20 pulses: {1e6 * float(g.mean()):.2f} ± {1e6 * float(g.std()):.2f} µS")

folder = Path("runs/example-device")
devices.write(mine, folder / "mine.toml")
for path in ms.report.write_device(mine, folder / "figures"):
    print(path)

keys = [f"synapse.device={folder / 'mine.toml'}", "learning.scheme=mixed-precision", "training.epochs=2"]
keys += ["evaluation.chips=0", "evaluation.fine_dt=none"]
result = ms.experiments.run(ms.experiments.resolve("memprop-digits", keys).settings, folder / "run")
print(result["headline"], f"with {result['writes_per_device']:.1f} pulses a device")
