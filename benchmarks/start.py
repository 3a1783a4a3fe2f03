"""How fast the program starts: against `import jax, equinox` in the same run, and against its own first run.

`memspike --help` and `import memspike` as shares of the processor time (user + system) of `python -c "import jax,
equinox"`: in turns, the median of five ratios. Then the time to the first trained steps of `memspike run
memprop-digits` (wall time; start, data, compilation, one chunk) with an empty cache of compiled programs, and again
with what that run has kept. Run with: make bench
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 5
PEER = ("-c", "import jax, equinox")
OURS = {
    "memspike --help": ("-m", "memspike.cli", "--help"),
    "import memspike": ("-c", "import memspike"),
}
# the program itself, stopped as soon as it reports its first steps
FIRST_STEPS = """
import os, sys
from memspike import cli
from memspike.cli.progress import RunProgress
RunProgress.update = lambda self, status: os._exit(0)
sys.argv = ["memspike", "run", "memprop-digits", "--out", sys.argv[1]]
cli.main()
"""


def processor_seconds(arguments):
    """User and system time of a Python process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def starts():
    """A row for each way to start: seconds of both, and the median of the ratios."""
    for arguments in (PEER, *OURS.values()):
        processor_seconds(arguments)  # bytecode and files in memory
    pairs = {name: [] for name in OURS}
    for _ in range(ROUNDS):
        for name, arguments in OURS.items():
            pairs[name].append((processor_seconds(arguments), processor_seconds(PEER)))
    for name, found in pairs.items():
        ours, peers = (statistics.median(column) for column in zip(*found, strict=True))
        ratio = statistics.median(a / b for a, b in found)
        yield {"what": name, "seconds": ours, "jax_equinox_seconds": peers, "ratio": ratio}


def first_steps(folder, name):
    """Seconds from the start of the program to its first trained steps, with what is kept in `folder`."""
    unset = ("JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE")
    environment = {k: v for k, v in os.environ.items() if k not in unset} | {"MEMSPIKE_CACHE": str(folder / "kept")}
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", FIRST_STEPS, str(folder / name)], check=True, env=environment)
    return time.perf_counter() - begin


def again():
    """The time to the first steps of a second run over that of the first, paired."""
    found = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            found.append([first_steps(Path(folder), name) for name in ("first", "second")])
    first, second = (statistics.median(column) for column in zip(*found, strict=True))
    ratio = statistics.median(b / a for a, b in found)
    return {"what": "second memspike run", "seconds": second, "first_run_seconds": first, "ratio": ratio}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = [*starts(), again()]
    for row in rows:
        peer = "its first run" if "first_run_seconds" in row else "import jax, equinox"
        print(f"{row['what']}: {row['seconds']:.2f} s, {row['ratio']:.2f} of {peer}")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps({"benchmark": "start", "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
