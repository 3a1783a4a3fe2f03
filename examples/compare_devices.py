"""The same training on two devices, side by side: a table, the settings that differ, a figure and a page."""

from pathlib import Path

import memspike as ms
from memspike.report import compare

root = Path("runs/example-compare")
common = ["learning.scheme=mixed-precision", "training.epochs=1", "evaluation.chips=0", "evaluation.fine_dt=none"]
for device in ("constant-step", "pcmo"):
    settings = ms.experiments.resolve("memprop-digits", [*common, f"synapse.device={device}"], seeds=2).settings
    ms.experiments.run(settings, root / device)
found = compare.compare(sorted(root.iterdir()))
print(compare.text(found))
print(*compare.write_comparison(found, root / "all"), sep="\n")
