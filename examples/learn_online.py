"""A recurrent network on phase-change memory learns a pattern online by e-prop; pulses and energy are counted."""

from pathlib import Path

import memspike as ms

folder = Path("runs/example-online")
keys = ["training.epochs=30"]
result = ms.experiments.run(ms.experiments.resolve("pcm-eprop", keys, quick=True, seeds=1).settings, folder)
print(result["headline"])
print(ms.report.write_report(folder))
