"""Quick runs of every experiment against their expected values (run with -m full; CI runs the shortest of them)."""

import json

import pytest

import memspike as ms
from memspike.experiments import resolve
from memspike.parts.registry import EXPERIMENTS

# what depends on the machine, and what was added since
CLOCK = ("wall_s", "steps_per_s", "ms_per_seed_and_epoch")


def differences(expected, found, path=""):
    """Paths at which a result is not what is expected; what a result has more does not count."""
    if isinstance(expected, dict):
        for key, value in expected.items():
            if key not in CLOCK:
                yield from differences(value, found[key] if key in found else None, f"{path}.{key}")
    elif isinstance(expected, list):
        if not isinstance(found, list) or len(found) != len(expected):
            yield f"{path}: {expected} is now {found}"
        else:
            for k, (one, other) in enumerate(zip(expected, found, strict=True)):
                yield from differences(one, other, f"{path}[{k}]")
    elif expected != (found if isinstance(expected, str | bool | None) else pytest.approx(found, rel=1e-6, abs=1e-30)):
        yield f"{path}: {expected} is now {found}"


def test_every_experiment_has_expected_values(root):
    assert {file.stem for file in (root / "tests/fixtures/quick").glob("*.json")} == set(EXPERIMENTS)


QUICK = ("tiki-taka-regression", "pcm-writes")


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.full) for n in EXPERIMENTS])
def test_a_quick_run_gives_its_expected_values(root, tmp_path, name):
    """At the optimization level of XLA that users have, or at another: rounding moves spikes, so both are not the same."""
    expected = json.loads((root / f"tests/fixtures/quick/{name}.json").read_text())
    result = ms.experiments.run(resolve(name, quick=True).settings, tmp_path / "run")
    assert list(differences(expected, result)) == []
