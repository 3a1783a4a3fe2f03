"""What a user expects of every program: quiet, verbose, JSON, completion, a hint that can be copied."""

import json
import os
import shlex
import subprocess
import sys

import numpy as np
import pytest

import memspike as ms
from memspike.cli import completion, console
from memspike.cli.run import _started

SMALL = ["data.train=320", "data.test=40", "size=8", "evaluation.chips=0", "fine_dt=none", "epochs=1"]
GIVEN = [word for item in SMALL for word in ("--set", item)]


def test_run_with_json_says_nothing_else(call, tmp_path):
    status, text, error = call("run", "memprop-digits", *GIVEN, "--json", "--quiet", "-v", "--out", tmp_path / "a b")
    assert status == 0, error
    found = json.loads(text)
    assert found["folder"] == str(tmp_path / "a b")
    assert found["expected"] is None
    assert 0 <= found["test_accuracy"] <= 1
    assert "training.epochs = 1 (changed; usual: 40)" in error
    assert "step" not in error, "--quiet shows no progress"
    said = json.loads((tmp_path / "a b/run.json").read_text())
    assert shlex.split(said["command"])[:3] == ["memspike", "run", "memprop-digits"]
    assert said["command"].endswith(f"--out '{tmp_path}/a b'")


def test_quiet_prints_the_result_alone(call, tmp_path):
    status, text, error = call("run", "memprop-digits", *GIVEN, "--quiet", "--out", tmp_path / "run")
    assert status == 0
    assert text.startswith("test accuracy ")
    assert (text.count("\n"), error) == (1, "")


def test_an_interrupted_run_says_how_it_goes_on(call, tmp_path, monkeypatch):
    """The hint holds every option, can be copied into a shell, and is right."""
    from memspike.cli.progress import RunProgress

    monkeypatch.chdir(tmp_path)
    given = ["run", "memprop-digits", *GIVEN, "--set", "checkpoint_every=5", "--set", "encoder.times=[0us]"]

    def stop(self, status):
        if status.step >= 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunProgress, "update", stop)
        status, _, error = call(*given, "--quiet")
    assert status == 130
    assert error.count("\n") == 1
    where, _, hint = error.strip().partition(" with: ")
    assert where == "memspike: Interrupted; go on from the last checkpoint"
    words = shlex.split(hint)
    assert words == ["memspike", *given, "--quiet", "--resume", "--out", "runs/memprop-digits"]
    status, text, error = call(*words[1:])
    assert status == 0, error
    assert text.startswith("test accuracy")


def test_before_its_first_checkpoint_a_run_begins_again(call, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(ms.experiments, "run", stop)
    _, _, error = call("run", "memprop-digits", "--quiet", "--out", tmp_path / "run")
    assert (
        f"go on from its beginning with: memspike run memprop-digits --quiet --out {tmp_path / 'run'} --resume" in error
    )


def test_a_hint_of_a_resumed_run_says_resume_once(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/bin/memspike", "run", "memprop-digits", "--resume"])
    started = _started(None, tmp_path, resume=True, named=False)
    assert started.again == f"memspike run memprop-digits --resume --out {tmp_path}"


def test_show_as_json(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, text, _ = call("show", "pcm", "--json")
    found = json.loads(text)
    assert (found["name"], found["kind"]) == ("pcm", "devices")
    top = next(p for p in found["parameters"] if p["name"] == "g_max")
    assert top["value"] == pytest.approx(12e-6)
    assert top["unit"] == "S"
    _, text, _ = call("show", "memprop-digits", "epochs", "--json")
    assert [key["path"] for key in json.loads(text)["settings"]] == ["training.epochs", "training.epochs_together"]
    ms.devices.write(ms.devices.SoftBounds(), tmp_path / "mine.toml")
    assert json.loads(call("show", "mine.toml", "--json")[1])["model"] == "SoftBounds"
    _, _, error = call("show", "mif", "-v")
    assert "source of " in error
    assert not (tmp_path / "runs").exists()


def test_fit_as_json_and_quiet(call, tmp_path):
    time = np.linspace(0.0, 1e3, 60)
    rows = "\n".join(f"{k},{t:.6g},{20e-6 * k * (1 + t) ** (-0.04 * k):.6e}" for k in (1, 2, 3) for t in time)
    (tmp_path / "drift.csv").write_text(f"device,time (s),conductance (S)\n{rows}\n")
    status, text, error = call("fit", tmp_path / "drift.csv", "--kind", "retention", "--json", "--out", tmp_path / "a")
    assert status == 0, error
    found = json.loads(text)
    assert found["report"] == str(tmp_path / "a/fit.html")
    status, text, error = call(
        "fit", tmp_path / "drift.csv", "--kind", "retention", "-q", "-v", "--out", tmp_path / "b"
    )
    assert (status, text.count("\n")) == (0, 1)
    assert "kind: retention" in error


def test_json_has_null_for_what_is_not_finite(capsys):
    console.print_json({"a": float("nan"), "b": np.arange(2.0), "c": (1, None, True)})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [0.0, 1.0], "c": [1, None, True]}


def completed(words, cache):
    """What bash gets for the last word, from a program of its own, and the heavy packages that it loaded."""
    code = (
        "import sys\nfrom memspike.cli import main\nsys.argv = ['memspike']\n"
        "try:\n    main()\nfinally:\n    print('loaded', *{'jax', 'numpy'} & set(sys.modules))"
    )
    about = {"_MEMSPIKE_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    environment = {**os.environ, **about, "MEMSPIKE_CACHE": str(cache)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    *found, loaded = done.stdout.split("\n")[:-1]
    return found, loaded


def test_experiments_and_keys_are_completed_and_remembered(tmp_path):
    first, _ = completed(["memspike", "run", "memprop-digits"], tmp_path)
    again, loaded = completed(["memspike", "run", "memprop-digits"], tmp_path)
    assert first == again == ["memprop-digits", "memprop-digits-spikes"]
    assert loaded == "loaded", "without JAX the second time"
    keys, _ = completed(["memspike", "run", "memprop-digits", "--set", "training.ep"], tmp_path)
    assert keys == ["training.epochs=", "training.epochs_together="]


def test_names_of_another_state_of_the_package_are_forgotten(tmp_path, monkeypatch):
    monkeypatch.setenv("MEMSPIKE_CACHE", str(tmp_path))
    (tmp_path / "names.json").write_text('{"stamp": "another", "names": {"experiments": [["old", ""]]}}')
    assert completion.experiment_names("old") == []
    assert [name for name, _ in completion.every_name("alox")][:1] == ["alox-hfo2"]
    (tmp_path / "names.json").write_text("[")
    assert "memprop-mnist" in dict(completion.experiment_names("mem"))
