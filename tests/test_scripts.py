"""Every script of scripts/ runs: at a tiny size, or only to check what it would write."""

import importlib.util
import json
import runpy
import subprocess
import sys

import pytest

from memspike import experiments

TINY = ("--set", "task.steps=40", "--set", "task.inputs=5", "--set", "network.layers=[6]")
CASES = {
    "catalogue.py": (["--check"], ""),
    "results.py": (["table", "--check"], ""),
    "tune_pcm_eprop.py": (
        ["sign", "--trials", "2", "--together", "2", "--seeds", "1", "--epochs", "2", *TINY],
        "sign 2",
    ),
    "tune_tiki_taka.py": (["agad", "--trials", "2", "--updates", "50"], "'period'"),
}
# downloads, see the tests of the data store; some have tests of their own, below, in tests/data and test_docstrings.py
EXCLUDED = {"offline_data.sh", "adaptive.py", "links.py", "digits.py", "docstrings.py", "reference.py"}


def test_every_script_has_a_case(root):
    assert {file.name for file in (root / "scripts").iterdir() if file.is_file()} == {*CASES, *EXCLUDED}


@pytest.mark.parametrize("name", CASES)
def test_a_script_runs(root, name):
    given, said = CASES[name]
    if "optuna" in (root / "scripts" / name).read_text() and importlib.util.find_spec("optuna") is None:
        pytest.skip("optuna is not installed")
    done = subprocess.run(
        [sys.executable, root / "scripts" / name, *given], cwd=root, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert said in done.stdout


def test_membranes_agree_with_an_adaptive_solution_of_their_circuit(root, tmp_path, monkeypatch, capsys):
    """SciPy solves the same equations, written anew, of a network driven by spike trains: within 1 mV.

    At the step of the run it finds the deviation that the result tells.
    """
    keys = ["training.epochs=2", "data.train=320", "data.test=20", "evaluation.chips=0", "network.layers=[12]"]
    result = experiments.run(experiments.resolve("memprop-digits-spikes", keys).settings, tmp_path / "run")
    script = root / "scripts/adaptive.py"
    monkeypatch.setattr(sys, "argv", [str(script), str(tmp_path / "run")])
    runpy.run_path(str(script), run_name="__main__")
    said = json.loads(capsys.readouterr().out)
    assert said["dt"] == pytest.approx(10e-6)
    assert len(said["deviation_mv"]) == 2
    assert 0 < max(said["deviation_mv"]) < 1
    monkeypatch.setattr(sys, "argv", [str(script), str(tmp_path / "run"), "--dt", str(result["membrane_step"])])
    runpy.run_path(str(script), run_name="__main__")
    found = max(json.loads(capsys.readouterr().out)["deviation_mv"])
    assert 1e3 * result["membrane_deviation"] == pytest.approx(found, rel=0.02, abs=0.2)


@pytest.mark.parametrize(
    ("link", "lines"),
    [
        ("b.html", 0),
        ("sub/c.html#there", 0),
        ("#here", 0),
        ("https://example.org/none", 0),
        ("sub/", 1),
        ("none.html", 1),
        ("b.html#there", 1),
    ],
)
def test_dead_links_are_found(root, tmp_path, link, lines):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/c.html").write_text('<h2 id="there">c</h2><a href="../a.html#here">a</a>')
    (tmp_path / "b.html").write_text("b")
    (tmp_path / "a.html").write_text(f'<h2 id="here">a</h2><a href="{link}">x</a>')
    command = [sys.executable, root / "scripts/links.py", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == lines
    assert (f"a.html: {link}" in done.stdout) == bool(lines)
