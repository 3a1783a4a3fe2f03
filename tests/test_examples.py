"""Every file of examples/ runs, with trainings of a few examples, and is in the list."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from memspike import experiments
from memspike.experiments import resolve

FILES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
SMALL = {
    "memprop-digits": ("data.train=160", "data.test=40", "network.layers=[8]", "training.epochs=1"),
    "pcm-eprop": ("network.layers=[10]", "training.epochs=1"),
}
SLOW = ("compare_devices", "your_own_device", "learn_online")  # programs with pulses compile for long


@pytest.mark.parametrize(
    "file", [pytest.param(f, marks=pytest.mark.full if f.stem in SLOW else (), id=f.stem) for f in FILES]
)
def test_examples_run(file, tmp_path, monkeypatch, capsys):
    def small(name, settings=(), **more):
        return resolve(name, [*settings, *SMALL[name]], **more)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(experiments, "resolve", small)
    exec(compile(file.read_text(), str(file), "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out.strip()
    assert {p.name for p in tmp_path.iterdir()} <= {"runs"}


@pytest.mark.full
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_examples_take_less_than_a_minute(file, tmp_path):
    """On a quiet machine, as they are."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX")}
    subprocess.run([sys.executable, file], cwd=tmp_path, env=environment, check=True, timeout=60, capture_output=True)


def test_the_first_hour(root, tmp_path):
    """The script as it stands, in an empty folder: a run, own data and parts, a sweep, an export, a load, a figure."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    script = ["bash", str(root / "examples/first_hour.sh")]
    done = subprocess.run(script, cwd=tmp_path, env=os.environ | {"PATH": programs}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "test accuracy" in done.stdout
    assert len(list((tmp_path / "runs").glob("*/result.json"))) == 6
    for folder, pattern in (("comparison", "compare.svg"), ("for-the-lab", "conductances.csv"), ("figures", "*.svg")):
        assert list((tmp_path / folder).glob(pattern)), f"nothing in {folder}"


def test_the_experiment_file_is_valid(root):
    experiment, settings, _ = resolve(str(root / "examples/an_experiment.toml"))
    experiment.prepare(settings)


def test_every_example_is_in_the_list(root):
    page = (root / "examples/README.md").read_text()
    for file in (*FILES, root / "examples/an_experiment.toml", root / "examples/first_hour.sh"):
        assert f"[{file.name}]({file.name})" in page
