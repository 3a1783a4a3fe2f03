"""This build against an older one, in two environments, in turns: ratios with their spread.

python benchmarks/against.py COMMIT [CASE …] puts the tree of COMMIT into an environment of its own, with the JAX of
this one, and runs every case of build_cases.py in both, one process after the other. A ratio above 1 says that this
build is faster. Numbers that both have to share are compared first. Runs of whole experiments are only made when they
are named.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
# largest relative difference of the numbers; those of whole runs, whose random draws may have moved, are only shown
TOLERANCE = 1e-4


def installed(commit, folder):
    """The interpreter of an environment with the build of a commit; it is made once."""
    tree, env = folder / "tree", folder / "venv"
    python = env / "bin/python"
    if not python.exists():
        tree.mkdir(parents=True)
        packed = subprocess.run(["git", "-C", ROOT, "archive", commit], check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", tree], input=packed, check=True)
        subprocess.run([sys.executable, "-m", "venv", env], check=True)
        wanted = [f"jax=={version('jax')}", f"jaxlib=={version('jaxlib')}", str(tree)]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
    return str(python)


def measured(python, case, repeats):
    """What one process of one build says of a case."""
    command = [python, str(ROOT / "benchmarks/build_cases.py"), case, str(repeats)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tempfile.gettempdir(), check=False)
    if done.returncode:
        raise SystemExit(f"{case}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def row(case, pythons, rounds, repeats):
    """Medians of both builds, the ratio of every pair of turns, and how far numbers are apart."""
    found = [[measured(python, case, repeats) for python in pythons] for _ in range(rounds)]
    old, new = ([one[k]["seconds"] for one in found] for k in (0, 1))
    ratios = sorted(a / b for a, b in zip(old, new, strict=True))
    a, b = (np.asarray(found[0][k]["check"]) for k in (0, 1))
    apart = float(np.abs(a - b).max() / np.abs(a).max())
    return {
        "old_s": statistics.median(old),
        "new_s": statistics.median(new),
        "ratio": statistics.median(ratios),
        "ratio_quartiles": [ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]],
        "apart": apart,
    }


def main():
    from build_cases import CASES, RUNS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commit")
    parser.add_argument("cases", nargs="*", default=list(CASES), help=f"of {', '.join((*CASES, *RUNS))}")
    parser.add_argument("--rounds", type=int, default=7, help="processes of each build")
    parser.add_argument("--repeats", type=int, default=9, help="repetitions in a process")
    parser.add_argument("--folder", type=Path, help="where the older build is kept; a temporary folder by default")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if unknown := set(given.cases) - {*CASES, *RUNS}:
        parser.error(f"unknown cases: {', '.join(sorted(unknown))}; known: {', '.join((*CASES, *RUNS))}")
    with tempfile.TemporaryDirectory() as temporary:
        pythons = installed(given.commit, given.folder or Path(temporary)), sys.executable
        rows = {}
        for case in given.cases:
            rows[case] = found = row(case, pythons, given.rounds, given.repeats)
            low, high = found["ratio_quartiles"]
            print(
                f"{case}: {given.commit} {found['old_s']:.4g} s, this build {found['new_s']:.4g} s, ratio "
                f"{found['ratio']:.2f} (quartiles {low:.2f} to {high:.2f}); numbers apart by {found['apart']:.1g}",
                flush=True,
            )
            if case in CASES and found["apart"] > TOLERANCE:
                raise SystemExit(f"{case}: the numbers of both builds are apart by {found['apart']:.1g}")
    if given.out:
        given.out.write_text(
            json.dumps({"benchmark": "against", "commit": given.commit, "rows": rows}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
