"""The fit of measured ramps (cross-sim: 79 ramps, 13,417 reads, all laws) against that of an older source tree.

Each fit is its own process: `first` is what a user waits for in one run (compilation included), `again` the same fit
once more in that process. The two trees take turns.

    git worktree add ../before 00b74a4
    python benchmarks/fit.py --before ../before --data ../shared/data/crosssim
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import json, sys, time
from memspike.fitting import fit
found = []
for _ in range(2):
    start, cpu = time.perf_counter(), time.process_time()
    fit(sys.argv[1:], read_voltage=0.1)
    found.append((time.perf_counter() - start, time.process_time() - cpu))
print(json.dumps(found))
"""


def timed(tree, files):
    """Wall and processor seconds of the first fit and of the second."""
    environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, files)], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, required=True, help="source tree to compare with")
    parser.add_argument("--data", type=Path, required=True, help="folder of set.csv and reset.csv")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    files = [options.data / name for name in ("set.csv", "reset.csv")]
    trees = {"before": options.before, "now": Path(__file__).parents[1]}
    times = {name: [] for name in trees}
    for _ in range(options.rounds):
        for name, tree in trees.items():
            times[name].append(timed(tree.resolve(), files))
    rows = {}
    for k, which in enumerate(("first", "again")):
        for m, clock in enumerate(("wall", "cpu")):
            own = {name: statistics.median(run[k][m] for run in runs) for name, runs in times.items()}
            rows[f"{which}, {clock}"] = {**{f"{n}_s": v for n, v in own.items()}, "ratio": own["now"] / own["before"]}
    for name, row in rows.items():
        print(f"{name}: before {row['before_s']:.2f} s, now {row['now_s']:.2f} s, ratio {row['ratio']:.2f}")
    if options.out:
        plain = {n: {k: float(f"{v:.3g}") for k, v in row.items()} for n, row in rows.items()}
        options.out.write_text(json.dumps({"benchmark": "fit", "rows": plain}, indent=2) + "\n")


if __name__ == "__main__":
    main()
