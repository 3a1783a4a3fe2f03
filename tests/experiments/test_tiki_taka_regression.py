"""The study of schemes against wrong references: its table, going on after an interruption, what it refuses."""

import numpy as np
import pytest

import memspike as ms
from memspike.experiments import resolve
from memspike.report import study_figures, write_report

SMALL = ["task.size=[5,4]", "task.updates=100", "task.offsets=[0.0,0.2]", 'task.schemes=["mixed precision","agad"]']


def test_the_study_writes_its_table_and_goes_on_where_it_was(tmp_path):
    settings = resolve("tiki-taka-regression", SMALL, seeds=2).settings
    result = ms.experiments.run(settings, tmp_path / "run")
    assert [(row["scheme"], row["offset"]) for row in result["rows"]] == [
        *(("mixed precision", 0.0), ("mixed precision", 0.2)),
        *(("agad", 0.0), ("agad", 0.2)),
    ]
    for row in result["rows"]:
        assert 0 < row["error"] < 2
        assert row["error_sd"] >= 0
    pulses = {row["scheme"]: row["pulses_per_weight"] for row in result["rows"]}
    assert pulses["agad"] > pulses["mixed precision"] > 0
    alone = resolve("tiki-taka-regression", SMALL, seeds=2).settings
    (tmp_path / "run/result.json").unlink()
    (tmp_path / "run/agad.npz").unlink()
    assert ms.experiments.run(alone, tmp_path / "run", resume=True) == result
    assert "agad" in write_report(tmp_path / "run").read_text()
    assert (tmp_path / "run/figures/study.png").exists()
    left, right = study_figures.by_reference(result).axes
    np.testing.assert_allclose(np.asarray(left.get_lines()[1].get_ydata(), float), result["curves"]["agad"][1])
    assert len(right.containers) == 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (['task.schemes=["adam"]'], "Unknown scheme of the comparison 'adam'"),
        (["task.updates=20"], "task.updates is 20"),
        (["task.offsets=[]"], "task.offsets is empty"),
        (["device=mif-pair"], "mif-pair.* takes no counts of pulses"),
        (["device=gst-pcm"], "driven away from their symmetry point"),
        (["programming.chop=0.1"], "programming.chop has no effect on the scheme 'stochastic-rounding'"),
        (['task.schemes=["agad"]', "programming.chop=2"], r"programming\.chop is 2.*allowed"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path, settings, words):
    with pytest.raises(ms.InputError, match=words):
        ms.experiments.run(resolve("tiki-taka-regression", settings).settings, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["pcm-eprop", "memprop-digits"])
def test_experiments_on_pairs_refuse_gradient_arrays_before_anything_is_written(tmp_path, name):
    with pytest.raises(ms.InputError, match=r"'agad' needs a gradient array .*synapse\.type=stack"):
        ms.experiments.run(resolve(name, ["learning.scheme=agad"], quick=True).settings, tmp_path / "run")
    assert not (tmp_path / "run").exists()
