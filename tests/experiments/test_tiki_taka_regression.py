"""The study of schemes against wrong references: its table, going on after an interruption, what it refuses."""

import numpy as np
import pytest

import memspike as ms
from memspike.experiments import resolve
from memspike.report import online_figures, write_report

SMALL = ["task.size=[5,4]", "task.updates=100", "task.offsets=[0.0,0.2]", 'task.schemes=["mixed precision","agad"]']


def test_the_study_writes_its_table_and_goes_on_where_it_was(tmp_path):
    _, config = resolve("tiki-taka-regression", SMALL, seeds=2)
    result = ms.experiments.run(config, tmp_path / "run")
    assert [(row["scheme"], row["offset"]) for row in result["rows"]] == [
        *(("mixed precision", 0.0), ("mixed precision", 0.2)),
        *(("agad", 0.0), ("agad", 0.2)),
    ]
    for row in result["rows"]:
        assert 0 < row["error"] < 2
        assert row["error_sd"] >= 0
    pulses = {row["scheme"]: row["pulses_per_weight"] for row in result["rows"]}
    assert pulses["agad"] > pulses["mixed precision"] > 0
    _, alone = resolve("tiki-taka-regression", SMALL, seeds=2)
    (tmp_path / "run/result.json").unlink()
    (tmp_path / "run/agad.npz").unlink()
    assert ms.experiments.run(alone, tmp_path / "run", resume=True) == result
    assert "agad" in write_report(tmp_path / "run").read_text()
    assert (tmp_path / "run/figures/study.png").exists()
    left, right = online_figures.tiles(result).axes
    np.testing.assert_allclose(np.asarray(left.get_lines()[1].get_ydata(), float), result["curves"]["agad"][1])
    assert len(right.containers) == 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (['task.schemes=["adam"]'], "Unknown scheme of the comparison 'adam'"),
        (["task.updates=20"], "task.updates is 20"),
        (["device.device=mif-pair"], "mif-pair.* takes no counts of pulses"),
        (["device.device=gst-pcm"], "driven away from their symmetry point"),
        (["programming.chop=0.1"], "programming.chop has no effect on the scheme"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path, settings, words):
    with pytest.raises(ms.InputError, match=words):
        ms.experiments.run(resolve("tiki-taka-regression", settings)[1], tmp_path / "run")


@pytest.mark.parametrize(("name", "key"), [("pcm-eprop", "learning.scheme"), ("memprop-digits", "training.scheme")])
def test_experiments_on_pairs_refuse_fast_tiles_before_anything_is_written(tmp_path, name, key):
    with pytest.raises(ms.InputError, match="'agad' needs a Stack cell of 2 or more tiles"):
        ms.experiments.run(resolve(name, [f"{key}=agad"], quick=True)[1], tmp_path / "run")
    assert not (tmp_path / "run").exists()
