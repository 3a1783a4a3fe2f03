"""Train, program chips of phase-change memory, and measure them again after a day and a year, with and without help."""

from pathlib import Path

import memspike as ms
from memspike.arrays import GlobalDrift

folder = Path("runs/example-age")
keys = ["synapse.device=pcm", "training.epochs=3", "evaluation.chips=0", "evaluation.fine_dt=none"]
ms.experiments.run(ms.experiments.resolve("memprop-digits", keys).settings, folder)

run = ms.load(folder)
for row in run.age((30.0, 86400.0, 31556952.0), GlobalDrift(), chips=5):
    print(f"{row['age_s']:>12g} s, compensation {row['compensation']}: {100 * row['accuracy_mean']:.1f} %")
