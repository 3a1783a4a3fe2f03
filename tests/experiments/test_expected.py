"""Quick runs of every experiment against their expected values (run with -m full; CI runs the shortest of them)."""

import json
import os
import subprocess
import sys

import pytest

from memspike.parts.registry import EXPERIMENTS

NAMES = [entry.name for entry in EXPERIMENTS]
QUICK = ("pcm-writes",)

# what depends on the machine, and what was added since
CLOCK = ("wall_s", "steps_per_s", "ms_per_seed_and_epoch")


def differences(expected, found, path=""):
    """Paths at which a result is not what is expected; what a result has more does not count."""
    if isinstance(expected, dict):
        for key, value in expected.items():
            if key not in CLOCK:
                yield from differences(value, (found or {}).get(key), f"{path}.{key}")
    elif isinstance(expected, list):
        if not isinstance(found, list) or len(found) != len(expected):
            yield f"{path}: {expected} is now {found}"
        else:
            for k, (one, other) in enumerate(zip(expected, found, strict=True)):
                yield from differences(one, other, f"{path}[{k}]")
    elif expected != (found if isinstance(expected, str | bool | None) else pytest.approx(found, rel=1e-6, abs=1e-30)):
        yield f"{path}: {expected} is now {found}"


def test_every_experiment_has_expected_values(root):
    assert {file.stem for file in (root / "tests/fixtures/quick").glob("*.json")} == set(NAMES)


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.full) for n in NAMES])
def test_a_quick_run_gives_its_expected_values(root, tmp_path, name):
    """In a process of its own, with the options of XLA that users have: other roundings move spikes."""
    options = {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"}
    command = [sys.executable, "-m", "memspike.cli", "run", name, "--quick", "--out", str(tmp_path / "run")]
    subprocess.run(command, env=options, check=True, capture_output=True)
    expected = json.loads((root / f"tests/fixtures/quick/{name}.json").read_text())
    assert list(differences(expected, json.loads((tmp_path / "run/result.json").read_text()))) == []
