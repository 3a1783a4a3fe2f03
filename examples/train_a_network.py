"""Train a fully memristive network on real digits, and look at the report.

Writes runs/example-train; open report.html there. `memspike run memprop-digits` is the same on the command line.
"""

from pathlib import Path

import memspike as ms

folder = Path("runs/example-train")
keys = ["training.epochs=4", "evaluation.chips=5"]  # any key that `memspike show memprop-digits` lists
result = ms.experiments.run(ms.experiments.resolve("memprop-digits", keys).settings, folder)
print(result["headline"])
print(ms.report.write_report(folder))
