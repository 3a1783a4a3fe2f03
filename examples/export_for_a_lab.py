"""A trained network as files for a programmer of real devices: pulses, conductances, predictions, waveforms."""

from pathlib import Path

import memspike as ms
from memspike.experiments.export import export_run

folder = Path("runs/example-export")
keys = ["network.layers=[16]", "training.epochs=2", "evaluation.chips=0", "evaluation.fine_dt=none"]
ms.experiments.run(ms.experiments.resolve("memprop-digits", keys).settings, folder)
for path in export_run(ms.load(folder), folder / "export"):
    print(path)
print(*(folder / "export/conductances.csv").read_text().splitlines()[:3], sep="\n")
