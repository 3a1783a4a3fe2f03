"""Runs beside each other."""

import json

import pytest

from memspike.experiments.table import Column, declared
from memspike.training.folder import RunFolder

SAID = {"headline": "", "source": "", "seed": 0}


def trained(path, accuracies, *, kind="classification", settings=(), **more):
    """A finished run as a training leaves it."""
    mean = sum(accuracies) / len(accuracies)
    spread = (max(accuracies) - min(accuracies)) / 2
    result = SAID | {"experiment": "mine", "kind": kind, "seeds": len(accuracies), "test_accuracies": accuracies}
    result |= {"test_accuracy": mean, "test_accuracy_sd": spread, "scheme": "ideal"} | more
    folder = RunFolder(path)
    path.mkdir(parents=True)
    (path / "config.toml").write_text('experiment = "mine"\n\n[[layers]]\nsize = 3\n')
    folder.write_json("environment.json", {"packages": {}})
    folder.write_json("result.json", result)
    lines = [{"key": key, "value": value, "source": "default", "meaning": "", "allowed": ""} for key, value in settings]
    folder.write_json("run.json", {"command": "", "settings": lines})
    rows = [
        {"epoch": e, "seed": s, "loss": 1.0 / e, "test_accuracy": a} for e in (1, 2) for s, a in enumerate(accuracies)
    ]
    folder.write_csv("metrics.csv", rows)
    return path


@pytest.fixture
def two(tmp_path):
    same = [("seeds", "2"), ("training.batch", "32")]
    a = trained(tmp_path / "a", [0.9, 0.92], settings=[*same, ("synapse.device", "pcm")])
    b = trained(
        tmp_path / "b", [0.8, 0.84], settings=[*same, ("synapse.device", "pcmo"), ("synapse.device.nu", "0.04")]
    )
    return a, b


def test_a_table_of_runs_and_what_differs(call, two, tmp_path):
    status, text, error = call("compare", *two, "--out", tmp_path / "out")
    assert status == 0, error
    lines = [line.split("  ") for line in text.splitlines()]
    assert [line[0] for line in lines[:3]] == ["run", "a", "b"]
    assert "91.00 ± 1.00 %" in text
    assert [" ".join(filter(None, line)).split() for line in lines[4:7]] == [
        ["setting", "a", "b"],
        ["synapse.device", "pcm", "pcmo"],
        ["synapse.device.nu", "–", "0.04"],
    ]
    assert "training.batch" not in text
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"compare.{k}" for k in ("json", "svg", "png", "html")
    }
    status, _, error = call("compare", *two, "--out", tmp_path / "out")
    assert (status, error.count("\n")) == (2, 1)
    assert "is not empty" in error


def test_json_is_all_that_is_written(call, two, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, text, _ = call("compare", *two, "--json")
    found = json.loads(text)
    assert status == 0
    assert [run["result"]["test_accuracy"] for run in found["runs"]] == pytest.approx([0.91, 0.82])
    assert found["settings"]["synapse.device"] == {"a": "pcm", "b": "pcmo"}
    assert not (tmp_path / "runs").exists()


def test_runs_of_the_same_name_are_told_apart(call, tmp_path):
    runs = [trained(tmp_path / name / "run", [0.5]) for name in ("x", "y")]
    _, text, _ = call("compare", *runs, "--out", tmp_path / "out")
    assert "x/run" in text
    assert "All settings are the same." in text


def test_what_cannot_be_compared_is_one_sentence(call, two, tmp_path):
    other = {
        "recall": {"overlap": 0.9, "overlap_sd": 0.1},
        "table": {"rows": [], "columns": declared([Column("a", "a")])},
    }
    recall, study = (trained(tmp_path / kind, [0.5], kind=kind, **more) for kind, more in other.items())
    RunFolder(recall).write_arrays("samples.npz", {})
    for runs, words in (
        ((two[0], recall), "a is of the kind classification and recall of the kind recall"),
        ((two[0], study), "table is a study of the kind table"),
        ((two[0],), "two runs or more"),
        ((two[0], two[0]), "given twice"),
        ((two[0], tmp_path), "is not the folder of a finished run"),
    ):
        status, _, error = call("compare", *runs, "--out", tmp_path / "none")
        assert status == 2
        assert words in error
        assert error.count("\n") == 1
        assert not (tmp_path / "none").exists()
